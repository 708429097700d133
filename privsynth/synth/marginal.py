"""Maximum entropy over privately measured marginals: a generator, and the others' teacher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from privsynth.encode import Codebook, codebook_requests, learn_codebook
from privsynth.privacy.budget import PrivacyBudget
from privsynth.privacy.plan import GaussianEvent, PrivacyPlan, Request
from privsynth.schema import Schema
from privsynth.synth.base import (
    SavedModel,
    Synthesizer,
    Work,
    fitted_synthesizers,
    synthesizers,
)
from privsynth.synth.factors import informed
from privsynth.synth.maxent import ROUNDS, Fit, MaxEntTable, Particles, Potentials
from privsynth.synth.pairs import (
    LEAST_DEVIATION,
    PAIR_ROUNDS,
    NoisyPairs,
    PairCounter,
    importance,
    pair_requests,
    second_round,
)
from privsynth.synth.project import (
    Measured,
    ProjectedSynthesizer,
    Projection,
    projected,
    restored_projection,
)
from privsynth.table import Array, Table

_FIRST_ROUNDS = 80
_PARTICLES = (4_000, 20_000)
_PRODUCTS = 6e8  # multiplications a Gibbs sweep may take, on the way to the number of particles


def teacher_requests(schema: Schema, codebook_share: float, share: float) -> list[Request]:
    """The measurements that a teacher takes: `share` of the budget, a part of it the codebook's."""
    if len(schema.modelled) < 2:
        return [*codebook_requests(schema, share)]
    pairs = pair_requests(share * (1 - codebook_share))
    return [*codebook_requests(schema, share * codebook_share), *pairs]


def learn_table(train: Table, codebook: Codebook, work: Work) -> tuple[MaxEntTable, Measured]:
    """The maximum-entropy table of the records' noisy pairs, and what was measured for it."""
    generator = torch.Generator().manual_seed(int(work.rng.integers(2**62)))
    total, sizes = _shares(codebook), codebook.sizes
    n_particles = int(np.clip(_PRODUCTS / len(total) ** 2, *_PARTICLES))

    def fitted(pairs: NoisyPairs, shares: Tensor, rounds: int) -> Fit:
        starts = Particles.independent(torch.split(shares, list(sizes)), n_particles, generator)
        fit = Fit(pairs, shares, starts)
        fit.run(rounds, work.progress)
        return fit

    measured = Measured(_none(sizes), total)
    if len(sizes) > 1:
        work.progress.stage("measuring every pair of columns", _FIRST_ROUNDS)
        counter, weights = PairCounter(train, codebook, work), importance(train.schema)
        first = counter.measure(PAIR_ROUNDS[0], weights)
        prior = fitted(first, total, _FIRST_ROUNDS).prior_variance()
        second = counter.measure(PAIR_ROUNDS[1], second_round(first, prior, weights))
        measured = _of_both_rounds(first, second, codebook, work)
    work.progress.stage("fitting the marginals", ROUNDS)
    fit = fitted(measured.pairs, measured.shares, ROUNDS)
    fit.particles.resample()
    table = MaxEntTable(fit.potentials, fit.particles.codes.to(torch.int16))
    return table, measured


def count_pairs(train: Table, codebook: Codebook, work: Work) -> Measured:
    """Both rounds by public weights: what the projection needs where there is no teacher."""
    if len(codebook.sizes) < 2:
        return Measured(_none(codebook.sizes), _shares(codebook))
    work.progress.stage("measuring every pair of columns")
    counter, weights = PairCounter(train, codebook, work), importance(train.schema)
    first, second = (counter.measure(name, weights) for name in PAIR_ROUNDS)
    return _of_both_rounds(first, second, codebook, work)


