import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privsynth.errors import Inconclusive
from privsynth.risk.base import Guesses, Rate, Risk
from privsynth.risk.statistics import (
    MIN_TRIALS,
    compare,
    design_effect,
    epsilon_lower,
    epsilon_refuted,
    excess,
    holm,
    p_value,
    residual,
    upper_excess,
    widened,
    wilson,
)


def rates(low: int = 1) -> st.SearchStrategy[Rate]:
    return st.integers(low, 500).flatmap(
        lambda total: st.integers(0, total).map(lambda hits: Rate(hits, total))
    )


@pytest.mark.parametrize(
    ("member", "control", "low", "high"),
    [  # Newcombe 1998, table II, method 10
        (Rate(56, 70), Rate(48, 80), 0.0524, 0.3339),
        (Rate(9, 10), Rate(3, 10), 0.1705, 0.8090),
        (Rate(10, 10), Rate(0, 20), 0.6791, 1.0),
    ],
)
def test_excess_agrees_with_the_published_intervals(
    member: Rate, control: Rate, low: float, high: float
) -> None:
    risk = excess(member, control)
    assert risk.low == pytest.approx(low, abs=1e-4)
    assert risk.high == pytest.approx(high, abs=1e-4)


@given(rates(), rates())
def test_excess_lies_in_its_interval_and_is_antisymmetric(member: Rate, control: Rate) -> None:
    there, back = excess(member, control), excess(control, member)
    assert -1 - 1e-9 <= there.low <= there.value <= there.high <= 1 + 1e-9
    assert there.low == pytest.approx(-back.high)


def test_the_upper_limit_of_many_counts_is_that_of_each() -> None:
    members, controls = np.array([0, 3, 17, 40]), np.array([0, 5, 20, 12, 40])
    limits = upper_excess((members[:, None], 40), (controls[None, :], 40))
    for i, member in enumerate(members):
        for j, control in enumerate(controls):
            assert limits[i, j] == excess(Rate(int(member), 40), Rate(int(control), 40)).high


@given(rates())
def test_wilson_holds_the_rate(rate: Rate) -> None:
    low, high = wilson(rate)
    assert 0 <= low <= rate.value + 1e-12
    assert rate.value - 1e-12 <= high <= 1


def test_newcombe_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    members, controls = rng.binomial(400, 0.3, 1000), rng.binomial(400, 0.25, 1000)
    pairs = zip(members.tolist(), controls.tolist(), strict=True)
    risks = [excess(Rate(m, 400), Rate(c, 400)) for m, c in pairs]
    assert 0.93 <= np.mean([risk.low <= 0.05 <= risk.high for risk in risks]) <= 0.97


def test_hits_on_the_same_few_persons_widen_the_interval_to_what_chance_does() -> None:
    rng, spans = np.random.default_rng(1), []
    for _ in range(400):  # 60 persons a side, each hit by 20 queries or by none
        sides = [np.repeat(np.where(rng.random(60) < 0.15, np.arange(60), -1), 20) for _ in "mc"]
        plain = excess(*(Rate(int((side >= 0).sum()), len(side)) for side in sides))
        wide = widened(plain, design_effect(sides))
        spans.append([risk.low <= 0 <= risk.high for risk in (plain, wide)])
    covers_plain, covers_wide = np.mean(spans, axis=0)
    assert covers_plain < 0.5
    assert covers_wide >= 0.93


def test_hits_on_different_persons_leave_the_interval_as_it_is() -> None:
    risk = excess(Rate(9, 100), Rate(4, 100))
    once = np.where(np.arange(100) < 9, np.arange(100), -1)
    assert design_effect([once, once[::-1]]) == design_effect([once[:0]]) == 1
    assert widened(risk, 1.0).high == pytest.approx(risk.high)


def test_p_value_is_one_sided() -> None:
    assert p_value(Rate(30, 100), Rate(10, 100)) < 0.001
    assert p_value(Rate(10, 100), Rate(30, 100)) > 0.99


def test_compare_gives_reasons_instead_of_numbers() -> None:
    without, _ = compare(Rate(1, 100), None)
    assert isinstance(without, Inconclusive)
    few, p = compare(Rate(1, MIN_TRIALS - 1), Rate(1, 100))
    assert isinstance(few, Inconclusive)
    assert p is None
    enough, p = compare(Rate(1, MIN_TRIALS), Rate(1, MIN_TRIALS))
    assert isinstance(enough, Risk)
    assert p is not None


def test_an_honest_epsilon_is_refuted_as_seldom_as_the_confidence_says() -> None:
    """Randomised response at epsilon 1, the sharpest mechanism there is; four tries."""
    rng, refuted = np.random.default_rng(0), 0
    for _ in range(300):
        right = rng.random(500) < 1 / (1 + np.exp(-1.0))
        hits = tuple(Rate(int(right[:n].sum()), n) for n in (25, 100, 400, 500))
        refuted += (epsilon_refuted([Guesses(500, hits)], delta=0.0) or 0.0) > 1.0
    assert refuted <= 21  # 15 expected at most, and two standard deviations


def test_so_many_pairs_count_as_delta_suits() -> None:
    """The number of pairs follows from delta alone, never from what was right."""
    sizes = {5_000: 4_800, 2_000: 1_500, 200: 199}
    guesses = [Guesses(n, (Rate(right, n),)) for n, right in sizes.items()]
    for delta, n in ((1e-6, 5_000), (4e-6, 5_000), (1e-5, 2_000), (1e-4, 200), (1e-2, 200)):
        expected = epsilon_lower(Rate(sizes[n], n), n, delta)
        assert epsilon_refuted(guesses, delta) == expected


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_between_the_p_value_and_bonferroni(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for before, after in zip(p_values, adjusted, strict=True):
        assert before <= after + 1e-12 <= 1 + 1e-9
    smallest = int(np.argmin(p_values))
    assert adjusted[smallest] == pytest.approx(min(1.0, len(p_values) * p_values[smallest]))


def test_holm_of_nothing_is_nothing() -> None:
    assert holm([]) == ()


def test_residual_where_control_leaves_no_room() -> None:
    assert residual(Rate(10, 10), Rate(10, 10)) == 0
    assert residual(Rate(95, 100), Rate(90, 100)) == pytest.approx(0.5)
