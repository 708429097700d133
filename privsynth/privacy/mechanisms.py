"""What may be asked of the records: noisy counts, categories by threshold, and bounds.

Each function uses its token up before it looks at a record, and asks for nothing beyond one
histogram to which a privacy unit contributes at most 1 in all. A noise multiplier of 0, a run
without privacy, gives the exact answer.

Counts and noise are integers on a grid: the noise is an exact discrete Gaussian (Canonne, Kamath
and Steinke 2020), so no float carries a record's trace in its last bits (Mironov 2012). Sigma is
at least 2**13 steps of the grid. The Rényi divergence is then at most that of the continuous
Gaussian which the accountant knows; delta at a given epsilon, a sum in place of an integral, can
exceed it by a fraction of 1e-7 at most, far below the accountant's own rounding upwards.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from fractions import Fraction
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from privsynth.errors import BudgetError, UsageError
from privsynth.privacy.noise import Floats, Integers, NoiseSource, discrete_gaussian
from privsynth.privacy.spending import Measurement

_COARSEST_SIGMA = 2**13  # in steps of the grid, for a noise multiplier of 2**-12 and above
_FINEST_SIGMA = 2**25  # its square is the largest that the discrete Gaussian takes
_COMMON_MULTIPLE = 2520  # of 1..10: up to here rows of 1/c count without rounding
_FINE_SCALE = 2**20
_FINEST_SCALE = 2**25  # so that 2**28 units are summed exactly
_EXPONENTS = (-20, 60)  # private bounds resolve magnitudes from 2**-20 to 2**61
_EMPTY_BIN_KEPT = 1e-3  # probability that any empty bin of private bounds passes for a full one


def unit_weights(units: NDArray[np.int64]) -> Floats:
    """One over the number of rows of each row's unit, so that each unit weighs 1: (n_rows,).

    >>> unit_weights(np.array([0, 1, 1]))
    array([1. , 0.5, 0.5])
    """
    _, inverse, rows = np.unique(units, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / rows[inverse])


def noisy_counts(
    cells: NDArray[np.int64],
    n_cells: int,
    *,
    weights: Floats | None = None,
    max_rows: int = 1,
    measurement: Measurement,
    noise: NoiseSource,
) -> Floats:
    """How many units each cell holds, with Gaussian noise: (n_cells,) floats, negative ones too.

    `cells` numbers each row's cell; -1 leaves the row out. `weights` are those of `unit_weights`,
    and needed where a unit may have several rows, `max_rows` at most; a weight is rounded down to
    one over a whole number, and by up to a millionth more where `max_rows` is above 10.

    >>> from privsynth.privacy.noise import SeededNoise
    >>> exact = Measurement("ages", noise_multiplier=0.0)
    >>> noisy_counts(np.array([0, 2, 2, -1]), 3, measurement=exact, noise=SeededNoise(1))
    array([1., 0., 2.])
    """
    measurement.consume()
    grid = _grid(measurement.noise_multiplier, max_rows)
    counts = _count(cells, n_cells, _whole_weights(cells.size, weights, max_rows, grid))
    return _add_noise(counts, grid, noise) / grid.scale


def discover_categories(
    labels: NDArray[np.object_],
    *,
    weights: Floats | None = None,
    max_rows: int = 1,
    measurement: Measurement,
    noise: NoiseSource,
) -> dict[str, float]:
    """The labels that many units share, with their noisy counts, sorted by label.

    A label is shown if its noisy count reaches a threshold. The labels that a single unit alone
    holds, `max_rows` at most, pass it with a probability of at most `measurement.delta` in all, so
    that a rare label does not betray its holder. None is missing and not a label.

    >>> from privsynth.privacy.noise import SeededNoise
    >>> token = Measurement("codes", noise_multiplier=2.0, delta=1e-6)
    >>> labels = np.array(["I21"] * 50 + ["E11"] * 40 + ["Q99"], dtype=object)
    >>> list(discover_categories(labels, measurement=token, noise=SeededNoise(1)))
    ['E11', 'I21']
    """
    measurement.consume()
    grid = _grid(measurement.noise_multiplier, max_rows)
    threshold = _threshold(grid, measurement, max_rows)
    names, cells = _distinct(labels)
    counts = _count(cells, len(names), _whole_weights(cells.size, weights, max_rows, grid))
    noisy = _add_noise(counts, grid, noise)
    kept = np.flatnonzero(noisy >= threshold)
    return {names[cell]: float(noisy[cell] / grid.scale) for cell in kept}


def private_bounds(
    values: Floats,
    *,
    weights: Floats | None = None,
    max_rows: int = 1,
    measurement: Measurement,
    noise: NoiseSource,
) -> tuple[float, float] | None:
    """A lower and an upper bound of the values to within a factor of 2, or None if all is noise.

    A noisy histogram over public bins, zero and ±[2**k, 2**(k+1)), whose outermost bins that
    stand clear of the noise give the bounds; values beyond them are to be clamped. Below 2**-20
    in size a value counts as zero; one that is not finite is left out. Without privacy: the
    smallest and the largest value.

    >>> from privsynth.privacy.noise import SeededNoise
    >>> ages = np.arange(20.0, 90.0).repeat(10)
    >>> private_bounds(ages, measurement=Measurement("age", 2.0), noise=SeededNoise(1))
    (16.0, 128.0)
    """
    if not measurement.is_private:
        measurement.consume()
        finite = values[np.isfinite(values)]
        return (float(finite.min()), float(finite.max())) if finite.size else None
    edges = _exponential_edges()
    counts = noisy_counts(
        _exponential_bins(values, edges),
        edges.size - 1,
        weights=weights,
        max_rows=max_rows,
        measurement=measurement,
        noise=noise,
    )
    kept = np.flatnonzero(counts > bounds_threshold(measurement.noise_multiplier))
    if not kept.size:
        return None
    is_zero = kept == counts.size // 2
    low = 0.0 if is_zero[0] else float(edges[kept[0]])
    high = 0.0 if is_zero[-1] else float(edges[kept[-1] + 1])
    return low, high


def bounds_threshold(noise_multiplier: float) -> float:
    """The noisy count of a bin above which `private_bounds` takes it to be more than noise.

    >>> round(bounds_threshold(10.0), 1)
    43.7
    """
    n_bins = _exponential_edges().size - 1
    return -NormalDist().inv_cdf(_EMPTY_BIN_KEPT / n_bins) * noise_multiplier


@dataclass(frozen=True)
class _Grid:
    """The steps in which units are counted: one unit is `scale` steps."""

    scale: int
    sigma_squared: int  # of the noise, in steps


def _grid(noise_multiplier: float, max_rows: int) -> _Grid:
    """The grid for that noise: public facts decide it, never a record.

    Its scale is a multiple of 1..max_rows where that is small, so that 1/c of a unit is a whole
    number of steps; otherwise it is fine. Sigma squared is rounded up.
    """
    common = math.lcm(*range(1, min(max_rows, _COMMON_MULTIPLE) + 1))
    if common > _COMMON_MULTIPLE or common * noise_multiplier > _FINEST_SIGMA:
        common = _FINE_SCALE
        while common * noise_multiplier > _FINEST_SIGMA:
            common //= 2
    if common == 0:
        raise UsageError("a noise multiplier above 2**25 drowns every count")
    if noise_multiplier == 0:
        return _Grid(common, 0)
    finer = math.ceil(_COARSEST_SIGMA / (common * noise_multiplier))
    scale = common * max(1, min(finer, _FINEST_SCALE // common))
    return _Grid(scale, math.ceil((Fraction(noise_multiplier) * scale) ** 2))


def _whole_weights(n_rows: int, weights: Floats | None, max_rows: int, grid: _Grid) -> Integers:
    """What each row adds, in steps of the grid; the rows of a unit add at most grid.scale."""
    if weights is None:
        if max_rows > 1:
            raise UsageError("rows need weights where a unit may have more than one of them")
        return np.full(n_rows, grid.scale)
    if weights.shape != (n_rows,) or not ((weights > 0) & (weights <= 1)).all():
        raise UsageError("each row needs one weight, above 0 and at most 1")
    shares = np.ceil((1.0 / weights) * (1 - 1e-9)).astype(np.int64)  # 1/c is not exact in floats
    return np.asarray(grid.scale // shares)


def _count(cells: NDArray[np.int64], n_cells: int, steps: Integers) -> Integers:
    """Steps in each cell: (n_cells,)."""
    if ((cells < -1) | (cells >= n_cells)).any():
        raise UsageError(f"cell numbers must lie between -1 and {n_cells - 1}")
    # Sums of whole numbers below 2**53 are exact in floats; cell 0 takes what is left out.
    return np.bincount(cells + 1, steps, minlength=n_cells + 1)[1:].astype(np.int64)


def _add_noise(counts: Integers, grid: _Grid, noise: NoiseSource) -> Integers:
    return counts + discrete_gaussian(grid.sigma_squared, counts.size, noise)


def _distinct(labels: NDArray[np.object_]) -> tuple[list[str], NDArray[np.int64]]:
    """Distinct labels, sorted, so that the order of rows decides nothing, and each row's number."""
    import pandas as pd

    codes, found = pd.factorize(labels, use_na_sentinel=True)
    order = np.argsort(found) if len(found) else np.empty(0, dtype=np.int64)
    rank = np.full(len(found) + 1, -1)  # the last entry answers for -1, missing
    rank[order] = np.arange(len(found))
    return [str(found[number]) for number in order], rank[codes]


