"""How a secret is guessed from what is known of a person and the synthetic table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from privsynth.risk import anonymeter
from privsynth.risk.plain import PlainTable

SURE = 0.9
"""A guess counts as sure where the model gives it at least this probability."""

_TREES, _LEAST_LEAF = 40, 2
_MAX_LABELS = 100  # of a secret that a forest tells apart; each tree stores all of them in a leaf


@dataclass(frozen=True)
class Guesses:
    """A guess for each target, and which of them the attacker is sure of; None where all are."""

    values: NDArray[Any]
    sure: NDArray[np.bool_] | None = None


Guesser: TypeAlias = Callable[[str], tuple[Guesses, Guesses]]
"""A secret's name to the guesses for members and for controls."""


def by_nearest(
    synthetic: PlainTable, sides: Sequence[PlainTable], known: Sequence[str], seed: int
) -> Guesser:
    """The secret of the synthetic record that is nearest on the known columns."""
    rows = [
        anonymeter.nearest_rows(synthetic, side, known, seed)
        if side.n_rows
        else np.empty(0, dtype=np.int64)
        for side in sides
    ]

    def guesses(secret: str) -> tuple[Guesses, Guesses]:
        members, controls = (Guesses(synthetic.values(secret)[found]) for found in rows)
        return members, controls

    return guesses


def by_trees(
    synthetic: PlainTable, sides: Sequence[PlainTable], known: Sequence[str], seed: int
) -> Guesser:
    """What a forest (Breiman 2001) says that learnt the secret from the synthetic table.

    Its leaves are small, so that it remembers single records as well as rules. Of more than a
    hundred labels it guesses the most frequent hundred.
    """

    def guesses(secret: str) -> tuple[Guesses, Guesses]:
        is_number = secret in synthetic.numbers
        learned = synthetic.take(_learnable(synthetic, secret))
        x, y = _matrix(learned, known), learned.values(secret)
        model = _forest(is_number, seed).fit(x, y)
        members, controls = (_guessed(model, _matrix(side, known), is_number) for side in sides)
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


def _guessed(model: Any, x: NDArray[Any], is_number: bool) -> Guesses:
    if not len(x):
        return Guesses(np.empty(0, dtype=np.float64 if is_number else np.int64))
    if is_number:
        return Guesses(np.asarray(model.predict(x)))
    probabilities = model.predict_proba(x)
    values = model.classes_[probabilities.argmax(axis=1)]
    return Guesses(np.asarray(values), probabilities.max(axis=1) >= SURE)


def _matrix(table: PlainTable, columns: Sequence[str]) -> NDArray[np.float64]:
    """Numbers and label codes side by side, (n_rows, n_columns); a missing number is NaN."""
    return np.column_stack([table.values(name).astype(np.float64) for name in columns])
