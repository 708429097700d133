"""Inference: a sensitive value guessed from the quasi-identifiers and the synthetic table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from privsynth.risk import anonymeter
from privsynth.risk.base import (
    AttackResult,
    Criterion,
    Detail,
    Failure,
    Rate,
    Result,
    ThreatModel,
    attacks,
    timed,
)
from privsynth.risk.details import common_details, rate_details
from privsynth.risk.guessers import Guesser, Guesses, by_nearest, by_trees
from privsynth.risk.guessing import Scorer, best_guess, group_rates, random_guess, scorer
from privsynth.risk.plain import PlainTable, PlainTables, one_row_each, plain_tables, some_rows
from privsynth.risk.statistics import compare
from privsynth.table import Tables

MIN_GROUP = 20
"""Groups with fewer targets are not reported: their rates say nothing."""


@attacks.register("inference")
@dataclass(frozen=True)
class Inference:
    """Each sensitive column and each target, guessed by two attackers.

    Both know a person's quasi-identifiers. One takes the secret of the nearest synthetic record,
    the other trains a forest on the synthetic table. A label must be guessed exactly, a number to
    within 5 % of its absolute value, a date to within 30 days.

    >>> Inference(n_targets=1_000).n_targets
    1000
    """

    name: ClassVar[str] = "inference"
    title: ClassVar[str] = "Inference"
    criterion: ClassVar[Criterion] = "inference"

    n_targets: int = 2_000
    max_synthetic_rows: int = 20_000

    def run(self, tables: Tables, rng: np.random.Generator) -> tuple[Result, ...]:
        """Two results for each sensitive column and target."""
        plain = plain_tables(tables)
        secrets = [*tables.schema.with_role("sensitive"), *tables.schema.with_role("target")]
        known = plain.with_role("quasi_identifier")
        if reason := _why_not(secrets, known):
            return (Failure(self.name, self.title, reason, self.criterion),)
        synthetic = some_rows(plain.synthetic, self.max_synthetic_rows, rng)
        seed = int(rng.integers(2**32))
        sides = tuple(one_row_each(t, self.n_targets, rng) for t in (plain.train, plain.control))
        attempt = _Attempt(replace(plain, synthetic=synthetic), sides, self.n_targets, seed)
        nearest = by_nearest(synthetic, sides, known, seed)
        trees = by_trees(synthetic, sides, known, seed)
        return tuple(
            timed(partial(attempt.result, secret, method, guesser))
            for secret in secrets
            for method, guesser in (("nearest", nearest), ("trees", trees))
        )


@dataclass(frozen=True)
class _Attempt:
    """The targets of both sides, and what they are attacked with."""

    tables: PlainTables
    sides: tuple[PlainTable, ...]
    n_planned: int
    seed: int

    def result(self, secret: str, method: str, guesser: Guesser) -> Result:
        """How often that attacker guesses that secret."""
        attack, title = _names(secret, method)
        tables = self.tables
        if reason := _why_not_secret(tables, secret, self.sides[0]):
            return Failure(attack, title, reason, "inference")
        score = scorer(tables.schema.columns[secret])
        guesses = guesser(secret, score)
        hits = tuple(
            _hits(side, secret, guess, score)
            for side, guess in zip(self.sides, guesses, strict=True)
        )
        member = _rate(hits[0])
        control = _rate(hits[1]) if len(hits[1]) else None
        excess, p = compare(member, control)
        by_library = method == "nearest"
        return AttackResult(
            attack=attack,
            title=title,
            criterion="inference",
            threat_model=_threat_model(tables.with_role("quasi_identifier"), secret),
            n_planned=self.n_planned,
            n_done=member.total,
            member=member,
            control=control,
            prior=best_guess(_population(tables, secret), score),
            excess=excess,
            p_value=p,
            persons=member.hits,
            tool=anonymeter.tool() if by_library else "privsynth, a forest of scikit-learn",
            details=_details(tables, secret, score, self.seed)
            | _worst_group(secret, self.sides, hits)
            | _sure(secret, self.sides, guesses, hits)
            | rate_details(member, control)
            | common_details(tables),
            guards=anonymeter.guards(1, 3, 5, 6, 7, 8, 9, 10, 11, 12, 14) if by_library else (),
        )


def _names(secret: str, method: str) -> tuple[str, str]:
    if method == "nearest":
        return f"inference_{secret}", f"Inference of {secret}"
    return f"inference_{secret}_by_{method}", f"Inference of {secret} by a forest"


def _hits(side: PlainTable, secret: str, guesses: Guesses, score: Scorer) -> NDArray[Any]:
    """Whether each target's secret was guessed; targets without one are left out."""
    known = ~side.missing(secret)
    return score(guesses.values[known], side.values(secret)[known])


