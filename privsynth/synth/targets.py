"""Targets beyond what the records say: class balance, and demographic parity.

Both are met by weighing rows. Of all distributions that meet the targets the weighted one is the
nearest to the generator's own in relative entropy (Csiszár 1975), so what is known of the other
columns given those named is kept. For a sensitive column and an outcome it is the reweighing of
Kamiran and Calders (2012). No record is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import torch

from privsynth.encode import Codebook
from privsynth.errors import SchemaError, UsageError
from privsynth.synth.maxent import Potentials
from privsynth.table import Array

_CYCLES = 50
_NEVER = 1e-12
_TOLERANCE = 0.01
_LEAST_DRAWS = 100  # effective: of fewer a share is not even known to within a tenth


@dataclass(frozen=True)
class Targets:
    """What rows are to have, by columns as numbers.

    `shares` holds those of each column that is named, (n_codes,); `independent` are pairs of such
    columns that are not to depend on each other.
    """

    codebook: Codebook
    shares: Mapping[int, Array]
    independent: tuple[tuple[int, int], ...]

    @classmethod
    def of(
        cls,
        codebook: Codebook,
        codes: Array,
        balance: Mapping[str, Mapping[Any, float]],
        independent: Sequence[tuple[str, str]],
    ) -> Targets:
        """The targets for rows of codes, (rows, columns).

        A column that `balance` does not name keeps its shares. SchemaError names a column or a
        share that is impossible.
        """
        if not balance and not independent:
            raise UsageError("no target: name a class balance or columns to make independent")
        shares = {
            _place(codebook, name): _balanced(codebook, name, wanted, codes)
            for name, wanted in balance.items()
        }
        pairs = []
        for first, second in independent:
            if first == second:
                raise SchemaError(f"column {first!r}: a column cannot be independent of itself")
            i, j = _place(codebook, first), _place(codebook, second)
            pairs.append((i, j))
            for column in (i, j):
                if column not in shares:
                    shares[column] = _shares(codes[:, column], codebook.sizes[column])
        return cls(codebook, shares, tuple(pairs))

    def rake(self, codes: Array) -> tuple[Potentials, Array]:
        """Potentials that meet the targets, and the weights that they give the rows, (rows,).

        Iterative proportional fitting (Deming and Stephan 1940) of the targets alone. SchemaError
        where no weights meet them all, or where those that do leave next to no draws.
        """
        sizes = self.codebook.sizes
        starts = np.cumsum([0, *sizes])
        bias, theta = np.zeros(starts[-1]), np.zeros((starts[-1], starts[-1]))
        weights = np.full(len(codes), 1 / len(codes))
        for _ in range(_CYCLES):
            before = weights
            for column, target in self.shares.items():
                step = _log_ratio(target, codes[:, column], weights)
                bias[starts[column] : starts[column + 1]] += step
                weights = weights * np.exp(step)[codes[:, column]]
            for i, j in self.independent:
                cells, target = self._pair(codes, i, j)
                step = _log_ratio(target, cells, weights)
                block = slice(starts[i], starts[i + 1]), slice(starts[j], starts[j + 1])
                theta[block] += step.reshape(sizes[i], sizes[j])
                weights = weights * np.exp(step)[cells]
            weights = weights / weights.sum()
            if np.abs(weights - before).sum() < _NEVER:
                break
        self._require_met(codes, weights)
        _require_draws(weights)
        parts = torch.from_numpy(bias).float(), torch.from_numpy(theta + theta.T).float()
        return Potentials(sizes, *parts), weights

    def _pair(self, codes: Array, i: int, j: int) -> tuple[Array, Array]:
        """The cell of each row in a pair, and the shares of the cells without dependence."""
        cells = codes[:, i] * self.codebook.sizes[j] + codes[:, j]
        return cells, np.outer(self.shares[i], self.shares[j]).ravel()

    def _require_met(self, codes: Array, weights: Array) -> None:
        """Pairs first: where one cannot be met, its columns may not be either."""
        names = list(self.codebook.columns)
        for i, j in self.independent:
            missed = _missed(*self._pair(codes, i, j), weights)
            if missed > _TOLERANCE:
                raise SchemaError(
                    f"columns {names[i]!r} and {names[j]!r}: {missed:.0%} of the table would need "
                    "combinations of their values that the generator never draws"
                )
        for column, target in self.shares.items():
            missed = _missed(codes[:, column], target, weights)
            if missed > _TOLERANCE:
                raise SchemaError(
                    f"column {names[column]!r}: its shares cannot be met together with the other "
                    f"targets, {missed:.0%} of the table would need combinations of values that "
                    "the generator never draws; ask for less at once"
                )


def _place(codebook: Codebook, name: str) -> int:
    if name not in codebook.columns:
        raise SchemaError(f"column {name!r}: no column of that name is modelled")
    return list(codebook.columns).index(name)


def _balanced(codebook: Codebook, name: str, wanted: Mapping[Any, float], codes: Array) -> Array:
    """The share of each code of a column; what is left goes to values not named, as they stand."""
    column = _place(codebook, name)
    now = _shares(codes[:, column], codebook.sizes[column])
    target = np.zeros(len(now))
    named = [codebook.code_of(name, value) for value in wanted]
    if len(set(named)) < len(named):
        raise SchemaError(f"column {name!r}: two of the values fall into one group; name one")
    if not all(codebook.columns[name].is_alone(code) for code in named):
        raise SchemaError(
            f"column {name!r}: one of the values is drawn in a group with others, so it has no "
            "share of its own; name values that more records have"
        )
    if not all(isinstance(share, Real) for share in wanted.values()):
        raise SchemaError(f"column {name!r}: a share is a number from 0 to 1")
    target[named] = list(wanted.values())
    total = target.sum()
    if not (np.isfinite(total) and (target >= 0).all() and total <= 1 + 1e-9):
        raise SchemaError(f"column {name!r}: shares are at least 0, and sum to at most 1")
    others = now.copy()
    others[named] = 0.0
    if total < 1 - 1e-9 and not others.any():
        raise SchemaError(f"column {name!r}: the shares of all its values must sum to 1")
    if ((target > 0) & (now == 0)).any():
        raise SchemaError(f"column {name!r}: the generator never draws one of the values")
    return target + others * ((1 - total) / others.sum() if others.any() else 0.0)


def _missed(cells: Array, target: Array, weights: Array) -> float:
    """The total variation distance of weighted rows to a target, over its cells."""
    return float(np.abs(_shares(cells, len(target), weights) - target).sum() / 2)


def effective_draws(weights: Array) -> float:
    """The effective sample size of weighted draws (Kish 1965)."""
    return float(weights.sum() ** 2 / np.square(weights).sum())


def _require_draws(weights: Array) -> None:
    """Refuse weights under which a table is a few draws over and over."""
    effective = effective_draws(weights)
    if effective < _LEAST_DRAWS:
        raise SchemaError(
            f"the targets are so far from the records that the table would repeat about "
            f"{effective:.0f} of the generator's {len(weights)} draws; ask for shares nearer to "
            "those of the records, or for fewer targets at once"
        )


def _shares(codes: Array, n_codes: int, weights: Array | None = None) -> Array:
    counts = np.bincount(codes, weights, minlength=n_codes)
    return np.asarray(counts / counts.sum())


def _log_ratio(target: Array, cells: Array, weights: Array) -> Array:
    """The log of target over weighted share of each cell, (cells,); 0 where no row is."""
    now = _shares(cells, len(target), weights)
    return np.where(now > 0, np.log((target + _NEVER) / (now + _NEVER)), 0.0)
