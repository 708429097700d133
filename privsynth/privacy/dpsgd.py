"""DP-SGD (Abadi et al. 2016): Poisson batches, one clipped gradient a unit, noise, charged steps.

The noisy step is Opacus' optimizer; its noise is drawn from this project's source, and the clipped
sum comes from one backward pass. Sampling and noise are exact to what the accountant is told but
for one thing: gradients and noise are added in floating point, as in every DP-SGD in use.

Per-unit gradients are never formed. A linear layer with inputs a and output gradients g has the
weight gradient g aᵀ, so the squared norm of a unit's gradient over its K views is
Σ_kl (a_k·a_l + 1)(g_k·g_l), the 1 for the bias; and the clipped sum is one matrix product with
each g scaled by its unit's clipping factor (Goodfellow 2015; Lee and Kifer 2021).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import torch
from opacus.optimizers.optimizer_fast_gradient_clipping import DPOptimizerFastGradientClipping
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from privsynth.errors import BudgetError
from privsynth.privacy.noise import Integers, NoiseSource, poisson_sample
from privsynth.privacy.spending import Training

LossOfUnits: TypeAlias = Callable[[Tensor], Tensor]
PublicLoss: TypeAlias = Callable[[], Tensor]
Gradients: TypeAlias = dict[nn.Parameter, Tensor]

# Norms are taken this fraction too large, so that rounding in them never lets one pass the bound.
_ROUNDING = 2.0**-18


class Trainer(Protocol):
    """Makes the steps that were charged, the same way with privacy and without."""

    @property
    def steps_left(self) -> int:
        """How many of the charged steps have not been made."""

    def step(self, loss_of_units: LossOfUnits) -> None:
        """Draw a batch of units, and move the model by the gradient of its loss.

        `loss_of_units(units)` runs the model and gives (len(units) · views,) losses, the views of
        one unit adjacent; a unit's losses may depend on no other unit. It is not called for an
        empty batch. Nothing is returned: a loss on records would be one more release.
        """


def make_trainer(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    training: Training,
    n_units: int,
    *,
    views: int,
    max_grad_norm: float,
    noise: NoiseSource,
    n_units_public: float | None = None,
    public_loss: PublicLoss | None = None,
) -> Trainer:
    """A trainer for that right: by DP-SGD, or plainly where the training is not private.

    The noisy sum is divided by the expected batch size, sample_rate · n_units; where the number
    of units is itself private, `n_units_public` is its noisy estimate and takes that place.
    `public_loss` gives a loss on data that are no records, synthetic rows for example, whose
    gradient is added to the noisy one as it is; it must not read a record.

    BudgetError if a part of the model cannot be clipped unit by unit.

    >>> from privsynth.privacy.noise import SeededNoise
    >>> from privsynth.privacy.plan import DpSgdEvent
    >>> model, rows = nn.Linear(3, 1), torch.ones(100, 3)
    >>> training = Training(DpSgdEvent(0.1, noise_multiplier=1.0, steps=5), "model")
    >>> sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> trainer = make_trainer(
    ...     model, sgd, training, 100, views=1, max_grad_norm=1.0, noise=SeededNoise(1))
    >>> while trainer.steps_left:
    ...     trainer.step(lambda units: model(rows[units]).square().sum(1))
    """
    if not training.is_private:
        return PlainTrainer(optimizer, training, n_units, noise, public_loss)
    public = n_units if n_units_public is None else n_units_public
    noisy = _NoisyOptimizer(
        optimizer,
        noise=noise,
        noise_multiplier=training.noise_multiplier,
        max_grad_norm=max_grad_norm,
        expected_batch_size=training.sample_rate * public,
        public_loss=public_loss,
    )
    layers = clippable_layers(model, noisy.params)
    return PrivateTrainer(layers, noisy, training, n_units, views)


class PrivateTrainer:
    """Steps of DP-SGD. Made by `make_trainer`."""

    def __init__(
        self,
        layers: Mapping[str, nn.Linear],
        optimizer: _NoisyOptimizer,
        training: Training,
        n_units: int,
        views: int,
    ) -> None:
        self._layers, self._optimizer, self._training = layers, optimizer, training
        self._n_units, self._views = n_units, views

    @property
    def steps_left(self) -> int:
        """How many of the charged steps have not been made."""
        return self._training.steps_left

    def step(self, loss_of_units: LossOfUnits) -> None:
        """One charged step; BudgetError when all have been made. An empty batch is a step too."""
        self._training.next_step()
        units = poisson_sample(self._n_units, self._training.sample_rate, self._optimizer.noise)
        gradients = clipped_sum(
            self._layers,
            loss_of_units,
            torch.from_numpy(units),
            views=self._views,
            max_grad_norm=self._optimizer.max_grad_norm,
        )
        for parameter in self._optimizer.params:
            parameter.grad = gradients[parameter]
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)  # drops the sum without noise


class PlainTrainer:
    """Steps without privacy: uniform batches without replacement, no clipping, no noise."""

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        training: Training,
        n_units: int,
        noise: NoiseSource,
        public_loss: PublicLoss | None = None,
    ) -> None:
        self._optimizer, self._training, self._public_loss = optimizer, training, public_loss
        self._batches = _shuffled_batches(n_units, training.sample_rate, noise)

    @property
    def steps_left(self) -> int:
        """How many of the planned steps have not been made."""
        return self._training.steps_left

    def step(self, loss_of_units: LossOfUnits) -> None:
        """One planned step; BudgetError when all have been made."""
        self._training.next_step()
        self._optimizer.zero_grad(set_to_none=True)
        loss = loss_of_units(torch.from_numpy(next(self._batches))).mean()
        if self._public_loss is not None:
            loss = loss + self._public_loss()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()


def clippable_layers(model: nn.Module, trainable: Sequence[nn.Parameter]) -> dict[str, nn.Linear]:
    """The linear layers that hold the trainable parameters, by name.

    BudgetError if a trainable parameter sits elsewhere or in two layers, if the optimizer holds
    others than the model's, or if a module mixes the records of a batch.
    """
    layers: dict[str, nn.Linear] = {}
    owned: list[nn.Parameter] = []
    for name, module in model.named_modules():
        label = f"module {name!r} ({type(module).__name__})"
        if isinstance(module, _BatchNorm):
            raise BudgetError(f"{label} mixes the records of a batch: use LayerNorm instead")
        own = [p for p in module.parameters(recurse=False) if p.requires_grad]
        if own and type(module) is not nn.Linear:
            raise BudgetError(f"{label} cannot be clipped record by record: only nn.Linear can")
        if own and isinstance(module, nn.Linear):
            layers[name] = module
            owned += own
    if len(set(owned)) < len(owned):
        raise BudgetError("two layers share a parameter: its gradients cannot be clipped apart")
    if set(owned) != set(trainable):
        raise BudgetError("the optimizer must hold exactly the model's trainable parameters")
    return layers


def clipped_sum(
    layers: Mapping[str, nn.Linear],
    loss_of_units: LossOfUnits,
    units: Tensor,
    *,
    views: int,
    max_grad_norm: float,
) -> Gradients:
    """The sum over units of each unit's gradient, scaled down to `max_grad_norm` where longer.

    A unit's loss is the mean over its views, so it has one gradient however many views it has.
    A unit whose gradient is not finite adds nothing. No unit: zeros.
    """
    if len(units) == 0:
        return {p: torch.zeros_like(p) for layer in layers.values() for p in _trainable(layer)}
    passes, losses = _run(layers, loss_of_units, units, views)
    outputs = [each.output for each in passes]
    found = torch.autograd.grad(losses.sum() / views, outputs, materialize_grads=True)
    # (units, views · positions, width): what a unit feeds into a layer, and what comes back to it
    inputs = [each.input.reshape(len(units), -1, each.input.shape[-1]) for each in passes]
    grads = [g.reshape(len(units), -1, g.shape[-1]) for g in found]
    squares = map(_squared_norms, layers.values(), inputs, grads)
    norms = torch.stack(list(squares)).sum(0).sqrt()  # (units,)
    factors = (max_grad_norm / norms).clamp(max=1.0)[:, None, None]
    if not (is_finite := norms.isfinite()[:, None, None]).all():
        inputs = [a.where(is_finite, 0.0) for a in inputs]
        grads = [g.where(is_finite, 0.0) for g in grads]
        factors = factors.where(is_finite, 0.0)
    gradients: Gradients = {}
    for layer, a, g in zip(layers.values(), inputs, grads, strict=True):
        gradients |= _summed(layer, a, g * factors)
    return gradients


@dataclass(frozen=True)
class _Pass:
    """What went into a layer and came out of it, and how often either had been written to."""

    input: Tensor
    output: Tensor
    versions: tuple[int, int]


def _run(
    layers: Mapping[str, nn.Linear], loss_of_units: LossOfUnits, units: Tensor, views: int
) -> tuple[list[_Pass], Tensor]:
    """The one pass through each layer, and the losses; BudgetError if they cannot be clipped."""
    with _watch(layers) as passes:
        losses = loss_of_units(units)
    if losses.shape != (len(units) * views,):
        raise BudgetError("the loss must give one number for each view of each unit of the batch")
    for name in layers:
        _require_clippable(name, passes[name], len(losses))
    return [passes[name][0] for name in layers], losses


@contextmanager
def _watch(layers: Mapping[str, nn.Linear]) -> Iterator[dict[str, list[_Pass]]]:
    """Collects each layer's passes while the block runs."""
    passes: dict[str, list[_Pass]] = {name: [] for name in layers}

    def keep(name: str) -> Callable[[nn.Module, tuple[Tensor], Tensor], None]:
        def hook(_: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
            given = inputs[0].detach()
            passes[name].append(_Pass(given, output, (given._version, output._version)))

        return hook

    handles = [layer.register_forward_hook(keep(name)) for name, layer in layers.items()]
    try:
        yield passes
    finally:
        for handle in handles:
            handle.remove()


def _require_clippable(name: str, passes: Sequence[_Pass], n_views: int) -> None:
    if len(passes) != 1:
        raise BudgetError(f"layer {name!r} must run once a forward pass, not {len(passes)} times")
    (each,) = passes
    if each.input.shape[0] != n_views or each.input.ndim < 2:
        raise BudgetError(f"layer {name!r} must get the views of the batch along its first axis")
    if (each.input._version, each.output._version) != each.versions:
        raise BudgetError(f"the input or output of layer {name!r} is overwritten in place")


def _trainable(layer: nn.Linear) -> list[nn.Parameter]:
    return [p for p in layer.parameters() if p.requires_grad]


def _squared_norms(layer: nn.Linear, inputs: Tensor, grads: Tensor) -> Tensor:
    """The squared norm of each unit's gradient in that layer, rounded upwards: (units,)."""
    inner_a, inner_g = _inner_products(inputs), _inner_products(grads)
    inner_a = inner_a * layer.weight.requires_grad
    if layer.bias is not None and layer.bias.requires_grad:
        inner_a = inner_a + 1
    lengths = (inner_a.diagonal(dim1=1, dim2=2) * inner_g.diagonal(dim1=1, dim2=2)).sqrt()
    exact = (inner_a * inner_g).sum((1, 2)).clamp(min=0.0)
    return exact + _ROUNDING * lengths.sum(1).square()  # views may cancel, their rounding does not


def _inner_products(rows: Tensor) -> Tensor:
    """(units, k, width) to (units, k, k)."""
    if rows.shape[1] == 1:
        lengths: Tensor = torch.linalg.vector_norm(rows, dim=2, keepdim=True)
        return lengths.square()
    return torch.bmm(rows, rows.mT)


def _summed(layer: nn.Linear, inputs: Tensor, grads: Tensor) -> Gradients:
    """The gradients of a layer's parameters, summed over units and views."""
    flat = grads.flatten(0, 1)
    found: Gradients = {}
    for parameter in _trainable(layer):
        is_weight = parameter is layer.weight
        found[parameter] = flat.mT @ inputs.flatten(0, 1) if is_weight else flat.sum(0)
    return found


class _NoisyOptimizer(DPOptimizerFastGradientClipping):  # type: ignore[misc]
    """Opacus' step on a clipped sum, with noise from a source that can be secret."""

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        *,
        noise: NoiseSource,
        public_loss: PublicLoss | None = None,
        **settings: float,
    ) -> None:
        super().__init__(optimizer, **settings)
        self.noise = noise
        self._public_loss = public_loss

    def add_noise(self) -> None:
        """Add normals of standard deviation noise_multiplier · max_grad_norm to the sum."""
        deviation = self.noise_multiplier * self.max_grad_norm
        sizes = [parameter.numel() for parameter in self.params]
        normals = torch.from_numpy(self.noise.normal(sum(sizes)) * deviation)
        for parameter, part in zip(self.params, torch.split(normals, sizes), strict=True):
            parameter.grad = parameter.summed_grad + part.view_as(parameter).to(parameter)

    def scale_grad(self) -> None:
        """Divide the noisy sum by the expected batch size; then add what public data say."""
        super().scale_grad()
        if self._public_loss is None:
            return
        public = torch.autograd.grad(self._public_loss(), self.params, allow_unused=True)
        for parameter, gradient in zip(self.params, public, strict=True):
            if gradient is not None:
                parameter.grad += gradient


def _shuffled_batches(n_units: int, rate: float, noise: NoiseSource) -> Iterator[Integers]:
    size = min(n_units, max(1, round(rate * n_units)))
    while True:
        order = np.argsort(noise.uniform(n_units))
        yield from (order[start : start + size] for start in range(0, n_units - size + 1, size))
