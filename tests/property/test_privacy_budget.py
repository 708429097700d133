"""What holds for every plan: more costs more, noise costs less, calibration never exceeds."""

from __future__ import annotations

import json
import math

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from privsynth.privacy.accountant import delta_of, epsilon_of
from privsynth.privacy.budget import PrivacyBudget, PrivacyUnit
from privsynth.privacy.calibrate import calibrate
from privsynth.privacy.guarantee import Guarantee
from privsynth.privacy.plan import (
    DpSgdEvent,
    GaussianEvent,
    MeasurementRequest,
    Mechanism,
    NonPrivateEvent,
    PrivacyPlan,
    PureEvent,
    Request,
    TrainingRequest,
)

DELTA = 1e-5
GRID = 1 + 1e-3  # the loss grid follows the plan, so that two figures may differ by its rounding

noises = st.floats(0.9, 50)
gaussians = st.builds(GaussianEvent, noises)
pures = st.builds(PureEvent, st.floats(0.01, 2))
trainings = st.builds(DpSgdEvent, st.floats(0.001, 0.5), noises, st.integers(1, 300))
exacts = st.builds(NonPrivateEvent, st.floats(0, 1), st.integers(0, 500))
private_events = gaussians | pures | trainings
names = st.text(min_size=1, max_size=8)


def spent(*events: GaussianEvent | PureEvent | DpSgdEvent) -> float:
    mechanisms = [Mechanism(f"m{n}", "test", event) for n, event in enumerate(events)]
    return epsilon_of(mechanisms, DELTA)


@settings(max_examples=8)
@given(trainings, st.integers(1, 300))
def test_epsilon_grows_with_steps(event: DpSgdEvent, more: int) -> None:
    longer = DpSgdEvent(event.sample_rate, event.noise_multiplier, event.steps + more)
    assert spent(event) <= spent(longer) * GRID


@settings(max_examples=8)
@given(trainings | gaussians, st.floats(1.01, 3))
def test_epsilon_falls_with_noise(event: DpSgdEvent | GaussianEvent, factor: float) -> None:
    noise = event.noise_multiplier * factor
    quieter: DpSgdEvent | GaussianEvent = GaussianEvent(noise)
    if isinstance(event, DpSgdEvent):
        quieter = DpSgdEvent(event.sample_rate, noise, event.steps)
    assert spent(quieter) <= spent(event) * GRID


@settings(max_examples=8)
@given(st.lists(private_events, min_size=1, max_size=3), private_events)
def test_asking_more_never_costs_less(
    events: list[GaussianEvent | PureEvent | DpSgdEvent],
    another: GaussianEvent | PureEvent | DpSgdEvent,
) -> None:
    assert spent(*events) <= spent(*events, another) * GRID


@settings(max_examples=8)
@given(private_events, st.floats(0, 5))
def test_delta_is_a_probability_that_falls_with_epsilon(
    event: GaussianEvent | PureEvent | DpSgdEvent, epsilon: float
) -> None:
    mechanisms = [Mechanism("m", "test", event)]
    high, low = delta_of(mechanisms, epsilon), delta_of(mechanisms, epsilon + 0.5)
    assert 0 <= low <= high <= 1


@st.composite
def wishes(draw: st.DrawFn) -> list[Request]:
    """A few measurements, some with a threshold, and perhaps a training."""
    shares = draw(st.lists(st.floats(0.001, 0.2), max_size=4))
    requests: list[Request] = [
        MeasurementRequest(f"m{n}", "counts", share, draw(st.sampled_from([0.0, 0.1])))
        for n, share in enumerate(shares)
    ]
    if draw(st.booleans()):
        rate, steps = draw(st.floats(0.005, 0.5)), draw(st.integers(1, 500))
        requests.append(TrainingRequest("t", "training", rate, steps))
    return requests


@settings(max_examples=8)
@given(wishes(), st.floats(0.05, 8), st.sampled_from([1e-7, 1e-5, 1e-3]))
def test_calibration_never_exceeds_its_target(
    requests: list[Request], epsilon: float, delta: float
) -> None:
    assume(requests)
    plan = calibrate(requests, PrivacyBudget(epsilon, delta), PrivacyUnit())
    assert 0.998 * epsilon <= epsilon_of(plan.mechanisms, delta) <= epsilon


@given(
    st.dictionaries(names, private_events | exacts, max_size=4),
    st.floats(1e-3, 100) | st.just(math.inf),
    st.floats(1e-12, 0.5),
    st.none() | names,
)
def test_a_plan_survives_json(
    events: dict[str, GaussianEvent | PureEvent | DpSgdEvent | NonPrivateEvent],
    epsilon: float,
    delta: float,
    column: str | None,
) -> None:
    mechanisms = tuple(Mechanism(name, "test", event, delta / 9) for name, event in events.items())
    unit = PrivacyUnit(column, 3 if column is not None else 1)
    plan = PrivacyPlan(mechanisms, PrivacyBudget(epsilon, delta), unit)
    assert PrivacyPlan.from_dict(json.loads(json.dumps(plan.to_dict(), allow_nan=False))) == plan


@given(st.floats(0, 1), st.floats(1e-3, 1000), st.floats(0, 10))
def test_a_suspicion_grows_with_epsilon_and_stays_a_probability(
    prior: float, epsilon: float, more: float
) -> None:
    plan = PrivacyPlan((), PrivacyBudget(epsilon, DELTA))

    def suspicion(epsilon: float) -> float:
        return Guarantee(plan.budget, plan, epsilon, epsilon, "PLD", "chacha20").suspicion(prior)

    assert prior <= suspicion(epsilon) * (1 + 1e-12)
    assert suspicion(epsilon) <= suspicion(epsilon + more) <= 1
