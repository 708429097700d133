"""The figures of the accountant of record, against other accountants and closed forms."""

from __future__ import annotations

import math
import warnings

import dp_accounting
import numpy as np
import pytest
from dp_accounting.pld import PLDAccountant
from scipy.optimize import brentq
from scipy.stats import norm

from privsynth.privacy.accountant import delta_of, epsilon_of, trade_off
from privsynth.privacy.budget import PrivacyBudget, PrivacyUnit
from privsynth.privacy.calibrate import calibrate
from privsynth.privacy.plan import (
    DpSgdEvent,
    Event,
    GaussianEvent,
    MeasurementRequest,
    Mechanism,
    PureEvent,
    TrainingRequest,
)

DELTA = 1e-5
RELATIONS = dp_accounting.NeighboringRelation


def asked(*events: Event) -> list[Mechanism]:
    return [Mechanism(f"m{n}", "test", event) for n, event in enumerate(events)]


def gaussian_delta(epsilon: float, sigma: float) -> float:
    """Balle and Wang 2018, theorem 8."""
    half = 1 / (2 * sigma)
    return float(
        norm.cdf(half - epsilon * sigma) - math.exp(epsilon) * norm.cdf(-half - epsilon * sigma)
    )


def reference(relation: dp_accounting.NeighboringRelation, *events: dp_accounting.DpEvent) -> float:
    accountant = PLDAccountant(relation, value_discretization_interval=1e-4)
    for event in events:
        accountant.compose(event)
    return float(accountant.get_epsilon(DELTA))


def sgd(event: DpSgdEvent) -> dp_accounting.DpEvent:
    step = dp_accounting.GaussianDpEvent(event.noise_multiplier)
    return dp_accounting.SelfComposedDpEvent(
        dp_accounting.PoissonSampledDpEvent(event.sample_rate, step), event.steps
    )


def test_the_published_value_of_dp_sgd() -> None:
    spent = epsilon_of(asked(DpSgdEvent(0.02, 1.0, 2000)), DELTA)
    assert 5.6157 < spent < 5.626
    assert spent > 5.268  # what the central limit would claim, which is no bound


@pytest.mark.parametrize(
    "event", [DpSgdEvent(0.02, 1.0, 2000), DpSgdEvent(0.1, 9.2, 600), DpSgdEvent(0.01, 0.8, 500)]
)
def test_opacus_prv_agrees_on_dp_sgd(event: DpSgdEvent) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from opacus.accountants import PRVAccountant

        prv = PRVAccountant()
        prv.history = [(event.noise_multiplier, event.sample_rate, event.steps)]
        second = prv.get_epsilon(DELTA, eps_error=0.01)
    assert abs(epsilon_of(asked(event), DELTA) - second) < 0.02


@pytest.mark.parametrize("sigma", [0.3, 1.0, 4.0, 20.0])
def test_one_gaussian_agrees_with_the_closed_form(sigma: float) -> None:
    exact = brentq(lambda epsilon: gaussian_delta(epsilon, sigma) - DELTA, 0, 200)
    spent = epsilon_of(asked(GaussianEvent(sigma)), DELTA)
    assert exact <= spent + 1e-9
    assert spent == pytest.approx(exact, rel=1e-3)
    assert delta_of(asked(GaussianEvent(sigma)), exact) == pytest.approx(DELTA, rel=2e-3)


def test_a_tiny_delta_is_still_counted_right() -> None:
    exact = brentq(lambda epsilon: gaussian_delta(epsilon, 6.6) - 1e-12, 0, 200)
    spent = epsilon_of(asked(GaussianEvent(6.6)), 1e-12)
    assert exact <= spent <= exact * 1.001


def test_a_gaussian_under_replace_one_has_twice_the_sensitivity() -> None:
    exact = brentq(lambda epsilon: gaussian_delta(epsilon, 2.0) - DELTA, 0, 200)
    spent = epsilon_of(asked(GaussianEvent(4.0)), DELTA, "replace_one")
    assert spent == pytest.approx(exact, rel=1e-3)
    assert spent >= exact - 1e-9


@pytest.mark.parametrize("relation", ["add_or_remove_one", "replace_one"])
def test_many_gaussians_are_one_and_the_event_tree_agrees(relation: str) -> None:
    events = [GaussianEvent(9.0), GaussianEvent(15.0), GaussianEvent(30.0)]
    training = DpSgdEvent(0.05, 3.0, 200)
    spent = epsilon_of(asked(*events, training), DELTA, relation)  # type: ignore[arg-type]
    tree = reference(
        RELATIONS[relation.upper()],
        *(dp_accounting.GaussianDpEvent(event.noise_multiplier) for event in events),
        sgd(training),
    )
    assert spent == pytest.approx(tree, rel=1e-3)


def test_a_pure_mechanism_is_counted_as_randomised_response() -> None:
    epsilon = 0.4
    response = dp_accounting.RandomizedResponseDpEvent(2 / (1 + math.exp(epsilon)), 2)
    laplace = dp_accounting.LaplaceDpEvent(1 / epsilon)
    spent = epsilon_of(asked(*[PureEvent(epsilon)] * 5), DELTA)
    assert spent == pytest.approx(reference(RELATIONS.REPLACE_ONE, *[response] * 5), rel=2e-3)
    assert spent >= reference(RELATIONS.ADD_OR_REMOVE_ONE, *[laplace] * 5)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 5.0])
def test_the_trade_off_is_just_under_the_exact_curve(sigma: float) -> None:
    alphas = np.concatenate([[0.0, 1e-4], np.linspace(0.001, 1, 50)])
    exact = norm.cdf(norm.ppf(1 - alphas) - 1 / sigma)
    bound = trade_off(asked(GaussianEvent(sigma)), alphas)
    assert np.all(bound <= exact + 1e-9)
    assert np.all(exact - bound < 0.005)


def test_an_exchange_is_two_steps_of_the_exact_curve() -> None:
    alphas = np.linspace(0, 1, 30)
    exact = norm.cdf(norm.ppf(1 - alphas) - 2 / 3.0)
    bound = trade_off(asked(GaussianEvent(3.0)), alphas, "replace_one")
    assert np.all(bound <= exact + 1e-9)
    assert np.all(exact - bound < 0.005)


def test_no_test_on_dp_sgd_beats_the_trade_off() -> None:
    """The likelihood-ratio test of one step at full rate: known errors, which must lie above."""
    event = DpSgdEvent(1.0, 2.0, 1)
    alphas = np.linspace(0, 1, 30)
    errors = norm.cdf(norm.ppf(1 - alphas) - 1 / 2.0)
    assert np.all(trade_off(asked(event), alphas) <= errors + 1e-9)


def test_a_calibrated_plan_holds_before_a_second_accountant() -> None:
    requests = [
        *(MeasurementRequest(f"m{n}", "counts", 0.01) for n in range(20)),
        TrainingRequest("denoiser", "training", 0.1, 300),
    ]
    plan = calibrate(requests, PrivacyBudget(1.0, DELTA), PrivacyUnit())
    events = []
    for mechanism in plan.mechanisms:
        if isinstance(mechanism.event, GaussianEvent):
            events.append(dp_accounting.GaussianDpEvent(mechanism.event.noise_multiplier))
        elif isinstance(mechanism.event, DpSgdEvent):
            events.append(sgd(mechanism.event))
    assert len(events) == 21
    assert 0.997 < reference(RELATIONS.ADD_OR_REMOVE_ONE, *events) <= 1.0005
