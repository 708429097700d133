"""What every accountant must keep to, whatever its method."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from privsynth.errors import BudgetError
from privsynth.privacy.accountant import accountant_name, delta_of, epsilon_of, trade_off
from privsynth.privacy.plan import (
    DpSgdEvent,
    Event,
    GaussianEvent,
    Mechanism,
    NonPrivateEvent,
    PureEvent,
)

DELTA = 1e-5


def asked(*events: Event, delta: float = 0.0) -> list[Mechanism]:
    return [Mechanism(f"m{n}", "test", event, delta) for n, event in enumerate(events)]


EVENTS: list[Event] = [GaussianEvent(4.0), PureEvent(0.3), DpSgdEvent(0.05, 2.0, 100)]


def test_nothing_asked_is_nothing_spent() -> None:
    assert epsilon_of([], DELTA) == 0.0
    assert delta_of([], 0.0) == 0.0


@pytest.mark.parametrize("event", EVENTS)
def test_everything_asked_costs_something(event: Event) -> None:
    assert 0 < epsilon_of(asked(event), DELTA) < math.inf
    assert 0 < delta_of(asked(event), 0.1) < 1


@pytest.mark.parametrize("event", EVENTS)
def test_asking_twice_costs_more_than_once_and_at_most_double(event: Event) -> None:
    once, twice = epsilon_of(asked(event), DELTA), epsilon_of(asked(event, event), 2 * DELTA)
    assert once < epsilon_of(asked(event, event), DELTA)
    assert twice <= 2 * once * 1.001


def test_the_order_does_not_matter() -> None:
    forth, back = epsilon_of(asked(*EVENTS), DELTA), epsilon_of(asked(*EVENTS[::-1]), DELTA)
    assert forth == back
    assert forth > max(epsilon_of(asked(event), DELTA) for event in EVENTS)


def test_an_exact_answer_costs_everything() -> None:
    assert epsilon_of(asked(GaussianEvent(4.0), NonPrivateEvent()), DELTA) == math.inf
    assert delta_of(asked(NonPrivateEvent()), 100.0) == 1.0
    assert trade_off(asked(NonPrivateEvent()), np.array([0.0, 0.5])).tolist() == [0.0, 0.0]


@dataclass(frozen=True)
class Whispering:
    loudness: float


@pytest.mark.parametrize("others", [(), (NonPrivateEvent(),)])
def test_an_unknown_event_is_refused(others: tuple[Event, ...]) -> None:
    unknown: Any = Whispering(1.0)
    with pytest.raises(BudgetError, match="Whispering"):
        epsilon_of(asked(*others, unknown), DELTA)
    with pytest.raises(BudgetError, match="Whispering"):
        delta_of(asked(*others, unknown), 1.0)
    with pytest.raises(BudgetError, match="Whispering"):
        trade_off(asked(*others, unknown), np.array([0.1]))


def test_steps_of_one_training_are_steps_wherever_they_are_written() -> None:
    apart = asked(DpSgdEvent(0.05, 2.0, 60), DpSgdEvent(0.05, 2.0, 40))
    assert epsilon_of(apart, DELTA) == epsilon_of(asked(DpSgdEvent(0.05, 2.0, 100)), DELTA)


def test_epsilon_and_delta_are_one_curve() -> None:
    plan = asked(*EVENTS)
    assert delta_of(plan, epsilon_of(plan, DELTA)) == pytest.approx(DELTA, rel=1e-3)


def test_a_threshold_is_paid_from_delta() -> None:
    bare = asked(GaussianEvent(4.0))
    with_threshold = asked(GaussianEvent(4.0), delta=4e-6)
    assert epsilon_of(with_threshold, DELTA) == epsilon_of(bare, 6e-6)
    assert delta_of(with_threshold, 1.0) == pytest.approx(delta_of(bare, 1.0) + 4e-6)
    assert epsilon_of(with_threshold, 3e-6) == math.inf


def test_a_pure_mechanism_costs_its_epsilon_without_any_delta() -> None:
    assert epsilon_of(asked(PureEvent(0.3)), 0.0) == pytest.approx(0.3, abs=2e-4)
    assert epsilon_of(asked(PureEvent(0.3)), 0.0) >= 0.3 - 1e-12
    assert epsilon_of(asked(PureEvent(0.3)), 0.0, "replace_one") == pytest.approx(0.6, abs=2e-4)


@pytest.mark.parametrize("event", EVENTS)
def test_exchanging_a_unit_costs_at_least_as_much_as_removing_it(event: Event) -> None:
    plan = asked(event, delta=1e-6)
    assert epsilon_of(plan, DELTA, "replace_one") >= epsilon_of(plan, DELTA)
    assert delta_of(plan, 1.0, "replace_one") >= delta_of(plan, 1.0)


def test_the_trade_off_falls_and_lies_under_guessing() -> None:
    alphas = np.linspace(0, 1, 21)
    errors = trade_off(asked(*EVENTS), alphas)
    assert np.all(np.diff(errors) <= 1e-12)
    assert np.all(errors <= 1 - alphas + 1e-12)
    assert np.all(errors >= 0)
    assert errors[1] > 0.3  # it says something


def test_a_threshold_lowers_the_trade_off() -> None:
    alphas = np.array([0.0, 0.1])
    bare, threshold = (trade_off(asked(GaussianEvent(4.0), delta=d), alphas) for d in (0.0, 0.01))
    assert np.all(threshold < bare)


@pytest.mark.parametrize("event", EVENTS)
def test_two_units_are_told_apart_more_easily_than_one_from_none(event: Event) -> None:
    alphas, plan = np.linspace(0, 1, 11), asked(event, delta=1e-6)
    assert np.all(trade_off(plan, alphas, "replace_one") <= trade_off(plan, alphas) + 1e-12)


def test_the_trade_off_wants_rates() -> None:
    with pytest.raises(BudgetError, match="between 0 and 1"):
        trade_off(asked(GaussianEvent(4.0)), np.array([1.5]))


@pytest.mark.parametrize("event", [GaussianEvent(1e-3), DpSgdEvent(0.5, 1e-3, 10)])
def test_next_to_no_noise_is_counted_as_none(event: Event) -> None:
    assert epsilon_of(asked(event), DELTA) == math.inf


def test_rare_and_loud_steps_are_counted_in_bounded_memory() -> None:
    assert 0 < epsilon_of(asked(DpSgdEvent(1e-6, 0.5, 10_000)), DELTA) < 0.01


@pytest.mark.parametrize("event", [GaussianEvent(0.01), DpSgdEvent(0.5, 0.05, 1000)])
def test_a_hopeless_plan_is_counted_in_bounded_memory(event: Event) -> None:
    assert epsilon_of(asked(event), DELTA) > 1000


def test_a_very_private_plan_is_counted_tightly() -> None:
    spent = epsilon_of(asked(DpSgdEvent(0.1, 715.0, 600)), DELTA)
    assert 0.008 < spent < 0.012


def test_the_accountant_says_its_name_and_version() -> None:
    assert accountant_name().startswith("dp_accounting 0.6")
    assert accountant_name().endswith("PLD")
