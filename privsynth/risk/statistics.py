"""How far an attack did better on train than on control records, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from privsynth.errors import Inconclusive
from privsynth.risk.base import NO_CONTROL, AttackResult, Guesses, Rate, Risk

MIN_TRIALS = 30
"""Fewer trials than this on either side decide nothing."""

Counts: TypeAlias = tuple[ArrayLike, int]
"""Hits, of one attack or of many, and the trials of each."""

_PAIRS_PER_DELTA = 0.02  # pairs times delta; with more of them the term in delta takes over


def excess(member: Rate, control: Rate, confidence: float = 0.95) -> Risk:
    """Member rate less control rate, with the hybrid score interval of Newcombe (1998).

    The two rates count as independent. Where the same queries were put to both tables they are
    positively correlated, and the interval is wider than it needs to be.

    >>> excess(Rate(56, 70), Rate(48, 80))  # Newcombe's own example: .0524 to .3339
    Risk(value=0.2000..., low=0.0524..., high=0.3338..., confidence=0.95)
    """
    low = -upper_excess((control.hits, control.total), (member.hits, member.total), confidence)
    high = upper_excess((member.hits, member.total), (control.hits, control.total), confidence)
    return Risk(member.value - control.value, float(low), float(high), confidence)


def upper_excess(member: Counts, control: Counts, confidence: float = 0.95) -> NDArray[np.float64]:
    """The upper limit that `excess` gives; arrays of hits broadcast, so that many take one call.

    The lower limit is that of the sides exchanged, negated.

    >>> upper_excess((np.array([3, 5]), 40), (4, 40)).round(2)
    array([0.11, 0.17])
    """
    (m, _, m_high), (c, c_low, _) = (
        score_interval(hits, total, confidence) for hits, total in (member, control)
    )
    return np.asarray(m - c + np.hypot(m_high - m, c - c_low))


def wilson(rate: Rate, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval of a rate (Wilson 1927).

    >>> [round(limit, 4) for limit in wilson(Rate(10, 100))]
    [0.0552, 0.1744]
    """
    _, low, high = score_interval(rate.hits, rate.total, confidence)
    return float(low), float(high)


def score_interval(
    hits: ArrayLike, total: int, confidence: float = 0.95
) -> tuple[NDArray[np.float64], ...]:
    """Rates of so many trials, and the lower and upper limits of their score intervals.

    >>> [limit.round(4).tolist() for limit in score_interval([0, 10], 100)]
    [[0.0, 0.1], [0.0, 0.0552], [0.037, 0.1744]]
    """
    hits, z = np.asarray(hits, dtype=np.float64), _two_sided(confidence)
    centre = (hits + z * z / 2) / (total + z * z)
    half = z / (total + z * z) * np.sqrt(hits * (total - hits) / total + z * z / 4)
    return hits / total, np.maximum(0.0, centre - half), np.minimum(1.0, centre + half)


@cache
def _two_sided(confidence: float) -> float:
    """The standard deviations on either side within which a normal variable keeps so often."""
    from scipy.stats import norm

    return float(norm.ppf((1 + confidence) / 2))


def p_value(member: Rate, control: Rate) -> float:
    """The chance of so large a difference, or a larger one, if train and control fare alike.

    One-sided exact test of Fisher (1935).

    >>> round(p_value(Rate(30, 100), Rate(10, 100)), 5)
    0.00033
    """
    from scipy.stats import fisher_exact

    table = [[rate.hits, rate.total - rate.hits] for rate in (member, control)]
    return float(fisher_exact(table, alternative="greater").pvalue)


def coin_p_value(hits: Rate) -> float:
    """The chance of as many hits or more where each trial is a fair coin's toss.

    >>> coin_p_value(Rate(5, 5))
    0.03125
    """
    from scipy.stats import binom

    return float(binom.sf(hits.hits - 1, hits.total, 0.5))


def epsilon_lower(hits: Rate, n_canaries: int, delta: float, confidence: float = 0.95) -> float:
    """The epsilon that so many right guesses refute at least, 0 where they refute none.

    Each of `n_canaries` was in or out by a fair coin of its own, and `hits` of the guesses made
    about some of them are right. One run is enough (Steinke, Nasr and Jagielski 2023, theorem
    5.2): under (epsilon, delta) the number of right guesses is at most binomial with
    e^epsilon / (1 + e^epsilon), but for a term in delta.

    >>> round(epsilon_lower(Rate(100, 100), n_canaries=1000, delta=1e-5), 2)
    3.47
    >>> epsilon_lower(Rate(55, 100), n_canaries=1000, delta=1e-5)
    0.0
    """
    low, high = 0.0, 30.0
    if _refuting(hits, n_canaries, 0.0, delta) > 1 - confidence:
        return 0.0
    for _ in range(40):
        middle = (low + high) / 2
        if _refuting(hits, n_canaries, middle, delta) <= 1 - confidence:
            low = middle
        else:
            high = middle
    return low


