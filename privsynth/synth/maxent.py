"""The maximum-entropy table for noisy pairs, over all pairs of columns at once.

p(x) ∝ exp(Σ_j bias[x_j] + Σ_{i<j} theta[x_i, x_j]), a Potts model over codes. A graphical model on
a junction tree (MST, AIM) can hold few pairs, for its cliques grow exponentially; here particles
stand in for the tree. They follow the model while its potentials grow from independence: each
change of the potentials weighs them, poor weights resample them (a sequential Monte Carlo sampler,
Del Moral, Doucet and Jasra 2006), and a Gibbs sweep moves them: each row sums the potentials of its
own codes, one row of them a column.

Noise is not fitted. Each pair's potentials have a normal prior of variance `scale`, learned from
the noisy counts themselves (automatic relevance determination, MacKay 1992), so a cell moves away
from what the rest implies only as far as its own precision supports.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from privsynth.progress import SILENT, Progress
from privsynth.synth.pairs import NoisyPairs, apart, column_of

ROUNDS = 250
_PACE, _LARGEST_MOVE = 0.1, 0.5
_BOUND = 8.0
_MEMORY = 0.8  # of the running mean over rounds by which noise in the particles is averaged
_FIRST_SCALE, _LEAST_SCALE, _LARGEST_SCALE = 0.25, 1e-4, 9.0
_SCALE_FROM, _SCALE_EVERY = 20, 5
_INDEPENDENT = 0.3
_LEAST_SHARE = 1e-5
_POOREST = 0.5
_SWEEPS, _SWEEPS_GIVEN = 4, 25
_NUMBERS_AT_ONCE = 100_000_000  # of indicators in memory


@dataclass(frozen=True, repr=False)
class Potentials:
    """Parameters of a pairwise model: `bias` (total,) and symmetric `theta` (total, total)."""

    sizes: tuple[int, ...]
    bias: Tensor
    theta: Tensor

    @classmethod
    def zero(cls, sizes: Sequence[int]) -> Potentials:
        """The potentials of the uniform table."""
        return cls(tuple(sizes), torch.zeros(sum(sizes)), torch.zeros(sum(sizes), sum(sizes)))

    def energy(self, codes: Tensor) -> Tensor:
        """Log weight of each row of codes, (rows, columns), up to a constant: (rows,)."""
        n_rows, found = max(1, _NUMBERS_AT_ONCE // len(self.bias)), []
        for at in torch.split(codes + starts_of(self.sizes), n_rows):
            pulls = functional.embedding_bag(at, self.theta, mode="sum")  # (rows, total)
            found.append(0.5 * pulls.gather(1, at).sum(1) + self.bias[at].sum(1))
        return torch.cat(found)

    def __repr__(self) -> str:
        return f"Potentials({len(self.sizes)} columns, {len(self.bias)} codes)"


class Particles:
    """Weighted rows of codes, (rows, columns), that stand for a distribution."""

    def __init__(
        self, codes: Tensor, sizes: Sequence[int], generator: torch.Generator | None = None
    ) -> None:
        self.codes, self.sizes, self._generator = codes, tuple(sizes), generator
        self.log_weights = torch.zeros(len(codes))

    @classmethod
    def independent(
        cls, shares: Sequence[Tensor], n_rows: int, generator: torch.Generator
    ) -> Particles:
        """Rows whose columns are drawn on their own."""
        drawn = [share.multinomial(n_rows, True, generator=generator) for share in shares]
        return cls(torch.stack(drawn, 1), [len(share) for share in shares], generator)

    @property
    def weights(self) -> Tensor:
        """Shares of the rows, (rows,), summing to 1."""
        return self.log_weights.softmax(0)

    @property
    def effective_share(self) -> float:
        """Effective sample size over the number of rows (Kish 1965)."""
        return float(1 / self.weights.square().sum() / len(self.codes))

    def pair_shares(self) -> Tensor:
        """Weighted shares of every pair of codes, (total, total); the diagonal holds the 1-ways."""
        n_rows, weights = max(1, _NUMBERS_AT_ONCE // sum(self.sizes)), self.weights
        found = torch.zeros(sum(self.sizes), sum(self.sizes))
        for start in range(0, len(weights), n_rows):
            at = slice(start, start + n_rows)
            rows = one_hot(self.codes[at], self.sizes)
            found += (rows * weights[at, None]).T @ rows
        return found

    def weigh(self, energy: Tensor) -> None:
        """Follow a change of the potentials by weights, given its energy of each row, (rows,)."""
        self.log_weights += energy
        self.log_weights -= self.log_weights.max()

    def resample(self) -> None:
        """Rows of equal weight again, by systematic resampling."""
        n_rows = len(self.codes)
        at = (torch.arange(n_rows) + torch.rand(1, generator=self._generator)) / n_rows
        chosen = torch.searchsorted(self.weights.cumsum(0), at).clamp_max(n_rows - 1)
        self.codes, self.log_weights = self.codes[chosen], torch.zeros(n_rows)

    def sweep(self, model: Potentials, held: Sequence[int] = ()) -> None:
        """Draw each column anew given the others, in random order, but for those held."""
        starts = starts_of(self.sizes)
        at = self.codes + starts
        for j in torch.randperm(len(self.sizes), generator=self._generator).tolist():
            if j in held:
                continue
            block = slice(int(starts[j]), int(starts[j]) + self.sizes[j])
            pulls = functional.embedding_bag(at, model.theta[:, block].contiguous(), mode="sum")
            cumulative = (pulls + model.bias[block]).softmax(1).cumsum(1)
            u = torch.rand(len(at), 1, generator=self._generator) * cumulative[:, -1:]
            at[:, j] = starts[j] + (cumulative < u).sum(1).clamp_max(self.sizes[j] - 1)
        self.codes = at - starts


class Prior:
    """What potentials are expected to be before counts are seen: normal, each pair with its scale.

    `scale` is (columns, columns), the prior variance of the potentials of a pair; it is learned.
    """

    def __init__(self, pairs: NoisyPairs, shares: Tensor) -> None:
        columns = column_of(pairs.sizes)
        self.apart = apart(pairs.sizes)
        self.precision = pairs.precision[columns][:, columns] * self.apart
        self.scale = torch.full_like(pairs.precision, _FIRST_SCALE)
        self._columns = columns
        self._members = functional.one_hot(columns, len(pairs.sizes)).float()
        self._floor = _INDEPENDENT * shares[:, None] * shares[None, :]

    def level(self, mean: Tensor) -> Tensor:
        """About how large each cell's share is: what a potential of 1 would move it by."""
        return torch.maximum(mean, self._floor).clamp_min(1e-12)

    def variance(self, mean: Tensor) -> Tensor:
        """The prior variance of each cell's share, (total, total)."""
        return self.level(mean).square() * self._by_code() * self.apart

    def signal(self, mean: Tensor) -> Tensor:
        """Prior variance over noise variance of each cell."""
        return self.variance(mean) * self.precision

    def learn(self, theta: Tensor, signal: Tensor) -> None:
        """The scale of each pair from its potentials, a step of expectation and maximisation."""
        second_moment = theta.square() + self._by_code() / (1 + signal)
        informed = (signal / (1 + signal) + 1e-3) * self.apart
        totals = self._members.T @ (second_moment * informed) @ self._members
        counts = self._members.T @ informed @ self._members
        self.scale = (totals / counts.clamp_min(1e-9)).clamp(_LEAST_SCALE, _LARGEST_SCALE)

    def _by_code(self) -> Tensor:
        return self.scale[self._columns][:, self._columns]


