"""Checks of DP-SGD: what its steps do, seen from outside, against what was charged."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from privsynth.audit.base import LEAST_P, Check, two_sided
from privsynth.privacy import dpsgd
from privsynth.privacy.noise import NoiseSource, SecretNoise, SeededNoise
from privsynth.privacy.plan import DpSgdEvent
from privsynth.privacy.spending import Training

N_FREE = 1_000
"""Coordinates whose gradient is 0 whatever the records say: they move by noise alone."""

_N_UNITS, _CLIP = 40, 0.5


@dataclass(frozen=True)
class Seen:
    """What steps did: moves of the free coordinates, (steps, N_FREE), and the batch sizes."""

    moves: NDArray[np.float64]
    sizes: tuple[int, ...]


def seen(token: Training, noise: NoiseSource, clip: float = _CLIP) -> Seen:
    """Every step that the token allows, on units with large gradients."""
    x = torch.cat([torch.ones(_N_UNITS, 4), torch.zeros(_N_UNITS, N_FREE)], 1)
    model = nn.Linear(4 + N_FREE, 1, bias=False)
    trainer = dpsgd.make_trainer(
        model,
        torch.optim.SGD(model.parameters(), lr=1.0),
        token,
        _N_UNITS,
        views=1,
        max_grad_norm=clip,
        noise=noise,
    )
    moves, sizes = list[NDArray[np.float64]](), list[int]()

    def losses(units: Tensor) -> Tensor:
        sizes[-1] = len(units)
        pulled: Tensor = 1e3 * model(x[units])
        return pulled.flatten()

    while trainer.steps_left:
        before = model.weight.detach().double().clone()
        sizes.append(0)  # an empty batch asks for no loss
        trainer.step(losses)
        moves.append((model.weight.detach().double() - before)[0, 4:].numpy())
    return Seen(np.array(moves), tuple(sizes))


def noise_of_steps() -> tuple[bool, str]:
    """Chi-square of the free coordinates: a tenth less noise than charged shows."""
    event = DpSgdEvent(0.5, 1.3, 10)
    moves = seen(Training(event, "probe"), SecretNoise()).moves
    deviation = event.noise_multiplier * _CLIP / (event.sample_rate * _N_UNITS)
    p = two_sided(float(((moves / deviation) ** 2).sum()), moves.size)
    return p > LEAST_P, f"p = {p:.2g} over {moves.size} coordinates"


def fresh_noise() -> tuple[bool, str]:
    """Noise of two steps shares nothing."""
    moves = seen(Training(DpSgdEvent(0.5, 1.0, 10), "probe"), SecretNoise()).moves
    if not moves.std(axis=1).all():
        return False, "a step without noise"
    largest = float(np.abs(np.corrcoef(moves)[np.triu_indices(10, 1)]).max())
    return largest < 6 / math.sqrt(N_FREE), f"largest correlation {largest:.3f}"


def contribution_of_a_unit() -> tuple[bool, str]:
    """One unit more moves the sum by the clipping norm at most, whatever the others are."""
    largest = 0.0
    for size in (0.1, 1e3, 1e6):
        alone, both = (_summed(torch.tensor(x)) for x in ([[1.0]], [[1.0], [-size]]))
        largest = max(largest, float((both - alone).abs()), float(alone.abs()))
    return largest <= _CLIP * (1 + 1e-6), f"{largest:.4f} at a norm of {_CLIP}"


def _summed(x: Tensor) -> Tensor:
    """The noiseless clipped sum of a one-parameter model's gradients, by way of the trainer."""
    model = nn.Linear(1, 1, bias=False)
    trainer = dpsgd.make_trainer(
        model,
        torch.optim.SGD(model.parameters(), lr=1.0),
        Training(DpSgdEvent(1.0, 1e-9, 1), "probe"),
        len(x),
        views=1,
        max_grad_norm=_CLIP,
        noise=SeededNoise(1),
    )
    before = model.weight.detach().clone()
    trainer.step(lambda units: 1e3 * model(x[units]).flatten())
    return (before - model.weight.detach()).flatten()[0] * len(x)


def poisson_batches() -> tuple[bool, str]:
    """Batch sizes vary as independent coin tosses make them vary: no fixed size, right mean."""
    rate, steps = 0.3, 400
    sizes = np.array(seen(Training(DpSgdEvent(rate, 1.0, steps), "probe"), SecretNoise()).sizes)
    variance = _N_UNITS * rate * (1 - rate)
    off = abs(sizes.mean() - _N_UNITS * rate) / math.sqrt(variance / steps)
    ratio = float(sizes.var() / variance)
    return off < 5.5 and 0.6 < ratio < 1.5, f"mean off by {off:.1f} sigma, variance x {ratio:.2f}"


def empty_batches() -> tuple[bool, str]:
    """A batch of nobody is a step with noise, and uses the charge up."""
    token = Training(DpSgdEvent(1e-9, 1.0, 5), "probe")
    found = seen(token, SecretNoise())
    moved = int((np.abs(found.moves).sum(1) > 0).sum())
    return moved == 5 and not sum(found.sizes), f"{moved} of 5 empty steps moved the model"


CHECKS = (
    Check("noise of steps", "DP-SGD adds the noise that was charged", noise_of_steps),
    Check("fresh noise", "each step draws its own noise", fresh_noise),
    Check("clipping", "one unit moves a step by the clipping norm at most", contribution_of_a_unit),
    Check("Poisson batches", "each unit joins a batch independently", poisson_batches),
    Check("empty batches", "an empty batch is a charged step with noise", empty_batches),
)
