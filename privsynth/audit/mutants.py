"""Builds broken on purpose, one defect at a time: each must turn a check red.

A mutant is a patch that is in force while the checks run, as if the code had been written so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeAlias
from unittest import mock

import numpy as np
import torch

from privsynth.encode import learn
from privsynth.privacy import chain, dpsgd, ledger, mechanisms
from privsynth.privacy.plan import DpSgdEvent
from privsynth.privacy.spending import Measurement, Spending, Training
from privsynth.synth import base, diffusion, gan, marginal, pairs

Patch: TypeAlias = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Mutant:
    """A defect by name, and the patch that plants it; `presets` are those that it can break.

    >>> Mutant("nothing", "no defect at all", contextmanager(lambda: iter([None]))).presets
    ()
    """

    name: str
    title: str
    patch: Patch
    presets: tuple[str, ...] = ()


MUTANTS: list[Mutant] = []

_ALL = ("marginal", "diffusion", "gan")
_TRAINED = ("diffusion", "gan")


def mutant(name: str, title: str, *presets: str) -> Callable[[Callable[[], Any]], Patch]:
    """Keep the patch that a function returns as a mutant."""

    def keep(make: Callable[[], Any]) -> Patch:
        MUTANTS.append(Mutant(name, title, make, presets))
        return make

    return keep


def _in_place_of(owner: Any, name: str, broken: Callable[..., Any]) -> Any:
    """`broken` gets what it replaces as its first argument."""
    right = getattr(owner, name)

    def call(*given: Any, **named: Any) -> Any:
        return broken(right, *given, **named)

    return mock.patch.object(owner, name, call)


# --- DP-SGD


def _weaker(factor: float) -> Any:
    def add(right: Any, self: Any) -> None:
        kept, self.noise_multiplier = self.noise_multiplier, self.noise_multiplier * factor
        right(self)
        self.noise_multiplier = kept

    return _in_place_of(dpsgd._NoisyOptimizer, "add_noise", add)


@mutant("a tenth less noise", "steps of DP-SGD with nine tenths of their noise")
def _() -> Any:
    return _weaker(0.9)


@mutant("half the noise", "steps of DP-SGD with half of their noise")
def _() -> Any:
    return _weaker(0.5)


@mutant("no noise", "steps of DP-SGD without noise")
def _() -> Any:
    return _weaker(0.0)


@mutant("one noise for all steps", "the noise of the first step is used again in each step")
def _() -> Any:
    drawn: dict[int, Any] = {}

    def add(right: Any, self: Any) -> None:
        size = sum(p.numel() for p in self.params)
        normals = drawn.setdefault(size, torch.from_numpy(self.noise.normal(size)))
        parts = torch.split(normals, [p.numel() for p in self.params])
        for p, part in zip(self.params, parts, strict=True):
            scale = self.noise_multiplier * self.max_grad_norm
            p.grad = p.summed_grad + scale * part.view_as(p).to(p)

    return _in_place_of(dpsgd._NoisyOptimizer, "add_noise", add)


@mutant("no clipping", "gradients of units enter the sum as long as they are")
def _() -> Any:
    def summed(right: Any, *given: Any, **named: Any) -> Any:
        return right(*given, **named | {"max_grad_norm": 1e12})

    return _in_place_of(dpsgd, "clipped_sum", summed)


@mutant("the batch is clipped", "the sum over the batch is clipped in place of each unit")
def _() -> Any:
    def summed(right: Any, *given: Any, **named: Any) -> Any:
        found = right(*given, **named | {"max_grad_norm": 1e12})
        norm = sum(float(g.square().sum()) for g in found.values()) ** 0.5
        factor = min(1.0, named["max_grad_norm"] / norm) if norm else 1.0
        return {p: g * factor for p, g in found.items()}

    return _in_place_of(dpsgd, "clipped_sum", summed)


@mutant("wrong sample rate", "units join batches twice as often as was charged")
def _() -> Any:
    def sample(right: Any, n_units: int, rate: float, noise: Any) -> Any:
        return right(n_units, min(1.0, 2 * rate), noise)

    return _in_place_of(dpsgd, "poisson_sample", sample)


@mutant("shuffled batches", "batches of one size from a shuffle in place of Poisson sampling")
def _() -> Any:
    def sample(right: Any, n_units: int, rate: float, noise: Any) -> Any:
        return np.argsort(noise.uniform(n_units))[: round(rate * n_units)]

    return _in_place_of(dpsgd, "poisson_sample", sample)


@mutant("empty batches skipped", "a batch of nobody makes no step")
def _() -> Any:
    def step(right: Any, self: Any, loss_of_units: Any) -> None:
        if self._training.sample_rate * self._n_units < 0.01:
            self._training.next_step()
            return
        right(self, loss_of_units)

    return _in_place_of(dpsgd.PrivateTrainer, "step", step)


@mutant("two steps a charge", "each charged step is made twice", *_TRAINED)
def _() -> Any:
    def step(right: Any, self: Any, loss_of_units: Any) -> None:
        right(self, loss_of_units)
        with mock.patch.object(self._training, "next_step", return_value=0):
            right(self, loss_of_units)

    return _in_place_of(dpsgd.PrivateTrainer, "step", step)


@mutant("other numbers", "the optimizer gets less noise than the accountant was told", *_TRAINED)
def _() -> Any:
    def training(right: Any, self: Any, name: str) -> Training:
        found = right(self, name)
        event = DpSgdEvent(found.sample_rate, 0.7 * found.noise_multiplier, found.steps)
        return Training(event, name)

    return _in_place_of(Spending, "training", training)


@mutant("rows as units", "each row of a person has a clipped gradient of its own", *_TRAINED)
def _() -> Any:
    class ByRow(diffusion.UnitRows):
        def __init__(self, codes: Any, units: Any) -> None:
            super().__init__(codes, np.arange(len(units)))

    return _both(
        mock.patch.object(diffusion, "UnitRows", ByRow), mock.patch.object(gan, "UnitRows", ByRow)
    )


@mutant("early stopping on records", "training stops by the loss on the records", *_TRAINED)
def _() -> Any:
    def step(right: Any, self: Any, loss_of_units: Any) -> None:
        with torch.no_grad():
            loss = float(loss_of_units(torch.arange(self._n_units)).mean())
        self.has_stopped = getattr(self, "has_stopped", False) or int(1e5 * abs(loss)) % 3 == 0
        if self.has_stopped:
            self._training.next_step()
        else:
            right(self, loss_of_units)

    return _in_place_of(dpsgd.PrivateTrainer, "step", step)


# --- measurements


@mutant("half the noise on counts", "counts with half of their noise")
def _() -> Any:
    def add(right: Any, counts: Any, grid: Any, noise: Any) -> Any:
        return right(counts, replace(grid, sigma_squared=grid.sigma_squared // 4), noise)

    return _in_place_of(mechanisms, "_add_noise", add)


@mutant("measured twice a charge", "the mean of two answers to one charged question")
def _() -> Any:
    def add(right: Any, counts: Any, grid: Any, noise: Any) -> Any:
        return (right(counts, grid, noise) + right(counts, grid, noise)) // 2

    return _in_place_of(mechanisms, "_add_noise", add)


@mutant("pairs measured twice", "every pair is counted again without a charge", *_ALL)
def _() -> Any:
    def counted(right: Any, *given: Any, measurement: Measurement, **named: Any) -> Any:
        again = Measurement(measurement.name, measurement.noise_multiplier)
        first = right(*given, measurement=measurement, **named)
        return (first + right(*given, measurement=again, **named)) / 2

    return _in_place_of(pairs, "noisy_counts", counted)


@mutant("a charge for each part", "parts of one charge have the noise of the whole", *_ALL)
def _() -> Any:
    def split(right: Any, self: Measurement, weights: Any) -> Any:
        return [Measurement(each.name, self.noise_multiplier) for each in right(self, weights)]

    return _in_place_of(Measurement, "split", split)


@mutant("answers without end", "a measurement may be asked again and again")
def _() -> Any:
    return mock.patch.object(Measurement, "consume", return_value=None)


@mutant("contribution bound ignored", "each row of a person counts as a whole one")
def _() -> Any:
    def whole(right: Any, n_rows: int, weights: Any, max_rows: int, grid: Any) -> Any:
        return np.full(n_rows, grid.scale)

    return _in_place_of(mechanisms, "_whole_weights", whole)


@mutant("categories from records", "every label that occurs is shown")
def _() -> Any:
    return mock.patch.object(mechanisms, "_threshold", return_value=-(2**62))


@mutant("bounds from records", "the extremes of the records are the bounds")
def _() -> Any:
    def bounds(right: Any, values: Any, **named: Any) -> Any:
        return float(np.nanmin(values)), float(np.nanmax(values))

    return _in_place_of(mechanisms, "private_bounds", bounds)


# --- the fit


@mutant("bins from records", "bins are cut on exact counts", *_ALL)
def _() -> Any:
    def count(right: Any, self: Any, cells: Any, n_cells: int, measurement: Any) -> Any:
        right(self, cells, n_cells, measurement)
        return np.bincount(cells[cells >= 0], minlength=n_cells).astype(float)

    return _in_place_of(learn._Learner, "count", count)


@mutant("chance from records", "what rows hold decides how chance runs on", *_ALL)
def _() -> Any:
    def made(right: Any, self: Any, train: Any, codebook: Any, work: Any) -> None:
        right(self, train, codebook, work)
        work.rng.random(int(self._codes.sum()) % 997)

    return _in_place_of(pairs.PairCounter, "__init__", made)


@mutant("conditions from rows", "the rows that the critic's fakes start from are records", "gan")
def _() -> Any:
    def play(right: Any, self: Any, train: Any, codebook: Any, *rest: Any) -> Any:
        table, measured, work = rest
        codes = torch.from_numpy(codebook.encode(train))
        with mock.patch.object(gan, "take", lambda draws, *_: codes[: len(draws)]):
            return right(self, train, codebook, table, measured, work)

    return _in_place_of(gan.Gan, "_play", play)


@mutant("replay of records", "the rows that are replayed as public are records", "diffusion")
def _() -> Any:
    def learned(right: Any, train: Any, codebook: Any, work: Any) -> Any:
        table, measured = right(train, codebook, work)
        codes = torch.from_numpy(codebook.encode(train)).to(torch.int16)
        return replace(table, particles=codes), measured

    return mock.patch.object(diffusion, "learn_table", _bound(marginal.learn_table, learned))


@mutant("ledger after the spend", "the charge is written when the fit has ended", *_ALL)
def _() -> Any:
    def charge(right: Any, self: Any, plan: Any, dataset: str, **named: Any) -> Spending:
        entry = replace(
            ledger._new("charge", dataset, plan.unit, "training"), plan=plan, status="open"
        )

        def close(entry_id: str, status: Any) -> None:
            with chain.writing(self.path) as writer:
                writer.append(ledger._canonical(entry))

        return Spending(plan, entry.id, close)

    return _in_place_of(ledger.Ledger, "charge", charge)


@mutant("seed published", "the saved generator names the seed of its noise", *_ALL)
def _() -> Any:
    def save(right: Any, self: Any, folder: Any) -> None:
        right(replace(self, settings={**self.settings, "noise_seed": 987_654_321}), folder)

    return _in_place_of(base.FittedSynthesizer, "save", save)


def _bound(right: Any, broken: Callable[..., Any]) -> Callable[..., Any]:
    def call(*given: Any) -> Any:
        return broken(right, *given)

    return call


@contextmanager
def _both(*patches: Any) -> Iterator[None]:
    with patches[0], patches[1]:
        yield
