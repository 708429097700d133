"""Write tables: Parquet with its origin on every column, and CSV; whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import IO

import pyarrow as pa

from privsynth.errors import OutputError
from privsynth.table import Table

ORIGIN: Mapping[str, str] = MappingProxyType({"synthetic": "true", "generator": "privsynth"})
"""What every table and every column that is written says about itself."""

_NOTHING: Mapping[str, str] = MappingProxyType({})
_NO_COLUMNS: Mapping[str, Mapping[str, str]] = MappingProxyType({})


def write_parquet(
    table: Table,
    path: str | Path,
    metadata: Mapping[str, str] = _NOTHING,
    column_metadata: Mapping[str, Mapping[str, str]] = _NO_COLUMNS,
) -> None:
    """Write a synthetic table as Parquet, in the types of `Table.storage`.

    The file, and each of its columns, carries `ORIGIN` besides the metadata given here.
    OutputError where the file cannot be written; then nothing is left behind.

    >>> import tempfile, pandas as pd, pyarrow.parquet as pq
    >>> from privsynth.schema import Schema
    >>> schema = Schema.parse({"dataset": {"id": "d"}, "columns": {"well": {"kind": "boolean"}}})
    >>> table = Table.from_pandas(pd.DataFrame({"well": [True, False]}), schema)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_parquet(table, folder + "/well.parquet", {"epsilon": "1"})
    ...     pq.read_schema(folder + "/well.parquet").field("well").metadata[b"synthetic"]
    b'true'
    """
    from pyarrow import parquet

    plain = table.to_arrow()
    fields = [
        field.with_metadata({**column_metadata.get(field.name, {}), **ORIGIN})
        for field in plain.schema
    ]
    labelled = plain.cast(pa.schema(fields)).replace_schema_metadata({**metadata, **ORIGIN})
    with _whole_or_nothing(Path(path)) as file:
        parquet.write_table(labelled, file, compression="zstd")


def write_csv(table: Table, path: str | Path) -> None:
    """Write a table as CSV in UTF-8; a missing entry is an empty field.

    OutputError where the file cannot be written; then nothing is left behind.
    """
    from pyarrow import csv

    with _whole_or_nothing(Path(path)) as file:
        csv.write_csv(table.to_arrow(), file)


@contextmanager
def _whole_or_nothing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to that takes its name only when all of it is written."""
    part = path.with_name(f".{path.name}.part")
    try:
        try:
            with part.open("wb") as file:
                yield file
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or "the disk may be full"
        raise OutputError(f"{path} cannot be written: {reason}") from None
