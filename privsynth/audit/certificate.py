"""The certificate of a build: what was checked, what it found, and which breaks were noticed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from privsynth.audit.base import Finding
from privsynth.audit.canaries import CanaryAudit, canary_audit
from privsynth.audit.matrix import Kill, applies, checks_of, conformance, kill_matrix
from privsynth.audit.mutants import MUTANTS
from privsynth.audit.odd import scores_of_world
from privsynth.audit.worlds import WorldAudit, judge_each, run_worlds
from privsynth.privacy.budget import PrivacyBudget
from privsynth.progress import SILENT, Progress
from privsynth.report.verification import CERTIFICATE, faults_of
from privsynth.synth.build import code_hash, packages

WORLD_BUDGET = PrivacyBudget(epsilon=1.0, delta=1e-5)


@dataclass(frozen=True)
class Certificate:
    """What an audit of one preset on this build found.

    >>> noise = Finding("noise of steps", True, "p = 0.4")
    >>> half = Kill("half the noise", "steps with half of their noise", ("noise of steps",))
    >>> canaries = CanaryAudit(charged=1.0, lower=0.2, hits=60, n_guesses=100, n_canaries=1000)
    >>> Certificate("gan", "2026-01-02T03:04:05+00:00", (noise,), (half,), canaries).passed
    True
    """

    preset: str
    created: str
    findings: tuple[Finding, ...]
    kills: tuple[Kill, ...]
    canaries: CanaryAudit
    worlds: WorldAudit | None = None
    not_planted: tuple[str, ...] = ()

    @property
    def faults(self) -> tuple[str, ...]:
        """Each thing that speaks against the build, in words; none where it passed."""
        return faults_of(self)

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against the build."""
        return not self.faults

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "format": CERTIFICATE,
            "version": version("privsynth"),
            "code": code_hash(),
            "packages": packages(),
            "passed": self.passed,
            "faults": list(self.faults),
            **asdict(self),
        }

    def write(self, folder: Path) -> tuple[Path, Path]:
        """certificate.json and certificate.html in a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        as_json, as_page = folder / "certificate.json", folder / "certificate.html"
        as_json.write_text(json.dumps(self.to_dict(), indent=1), encoding="utf-8")
        as_page.write_text(self.page(), encoding="utf-8")
        return as_json, as_page

    def page(self) -> str:
        """One self-contained page, without script or network."""
        import jinja2

        here = files("privsynth.audit")
        source = here.joinpath("certificate.html.j2").read_text(encoding="utf-8")
        made = jinja2.Environment(
            autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined
        )
        titles = {check.name: check.title for check in checks_of(self.preset)}
        return made.from_string(source).render(
            certificate=self, document=self.to_dict(), titles=titles
        )


def certify(
    preset: str, *, n_worlds: int = 0, kept: Path | None = None, progress: Progress = SILENT
) -> Certificate:
    """Check, plant canaries, break on purpose, and with `n_worlds` fit that many times a world."""
    findings = conformance(preset, progress)
    canaries = canary_audit(np.random.default_rng())
    kills = kill_matrix(preset, progress)
    worlds = _worlds(preset, n_worlds, kept, progress) if n_worlds else None
    now = datetime.now(UTC).isoformat(timespec="seconds")
    left_out = tuple(each.title for each in MUTANTS if not applies(each, preset))
    return Certificate(preset, now, findings, kills, canaries, worlds, left_out)


def _worlds(preset: str, n_runs: int, kept: Path | None, progress: Progress) -> WorldAudit:
    scores = partial(scores_of_world, preset, WORLD_BUDGET)
    inside, outside = run_worlds(scores, n_runs, kept, code_hash(), progress)
    return judge_each(inside, outside, WORLD_BUDGET.epsilon, WORLD_BUDGET.delta)
