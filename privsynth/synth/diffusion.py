"""Masked discrete diffusion over code matrices, taught by marginals. Reads from top to bottom.

A network sees a record with some columns hidden and names the distribution of each hidden one; a
record is drawn by revealing its columns one at a time in random order, each from the network's
softmax given those already drawn. Absorbing diffusion in the sense of Austin et al. (2021), which
is an any-order autoregressive model (Hoogeboom et al. 2022).

Under privacy the network first learns from rows of the maximum-entropy table for noisy pairs, as
long as it likes: that is post-processing. A second network, whose logits are added to those of
the first, then learns from the records by DP-SGD what pairs cannot hold. It starts from nothing:
one that has learned that columns are independent given their pairs no longer learns otherwise. A
record is hidden several times and averaged before clipping, noise multiplicity (De et al. 2022;
Dockhorn et al. 2023); in half of the masks nothing is hidden but one column or targets, for what
many columns say together of one drowns where several are hidden. Rows of the table are replayed
without noise in the same step, lightly, against what the noise washes out. A corrector step then
redraws each column of a draw given all others, where the table itself is exact, and the projection
at the end puts the marginals back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from privsynth.encode import Codebook, learn_codebook
from privsynth.privacy.budget import PrivacyBudget
from privsynth.privacy.dpsgd import PublicLoss, make_trainer
from privsynth.privacy.plan import Request, TrainingRequest
from privsynth.schema import Schema
from privsynth.synth.base import (
    SavedModel,
    Synthesizer,
    Work,
    fitted_synthesizers,
    synthesizers,
)
from privsynth.synth.denoiser import Average, Denoiser, cooling, hide
from privsynth.synth.draw import blocks
from privsynth.synth.marginal import count_pairs, learn_table, teacher_requests
from privsynth.synth.maxent import Potentials, one_hot
from privsynth.synth.pairs import column_of
from privsynth.synth.policy import sampling_rate, training_share
from privsynth.synth.project import (
    Measured,
    ProjectedSynthesizer,
    Projection,
    project,
    projected,
    restored_projection,
)
from privsynth.table import Array, Table

TRAINING = "denoiser"
_TEACHER_ROWS = 100_000
_AVERAGE_LAST = 0.3
_REPLAY = 0.3
_LEAST_REACH, _CUT, _MOST_CUTS, _TRIED_ROWS = 0.75, 0.7, 4, 40_000
_PASSES, _LEAST_STEPS = 64, 200  # over the records, without privacy: more would learn them by heart


@synthesizers.register("diffusion")
@dataclass(frozen=True)
class Diffusion(Synthesizer):
    """Masked discrete diffusion; every setting is public.

    `taught_steps` of 0 leaves the teacher out: the network starts from the noisy 1-ways alone.

    >>> Diffusion(steps=100).steps
    100
    """

    name: ClassVar[str] = "diffusion"

    taught_steps: int = 1200
    taught_batch: int = 512
    steps: int = 600
    batch_size: int = 1024
    views: int = 4
    max_grad_norm: float = 1.0
    learning_rate: float = 2e-3
    tuning_rate: float = 5e-3
    width: int = 192
    tuning_width: int = 128
    depth: int = 1
    max_codes: int = 32
    codebook_share: float = 0.12

    def requests(
        self, schema: Schema, n_units: int | None, budget: PrivacyBudget
    ) -> Sequence[Request]:
        """The teacher's measurements, and DP-SGD with the share that the policy gives it."""
        share = training_share(schema, n_units, budget, self.max_codes)
        measured = teacher_requests(schema, self.codebook_share, 1 - share)
        if share == 0:
            return measured
        rate, steps = sampling_rate(self.batch_size, n_units), self.steps
        if not budget.is_private and n_units is not None:
            steps = min(steps, max(_LEAST_STEPS, round(_PASSES / rate)))
        return [*measured, TrainingRequest(TRAINING, "gradients of the denoiser", rate, steps)]

    def learn(self, train: Table, work: Work) -> FittedDiffusion:
        """Codebook, teacher, denoiser, projection."""
        work.progress.stage("learning bins and categories")
        codebook = learn_codebook(train, work.spending, work.noise, max_codes=self.max_codes)
        generator = torch.Generator().manual_seed(int(work.rng.integers(2**62)))
        denoiser, replay = self._denoiser(codebook, work.rng), None
        if self.taught_steps:
            table, measured = learn_table(train, codebook, work)
            lesson = Lesson(table.draw(_TEACHER_ROWS, {}, work.rng), self.taught_batch, generator)
            self._teach(denoiser, lesson, work)
            denoiser.rely_on(table.potentials)
        else:
            measured = count_pairs(train, codebook, work)
        if any(each.name == TRAINING for each in work.spending.plan.mechanisms):
            rows = UnitRows(torch.from_numpy(codebook.encode(train)), train.units())
            if self.taught_steps:
                denoiser = self._denoiser(codebook, work.rng, base=denoiser)
                replay = lesson.loss_of(denoiser, _REPLAY, codebook.targets)
            self._tune(denoiser, rows, replay, codebook.n_units, work)
        public = asdict(self), codebook, work.guarantee, work.spending.entry_id
        fitted = FittedDiffusion(*public, torch.empty(0), Projection.none(codebook.sizes), denoiser)
        if denoiser.base is not None:
            within_reach(fitted, measured, work.rng)
        return projected(fitted, measured, work.rng, work.progress)

    def _denoiser(
        self, codebook: Codebook, rng: np.random.Generator, base: Denoiser | None = None
    ) -> Denoiser:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**62)))
            width = self.width if base is None else self.tuning_width
            shares = list(codebook.shares.values())
            return Denoiser(shares, width, self.depth, base, codebook.targets)

    def _teach(self, denoiser: Denoiser, lesson: Lesson, work: Work) -> None:
        """Training on rows of the table, which costs no privacy."""
        optimizer = torch.optim.Adam(denoiser.parameters(), lr=self.learning_rate)
        average, loss = Average(denoiser), lesson.loss_of(denoiser, 1.0, None)
        work.progress.stage("teaching the denoiser the marginals", self.taught_steps)
        for done in cooling(optimizer, self.taught_steps, self.learning_rate):
            optimizer.zero_grad(set_to_none=True)
            loss().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            if done >= 1 - _AVERAGE_LAST:
                average.add(denoiser)
            work.progress.advance()
        average.into(denoiser)

    def _tune(
        self,
        denoiser: Denoiser,
        rows: UnitRows,
        replay: PublicLoss | None,
        n_units: float,
        work: Work,
    ) -> None:
        """DP-SGD on the records, with the lesson replayed; plain training without privacy."""
        generator = torch.Generator().manual_seed(int(work.rng.integers(2**62)))

        def loss_of_units(units: Tensor) -> Tensor:
            hidden = hide(len(units), rows.n_columns, self.views, generator, denoiser.targets)
            return denoiser.loss(rows.draw(units, self.views, generator), hidden)

        rate = self.learning_rate if replay is None else self.tuning_rate
        trained = [each for each in denoiser.parameters() if each.requires_grad]
        optimizer = torch.optim.Adam(trained, lr=rate)
        trainer = make_trainer(
            denoiser,
            optimizer,
            work.spending.training(TRAINING),
            rows.n_units,
            n_units_public=n_units,
            views=self.views,
            max_grad_norm=self.max_grad_norm,
            noise=work.noise,
            public_loss=replay,
        )
        average = Average(denoiser)
        steps = trainer.steps_left
        work.progress.stage("training the denoiser", steps)
        for done in cooling(optimizer, steps, rate):
            trainer.step(loss_of_units)
            if done >= 1 - _AVERAGE_LAST:
                average.add(denoiser)
            work.progress.advance(note=work.budget_note)
        average.into(denoiser)