def _of_both_rounds(
    first: NoisyPairs, second: NoisyPairs, codebook: Codebook, work: Work
) -> Measured:
    """All pairs as the two rounds measured them, and the shares of codes that they sharpen."""
    precision = counts_precision(codebook, work.spending.plan)
    shares = first.merged(second).sharpened(_shares(codebook), precision)
    return Measured(informed(first, second, shares), shares)


def _shares(codebook: Codebook) -> Tensor:
    """The noisy share of each code, one column after another: (codes,)."""
    return torch.from_numpy(np.concatenate(list(codebook.shares.values()))).float()


def counts_precision(codebook: Codebook, plan: PrivacyPlan) -> float:
    """One over the variance of a code's share as the codebook measured it."""
    asked = {request.name for request in codebook_requests(codebook.schema, 1.0)}
    events = [each.event for each in plan.mechanisms if each.name in asked]
    noises = [each.noise_multiplier for each in events if isinstance(each, GaussianEvent)]
    return float((codebook.n_units / max([LEAST_DEVIATION, *noises])) ** 2)


def _none(sizes: Sequence[int]) -> NoisyPairs:
    n_codes, n_columns = sum(sizes), len(sizes)
    return NoisyPairs(
        tuple(sizes), torch.zeros(n_codes, n_codes), torch.zeros(n_columns, n_columns)
    )


@synthesizers.register("marginal")
@dataclass(frozen=True)
class Marginal(Synthesizer):
    """The maximum-entropy table for all noisy pairs; every setting is public.

    >>> Marginal(max_codes=24).max_codes
    24
    """

    name: ClassVar[str] = "marginal"

    max_codes: int = 32
    codebook_share: float = 0.12

    def requests(
        self, schema: Schema, n_units: int | None, budget: PrivacyBudget
    ) -> Sequence[Request]:
        """The codebook's measurements and those of the pairs, which use everything up."""
        return teacher_requests(schema, self.codebook_share, 1.0)

    def learn(self, train: Table, work: Work) -> FittedMarginal:
        """Codebook, then pairs, then the table that says no more than these."""
        work.progress.stage("learning bins and categories")
        codebook = learn_codebook(train, work.spending, work.noise, max_codes=self.max_codes)
        table, measured = learn_table(train, codebook, work)
        fitted = FittedMarginal(
            asdict(self),
            codebook,
            work.guarantee,
            work.spending.entry_id,
            torch.empty(0),
            Projection.none(codebook.sizes),
            table,
        )
        return projected(fitted, measured, work.rng, work.progress)


@fitted_synthesizers.register("marginal")
@dataclass(frozen=True, repr=False)
class FittedMarginal(ProjectedSynthesizer):
    """A fitted maximum-entropy table with its codebook and guarantee."""

    name: ClassVar[str] = "marginal"

    table: MaxEntTable

    def draw(self, n_rows: int, given: Mapping[int, int], rng: np.random.Generator) -> Tensor:
        """Codes of n_rows records, by Gibbs sweeps from the particles."""
        return self.table.draw(n_rows, given, rng)

    def tensors(self) -> dict[str, Array]:
        """The potentials and the particles, beside pool and projection."""
        return super().tensors() | {
            "table.bias": self.table.potentials.bias.numpy().copy(),
            "table.theta": self.table.potentials.theta.numpy().copy(),
            "table.particles": self.table.particles.numpy().astype(np.uint16),
        }

    @classmethod
    def restored(cls, saved: SavedModel) -> FittedMarginal:
        """The table of the saved potentials and particles."""
        sizes, tensors = saved.codebook.sizes, saved.tensors
        potentials = Potentials(
            sizes,
            torch.from_numpy(tensors["table.bias"].copy()),
            torch.from_numpy(tensors["table.theta"].copy()),
        )
        particles = torch.from_numpy(tensors["table.particles"].astype(np.int16))
        return cls(
            saved.settings,
            saved.codebook,
            saved.guarantee,
            saved.entry_id,
            **restored_projection(saved.codebook, tensors),
            table=MaxEntTable(potentials, particles),
        )
