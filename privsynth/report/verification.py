"""What a report tells of the audit of the build that made the table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from privsynth.errors import DataError, ReleaseRefused, UsageError

_Form = Literal["privsynth/certificate/1"]
CERTIFICATE: _Form = "privsynth/certificate/1"

_Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    """A part of a certificate's file: it is handed on as it is, so nothing else may stand in it."""

    model_config = ConfigDict(extra="forbid", strict=True)


class _Finding(_Part):
    check: str
    passed: bool
    figure: str
    seconds: _Amount
    stopped: bool


class _Kill(_Part):
    mutant: str
    title: str
    killed_by: tuple[str, ...]


class _Canaries(_Part):
    charged: _Amount
    lower: _Amount
    hits: _Count
    n_guesses: _Count
    n_canaries: _Count


class _Rate(_Part):
    hits: _Count
    total: _Count


class _Worlds(_Part):
    claimed: _Amount
    lower: _Amount
    gdp_lower: _Amount
    hits: _Rate
    alarms: _Rate


class _Certificate(_Part):
    format: _Form
    version: str
    code: str
    packages: dict[str, str]
    passed: bool
    faults: tuple[str, ...]
    preset: str
    created: str
    findings: tuple[_Finding, ...]
    kills: tuple[_Kill, ...]
    canaries: _Canaries
    worlds: _Worlds | None
    not_planted: tuple[str, ...]


@dataclass(frozen=True)
class Verification:
    """A certificate of `privsynth audit` in short, and the SHA-256 of the file it stands in.

    `refuted` and `charged` are the epsilons that canaries refute and were charged; those of the
    two worlds are None where these were not fitted. `faults` is what speaks against the build, by
    the audit's own word and by the figures in it.
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
    faults: tuple[str, ...] = ()

    @classmethod
    def parse(cls, content: bytes) -> Verification:
        """The certificate in a file; DataError for a file that holds none, or more than that."""
        try:
            found = _Certificate.model_validate_json(content)
        except ValidationError as error:
            place = ".".join(map(str, error.errors()[0]["loc"])) or "the file"
            raise DataError(
                f"the certificate cannot be read, {place} is wrong; give certificate.json as "
                "`privsynth audit` wrote it"
            ) from None
        worlds, is_empty = found.worlds, not (found.findings and found.kills)
        said = found.faults or (() if found.passed else ("the audit did not pass",))
        return cls(
            sha256=hashlib.sha256(content).hexdigest(),
            preset=found.preset,
            created=found.created,
            version=found.version,
            code=found.code,
            checks=tuple((each.check, each.passed, each.figure) for each in found.findings),
            defects=tuple((each.title, each.killed_by) for each in found.kills),
            refuted=found.canaries.lower,
            charged=found.canaries.charged,
            worlds_refuted=worlds.lower if worlds else None,
            worlds_claimed=worlds.claimed if worlds else None,
            faults=(
                *said,
                *(each for each in faults_of(found) if each not in said),
                *(("it holds no checks or no defects",) if is_empty else ()),
            ),
        )

    def require(self, preset: str, code: str) -> None:
        """UsageError where it is of another build or preset, ReleaseRefused where that failed."""
        again = (
            f"`privsynth audit --model {preset}` with the same build makes one, if it is private"
        )
        if not code or self.code != code:
            raise UsageError(f"the certificate is of another build than the fit; {again}")
        if self.preset != preset:
            raise UsageError(f"the certificate is of {self.preset}, the model is {preset}; {again}")
        if self.faults:
            told = "; ".join(self.faults)
            raise ReleaseRefused(f"the certificate speaks against this build: {told}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; a report tells of no build that anything was said against."""
        told: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        del told["faults"]
        return told


def faults_of(found: Any) -> tuple[str, ...]:
    """What the findings, kills, canaries and worlds of an audit hold against a build, in words."""
    worlds = found.worlds
    return (
        *(
            f"check failed: {each.check} ({each.figure})"
            for each in found.findings
            if not each.passed
        ),
        *(
            f"a build broken on purpose was not noticed: {each.title}"
            for each in found.kills
            if not each.killed_by
        ),
        *(
            ()
            if found.canaries.lower <= found.canaries.charged
            else ("the canaries refute the charged epsilon",)
        ),
        *(
            ("two worlds refute the claimed epsilon",)
            if worlds and worlds.lower > worlds.claimed
            else ()
        ),
    )


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