def epsilon_refuted(
    guesses: Sequence[Guesses], delta: float, confidence: float = 0.95
) -> float | None:
    """The epsilon of replace-one that guesses at pairs refute at least; None without any.

    Which of the `guesses` count is for delta alone to say: those at the most pairs that it suits.
    The best number of guesses counts, corrected for how many were tried.

    >>> all_pairs = Guesses(1_000, (Rate(25, 25), Rate(560, 1_000)))
    >>> round(epsilon_refuted([all_pairs], delta=1e-6), 2)
    1.83
    >>> epsilon_refuted([], delta=1e-6)
    """
    if not guesses:
        return None
    suited = [each for each in guesses if each.n_pairs * delta <= _PAIRS_PER_DELTA]
    chosen = max(suited, key=_n_pairs) if suited else min(guesses, key=_n_pairs)
    level = 1 - (1 - confidence) / len(chosen.hits)
    return max(epsilon_lower(each, chosen.n_pairs, delta, level) for each in chosen.hits)


def _n_pairs(guesses: Guesses) -> int:
    return guesses.n_pairs


def _refuting(hits: Rate, n_canaries: int, epsilon: float, delta: float) -> float:
    """The largest chance of so many right guesses or more that (epsilon, delta) allows."""
    from scipy.stats import binom

    right = 1 / (1 + math.exp(-epsilon))
    below = np.cumsum(binom.pmf(hits.hits - np.arange(1, hits.hits + 1), hits.total, right))
    steepest = float((below / np.arange(1, hits.hits + 1)).max(initial=0.0))
    by_chance = float(binom.sf(hits.hits - 1, hits.total, right))
    return min(1.0, by_chance + 2 * n_canaries * delta * steepest)


def compare(member: Rate, control: Rate | None) -> tuple[Risk | Inconclusive, float | None]:
    """Excess and p-value; a reason in place of the excess where the trials are too few.

    >>> compare(Rate(3, 20), Rate(1, 500))[0].reason
    'only 20 trials on train and 500 on control records; at least 30 each are needed'
    """
    if control is None:
        return Inconclusive(NO_CONTROL), None
    if min(member.total, control.total) < MIN_TRIALS:
        counts = f"{member.total} trials on train and {control.total} on control records"
        return Inconclusive(f"only {counts}; at least {MIN_TRIALS} each are needed"), None
    return excess(member, control), p_value(member, control)


def compared(member: Rate, control: Rate | None, **facts: Any) -> AttackResult:
    """The result of trying every target once on either side.

    `facts` say which attack it is, and how many trials were planned.
    """
    excess, p = compare(member, control)
    return AttackResult(
        n_done=member.total,
        member=member,
        control=control,
        excess=excess,
        p_value=p,
        persons=member.hits,
        tool="privsynth",
        **facts,
    )


def design_effect(sides: Sequence[NDArray[Any]]) -> float:
    """How many trials count as one where several hit one person (Kish 1965): sum k² / sum k.

    `sides` gives the person whom each trial hit, -1 for none, a person's number being its own on
    each side; k is how often a person was hit.

    >>> design_effect([np.array([4, 4, 4, -1]), np.array([7, -1, -1, -1])])
    2.5
    """
    counts = np.concatenate([np.unique(s[s >= 0], return_counts=True)[1] for s in sides])
    return float((counts**2).sum() / counts.sum()) if len(counts) else 1.0


def widened(risk: Risk, effect: float) -> Risk:
    """The interval as it is where `effect` trials count as one.

    >>> widened(Risk(0.01, -0.01, 0.04), effect=4.0)
    Risk(value=0.01, low=-0.03, high=0.07, confidence=0.95)
    """
    low, high = (
        round(risk.value + math.sqrt(effect) * (limit - risk.value), 12)
        for limit in (risk.low, risk.high)
    )
    low, high = max(-1.0, low), min(1.0, high)
    return replace(risk, low=min(low, risk.value), high=max(high, risk.value))  # as rounded


def lower_limit(risk: Risk, confidence: float) -> float:
    """The lower limit at another confidence, as a normal variable has it.

    >>> round(lower_limit(Risk(0.05, 0.03, 0.07), confidence=0.999), 4)
    0.0164
    """
    reach = _two_sided(confidence) / _two_sided(risk.confidence)
    return risk.value - reach * (risk.value - risk.low)


def holm(p_values: Sequence[float], weights: Sequence[float] | None = None) -> tuple[float, ...]:
    """The p-values adjusted for how many there are (Holm 1979), in the order given.

    With weights each may use its part of the level, and the errors together keep to it.

    >>> holm([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    >>> holm([0.01, 0.04], weights=[3.0, 1.0])
    (0.0133..., 0.04)
    """
    weights = weights or [1.0] * len(p_values)
    adjusted, highest, left = [0.0] * len(p_values), 0.0, math.fsum(weights)
    for i in sorted(range(len(p_values)), key=lambda i: p_values[i] / weights[i]):
        highest = max(highest, min(1.0, p_values[i] * left / weights[i]))
        adjusted[i] = highest
        left -= weights[i]
    return tuple(adjusted)


def residual(member: Rate, control: Rate) -> float:
    """The share of what control left to gain that was gained on train: (m - c) / (1 - c).

    This is the figure that anonymeter calls risk, without its cut at 0. It is 0 whenever
    everybody is equally exposed, so it never stands alone.

    >>> residual(Rate(60, 100), Rate(50, 100))
    0.2
    """
    room = 1 - control.value
    return round((member.value - control.value) / room, 12) if room else 0.0