def within_reach(fitted: FittedDiffusion, measured: Measured, rng: np.random.Generator) -> None:
    """Cut what the second network adds until its draws reach the measured marginals.

    Where noise has taught it more than records did, its draws stray so far that few of them would
    carry the projection. Only what was measured is read.
    """
    for _ in range(_MOST_CUTS):
        draws = fitted.draw(_TRIED_ROWS, {}, rng)
        if reach(draws, measured) >= _LEAST_REACH:
            return
        with torch.no_grad():
            fitted.denoiser.head.weight.mul_(_CUT)
            fitted.denoiser.head.bias.mul_(_CUT)


def reach(draws: Tensor, measured: Measured) -> float:
    """How well draws can be weighed to have the measured marginals, 0 to 1.

    The effective share of the weights, less by the largest 1-way distance that they leave: rows
    that all are alike have equal weights too.
    """
    sizes, projection = measured.pairs.sizes, project(draws, measured)
    held = projection.weights(draws).float() @ one_hot(draws, sizes) / len(draws)
    gaps = torch.zeros(len(sizes)).index_add(0, column_of(sizes), (held - measured.shares).abs())
    return projection.effective_share * (1 - float(gaps.max()) / 2)


class Lesson:
    """Rows of the teacher, and the loss on a batch of them: no record is among them."""

    def __init__(self, codes: Tensor, batch_size: int, generator: torch.Generator) -> None:
        self._codes, self._batch_size, self._generator = codes, batch_size, generator

    def loss_of(
        self, denoiser: Denoiser, weight: float, targets: Sequence[int] | None
    ) -> PublicLoss:
        """A loss that draws its own batch; `targets` as `hide` takes them."""

        def loss() -> Tensor:
            size = (self._batch_size,)
            chosen = torch.randint(len(self._codes), size, generator=self._generator)
            n_columns = self._codes.shape[1]
            hidden = hide(len(chosen), n_columns, 1, self._generator, targets)
            return weight * denoiser.loss(self._codes[chosen], hidden).mean()

        return loss


