from __future__ import annotations

import pytest

from privsynth.errors import BudgetError
from privsynth.privacy.accountant import epsilon_of
from privsynth.privacy.budget import PrivacyBudget, PrivacyUnit
from privsynth.privacy.calibrate import calibrate
from privsynth.privacy.plan import (
    DpSgdEvent,
    GaussianEvent,
    MeasurementRequest,
    NonPrivateEvent,
    PrivacyPlan,
    Request,
    TrainingRequest,
)

BUDGET = PrivacyBudget(1.0, 1e-5)
COUNTS = MeasurementRequest("counts", "cells", share=0.2)
CODES = MeasurementRequest("codes", "categories", share=0.05, delta_share=0.1)
TRAINING = TrainingRequest("denoiser", "training", sample_rate=0.1, steps=300)


def plan_of(*requests: Request, budget: PrivacyBudget = BUDGET) -> PrivacyPlan:
    return calibrate(requests, budget, PrivacyUnit())


def noise_of(plan: PrivacyPlan, name: str) -> float:
    event = plan.mechanism(name).event
    assert isinstance(event, GaussianEvent | DpSgdEvent)
    return event.noise_multiplier


@pytest.mark.parametrize(
    "requests", [(COUNTS, CODES, TRAINING), (COUNTS, CODES), (TRAINING,)], ids=len
)
@pytest.mark.parametrize("epsilon", [0.05, 1.0, 8.0])
def test_the_budget_is_used_up_and_never_exceeded(
    requests: tuple[Request, ...], epsilon: float
) -> None:
    budget = PrivacyBudget(epsilon, 1e-5)
    spent = epsilon_of(plan_of(*requests, budget=budget).mechanisms, budget.delta)
    assert 0.998 * epsilon < spent <= epsilon


def test_the_plan_keeps_names_purposes_order_and_what_the_training_asked() -> None:
    plan = plan_of(TRAINING, COUNTS)
    assert [each.name for each in plan.mechanisms] == ["denoiser", "counts"]
    assert plan.mechanism("counts").purpose == "cells"
    event = plan.mechanism("denoiser").event
    assert isinstance(event, DpSgdEvent)
    assert (event.sample_rate, event.steps) == (0.1, 300)
    assert (plan.budget, plan.unit) == (BUDGET, PrivacyUnit())


def test_a_share_is_a_share_of_the_squared_signal() -> None:
    plan = plan_of(COUNTS, CODES, TRAINING)
    assert noise_of(plan, "codes") == pytest.approx(2 * noise_of(plan, "counts"))
    whole = noise_of(plan_of(MeasurementRequest("whole", "x", 1.0, delta_share=0.1)), "whole")
    assert noise_of(plan, "counts") == pytest.approx(whole / 0.2**0.5)


def test_without_a_training_the_shares_are_scaled_up() -> None:
    small = MeasurementRequest("counts", "cells", share=0.01)
    large = MeasurementRequest("counts", "cells", share=1.0)
    assert noise_of(plan_of(small), "counts") == noise_of(plan_of(large), "counts")


def test_a_training_gets_what_the_measurements_leave() -> None:
    alone, beside = plan_of(TRAINING), plan_of(COUNTS, TRAINING)
    assert noise_of(beside, "denoiser") > noise_of(alone, "denoiser")


def test_a_threshold_gets_its_share_of_delta() -> None:
    plan = plan_of(COUNTS, CODES, TRAINING)
    assert plan.mechanism("codes").delta == pytest.approx(1e-6)
    assert plan.mechanism("counts").delta == 0.0


def test_without_privacy_nothing_has_noise() -> None:
    plan = plan_of(COUNTS, CODES, TRAINING, budget=PrivacyBudget.no_privacy())
    assert plan.mechanism("counts").event == NonPrivateEvent()
    assert plan.mechanism("denoiser").event == NonPrivateEvent(0.1, 300)
    assert not plan.is_private


def test_nothing_wanted_is_an_empty_plan() -> None:
    assert plan_of().mechanisms == ()


@pytest.mark.parametrize(
    ("requests", "rule"),
    [
        ((COUNTS, MeasurementRequest("more", "x", 0.9)), "above 1"),
        ((TRAINING, TrainingRequest("again", "x", 0.1, 10)), "at most one training"),
        ((MeasurementRequest("all", "x", 1.0), TRAINING), "leave nothing"),
        ((MeasurementRequest("half", "x", 0.1, delta_share=0.5), TRAINING), "half of delta"),
        ((COUNTS, COUNTS), "twice"),
    ],
)
@pytest.mark.parametrize("budget", [BUDGET, PrivacyBudget.no_privacy()])
def test_an_impossible_wish_is_refused(
    requests: tuple[Request, ...], rule: str, budget: PrivacyBudget
) -> None:
    with pytest.raises(BudgetError, match=rule):
        plan_of(*requests, budget=budget)
