"""Load a release: every hash is checked before a row is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from privsynth.errors import DataError
from privsynth.release.manifest import NAME, FileEntry, Manifest

if TYPE_CHECKING:
    import pandas as pd


def load_release(path: str | Path) -> pd.DataFrame:
    """The synthetic table of a release folder, in the types in which it was written.

    `attrs["privsynth"]` holds the privacy statement and the conditions of release. A run folder
    may be given too. DataError where a file is missing, or is not the one that was released.

    >>> import tempfile, pandas as pd
    >>> from privsynth.release.release import write_release
    >>> from privsynth.report.assessment import Assessment
    >>> from privsynth.report.report import Provenance, build_report
    >>> from privsynth.schema import Schema
    >>> from privsynth.table import Table
    >>> schema = Schema.parse({"dataset": {"id": "d"}, "columns": {"ill": {"kind": "boolean"}}})
    >>> table = Table.from_pandas(pd.DataFrame({"ill": [True, False]}), schema)
    >>> nothing = Assessment(attacks=(), scores=(), n_train=90, n_control=10, n_synthetic=2)
    >>> report = build_report(schema, None, nothing, Provenance("run 1", "2026-01-01"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_release(folder + "/release", table, report)
    ...     frame = load_release(folder + "/release")
    >>> len(frame), frame.attrs["privsynth"]["synthetic"]
    (2, True)
    """
    folder = _folder(Path(path))
    manifest = Manifest.from_json(_bytes(folder, NAME))
    manifest.require_inside()
    table = manifest.entry(manifest.data)
    for entry in manifest.files:
        if entry != table:
            entry.check(_bytes(folder, entry.path))
    return _frame(folder, table, _about(manifest))


def _folder(path: Path) -> Path:
    for folder in (path, path / "release"):
        if (folder / NAME).is_file():
            return folder
    raise DataError(f"{path} holds no release: {NAME} is not there")


def _bytes(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError:
        raise DataError(
            f"{name} is missing or cannot be read; get the release again from the controller"
        ) from None


def _frame(folder: Path, entry: FileEntry, about: dict[str, Any]) -> pd.DataFrame:
    """The frame of the very bytes that were checked."""
    import pyarrow as pa
    from pyarrow import parquet

    content = _bytes(folder, entry.path)
    entry.check(content)
    try:
        frame: pd.DataFrame = parquet.read_table(pa.BufferReader(content)).to_pandas()
    except pa.ArrowException:
        raise DataError(f"{entry.path} is no Parquet file") from None
    frame.attrs["privsynth"] = about
    return frame


def _about(manifest: Manifest) -> dict[str, Any]:
    return {
        "synthetic": True,
        "dataset": manifest.dataset,
        "run_id": manifest.run_id,
        "statement": manifest.statement,
        "privacy": dict(manifest.privacy),
        "conditions": list(manifest.conditions),
    }
