"""The SDV door: its metadata in and out, and its copula as a baseline without privacy.

SDV is under the Business Source License 1.1 (see NOTICE). Fitting, sampling, saving and verifying
a generator of this package never import it. Nothing that comes out of `copula_baseline` carries a
guarantee: it is for benchmarks, never for a release.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from privsynth.errors import SchemaError, UsageError
from privsynth.schema import (
    BooleanColumn,
    CategoricalColumn,
    Column,
    DateColumn,
    DatetimeColumn,
    IdColumn,
    OrdinalColumn,
    Schema,
    TextColumn,
)
from privsynth.table import Table

if TYPE_CHECKING:
    import pandas as pd

_TABLE = "records"
_DRAFTS: dict[str, dict[str, Any]] = {
    "numerical": {"kind": "numeric", "source": "private"},
    "categorical": {"kind": "categorical", "source": "private"},
    "ordinal": {"kind": "categorical", "source": "private"},
    "boolean": {"kind": "boolean"},
    "datetime": {"kind": "datetime", "source": "private"},
    "id": {"kind": "id"},
}


def to_metadata(schema: Schema) -> dict[str, Any]:
    """SDV's metadata (V2) of the columns that a generator learns: their types, no domain.

    >>> schema = Schema.parse({"dataset": {"id": "d"}, "columns": {"ill": {"kind": "boolean"}}})
    >>> to_metadata(schema)["tables"]["records"]["columns"]
    {'ill': {'sdtype': 'boolean'}}
    """
    columns = {name: _sdtype(schema.columns[name]) for name in schema.modelled}
    return {
        "tables": {_TABLE: {"columns": columns}},
        "relationships": [],
        "METADATA_SPEC_VERSION": "V2",
    }


def from_metadata(metadata: Mapping[str, Any], dataset_id: str) -> Schema:
    """A schema from SDV's metadata of one table, with every domain left to be learned privately.

    What SDV read from records, such as extremes and category lists, is not taken over. Columns of
    other kinds, such as e-mail and phone, become text that is dropped.

    >>> from_metadata({"tables": {"t": {"columns": {"ill": {"sdtype": "boolean"}}}}}, "d")
    Schema('d', 1 column, unit row)
    """
    tables = list(metadata.get("tables", {}).values())
    if len(tables) != 1:
        raise SchemaError(f"the metadata describe {len(tables)} tables; one is needed")
    dropped = {"kind": "text", "action": "drop"}
    columns = {
        name: _DRAFTS.get(column.get("sdtype", ""), dropped) | {"missing": True}
        for name, column in tables[0].get("columns", {}).items()
    }
    return Schema.parse({"dataset": {"id": dataset_id}, "columns": columns})


def copula_baseline(train: Table, n_rows: int) -> Table:
    """A table drawn from SDV's Gaussian copula of the records: a baseline WITHOUT privacy."""
    if n_rows < 1:
        raise UsageError("a sample needs at least 1 row")
    frame = _plain(train)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("sdv").setLevel(logging.ERROR)
        from sdv.metadata import Metadata
        from sdv.single_table import GaussianCopulaSynthesizer

        metadata = Metadata.load_from_dict(to_metadata(train.schema))
        copula = GaussianCopulaSynthesizer(metadata)
        copula.fit({_TABLE: frame})
        drawn = copula.sample(n_rows)
    return _as_table(drawn[_TABLE] if isinstance(drawn, dict) else drawn, train)


def _sdtype(column: Column) -> dict[str, Any]:
    match column:
        case BooleanColumn():
            return {"sdtype": "boolean"}
        case CategoricalColumn() | OrdinalColumn():
            return {"sdtype": "categorical"}
        case DateColumn() | DatetimeColumn():
            return {"sdtype": "datetime"}
        case IdColumn() | TextColumn():
            return {"sdtype": "id"}
        case _:
            return {"sdtype": "numerical"}


def _plain(table: Table) -> pd.DataFrame:
    """The modelled columns in the types that SDV takes: floats, and moments in nanoseconds."""
    frame = table.frame()[list(table.schema.modelled)]
    whole = frame.select_dtypes("Int64").columns
    moments = frame.select_dtypes("datetime").columns
    return frame.astype(dict.fromkeys(whole, "float64") | dict.fromkeys(moments, "datetime64[ns]"))


def _as_table(drawn: pd.DataFrame, train: Table) -> Table:
    """SDV's draw as a table of the modelled columns, in canonical types."""
    schema = train.schema
    kept = {name: schema.columns[name] for name in schema.modelled}
    narrow = Schema(dataset=schema.dataset, columns=kept)
    raw = pa.Table.from_pandas(drawn[list(kept)], preserve_index=False)
    table = Table.from_arrow(raw, narrow)
    return Table(narrow, table.data, {name: train.storage[name] for name in kept})
