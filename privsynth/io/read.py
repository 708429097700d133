"""Read records: files and frames in, a Table out. No value of a record is ever in a message."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from privsynth.errors import DataError
from privsynth.io.csvfile import DELIMITER_NAMES, is_text_table, read_csv
from privsynth.schema import Schema
from privsynth.table import Table

if TYPE_CHECKING:
    import pandas as pd

MIN_UNITS = 10
"""The fewest rows, or persons, from which anything can be learned."""

_PARQUET = (".parquet", ".pq")
_INDEX = "__index_level_"


def read_table(
    source: str | Path | pd.DataFrame | pa.Table, schema: Schema, *, leave_out_empty: bool = False
) -> Table:
    """The records of a CSV or Parquet file, a folder of Parquet, or a frame, under their schema.

    DataError says what is wrong with the file, SchemaError which column breaks which rule.
    `leave_out_empty` is for tables that are assessed: see `Table.from_arrow`.

    >>> import pandas as pd
    >>> schema = Schema.parse({"dataset": {"id": "d"},
    ...     "columns": {"age": {"kind": "integer", "lower": 0, "upper": 120}}})
    >>> read_table(pd.DataFrame({"age": [40, 52]}), schema)
    Table(2 rows × 1 column)
    """
    if isinstance(source, pa.Table):
        return Table.from_arrow(source, schema, leave_out_empty=leave_out_empty)
    if not isinstance(source, str | Path):
        return Table.from_pandas(source, schema, leave_out_empty=leave_out_empty)
    raw = read_raw(source)
    _check_delimiter(raw, Path(source), schema)
    return Table.from_arrow(raw, schema, leave_out_empty=leave_out_empty)


def read_raw(path: str | Path) -> pa.Table:
    """The columns of a file as they stand: CSV as text, Parquet in its own types."""
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path} does not exist")
    if path.is_dir():
        raw = _read_folder(path)
    elif path.suffix.lower() in _PARQUET:
        raw = _read_parquet(path)
    elif is_text_table(path):
        raw = read_csv(path)
    else:
        raise DataError(
            f"{path.name}: this kind of file is not read; give .csv, .tsv, .txt or .parquet, "
            "or a folder of .parquet"
        )
    if raw.num_rows == 0:
        raise DataError(f"{path.name}: it has column names and no rows")
    return raw


def require_rows(table: Table) -> None:
    """Refuse a table from which nothing can be learned: fewer than 10 rows, or persons.

    The message says how many there are where that is public.
    """
    if (n := table.n_units) < MIN_UNITS:
        of = "rows" if table.schema.privacy.unit == "row" else "persons"
        if table.n_public_units is None:
            raise DataError(f"the table holds too few {of}; at least {MIN_UNITS} are needed")
        of = of if n != 1 else of[:-1]
        raise DataError(f"the table holds {n} {of}; at least {MIN_UNITS} are needed")


def _check_delimiter(raw: pa.Table, path: Path, schema: Schema) -> None:
    if raw.num_columns == 1 and len(schema.columns) > 1 and is_text_table(path):
        raise DataError(
            f"{path.name}: it has a single column where the schema has {len(schema.columns)}; "
            f"the delimiter must be a {DELIMITER_NAMES}"
        )


def _read_folder(folder: Path) -> pa.Table:
    """The Parquet files of a folder, one after another in the order of their names."""
    files = sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() in _PARQUET and file.name[0] not in "._"
    )
    if not files:
        raise DataError(f"{folder} is a folder without any .parquet file")
    parts = [_read_parquet(file) for file in files]
    for file, part in zip(files, parts, strict=True):
        if not part.schema.equals(parts[0].schema):
            raise DataError(f"{file.name}: its columns or types are not those of {files[0].name}")
    return pa.concat_tables(parts)


def _read_parquet(path: Path) -> pa.Table:
    from pyarrow import parquet

    try:
        with path.open("rb") as file:
            raw = parquet.read_table(file)
    except (pa.ArrowException, ValueError):
        raise DataError(f"{path.name}: it is damaged, or no Parquet file") from None
    except OSError:
        raise DataError(f"{path} cannot be read") from None
    kept = [i for i, name in enumerate(raw.column_names) if not name.startswith(_INDEX)]
    return raw.select(kept).replace_schema_metadata(None)
