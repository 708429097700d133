"""From what a job wants to ask and what it may spend, to the noise of each mechanism."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache

from privsynth.errors import BudgetError
from privsynth.privacy.accountant import epsilon_of
from privsynth.privacy.budget import PrivacyBudget, PrivacyUnit
from privsynth.privacy.plan import (
    DpSgdEvent,
    GaussianEvent,
    MeasurementRequest,
    Mechanism,
    NonPrivateEvent,
    PrivacyPlan,
    Request,
    TrainingRequest,
)

_SLACK = 1e-3  # a search ends when epsilon is below its target by at most this share of it
_STRIDE = 1.2  # ratio of noise by which a bracket grows


def calibrate(requests: Sequence[Request], budget: PrivacyBudget, unit: PrivacyUnit) -> PrivacyPlan:
    """The plan with the least noise that keeps to the budget; it never exceeds it.

    A measurement of share s has the noise of a Gaussian that alone would use the share s of the
    whole (in squared sensitivity over noise, which adds up exactly). A training gets what the
    measurements leave; without one, the shares are scaled to use everything up.

    >>> plan = calibrate([MeasurementRequest("counts", "cells", share=1.0)],
    ...                  PrivacyBudget(1.0, 1e-5), PrivacyUnit())
    >>> round(plan.mechanisms[0].event.noise_multiplier, 2)
    3.73
    """
    measurements = [each for each in requests if isinstance(each, MeasurementRequest)]
    trainings = [each for each in requests if isinstance(each, TrainingRequest)]
    _require_possible(measurements, trainings)
    if not budget.is_private:
        return PrivacyPlan(tuple(_exact(each) for each in requests), budget, unit)
    whole = _whole_noise(budget, sum(each.delta_share for each in measurements))
    scale = 1.0 if trainings else sum(each.share for each in measurements)
    plan: dict[str, Mechanism] = {
        each.name: _measured(each, whole * math.sqrt(scale / each.share), budget.delta)
        for each in measurements
    }
    for training in trainings:
        plan[training.name] = _trained(training, tuple(plan.values()), budget, whole)
    ordered = tuple(plan[each.name] for each in requests)
    return PrivacyPlan(ordered, budget, unit)


def budget_shares(plan: PrivacyPlan) -> dict[str, float]:
    """The share of its budget that each mechanism of a calibrated plan takes, by name.

    A measurement's is its precision over that of the one Gaussian which would use the whole; a
    training takes what the measurements leave. Empty without privacy, where nothing is shared.

    >>> requests = [MeasurementRequest("counts", "cells", 0.25),
    ...             MeasurementRequest("pairs", "cells", 0.75)]
    >>> plan = calibrate(requests, PrivacyBudget(1.0, 1e-5), PrivacyUnit())
    >>> {name: round(share, 3) for name, share in budget_shares(plan).items()}
    {'counts': 0.25, 'pairs': 0.75}
    """
    if not plan.is_private:
        return {}
    measured = {
        each.name: _precision(each)
        for each in plan.mechanisms
        if isinstance(each.event, GaussianEvent)
    }
    others = [each.name for each in plan.mechanisms if each.name not in measured]
    whole = sum(measured.values())
    if others:
        delta_share = sum(each.delta for each in plan.mechanisms) / plan.budget.delta
        whole = max(whole, _whole_noise(plan.budget, delta_share) ** -2)
    shares = {name: precision / whole for name, precision in measured.items()}
    left = 1.0 - sum(shares.values())
    return shares | {name: left / len(others) for name in others}


def _require_possible(
    measurements: list[MeasurementRequest], trainings: list[TrainingRequest]
) -> None:
    if len(trainings) > 1:
        raise BudgetError("a plan has at most one training")
    share = sum(each.share for each in measurements)
    if share > 1 + 1e-9:
        raise BudgetError(f"the shares of the measurements sum to {share:.3g}, above 1")
    if trainings and share > 0.999:
        raise BudgetError("the measurements leave nothing for the training: lower their shares")
    if sum(each.delta_share for each in measurements) >= 0.5:
        raise BudgetError("thresholds may take less than half of delta")


def _exact(request: Request) -> Mechanism:
    """The mechanism of a run without privacy."""
    if isinstance(request, TrainingRequest):
        event = NonPrivateEvent(request.sample_rate, request.steps)
        return Mechanism(request.name, request.purpose, event)
    return Mechanism(request.name, request.purpose, NonPrivateEvent())


def _measured(request: MeasurementRequest, noise: float, delta: float) -> Mechanism:
    event = GaussianEvent(noise)
    return Mechanism(request.name, request.purpose, event, delta * request.delta_share)


def _whole_noise(budget: PrivacyBudget, delta_share: float) -> float:
    """The noise of the one Gaussian that uses the whole budget, less what thresholds take."""
    delta = budget.delta * (1 - delta_share)
    # no bound, but a good place to start the search from: zero-concentrated privacy, less its slack
    tail = 2 * math.log(1 / delta)
    guess = 0.85 / (math.sqrt(tail + 2 * budget.epsilon) - math.sqrt(tail))

    def spent(noise: float) -> float:
        return epsilon_of([Mechanism("whole", "", GaussianEvent(noise))], delta)

    return _least_noise(spent, budget.epsilon, guess)


def _trained(
    request: TrainingRequest,
    measured: tuple[Mechanism, ...],
    budget: PrivacyBudget,
    whole: float,
) -> Mechanism:
    """The training, with the least noise at which the whole plan keeps to the budget."""

    def mechanism(noise: float) -> Mechanism:
        event = DpSgdEvent(request.sample_rate, noise, request.steps)
        return Mechanism(request.name, request.purpose, event)

    def spent(noise: float) -> float:
        return epsilon_of((*measured, mechanism(noise)), budget.delta)

    # the central limit of DP-SGD is no bound, but a good place to start the search from
    left = whole**-2 - sum(_precision(each) for each in measured)
    guess = math.log1p(left / (request.sample_rate**2 * request.steps)) ** -0.5
    return mechanism(_least_noise(spent, budget.epsilon, guess))


def _precision(mechanism: Mechanism) -> float:
    assert isinstance(mechanism.event, GaussianEvent)
    return mechanism.event.noise_multiplier**-2


def _least_noise(spent: Callable[[float], float], epsilon: float, guess: float) -> float:
    """The least noise at which `spent` is at most epsilon: within `_SLACK`, never above it."""
    from scipy.optimize import brentq

    spent = cache(spent)
    low, high = guess / _STRIDE, guess * _STRIDE
    while spent(high) >= epsilon:
        low, high = high, high * _STRIDE**2
    while spent(low) < epsilon:
        low, high = low / _STRIDE**2, low

    def excess(log_noise: float) -> float:
        """0 within the slack; otherwise nearly a straight line, so that few evaluations do."""
        ratio = max(spent(math.exp(log_noise)), 1e-300) / epsilon
        return 0.0 if 1 - _SLACK <= ratio < 1 else math.log(ratio) + _SLACK / 2

    noise = math.exp(brentq(excess, math.log(low), math.log(high), xtol=_SLACK / 10))
    while spent(noise) >= epsilon:
        noise *= 1 + _SLACK / 10
    return noise
