"""How much privacy mechanisms cost together: the privacy loss distribution of their composition.

The only door to dp_accounting, whose PLD engine is the accountant of record. Its discretisation
is pessimistic, so that every figure is an upper bound on epsilon and delta. Gaussian measurements
are first merged into one, which is exact: precisions add. An event that is not known here is
refused, and a non-private one costs epsilon = infinity.

Thresholds are paid beside the events: the probabilities that they may fail with are added up and
taken from delta, which over-counts a little (the exact composition is 1 - (1 - a)(1 - b)).

Under replace-one a unit leaves and another enters. Every L2 sensitivity is taken as twice that of
add-or-remove-one (a histogram's is only sqrt(2) times), a pure epsilon and a threshold's
probability double: upper bounds, all three.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from privsynth.errors import BudgetError
from privsynth.privacy.plan import (
    DpSgdEvent,
    GaussianEvent,
    Mechanism,
    NonPrivateEvent,
    PureEvent,
)

Floats: TypeAlias = NDArray[np.float64]
Relation: TypeAlias = Literal["add_or_remove_one", "replace_one"]

_LEAST_NOISE = 0.01  # less is counted as none, and costs an epsilon above 5,000 in any case
_FINEST_GRID = 250_000  # points; a plan that reaches further gets a coarser, more pessimistic grid
_FINEST_INTERVAL = 1e-7
_COARSEST_INTERVAL = 1e-3
_COARSEST_INTERVAL_PURE = 1e-4  # a pure loss is two atoms, each rounded up by as much as a step
_STEP_PRECISION = 0.02  # grid step over the spread of a loss; adds 0.1 of its square to epsilon
_TRADE_OFF_POINTS = 500
_TRADE_OFF_DELTA = 1e-12


def accountant_name() -> str:
    """The accountant of record with its version, as a report states it."""
    return f"dp_accounting {version('dp-accounting')} PLD"


def epsilon_of(
    mechanisms: Iterable[Mechanism],
    delta: float,
    relation: Relation = "add_or_remove_one",
) -> float:
    """The epsilon that the mechanisms spend together at that delta: an upper bound.

    Infinite when one of them is not private, or when their thresholds need more than delta.

    >>> plan = [Mechanism("counts", "cells", GaussianEvent(5.0)) for _ in range(4)]
    >>> round(epsilon_of(plan, delta=1e-5), 2)
    1.55
    """
    mechanisms = tuple(mechanisms)
    delta_left = delta - _threshold_delta(mechanisms, relation)
    composition = _merge(mechanisms)
    if composition is None or delta_left < 0:
        return math.inf
    return float(_loss(composition, relation).get_epsilon_for_delta(delta_left))


def delta_of(
    mechanisms: Iterable[Mechanism], epsilon: float, relation: Relation = "add_or_remove_one"
) -> float:
    """The delta at which the mechanisms together keep to that epsilon: an upper bound."""
    mechanisms = tuple(mechanisms)
    composition = _merge(mechanisms)
    if composition is None:
        return 1.0
    delta = _loss(composition, relation).get_delta_for_epsilon(epsilon)
    return min(1.0, float(delta) + _threshold_delta(mechanisms, relation))


def trade_off(
    mechanisms: Iterable[Mechanism],
    alphas: Floats,
    relation: Relation = "add_or_remove_one",
) -> Floats:
    """The least rate of false negatives at each rate of false positives: a lower bound.

    It holds for every test of whether one unit was in the table, and under replace-one of which of
    two units was. It is read off the whole curve of (epsilon, delta), not one point of it (Dong,
    Roth and Su 2022).

    >>> plan = [Mechanism("counts", "cells", GaussianEvent(1.0))]
    >>> trade_off(plan, np.array([0.05])).round(2)
    array([0.74])
    """
    if np.any((alphas < 0) | (alphas > 1)):
        raise BudgetError("a rate of false positives lies between 0 and 1")
    mechanisms = tuple(mechanisms)
    composition = _merge(mechanisms)
    if composition is None:
        return np.zeros(np.shape(alphas))
    loss = _loss(composition, relation)
    epsilons = np.linspace(0.0, _largest_finite_epsilon(loss), _TRADE_OFF_POINTS)
    deltas = np.asarray(loss.get_delta_for_epsilon(epsilons))
    return _lower_envelope(epsilons, deltas + _threshold_delta(mechanisms, relation), alphas)


def _lower_envelope(epsilons: Floats, deltas: Floats, alphas: Floats) -> Floats:
    """The largest of the lines that each (epsilon, delta) puts under the trade-off curve."""
    best = np.zeros(np.shape(alphas))
    for epsilon, delta in zip(epsilons, deltas, strict=True):
        steep = 1 - delta - np.exp(epsilon) * alphas
        flat = np.exp(-epsilon) * (1 - delta - alphas)
        best = np.maximum(best, np.maximum(steep, flat))
    return best


def _largest_finite_epsilon(loss: Any) -> float:
    """The epsilon beyond which the curve holds next to nothing, kept inside a double's range."""
    epsilon = loss.get_epsilon_for_delta(_TRADE_OFF_DELTA)
    return float(min(epsilon, 500.0))


