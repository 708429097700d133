"""The kill matrix: every mutant against every check."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from privsynth.audit import counts, fits, steps
from privsynth.audit.base import Check, Finding
from privsynth.audit.mutants import MUTANTS, Mutant
from privsynth.progress import SILENT, Progress
from privsynth.synth.preset import load_preset


@dataclass(frozen=True)
class Kill:
    """A mutant with the checks that turned red; a survivor has none.

    >>> Kill("half the noise", "steps with half of their noise", ("noise of steps",)).survived
    False
    """

    mutant: str
    title: str
    killed_by: tuple[str, ...]

    @property
    def survived(self) -> bool:
        """Whether no check noticed."""
        return not self.killed_by


def applies(mutant: Mutant, preset: str) -> bool:
    """Whether the defect can be planted in that preset's fit."""
    return not mutant.generators or load_preset(preset).name in mutant.generators


def checks_of(preset: str) -> tuple[Check, ...]:
    """All checks of a build as far as that preset uses it."""
    return (*steps.CHECKS, *counts.CHECKS, *fits.checks(preset))


def conformance(preset: str, progress: Progress = SILENT) -> tuple[Finding, ...]:
    """What each check finds in the build as it is."""
    checks = checks_of(preset)
    progress.stage(f"checking {preset}", len(checks))
    return tuple(_told(check, progress) for check in checks)


def kill_matrix(preset: str, progress: Progress = SILENT) -> tuple[Kill, ...]:
    """Which checks notice each mutant that can break the preset."""
    mutants = [each for each in MUTANTS if applies(each, preset)]
    progress.stage(f"breaking {preset} on purpose", len(mutants))
    return tuple(_kills(mutants, checks_of(preset), progress))


def _kills(
    mutants: Sequence[Mutant], checks: Sequence[Check], progress: Progress
) -> Iterator[Kill]:
    for mutant in mutants:
        with mutant.patch():
            found = [check.run() for check in checks]
        red = tuple(each.check for each in found if not each.passed and not each.stopped)
        progress.advance(1, mutant.name)
        yield Kill(mutant.name, mutant.title, red)


def _told(check: Check, progress: Progress) -> Finding:
    found = check.run()
    progress.advance(1, check.name)
    return found
