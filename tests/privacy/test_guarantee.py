from __future__ import annotations

import json
import math
from typing import Any

import pytest

from privsynth.errors import BudgetError, UsageError
from privsynth.privacy.budget import PrivacyBudget, PrivacyUnit
from privsynth.privacy.calibrate import calibrate
from privsynth.privacy.guarantee import Guarantee
from privsynth.privacy.noise import NoiseSource, SecretNoise, SeededNoise
from privsynth.privacy.plan import MeasurementRequest, PrivacyPlan, TrainingRequest
from privsynth.schema import Schema

BUDGET = PrivacyBudget(1.0, 1e-5)


def plan(budget: PrivacyBudget = BUDGET) -> PrivacyPlan:
    requests = [
        MeasurementRequest("counts", "cells", 0.2),
        TrainingRequest("denoiser", "training", 0.1, 50),
    ]
    return calibrate(requests, budget, PrivacyUnit())


def schema(source: str = "declared", row_count: str = "public") -> Schema:
    age = {"kind": "integer", "lower": 0, "upper": 120, "source": source}
    return Schema.parse(
        {
            "dataset": {"id": "clinic"},
            "privacy": {"row_count": row_count},
            "columns": {"age": age},
        }
    )


def guarantee(
    budget: PrivacyBudget = BUDGET, noise: NoiseSource | None = None, **facts: Any
) -> Guarantee:
    return Guarantee.of(plan(budget), noise or SecretNoise(), schema(**facts))


def test_it_states_what_was_spent_and_how_it_was_counted() -> None:
    stated = guarantee(row_count="private")
    assert 0.998 < stated.epsilon_spent <= 1.0
    assert stated.epsilon_replace_one > stated.epsilon_spent
    assert (stated.relation, stated.row_count) == ("add_or_remove_one", "private")
    assert stated.noise_source == "chacha20"
    assert stated.accountant == "dp_accounting 0.6.0 PLD"
    assert stated.is_private
    assert stated.holds


@pytest.mark.parametrize(
    ("prior", "at_most"), [(0.01, 0.027), (0.1, 0.232), (0.5, 0.731), (0.0, 0.0), (1.0, 1.0)]
)
def test_how_far_a_suspicion_can_grow_at_epsilon_1(prior: float, at_most: float) -> None:
    assert guarantee().suspicion(prior) == pytest.approx(at_most, abs=6e-4)


def test_without_privacy_any_suspicion_can_become_certain() -> None:
    stated = guarantee(PrivacyBudget.no_privacy())
    assert (stated.is_private, stated.holds, stated.noise_source) == (False, False, "none")
    assert (stated.epsilon_spent, stated.epsilon_replace_one) == (math.inf, math.inf)
    assert (stated.suspicion(0.001), stated.suspicion(0.0)) == (1.0, 0.0)
    assert stated.void == ()


def test_a_suspicion_is_a_probability() -> None:
    with pytest.raises(UsageError, match="probability"):
        guarantee().suspicion(1.1)


def test_seeded_noise_voids_it() -> None:
    stated = guarantee(noise=SeededNoise(1))
    assert stated.is_private
    assert not stated.holds
    assert "seed" in stated.void[0]


def test_bounds_read_from_records_void_it_and_are_named() -> None:
    stated = guarantee(source="data")
    assert not stated.holds
    assert "'age'" in stated.void[0]


def test_a_reason_from_outside_stays() -> None:
    stated = Guarantee.of(plan(), SeededNoise(1), schema(), void=("the split was re-used",))
    assert stated.void[0] == "the split was re-used"
    assert len(stated.void) == 2


def test_a_plan_beyond_its_budget_has_no_guarantee() -> None:
    dear = PrivacyPlan(plan().mechanisms, PrivacyBudget(0.5, 1e-5))
    with pytest.raises(BudgetError, match="more than its budget"):
        Guarantee.of(dear, SecretNoise(), schema())


@pytest.mark.parametrize("budget", [BUDGET, PrivacyBudget.no_privacy()])
def test_a_guarantee_survives_json(budget: PrivacyBudget) -> None:
    stated = guarantee(budget, noise=SeededNoise(1))
    text = json.dumps(stated.to_dict(), allow_nan=False)
    assert Guarantee.from_dict(json.loads(text)) == stated


def test_a_damaged_guarantee_is_one_line() -> None:
    document = guarantee().to_dict()
    del document["epsilon_spent"]
    with pytest.raises(BudgetError, match="damaged"):
        Guarantee.from_dict(document)
