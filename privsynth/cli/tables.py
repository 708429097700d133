"""Tables that a command writes where it is told to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from privsynth.errors import UsageError

if TYPE_CHECKING:
    from privsynth.table import Table


def require_suffix(path: Path) -> None:
    """Refuse a name that says neither .parquet nor .csv.

    >>> require_suffix(Path("few.parquet"))
    """
    if path.suffix.lower() not in (".parquet", ".csv"):
        raise UsageError(f"{path.name}: name a .parquet or a .csv file")


def write_as(table: Table, path: Path) -> None:
    """Write a synthetic table in the format that the name of the file says."""
    from privsynth.io import write_csv, write_parquet

    write = write_csv if path.suffix.lower() == ".csv" else write_parquet
    write(table, path)
