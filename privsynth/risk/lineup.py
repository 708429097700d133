"""A line-up: as many train as control persons, and how near other records come to each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from privsynth.errors import Inconclusive
from privsynth.risk.base import NO_CONTROL, Detail
from privsynth.risk.neighbours import nearest, points
from privsynth.risk.plain import PlainTable, PlainTables, one_row_each, row_hashes, some_rows
from privsynth.risk.statistics import MIN_TRIALS

N_AROUND = 5
"""Neighbours whose mean distance says how far out a record lies (Meeus et al. 2023)."""

Pair: TypeAlias = tuple[NDArray[Any], NDArray[Any]]

_CLOSE = 0.01  # in columns; nearer than this is as near as can be


@dataclass(frozen=True, repr=False)
class Lineup:
    """Persons of both tables in random order, one record each.

    Of each there is one array for the members and one for the controls, (n_persons,): `leads` is
    how much nearer one synthetic record comes to a person than other records do, real and
    synthetic; `outlying` how far out the person lies among real records; `copied` whether a
    synthetic record is the same. Who is a member was drawn by lot, and enters none of them.
    """

    members: PlainTable
    controls: PlainTable
    reference: PlainTable
    leads: Pair
    outlying: Pair
    copied: Pair

    def details(self) -> dict[str, Detail]:
        """How many other real records the persons were held against: a sample where many are."""
        return {"reference_rows_used": self.reference.n_rows}

    def __repr__(self) -> str:
        return f"Lineup({self.members.n_rows} persons of each table)"


def line_up(
    tables: PlainTables, rng: np.random.Generator, max_persons: int, max_reference_rows: int
) -> Lineup | Inconclusive:
    """At most so many persons of each table; train records of other persons are the reference."""
    if not tables.train.columns:
        return Inconclusive("no column is present in all tables")
    if not tables.control.n_rows:
        return Inconclusive(NO_CONTROL)
    n_train, n_control = tables.train.n_persons, tables.control.n_persons
    n_persons = min(max_persons, n_control, n_train // 2)
    if n_persons < MIN_TRIALS:
        counts = f"{n_train} persons in the train and {n_control} in the control table"
        return Inconclusive(f"only {counts}; {2 * MIN_TRIALS} and {MIN_TRIALS} are needed")
    members, controls = (
        _shuffled(one_row_each(table, n_persons, rng), rng)
        for table in (tables.train, tables.control)
    )
    others = tables.train.take(~np.isin(tables.train.persons, members.persons))
    reference = some_rows(others, max_reference_rows, rng)
    *sides, known, synthetic = points(
        (members, controls, reference, tables.synthetic), reference=reference
    )
    outlying = [nearest(side, known, N_AROUND).mean(axis=1) for side in sides]
    near = [nearest(side, synthetic, 1 + N_AROUND) for side in sides]
    leads = [_leads(n, out) for n, out in zip(near, outlying, strict=True)]
    return Lineup(
        members,
        controls,
        reference,
        leads=(leads[0], leads[1]),
        outlying=(outlying[0], outlying[1]),
        copied=_copied(tables, members, controls),
    )


def _copied(tables: PlainTables, *sides: PlainTable) -> Pair:
    three = (tables.synthetic, *sides)
    synthetic, *real = (row_hashes([t.values(name) for name in t.columns]) for t in three)
    members, controls = (np.isin(each, synthetic) for each in real)
    return members, controls


def _leads(near: NDArray[np.float64], outlying: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log of how far other records keep away over how near one synthetic record comes.

    Where the synthetic table is dense, a near record is no news, and no more so where the real
    one is: the nearer of both counts.
    """
    others = np.minimum(outlying, near[:, 1:].mean(axis=1) if near.shape[1] > 1 else np.inf)
    return np.asarray(np.log((others + _CLOSE) / (near[:, 0] + _CLOSE)))


def _shuffled(table: PlainTable, rng: np.random.Generator) -> PlainTable:
    return table.take(rng.permutation(table.n_rows))
