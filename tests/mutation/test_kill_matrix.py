"""Each defect that is planted is noticed, and by a check that is about it."""

from __future__ import annotations

import time

import pytest

from privsynth.audit.base import Check
from privsynth.audit.matrix import checks_of
from privsynth.audit.mutants import MUTANTS, Mutant

PRESETS = ("marginal", "diffusion", "gan")

# The check whose business the defect is; others may notice it too.
NOTICED_BY = {
    "a tenth less noise": "noise of steps",
    "half the noise": "noise of steps",
    "no noise": "noise of steps",
    "one noise for all steps": "fresh noise",
    "noise on one parameter": "noise of steps",
    "layers clipped apart": "clipping",
    "no clipping": "clipping",
    "the batch is clipped": "clipping",
    "wrong sample rate": "Poisson batches",
    "shuffled batches": "Poisson batches",
    "batches in sequence": "Poisson batches",
    "a unit that always joins": "Poisson batches",
    "empty batches skipped": "empty batches",
    "two steps a charge": "observed is charged",
    "other numbers": "observed is charged",
    "rows as units": "observed is charged",
    "early stopping on records": "records decide nothing else",
    "the loss keeps count": "records decide nothing else",
    "half the noise on counts": "noise of counts",
    "noise drawn once": "fresh noise of counts",
    "noise shared by cells": "fresh noise of counts",
    "one key for all noise": "keys of noise",
    "measured twice a charge": "noise of counts",
    "pairs measured twice": "observed is charged",
    "a charge for each part": "observed is charged",
    "answers without end": "one answer",
    "contribution bound ignored": "rows of a person",
    "categories from records": "lone labels",
    "weights left out": "contribution in a fit",
    "rows beyond the bound": "rows above the bound",
    "learned bounds are extremes": "records decide nothing else",
    "learned categories are labels": "records decide nothing else",
    "bounds from records": "lone extremes",
    "bins from records": "records decide nothing else",
    "chance from records": "records decide nothing else",
    "odds uncharged": "records decide nothing else",
    "odds by row": "contribution in a fit",
    "row count from records": "records decide nothing else",
    "conditions from rows": "records decide nothing else",
    "replay of records": "records decide nothing else",
    "ledger after the spend": "ledger first",
    "seed published": "no seed",
}


def cases() -> list[tuple[str, Mutant]]:
    """Each defect for each preset that it is about; those of the mechanisms once."""
    return [(preset, each) for each in MUTANTS for preset in each.generators or ("marginal",)]


def test_every_defect_has_its_check() -> None:
    assert {each.name for each in MUTANTS} == set(NOTICED_BY)
    assert len(MUTANTS) == len(NOTICED_BY)


@pytest.mark.parametrize(
    ("preset", "mutant"), cases(), ids=lambda each: getattr(each, "name", each)
)
def test_a_planted_defect_is_noticed(preset: str, mutant: Mutant) -> None:
    check = next(c for c in checks_of(preset) if c.name == NOTICED_BY[mutant.name])
    with mutant.patch():
        found = check.run()
    assert not found.passed, found.figure
    assert not found.stopped, found.figure  # the check saw it; it did not merely stumble


@pytest.mark.parametrize("preset", PRESETS)
def test_the_build_as_it_is_passes_every_check(preset: str) -> None:
    red = [found for found in (check.run() for check in checks_of(preset)) if not found.passed]
    assert red == []


@pytest.mark.parametrize("preset", PRESETS)
def test_no_check_takes_long(preset: str) -> None:
    """Under 1 s of a free processor; here of a busy one, whose time counts for more."""
    first, *checks = checks_of(preset)
    first.run()  # what it imports is no part of it
    slow = [check.name for check in checks if _seconds(check) > 3]
    assert slow == []


def _seconds(check: Check) -> float:
    started = time.process_time()
    check.run()
    return time.process_time() - started
