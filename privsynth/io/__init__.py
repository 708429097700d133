"""Sources and sinks: CSV, Parquet, folders of Parquet and frames in; Parquet and CSV out."""

from privsynth.io.read import read_raw, read_table, require_rows
from privsynth.io.write import write_csv, write_parquet

__all__ = ["read_raw", "read_table", "require_rows", "write_csv", "write_parquet"]
