"""How often lot divides the persons who are alike between two tables as often as was seen."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Bound = Callable[[NDArray[Any]], tuple[float, NDArray[Any]]]


def n_divided_by_lot(alike: NDArray[Any], n_control: int) -> float:
    """The pairs of like persons with one on either side, on average over all divisions.

    `alike` says how many persons there are of each kind, (n_kinds,).

    >>> n_divided_by_lot(np.array([2, 2]), 2)
    1.3333333333333333
    """
    n = int(alike.sum())
    n_pairs = float((alike * (alike - 1.0)).sum()) / 2
    return n_pairs * 2 * n_control * (n - n_control) / (n * (n - 1))


def chance_of_dividing(alike: NDArray[Any], n_control: int, n_divided: int) -> float:
    """At least the chance that lot divides so many pairs of like persons, or more.

    Each choice of the control persons is a term of a polynomial in two variables, a and b: for
    each person of the control a factor a, for each divided pair a factor b. All terms are
    positive, so that those with a to the n_control and b to n_divided or more are together at
    most the polynomial / (a^n_control b^n_divided), for every a > 0 and b >= 1 (Chernoff). The
    smallest such value that is found, over the number of choices, is given: too high, never too
    low, whatever the numbers of like persons are.

    >>> chance_of_dividing(np.full(20, 2), 20, 20) < 1e-4  # each pair divided
    True
    >>> chance_of_dividing(np.full(20, 2), 20, 12)
    1.0
    """
    n = int(alike.sum())
    if n_divided <= n_divided_by_lot(alike, n_control):
        return 1.0
    from scipy.optimize import minimize

    bound, scale = _log_bound(alike, n_control, n_divided)
    start = np.array([math.log(n_control / (n - n_control)), 0.0]) / scale
    found = minimize(bound, start, jac=True, method="L-BFGS-B", bounds=[(None, None), (0.0, None)])
    return math.exp(min(0.0, float(found.fun)))


def _log_bound(alike: NDArray[Any], n_control: int, n_divided: int) -> tuple[_Bound, NDArray[Any]]:
    """The logarithm of the bound and its gradient, at (log a, log b) / scale, and the scale."""
    from scipy.special import gammaln

    n = int(alike.sum())
    size, times = np.unique(alike, return_counts=True)
    starts = np.cumsum(size + 1) - (size + 1)
    of = np.repeat(size, size + 1).astype(np.float64)
    hit = np.arange(len(of)) - np.repeat(starts, size + 1)  # of a kind, in the control
    pairs = hit * (of - hit)
    ways = gammaln(of + 1) - gammaln(hit + 1) - gammaln(of - hit + 1)
    choices = gammaln(n + 1) - gammaln(n_control + 1) - gammaln(n - n_control + 1)
    asked = np.array([n_control, n_divided], dtype=np.float64)

    def moments(logs: NDArray[Any]) -> tuple[float, NDArray[Any], NDArray[Any]]:
        exponents = ways + logs[0] * hit + logs[1] * pairs
        top = np.maximum.reduceat(exponents, starts)
        weights = np.exp(exponents - np.repeat(top, size + 1))
        total = np.add.reduceat(weights, starts)
        means, squares = (
            np.array([np.add.reduceat(weights * x**k, starts) / total for x in (hit, pairs)])
            for k in (1, 2)
        )
        return times @ (top + np.log(total)), means @ times, (squares - means**2) @ times

    share = n_control / n
    _, _, variances = moments(np.array([math.log(share / (1 - share)), 0.0]))
    scale = 1 / np.sqrt(variances)

    def bound(point: NDArray[Any]) -> tuple[float, NDArray[Any]]:
        logs = point * scale
        value, means, _ = moments(logs)
        return float(value - logs @ asked - choices), (means - asked) * scale

    return bound, scale
