"""Inference: a sensitive value guessed from the quasi-identifiers and the synthetic table."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from privsynth.risk import anonymeter
from privsynth.risk.base import (
    AttackResult,
    Detail,
    Failure,
    Rate,
    Result,
    ThreatModel,
    attacks,
)
from privsynth.risk.details import common_details, rate_details
from privsynth.risk.guessing import Scorer, best_guess, group_rates, random_guess, scorer
from privsynth.risk.plain import PlainTable, PlainTables, one_row_each, plain_tables, some_rows
from privsynth.risk.statistics import compare
from privsynth.table import Tables

MIN_GROUP = 20
"""Groups with fewer targets are not reported: their rates say nothing."""


@dataclass(frozen=True)
class _Side:
    """Targets with the synthetic record that is nearest to each."""

    targets: PlainTable
    nearest: NDArray[Any]

    def hits(self, secret: str, synthetic: PlainTable, score: Scorer) -> NDArray[Any]:
        """Whether each target's secret was guessed; targets without one are left out."""
        known = ~self.targets.missing(secret)
        guesses = synthetic.values(secret)[self.nearest[known]]
        return score(guesses, self.targets.values(secret)[known])


@attacks.register("inference")
@dataclass(frozen=True)
class Inference:
    """Each sensitive column and each target, guessed from the nearest synthetic record.

    The attacker knows a person's quasi-identifiers. A label must be guessed exactly, a number to
    within 5 % of its absolute value, a date to within 30 days.

    >>> Inference(n_targets=1_000).n_targets
    1000
    """

    name: ClassVar[str] = "inference"
    title: ClassVar[str] = "Inference"

    n_targets: int = 2_000
    max_synthetic_rows: int = 20_000

    def run(self, tables: Tables, rng: np.random.Generator) -> tuple[Result, ...]:
        """One result for each sensitive column and target."""
        plain = plain_tables(tables)
        secrets = [*tables.schema.with_role("sensitive"), *tables.schema.with_role("target")]
        if reason := _why_not(secrets, plain.with_role("quasi_identifier")):
            return (Failure(self.name, self.title, reason),)
        started = time.perf_counter()
        results = self._attack(plain, secrets, rng)
        seconds = (time.perf_counter() - started) / len(results)  # one search serves all
        return tuple(
            replace(result, seconds=seconds) if isinstance(result, AttackResult) else result
            for result in results
        )

    def _attack(
        self, tables: PlainTables, secrets: Sequence[str], rng: np.random.Generator
    ) -> tuple[Result, ...]:
        synthetic = some_rows(tables.synthetic, self.max_synthetic_rows, rng)
        known = tables.with_role("quasi_identifier")
        seed = int(rng.integers(2**32))
        member = self._side(synthetic, tables.train, known, (seed, rng))
        control = self._side(synthetic, tables.control, known, (seed, rng))
        used = replace(tables, synthetic=synthetic)
        plan = (self.n_targets, seed)
        return tuple(_result(used, secret, (member, control), plan) for secret in secrets)

    def _side(
        self,
        synthetic: PlainTable,
        table: PlainTable,
        known: Sequence[str],
        chance: tuple[int, np.random.Generator],
    ) -> _Side:
        seed, rng = chance
        targets = one_row_each(table, self.n_targets, rng)
        if not targets.n_rows:
            return _Side(targets, np.empty(0, dtype=np.int64))
        return _Side(targets, anonymeter.nearest_rows(synthetic, targets, known, seed))


def _result(
    tables: PlainTables, secret: str, sides: tuple[_Side, _Side], plan: tuple[int, int]
) -> Result:
    attack, title = f"inference_{secret}", f"Inference of {secret}"
    if reason := _why_not_secret(tables, secret, sides[0]):
        return Failure(attack, title, reason)
    score = scorer(tables.schema.columns[secret])
    hits, others = (side.hits(secret, tables.synthetic, score) for side in sides)
    member = _rate(hits)
    control = _rate(others) if len(others) else None
    excess, p = compare(member, control)
    n_planned, seed = plan
    return AttackResult(
        attack=attack,
        title=title,
        criterion="inference",
        threat_model=_threat_model(tables.with_role("quasi_identifier"), secret),
        n_planned=n_planned,
        n_done=member.total,
        member=member,
        control=control,
        prior=best_guess(_population(tables, secret), score),
        excess=excess,
        p_value=p,
        persons=member.hits,
        tool=anonymeter.tool(),
        details=_details(tables, secret, score, seed)
        | _worst_group(secret, sides, (hits, others))
        | rate_details(member, control)
        | common_details(tables),
        guards=anonymeter.guards(1, 3, 5, 6, 7, 8, 9, 10, 11, 12, 14),
    )


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
    secret: str, sides: tuple[_Side, _Side], hits: tuple[NDArray[Any], NDArray[Any]]
) -> dict[str, Detail]:
    """The largest excess among people who share a value of the secret, labels only."""
    if secret in sides[0].targets.numbers:
        return {}
    member, control = (
        group_rates(found, side.targets.values(secret)[~side.targets.missing(secret)])
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


def _why_not_secret(tables: PlainTables, secret: str, side: _Side) -> str | None:
    if secret not in tables.train.columns:
        return f"column {secret!r}: {tables.unusable.get(secret, 'not a column that is modelled')}"
    values = tables.train.values(secret)[~tables.train.missing(secret)]
    if (values == values[0]).all():
        return f"column {secret!r} is constant; there is nothing to infer"
    if side.targets.missing(secret).all():
        return f"column {secret!r} is missing for every person who was attacked"
    return None
