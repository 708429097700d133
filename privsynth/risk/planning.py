"""How many queries an attack needs before it can show that nothing leaks."""

from __future__ import annotations

import math

from privsynth.errors import UsageError

_Z = 1.645  # one-sided limit of 95 %


def planned_queries(control_rate: float, threshold: float = 0.09) -> int:
    """The queries, on train and on control each, that put the upper limit under the threshold.

    The limit is that of the residual risk (m - c) / (1 - c), one-sided at 95 %, when nothing
    leaks (m = c). By the delta method its standard error is then sqrt(2 c / ((1 - c) n)), so

        n = 2 · 1.645² · c / ((1 - c) · threshold²).

    The excess m - c is at most the residual, so these queries are enough for it as well.

    >>> [planned_queries(rate) for rate in (0.05, 0.5, 0.65, 0.9)]
    [36, 669, 1241, 6014]
    """
    if not 0 <= control_rate < 1:
        raise UsageError("the control rate must be at least 0 and less than 1")
    if not 0 < threshold < 1:
        raise UsageError("the threshold must lie between 0 and 1")
    return math.ceil(2 * _Z**2 * control_rate / ((1 - control_rate) * threshold**2))
