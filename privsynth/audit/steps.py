"""Checks of DP-SGD: what its steps do, seen from outside, against what was charged."""

from __future__ import annotations

import math
from collections.abc import Sequence
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

_N_UNITS, _CLIP, _VIEWS, _WIDTH = 40, 0.5, 4, 30


@dataclass(frozen=True)
class Seen:
    """What steps did: the moves of each parameter, (steps, size), and who was in each batch."""

    moves: tuple[NDArray[np.float64], ...]
    batches: tuple[NDArray[np.int64], ...]


def _network(width: int = _WIDTH) -> nn.Sequential:
    """Two layers of one shape with biases, and a third: every kind of parameter of a denoiser."""
    layers = [nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, 1)]
    return nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Tanh(), layers[2])


def seen(token: Training, noise: NoiseSource, width: int = _WIDTH) -> Seen:
    """Every step that the token allows, on units whose loss is flat: noise alone moves anything."""
    model = _network(width)
    rows = torch.ones(_N_UNITS * _VIEWS, width)
    trainer = _trainer(model, token, _N_UNITS, noise)
    moves: list[list[NDArray[np.float64]]] = []
    batches: list[NDArray[np.int64]] = []

    def losses(units: Tensor) -> Tensor:
        batches[-1] = units.numpy().copy()
        flat: Tensor = 0.0 * model(rows[: len(units) * _VIEWS])
        return flat.flatten()

    while trainer.steps_left:
        before = [p.detach().double().clone() for p in model.parameters()]
        batches.append(np.empty(0, dtype=np.int64))  # an empty batch asks for no loss
        trainer.step(losses)
        after = [p.detach().double() for p in model.parameters()]
        moves.append([(b - a).flatten().numpy() for a, b in zip(after, before, strict=True)])
    return Seen(tuple(np.stack(each) for each in zip(*moves, strict=True)), tuple(batches))


def _trainer(model: nn.Module, token: Training, n_units: int, noise: NoiseSource) -> dpsgd.Trainer:
    sgd = torch.optim.SGD(model.parameters(), lr=1.0)
    return dpsgd.make_trainer(
        model, sgd, token, n_units, views=_VIEWS, max_grad_norm=_CLIP, noise=noise
    )


def noise_of_steps() -> tuple[bool, str]:
    """Chi-square of each parameter and of all together: a tenth less noise than charged shows."""
    event = DpSgdEvent(0.5, 1.3, 10)
    deviation = event.noise_multiplier * _CLIP / (event.sample_rate * _N_UNITS)
    found = [each / deviation for each in seen(Training(event, "probe"), SecretNoise()).moves]
    together = np.concatenate([each.ravel() for each in found])
    p_values = [two_sided(float((each**2).sum()), each.size) for each in (*found, together)]
    figure = f"least p = {min(p_values):.2g} over {together.size} coordinates"
    return min(p_values) > LEAST_P, figure


def fresh_noise() -> tuple[bool, str]:
    """Noise of two steps shares nothing, nor that of two parameters of one shape."""
    moves = seen(Training(DpSgdEvent(0.5, 1.0, 8), "probe"), SecretNoise()).moves
    weights = np.concatenate([moves[0], moves[2]])  # (16, width²): both layers of one shape
    if not weights.std(axis=1).all():
        return False, "a step without noise"
    largest = float(np.abs(np.corrcoef(weights)[np.triu_indices(len(weights), 1)]).max())
    return largest < 6.5 / _WIDTH, f"largest correlation {largest:.3f}"


def contribution_of_a_unit() -> tuple[bool, str]:
    """One unit more moves all parameters together by the norm at most, whatever the others are.

    Its views pull the same way, so that clipping each apart, or each layer apart, shows.
    """
    largest = 0.0
    for size in (0.1, 1e3, 1e6):
        alone, both = _summed([1e3]), _summed([1e3, -1e3 * size])
        largest = max(largest, float((both - alone).norm()), float(alone.norm()))
    return largest <= _CLIP * (1 + 1e-5), f"{largest:.4f} at a norm of {_CLIP}"


def _summed(pulls: Sequence[float]) -> Tensor:
    """The noiseless clipped sum of a network's gradients, by way of the trainer."""
    generator = torch.Generator().manual_seed(1)
    model = _network()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 4)
    both = torch.randn(2, _WIDTH, generator=generator)  # the same first unit, alone or not
    rows = both[: len(pulls)].repeat_interleave(_VIEWS, 0)
    pull = torch.tensor(pulls).repeat_interleave(_VIEWS)
    token = Training(DpSgdEvent(1.0, 1e-9, 1), "probe")
    trainer = _trainer(model, token, len(pulls), SeededNoise(1))
    before = torch.cat([p.detach().flatten().double() for p in model.parameters()])

    def losses(units: Tensor) -> Tensor:
        chosen = (units[:, None] * _VIEWS + torch.arange(_VIEWS)).flatten()
        found: Tensor = pull[chosen] * model(rows[chosen]).flatten()
        return found

    trainer.step(losses)
    after = torch.cat([p.detach().flatten().double() for p in model.parameters()])
    return (before - after) * len(pulls)


def poisson_batches() -> tuple[bool, str]:
    """Each unit joins each batch by a coin of its own: sizes, units and successive batches."""
    rate, steps = 0.3, 200
    event = DpSgdEvent(rate, 1.0, steps)
    batches = seen(Training(event, "probe"), SecretNoise(), width=2).batches
    joined = np.zeros((steps, _N_UNITS))
    for row, batch in zip(joined, batches, strict=True):
        row[batch] = 1
    variance = rate * (1 - rate)
    sizes = joined.sum(1)
    ratio = float(sizes.var() / (_N_UNITS * variance))
    by_unit = (joined.sum(0) - steps * rate) / math.sqrt(steps * variance)
    p = two_sided(float((by_unit**2).sum()), _N_UNITS)
    apart = joined - rate
    again = float((apart[:-1] * apart[1:]).sum() / math.sqrt((steps - 1) * _N_UNITS) / variance)
    passed = p > LEAST_P and 0.55 < ratio < 1.55 and abs(again) < 6
    return passed, f"p = {p:.2g} over units, variance x {ratio:.2f}, overlap {again:+.1f} sigma"


def empty_batches() -> tuple[bool, str]:
    """A batch of nobody is a step with noise, and uses the charge up."""
    found = seen(Training(DpSgdEvent(1e-9, 1.0, 5), "probe"), SecretNoise())
    moved = int((np.abs(found.moves[0]).sum(1) > 0).sum())
    empty = sum(not len(batch) for batch in found.batches)
    return moved == empty == 5, f"{moved} of {empty} empty steps moved the model"


CHECKS = (
    Check("noise of steps", "DP-SGD adds the noise that was charged", noise_of_steps),
    Check("fresh noise", "each step draws its own noise", fresh_noise),
    Check("clipping", "one unit moves a step by the clipping norm at most", contribution_of_a_unit),
    Check("Poisson batches", "each unit joins a batch independently", poisson_batches),
    Check("empty batches", "an empty batch is a charged step with noise", empty_batches),
)
