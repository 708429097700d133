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
    cut: list[list[NDArray[Any]]] = []
    for name in columns:
        values = [table.values(name) for table in tables]
        if name in cut_on.numbers:
            known = cut_on.numbers[name][~cut_on.missing(name)]
            at = np.arange(1, N_BINS) / N_BINS
            edges = np.unique(np.quantile(known, at)) if len(known) else known
            values = [np.where(np.isnan(v), -1, np.searchsorted(edges, v)) for v in values]
        cut.append(values)
    return [row_hashes([values[i] for values in cut]) for i in range(len(tables))]
