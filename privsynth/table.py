"""Table: columns that keep to a schema. Its repr, and its errors, never show a record."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from privsynth.conform import conform, conform_what_fits
from privsynth.errors import DataError, UsageError
from privsynth.schema import DateColumn, DatetimeColumn, IntegerColumn, Schema

if TYPE_CHECKING:
    import pandas as pd

Array: TypeAlias = NDArray[Any]
"""Numbers or labels whose type the docstring gives."""


def rng(seed: int | None = None) -> np.random.Generator:
    """A random generator for splits and sampling: from the operating system, or seeded for tests.

    Private noise never comes from here: `privsynth.privacy.noise` has its own, secret source.
    """
    return np.random.default_rng(seed)


@dataclass(frozen=True, repr=False)
class Table:
    """Rows that keep to a schema.

    `data` holds canonical Arrow types: int64, double, string, bool, date32, timestamp[us].
    `storage` is the type in which each column goes out: that in which it came, unless the values
    of the records may have decided it. `left_out` says why columns of the source are not here.
    """

    schema: Schema
    data: pa.Table
    storage: Mapping[str, pa.DataType] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_arrow(cls, raw: pa.Table, schema: Schema, *, leave_out_empty: bool = False) -> Table:
        """Read any Arrow table as records of the schema; SchemaError names the column and rule.

        A column whose every value is missing is refused, as nothing can be learned from it. An
        assessment can do without: `leave_out_empty` leaves it out, and `left_out` says so.
        """
        if raw.num_rows == 0:
            raise DataError("the table has no rows")
        return cls(schema, *conform(raw, schema, leave_out_empty=leave_out_empty))

    @classmethod
    def of_what_fits(cls, raw: pa.Table, schema: Schema) -> Table:
        """The columns of any Arrow table that keep to the schema; `left_out` has the others.

        >>> schema = Schema.parse({"dataset": {"id": "d"},
        ...     "columns": {"age": {"kind": "integer", "lower": 0, "upper": 120}}})
        >>> Table.of_what_fits(pa.table({"age": [40, 500]}), schema).left_out
        {'age': '1 value lies outside its domain [0, 120]'}
        """
        return cls(schema, *conform_what_fits(raw, schema))

    @classmethod
    def from_pandas(
        cls, frame: pd.DataFrame, schema: Schema, *, leave_out_empty: bool = False
    ) -> Table:
        """Read a data frame as records of the schema; see `from_arrow`."""
        if frame.columns.has_duplicates:
            raise DataError("the table has duplicate column names")
        try:
            raw = pa.Table.from_pandas(frame, preserve_index=False)
        except (pa.ArrowException, OverflowError, UnicodeError):
            raise DataError(
                f"{_unreadable(frame, schema)} of the data frame has mixed types, or a type that "
                "Arrow does not know"
            ) from None
        return cls.from_arrow(raw, schema, leave_out_empty=leave_out_empty)

    @property
    def n_rows(self) -> int:
        """The number of records."""
        return int(self.data.num_rows)

    @property
    def columns(self) -> tuple[str, ...]:
        """The column names, in order."""
        return tuple(self.data.column_names)

    def column(self, name: str) -> pa.ChunkedArray:
        """One column in its canonical Arrow type."""
        return self.data.column(name)

    def missing(self, name: str) -> NDArray[np.bool_]:
        """Where a column is missing: (n_rows,) booleans."""
        return np.asarray(self.column(name).is_null().to_numpy(zero_copy_only=False))

    def numbers(self, name: str) -> Array:
        """A range column as numbers, (n_rows,): integers, doubles, days or microseconds from 1970.

        Missing entries read 0 (integers, dates) or NaN (doubles); see `missing`.
        """
        column = self.column(name)
        kind = self.schema.columns[name]
        if isinstance(kind, DateColumn):
            column = column.cast(pa.int32()).cast(pa.int64())
        elif isinstance(kind, DatetimeColumn):
            column = column.cast(pa.int64())
        if isinstance(kind, DateColumn | DatetimeColumn | IntegerColumn):
            return np.asarray(pc.fill_null(column, 0).to_numpy())
        return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)

    def labels(self, name: str) -> Array:
        """A category column as text, (n_rows,) objects; missing entries are None."""
        return np.asarray(self.column(name).to_numpy(zero_copy_only=False), dtype=object)

    def units(self) -> NDArray[np.int64]:
        """The number of the privacy unit to which each row belongs: (n_rows,) from 0."""
        unit = self.schema.privacy.unit
        if unit == "row":
            return np.arange(self.n_rows)
        encoded = self.column(unit).combine_chunks().dictionary_encode()
        return np.asarray(encoded.indices.to_numpy(zero_copy_only=False), dtype=np.int64)

    def without(self, names: Collection[str]) -> Table:
        """The table without some columns, under a schema without them."""
        kept = [name for name in self.data.column_names if name not in names]
        storage = {name: kind for name, kind in self.storage.items() if name in kept}
        return Table(self.schema.without(names), self.data.select(kept), storage, self.left_out)

    @property
    def n_public_units(self) -> int | None:
        """The number of privacy units, where the schema says that it is public; else None."""
        return self.n_units if self.schema.privacy.row_count == "public" else None

    @property
    def n_units(self) -> int:
        """Rows, or persons where the privacy unit is a column."""
        return int(self.units().max()) + 1 if self.n_rows else 0

    def take(self, rows: Array) -> Table:
        """The table of those rows, by position or by a boolean mask."""
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        return Table(self.schema, self.data.take(pa.array(rows)), self.storage, self.left_out)

    def split(
        self, control: float = 0.1, rng: np.random.Generator | None = None
    ) -> tuple[Table, Table]:
        """Train and control, split by privacy unit, so that no person is in both.

        Where the number of units is private each joins the control on its own: a fixed share of
        n would make train lose one unit when another enters the table.

        >>> import pandas as pd
        >>> schema = Schema.parse({"dataset": {"id": "d"},
        ...     "columns": {"age": {"kind": "integer", "lower": 0, "upper": 120}}})
        >>> table = Table.from_pandas(pd.DataFrame({"age": range(100)}), schema)
        >>> table.split(control=0.1)
        (Table(90 rows × 1 column), Table(10 rows × 1 column))
        """
        if not 0 <= control < 1:
            raise UsageError("control must be at least 0 and less than 1")
        units, n_units = self.units(), self.n_units
        rng = rng or np.random.default_rng()
        if self.schema.privacy.row_count == "private":
            chosen = rng.random(n_units) < control
        else:
            chosen = np.zeros(n_units, dtype=bool)
            chosen[rng.permutation(n_units)[: round(control * n_units)]] = True
        in_control = chosen[units]
        return self.take(~in_control), self.take(in_control)

    def bounded(self, rng: np.random.Generator) -> Table:
        """At most `max_rows_per_unit` rows a person, by a rule that sees that person alone.

        The rule is a lot for each row, so `rng` must not be known where a claim rests on it.
        """
        if self.schema.privacy.unit == "row":
            return self
        units = self.units()
        chance = rng.spawn(1)[0]  # what rng goes on to give depends on no number of rows
        order = np.lexsort((chance.random(self.n_rows), units))
        starts = np.flatnonzero(np.r_[True, np.diff(units[order]) > 0])
        position = np.arange(self.n_rows) - np.repeat(starts, np.diff(np.r_[starts, self.n_rows]))
        keep = order[position < self.schema.privacy.max_rows_per_unit]
        return self.take(np.sort(keep))

    def _stored(self, name: str) -> pa.DataType:
        """The type in which a column goes out."""
        return self.storage.get(name, self.column(name).type)

    def to_arrow(self) -> pa.Table:
        """The records in the types in which they go out."""
        return pa.table({name: self._as_stored(name) for name in self.columns})

    def _as_stored(self, name: str) -> pa.ChunkedArray:
        with suppress(pa.ArrowInvalid):  # it quotes a value, and must not even be a cause
            return self.column(name).cast(self._stored(name))
        raise DataError(f"column {name!r}: its values do not fit the type in which it goes out")

    def to_pandas(self) -> pd.DataFrame:
        """The records as a data frame, in the types in which they go out.

        Whole numbers and booleans are nullable where the schema allows missing entries.
        """
        frame: pd.DataFrame = self.to_arrow().to_pandas(types_mapper=_nullable().get)
        return frame.astype(
            {name: self._stored(name).to_pandas_dtype() for name in self._complete()}
        )

    def _complete(self) -> list[str]:
        """The whole-number and boolean columns that can have no missing entry."""
        kinds = _nullable()
        return [
            name
            for name in self.columns
            if self._stored(name) in kinds
            and not self.schema.columns[name].missing
            and not self.column(name).null_count
        ]

    def frame(self) -> pd.DataFrame:
        """The records as an analysis frame: Int64, float64, object labels, boolean, datetime64."""
        frame: pd.DataFrame = self.data.to_pandas(
            types_mapper={
                pa.int64(): _nullable()[pa.int64()],
                pa.bool_(): _nullable()[pa.bool_()],
            }.get,
            date_as_object=False,
        )
        return frame

    def __len__(self) -> int:
        return self.n_rows

    def __repr__(self) -> str:
        rows = f"{self.n_rows:,}".replace(",", " ")
        n = len(self.columns)
        return f"Table({rows} rows × {n} column{'' if n == 1 else 's'})"


@dataclass(frozen=True)
class Tables:
    """What an assessment looks at: three tables of one schema; control may have no rows."""

    train: Table
    control: Table
    synthetic: Table

    @property
    def schema(self) -> Schema:
        """The schema that all three keep to."""
        return self.train.schema


def _nullable() -> dict[pa.DataType, Any]:
    import pandas as pd

    return {
        pa.int8(): pd.Int8Dtype(),
        pa.int16(): pd.Int16Dtype(),
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
    }


def _unreadable(frame: pd.DataFrame, schema: Schema) -> str:
    """The first column of which Arrow makes nothing, by place if its name might be a value."""
    for position, name in enumerate(frame.columns, start=1):
        try:
            pa.Array.from_pandas(frame[name])
        except (pa.ArrowException, OverflowError, UnicodeError):
            return f"column {name!r}" if name in schema.columns else f"column {position}"
    return "a column"
