"""Noisy counts of every pair of columns, from which the generators learn dependence.

All pairs are measured in two rounds. The first spreads its budget by public weights. What it says
about the strength of each pair decides where the second, larger one goes: the choice looks at
noisy answers alone, so it costs nothing, while the exponential mechanism of AIM (McKenna et al.
2022) pays for each look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from privsynth.encode import Codebook
from privsynth.encode.histogram import onto_simplex
from privsynth.privacy.mechanisms import noisy_counts, unit_weights
from privsynth.privacy.plan import PAIRS_PURPOSE, MeasurementRequest
from privsynth.schema import Schema
from privsynth.synth.base import Work
from privsynth.table import Array, Table

PAIR_ROUNDS = ("pairs, first round", "pairs, second round")
_FIRST_SHARE = 0.4
_TARGET_WEIGHT, _TARGET_SHARE = 3.0, 6 / 19
LEAST_DEVIATION = 0.5
"""In units: without privacy too, half a record more or less in a cell is no news."""


def pair_requests(share: float) -> list[MeasurementRequest]:
    """The two measurements, which take `share` of the budget together."""
    parts = (_FIRST_SHARE, 1 - _FIRST_SHARE)
    return [
        MeasurementRequest(name, PAIRS_PURPOSE, share * part)
        for name, part in zip(PAIR_ROUNDS, parts, strict=True)
    ]


@dataclass(frozen=True, repr=False)
class NoisyPairs:
    """Noisy shares of every pair of codes, and how precise they are.

    `shares` is (total, total) and symmetric, total being the number of codes of all columns; the
    blocks on the diagonal are 0 and mean nothing. `precision` is (columns, columns): one over
    the variance of each cell of that pair, 0 where nothing was measured.
    """

    sizes: tuple[int, ...]
    shares: Tensor
    precision: Tensor

    def merged(self, other: NoisyPairs) -> NoisyPairs:
        """Both measurements as one: the mean by precision."""
        columns = column_of(self.sizes)
        precision = self.precision + other.precision
        part = (self.precision / precision.clamp_min(1e-30))[columns][:, columns]
        return NoisyPairs(self.sizes, part * self.shares + (1 - part) * other.shares, precision)

    def sharpened(self, shares: Tensor, precision: float) -> Tensor:
        """Noisy 1-ways, (total,), with what the pairs say about them too, by precision.

        The pairs of a column with another of k codes give its 1-way with k times their variance.
        """
        members = functional.one_hot(column_of(self.sizes), len(self.sizes)).float()
        weight = self.precision / torch.tensor(self.sizes)  # (columns, columns)
        sums = self.shares @ members  # (total, columns): each column's 1-way by each other column
        by_code = weight[column_of(self.sizes)]
        mean = precision * shares + (sums * by_code).sum(1)
        parts = torch.split(mean / (precision + by_code.sum(1)), list(self.sizes))
        return torch.cat([torch.from_numpy(onto_simplex(part.numpy(), 1.0)) for part in parts])

    def __repr__(self) -> str:
        measured = int((self.precision > 0).sum()) // 2
        return f"NoisyPairs({measured} pairs of {len(self.sizes)} columns)"


class PairCounter:
    """Asks for pairs of one code matrix; each unit's rows weigh 1 together."""

    def __init__(self, train: Table, codebook: Codebook, work: Work) -> None:
        self.codebook, self._codes = codebook, codebook.encode(train)
        self._work = work
        self._max_rows = train.schema.privacy.max_rows_per_unit
        by_person = train.schema.privacy.unit != "row"
        self._weights = unit_weights(train.units()) if by_person else None
        self.sizes, self.n_units = codebook.sizes, codebook.n_units

    def measure(self, name: str, weights: Array) -> NoisyPairs:
        """Pairs with their parts of one charge: weights are (columns, columns), 0 leaves out."""
        several = [j for j, size in enumerate(self.sizes) if size > 1]  # others tell no pair
        asked = [(i, j) for i, j in combinations(several, 2) if weights[i, j] > 0]
        wanted = np.array([weights[i, j] for i, j in asked])
        parts = self._work.spending.measurement(name).split(np.sqrt(wanted / wanted.sum()).tolist())
        starts = np.cumsum([0, *self.sizes])
        shares = torch.zeros(starts[-1], starts[-1])
        precision = torch.zeros(len(self.sizes), len(self.sizes))
        for (i, j), part in zip(asked, parts, strict=True):
            deviation = max(part.noise_multiplier, LEAST_DEVIATION) / self.n_units
            precision[i, j] = precision[j, i] = deviation**-2
            cells = self._codes[:, i] * self.sizes[j] + self._codes[:, j]
            block = noisy_counts(
                cells,
                self.sizes[i] * self.sizes[j],
                weights=self._weights,
                max_rows=self._max_rows,
                measurement=part,
                noise=self._work.noise,
            ).reshape(self.sizes[i], self.sizes[j])
            found = torch.from_numpy(block / self.n_units).float()
            rows, columns = slice(starts[i], starts[i + 1]), slice(starts[j], starts[j + 1])
            shares[rows, columns], shares[columns, rows] = found, found.T
        return NoisyPairs(self.sizes, shares, precision)