def _threshold(grid: _Grid, measurement: Measurement, max_rows: int) -> int:
    """The least count, in steps, that a lone unit's labels reach with probability <= delta.

    The tail of the noise is convex, so the worst case for weights that sum to 1 is one label of
    weight 1 and max_rows - 1 of weight 0.
    """
    if grid.sigma_squared == 0:
        return 1
    if measurement.delta <= 0:
        raise BudgetError(
            f"measurement {measurement.name!r} has no delta: a threshold on labels needs one"
        )

    def is_safe(threshold: int) -> bool:
        lone = _tail(threshold - grid.scale, grid) + (max_rows - 1) * _tail(threshold, grid)
        return lone <= measurement.delta

    low, high = grid.scale, grid.scale + 40 * math.isqrt(grid.sigma_squared)
    return bisect_left(range(low, high), True, key=is_safe) + low


def _tail(steps: int, grid: _Grid) -> float:
    """At least the probability that the noise reaches `steps` (Canonne et al. 2020)."""
    return math.erfc((steps - 1) / math.sqrt(2 * grid.sigma_squared)) / 2


def _exponential_edges() -> Floats:
    """Edges of the public bins: -2**61 … -2**-20, 2**-20 … 2**61; zero lies in the middle bin."""
    positive = 2.0 ** np.arange(_EXPONENTS[0], _EXPONENTS[1] + 2)
    return np.concatenate([-positive[::-1], positive])


def _exponential_bins(values: Floats, edges: Floats) -> NDArray[np.int64]:
    """The bin of each value, the outermost for those beyond; -1 where it is not finite."""
    middle = edges.size // 2 - 1
    magnitude = np.searchsorted(edges[middle + 1 :], np.abs(values), side="right")
    magnitude = np.minimum(magnitude, middle)
    return np.where(np.isfinite(values), middle + np.sign(values) * magnitude, -1).astype(np.int64)
