from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import pytest

from privsynth.errors import BudgetError
from privsynth.privacy.budget import PrivacyBudget, PrivacyUnit
from privsynth.privacy.plan import (
    DpSgdEvent,
    GaussianEvent,
    MeasurementRequest,
    Mechanism,
    NonPrivateEvent,
    PrivacyPlan,
    PureEvent,
    TrainingRequest,
)

PLAN = PrivacyPlan(
    (
        Mechanism("counts", "cells", GaussianEvent(20.0)),
        Mechanism("codes", "categories", GaussianEvent(30.0), delta=1e-7),
        Mechanism("choice", "selection", PureEvent(0.1)),
        Mechanism("denoiser", "training", DpSgdEvent(0.1, 12.0, 600)),
    ),
    PrivacyBudget(1.0, 1e-5),
    PrivacyUnit("patient", 3),
)
EXACT = PrivacyPlan(
    (Mechanism("denoiser", "training", NonPrivateEvent(0.1, 600)),), PrivacyBudget.no_privacy()
)


@pytest.mark.parametrize("plan", [PLAN, EXACT])
def test_a_plan_survives_json(plan: PrivacyPlan) -> None:
    text = json.dumps(plan.to_dict(), allow_nan=False)
    assert PrivacyPlan.from_dict(json.loads(text)) == plan


def test_a_plan_knows_its_mechanisms_by_name() -> None:
    assert PLAN.mechanism("codes").delta == 1e-7
    with pytest.raises(BudgetError, match="'bins'"):
        PLAN.mechanism("bins")


def test_a_name_stands_for_one_mechanism() -> None:
    twice = Mechanism("counts", "cells", GaussianEvent(20.0))
    with pytest.raises(BudgetError, match="'counts' twice"):
        PrivacyPlan((twice, twice), PrivacyBudget(1.0, 1e-5))


def test_a_plan_is_private_when_nothing_answers_exactly() -> None:
    assert PLAN.is_private
    assert not EXACT.is_private


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_noise_is_a_finite_number_above_0(bad: float) -> None:
    with pytest.raises(BudgetError):
        GaussianEvent(bad)
    with pytest.raises(BudgetError):
        DpSgdEvent(0.1, bad, 10)
    with pytest.raises(BudgetError):
        PureEvent(bad)


def test_a_selection_that_protects_nobody_is_refused() -> None:
    with pytest.raises(BudgetError, match="above 100"):
        PureEvent(101.0)


@pytest.mark.parametrize("rate", [0.0, -0.1, 1.1, math.nan])
def test_a_sample_rate_is_a_probability_above_0(rate: float) -> None:
    with pytest.raises(BudgetError, match="sample_rate"):
        DpSgdEvent(rate, 1.0, 10)
    with pytest.raises(BudgetError, match="sample_rate"):
        TrainingRequest("t", "training", rate, 10)


def test_a_training_has_steps() -> None:
    with pytest.raises(BudgetError, match="step"):
        DpSgdEvent(0.1, 1.0, 0)
    with pytest.raises(BudgetError, match="step"):
        TrainingRequest("t", "training", 0.1, 0)


def test_shares_and_thresholds_lie_in_their_ranges() -> None:
    with pytest.raises(BudgetError, match="share"):
        MeasurementRequest("m", "x", share=0.0)
    with pytest.raises(BudgetError, match="share"):
        MeasurementRequest("m", "x", share=0.5, delta_share=1.0)
    with pytest.raises(BudgetError, match="delta"):
        Mechanism("m", "x", GaussianEvent(1.0), delta=1.0)


@dataclass(frozen=True)
class Whispering:
    loudness: float


def test_an_unknown_event_is_neither_written_nor_read() -> None:
    unknown: Any = Mechanism("m", "x", Whispering(1.0))  # type: ignore[arg-type]
    with pytest.raises(BudgetError, match="Whispering"):
        unknown.to_dict()
    document = PLAN.to_dict()
    document["mechanisms"][0]["event"] = {"kind": "whispering", "loudness": 1.0}
    with pytest.raises(BudgetError, match="whispering"):
        PrivacyPlan.from_dict(document)


@pytest.mark.parametrize("damage", ["mechanisms", "budget", "unit"])
def test_a_damaged_plan_is_one_line(damage: str) -> None:
    document = PLAN.to_dict()
    document[damage] = [{}]
    with pytest.raises(BudgetError, match="damaged"):
        PrivacyPlan.from_dict(document)