def column_of(sizes: Sequence[int]) -> Tensor:
    """The column to which each code belongs, (total,)."""
    return torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))


def apart(sizes: Sequence[int]) -> Tensor:
    """1 where two codes belong to different columns, else 0: (total, total)."""
    columns = column_of(sizes)
    return (columns[:, None] != columns[None, :]).float()


def importance(schema: Schema) -> Array:
    """How much each pair matters before anything is known, (columns, columns).

    What the table is for depends on the pairs with a target: each counts three times, and more
    where columns are so many that together they would get less than about a third (ADR 11).
    """
    is_target = np.array([schema.columns[name].role == "target" for name in schema.modelled])
    with_target = is_target[:, None] | is_target[None, :]
    upper = with_target[np.triu_indices(len(is_target), 1)]
    others_a_target = (~upper).sum() / max(1, upper.sum())
    weight = max(_TARGET_WEIGHT, others_a_target * _TARGET_SHARE / (1 - _TARGET_SHARE))
    weights = np.where(with_target, weight, 1.0)
    np.fill_diagonal(weights, 0.0)
    return weights


def second_round(first: NoisyPairs, prior: Tensor, weights: Array) -> Array:
    """Where the second round's budget should go, (columns, columns), in parts of it.

    `prior` is the variance that each cell's share had before the first round, (total, total), as
    the fit to the first round judges it. A cell of prior variance v measured at precision p keeps
    an expected error of about sqrt(v / (1 + v p)); the budget is split so that the weighted sum of
    these over all cells is least: each pair buys precision at one price, the lowest affordable.
    """
    n_columns = len(first.sizes)
    upper = np.triu_indices(n_columns, 1)
    budget = float(first.precision[upper].sum()) * (1 - _FIRST_SHARE) / _FIRST_SHARE
    if budget == 0:  # no column has two codes: there is nothing to learn
        return weights
    wanted = weights[upper] * (first.precision.numpy()[upper] > 0)
    steps = np.append(0.0, np.geomspace(1e-4, 1.0, 40) * budget)
    errors = _expected_errors(first, prior, steps) * np.sqrt(wanted)  # (steps, pairs)
    prices = np.geomspace(1e-9, 1e3, 400) * errors[0].sum() / budget
    bought = np.stack([steps[(errors + price * steps[:, None]).argmin(0)] for price in prices])
    affordable = bought[np.argmax(bought.sum(1) <= budget)]
    found = np.zeros((n_columns, n_columns))
    found[upper] = affordable if affordable.any() else wanted
    found /= found.sum()
    return found + found.T


def _expected_errors(first: NoisyPairs, prior: Tensor, steps: Array) -> Array:
    """The summed error of each pair's cells for each addition to its precision."""
    columns = column_of(first.sizes)
    members = functional.one_hot(columns, len(first.sizes)).float()
    upper = np.triu_indices(len(first.sizes), 1)
    rows = []
    for step in steps:
        precision = (first.precision + float(step))[columns][:, columns]
        left = (prior / (1 + prior * precision)).sqrt()
        rows.append((members.T @ left @ members).numpy()[upper])
    return np.stack(rows)
