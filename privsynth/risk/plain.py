"""The three tables in plain types and one row order: what every attack looks at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from privsynth.schema import (
    DateColumn,
    DatetimeColumn,
    IntegerColumn,
    NumericColumn,
    Schema,
)
from privsynth.table import Table, Tables

MICROSECONDS_A_DAY = 86_400_000_000


@dataclass(frozen=True, repr=False)
class PlainTable:
    """One table: float64 numbers (NaN for missing), int64 label codes (-1 for missing).

    Dates and moments are days from 1970. Label codes are the same in all three tables.
    `persons` numbers the privacy unit of each row.
    """

    numbers: Mapping[str, NDArray[Any]]
    labels: Mapping[str, NDArray[Any]]
    persons: NDArray[Any]

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return len(self.persons)

    @property
    def n_persons(self) -> int:
        """The number of distinct persons."""
        return len(np.unique(self.persons))

    @property
    def columns(self) -> tuple[str, ...]:
        """Numbers, then labels."""
        return (*self.numbers, *self.labels)

    def values(self, name: str) -> NDArray[Any]:
        """One column: numbers or codes, (n_rows,)."""
        return self.numbers[name] if name in self.numbers else self.labels[name]

    def missing(self, name: str) -> NDArray[Any]:
        """Where a column is missing, (n_rows,) booleans."""
        return np.isnan(self.numbers[name]) if name in self.numbers else self.labels[name] < 0

    def take(self, rows: NDArray[Any]) -> PlainTable:
        """The table of those rows, by position or by a boolean mask."""
        return PlainTable(
            {name: values[rows] for name, values in self.numbers.items()},
            {name: values[rows] for name, values in self.labels.items()},
            self.persons[rows],
        )

    def __repr__(self) -> str:
        return f"PlainTable({self.n_rows} rows × {len(self.columns)} columns)"


@dataclass(frozen=True)
class PlainTables:
    """Train, control and synthetic with the columns that all can be compared on.

    `unusable` says why each other column was left out.
    """

    schema: Schema
    train: PlainTable
    control: PlainTable
    synthetic: PlainTable
    unusable: Mapping[str, str] = field(default_factory=dict)

    def with_role(self, *roles: str) -> tuple[str, ...]:
        """The usable columns with one of these roles, in the schema's order."""
        return tuple(
            name
            for name, column in self.schema.columns.items()
            if column.role in roles and name in self.train.columns
        )


def plain_tables(tables: Tables) -> PlainTables:
    """The tables in plain types, their rows in an order that depends on their content alone.

    >>> import pandas as pd
    >>> schema = Schema.parse({"dataset": {"id": "d"},
    ...     "columns": {"age": {"kind": "integer", "lower": 0, "upper": 120}}})
    >>> table = Table.from_pandas(pd.DataFrame({"age": [30, 20, 40]}), schema)
    >>> plain_tables(Tables(table, table, table)).train
    PlainTable(3 rows × 1 columns)
    """
    three = (tables.train, tables.control, tables.synthetic)
    numbers: dict[str, tuple[NDArray[Any], ...]] = {}
    labels: dict[str, tuple[NDArray[Any], ...]] = {}
    unusable: dict[str, str] = {}
    for name in tables.schema.modelled:
        if reason := _why_unusable(name, three):
            unusable[name] = reason
            continue
        is_range = isinstance(
            tables.schema.columns[name],
            IntegerColumn | NumericColumn | DateColumn | DatetimeColumn,
        )
        try:
            if is_range:
                numbers[name] = tuple(_floats(table, name) for table in three)
            else:
                labels[name] = _codes(three, name)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            unusable[name] = "its types in the tables do not fit together"
    train, control, synthetic = (_plain(table, i, numbers, labels) for i, table in enumerate(three))
    return PlainTables(tables.schema, train, control, synthetic, unusable)


