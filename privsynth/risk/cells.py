"""Groups of records that share a combination of values, numbers in bins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privsynth.risk.plain import PlainTable, row_hashes

N_BINS = 10


def cells(
    tables: Sequence[PlainTable], columns: Sequence[str], cut_on: PlainTable
) -> list[NDArray[np.uint64]]:
    """The group of each record as a number, the same in all tables, (n_rows,) each.

    Numbers are cut at ten quantiles of `cut_on`; missing is a value of its own.

    >>> town = PlainTable({}, {"town": np.array([0, 1, 0])}, np.arange(3))
    >>> (found,) = cells([town], ["town"], cut_on=town)
    >>> bool(found[0] == found[2]), bool(found[0] == found[1])
    (True, False)
    """
    cut = [binned(tables, name, cut_on) for name in columns]
    return [row_hashes([values[i] for values in cut]) for i in range(len(tables))]


def n_sharing(
    wanted: NDArray[Any], groups: NDArray[Any], persons: NDArray[Any]
) -> NDArray[np.int64]:
    """How many persons have a record in each wanted group, (n_wanted,); 0 where nobody has.

    `groups` and `persons` tell of each record; a person with many records in a group counts once.

    >>> n_sharing(np.array([7, 8, 9]), np.array([7, 7, 7, 8]), np.array([0, 0, 1, 1])).tolist()
    [2, 1, 0]
    """
    found, place = np.unique(groups, return_inverse=True)
    each, person = np.unique(persons, return_inverse=True)
    pairs = np.unique(place * len(each) + person)
    counts = np.bincount(pairs // len(each))
    at = np.minimum(np.searchsorted(found, wanted), len(found) - 1)
    return np.asarray(np.where(found[at] == wanted, counts[at], 0))


def binned(tables: Sequence[PlainTable], name: str, cut_on: PlainTable) -> list[NDArray[np.int64]]:
    """One column as codes, -1 for missing: labels as they are, numbers in bins as for `cells`.

    >>> age = PlainTable({"age": np.array([20.0, np.nan, 90.0])}, {}, np.arange(3))
    >>> [codes.tolist() for codes in binned([age], "age", cut_on=age)]
    [[0, -1, 9]]
    """
    values = [table.values(name) for table in tables]
    if name not in cut_on.numbers:
        return values
    known = cut_on.numbers[name][~cut_on.missing(name)]
    at = np.arange(1, N_BINS) / N_BINS
    edges = np.unique(np.quantile(known, at)) if len(known) else known
    return [np.where(np.isnan(v), -1, np.searchsorted(edges, v)) for v in values]
