"""Cells into codes: few enough to learn, fine where the counts allow it."""

from __future__ import annotations

import numpy as np

from privsynth.encode.histogram import pooled
from privsynth.table import Array

_SMALL_GROUP = 0.25
_LEAST_SIGMAS = 5.0  # a code's count stands out of its noise
_LEAST_RECORDS = 10.0  # with little noise or none: a finer code would be one record's value


def group_ordered(counts: Array, max_codes: int, sigma: float) -> Array:
    """The code of each cell, (n_cells,): neighbours share a code until it holds enough.

    A cell that alone holds a code's share has a code of its own, so that zero and other spikes
    stay spikes; the codes that spikes leave over share the rest equally, so that a column of
    mostly zeros is fine elsewhere too. No code aims at less than what the noise lets be seen.
    """
    least = max(_LEAST_SIGMAS * sigma, _LEAST_RECORDS)
    target = max(_share_beside_spikes(counts, max_codes), least)
    code_of = np.zeros(len(counts), dtype=np.int64)
    code, held, last = -1, 0.0, -1
    for cell, n in enumerate(counts):
        if n >= target:
            code += 1
            code_of[cell] = code
            continue
        if last < 0 or held >= target:
            code, held = code + 1, 0.0
            last = code
        code_of[cell] = last
        held += n
    return _without_slivers(code_of, counts, _SMALL_GROUP * target)


def _share_beside_spikes(counts: Array, max_codes: int) -> float:
    """An equal share of what lies beside the cells that hold such a share alone."""
    ordered = np.sort(counts)[::-1][: max_codes - 1]
    held = np.append(0.0, np.cumsum(ordered))
    shares = (counts.sum() - held) / (max_codes - np.arange(len(held)))
    spikes = int(np.argmax(np.append(ordered < shares[:-1], True)))
    return float(shares[spikes])


def _without_slivers(code_of: Array, counts: Array, least: float) -> Array:
    """Codes that hold too little, merged into their neighbour below; numbered from 0 again."""
    held = np.bincount(code_of, counts)
    for code in range(len(held)):
        if held[code] >= least or (held > 0).sum() <= 1:
            continue
        others = np.flatnonzero(np.arange(len(held)) != code)
        others = others[np.isin(others, code_of)]
        if not len(others):
            continue
        nearest = others[np.argmin(np.abs(others - code))]
        code_of[code_of == code] = nearest
        held[nearest] += held[code]
        held[code] = 0.0
    return np.unique(code_of, return_inverse=True)[1].reshape(-1)


def group_labels(counts: Array, max_codes: int, sigma: float) -> Array:
    """The code of each label, (n_cells,): the frequent have their own, the rest share the last."""
    if len(counts) <= 2:
        return np.arange(len(counts))
    kept = np.argsort(-counts, kind="stable")[: max_codes - 1]
    kept = np.sort(kept[counts[kept] >= max(4.0 * sigma, 1e-9)])
    if len(kept) >= len(counts) - 1:
        return np.arange(len(counts))
    code_of = np.full(len(counts), len(kept))
    code_of[kept] = np.arange(len(kept))
    return code_of


def weights(counts: Array, widths: Array, code_of: Array, sigma: float) -> Array:
    """The share of each cell within its code, (n_cells,)."""
    share = np.zeros(len(counts))
    for code in np.unique(code_of):
        members = np.flatnonzero(code_of == code)
        smooth = pooled(counts[members], widths[members], sigma)
        share[members] = smooth if smooth.sum() > 0 else widths[members]
        share[members] /= share[members].sum()
    return share
