"""Drawing from a denoiser: columns revealed one at a time, many rows at once.

A block of rows shares one random order of the columns; blocks are drawn side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from privsynth.synth.maxent import one_hot

if TYPE_CHECKING:
    from privsynth.synth.denoiser import Denoiser

Layer: TypeAlias = Callable[[Tensor], Tensor]
BLOCK_ROWS = 1_024
_BY_COLUMN = 0.5  # how often draws are even within a column's codes; else among like distributions
_GOLDEN = (5**0.5 - 1) / 2


def blocks(
    denoiser: Denoiser, n_rows: int, given: Mapping[int, int], rng: np.random.Generator
) -> Iterator[Tensor]:
    """Codes of n_rows records, block by block, each with an order of the columns of its own."""
    rows = [min(BLOCK_ROWS, n_rows - start) for start in range(0, n_rows, BLOCK_ROWS)]
    seeds = rng.integers(2**62, size=len(rows)).tolist()

    def block(rows: int, seed: int) -> Tensor:
        rng = np.random.default_rng(seed)
        codes, _ = reveal(denoiser, rows, given, rng)
        return corrected(denoiser, codes, given, rng)

    with _workers() as pool:
        yield from pool.map(block, rows, seeds)


@contextmanager
def _workers() -> Iterator[ThreadPoolExecutor]:
    """As many threads as torch would take for one operation, with one thread of torch each."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(n_threads) as pool:
            yield pool
    finally:
        torch.set_num_threads(n_threads)


@torch.no_grad()
def reveal(
    denoiser: Denoiser, rows: int, given: Mapping[int, int], rng: np.random.Generator
) -> tuple[Tensor, dict[int, Tensor]]:
    """Codes of `rows` records, (rows, columns), drawn in one random order of the columns.

    Those that are `given` come first, the targets last.

    Also the mean distribution from which each column was drawn: its marginal, with less variance
    than counts of the draws. The first layer is linear in what is visible, so revealing a column
    only adds to it; only that column's logits are computed, and once for all rows that are alike.
    """
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    layers = [_Layers(part) for part in (denoiser, denoiser.base) if part is not None]
    n_columns, total = len(denoiser.sizes), len(denoiser.log_shares)
    h = [each.bias + each.table[total:].sum(0)[None] for each in layers]  # (states, width) each
    state = torch.zeros(rows, dtype=torch.long)  # which of the states each row is in
    codes = torch.zeros(rows, n_columns, dtype=torch.long)
    marginals, drawn = {}, list[int]()
    for j in [*given, *_order(denoiser, given, rng)]:
        start, size = int(denoiser.offsets[j]), denoiser.sizes[j]
        if j in given:
            codes[:, j] = given[j]
        else:
            one = slice(start, start + size)
            logits = [each.logits(x, one) for each, x in zip(layers, h, strict=True)]
            shares = (sum(logits) + denoiser.log_shares[one]).softmax(1)  # (states, size)
            if drawn and rng.random() < _BY_COLUMN:
                key = codes[:, drawn[int(rng.integers(len(drawn)))]]
            else:
                key = _rank(shares)[state]
            codes[:, j] = draw_codes(shares[state], spread(key, generator))
            marginals[j] = torch.bincount(state, minlength=len(shares)) / rows @ shares
        drawn.append(j)
        states, state = torch.unique(state * size + codes[:, j], return_inverse=True)
        h = [each.revealed(x, states, j) for each, x in zip(layers, h, strict=True)]
    return codes, marginals


