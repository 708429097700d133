"""Defects of DP-SGD."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import torch

from privsynth.audit.mutant import TRAINED, both, in_place_of, mutant
from privsynth.privacy import dpsgd
from privsynth.privacy.plan import DpSgdEvent
from privsynth.privacy.spending import Spending, Training
from privsynth.synth import diffusion, gan


def _weaker(factor: float) -> Any:
    def add(right: Any, self: Any) -> None:
        kept, self.noise_multiplier = self.noise_multiplier, self.noise_multiplier * factor
        right(self)
        self.noise_multiplier = kept

    return in_place_of(dpsgd._NoisyOptimizer, "add_noise", add)


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

    return in_place_of(dpsgd._NoisyOptimizer, "add_noise", add)


@mutant("noise on one parameter", "the first parameter alone gets noise")
def _() -> Any:
    def add(right: Any, self: Any) -> None:
        right(self)
        for parameter in self.params[1:]:
            parameter.grad = parameter.summed_grad.clone()

    return in_place_of(dpsgd._NoisyOptimizer, "add_noise", add)


@mutant("layers clipped apart", "each layer is clipped to the whole norm")
def _() -> Any:
    def summed(right: Any, layers: Any, *given: Any, **named: Any) -> Any:
        found: dict[Any, Any] = {}
        for layer in layers.values():
            whole = right(layers, *given, **named | {"max_grad_norm": 1e12})
            part = {p: g for p, g in whole.items() if any(p is q for q in layer.parameters())}
            norm = sum(float(g.square().sum()) for g in part.values()) ** 0.5
            factor = min(1.0, named["max_grad_norm"] / norm) if norm else 1.0
            found |= {p: g * factor for p, g in part.items()}
        return found

    return in_place_of(dpsgd, "clipped_sum", summed)


@mutant("no clipping", "gradients of units enter the sum as long as they are")
def _() -> Any:
    def summed(right: Any, *given: Any, **named: Any) -> Any:
        return right(*given, **named | {"max_grad_norm": 1e12})

    return in_place_of(dpsgd, "clipped_sum", summed)


@mutant("the batch is clipped", "the sum over the batch is clipped in place of each unit")
def _() -> Any:
    def summed(right: Any, *given: Any, **named: Any) -> Any:
        found = right(*given, **named | {"max_grad_norm": 1e12})
        norm = sum(float(g.square().sum()) for g in found.values()) ** 0.5
        factor = min(1.0, named["max_grad_norm"] / norm) if norm else 1.0
        return {p: g * factor for p, g in found.items()}

    return in_place_of(dpsgd, "clipped_sum", summed)


@mutant("wrong sample rate", "units join batches twice as often as was charged")
def _() -> Any:
    def sample(right: Any, n_units: int, rate: float, noise: Any) -> Any:
        return right(n_units, min(1.0, 2 * rate), noise)

    return in_place_of(dpsgd, "poisson_sample", sample)


@mutant("shuffled batches", "batches of one size from a shuffle in place of Poisson sampling")
def _() -> Any:
    def sample(right: Any, n_units: int, rate: float, noise: Any) -> Any:
        return np.argsort(noise.uniform(n_units))[: round(rate * n_units)]

    return in_place_of(dpsgd, "poisson_sample", sample)


@mutant("batches in sequence", "batches of a random size are taken in sequence")
def _() -> Any:
    last = [0]

    def sample(right: Any, n_units: int, rate: float, noise: Any) -> Any:
        size = len(right(n_units, rate, noise))
        last[0] += size
        return np.sort((last[0] - size + np.arange(size)) % n_units)

    return in_place_of(dpsgd, "poisson_sample", sample)


@mutant("a unit that always joins", "the first unit is in every batch")
def _() -> Any:
    def sample(right: Any, n_units: int, rate: float, noise: Any) -> Any:
        return (
            np.union1d([0], right(n_units, rate, noise))
            if rate > 0.01
            else right(n_units, rate, noise)
        )

    return in_place_of(dpsgd, "poisson_sample", sample)


@mutant("empty batches skipped", "a batch of nobody makes no step")
def _() -> Any:
    def step(right: Any, self: Any, loss_of_units: Any) -> None:
        if self._training.sample_rate * self._n_units < 0.01:
            self._training.next_step()
            return
        right(self, loss_of_units)

    return in_place_of(dpsgd.PrivateTrainer, "step", step)


@mutant("two steps a charge", "each charged step is made twice", *TRAINED)
def _() -> Any:
    def step(right: Any, self: Any, loss_of_units: Any) -> None:
        right(self, loss_of_units)
        with mock.patch.object(self._training, "next_step", return_value=0):
            right(self, loss_of_units)

    return in_place_of(dpsgd.PrivateTrainer, "step", step)


@mutant("other numbers", "the optimizer gets less noise than the accountant was told", *TRAINED)
def _() -> Any:
    def training(right: Any, self: Any, name: str) -> Training:
        found = right(self, name)
        event = DpSgdEvent(found.sample_rate, 0.7 * found.noise_multiplier, found.steps)
        return Training(event, name)

    return in_place_of(Spending, "training", training)


@mutant("rows as units", "each row of a person has a clipped gradient of its own", *TRAINED)
def _() -> Any:
    class ByRow(diffusion.UnitRows):
        def __init__(self, codes: Any, units: Any) -> None:
            super().__init__(codes, np.arange(len(units)))

    return both(
        mock.patch.object(diffusion, "UnitRows", ByRow), mock.patch.object(gan, "UnitRows", ByRow)
    )


@mutant("early stopping on records", "training halts by the loss on the records", *TRAINED)
def _() -> Any:
    def step(right: Any, self: Any, loss_of_units: Any) -> None:
        with torch.no_grad():
            loss = float(loss_of_units(torch.arange(self._n_units)).mean())
        if int(1e5 * abs(loss)) % 2:  # at each step anew: one stop may fall alike for two tables
            self._training.next_step()
        else:
            right(self, loss_of_units)

    return in_place_of(dpsgd.PrivateTrainer, "step", step)


@mutant("the loss keeps count", "training stops by what the loss has seen of batches", *TRAINED)
def _() -> Any:
    def step(right: Any, self: Any, loss_of_units: Any) -> None:
        if getattr(self, "seen", 1) % 3 == 0:
            self._training.next_step()
            return

        def watched(units: Any) -> Any:
            found = loss_of_units(units)
            self.seen = int(1e5 * abs(float(found.detach().mean())))
            return found

        right(self, watched)

    return in_place_of(dpsgd.PrivateTrainer, "step", step)
