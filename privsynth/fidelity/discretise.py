"""One discretisation for every metric: columns as integer codes, with cuts from train alone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privsynth.schema import (
    OTHER,
    BooleanColumn,
    CategoricalColumn,
    Column,
    DateColumn,
    DatetimeColumn,
    IntegerColumn,
    OrdinalColumn,
)
from privsynth.table import Table

MAX_BINS = 20
MISSING = "(missing)"
_TOLERANCE = 1e-12


@dataclass(frozen=True)
class Labels:
    """The categories of one column; the last two codes are "other" and "missing".

    >>> Labels(("no", "yes")).size
    4
    """

    names: tuple[str, ...]

    @property
    def size(self) -> int:
        """How many codes there are."""
        return len(self.names) + 2

    def codes(self, table: Table, name: str) -> NDArray[Any]:
        """The code of each row's label: (n_rows,) integers below `size`."""
        encoded = table.column(name).combine_chunks().dictionary_encode()
        known = {label: code for code, label in enumerate(self.names)}
        lookup = [
            known.get(_text(label), self.size - 2) for label in encoded.dictionary.to_pylist()
        ]
        indices = np.asarray(encoded.indices.fill_null(len(lookup)), dtype=np.int64)
        codes: NDArray[Any] = np.array([*lookup, self.size - 1])[indices]
        return codes

    def order(self) -> list[int]:
        """The codes in the order in which a chart shows them."""
        return list(range(self.size))

    def captions(self, column: Column) -> tuple[str, ...]:
        """What a chart calls each code."""
        return (*self.names, OTHER, MISSING)


@dataclass(frozen=True)
class Bins:
    """The bins of one range column: points that are a bin each, and intervals between cuts.

    A value that is no point lies in the interval number `sum(cuts < value)`; the last code is
    "missing".

    >>> Bins(points=(0.0,), cuts=(10.0, 20.0)).size
    5
    """

    points: tuple[float, ...]
    cuts: tuple[float, ...]

    @property
    def size(self) -> int:
        """How many codes there are."""
        return len(self.points) + len(self.cuts) + 2

    def codes(self, table: Table, name: str) -> NDArray[Any]:
        """The code of each row's value: (n_rows,) integers below `size`."""
        codes = self.codes_of(table.numbers(name).astype(np.float64))
        return np.where(table.missing(name), self.size - 1, codes)

    def codes_of(self, values: NDArray[Any]) -> NDArray[Any]:
        """The code of each value: its point, or else its interval."""
        codes = len(self.points) + np.searchsorted(self.cuts, values, side="left")
        if not self.points:
            return codes
        points = np.array(self.points)
        middles = (points[1:] + points[:-1]) / 2
        nearest = np.searchsorted(middles, values)
        # Synthetic decimals may miss a point by the last bits.
        hit = np.abs(values - points[nearest]) <= _TOLERANCE * np.maximum(
            1, np.abs(points[nearest])
        )
        return np.where(hit, nearest, codes)

    def order(self) -> list[int]:
        """The codes by position on the number line, then missing."""
        places = [*self.points, *self.cuts, np.inf]
        codes = sorted(range(len(places)), key=lambda code: (places[code], code))
        return [*codes, self.size - 1]

    def captions(self, column: Column) -> tuple[str, ...]:
        """What a chart calls each code, in the column's own units."""
        points = (_written(point, column) for point in self.points)
        return (*points, *self._intervals(column), MISSING)

    def _intervals(self, column: Column) -> tuple[str, ...]:
        if not self.cuts:
            return ("other values",) if self.points else ("all values",)
        step = 1 if isinstance(column, IntegerColumn | DateColumn) else 0
        lows = [_written(cut + step, column) for cut in self.cuts[:-1]]
        highs = [_written(cut, column) for cut in self.cuts[1:]]
        between = [
            low if low == high else f"{low} – {high}" for low, high in zip(lows, highs, strict=True)
        ]
        low, high = (_written(self.cuts[end], column) for end in (0, -1))
        holding = set(np.searchsorted(self.cuts, self.points, side="left").tolist())
        return tuple(
            f"{caption} (rest)" if number in holding else caption
            for number, caption in enumerate((f"≤ {low}", *between, f"> {high}"))
        )


Coding = Labels | Bins