@torch.no_grad()
def corrected(
    denoiser: Denoiser, codes: Tensor, held: Collection[int], rng: np.random.Generator
) -> Tensor:
    """Rows after one Gibbs sweep: every column but those held is drawn anew given all others.

    A corrector step (Campbell et al. 2022). With all but one column visible the pairwise model
    that a taught denoiser relies on is exact, and the network that learned from records adds what
    it found; a denoiser that relies on none leaves the rows as they are. Works in place.
    """
    teacher = denoiser.base or denoiser
    if teacher.bias is None or teacher.theta is None:
        return codes
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    tuned = None if denoiser.base is None else _Layers(denoiser)
    seen = one_hot(codes, denoiser.sizes)
    for j in _order(denoiser, held, rng):
        one = slice(int(denoiser.offsets[j]), int(denoiser.offsets[j]) + denoiser.sizes[j])
        seen[:, one] = 0.0
        logits = torch.addmm(teacher.bias[one], seen, teacher.theta[:, one])
        if tuned is not None:
            logits += tuned.logits(tuned.first(seen, j), one)
        shares = logits.softmax(1)
        drawn = draw_codes(shares, spread(_rank(shares), generator))
        seen[:, one] = functional.one_hot(drawn, denoiser.sizes[j]).float()
        codes[:, j] = drawn
    return codes


def _order(denoiser: Denoiser, held: Collection[int], rng: np.random.Generator) -> list[int]:
    """The columns to draw, in random order but for the targets: they are drawn given all others."""
    free = [j for j in rng.permutation(len(denoiser.sizes)).tolist() if j not in held]
    return sorted(free, key=lambda column: column in denoiser.targets)


class _Layers:
    """The layers of a denoiser as drawing takes them."""

    def __init__(self, denoiser: Denoiser) -> None:
        self.table = denoiser.embedding()  # (total + columns, width)
        self.bias = denoiser.embed.bias
        self._denoiser = denoiser
        self._inner = [_layer(*each.parameters()) for each in denoiser.inner]

    def first(self, seen: Tensor, column: int) -> Tensor:
        """The first layer's output where one column alone is hidden, (rows, width)."""
        total = len(self._denoiser.log_shares)
        return torch.addmm(self.bias + self.table[total + column], seen, self.table[:total])

    def logits(self, h: Tensor, codes: slice) -> Tensor:
        """What it adds to the logits of one column in each state, (states, codes)."""
        head = _layer(self._denoiser.head.weight[codes], self._denoiser.head.bias[codes])
        return head(self._denoiser.body(h, self._inner))

    def revealed(self, h: Tensor, states: Tensor, column: int) -> Tensor:
        """The first layer's output once a column is seen: a state numbers old state and code."""
        size, start = self._denoiser.sizes[column], int(self._denoiser.offsets[column])
        hidden = len(self._denoiser.log_shares) + column
        added = self.table[start : start + size] - self.table[hidden]
        return h[states // size] + added[states % size]


def _layer(weight: Tensor, bias: Tensor) -> Layer:
    """x ↦ x weightᵀ + bias by oneDNN; MKL, torch's choice, is half as fast on AMD processors."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return lambda x: functional.linear(x, weight, bias)
    w, b = weight.to_mkldnn(), bias.to_mkldnn()
    return lambda x: functional.linear(x.to_mkldnn(), w, b).to_dense()


def _rank(shares: Tensor) -> Tensor:
    """The states in the order of their mean code, (states,): neighbours expect alike."""
    mean_code = shares @ torch.arange(shares.shape[1], dtype=shares.dtype)
    return mean_code.argsort().argsort()


def draw_codes(shares: Tensor, u: Tensor) -> Tensor:
    """One code a row from its distribution, (rows,), by inverting the cumulative one at u."""
    cumulative = shares.cumsum(1)
    found = torch.searchsorted(cumulative, u[:, None] * cumulative[:, -1:])
    return found[:, 0].clamp_max(shares.shape[1] - 1)


def spread(key: Tensor, generator: torch.Generator) -> Tensor:
    """Uniform numbers, (rows,), that lie evenly over [0, 1) among the rows of each key.

    Each is uniform by itself; rows of one key get neighbouring terms of a golden-ratio sequence,
    so that counts of codes given the key vary less from draw to draw than independent ones.
    """
    order = (key + torch.rand(len(key), generator=generator)).argsort()
    u = torch.empty(len(key), dtype=torch.float64)
    start = torch.rand(1, generator=generator, dtype=torch.float64)
    u[order] = (start + torch.arange(len(key), dtype=torch.float64) * _GOLDEN) % 1.0
    return u.float()
