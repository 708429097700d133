"""The last step of every generator: entropy projection of its draws onto the noisy marginals.

A pool of draws is weighed so that its pairs agree with what was measured, as far as the noise
supports it, while the weights stay as even as they can: the distribution nearest to the
generator's own in relative entropy (Csiszár 1975; Liu et al. 2021 for private data). It is
post-processing: no record is read. Rows that break a public business rule get no weight.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any, Self, TypeVar

import numpy as np
import torch
from torch import Tensor

from privsynth.encode import Codebook
from privsynth.errors import UsageError
from privsynth.progress import SILENT, Progress
from privsynth.schema.rules import FunctionalDependency
from privsynth.synth.base import FittedSynthesizer
from privsynth.synth.constraints import derived, satisfied
from privsynth.synth.halves import from_blocks, in_blocks
from privsynth.synth.maxent import Particles, Potentials, Prior
from privsynth.synth.pairs import NoisyPairs
from privsynth.synth.targets import Targets, effective_draws
from privsynth.table import Array

_SCALE_ROUNDS = 20
_CYCLES = (2, 8)
_CELLS = 1.2e9  # about as many cell visits of all cycles together
_LEAST_SHARE = 1e-6
_BLOCK_ROWS = 50_000
_LARGEST_RATIO, _LEAST_LOG = 10.0, -600.0
_DRAWS_PER_ROW = 4
_POOL_ROWS = (40_000, 400_000)
_FRESH_PER_ROW = 3
_MOST_TRIES, _FEWEST_LAWFUL = 10, 100
_FIGURES = ("effective_share", "largest_ratio")

P = TypeVar("P", bound="ProjectedSynthesizer")


@dataclass(frozen=True, repr=False)
class Measured:
    """What a fit measured about marginals: noisy pairs, and noisy 1-ways end to end, (total,)."""

    pairs: NoisyPairs
    shares: Tensor


@dataclass(frozen=True, repr=False)
class Projection:
    """How a generator's draws are weighed: the potentials, and what they leave of a sample.

    `effective_share` is the effective sample size over the number of draws (Kish 1965): 1 where
    the draws needed no weighing at all. No weight is above `largest_ratio` times the mean.
    """

    potentials: Potentials
    effective_share: float
    largest_ratio: float = _LARGEST_RATIO

    @classmethod
    def none(cls, sizes: Sequence[int]) -> Projection:
        """The projection that leaves every draw as it is."""
        return cls(Potentials.zero(sizes), 1.0)

    def and_then(self, potentials: Potentials, weights: Array) -> Projection:
        """This projection and a second one, which gives weights, (rows,), to what this leaves."""
        both = Potentials(
            potentials.sizes,
            self.potentials.bias + potentials.bias,
            self.potentials.theta + potentials.theta,
        )
        share = effective_draws(weights) / len(weights)
        ratio = max(1.0, float(weights.max() / weights.mean()))
        return Projection(both, self.effective_share * share, self.largest_ratio * ratio)

    def weights(self, codes: Tensor) -> Tensor:
        """Weights of draws, (rows,), with mean 1."""
        logs = self.potentials.energy(codes).double()
        weights = (logs - logs.max()).clamp_min(_LEAST_LOG).exp()
        return _capped(weights / weights.mean(), self.largest_ratio)


def _capped(weights: Tensor, most: float) -> Tensor:
    """Weights of mean 1, none above `most`: the others grow alike to keep the mean."""
    ordered = weights.sort(descending=True).values
    others = ordered.flip(0).cumsum(0).flip(0)  # the sum from each weight on
    growth = (len(weights) - most * torch.arange(len(weights))) / others
    n_capped = int((growth * ordered <= most).double().argmax())
    return (weights * growth[n_capped]).clamp_max(most)


def project(draws: Tensor, measured: Measured) -> Projection:
    """The projection for draws of a generator, codes (rows, columns).

    Potentials are fitted to all draws, in fewer cycles where these are many: those fitted to a part
    leave in the rest what the part has by chance, and know nothing of cells that it has not met.
    """
    sizes = measured.pairs.sizes
    n_pairs = max(1, len(sizes) * (len(sizes) - 1) // 2)
    n_cycles = int(np.clip(_CELLS / (n_pairs * len(draws)), *_CYCLES))
    target = believed(measured, Particles(draws, sizes).pair_shares())
    whole = n_cycles // 2  # the others go half the way: where pairs overlap, they leave the least
    paces = [1.0] * whole + [0.5] * (n_cycles - whole)
    potentials = raked(draws.numpy(), target.numpy(), measured.shares.numpy(), sizes, paces)
    weights = Projection(potentials, 1.0).weights(draws)
    return Projection(potentials, float(weights.sum() ** 2 / weights.square().sum() / len(weights)))


def believed(measured: Measured, drawn: Tensor) -> Tensor:
    """What pair shares to aim at, given those of the draws and the noisy ones, (total, total).

    Each cell moves from the draws' share towards the noisy one by its signal: the variance by
    which a pair's cells differ from the draws beyond noise is learned from the pair itself.
    """
    prior = Prior(measured.pairs, measured.shares)
    level, gap = prior.level(drawn), measured.pairs.shares - drawn
    for _ in range(_SCALE_ROUNDS):
        signal = prior.signal(drawn)
        prior.learn(gap / level * signal / (1 + signal), signal)
    signal = prior.signal(drawn)
    return (drawn + gap * signal / (1 + signal)).clamp_min(0.0)


def raked(
    codes: Array, target: Array, shares: Array, sizes: tuple[int, ...], paces: Sequence[float]
) -> Potentials:
    """Potentials by which weighted rows have the target pairs and shares, as near as they can.

    Iterative proportional fitting (Deming and Stephan 1940), a cycle for each pace: each pair in
    turn, by that power of its ratio, then each column.
    """
    starts = np.cumsum([0, *sizes])
    bias, theta = np.zeros(starts[-1]), np.zeros((starts[-1], starts[-1]))
    codes = np.asfortranarray(codes)  # read column by column
    blocks = [slice(start, start + size) for start, size in zip(starts, sizes, strict=False)]
    weights = np.full(len(codes), 1 / len(codes))
    for pace in paces:
        for i, j in combinations(range(len(sizes)), 2):
            cells = codes[:, i] * sizes[j] + codes[:, j]
            step = pace * _log_ratio(target[blocks[i], blocks[j]].ravel(), cells, weights)
            theta[blocks[i], blocks[j]] += step.reshape(sizes[i], sizes[j])
            weights *= np.exp(step)[cells]
        for j, block in enumerate(blocks):
            step = _log_ratio(shares[block], codes[:, j], weights)
            bias[block] += step
            weights *= np.exp(step)[codes[:, j]]
        weights /= weights.sum()
    parts = torch.from_numpy(bias).float(), torch.from_numpy(theta + theta.T).float()
    return Potentials(sizes, *parts)


def _log_ratio(target: Array, cells: Array, weights: Array) -> Array:
    """The log of target over weighted share of each cell, (cells,); 0 where no row is.

    A target that is 0 in every cell asks for nothing: noise may make one of a pair with one cell.
    """
    if target.sum() <= 0:
        return np.zeros(len(target))
    now = np.bincount(cells, weights, minlength=len(target))
    now = now / now.sum()
    ratio = (target / target.sum() + _LEAST_SHARE) / (now + _LEAST_SHARE)
    return np.where(now > 0, np.clip(np.log(ratio), -1.0, 1.0), 0.0)


@dataclass(frozen=True, repr=False)
class ProjectedSynthesizer(FittedSynthesizer):
    """A fitted generator whose tables come from a projected pool of its draws.

    `pool` holds codes, (rows, columns), in blocks that are each like the whole; a table takes some
    of them, and one of more rows takes them again. Rows with given values are drawn and weighed
    anew.
    `measured` is what the pool was projected onto.
    """

    pool: Tensor
    projection: Projection
    measured: Measured | None = field(default=None, kw_only=True)

    @property
    def effective_share(self) -> float:
        """The effective sample size that the projection leaves, over the number of draws."""
        return self.projection.effective_share

    def projected_to(
        self,
        *,
        balance: Mapping[str, Mapping[Any, float]] | None = None,
        independent: Sequence[tuple[str, str]] = (),
        rng: np.random.Generator | None = None,
    ) -> Self:
        """The generator with its pool weighed to meet these targets too; see `Targets`.

        UsageError where it has targets already: weights upon weights would leave few of its draws.
        """
        if "targets" in self.settings:
            raise UsageError(
                "this generator has targets already; give all of them at once to the one it was "
                "made from"
            )
        codes, wanted = self.pool.long().numpy(), dict(balance or {})
        targets = Targets.of(self.codebook, codes, wanted, independent)
        potentials, weights = targets.rake(codes)
        # rows alike in what was asked for lie together, so that each kind is taken to within one
        order = np.lexsort([codes[:, column] for column in targets.shares])
        rng = rng or np.random.default_rng()
        chosen = take(self.pool[order], torch.from_numpy(weights[order]), len(codes), rng)
        chosen = in_blocks(chosen, self.codebook.sizes, rng)
        asked = {"balance": wanted, "independent": [list(pair) for pair in independent]}
        return replace(
            self,
            settings={**self.settings, "targets": asked},
            pool=chosen,
            projection=self.projection.and_then(potentials, weights),
        )

    @abstractmethod
    def draw(self, n_rows: int, given: Mapping[int, int], rng: np.random.Generator) -> Tensor:
        """Codes of n_rows records, (n_rows, columns), as the generator makes them."""

    def sample_codes(
        self, n_rows: int, given: Mapping[int, int], rng: np.random.Generator, progress: Progress
    ) -> Array:
        """Codes from the pool, in turn again where it has fewer; drawn anew for what is `given`."""
        if given:
            draws = self.draw(_FRESH_PER_ROW * n_rows, given, rng)
            held = [list(self.codebook.columns)[column] for column in given]
            kept = draws[torch.from_numpy(lawful(draws.numpy(), self.codebook, rng, held))]
            draws = kept if len(kept) else draws  # none is kept: the caller tells of it
            codes = take(draws, self.projection.weights(draws), n_rows, rng)
        else:
            codes = from_blocks(self.pool, n_rows, rng)
        progress.advance(n_rows)
        return codes.long().numpy()

    def tensors(self) -> dict[str, Array]:
        """The pool, the projection and what was measured for it, as saved."""
        found = {
            "pool": self.pool.numpy().astype(np.uint16),
            "projection.bias": self.projection.potentials.bias.numpy().copy(),
            "projection.theta": self.projection.potentials.theta.numpy().copy(),
            "projection.effective_share": np.array([self.projection.effective_share]),
            "projection.largest_ratio": np.array([self.projection.largest_ratio]),
        }
        if self.measured is not None:
            found["measured.shares"] = self.measured.shares.numpy().copy()
            found["measured.pairs"] = self.measured.pairs.shares.numpy().copy()
            found["measured.precision"] = self.measured.pairs.precision.numpy().copy()
        return found


def projected(
    fitted: P, measured: Measured, rng: np.random.Generator, progress: Progress = SILENT
) -> P:
    """The generator with a pool that follows the measured marginals and the business rules."""
    progress.stage("projecting onto the marginals")
    low, high = _POOL_ROWS
    n_rows = int(np.clip(_DRAWS_PER_ROW * fitted.n_units, low, high))
    draws = _lawful_draws(fitted, n_rows, rng)
    projection = project(draws, measured)
    pool = take(draws, projection.weights(draws), n_rows, rng)
    pool = in_blocks(pool, fitted.codebook.sizes, rng).to(torch.int16)
    return replace(fitted, pool=pool, projection=projection, measured=measured)


def _lawful_draws(fitted: ProjectedSynthesizer, n_rows: int, rng: np.random.Generator) -> Tensor:
    """Draws that keep to the constraints: n_rows of them, or what ten times as many draws give.

    Where hardly any does, all draws are given: the fit is charged, and `sample` tells of it.
    """
    kept, n_kept = list[Tensor](), 0
    for _ in range(_MOST_TRIES):
        draws = _as_ruled(fitted.draw(n_rows, {}, rng), fitted.codebook, rng)
        kept.append(draws[torch.from_numpy(lawful(draws.numpy(), fitted.codebook, rng))])
        n_kept += len(kept[-1])
        if n_kept >= n_rows // 2:
            break
    return torch.cat(kept)[:n_rows] if n_kept >= _FEWEST_LAWFUL else draws


def _as_ruled(codes: Tensor, codebook: Codebook, rng: np.random.Generator) -> Tensor:
    """The draws with dependent columns as their rules set them, so that they weigh as drawn."""
    rules = codebook.schema.constraints
    ruled = [rule.determines for rule in rules if isinstance(rule, FunctionalDependency)]
    if not ruled:
        return codes
    table, names = derived(codebook.decode(codes.numpy(), rng)), list(codebook.columns)
    codes = codes.clone()
    for name in set(ruled) & set(names):
        found = torch.from_numpy(codebook.columns[name].encode(table, name))
        codes[:, names.index(name)] = found.to(codes.dtype)
    return codes


def restored_projection(codebook: Codebook, tensors: Mapping[str, Array]) -> dict[str, Any]:
    """Pool and projection as `ProjectedSynthesizer.tensors` saved them; ValueError if damaged."""
    pool = torch.from_numpy(tensors["pool"].astype(np.int64))
    if pool.ndim != 2 or pool.shape[1] != len(codebook.sizes) or not len(pool):
        raise ValueError("the pool does not fit the codebook")
    if (pool.amax(0) >= torch.tensor(codebook.sizes)).any() or (pool < 0).any():
        raise ValueError("the pool holds codes that the codebook does not know")
    total = sum(codebook.sizes)
    bias = torch.from_numpy(tensors["projection.bias"].copy()).reshape(total)
    theta = torch.from_numpy(tensors["projection.theta"].copy()).reshape(total, total)
    figures = (float(tensors[f"projection.{name}"][0]) for name in _FIGURES)
    return {
        "pool": pool.to(torch.int16),
        "projection": Projection(Potentials(codebook.sizes, bias, theta), *figures),
        "measured": _measured(codebook, tensors),
    }


def _measured(codebook: Codebook, tensors: Mapping[str, Array]) -> Measured | None:
    """What was measured, as saved; None where nothing was."""
    if "measured.shares" not in tensors:
        return None
    shares, pairs, precision = (
        torch.from_numpy(tensors[f"measured.{name}"].copy())
        for name in ("shares", "pairs", "precision")
    )
    total, n_columns = sum(codebook.sizes), len(codebook.sizes)
    noisy = pairs.reshape(total, total), precision.reshape(n_columns, n_columns)
    return Measured(NoisyPairs(codebook.sizes, *noisy), shares.reshape(total))


def lawful(
    codes: Array, codebook: Codebook, rng: np.random.Generator, held: Collection[str] = ()
) -> Array:
    """Which rows keep to the schema's constraints once decoded, (rows,) bool.

    Dependent columns are set by their rules first, as in a sample, but for those that are held.
    """
    if not codebook.schema.constraints:
        return np.ones(len(codes), dtype=bool)
    kept = np.zeros(len(codes), dtype=bool)
    for start in range(0, len(codes), _BLOCK_ROWS):
        block = codes[start : start + _BLOCK_ROWS]
        table = derived(codebook.decode(block, rng), held)
        kept[start : start + len(block)] = satisfied(table)
    return kept


def take(codes: Tensor, weights: Tensor, n_rows: int, rng: np.random.Generator) -> Tensor:
    """n_rows of the rows, each as often as its weight says to within one (systematic sampling)."""
    cumulative = weights.double().cumsum(0)
    at = (torch.arange(n_rows) + float(rng.random())) / n_rows * cumulative[-1]
    chosen = torch.searchsorted(cumulative, at).clamp_max(len(codes) - 1)
    return codes[chosen][torch.from_numpy(rng.permutation(n_rows))]