class Fit:
    """Moves potentials and particles until their pairs agree with the noisy ones.

    The update is that of iterative proportional fitting where counts are precise, and shrinks to
    the prior where noise outweighs them.
    """

    def __init__(self, pairs: NoisyPairs, shares: Tensor, particles: Particles) -> None:
        self.particles = particles
        self.potentials = Potentials.zero(pairs.sizes)
        self.prior = Prior(pairs, shares)
        self._target, self._shares = pairs.shares, shares

    def run(self, rounds: int, progress: Progress = SILENT) -> None:
        """The fit; the pace falls to 0 over its last 40 %."""
        mean = self.particles.pair_shares()
        for number in range(rounds):
            self.particles.sweep(self.potentials)
            now = self.particles.pair_shares()
            mean = torch.lerp(now, mean, _MEMORY)
            signal = self.prior.signal(mean)
            pace = _PACE * min(1.0, (rounds - number) / (0.4 * rounds))
            self._step(self._change(mean, now, signal, pace))
            if number >= _SCALE_FROM and number % _SCALE_EVERY == 0:
                self.prior.learn(self.potentials.theta, signal)
            if self.particles.effective_share < _POOREST:
                self.particles.resample()
            progress.advance()

    def prior_variance(self) -> Tensor:
        """The variance of each cell's share before its own counts were seen, (total, total)."""
        return self.prior.variance(self.particles.pair_shares())

    def _change(self, mean: Tensor, now: Tensor, signal: Tensor, pace: float) -> Potentials:
        """One step towards the mode of the posterior, preconditioned cell by cell."""
        theta = self.potentials.theta
        pull = (self._target - mean) / self.prior.level(mean) * signal - theta
        step = pace * (pull / (1 + signal)).clamp(-1.0, 1.0) * self.prior.apart
        step = (theta + step).clamp(-_BOUND, _BOUND) - theta
        ratio = (self._shares + _LEAST_SHARE) / (now.diagonal() + _LEAST_SHARE)
        return Potentials(self.potentials.sizes, pace * ratio.log().clamp(-1.0, 1.0), step)

    def _step(self, change: Potentials) -> None:
        """Take the change, or as much of it as the particles can follow by their weights.

        All pairs move at once. Where many columns hang together their moves add up, and would
        overshoot further each time.
        """
        energy = change.energy(self.particles.codes)
        part = min(1.0, _LARGEST_MOVE / max(float(energy.std()), 1e-12))
        self.potentials.theta.add_(change.theta, alpha=part)
        self.potentials.bias.add_(change.bias, alpha=part)
        self.particles.weigh(part * energy)


