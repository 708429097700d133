"""The manifest of a release: every file with its hash, and what is claimed about the table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from privsynth.errors import DataError
from privsynth.report.facts import SUPPORTED
from privsynth.report.report import RiskReport

SCHEMA_ID = "privsynth/manifest/1"
NAME = "manifest.json"


@dataclass(frozen=True)
class FileEntry:
    """One file of a release: its place, its size and its SHA-256."""

    path: str
    n_bytes: int
    sha256: str

    @classmethod
    def of(cls, folder: Path, path: Path) -> FileEntry:
        """The entry of a file that lies in the folder of a release."""
        content = path.read_bytes()
        place = path.relative_to(folder).as_posix()
        return cls(place, len(content), hashlib.sha256(content).hexdigest())

    def check(self, content: bytes) -> None:
        """DataError unless the content is that of the entry."""
        if len(content) != self.n_bytes or hashlib.sha256(content).hexdigest() != self.sha256:
            raise DataError(
                f"{self.path}: not the file that was released (its SHA-256 differs from "
                "manifest.json); get the release again from the controller"
            )


@dataclass(frozen=True)
class Manifest:
    """What a release holds, and what is claimed of it.

    >>> manifest = Manifest("r1", "2026-01-01", "clinic", "public", 2, "data/clinic.parquet",
    ...     {"is_private": False, "holds": False}, "No claim.", (), {}, ())
    >>> Manifest.from_json(manifest.to_json()) == manifest
    True
    """

    run_id: str
    created: str
    dataset: str
    edition: str
    n_rows: int
    data: str
    privacy: Mapping[str, Any]
    statement: str
    conditions: tuple[str, ...]
    versions: Mapping[str, str]
    files: tuple[FileEntry, ...]

    @classmethod
    def of(cls, report: RiskReport, n_rows: int, data: str, files: Iterable[FileEntry]) -> Manifest:
        """The manifest of the files of a release with that report."""
        return cls(
            run_id=report.provenance["run_id"],
            created=report.provenance["created"],
            dataset=report.subject["dataset"],
            edition=report.edition,
            n_rows=n_rows,
            data=data,
            privacy=_privacy(report),
            statement=f"{report.claims[0].statement} {report.claims[0].finding}".strip(),
            conditions=tuple(report.decision["conditions"]),
            versions=dict(report.provenance["versions"]),
            files=tuple(files),
        )

    def to_json(self) -> str:
        """The manifest as JSON."""
        document = {"schema": SCHEMA_ID, "synthetic": True, **asdict(self)}
        return json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Manifest:
        """The manifest that `to_json` wrote; DataError if it is not one."""
        try:
            document = json.loads(text)
            if document.pop("schema") != SCHEMA_ID or document.pop("synthetic") is not True:
                raise DataError(f"{NAME} is not of the form {SCHEMA_ID}")
            files = tuple(FileEntry(**entry) for entry in document.pop("files"))
            conditions = tuple(document.pop("conditions"))
            return cls(**document, conditions=conditions, files=files)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise DataError(f"{NAME} cannot be read: it is damaged, or no manifest") from None

    def entry(self, path: str) -> FileEntry:
        """The entry of a file; DataError if the manifest has none."""
        for entry in self.files:
            if entry.path == path:
                return entry
        raise DataError(f"{path} is not listed in {NAME}")

    def require_inside(self) -> None:
        """DataError if an entry points out of the folder of the release."""
        for entry in self.files:
            path = PurePosixPath(entry.path)
            if path.is_absolute() or ".." in path.parts or "\\" in entry.path:
                raise DataError(f"{NAME} names a file outside the release")


def _privacy(report: RiskReport) -> dict[str, Any]:
    """The guarantee in short; nothing is proved of a table that came without one."""
    if report.dp is None:
        return {"is_private": False, "holds": False}
    keys = ("is_private", "unit", "relation", "epsilon", "epsilon_replace_one", "delta", "void")
    holds = report.claims[0].status == SUPPORTED
    return {"holds": holds, **{key: report.dp[key] for key in keys}}