def _sure(
    secret: str,
    sides: Sequence[PlainTable],
    guesses: Sequence[Guesses],
    hits: Sequence[NDArray[Any]],
) -> dict[str, Detail]:
    """How many guesses the attacker is sure of (coverage), and how many of those are right."""
    details: dict[str, Detail] = {}
    for name, side, guess, right in zip(("members", "controls"), sides, guesses, hits, strict=True):
        if not len(right):
            continue
        sure = guess.sure[~side.missing(secret)]
        details[f"coverage_{name}"] = float(sure.mean())
        if sure.any():
            details[f"precision_{name}"] = float(right[sure].mean())
    return details


def _rate(hits: NDArray[Any]) -> Rate:
    return Rate(int(hits.sum()), len(hits))


def _population(tables: PlainTables, secret: str) -> NDArray[Any]:
    """The secret among people whom the generator did not see; among train where there are none."""
    table = tables.control
    if not table.n_rows or table.missing(secret).all():
        table = tables.train
    return table.values(secret)[~table.missing(secret)]


def _details(tables: PlainTables, secret: str, score: Scorer, seed: int) -> dict[str, Detail]:
    synthetic = tables.synthetic.values(secret)[~tables.synthetic.missing(secret)]
    return {
        "column": secret,
        "seed": seed,
        "synthetic_rows_used": tables.synthetic.n_rows,
        "random_guess": random_guess(synthetic, _population(tables, secret), score),
    }


def _worst_group(
    secret: str, sides: Sequence[PlainTable], hits: Sequence[NDArray[Any]]
) -> dict[str, Detail]:
    """The largest excess among people who share a value of the secret, labels only."""
    if secret in sides[0].numbers:
        return {}
    member, control = (
        group_rates(found, side.values(secret)[~side.missing(secret)])
        for found, side in zip(hits, sides, strict=True)
    )
    sizes = {
        group: (rate.value - control[group].value, min(rate.total, control[group].total))
        for group, rate in member.items()
        if group in control and min(rate.total, control[group].total) >= MIN_GROUP
    }
    if not sizes:
        return {}
    excess, n_targets = max(sizes.values())
    return {"worst_group_excess": excess, "worst_group_targets": n_targets}


def _threat_model(known: Sequence[str], secret: str) -> ThreatModel:
    return ThreatModel(
        attacker="a recipient who knows a person's quasi-identifiers",
        knowledge=f"{', '.join(known)}; and the synthetic table",
        goal=f"the person's {secret}",
    )


def _why_not(secrets: Sequence[str], known: Sequence[str]) -> str | None:
    if not secrets:
        return 'no column is declared with role = "sensitive" or role = "target"'
    if not known:
        return (
            "no quasi-identifier is present in all tables; declare what an attacker may know "
            'with role = "quasi_identifier"'
        )
    return None


def _why_not_secret(tables: PlainTables, secret: str, targets: PlainTable) -> str | None:
    if secret not in tables.train.columns:
        return f"column {secret!r}: {tables.unusable.get(secret, 'not a column that is modelled')}"
    values = tables.train.values(secret)[~tables.train.missing(secret)]
    if (values == values[0]).all():
        return f"column {secret!r} is constant; there is nothing to infer"
    if tables.synthetic.missing(secret).all():
        return f"column {secret!r} is missing in every synthetic record that was looked at"
    if targets.missing(secret).all():
        return f"column {secret!r} is missing for every person who was attacked"
    return None
