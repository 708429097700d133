"""The ceilings of the report hold for builds that keep their word."""

from __future__ import annotations

import numpy as np
import pytest

from privsynth.privacy.accountant import trade_off
from privsynth.privacy.budget import PrivacyBudget, PrivacyUnit
from privsynth.privacy.guarantee import Guarantee
from privsynth.privacy.plan import GaussianEvent, Mechanism, PrivacyPlan
from privsynth.report.statement import ceiling_of
from privsynth.risk.base import AttackResult, Risk
from privsynth.risk.membership import guessed, named

SIGMA = 1.0
N_PAIRS = 2_000
N_RUNS = 15


@pytest.fixture(scope="module")
def guarantee() -> Guarantee:
    mechanism = Mechanism("counts", "cells", GaussianEvent(SIGMA))
    plan = PrivacyPlan((mechanism,), PrivacyBudget(20.0, 1e-6), PrivacyUnit())
    return Guarantee(plan.budget, plan, 5.0, 10.0, accountant="PLD", noise_source="ChaCha20")


def of_cells(rng: np.random.Generator) -> AttackResult:
    """A cell for each person, each counted with noise: the fuller of a pair's cells is named."""
    members, controls = rng.normal(0.0, SIGMA, (2, N_PAIRS))
    return result(members + 1, controls, rng)


def of_sums(rng: np.random.Generator) -> AttackResult:
    """One sum for each pair, which one person moves up and the other down: the worst exchange."""
    sums = rng.normal(1.0, SIGMA, N_PAIRS)
    return result(sums, -sums, rng)


def result(members: np.ndarray, controls: np.ndarray, rng: np.random.Generator) -> AttackResult:
    return named(
        guessed(members, controls, rng),
        attack="a",
        title="A",
        criterion="membership",
        n_planned=N_PAIRS,
    )


def of_one_step(guarantee: Guarantee, found: AttackResult) -> float:
    """The largest excess over the control rates that agree, with one person in or out."""
    assert found.control is not None
    rates = np.linspace(*found.control.interval(), 21)
    return float((1 - trade_off(guarantee.plan.mechanisms, rates) - rates).max())


@pytest.mark.parametrize("attack", [of_cells, of_sums])
def test_an_honest_gaussian_keeps_to_the_ceiling_of_its_pairs(attack, guarantee) -> None:
    """Each person of a pair is one step from neither, so the ceiling of one step is too low."""
    too_low = 0
    for seed in range(N_RUNS):
        found = attack(np.random.default_rng(seed))
        assert isinstance(found.excess, Risk)
        ceiling = ceiling_of(guarantee, found)
        assert ceiling is not None
        assert found.excess.low <= ceiling.excess
        too_low += found.excess.low > of_one_step(guarantee, found)
    assert too_low == N_RUNS