def row_hashes(columns: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """A 64-bit number for each row, equal where all columns are equal (missing equals missing).

    >>> a, b, c = row_hashes([np.array([1.0, np.nan, 1.0]), np.array([7, 7, 7])])
    >>> bool(a == c), bool(a == b)
    (True, False)
    """
    import pandas as pd

    frame = pd.DataFrame(dict(enumerate(columns)))
    return np.asarray(pd.util.hash_pandas_object(frame, index=False).to_numpy(dtype=np.uint64))


def one_row_each(table: PlainTable, n_persons: int, rng: np.random.Generator) -> PlainTable:
    """At most `n_persons` persons, drawn at random, with one random row of each."""
    order = rng.permutation(table.n_rows)
    _, first = np.unique(table.persons[order], return_index=True)
    rows = rng.permutation(np.sort(order[first]))[:n_persons]
    return table.take(np.sort(rows))


def all_rows_of(table: PlainTable, n_persons: int, rng: np.random.Generator) -> PlainTable:
    """Every row of at most `n_persons` persons, drawn at random."""
    persons = np.unique(table.persons)
    if len(persons) <= n_persons:
        return table
    return table.take(np.isin(table.persons, rng.permutation(persons)[:n_persons]))


def some_rows(table: PlainTable, n_rows: int, rng: np.random.Generator) -> PlainTable:
    """At most `n_rows` rows, drawn at random."""
    if table.n_rows <= n_rows:
        return table
    return table.take(np.sort(rng.permutation(table.n_rows)[:n_rows]))


def _why_unusable(name: str, tables: Sequence[Table]) -> str | None:
    names = ("train", "control", "synthetic")
    for title, table in zip(names, tables, strict=True):
        if not table.n_rows:
            continue
        if name not in table.columns:
            why = table.left_out.get(name)
            return f"the {title} table lacks it" if why is None else f"{why} ({title} table)"
        if title != "control" and table.missing(name).all():
            return f"every value is missing in the {title} table"
    return None


def _plain(
    table: Table,
    index: int,
    numbers: Mapping[str, tuple[NDArray[Any], ...]],
    labels: Mapping[str, tuple[NDArray[Any], ...]],
) -> PlainTable:
    """One table with its rows in order of content, so that the order of the file has no effect."""
    plain = PlainTable(
        {name: values[index] for name, values in numbers.items()},
        {name: values[index] for name, values in labels.items()},
        _person_codes(table),
    )
    if not plain.n_rows or not plain.columns:
        return plain
    hashes = row_hashes([plain.values(name) for name in plain.columns])
    ordered = plain.take(np.lexsort((plain.persons, hashes)))
    if table.schema.privacy.unit != "row":
        return ordered
    return PlainTable(ordered.numbers, ordered.labels, np.arange(ordered.n_rows))


def _person_codes(table: Table) -> NDArray[Any]:
    """The rank of each row's person by its key; each row its own where rows are the unit."""
    unit = table.schema.privacy.unit
    if unit == "row" or unit not in table.columns or not table.n_rows:
        return np.arange(table.n_rows)
    keys = _text(table.column(unit))
    ranks = pc.index_in(keys, value_set=pc.unique(keys).sort())
    return np.asarray(pc.fill_null(ranks, -1).to_numpy(), dtype=np.int64)


def _floats(table: Table, name: str) -> NDArray[Any]:
    if not table.n_rows:
        return np.empty(0)
    column = table.column(name)
    scale = 1
    if pa.types.is_date(column.type):
        column = column.cast(pa.date32()).cast(pa.int32())
    elif pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
        scale = MICROSECONDS_A_DAY
    floats = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    floats = np.where(np.isfinite(floats), floats / scale, np.nan)
    return np.asarray(floats + 0.0)  # no negative zeros: they hash differently


def _codes(tables: Sequence[Table], name: str) -> tuple[NDArray[Any], ...]:
    """Codes over the sorted labels of all tables."""
    texts = [_text(table.column(name)) if table.n_rows else None for table in tables]
    seen = pa.concat_arrays([pc.unique(text) for text in texts if text is not None])
    labels = pc.unique(seen).drop_null().sort()
    return tuple(
        np.empty(0, dtype=np.int64)
        if text is None
        else np.asarray(
            pc.fill_null(pc.index_in(text, value_set=labels), -1).to_numpy(), dtype=np.int64
        )
        for text in texts
    )


def _text(column: pa.ChunkedArray) -> pa.Array:
    column = column.combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.cast(pa.string())
