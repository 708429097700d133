"""What a report tells of the audit of the build that made the table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from privsynth.errors import DataError, ReleaseRefused, UsageError

CERTIFICATE = "privsynth/certificate/1"


@dataclass(frozen=True)
class Verification:
    """A certificate of `privsynth audit` in short, and the SHA-256 of the file it stands in.

    `refuted` and `charged` are the epsilons that canaries refute and were charged; those of the
    two worlds are None where these were not fitted.
    """

    sha256: str
    preset: str
    created: str
    version: str
    code: str
    checks: tuple[tuple[str, bool, str], ...]
    defects: tuple[tuple[str, tuple[str, ...]], ...]
    refuted: float
    charged: float
    worlds_refuted: float | None = None
    worlds_claimed: float | None = None

    @classmethod
    def parse(cls, content: bytes) -> Verification:
        """The certificate in a file; DataError for a file that holds none."""
        try:
            document = json.loads(content)
            if document["format"] != CERTIFICATE:
                raise DataError(f"the certificate is not of the form {CERTIFICATE}")
            canaries, worlds = document["canaries"], document["worlds"]
            return cls(
                sha256=hashlib.sha256(content).hexdigest(),
                **{key: str(document[key]) for key in ("preset", "created", "version", "code")},
                checks=tuple(
                    (str(f["check"]), f["passed"] is True, str(f["figure"]))
                    for f in document["findings"]
                ),
                defects=tuple((str(k["title"]), tuple(k["killed_by"])) for k in document["kills"]),
                refuted=float(canaries["lower"]),
                charged=float(canaries["charged"]),
                worlds_refuted=float(worlds["lower"]) if worlds else None,
                worlds_claimed=float(worlds["claimed"]) if worlds else None,
            )
        except (ValueError, KeyError, TypeError):
            raise DataError(
                "the certificate cannot be read; give certificate.json as it was written"
            ) from None

    @property
    def faults(self) -> tuple[str, ...]:
        """What speaks against the build, from the figures themselves."""
        worlds, claimed = self.worlds_refuted, self.worlds_claimed
        return (
            *(f"check failed: {name}" for name, passed, _ in self.checks if not passed),
            *(f"defect not noticed: {title}" for title, by in self.defects if not by),
            *(() if self.checks and self.defects else ("it holds no checks or no defects",)),
            *(() if self.refuted <= self.charged else ("canaries refute the charged epsilon",)),
            *(() if worlds is None or claimed is None or worlds <= claimed else (_WORLDS,)),
        )

    def require(self, preset: str, code: str) -> None:
        """UsageError where it is of another build or preset, ReleaseRefused where that failed."""
        again = (
            f"`privsynth audit --model {preset}` with the same build makes one, if it is private"
        )
        if self.code != code:
            raise UsageError(f"the certificate is of another build than the fit; {again}")
        if self.preset != preset:
            raise UsageError(f"the certificate is of {self.preset}, the model is {preset}; {again}")
        if faults := self.faults:
            raise ReleaseRefused(f"the certificate speaks against this build: {'; '.join(faults)}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return json.loads(json.dumps(asdict(self)))  # type: ignore[no-any-return]


_WORLDS = "two worlds refute the claimed epsilon"


def load_certificate(path: Path) -> bytes:
    """The content of a certificate's file; UsageError where there is none."""
    try:
        content = path.read_bytes()
    except OSError:
        raise UsageError(
            f"--certificate {path}: no such file; `privsynth audit` makes it"
        ) from None
    Verification.parse(content)
    return content


def check_rows(verification: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Each check, whether it holds, and what it saw."""
    return [
        (name, "holds" if passed else "FAILED", figure)
        for name, passed, figure in verification["checks"]
    ]


def defect_rows(verification: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each defect that was planted, and the checks that noticed it."""
    return [(title, ", ".join(by) or "NOT NOTICED") for title, by in verification["defects"]]
