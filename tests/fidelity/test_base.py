from __future__ import annotations

import pytest

from privsynth.fidelity.base import Failure, Score, metrics, timed


def _score(value: float, reference: float | None = None) -> Score:
    return Score(
        metric="m",
        title="M",
        group="quality",
        value=value,
        reference=reference,
        higher_is_better=True,
        tool="t",
    )


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_score_is_never_nan(bad: float) -> None:
    with pytest.raises(ValueError, match="give a Failure"):
        _score(bad)
    with pytest.raises(ValueError, match="give a Failure"):
        _score(1.0, bad)


def test_seconds_are_measured_and_do_not_count_in_comparisons() -> None:
    score = timed(lambda: _score(0.5))
    assert isinstance(score, Score)
    assert score.seconds > 0
    assert score == _score(0.5)
    failure = Failure("m", "M", "because")
    assert timed(lambda: failure) is failure


def test_the_built_in_metrics_are_registered() -> None:
    import privsynth.fidelity  # noqa: F401  registers them

    assert set(metrics.names()) >= {
        "association",
        "collapse",
        "detection",
        "sdmetrics",
        "total_variation",
        "utility",
    }