@dataclass(frozen=True, repr=False)
class MaxEntTable:
    """A fitted maximum-entropy table: its potentials, and particles that follow them."""

    potentials: Potentials
    particles: Tensor

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of codes of each column."""
        return self.potentials.sizes

    def draw(self, n_rows: int, given: Mapping[int, int], rng: np.random.Generator) -> Tensor:
        """Codes of n_rows records, (n_rows, columns) int64, with the `given` columns held fixed.

        Chains start from the particles, those that hold what is given if any do, and make some
        Gibbs sweeps.
        """
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        matching = self.particles
        for column, code in given.items():
            kept = matching[matching[:, column] == code]
            matching = kept if len(kept) else matching
        repeats = math.ceil(n_rows / len(matching))
        order = torch.cat(
            [torch.randperm(len(matching), generator=generator) for _ in range(repeats)]
        )
        codes = matching[order[:n_rows]].long()
        for column, code in given.items():
            codes[:, column] = code
        chains = Particles(codes, self.sizes, generator)
        for _ in range(_SWEEPS_GIVEN if given else _SWEEPS):
            chains.sweep(self.potentials, tuple(given))
        return chains.codes

    def __repr__(self) -> str:
        return f"MaxEntTable({len(self.sizes)} columns, {sum(self.sizes)} codes)"


def one_hot(codes: Tensor, sizes: Sequence[int]) -> Tensor:
    """Codes, (rows, columns), as indicators, (rows, total) float."""
    found = torch.zeros(len(codes), sum(sizes))
    return found.scatter_(1, codes + starts_of(sizes), 1.0)


def codes_of(rows: Tensor, sizes: Sequence[int]) -> Tensor:
    """The codes, (rows, columns), of indicators or shares, (rows, total): the largest each."""
    return torch.stack([part.argmax(1) for part in torch.split(rows, list(sizes), 1)], 1)


def starts_of(sizes: Sequence[int]) -> Tensor:
    """The number of each column's first code among all codes, (columns,)."""
    return torch.tensor([0, *np.cumsum(sizes)[:-1].tolist()])
