"""Write what may be handed over, and the controller's report: whole, or not at all."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from privsynth.errors import OutputError, ReleaseRefused
from privsynth.io.write import write_csv, write_parquet
from privsynth.release.card import card
from privsynth.release.manifest import NAME, FileEntry, Manifest
from privsynth.report.render import render_html
from privsynth.report.report import RiskReport
from privsynth.table import Table


def write_release(
    folder: str | Path,
    synthetic: Table,
    report: RiskReport,
    *,
    csv: bool = False,
    certificate: bytes | None = None,
) -> None:
    """Write the release folder: table, data card, public edition of the report, manifest.

    Either edition of the report may be given; only the public one is written. The certificate of
    the build is written as it is given. ReleaseRefused where an attack got further than the claim
    allows, OutputError where the folder exists or cannot be written; then nothing is left behind.
    """
    folder, public = Path(folder), report.public()
    if report.is_contradicted:
        raise ReleaseRefused(
            "an attack got further than the claim of differential privacy allows, so no release "
            "was written; the controller's report says which and how far"
        )
    with _built_beside(folder) as place:
        data = f"data/{report.subject['dataset']}.parquet"
        (place / "data").mkdir()
        write_parquet(synthetic, place / data, _metadata(synthetic, public), _columns(synthetic))
        if csv:
            write_csv(synthetic, (place / data).with_suffix(".csv"))
        _write(place / "README.md", card(synthetic.schema, public, synthetic.n_rows, data))
        write_report(place / "report", public)
        if certificate is not None:
            (place / "certificate.json").write_bytes(certificate)
        files = sorted(path for path in place.rglob("*") if path.is_file())
        entries = [FileEntry.of(place, path) for path in files]
        _write(place / NAME, Manifest.of(public, synthetic.n_rows, data, entries).to_json())


def write_report(folder: str | Path, report: RiskReport) -> None:
    """Write report.json, which is the truth, and report.html, drawn from it, as they are given.

    OutputError where the folder cannot be written.
    """
    folder = Path(folder)
    with _said(folder):
        folder.mkdir(exist_ok=True)
        _write(folder / "report.json", report.to_json())
        _write(folder / "report.html", render_html(report))


@contextmanager
def _built_beside(folder: Path) -> Iterator[Path]:
    """A folder under construction, on the same disk, that takes its name when it is whole."""
    if folder.exists():
        raise OutputError(f"{folder} exists already; choose another folder")
    place = folder.with_name(f".{folder.name}.partial-{secrets.token_hex(4)}")
    with _said(folder):
        try:
            place.mkdir()
            yield place
            for path in [*place.rglob("*"), place]:
                _flush(path)
            place.rename(folder)
            _flush(folder.parent)
        finally:
            shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _said(folder: Path) -> Iterator[None]:
    """A failure of the disk as one line."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or "the disk may be full"
        raise OutputError(f"{folder} cannot be written: {reason}") from None


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _flush(path: Path) -> None:
    """Have the disk keep a file, or the names in a folder, before the release takes its name."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _metadata(synthetic: Table, report: RiskReport) -> dict[str, str]:
    """What the Parquet file says of itself, and the types in which pandas is to read it."""
    import pyarrow as pa

    types = pa.Schema.from_pandas(synthetic.take(np.arange(0)).to_pandas(), preserve_index=False)
    about = {
        "run_id": report.provenance["run_id"],
        "dataset": report.subject["dataset"],
        "statement": report.claims[0].statement,
    }
    return {"privsynth": json.dumps(about), "pandas": (types.metadata or {})[b"pandas"].decode()}


def _columns(synthetic: Table) -> dict[str, dict[str, str]]:
    """What each column of the Parquet file says of itself."""
    return {
        name: {"kind": column.kind, "description": column.description}
        for name, column in synthetic.schema.columns.items()
    }