@dataclass(frozen=True)
class _Composition:
    """What mechanisms amount to, in the shape in which they are cached and composed."""

    mu_squared: float  # sum of 1 / noise_multiplier^2 over the Gaussian measurements
    pure: tuple[float, ...]
    trainings: tuple[tuple[float, float, int], ...]  # sample rate, noise multiplier, steps


def _merge(mechanisms: tuple[Mechanism, ...]) -> _Composition | None:
    """The composition of the mechanisms; None when one of them is not private."""
    precisions, pure = [], []
    trainings: dict[tuple[float, float], int] = {}
    private = True
    for mechanism in mechanisms:
        match mechanism.event:
            case GaussianEvent(noise_multiplier):
                precisions.append(noise_multiplier**-2)
            case PureEvent(epsilon):
                pure.append(epsilon)
            case DpSgdEvent(sample_rate, noise_multiplier, steps):
                key = (sample_rate, noise_multiplier)
                trainings[key] = trainings.get(key, 0) + steps
            case NonPrivateEvent():
                private = False
            case unknown:
                raise BudgetError(
                    f"mechanism {mechanism.name!r}: a {type(unknown).__name__} cannot be "
                    "accounted for, so it is refused"
                )
    mu_squared = math.fsum(precisions)
    least = min([noise for _, noise in trainings], default=math.inf)
    if not private or least < _LEAST_NOISE or mu_squared * _LEAST_NOISE**2 > 1:
        return None
    ordered = tuple((*key, steps) for key, steps in sorted(trainings.items()))
    return _Composition(mu_squared, tuple(sorted(pure)), ordered)


def _threshold_delta(
    mechanisms: tuple[Mechanism, ...], relation: Relation = "add_or_remove_one"
) -> float:
    total = math.fsum(mechanism.delta for mechanism in mechanisms)
    return total if relation == "add_or_remove_one" else 2 * total


@lru_cache(maxsize=16)
def _loss(composition: _Composition, relation: Relation) -> Any:
    """The privacy loss distribution of a composition, as dp_accounting holds it."""
    from dp_accounting.pld import privacy_loss_distribution as pld

    interval = _interval(composition, relation)
    total = pld.identity(value_discretization_interval=interval)
    if composition.mu_squared:
        sigma = composition.mu_squared**-0.5
        total = total.compose(_gaussian_loss(sigma, 1.0, relation, interval))
    for epsilon in composition.pure:
        total = total.compose(_pure_loss(epsilon, relation, interval))
    for sample_rate, noise_multiplier, steps in composition.trainings:
        step = _gaussian_loss(noise_multiplier, sample_rate, relation, interval)
        total = total.compose(step.self_compose(steps))
    return total


def _gaussian_loss(sigma: float, sample_rate: float, relation: Relation, interval: float) -> Any:
    """The loss of one Poisson-sampled Gaussian; a sample rate of 1 is the plain Gaussian."""
    from dp_accounting.pld import privacy_loss_distribution as pld

    return pld.from_gaussian_mechanism(
        standard_deviation=sigma,
        sampling_prob=sample_rate,
        value_discretization_interval=interval,
        neighboring_relation=_relation(relation),
    )


def _pure_loss(epsilon: float, relation: Relation, interval: float) -> Any:
    """The loss of two-sided randomised response, which dominates every (epsilon, 0) mechanism."""
    from dp_accounting.pld import common
    from dp_accounting.pld import privacy_loss_distribution as pld

    epsilon = epsilon if relation == "add_or_remove_one" else 2 * epsilon
    parameters = common.DifferentialPrivacyParameters(epsilon, 0.0)
    return pld.from_privacy_parameters(parameters, value_discretization_interval=interval)


def _relation(relation: Relation) -> Any:
    from dp_accounting import privacy_accountant

    return privacy_accountant.NeighboringRelation[relation.upper()]


def _interval(composition: _Composition, relation: Relation) -> float:
    """A step of the loss grid that is fine beside every loss, and coarse where memory ends.

    It decides how tight the bound is, never whether it is one.
    """
    mu_squared, n_steps, furthest = composition.mu_squared, 1, 0.0
    for sample_rate, noise_multiplier, steps in composition.trainings:
        growth = math.expm1(min(noise_multiplier**-2, 500.0))
        mu_squared += steps * min(sample_rate**2 * growth, noise_multiplier**-2)
        n_steps += steps
        furthest = max(furthest, _furthest(noise_multiplier**-1, sample_rate))
    spread = math.sqrt(mu_squared + sum(each**2 for each in composition.pure))
    furthest = max(furthest, _furthest(spread, 1.0))
    coarsest = _COARSEST_INTERVAL_PURE if composition.pure else _COARSEST_INTERVAL
    fine = min(coarsest, _STEP_PRECISION * spread / math.sqrt(n_steps))
    scale = 1.0 if relation == "add_or_remove_one" else 2.0
    return scale * max(fine, furthest / _FINEST_GRID, _FINEST_INTERVAL)


def _furthest(mu: float, sample_rate: float) -> float:
    """About the largest loss of a Poisson-sampled Gaussian that is kept on the grid."""
    loss = mu**2 + 20 * mu
    return math.log1p(sample_rate * math.expm1(loss)) if loss < 500 else loss
