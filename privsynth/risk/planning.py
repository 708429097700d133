"""How many persons an attack must be tried on before it can show that nothing leaks."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from privsynth.errors import UsageError
from privsynth.risk.statistics import MIN_TRIALS, upper_excess

_Z = 1.645  # one-sided limit of 95 %
_SPREAD = 5.0  # standard deviations beyond which a count is left out: two in a million


def planned_queries(control_rate: float, threshold: float = 0.09) -> int:
    """The queries, on train and on control each, that put the upper limit under the threshold.

    The limit is that of the residual risk (m - c) / (1 - c), one-sided at 95 %, when nothing
    leaks (m = c). By the delta method its standard error is then sqrt(2 c / ((1 - c) n)), so

        n = 2 · 1.645² · c / ((1 - c) · threshold²).

    A verdict of the suite rests on the excess m - c, with two-sided limits and at least 30 trials:
    see `verdict_queries`.

    >>> [planned_queries(rate) for rate in (0.05, 0.5, 0.65, 0.9)]
    [36, 669, 1241, 6014]
    """
    _require_possible(control_rate, threshold)
    return math.ceil(2 * _Z**2 * control_rate / ((1 - control_rate) * threshold**2))


def verdict_queries(control_rate: float, threshold: float = 0.09) -> int:
    """The queries a side from which the verdict is `supported` where train and control fare alike.

    That is where the upper limit of the excess, as the suite computes it, is under the threshold
    at the very same rate on both sides: about even odds, since by chance the rates will differ.

    >>> [verdict_queries(rate) for rate in (0.0, 0.05, 0.5, 0.9)]
    [39, 64, 234, 94]
    """
    _require_possible(control_rate, threshold)

    def is_enough(n: int) -> bool:
        even = (control_rate * n, n)
        return bool(upper_excess(even, even) < threshold)

    return _least(is_enough)


def powered_queries(control_rate: float, threshold: float = 0.09, power: float = 0.8) -> int:
    """The queries a side with which the verdict is `supported` with that chance if nothing leaks.

    Members and controls are hit by chance at the same rate, independently; the chance is summed
    over both binomial counts.

    >>> [powered_queries(rate) for rate in (0.0, 0.05, 0.5)]
    [39, 110, 480]
    """
    _require_possible(control_rate, threshold)
    if not 0 < power < 1:
        raise UsageError("the power must lie between 0 and 1")
    return _least(lambda n: _chance_of_support(n, control_rate, threshold) >= power)


def _require_possible(control_rate: float, threshold: float) -> None:
    if not 0 <= control_rate < 1:
        raise UsageError("the control rate must be at least 0 and less than 1")
    if not 0 < threshold < 1:
        raise UsageError("the threshold must lie between 0 and 1")


def _least(is_enough: Callable[[int], bool]) -> int:
    """The least number from which it is enough, to within the steps that counts make."""
    low, high = MIN_TRIALS - 1, MIN_TRIALS
    while not is_enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def _chance_of_support(n: int, rate: float, threshold: float) -> float:
    from scipy.stats import binom

    reach = _SPREAD * math.sqrt(n * rate * (1 - rate))
    hits = np.arange(max(0, math.floor(n * rate - reach)), min(n, math.ceil(n * rate + reach)) + 1)
    chance = binom.pmf(hits, n, rate)
    supported = upper_excess((hits[:, None], n), (hits[None, :], n)) < threshold
    return float(chance @ supported @ chance)
