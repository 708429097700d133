import math

import numpy as np
import pytest

from privsynth.errors import UsageError
from privsynth.risk.base import Rate
from privsynth.risk.planning import planned_queries, powered_queries, verdict_queries
from privsynth.risk.statistics import excess, upper_excess


@pytest.mark.parametrize(
    ("control_rate", "n"), [(0.05, 36), (0.5, 669), (0.65, 1241), (0.9, 6014), (0.0, 0)]
)
def test_the_figures_of_the_plan(control_rate: float, n: int) -> None:
    assert planned_queries(control_rate, threshold=0.09) == n


def test_the_limit_of_the_residual_is_the_threshold_at_the_planned_n() -> None:
    """The planned n, simulated: the spread of the residual when nothing leaks."""
    n, rng = planned_queries(0.5), np.random.default_rng(0)
    members, controls = rng.binomial(n, 0.5, 20_000) / n, rng.binomial(n, 0.5, 20_000) / n
    assert 1.645 * np.std((members - controls) / (1 - controls)) == pytest.approx(0.09, rel=0.05)


def test_the_n_falls_with_the_threshold_and_rises_with_the_rate() -> None:
    assert planned_queries(0.5, 0.05) > planned_queries(0.5, 0.1) > planned_queries(0.2, 0.1)


@pytest.mark.parametrize(
    ("control_rate", "threshold"), [(1.0, 0.09), (-0.1, 0.09), (0.5, 0.0), (math.nan, 0.09)]
)
def test_impossible_plans_are_refused(control_rate: float, threshold: float) -> None:
    for plan in (planned_queries, verdict_queries, powered_queries):
        with pytest.raises(UsageError):
            plan(control_rate, threshold)


@pytest.mark.parametrize("control_rate", [0.0, 0.05, 0.5, 0.9])
def test_from_the_planned_n_even_rates_are_supported(control_rate: float) -> None:
    n = verdict_queries(control_rate, 0.09)
    assert n >= 30
    for total, supported in ((round(1.1 * n), True), (max(1, round(0.9 * n)), False)):
        same = Rate(round(control_rate * total), total)
        assert (excess(same, same).high < 0.09) is supported


@pytest.mark.parametrize("control_rate", [0.05, 0.5])
def test_the_verdict_is_supported_with_the_planned_chance(control_rate: float) -> None:
    """Simulated: four in five with the planned n, fewer with less, half with the even one."""
    rng = np.random.default_rng(0)

    def supported(n: int) -> float:
        members, controls = rng.binomial(n, control_rate, (2, 20_000))
        return float((upper_excess((members, n), (controls, n)) < 0.09).mean())

    n = powered_queries(control_rate, 0.09)
    assert supported(n) == pytest.approx(0.8, abs=0.03)
    assert supported(round(0.8 * n)) < 0.77
    assert 0.4 < supported(verdict_queries(control_rate, 0.09)) < 0.65
    assert powered_queries(control_rate, 0.09, power=0.95) > n


def test_a_power_that_is_no_chance_is_refused() -> None:
    with pytest.raises(UsageError, match="power"):
        powered_queries(0.5, 0.09, power=1.0)
