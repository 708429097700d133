"""Linkability: two sources on the same persons, joined through the synthetic table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from privsynth.risk import anonymeter
from privsynth.risk.base import (
    AttackResult,
    Criterion,
    Failure,
    Rate,
    Result,
    ThreatModel,
    attacks,
    timed,
)
from privsynth.risk.details import common_details, rate_details
from privsynth.risk.plain import PlainTable, PlainTables, one_row_each, plain_tables, some_rows
from privsynth.risk.statistics import compare
from privsynth.table import Tables


@dataclass(frozen=True)
class Sources:
    """Two sources that an attacker may hold on the same persons, and the columns of each.

    >>> Sources("registry and insurer", ("age", "sex"), ("zip",)).columns
    ('age', 'sex', 'zip')
    """

    name: str
    first: tuple[str, ...]
    second: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of both."""
        return self.first + self.second


@attacks.register("linkability")
@dataclass(frozen=True)
class Linkability:
    """Two sources that each hold some columns of the same persons, joined record by record.

    A target counts as linked where the synthetic record nearest to what one source holds of it is
    also the one nearest to what the other holds. `sources` declares whom to reckon with, one
    attack each; by default the quasi-identifiers are dealt out so that both tell about equally
    much.

    >>> Linkability(sources=(Sources("two clinics", ("age", "sex"), ("zip",)),)).n_targets
    1000
    """

    name: ClassVar[str] = "linkability"
    title: ClassVar[str] = "Linkability of two sources"
    criterion: ClassVar[Criterion] = "linkability"

    n_targets: int = 1_000
    sources: tuple[Sources, ...] = ()
    max_synthetic_rows: int = 20_000

    def run(self, tables: Tables, rng: np.random.Generator) -> tuple[Result, ...]:
        """One result for each pair of sources."""
        plain = plain_tables(tables)
        if not self.sources:
            known = plain.with_role("quasi_identifier")
            both = Sources("", *dealt(known, plain.synthetic))
            return (self._tried(plain, both, rng, attack=self.name, title=self.title),)
        titles = [f"Linkability: {each.name}" for each in self.sources]
        return tuple(
            self._tried(plain, each, rng, attack=f"{self.name}_{number}", title=title)
            for number, (each, title) in enumerate(zip(self.sources, titles, strict=True), 1)
        )

    def _tried(
        self,
        tables: PlainTables,
        sources: Sources,
        rng: np.random.Generator,
        *,
        attack: str,
        title: str,
    ) -> Result:
        has_both = bool(sources.first and sources.second)
        if not has_both or not {*sources.columns} <= set(tables.train.columns):
            return Failure(attack, title, _why_not(bool(self.sources)), self.criterion)
        return timed(lambda: self._attack(tables, sources, rng, attack=attack, title=title))

    def _attack(
        self,
        tables: PlainTables,
        sources: Sources,
        rng: np.random.Generator,
        *,
        attack: str,
        title: str,
    ) -> Result:
        synthetic = some_rows(tables.synthetic, self.max_synthetic_rows, rng)
        seeds = [int(seed) for seed in rng.integers(2**32, size=2)]
        targets = one_row_each(tables.train, self.n_targets, rng)
        member = _rate(linked(synthetic, targets, sources, seeds))
        control = None
        if tables.control.n_rows:
            others = one_row_each(tables.control, self.n_targets, rng)
            control = _rate(linked(synthetic, others, sources, seeds))
        excess, p = compare(member, control)
        return AttackResult(
            attack=attack,
            title=title,
            criterion="linkability",
            threat_model=_threat_model(sources),
            n_planned=self.n_targets,
            n_done=member.total,
            member=member,
            control=control,
            prior=1 / synthetic.n_rows,
            excess=excess,
            p_value=p,
            persons=member.hits,
            tool=anonymeter.tool(),
            details={"synthetic_rows_used": synthetic.n_rows, "seed": seeds[0]}
            | rate_details(member, control)
            | common_details(tables),
            guards=anonymeter.guards(3, 5, 8, 9, 11, 12, 14),
        )


def dealt(columns: Sequence[str], table: PlainTable) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns in two halves, dealt by falling number of values: first, second, second, first.

    >>> codes = {name: np.arange(8) % n for name, n in (("a", 8), ("b", 4), ("c", 2), ("d", 2))}
    >>> dealt(("a", "b", "c", "d"), PlainTable({}, codes, np.arange(8)))
    (('a', 'd'), ('b', 'c'))
    """
    n_values = {name: len(np.unique(table.values(name))) for name in columns}
    ranked = sorted(columns, key=lambda name: (-n_values[name], name))
    first = tuple(name for i, name in enumerate(ranked) if i % 4 in (0, 3))
    return first, tuple(name for name in ranked if name not in first)


def linked(
    synthetic: PlainTable, targets: PlainTable, sources: Sources, seeds: Sequence[int]
) -> NDArray[Any]:
    """Whether both sources lead from a target to one synthetic record, (n_targets,) booleans."""
    first, second = (
        anonymeter.nearest_rows(synthetic, targets, columns, seed)
        for columns, seed in zip((sources.first, sources.second), seeds, strict=True)
    )
    return np.asarray(first == second)


def _rate(hits: NDArray[Any]) -> Rate:
    return Rate(int(hits.sum()), len(hits))


def _threat_model(sources: Sources) -> ThreatModel:
    both = (sources.first, sources.second)
    knowledge = " and ".join(f"one with {', '.join(columns)}" for columns in both)
    return ThreatModel(
        attacker="a recipient who holds two sources on the same persons",
        knowledge=f"two sources: {knowledge}; and the synthetic table",
        goal="which records of the two sources belong to one person",
    )


def _why_not(declared: bool) -> str:
    if declared:
        return "a column of the declared sources is not present in all tables"
    return (
        "fewer than two quasi-identifiers are present in all tables; "
        'declare them with role = "quasi_identifier"'
    )
