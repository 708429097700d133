"""CSV in: checked before it is parsed, read by DuckDB as text, so that ZIP 02139 stays so."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NoReturn, cast

import pyarrow as pa

from privsynth.errors import DataError

DELIMITERS = (",", ";", "\t", "|")
DELIMITER_NAMES = "comma, semicolon, tab or bar (|)"

_SUFFIXES = (".csv", ".tsv", ".txt")
_CHUNK = 1 << 20
_NO_EXTENSIONS = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
_READ = """
    SELECT * FROM read_csv(
        $path, auto_detect=false, header=true, columns=$columns, delim=$delimiter,
        quote='"', escape='"', nullstr='', strict_mode=true)
"""
_DAMAGED = (gzip.BadGzipFile, EOFError, zlib.error)


def is_text_table(path: Path) -> bool:
    """Whether a file's name says that it is delimited text, plain or gzipped."""
    name = path.name.lower().removesuffix(".gz")
    return name.endswith(_SUFFIXES)


def read_csv(path: Path) -> pa.Table:
    """Every column of a delimited file as text; an empty field is a missing entry."""
    try:
        _check_text(path)
        delimiter = _delimiter(path)
        names = _names(path, delimiter)
        columns = _parse(path, delimiter, len(names))
    except _DAMAGED:
        raise DataError(f"{path.name}: it is damaged, or not gzipped") from None
    except OSError:
        raise DataError(f"{path} cannot be read") from None
    return columns.rename_columns(names)


def _bytes(path: Path) -> BinaryIO:
    if path.suffix.lower() == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    return path.open("rb")


def _records(path: Path, delimiter: str, *, strict: bool) -> Iterator[list[str]]:
    """The records of the file by Python's own reader, header first; blank lines are left out."""
    with io.TextIOWrapper(_bytes(path), encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text, delimiter=delimiter, strict=strict)
        yield from (record for record in reader if record)


def _check_text(path: Path) -> None:
    """Refuse what is not UTF-8 text, before any parser sees it."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with _bytes(path) as file:
        chunk = file.read(_CHUNK)
        if not chunk.strip():
            raise DataError(f"{path.name}: it is empty")
        if chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise DataError(f"{path.name}: it is UTF-16 text; save it as UTF-8")
        while chunk:
            _check_chunk(path, chunk, decoder)
            chunk = file.read(_CHUNK)
    _check_chunk(path, b"", decoder)


def _check_chunk(path: Path, chunk: bytes, decoder: codecs.IncrementalDecoder) -> None:
    if b"\0" in chunk:
        raise DataError(f"{path.name}: it is binary, not text; export it as CSV in UTF-8")
    try:
        decoder.decode(chunk, final=not chunk)
    except UnicodeDecodeError:
        raise DataError(f"{path.name}: it is not UTF-8; save it as UTF-8") from None


def _delimiter(path: Path) -> str:
    """The delimiter by which the first records agree on the greatest number of fields."""
    return max(DELIMITERS, key=lambda delimiter: _fit(path, delimiter))


def _fit(path: Path, delimiter: str) -> tuple[bool, int]:
    try:
        head = list(islice(_records(path, delimiter, strict=False), 20))
    except csv.Error:
        return False, 0
    n_fields = len(head[0]) if head else 0
    return n_fields > 1 and all(len(record) == n_fields for record in head), n_fields


def _names(path: Path, delimiter: str) -> list[str]:
    """The column names; faults are told by position, since a first record may stand there."""
    try:
        names = [name.strip() for name in next(_records(path, delimiter, strict=True), [])]
    except csv.Error:
        raise DataError(f"{path.name}: its header has a quotation mark out of place") from None
    if not any(names):
        raise DataError(f"{path.name}: it has no header")
    for position, name in enumerate(names, start=1):
        if not name:
            raise DataError(f"{path.name}: column {position} has no name in the header")
        if (first := names.index(name) + 1) < position:
            raise DataError(
                f"{path.name}: columns {first} and {position} of the header have the same name"
            )
    return names


def _parse(path: Path, delimiter: str, n_columns: int) -> pa.Table:
    import duckdb

    values = {
        "path": re.sub(r"([*?\[])", r"[\1]", str(path)),  # a path, never a pattern of paths
        "delimiter": delimiter,
        # Names may differ by case alone, which DuckDB does not allow: number the columns.
        "columns": {f"c{number}": "VARCHAR" for number in range(n_columns)},
    }
    table: pa.Table | None = None
    with (
        duckdb.connect(":memory:", config=dict(_NO_EXTENSIONS)) as connection,
        suppress(duckdb.Error),  # it quotes the record, and must not even be a cause
    ):
        table = connection.sql(_READ, params=values).to_arrow_table()
    return _parse_slowly(path, delimiter, n_columns) if table is None else table


def _parse_slowly(path: Path, delimiter: str, n_columns: int) -> pa.Table:
    """What DuckDB refused, by Python's reader: either it finds the fault, or it has the records.

    Line ends of several kinds in one file are such a case: DuckDB refuses them.
    """
    columns: list[list[str | None]] = [[] for _ in range(n_columns)]
    n_ragged = first = 0
    for number, record in _numbered(path, _records(path, delimiter, strict=True)):
        if len(record) != n_columns:
            n_ragged, first = n_ragged + 1, first or number
            continue
        for column, value in zip(columns, record, strict=True):
            column.append(value or None)
    if n_ragged:
        _refuse_ragged(path, n_columns, n_ragged, first)
    names = [f"c{number}" for number in range(n_columns)]
    return pa.table([pa.array(column, pa.string()) for column in columns], names=names)


def _numbered(path: Path, records: Iterable[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """The records after the header with their numbers; a stray quotation mark is refused."""
    number = 0
    try:
        for number, record in enumerate(records):
            if number:
                yield number, record
    except csv.Error:
        raise DataError(
            f"{path.name}: from row {number + 1} on, a quotation mark is never closed, "
            "or stands inside a quoted field without being doubled"
        ) from None


def _refuse_ragged(path: Path, n_columns: int, n_ragged: int, first: int) -> NoReturn:
    rows = "1 row has" if n_ragged == 1 else f"{n_ragged} rows have"
    raise DataError(
        f"{path.name}: {rows} another number of fields than the header's {n_columns}; "
        f"the first is row {first}"
    )