@dataclass(frozen=True)
class Discretiser:
    """Every modelled column as integer codes over finite lists that were fixed on one table.

    >>> import pyarrow as pa
    >>> from privsynth.schema import Schema
    >>> schema = Schema.parse({"dataset": {"id": "d"}, "columns": {
    ...     "age": {"kind": "integer", "lower": 0, "upper": 120},
    ...     "sex": {"kind": "categorical", "categories": ["f", "m"], "missing": True}}})
    >>> table = Table.from_arrow(pa.table({"age": [3, 40, 40], "sex": ["m", None, "f"]}), schema)
    >>> Discretiser.of(table).codes(table)
    array([[0, 1],
           [1, 3],
           [1, 0]])
    """

    codings: Mapping[str, Coding]

    @classmethod
    def of(cls, train: Table, cuts: Mapping[str, Sequence[float]] | None = None) -> Discretiser:
        """The benchmark's discretisation: categories as they are, ranges in at most 20 bins.

        A range column is cut at quantiles of its train values; a value that fills a twentieth of
        them or more is a bin of its own. `cuts` gives public cut points in place of quantiles.
        """
        cuts = cuts or {}
        return cls(
            {
                name: Bins((), tuple(sorted(cuts[name])))
                if name in cuts
                else coding_of(train, name)
                for name in train.schema.modelled
            }
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns, in the order of the code matrix."""
        return tuple(self.codings)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many codes each column has, missing included."""
        return tuple(coding.size for coding in self.codings.values())

    def codes(self, table: Table) -> NDArray[Any]:
        """The code matrix of a table: (n_rows, n_columns) integers, column by column."""
        matrix = np.empty((table.n_rows, len(self.codings)), dtype=np.int64, order="F")
        for position, (name, coding) in enumerate(self.codings.items()):
            matrix[:, position] = coding.codes(table, name)
        return matrix


def observed(table: Table, name: str) -> NDArray[Any]:
    """The values of a range column that are not missing: (n_observed,) doubles."""
    return table.numbers(name)[~table.missing(name)].astype(np.float64)


def coding_of(train: Table, name: str) -> Coding:
    """The codes of one column: its categories, or bins at the quantiles of its train values."""
    match train.schema.columns[name]:
        case BooleanColumn():
            return Labels(("false", "true"))
        case CategoricalColumn() | OrdinalColumn() as column:
            return Labels(_categories(train, name, column))
        case _:
            return quantile_bins(observed(train, name))


def _categories(
    train: Table, name: str, column: CategoricalColumn | OrdinalColumn
) -> tuple[str, ...]:
    """The declared categories; where they are learned privately, also those that train shows."""
    if column.source != "private":
        return column.categories
    seen = set(train.column(name).unique().to_pylist()) - {None, OTHER, *column.categories}
    return (*column.categories, *sorted(seen))


def quantile_bins(values: NDArray[Any]) -> Bins:
    """At most 20 bins of about equal counts; few or heavy values are bins of their own.

    >>> import numpy as np
    >>> quantile_bins(np.array([0.0] * 50 + list(range(1, 51)))).points
    (0.0,)
    """
    distinct, counts = np.unique(values, return_counts=True)
    heavy = counts >= len(values) / MAX_BINS if len(distinct) > MAX_BINS else counts > 0
    rest = values[~np.isin(values, distinct[heavy])]
    n_intervals = max(1, MAX_BINS - int(heavy.sum()))
    return Bins(tuple(distinct[heavy].tolist()), _quantiles(rest, n_intervals))


def _quantiles(values: NDArray[Any], n_intervals: int) -> tuple[float, ...]:
    """The inner quantiles of `n_intervals` intervals, each a value that occurs."""
    if not len(values):
        return ()
    shares = np.arange(1, n_intervals) / n_intervals
    cuts = np.unique(np.quantile(values, shares, method="inverted_cdf"))
    return tuple(cuts[cuts < values.max()].tolist())


def _text(label: object) -> str:
    return str(label).lower() if isinstance(label, bool) else str(label)


def _written(value: float, column: Column) -> str:
    """A number in the units of its column."""
    match column:
        case DateColumn():
            return (dt.date(1970, 1, 1) + dt.timedelta(days=round(value))).isoformat()
        case DatetimeColumn():
            moment = dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=round(value))
            return moment.isoformat(sep=" ", timespec="minutes")
        case IntegerColumn():
            return f"{round(value):,}".replace(",", " ")
        case _:
            return f"{value:.6g}"