class UnitRows:
    """The code matrix by privacy unit: a view of a unit is one of its rows, drawn at random."""

    def __init__(self, codes: Tensor, units: Array) -> None:
        order = np.argsort(units, kind="stable")
        self._codes = codes[torch.from_numpy(order)]
        counts = torch.from_numpy(np.bincount(units))
        self._first = torch.cumsum(counts, 0) - counts
        self._counts = counts
        self.n_units = len(counts)
        self.n_columns = codes.shape[1]

    def draw(self, units: Tensor, views: int, generator: torch.Generator) -> Tensor:
        """The rows of `views` draws a unit, adjacent: (len(units) * views, columns).

        Units are independent of each other for whoever does not know the generator.
        """
        chosen = units.repeat_interleave(views)
        u = torch.rand(len(chosen), generator=generator)
        return self._codes[self._first[chosen] + (u * self._counts[chosen]).long()]


@fitted_synthesizers.register("diffusion")
@dataclass(frozen=True, repr=False)
class FittedDiffusion(ProjectedSynthesizer):
    """A trained denoiser with its codebook and guarantee."""

    name: ClassVar[str] = "diffusion"

    denoiser: Denoiser

    def draw(self, n_rows: int, given: Mapping[int, int], rng: np.random.Generator) -> Tensor:
        """Codes drawn column by column, in an order of its own for each block of rows."""
        return torch.cat(list(blocks(self.denoiser, n_rows, given, rng)))

    def tensors(self) -> dict[str, Array]:
        """The denoiser's parameters and buffers, beside pool and projection."""
        state = self.denoiser.state_dict().items()
        return super().tensors() | {f"denoiser.{name}": v.numpy().copy() for name, v in state}

    @classmethod
    def restored(cls, saved: SavedModel) -> FittedDiffusion:
        """The denoiser of the saved sizes with the saved weights."""
        settings = saved.settings
        shares, targets = list(saved.codebook.shares.values()), saved.codebook.targets
        depth = int(settings["depth"])
        denoiser = Denoiser(shares, int(settings["width"]), depth, None, targets)
        if any(name.endswith(".theta") for name in saved.tensors if name.startswith("denoiser.")):
            denoiser.rely_on(Potentials.zero(saved.codebook.sizes))
        if any(name.startswith("denoiser.base.") for name in saved.tensors):
            width = int(settings["tuning_width"])
            denoiser = Denoiser(shares, width, depth, denoiser, targets)
        denoiser.load_state_dict(
            {
                name.removeprefix("denoiser."): torch.from_numpy(value.copy())
                for name, value in saved.tensors.items()
                if name.startswith("denoiser.")
            }
        )
        return cls(
            settings,
            saved.codebook,
            saved.guarantee,
            saved.entry_id,
            **restored_projection(saved.codebook, saved.tensors),
            denoiser=denoiser,
        )
