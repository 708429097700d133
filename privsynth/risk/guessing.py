"""When a guess is right, and how often guessing alone would be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from privsynth.risk.base import Rate
from privsynth.schema import Column, DateColumn, DatetimeColumn, IntegerColumn, NumericColumn

Scorer: TypeAlias = Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]
"""Guesses and secrets, of one shape, to whether each guess is right."""

RELATIVE_TOLERANCE = 0.05
DAYS_TOLERANCE = 30.0

_MAX_CANDIDATES = 256


def scorer(column: Column) -> Scorer:
    """The rule by which guesses of a column are right: its kind decides, never the data.

    >>> from privsynth.schema import NumericColumn
    >>> balance = scorer(NumericColumn(lower=-100, upper=100))
    >>> balance(np.array([-50.0, -99.0]), np.array([-51.0, -10.0])).tolist()
    [True, False]
    """
    if isinstance(column, DateColumn | DatetimeColumn):
        return within_days
    if isinstance(column, IntegerColumn | NumericColumn):
        return within_share
    return same_label


def same_label(guesses: NDArray[Any], secrets: NDArray[Any]) -> NDArray[Any]:
    """Exactly the same label; a missing guess is never right.

    >>> same_label(np.array([3, -1]), np.array([3, 3])).tolist()
    [True, False]
    """
    return np.asarray((guesses == secrets) & (guesses >= 0))


def within_share(guesses: NDArray[Any], secrets: NDArray[Any]) -> NDArray[Any]:
    """Within 5 % of the secret's absolute value; a missing guess is never right.

    >>> within_share(np.array([104.0, -104.0, np.nan]), np.array([100.0, 100.0, 100.0])).tolist()
    [True, False, False]
    """
    return np.asarray(np.abs(guesses - secrets) <= RELATIVE_TOLERANCE * np.abs(secrets))


def within_days(guesses: NDArray[Any], secrets: NDArray[Any]) -> NDArray[Any]:
    """Within 30 days; a missing guess is never right.

    >>> within_days(np.array([10.0, 99.0]), np.array([30.0, 30.0])).tolist()
    [True, False]
    """
    return np.asarray(np.abs(guesses - secrets) <= DAYS_TOLERANCE)


def best_guess(population: NDArray[Any], score: Scorer) -> float:
    """How often the one best guess is right: the majority label, or the best number.

    >>> best_guess(np.array([0, 0, 0, 1]), same_label)
    0.75
    """
    hits = _hits(_candidates(population), population, score)
    return float(hits.mean(axis=1).max())


def random_guess(synthetic: NDArray[Any], population: NDArray[Any], score: Scorer) -> float:
    """How often a value drawn from the synthetic column is right: the sum of p_syn(v) p_real(v).

    Numbers are drawn at evenly spaced quantiles.

    >>> random_guess(np.array([0, 0, 0, 1]), np.array([0, 1]), same_label)
    0.5
    """
    if score is same_label:
        shares = np.bincount(synthetic) / len(synthetic)
        known = population[population < len(shares)]
        return float(shares[known].sum() / len(population))
    points = np.quantile(synthetic, _midpoints(), method="nearest")
    return float(_hits(points, population, score).mean())


def group_rates(hits: NDArray[Any], groups: NDArray[Any]) -> dict[int, Rate]:
    """The rate of hits in each group, over the targets of that group that were attacked.

    >>> group_rates(np.array([True, False, True]), np.array([0, 0, 1]))
    {0: Rate(hits=1, total=2), 1: Rate(hits=1, total=1)}
    """
    return {
        int(group): Rate(int(hits[groups == group].sum()), int((groups == group).sum()))
        for group in np.unique(groups)
    }


def _candidates(population: NDArray[Any]) -> NDArray[Any]:
    """Guesses worth a try: the most frequent values, and quantiles where there are many."""
    values, counts = np.unique(population, return_counts=True)
    if len(values) <= _MAX_CANDIDATES:
        return np.asarray(values)
    frequent = values[np.argsort(-counts, kind="stable")[:_MAX_CANDIDATES]]
    quantiles = np.quantile(population, _midpoints(), method="nearest")
    return np.asarray(np.unique(np.r_[frequent, quantiles]))


def _midpoints() -> NDArray[Any]:
    return np.asarray((np.arange(_MAX_CANDIDATES) + 0.5) / _MAX_CANDIDATES)


def _hits(guesses: NDArray[Any], population: NDArray[Any], score: Scorer) -> NDArray[Any]:
    """(n_guesses, n_population) booleans; a large population is thinned evenly."""
    step = max(1, len(population) // 5_000)
    return score(guesses[:, None], np.sort(population)[None, ::step])
