"""Private histograms: a tree of noisy counts that is fine where the records are."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from privsynth.table import Array


class Count(Protocol):
    """Noisy counts of the cell of each row, for one level; a row in cell -1 counts nowhere."""

    def __call__(self, cells: Array, n_cells: int, *, level: int) -> Array:
        """The counts, (n_cells,)."""


_DIRECT_STEPS = 40
_TWO_LEVELS = 2_000
_EXPAND_ABOVE_SIGMAS = 5.0
_SPIKE_SIGMAS = 4.0
_MOST_CELLS = 100_000
"""To how many cells a level may refine: the heaviest runs first, or memory has no bound."""


def n_levels(n_steps: int | None) -> int:
    """How many levels of counts a grid takes; a grid whose bounds are yet unknown takes three."""
    if n_steps is None:
        return 3
    return 1 if n_steps <= _DIRECT_STEPS else 2 if n_steps <= _TWO_LEVELS else 3


@dataclass(frozen=True)
class Histogram:
    """Runs of grid steps with their estimated counts; `n_missing` is the count of the missing."""

    starts: Array  # (n_cells,) first step of each run
    widths: Array  # (n_cells,) steps in each run
    counts: Array  # (n_cells,) estimated, not negative
    n_missing: float


def learn_histogram(
    steps: Array, absent: Array, *, n_steps: int, levels: int, count: Count, sigma: float
) -> Histogram:
    """A histogram of the steps, refined level by level where the counts above stand out.

    The cells of one level are disjoint, so each level is one measurement of L2 sensitivity 1.
    Runs split until they are one step wide or hold too little to tell from noise (Qardaji, Yang
    and Li 2013 discuss such adaptive grids).
    """
    fan = max(2, math.ceil(n_steps ** (1 / levels) - 1e-9))
    width = math.ceil(n_steps / fan) if levels > 1 else 1
    starts = np.arange(0, n_steps, width)
    cells = np.where(absent, len(starts), steps // width)
    noisy = count(cells, len(starts) + 1, level=1)
    counts = onto_simplex(noisy[:-1], max(float(noisy[:-1].sum()), 0.0))
    widths = np.minimum(width, n_steps - starts)
    histogram = Histogram(starts, widths, counts, max(float(noisy[-1]), 0.0))
    for level in range(2, levels + 1):
        width = 1 if level == levels else math.ceil(width / fan)
        answer = partial(count, level=level)
        histogram = _refined(histogram, np.where(absent, -1, steps), width, answer, sigma)
    return histogram


def _refined(
    coarse: Histogram,
    steps: Array,
    width: int,
    count: Callable[[Array, int], Array],
    sigma: float,
) -> Histogram:
    """The histogram with its heavy runs cut into runs of `width` steps, and those counted."""
    heavy = (coarse.counts > _EXPAND_ABOVE_SIGMAS * sigma) & (coarse.widths > width)
    pieces = np.where(heavy, -(-coarse.widths // width), 1)
    heavy = _affordable(heavy, pieces, coarse.counts)
    pieces = np.where(heavy, pieces, 1)
    parent = np.repeat(np.arange(len(pieces)), pieces)
    offset = np.arange(len(parent)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    starts = coarse.starts[parent] + offset * width
    left = coarse.starts[parent] + coarse.widths[parent] - starts
    widths = np.where(heavy[parent], np.minimum(width, left), coarse.widths[parent])
    cells = np.where(steps < 0, -1, np.searchsorted(starts, steps, side="right") - 1)
    child = heavy[parent]
    cells = np.where((cells >= 0) & child[np.maximum(cells, 0)], cells, -1)
    noisy = count(cells, len(starts))
    counts = coarse.counts[parent].astype(float)
    ends = np.cumsum(pieces)
    for run in np.flatnonzero(heavy):
        members, n = slice(ends[run] - pieces[run], ends[run]), pieces[run]
        total = (n * coarse.counts[run] + noisy[members].sum()) / (n + 1)
        counts[members] = onto_simplex(shrunk(noisy[members], sigma), max(total, 0.0))
    return Histogram(starts, widths, counts, coarse.n_missing)


def _affordable(heavy: Array, pieces: Array, counts: Array) -> Array:
    """Those of the heavy runs, the heaviest first, whose pieces are not too many together."""
    order = np.argsort(-np.where(heavy, counts, -1.0), kind="stable")
    cost = np.cumsum(np.where(heavy, pieces, 0)[order])
    kept = heavy.copy()
    kept[order[cost > _MOST_CELLS]] = False
    return kept


def shrunk(noisy: Array, sigma: float) -> Array:
    """The counts with as much of their spread taken out as the noise explains.

    Spikes stay; the rest is drawn towards its mean (James and Stein 1961), so that runs that
    hold nothing but noise come out even.
    """
    plain = noisy <= np.median(noisy) + _SPIKE_SIGMAS * sigma
    rest = noisy[plain]
    spread = float(rest.var())
    kept = max(0.0, 1.0 - sigma**2 / spread) if spread > 0 else 0.0
    even = noisy.astype(float).copy()
    even[plain] = rest.mean() + kept * (rest - rest.mean())
    return even


def onto_simplex(noisy: Array, total: float) -> Array:
    """The non-negative counts of that total nearest to the noisy ones (Duchi et al. 2008).

    >>> onto_simplex(np.array([5.0, -1.0, 2.0]), 6.0).tolist()
    [4.5, 0.0, 1.5]
    """
    if total <= 0:
        return np.zeros(len(noisy))
    ordered = np.sort(noisy)[::-1]
    excess = (np.cumsum(ordered) - total) / np.arange(1, len(noisy) + 1)
    last = int(np.flatnonzero(ordered - excess > 0)[-1])
    projected: Array = np.maximum(noisy - excess[last], 0.0)
    return projected


def pooled(counts: Array, widths: Array, sigma: float) -> Array:
    """The counts with those that noise could have made spread evenly over their steps."""
    faint = counts < 3.0 * sigma
    smooth = counts.copy()
    if faint.any():
        smooth[faint] = counts[faint].sum() * widths[faint] / widths[faint].sum()
    return smooth
