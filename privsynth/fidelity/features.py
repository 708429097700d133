"""Tables as what a model of scikit-learn takes: numbers, and categories as small integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privsynth.fidelity.discretise import Discretiser, Labels
from privsynth.table import Table

MAX_LEVELS = 250


@dataclass(frozen=True)
class Features:
    """The columns of a table as a matrix of doubles, with lists of categories fixed on one table.

    Categories are numbered by frequency, those after the 250th as one; missing entries are NaN.

    >>> import pyarrow as pa
    >>> from privsynth.schema import Schema
    >>> schema = Schema.parse({"dataset": {"id": "d"}, "columns": {
    ...     "age": {"kind": "integer", "lower": 0, "upper": 120, "missing": True},
    ...     "sex": {"kind": "categorical", "categories": ["f", "m"]}}})
    >>> table = Table.from_arrow(pa.table({"age": [30, None, 50], "sex": ["f", "m", "m"]}), schema)
    >>> Features.of(table).matrix(table)
    array([[30.,  1.],
           [nan,  0.],
           [50.,  0.]])
    """

    ranks: Mapping[str, NDArray[Any] | None]
    codings: Discretiser

    @classmethod
    def of(cls, train: Table, without: str | None = None) -> Features:
        """The features that all columns but one make."""
        codings = Discretiser.of(train)
        names = [name for name in codings.columns if name != without]
        return cls({name: _ranks(codings, train, name) for name in names}, codings)

    @property
    def categorical(self) -> NDArray[Any]:
        """Which features are categories: (n_features,) booleans."""
        return np.array([ranks is not None for ranks in self.ranks.values()], dtype=bool)

    def matrix(self, table: Table) -> NDArray[Any]:
        """The features of each row: (n_rows, n_features)."""
        matrix = np.empty((table.n_rows, len(self.ranks)))
        for position, (name, ranks) in enumerate(self.ranks.items()):
            if ranks is None:
                values = table.numbers(name).astype(np.float64)
            else:
                values = ranks[self.codings.codings[name].codes(table, name)]
            matrix[:, position] = np.where(table.missing(name), np.nan, values)
        return matrix


def without_empty(learned: NDArray[Any], tested: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Both matrices with 0 in each column that the first does not know at all.

    Gradient boosting refuses a column without a single value.

    >>> without_empty(np.array([[np.nan, 1.0]]), np.array([[2.0, np.nan]]))[1]
    array([[ 0., nan]])
    """
    empty = np.isnan(learned).all(axis=0)
    return np.where(empty, 0.0, learned), np.where(empty, 0.0, tested)


def _ranks(codings: Discretiser, train: Table, name: str) -> NDArray[Any] | None:
    """The number of each label's code by frequency; None for a range column."""
    coding = codings.codings[name]
    if not isinstance(coding, Labels):
        return None
    counts = np.bincount(coding.codes(train, name), minlength=coding.size)
    ranks = np.empty(coding.size)
    ranks[np.argsort(-counts, kind="stable")] = np.arange(coding.size)
    return np.minimum(ranks, MAX_LEVELS)
