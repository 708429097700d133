"""Copies: synthetic rows that equal a real record, against how often chance does that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from privsynth.risk.base import Criterion, Failure, Rate, Result, ThreatModel, attacks, timed
from privsynth.risk.details import common_details
from privsynth.risk.plain import PlainTable, PlainTables, plain_tables, row_hashes
from privsynth.risk.statistics import compared
from privsynth.table import Tables

THREAT_MODEL = ThreatModel(
    attacker="a recipient of the synthetic table",
    knowledge="the synthetic table, and enough about a person to know the person's record",
    goal="a released row that is a real person's record",
)

_DECISIVE = 6.0  # the weight that finds 26 copies of 26,000 records among some 30 results


@attacks.register("copies")
@dataclass(frozen=True)
class Copies:
    """Real records that occur in the synthetic table, exactly and with numbers in `n_bins` bins.

    Only records count that one person alone has in the real tables. Who of them was in train and
    who in control was drawn by lot, so without copying both are met equally often: the rates
    compare at any sizes, and Fisher's test is exact. Every person of train is planned for; done are
    those who have such a record.

    >>> Copies(n_bins=10).n_bins
    10
    """

    name: ClassVar[str] = "copies"
    title: ClassVar[str] = "Copies of real records"
    criterion: ClassVar[Criterion] = "copies"

    n_bins: int = 20

    def run(self, tables: Tables, rng: np.random.Generator) -> tuple[Result, ...]:
        """One result for exact copies and one for copies up to the bins; nothing is random."""
        plain = plain_tables(tables)
        if not plain.train.columns:
            return (
                Failure(
                    self.name, self.title, "no column is present in all tables", self.criterion
                ),
            )
        three = (plain.train, plain.control, plain.synthetic)
        exact = partial(_hashed, three)
        binned = partial(_hashed, three, _edges(plain, self.n_bins))
        return (
            timed(lambda: _result("copies_exact", "Exact copies", plain, exact(), _DECISIVE)),
            timed(lambda: _result("copies_binned", "Copies up to bins", plain, binned())),
        )


def unique_to_one_person(hashes: NDArray[Any], persons: NDArray[Any]) -> NDArray[Any]:
    """Which rows hold a record that no other person has, (n_rows,) booleans.

    >>> unique_to_one_person(np.array([7, 7, 8, 8, 9]), np.array([0, 0, 1, 2, 3])).tolist()
    [True, True, False, False, True]
    """
    _, record = np.unique(hashes, return_inverse=True)
    order = np.lexsort((persons, record))
    new = np.r_[True, np.diff(record[order]) > 0]
    new_pair = new | np.r_[True, np.diff(persons[order]) != 0]
    n_persons = np.bincount(record[order][new_pair])
    return np.asarray(n_persons[record] == 1)


def _result(
    attack: str,
    title: str,
    tables: PlainTables,
    hashes: Sequence[NDArray[Any]],
    weight: float = 1.0,
) -> Result:
    in_train, in_control, in_synthetic = hashes
    n_train = tables.train.n_persons
    alone = unique_to_one_person(
        np.r_[in_train, in_control], np.r_[tables.train.persons, n_train + tables.control.persons]
    )
    alone_train, alone_control = np.split(alone, [len(in_train)])
    met_train, met_control = np.isin(in_train, in_synthetic), np.isin(in_control, in_synthetic)
    member = _rate(tables.train, alone_train, met_train)
    if member is None:
        return Failure(
            attack, title, "no record of the train table is one person's alone", "copies"
        )
    control = _rate(tables.control, alone_control, met_control)
    return compared(
        member,
        control,
        attack=attack,
        title=title,
        criterion="copies",
        threat_model=THREAT_MODEL,
        n_planned=n_train,
        weight=weight,
        details={
            "synthetic_rows_equal_to_train": int(np.isin(in_synthetic, in_train).sum()),
            "synthetic_rows_equal_to_control": int(np.isin(in_synthetic, in_control).sum()),
            "synthetic_rows": len(in_synthetic),
        }
        | common_details(tables),
    )


def _rate(table: PlainTable, alone: NDArray[Any], met: NDArray[Any]) -> Rate | None:
    """Persons with a record of their own that was met, among persons who have one."""
    n_persons = len(np.unique(table.persons[alone]))
    return Rate(len(np.unique(table.persons[alone & met])), n_persons) if n_persons else None


def _edges(tables: PlainTables, n_bins: int) -> dict[str, NDArray[Any]]:
    """Quantiles of each number over train and control together: bins must not favour train."""
    edges = {}
    for name in tables.train.numbers:
        real = np.r_[tables.train.numbers[name], tables.control.numbers[name]]
        edges[name] = np.unique(np.nanquantile(real, np.arange(1, n_bins) / n_bins))
    return edges


def _hashed(
    three: Sequence[PlainTable], edges: dict[str, NDArray[Any]] | None = None
) -> tuple[NDArray[Any], ...]:
    """The hash of every row of each table, numbers in bins where edges are given."""
    return tuple(
        row_hashes([_binned(table, name, edges) for name in table.columns]) for table in three
    )


def _binned(table: PlainTable, name: str, edges: dict[str, NDArray[Any]] | None) -> NDArray[Any]:
    values = table.values(name)
    if edges is None or name not in edges:
        return values
    codes = np.searchsorted(edges[name], values, side="right")
    return np.asarray(np.where(np.isnan(values), -1, codes))
