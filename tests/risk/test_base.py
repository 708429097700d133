from dataclasses import replace

import pytest
from scipy.stats import binom

from privsynth.errors import Inconclusive, UsageError
from privsynth.risk.base import AttackResult, Failure, Rate, Risk, ThreatModel, Verdict, timed
from privsynth.risk.statistics import compare

RESULT = AttackResult(
    attack="inference_x",
    title="Inference of x",
    criterion="inference",
    threat_model=ThreatModel("a", "b", "c"),
    n_planned=100,
    n_done=100,
    member=Rate(10, 100),
    control=Rate(10, 100),
    excess=Risk(0.0, -0.04, 0.04),
    persons=10,
    tool="privsynth",
)


@pytest.mark.parametrize(("hits", "total"), [(0, 20), (3, 20), (20, 20), (40, 1000)])
def test_clopper_pearson_limits_are_where_the_binomial_tails_are(hits: int, total: int) -> None:
    low, high = Rate(hits, total).interval(0.9)
    assert low == 0 if hits == 0 else binom.sf(hits - 1, total, low) == pytest.approx(0.05)
    assert high == 1 if hits == total else binom.cdf(hits, total, high) == pytest.approx(0.05)


@pytest.mark.parametrize(("hits", "total"), [(0, 0), (-1, 5), (6, 5)])
def test_impossible_rates_are_refused(hits: int, total: int) -> None:
    with pytest.raises(ValueError, match="is not a rate"):
        Rate(hits, total)


@pytest.mark.parametrize("limits", [(0.11, 0.2), (0.0, 0.09), (float("nan"), 0.2)])
def test_an_interval_holds_its_value(limits: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="must hold the value"):
        Risk(0.1, *limits)


@pytest.mark.parametrize(
    ("excess", "verdict"),
    [
        (Risk(0.0, -0.04, 0.04), Verdict.SUPPORTED),
        (Risk(0.02, 0.01, 0.04), Verdict.SUPPORTED),
        (Risk(0.02, -0.02, 0.06), Verdict.INCONCLUSIVE),
        (Risk(0.05, -0.04, 0.14), Verdict.INCONCLUSIVE),
        (Risk(0.2, 0.06, 0.3), Verdict.NOT_SUPPORTED),
        (Inconclusive("too few"), Verdict.INCONCLUSIVE),
    ],
)
def test_a_verdict_compares_the_limits_with_the_threshold(
    excess: Risk | Inconclusive, verdict: Verdict
) -> None:
    assert replace(RESULT, excess=excess).verdict(0.05) is verdict


@pytest.mark.parametrize("criterion", ["copies", "identifiers"])
def test_of_copies_and_identifiers_nothing_is_tolerated(criterion: str) -> None:
    small = replace(RESULT, criterion=criterion, excess=Risk(0.01, 0.001, 0.02))
    assert small.verdict(0.05) is Verdict.NOT_SUPPORTED
    none = replace(small, excess=Risk(0.0, 0.0, 0.0))
    assert none.verdict(0.05) is Verdict.SUPPORTED


def test_copies_that_chance_hardly_explains_are_not_called_supported() -> None:
    excess, p = compare(Rate(25, 828), Rate(0, 92))
    few = replace(RESULT, criterion="copies", excess=excess, p_value=p)
    assert isinstance(excess, Risk)
    assert excess.low < 0 < excess.high < 0.1
    assert few.verdict(0.1) is Verdict.INCONCLUSIVE
    assert replace(few, p_value=0.4).verdict(0.1) is Verdict.SUPPORTED
    assert replace(few, criterion="inference").verdict(0.1) is Verdict.SUPPORTED


def test_copies_that_one_of_many_attacks_would_find_by_chance_are_inconclusive() -> None:
    excess, p = compare(Rate(40, 400), Rate(20, 400))
    assert isinstance(excess, Risk)
    assert excess.low > 0
    found = replace(RESULT, criterion="copies", excess=excess, p_value=p)
    assert found.verdict(0.5) is Verdict.NOT_SUPPORTED
    among_many = replace(found, details={"p_holm": 0.2})
    assert among_many.verdict(0.5) is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("criterion", ["singling out", "linkability", "inference"])
def test_an_excess_over_the_limit_counts_where_it_holds_for_the_suite(criterion: str) -> None:
    excess, p = compare(Rate(40, 100), Rate(20, 100))
    assert isinstance(excess, Risk)
    assert excess.low > 0.05
    found = replace(RESULT, criterion=criterion, excess=excess, p_value=p)
    assert found.verdict(0.05) is Verdict.NOT_SUPPORTED
    among_many = replace(found, details={"p_holm": 0.06})
    assert among_many.verdict(0.05) is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.1, float("nan")])
def test_impossible_thresholds_are_refused(threshold: float) -> None:
    with pytest.raises(UsageError):
        RESULT.verdict(threshold)


def test_seconds_are_measured_and_do_not_count_in_comparisons() -> None:
    result = timed(lambda: RESULT)
    assert isinstance(result, AttackResult)
    assert result.seconds > 0
    assert result == RESULT
    failure = Failure("x", "X", "y", "copies")
    assert timed(lambda: failure) == failure
