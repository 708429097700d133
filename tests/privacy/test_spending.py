from __future__ import annotations

import threading

import pytest

from privsynth.errors import BudgetError
from privsynth.privacy.budget import PrivacyBudget
from privsynth.privacy.plan import (
    DpSgdEvent,
    GaussianEvent,
    Mechanism,
    NonPrivateEvent,
    PrivacyPlan,
    PureEvent,
)
from privsynth.privacy.spending import Measurement, Spending

PLAN = PrivacyPlan(
    (
        Mechanism("counts", "cells", GaussianEvent(20.0), delta=1e-7),
        Mechanism("choice", "selection", PureEvent(0.1)),
        Mechanism("denoiser", "training", DpSgdEvent(0.1, 12.0, 3)),
    ),
    PrivacyBudget(1.0, 1e-5),
)

PAIRS = PrivacyPlan((Mechanism("pairs", "cells", GaussianEvent(3.0)),), PrivacyBudget(1.0, 1e-5))


def spending(plan: PrivacyPlan = PLAN) -> Spending:
    return Spending(plan, "entry", lambda entry_id, status: None)


def test_there_is_no_spending_without_an_entry() -> None:
    with pytest.raises(BudgetError, match="entry"):
        Spending(PLAN, "", lambda entry_id, status: None)


def test_a_measurement_carries_what_was_charged_and_is_taken_once() -> None:
    right = spending()
    token = right.measurement("counts")
    assert (token.name, token.noise_multiplier, token.delta) == ("counts", 20.0, 1e-7)
    with pytest.raises(BudgetError, match="taken already"):
        right.measurement("counts")


def test_a_measurement_answers_once() -> None:
    token = spending().measurement("counts")
    token.consume()
    with pytest.raises(BudgetError, match="second time"):
        token.consume()


def test_of_many_threads_one_consumes() -> None:
    token = Measurement("counts", 1.0)
    outcomes: list[str] = []

    def ask() -> None:
        try:
            token.consume()
            outcomes.append("asked")
        except BudgetError:
            outcomes.append("refused")

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["asked"] + ["refused"] * 15


def test_a_training_makes_the_steps_that_were_charged_and_no_more() -> None:
    right = spending()
    token = right.training("denoiser")
    assert (token.sample_rate, token.noise_multiplier, token.steps) == (0.1, 12.0, 3)
    assert [token.next_step() for _ in range(3)] == [0, 1, 2]
    assert token.steps_left == 0
    with pytest.raises(BudgetError, match="3 steps"):
        token.next_step()
    with pytest.raises(BudgetError, match="taken already"):
        right.training("denoiser")


def test_a_mechanism_leaves_only_as_what_it_is() -> None:
    right = spending()
    with pytest.raises(BudgetError, match="not a measurement"):
        right.measurement("denoiser")
    with pytest.raises(BudgetError, match="not a measurement"):
        right.measurement("choice")
    with pytest.raises(BudgetError, match="not a training"):
        right.training("counts")
    with pytest.raises(BudgetError, match="no mechanism"):
        right.measurement("unheard of")
    assert right.measurement("counts").noise_multiplier == 20.0  # a refusal takes nothing


def test_without_privacy_the_noise_is_0() -> None:
    exact = spending(
        PrivacyPlan(
            (
                Mechanism("counts", "cells", NonPrivateEvent()),
                Mechanism("denoiser", "training", NonPrivateEvent(0.1, 3)),
            ),
            PrivacyBudget.no_privacy(),
        )
    )
    measurement, training = exact.measurement("counts"), exact.training("denoiser")
    assert (measurement.noise_multiplier, measurement.is_private) == (0.0, False)
    assert (training.noise_multiplier, training.is_private) == (0.0, False)
    assert (training.sample_rate, training.steps_left) == (0.1, 3)


def test_closing_says_how_it_ended_and_ends_it() -> None:
    said: list[tuple[str, str]] = []
    right = Spending(PLAN, "entry", lambda entry_id, status: said.append((entry_id, status)))
    right.close("failed")
    assert said == [("entry", "failed")]
    with pytest.raises(BudgetError, match="closed"):
        right.measurement("counts")
    with pytest.raises(BudgetError, match="closed already"):
        right.close("done")
    assert said == [("entry", "failed")]


def test_parts_of_a_split_carry_the_noise_that_their_weights_leave() -> None:
    parts = Measurement("pairs", noise_multiplier=3.0).split([0.6, 0.8])
    assert [part.noise_multiplier for part in parts] == pytest.approx([5.0, 3.75])
    assert [part.name for part in parts] == ["pairs, 0", "pairs, 1"]
    assert sum(part.noise_multiplier**-2 for part in parts) <= 3.0**-2


def test_a_split_uses_the_measurement_up_and_each_part_answers_once() -> None:
    token = spending(PAIRS).measurement("pairs")
    parts = token.split([0.5, 0.5])
    with pytest.raises(BudgetError, match="second time"):
        token.consume()
    with pytest.raises(BudgetError, match="second time"):
        token.split([0.1])
    parts[0].consume()
    with pytest.raises(BudgetError, match="second time"):
        parts[0].split([1.0])
    parts[1].consume()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([0.8, 0.7], "above 1"),
        ([1.0, 1e-4], "above 1"),
        ([float("inf")], "above 1"),
        ([0.5, 0.0], "above 0"),
        ([0.5, -0.5], "above 0"),
        ([float("nan")], "above 0"),
    ],
)
def test_a_split_beyond_the_charge_is_refused_and_uses_nothing(
    weights: list[float], message: str
) -> None:
    token = Measurement("pairs", 3.0)
    with pytest.raises(BudgetError, match=message):
        token.split(weights)
    token.consume()


def test_a_measurement_with_a_threshold_cannot_be_split() -> None:
    with pytest.raises(BudgetError, match="threshold"):
        spending().measurement("counts").split([1.0])


def test_a_split_without_privacy_stays_exact() -> None:
    assert [part.is_private for part in Measurement("pairs", 0.0).split([0.6, 0.8])] == [False] * 2
