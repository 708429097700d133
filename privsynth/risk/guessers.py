"""How a secret is guessed from what is known of a person and the synthetic table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from privsynth.risk import anonymeter
from privsynth.risk.guessing import Scorer
from privsynth.risk.plain import PlainTable

SURE = 0.9
"""A guess counts as sure where the forest gives it this probability, or so many trees agree."""

_TREES, _LEAST_LEAF = 40, 2
_MAX_LABELS = 100  # of a secret that a forest tells apart; each tree stores all of them in a leaf


@dataclass(frozen=True)
class Guesses:
    """A guess for each target, and which of them the attacker is sure of."""

    values: NDArray[Any]
    sure: NDArray[np.bool_]


Guesser: TypeAlias = Callable[[str, Scorer], tuple[Guesses, Guesses]]
"""A secret's name and the rule by which it is guessed, to the guesses for members and controls."""


def by_nearest(
    synthetic: PlainTable, sides: Sequence[PlainTable], known: Sequence[str], seed: int
) -> Guesser:
    """The secret of the synthetic record that is nearest on the known columns.

    It is sure where that record is the same in all of them.
    """
    rows = [
        anonymeter.nearest_rows(synthetic, side, known, seed)
        if side.n_rows
        else np.empty(0, dtype=np.int64)
        for side in sides
    ]

    same = [
        _same(synthetic.take(found), side, known) for found, side in zip(rows, sides, strict=True)
    ]

    def guesses(secret: str, score: Scorer) -> tuple[Guesses, Guesses]:
        values = synthetic.values(secret)
        members, controls = (Guesses(values[n], s) for n, s in zip(rows, same, strict=True))
        return members, controls

    return guesses


def _same(found: PlainTable, side: PlainTable, known: Sequence[str]) -> NDArray[np.bool_]:
    """Whether the records found agree with the targets in every known column, (n_targets,)."""
    pairs = (np.nan_to_num(_matrix(table, known), nan=np.inf) for table in (found, side))
    return np.asarray(np.equal(*pairs).all(axis=1))


def by_trees(
    synthetic: PlainTable, sides: Sequence[PlainTable], known: Sequence[str], seed: int
) -> Guesser:
    """What a forest (Breiman 2001) says that learnt the secret from the synthetic table.

    Its leaves are small, so that it remembers single records as well as rules. Of more than a
    hundred labels it guesses the most frequent hundred. A number is sure where nearly all trees
    would count as right if it were the secret.
    """

    def guesses(secret: str, score: Scorer) -> tuple[Guesses, Guesses]:
        is_number = secret in synthetic.numbers
        learned = synthetic.take(_learnable(synthetic, secret))
        x, y = _matrix(learned, known), learned.values(secret)
        model = _forest(is_number, seed).fit(x, y)
        guess = partial(_number, model, score) if is_number else partial(_label, model)
        members, controls = (guess(_matrix(side, known)) for side in sides)
        return members, controls

    return guesses


def _learnable(table: PlainTable, secret: str) -> NDArray[np.bool_]:
    """Which records the forest learns from: those with the secret, of its most frequent labels."""
    present = ~table.missing(secret)
    if secret in table.numbers:
        return present
    labels, counts = np.unique(table.labels[secret][present], return_counts=True)
    frequent = labels[np.argsort(-counts, kind="stable")[:_MAX_LABELS]]
    return present & np.isin(table.labels[secret], frequent)


def _forest(is_number: bool, seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    kind = RandomForestRegressor if is_number else RandomForestClassifier
    return kind(_TREES, min_samples_leaf=_LEAST_LEAF, random_state=seed, n_jobs=1)


def _number(model: Any, score: Scorer, x: NDArray[Any]) -> Guesses:
    if not len(x):
        return Guesses(np.empty(0), np.empty(0, dtype=bool))
    of_each = np.stack([tree.predict(x) for tree in model.estimators_])  # (n_trees, n_targets)
    values = of_each.mean(axis=0)
    return Guesses(values, score(of_each, values).mean(axis=0) >= SURE)


def _label(model: Any, x: NDArray[Any]) -> Guesses:
    if not len(x):
        return Guesses(np.empty(0, dtype=np.int64), np.empty(0, dtype=bool))
    probabilities = model.predict_proba(x)
    values = model.classes_[probabilities.argmax(axis=1)]
    return Guesses(np.asarray(values), probabilities.max(axis=1) >= SURE)


def _matrix(table: PlainTable, columns: Sequence[str]) -> NDArray[np.float64]:
    """Numbers and label codes side by side, (n_rows, n_columns); a missing number is NaN."""
    return np.column_stack([table.values(name).astype(np.float64) for name in columns])
