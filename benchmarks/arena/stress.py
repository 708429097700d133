"""Data sets made by the project, where pairs of columns are not enough, or columns are many.

Each is drawn from a fixed public seed, and its distribution is known: `structure` names the sets
of columns whose joint distribution the set is made to test.

parity3, parity4   groups of k binary columns whose sum is even but for 2 % of the rows: every
                   smaller set of columns is uniform, so only a k-way marginal shows a group
mixture            two latents of 25 clusters, each seen through six columns of 5 codes that form
                   an orthogonal array: pairs are weak, and three columns tell the cluster
gaussians          15 dense correlated Gaussians, 16 bins each
wide60, wide150    latent factors, binned: 60 and 150 columns, 30,000 rows
long300k           latent factors, binned: 30 columns, 300,000 rows
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

SEED = 7_919
_FLIPPED = 0.02
_N_STRUCTURE = 60  # sets of columns at most, where there are many


@dataclass(frozen=True)
class Made:
    """Codes (n_rows, n_columns), the target last, and what there is to know about them."""

    codes: NDArray[np.int64]
    sizes: tuple[int, ...]
    ordered: tuple[bool, ...]
    structure: tuple[tuple[int, ...], ...]


def parity(order: int, n_rows: int) -> Made:
    """Twelve binary columns in groups of `order`, and a target that is the parity of a last group.

    The target is the parity of `order - 1` columns that come from different groups.
    """
    rng = np.random.default_rng(SEED + order)
    codes = rng.integers(0, 2, (n_rows, 13))
    groups = [tuple(range(start, start + order)) for start in range(0, 12, order)]
    for group in groups:
        *free, last = group
        codes[:, last] = codes[:, free].sum(axis=1) % 2
    predictors = tuple(group[0] for group in groups)[: order - 1]
    codes[:, 12] = codes[:, predictors].sum(axis=1) % 2
    flips = rng.random((n_rows, len(groups) + 1)) < _FLIPPED
    for number, column in enumerate([*(group[-1] for group in groups), 12]):
        codes[:, column] ^= flips[:, number]
    structure = (*groups, (*predictors, 12))
    return Made(codes, (2,) * 13, (True,) * 13, structure)


def mixture(n_rows: int) -> Made:
    """Two latents of 25 clusters, six columns each; the target: is just one in its half?

    Cluster (a, b) shows as a, b, a + b, a + 2b, a + 3b, a + 4b modulo 5, which is an orthogonal
    array of strength two: with clusters of equal share any two columns would be independent.
    """
    rng = np.random.default_rng(SEED + 1)
    blocks, clusters = [], []
    for _ in range(2):
        cluster = rng.choice(25, n_rows, p=rng.dirichlet(np.full(25, 8.0)))
        a, b = cluster // 5, cluster % 5
        shown = np.stack([a, b, *((a + step * b) % 5 for step in range(1, 5))], axis=1)
        noise = rng.integers(0, 5, shown.shape)
        blocks.append(np.where(rng.random(shown.shape) < 0.85, shown, noise))
        clusters.append(cluster)
    first, second = (rng.permutation(25) < 12 for _ in clusters)
    target = first[clusters[0]] ^ second[clusters[1]] ^ (rng.random(n_rows) < _FLIPPED)
    codes = np.column_stack([*blocks, target.astype(np.int64)])
    structure = (*combinations(range(6), 3), *combinations(range(6, 12), 3))
    return Made(codes, (5,) * 12 + (2,), (False,) * 12 + (True,), structure)


def gaussians(n_rows: int) -> Made:
    """Fifteen dense Gaussians; the target is whether a product of two and a third are positive."""
    rng = np.random.default_rng(SEED + 2)
    mixing = rng.normal(size=(15, 5))
    covariance = mixing @ mixing.T + 0.5 * np.eye(15)
    scale = np.sqrt(np.diag(covariance))
    covariance /= np.outer(scale, scale)
    values = rng.multivariate_normal(np.zeros(15), covariance, n_rows, method="cholesky")
    codes = _binned(values, 16)
    risk = values[:, 0] * values[:, 1] + values[:, 2] + 0.5 * rng.normal(size=n_rows)
    structure = _chosen(list(combinations(range(15), 3)), rng)
    return _with_target(codes, risk > 0.5, 16, structure)


def factors(n_columns: int, n_rows: int) -> Made:
    """Six latent factors seen through n_columns - 1 columns of 8 bins; the target is a seventh."""
    rng = np.random.default_rng(SEED + n_columns)
    latent = rng.normal(size=(n_rows, 6))
    loadings = rng.normal(size=(6, n_columns - 1)) * (rng.random((6, n_columns - 1)) < 0.5)
    strength = np.sqrt((loadings**2).sum(axis=0) + 0.5)
    noise = np.sqrt(0.5) * rng.normal(size=(n_rows, n_columns - 1))
    codes = _binned((latent @ loadings + noise) / strength, 8)
    risk = latent[:, 0] + latent[:, 1] * latent[:, 2] + 0.5 * rng.normal(size=n_rows)
    triples = [tuple(sorted(rng.choice(n_columns - 1, 3, replace=False))) for _ in range(200)]
    structure = _chosen(sorted({tuple(int(j) for j in triple) for triple in triples}), rng)
    return _with_target(codes, risk > 0.8, 8, structure)


def _binned(values: NDArray[np.float64], n_bins: int) -> NDArray[np.int64]:
    """Standard normal values in equal steps from -2.5 to 2.5, open at both ends."""
    return np.searchsorted(np.linspace(-2.5, 2.5, n_bins - 1), values, side="right")


def _with_target(
    codes: NDArray[np.int64],
    target: NDArray[np.bool_],
    n_bins: int,
    structure: tuple[tuple[int, ...], ...],
) -> Made:
    n_columns = codes.shape[1]
    return Made(
        np.column_stack([codes, target.astype(np.int64)]),
        (n_bins,) * n_columns + (2,),
        (True,) * (n_columns + 1),
        structure,
    )


def _chosen(
    subsets: list[tuple[int, ...]], rng: np.random.Generator
) -> tuple[tuple[int, ...], ...]:
    rows = rng.permutation(len(subsets))[:_N_STRUCTURE]
    return tuple(subsets[row] for row in np.sort(rows))


SETS: dict[str, Callable[[int | None], Made]] = {
    "parity3": lambda n_rows: parity(3, n_rows or 100_000),
    "parity4": lambda n_rows: parity(4, n_rows or 100_000),
    "mixture": lambda n_rows: mixture(n_rows or 100_000),
    "gaussians": lambda n_rows: gaussians(n_rows or 100_000),
    "wide60": lambda n_rows: factors(60, n_rows or 30_000),
    "wide150": lambda n_rows: factors(150, n_rows or 30_000),
    "long300k": lambda n_rows: factors(30, n_rows or 300_000),
}
