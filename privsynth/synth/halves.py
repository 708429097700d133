"""Rows in an order of which every block stands for the whole, so that few rows say as much.

Independent draws of a distribution stray from it by chance, and a table of them shows that beside
the noise that privacy asks for. Here the rows are halved again and again. Neighbours in a random
order of columns are put in pairs, and of each pair one row goes to either half, whichever brings
the halves' shares of all codes and all pairs of codes nearer to each other: a greedy form of the
self-balancing walk (Alweiss, Liu and Sawhney 2021), by which kernel halving thins a sample (Dwivedi
and Mackey 2021). Only drawn rows are looked at, never a record.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, from_numpy

from privsynth.table import Array

BLOCKS = 8
_STEPS, _BATCH = 256, (8, 512)
_MOST_PAIRS, _MOST_CELLS = 2_000, 1_000_000
_NUMBERS = 4_000_000  # of cells of rows that are counted at once
_COMMON = 5.0  # rows; what is rarer counts no more than this in how the halves differ


class Cells:
    """Where each row counts: a cell a column and a cell a pair of columns, numbered from 0.

    Of very many pairs, or of pairs of very many cells, a part is taken.
    """

    def __init__(self, sizes: Sequence[int], rng: np.random.Generator) -> None:
        widths = np.array(sizes, dtype=np.int32)
        pairs = np.array(list(combinations(range(len(sizes)), 2)), np.int32).reshape(-1, 2)
        pairs = pairs[rng.permutation(len(pairs))[:_MOST_PAIRS]]
        n_cells = widths[pairs].astype(np.int64).prod(1).cumsum()
        pairs = pairs[n_cells <= _MOST_CELLS]
        self._left, self._right = pairs.T
        self._factors = widths[self._right]
        n_cells = np.concatenate([widths, widths[self._left] * self._factors])
        starts = n_cells.cumsum(dtype=np.int32) - n_cells
        self._columns_at, self._pairs_at = np.split(starts, [len(widths)])
        self.n_cells = int(n_cells.sum())

    def of(self, codes: Array) -> Array:
        """The cells of rows of codes, (rows, columns + pairs)."""
        pairs = codes[:, self._left] * self._factors + codes[:, self._right] + self._pairs_at
        return np.concatenate([codes + self._columns_at, pairs], 1)

    def counts(self, codes: Array) -> Array:
        """How many rows each cell has, (n_cells,)."""
        found = np.zeros(self.n_cells, dtype=np.int64)
        n_rows = max(1, _NUMBERS // (len(self._columns_at) + len(self._pairs_at)))
        for start in range(0, len(codes), n_rows):
            cells = self.of(codes[start : start + n_rows]).ravel()
            found += np.bincount(cells, minlength=self.n_cells)
        return found


def in_blocks(rows: Tensor, sizes: Sequence[int], rng: np.random.Generator) -> Tensor:
    """The rows, (n_rows, columns) codes, in an order whose `BLOCKS` blocks are each like the whole.

    A number of rows that `BLOCKS` does not divide loses those that are left over.
    """
    if len(rows) < BLOCKS:
        return rows
    codes, cells = rows.int().numpy(), Cells(sizes, rng)
    shares = cells.counts(codes) / len(codes)
    blocks = [np.arange(len(codes) // BLOCKS * BLOCKS)]
    while len(blocks) < BLOCKS:
        importance = 1 / (shares * len(blocks[0]) + _COMMON)
        parts = (_halves(codes, block, cells, importance, rng) for block in blocks)
        blocks = [half for halves in parts for half in halves]
    return rows[from_numpy(np.concatenate(blocks))]


def from_blocks(pool: Tensor, n_rows: int, rng: np.random.Generator) -> Tensor:
    """n_rows of a pool that stands in blocks: whole ones, and rows spread over one more."""
    n_blocks = BLOCKS if len(pool) >= BLOCKS else 1
    size = len(pool) // n_blocks
    order = np.arange(n_blocks) ^ rng.integers(n_blocks)  # halves of the same rows stay together
    n_whole, n_left = divmod(n_rows, size)
    taken = [np.arange(size) + size * order[k % n_blocks] for k in range(n_whole)]
    last = size * order[n_whole % n_blocks]
    taken.append(last + spread(pool[last : last + size].numpy(), n_left, rng))
    return pool[from_numpy(rng.permutation(np.concatenate(taken)))]


def _halves(
    codes: Array,
    rows: NDArray[np.int64],
    cells: Cells,
    importance: NDArray[np.float64],
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two halves of an even number of rows, given by their numbers, with like counts of cells."""
    pairs = rows[_alike(codes[rows], rng)].reshape(-1, 2)
    pairs = rng.permuted(rng.permutation(pairs), axis=1)
    gap = np.zeros(cells.n_cells)  # the first half's counts less the second's
    batch = int(np.clip(len(pairs) // _STEPS, *_BATCH))  # decided at once, by the gap before them
    for start in range(0, len(pairs), batch):
        part = pairs[start : start + batch]
        first, second = (cells.of(codes[side]) for side in part.T)
        pulls = ((importance[side] * gap[side]).sum(1) for side in (first, second))
        turned = np.greater(*pulls)
        part[turned] = part[turned, ::-1]
        sign = np.repeat(np.where(turned, -1.0, 1.0), first.shape[1])
        for side, towards in ((first, sign), (second, -sign)):
            gap += np.bincount(side.ravel(), towards, minlength=cells.n_cells)
    return pairs[:, 0], pairs[:, 1]


def _alike(codes: Array, rng: np.random.Generator) -> NDArray[np.int64]:
    """An order in which neighbours are alike: sorted by the columns in random order."""
    columns = rng.permutation(codes.shape[1])
    order: NDArray[np.int64] = np.lexsort([codes[:, int(column)] for column in columns])
    return order


def spread(codes: Array, n_rows: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Every k-th of the rows in such an order, so that counts stray less than by chance."""
    at = (np.arange(n_rows) + rng.random()) * (len(codes) / max(1, n_rows))
    found: NDArray[np.int64] = _alike(codes, rng)[np.minimum(at.astype(int), len(codes) - 1)]
    return found
