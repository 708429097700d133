"""Singling out: predicates that fit one synthetic record, tried on real persons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from privsynth.errors import Inconclusive
from privsynth.risk import anonymeter
from privsynth.risk.anonymeter import Query
from privsynth.risk.base import (
    AttackResult,
    Criterion,
    Failure,
    Rate,
    Result,
    Risk,
    ThreatModel,
    attacks,
    timed,
)
from privsynth.risk.details import common_details, rate_details
from privsynth.risk.plain import PlainTable, PlainTables, all_rows_of, plain_tables, some_rows
from privsynth.risk.statistics import MIN_TRIALS, compare, design_effect, p_value, widened
from privsynth.table import Tables

THREAT_MODEL = ThreatModel(
    attacker="a recipient of the synthetic table",
    knowledge="the synthetic table alone",
    goal="a description that fits exactly one person of the train table",
)


@attacks.register("singling_out")
@dataclass(frozen=True)
class SinglingOut:
    """Predicates on one column and on several, each fitting exactly one synthetic record.

    A predicate succeeds where it fits exactly one person. Train and control are compared at
    equal numbers of persons, because the smaller the table, the easier it is to be the only one.

    >>> SinglingOut(n_queries=300).n_columns
    (1, 3, 5, 8)
    """

    name: ClassVar[str] = "singling_out"
    title: ClassVar[str] = "Singling out"
    criterion: ClassVar[Criterion] = "singling out"

    n_queries: int = 1_000
    n_columns: tuple[int, ...] = (1, 3, 5, 8)
    max_synthetic_rows: int = 30_000

    def run(self, tables: Tables, rng: np.random.Generator) -> tuple[Result, ...]:
        """One result for each number of columns."""
        plain = plain_tables(tables)
        if not plain.train.columns:
            return (
                Failure(
                    self.name, self.title, "no column is present in all tables", self.criterion
                ),
            )
        train, control = _equal_sizes(plain, rng)
        synthetic = some_rows(plain.synthetic, self.max_synthetic_rows, rng)
        seeds = rng.integers(2**32, size=len(self.n_columns))
        tried = replace(plain, train=train, control=control, synthetic=synthetic)
        return tuple(
            timed(partial(self._attack, tried, width, int(seed)))
            for width, seed in zip(self.n_columns, seeds, strict=True)
        )

    def _attack(self, tables: PlainTables, width: int, seed: int) -> Result:
        attack, title = _names(width)
        if width > len(tables.train.columns):
            reason = f"needs {width} columns; the tables share {len(tables.train.columns)}"
            return Failure(attack, title, reason, self.criterion)
        queries = _queries(tables.synthetic, self.n_queries, width, seed)
        if not queries:
            return Failure(
                attack, title, "no predicate fits exactly one synthetic record", self.criterion
            )
        hits = anonymeter.singled_out(queries, tables.train)
        member, control, others = _rate(hits), None, hits[:0]
        if tables.control.n_rows:
            others = anonymeter.singled_out(queries, tables.control)
            control = _rate(others)
        effect = design_effect((hits, others))
        excess, p = _compared(tables, (hits, others), effect)
        guesses = anonymeter.random_queries(tables.synthetic, self.n_queries, width, seed)
        return AttackResult(
            attack=attack,
            title=title,
            criterion="singling out",
            threat_model=THREAT_MODEL,
            n_planned=self.n_queries,
            n_done=len(queries),
            member=member,
            control=control,
            prior=_rate(anonymeter.singled_out(guesses, tables.train)).value,
            excess=excess,
            p_value=p,
            persons=len(np.unique(hits[hits >= 0])),
            tool=anonymeter.tool(),
            details=dict(_details(tables, width, seed))
            | {"queries_that_count_as_one": effect}
            | rate_details(member, control)
            | common_details(tables),
            guards=anonymeter.guards(2, 3, 4, 5, 8, 13, 14),
        )


def _compared(
    tables: PlainTables, sides: tuple[NDArray[Any], NDArray[Any]], effect: float
) -> tuple[Risk | Inconclusive, float | None]:
    """Excess and p-value; a thousand queries on a handful of persons decide nothing.

    Many queries single out the same person, so the interval is that of fewer queries, and the
    p-value is that of the persons who were singled out.
    """
    n_persons = tables.train.n_persons
    if not tables.control.n_rows:
        return compare(_rate(sides[0]), None)
    if n_persons < MIN_TRIALS:
        reason = f"only {n_persons} persons a side; at least {MIN_TRIALS} are needed"
        return Inconclusive(reason), None
    excess, _ = compare(*map(_rate, sides))
    if isinstance(excess, Inconclusive):
        return excess, None
    persons = (Rate(len(np.unique(side[side >= 0])), n_persons) for side in sides)
    return widened(excess, effect), p_value(*persons)


def _names(width: int) -> tuple[str, str]:
    if width == 1:
        return "singling_out_univariate", "Singling out by one column"
    return f"singling_out_{width}", f"Singling out by {width} columns"


def _queries(synthetic: PlainTable, n_queries: int, width: int, seed: int) -> list[Query]:
    if width == 1:
        return anonymeter.univariate_queries(synthetic, n_queries, seed)
    return anonymeter.multivariate_queries(synthetic, n_queries, width, seed)


def _rate(persons: NDArray[Any]) -> Rate:
    return Rate(int((persons >= 0).sum()), len(persons))


def _equal_sizes(tables: PlainTables, rng: np.random.Generator) -> tuple[PlainTable, PlainTable]:
    """Train and control with the same number of persons; all of train where there is no control."""
    if not tables.control.n_rows:
        return tables.train, tables.control
    n_persons = min(tables.train.n_persons, tables.control.n_persons)
    return all_rows_of(tables.train, n_persons, rng), all_rows_of(tables.control, n_persons, rng)


def _details(tables: PlainTables, width: int, seed: int) -> Iterator[tuple[str, int]]:
    yield "columns_in_a_query", width
    yield "persons_a_side", tables.train.n_persons
    yield "synthetic_rows_used", tables.synthetic.n_rows
    yield "seed", seed
