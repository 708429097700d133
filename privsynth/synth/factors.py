"""What all pairs of columns say together: common factors, seen through the noise of each pair.

Where many columns hang together by few causes, the matrix of all pairs' departures from
independence has few large eigenvalues, while independent noise spreads over all of them: its own
end at a known edge (Wigner 1958). What lies beyond, shrunk as is best for squared error (Gavish
and Donoho 2017), predicts each pair from all others. How far a prediction is trusted, the second
round of measurements tells about that of the first. It is post-processing: no record is read.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from privsynth.synth.pairs import NoisyPairs, apart, column_of

FEWEST_COLUMNS = 20
_MOST_FACTORS = 64
_ROUNDS = 60
_LEAST_PART = 0.2  # of the mean variance: no single pair is taken to be predicted much better


def informed(first: NoisyPairs, second: NoisyPairs, shares: Tensor) -> NoisyPairs:
    """Both measurements as one, and what the common factors say where columns are many.

    `first` and `second` are independent; `shares` are the 1-ways, (total,). The factors' errors
    hang together, while the table that follows takes each pair's for its own, and with fewer
    than 20 columns they tell little (ADR 16).
    """
    both = first.merged(second)
    if len(both.sizes) < FEWEST_COLUMNS:
        return both
    return both.merged(foretold(first, second, shares))


def foretold(first: NoisyPairs, second: NoisyPairs, shares: Tensor) -> NoisyPairs:
    """Each pair as the common factors of all pairs have it, and how precise that is."""
    both = first.merged(second)
    variance = _remainder(second, shares, common(first, shares))
    precision = (1 / variance).float().fill_diagonal_(0.0)
    outer = shares[:, None] * shares[None, :]
    return NoisyPairs(both.sizes, (outer + common(both, shares)) * apart(both.sizes), precision)


def common(pairs: NoisyPairs, shares: Tensor) -> Tensor:
    """The part of the departures from independence that few factors make up, (total, total).

    Blocks on the diagonal are not measured, and pairs are not equally precise: each round fills in
    what the last one found, by as much as a pair lacks of the best precision.
    """
    between = apart(pairs.sizes)
    seen, columns = _departures(pairs, shares), column_of(pairs.sizes)
    best = pairs.precision.max().clamp_min(1e-30)
    part = (pairs.precision / best)[columns][:, columns] * between
    free = sum(size - 1 for size in pairs.sizes) / len(shares)  # what centring leaves of the noise
    edge = 4 * free * part.sum(1).max() / best
    generator = torch.Generator().manual_seed(0)
    basis = torch.randn(len(shares), min(_MOST_FACTORS, len(shares)), generator=generator)
    found = torch.zeros_like(seen)
    for _ in range(_ROUNDS):
        filled = torch.lerp(found, seen, part)
        basis = torch.linalg.qr(filled @ basis).Q
        values, turn = torch.linalg.eigh(basis.T @ filled @ basis)
        basis = basis @ turn
        shrunk = values.sign() * (values.square() - edge).clamp_min(0.0).sqrt()
        found = (basis * shrunk) @ basis.T
    return _centred(found * between, pairs.sizes) * between


def _remainder(pairs: NoisyPairs, shares: Tensor, predicted: Tensor) -> Tensor:
    """The variance of a cell about its prediction beyond noise, for each pair, (columns, columns).

    Each pair's own estimate is drawn to the mean of all by its own chance (an empirical Bayes
    estimate); the mean is raised by two standard errors, so that chance trusts nothing too far.
    """
    columns, sizes = column_of(pairs.sizes), torch.tensor(pairs.sizes).double()
    members = functional.one_hot(columns, len(sizes)).double()
    squares = members.T @ (_departures(pairs, shares) - predicted).double().square() @ members
    cells = sizes[:, None] * sizes[None, :]
    free = ((sizes - 1)[:, None] * (sizes - 1)[None, :]).clamp_min(1.0)
    precision = pairs.precision.double()
    noise = 1 / precision.clamp_min(1e-9 * float(precision.max()) + 1e-30)
    own = (squares - free * noise) / cells
    weight = cells.square() / (2 * free * noise.square())
    upper = torch.from_numpy(np.triu(np.ones(cells.shape), 1)) * weight
    mean = (own * upper).sum() / upper.sum()
    spread = ((own - mean).square() * upper).sum() - (upper > 0).sum()
    mean = mean.clamp_min(0.0) + 2 / upper.sum().sqrt()
    between = (spread / upper.sum()).clamp_min((0.5 * mean) ** 2)
    drawn = (own * between + mean / weight) / (between + 1 / weight)
    return drawn.clamp_min(float(_LEAST_PART * mean))


def _departures(pairs: NoisyPairs, shares: Tensor) -> Tensor:
    """Noisy pairs less what independent columns would have, without noise in the 1-ways."""
    between = apart(pairs.sizes)
    gaps = (pairs.shares - shares[:, None] * shares[None, :]) * between
    return _centred(gaps, pairs.sizes) * between


def _centred(matrix: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """The matrix with blocks whose rows and columns sum to 0."""
    columns = column_of(sizes)
    means = 1 / torch.tensor(sizes)[columns]
    members = functional.one_hot(columns, len(sizes)).float()
    level = matrix - (members @ (members.T @ matrix)) * means[:, None]
    return level - ((level @ members) @ members.T) * means[None, :]
