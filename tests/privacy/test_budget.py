from __future__ import annotations

import json
import math

import pytest

from privsynth.errors import BudgetError, UsageError
from privsynth.privacy.budget import PrivacyBudget, PrivacyUnit
from privsynth.schema import Schema


@pytest.mark.parametrize("epsilon", [0.0, -1.0, math.nan, -math.inf, 1e-9, 1e6])
def test_an_impossible_epsilon_is_a_usage_error(epsilon: float) -> None:
    with pytest.raises(UsageError, match="epsilon"):
        PrivacyBudget(epsilon, 1e-5)


@pytest.mark.parametrize("delta", [0.0, -1e-5, 1e-15, 1.0, 2.0, math.nan, math.inf])
def test_an_impossible_delta_is_a_usage_error(delta: float) -> None:
    with pytest.raises(UsageError, match="delta"):
        PrivacyBudget(1.0, delta)


def test_no_privacy_is_an_infinite_epsilon() -> None:
    budget = PrivacyBudget.no_privacy()
    assert (budget.epsilon, budget.delta, budget.is_private) == (math.inf, 0.0, False)


def test_delta_must_be_below_one_over_the_number_of_units() -> None:
    PrivacyBudget(1.0, 0.9e-3).require_rows(1000)
    with pytest.raises(BudgetError, match="1 / 1000"):
        PrivacyBudget(1.0, 1e-3).require_rows(1000)
    with pytest.raises(BudgetError, match="empty"):
        PrivacyBudget(1.0, 1e-3).require_rows(0)
    PrivacyBudget.no_privacy().require_rows(10)


def test_a_number_of_units_that_is_private_is_not_told() -> None:
    with pytest.raises(BudgetError, match="below the inverse of the number") as told:
        PrivacyBudget(1.0, 1e-3).require_rows(1729, public=False)
    assert "1729" not in str(told.value)


@pytest.mark.parametrize("budget", [PrivacyBudget(0.5, 1e-6), PrivacyBudget.no_privacy()])
def test_a_budget_survives_json(budget: PrivacyBudget) -> None:
    text = json.dumps(budget.to_dict(), allow_nan=False)
    assert PrivacyBudget.from_dict(json.loads(text)) == budget


def schema(privacy: dict[str, object]) -> Schema:
    return Schema.parse(
        {
            "dataset": {"id": "clinic"},
            "privacy": privacy,
            "columns": {"patient": {"kind": "id"}, "ill": {"kind": "boolean"}},
        }
    )


def test_the_unit_is_what_the_schema_declares() -> None:
    assert PrivacyUnit.of(schema({})) == PrivacyUnit()
    person = PrivacyUnit.of(schema({"unit": "patient", "max_rows_per_unit": 3}))
    assert person == PrivacyUnit("patient", 3)
    assert PrivacyUnit.from_dict(json.loads(json.dumps(person.to_dict()))) == person


def test_the_unit_in_words() -> None:
    assert PrivacyUnit().describe() == "a row"
    assert PrivacyUnit("patient").describe() == "a person (column 'patient', at most 1 row)"


@pytest.mark.parametrize(("column", "max_rows"), [(None, 2), ("patient", 0)])
def test_an_impossible_unit_is_a_usage_error(column: str | None, max_rows: int) -> None:
    with pytest.raises(UsageError):
        PrivacyUnit(column, max_rows)
