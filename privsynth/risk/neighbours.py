"""Where the nearest record is, over all columns at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from privsynth.risk.plain import PlainTable

_ONE_HOT = 24  # labels of a column up to which each has a coordinate of its own
_CELLS_AT_ONCE = 2**24  # distances in memory at a time
_BLOCK = 128  # candidates of which the nearest is found first


def points(tables: Sequence[PlainTable], reference: PlainTable) -> tuple[NDArray[np.float32], ...]:
    """The records of each table as points, (n_rows, width).

    The squared distance of two points is the number of columns in which the records differ: a
    label counts 1 or 0, a number the square of its distance in ranks among those of `reference`,
    which go from 0 to 1 and on beyond the ends; missing equals missing and is about 1 away from
    any value. A column of many labels gets random signs in place of a coordinate for each label:
    equal labels stay at distance 0, others are about 1 apart.

    >>> two = PlainTable({"age": np.array([20.0, 30.0])}, {"sex": np.array([0, 1])}, np.arange(2))
    >>> (found,) = points([two], reference=two)
    >>> float(((found[0] - found[1]) ** 2).sum())
    1.25
    """
    blocks = [
        _ranked([table.numbers[name] for table in tables], reference.numbers[name])
        for name in reference.numbers
    ] + [_spread([table.labels[name] for table in tables]) for name in reference.labels]
    width = sum(block[0].shape[1] for block in blocks)
    found = tuple(np.empty((table.n_rows, width), dtype=np.float32) for table in tables)
    at = 0
    while blocks:  # each is dropped once it is copied: wide tables are large
        block = blocks.pop()
        for whole, part in zip(found, block, strict=True):
            whole[:, at : at + part.shape[1]] = part
        at += block[0].shape[1]
    return found


def nearest(
    targets: NDArray[np.float32], candidates: NDArray[np.float32], k: int = 1
) -> NDArray[np.float64]:
    """Distances of the k nearest candidates of each target, ascending, (n_targets, k).

    >>> line = np.arange(4, dtype=np.float32)[:, None]
    >>> nearest(line[:1], line, k=3).tolist()
    [[0.0, 1.0, 2.0]]
    """
    k = min(k, len(candidates))
    n_blocks = -(-len(candidates) // _BLOCK)
    half_squares = np.full(n_blocks * _BLOCK, np.inf, dtype=np.float32)
    half_squares[: len(candidates)] = np.einsum("ij,ij->i", candidates, candidates) / 2
    found = np.empty((len(targets), k), dtype=np.int64)
    step = max(1, _CELLS_AT_ONCE // len(half_squares))
    for start in range(0, len(targets), step):
        some = targets[start : start + step]
        chunk = np.tile(half_squares, (len(some), 1))
        chunk[:, : len(candidates)] -= some @ candidates.T
        found[start : start + step] = _lowest(chunk.reshape(len(some), n_blocks, _BLOCK), k)
    # The products above are rounded; the distances of those found are computed once more.
    apart = [((targets - candidates[found[:, i]]) ** 2).sum(axis=1) for i in range(k)]
    return np.asarray(np.sqrt(np.sort(np.stack(apart, axis=1), axis=1)), dtype=np.float64)


def _lowest(blocks: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Positions of the k lowest entries of each row, (n_rows, k); `blocks` is a row in parts.

    The k lowest lie in the k parts that have the lowest minima: a partition of those alone is
    several times faster than one of the row.
    """
    _, n_blocks, width = blocks.shape
    n_near = min(k, n_blocks)
    near = np.argpartition(blocks.min(axis=2), n_near - 1, axis=1)[:, :n_near]
    kept = np.take_along_axis(blocks, near[:, :, None], axis=1)
    kept = kept.reshape(len(blocks), n_near * width)
    at = np.argpartition(kept, k - 1, axis=1)[:, :k]
    return np.asarray(np.take_along_axis(near, at // width, axis=1) * width + at % width)


def _ranked(
    values: Sequence[NDArray[np.float64]], among: NDArray[np.float64]
) -> list[NDArray[np.float32]]:
    """A number as its rank from 0 to 1 and a flag for missing, (n_rows, 2) each."""
    among = np.sort(among[~np.isnan(among)])
    made = []
    for each in values:
        below, upto = (np.searchsorted(among, each, side) for side in ("left", "right"))
        missing, ranks = np.isnan(each), (below + upto) / (2 * max(1, len(among)))
        if len(among) and (span := among[-1] - among[0]) > 0:
            ranks = ranks + np.clip((each - among[-1]) / span, 0, 1)
            ranks = ranks - np.clip((among[0] - each) / span, 0, 1)
        made.append(np.stack([np.where(missing, 0.5, ranks), missing], axis=1).astype(np.float32))
    return made


def _spread(codes: Sequence[NDArray[np.int64]]) -> list[NDArray[np.float32]]:
    """A label as coordinates, (n_rows, width) each; two labels are 1 apart, or about that."""
    n_labels = 2 + max(int(each.max(initial=-1)) for each in codes)
    if n_labels <= _ONE_HOT:
        places = np.eye(n_labels) / np.sqrt(2)
    else:
        signs = np.random.default_rng(0).integers(0, 2, (n_labels, _ONE_HOT)) * 2 - 1
        places = signs / np.sqrt(2 * _ONE_HOT)
    return [places[each + 1].astype(np.float32) for each in codes]
