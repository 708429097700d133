import math

import numpy as np
import pytest

from privsynth.errors import UsageError
from privsynth.risk.planning import planned_queries


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
    with pytest.raises(UsageError):
        planned_queries(control_rate, threshold)
