"""The codebook: every modelled column as codes, learned by charged measurements, then frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from privsynth.conform import typed_column
from privsynth.encode.code import ColumnCode, Intervals, Labels
from privsynth.errors import SchemaError
from privsynth.schema import Column, Schema
from privsynth.table import Array, Table

_MANY_LABELS = 20


@dataclass(frozen=True, repr=False)
class Codebook:
    """How a table becomes an integer matrix and back, with the noisy share of each code.

    `shares[name]` are the noisy one-way marginals that learning the codes has paid for,
    (n_codes,), summing to 1; `n_units` is the public row count, or its private estimate.
    """

    schema: Schema
    columns: Mapping[str, ColumnCode]
    shares: Mapping[str, Array]
    n_units: float
    storage: Mapping[str, pa.DataType]

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of codes of each modelled column, in the order of the matrix."""
        return tuple(code.n_codes for code in self.columns.values())

    @property
    def targets(self) -> tuple[int, ...]:
        """The places in the matrix of the columns that the schema declares as targets."""
        declared = self.schema.with_role("target")
        return tuple(place for place, name in enumerate(self.columns) if name in declared)

    def __repr__(self) -> str:
        return f"Codebook({len(self.columns)} columns, {sum(self.sizes)} codes)"

    def encode(self, table: Table) -> Array:
        """The code matrix of a table, (n_rows, n_columns) int64."""
        columns = [code.encode(table, name) for name, code in self.columns.items()]
        return np.stack(columns, axis=1) if columns else np.zeros((table.n_rows, 0), np.int64)

    def decode(self, codes: Array, rng: np.random.Generator) -> Table:
        """A table that is valid under the schema, from any matrix of codes within `sizes`."""
        drawn = {
            name: code.decode(codes[:, position], self.schema.columns[name], rng)
            for position, (name, code) in enumerate(self.columns.items())
        }
        return Table(self.schema, pa.table(drawn), self.storage)

    def code_of(self, name: str, value: Any) -> int:
        """The code of one value of a column, for conditions; SchemaError if it can have none."""
        return self.held(name, value)[0]

    def held(self, name: str, value: Any) -> tuple[int, Any]:
        """The code of one value of a column, and the value as the column holds it.

        None and NaN are missing entries.
        """
        if name not in self.columns:
            raise SchemaError(f"column {name!r}: no column of that name is modelled")
        code, column = self.columns[name], self.schema.columns[name]
        labels = code.cells.labels if isinstance(code.cells, Labels) else ()
        found = None if _is_missing(value) else _read(name, value, column)
        if found is None or ("" not in labels and not _label(found).strip()):
            if not code.missing:
                raise SchemaError(f"column {name!r}: the schema does not allow it to be missing")
            return code.n_codes - 1, None
        if labels and _label(found) not in labels:
            raise SchemaError(
                f"column {name!r}: the value asked for is not one that is drawn; these are: "
                + _first(labels)
            )
        alone = Schema(dataset=self.schema.dataset, columns={name: column})
        table = Table.from_arrow(pa.table({name: pa.array([found])}), alone)
        nearest = code.cells.nearest(table, name) if isinstance(code.cells, Intervals) else None
        if nearest is not None:
            raise SchemaError(
                f"column {name!r}: the value asked for is never drawn; the nearest is {nearest}"
            )
        return int(code.encode(table, name)[0]), found

    def to_dict(self) -> dict[str, Any]:
        """The codebook as plain values, without the schema."""
        return {
            "columns": {name: code.to_dict() for name, code in self.columns.items()},
            "shares": {name: np.round(share, 9).tolist() for name, share in self.shares.items()},
            "n_units": self.n_units,
            "storage": {name: str(kind) for name, kind in self.storage.items()},
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], schema: Schema) -> Codebook:
        """The codebook that `to_dict` gave; ValueError if it is not one of that schema."""
        if tuple(document["columns"]) != schema.modelled:
            raise ValueError("the codebook's columns are not those of the schema")
        return cls(
            schema,
            {name: ColumnCode.from_dict(raw) for name, raw in document["columns"].items()},
            {name: np.asarray(share, float) for name, share in document["shares"].items()},
            float(document["n_units"]),
            {name: pa.type_for_alias(_alias(kind)) for name, kind in document["storage"].items()},
        )


def _is_missing(value: Any) -> bool:
    import pandas as pd

    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def _first(labels: Sequence[str]) -> str:
    """The labels, or the first of many."""
    many = len(labels) - _MANY_LABELS
    return ", ".join(labels[:_MANY_LABELS]) + (f" and {many} more" if many > 0 else "")


def _read(name: str, value: Any, column: Column) -> Any:
    """A value, not missing, as the column holds it."""
    plain = value.item() if isinstance(value, np.generic) else value
    with suppress(pa.ArrowException, OverflowError, TypeError, UnicodeError):
        return typed_column(name, pa.chunked_array([pa.array([plain])]), column)[0].as_py()
    raise SchemaError(f"column {name!r}: the value asked for cannot be read as {column.kind}")


def _label(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _alias(kind: str) -> str:
    """The name by which Arrow finds the type that it prints."""
    return {"date32[day]": "date32", "date64[ms]": "date64"}.get(kind, kind)
