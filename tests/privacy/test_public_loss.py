"""A loss on public data beside the private step: added after the noise, as it is."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from privsynth.privacy.dpsgd import make_trainer
from privsynth.privacy.noise import SeededNoise
from privsynth.privacy.plan import DpSgdEvent, NonPrivateEvent
from privsynth.privacy.spending import Training

N_UNITS = 60


def training(rate: float = 0.2, noise_multiplier: float = 1.0, steps: int = 10) -> Training:
    return Training(DpSgdEvent(rate, noise_multiplier, steps), "model")


def plain_training(rate: float = 0.2, steps: int = 10) -> Training:
    return Training(NonPrivateEvent(rate, steps), "model")


def rows() -> Tensor:
    return torch.randn(N_UNITS, 4, generator=torch.Generator().manual_seed(1))


def trainer_of(model: nn.Module, token: Training, **settings):
    return make_trainer(
        model,
        torch.optim.SGD(model.parameters(), lr=0.1),
        token,
        N_UNITS,
        **{"views": 1, "max_grad_norm": 1.0, "noise": SeededNoise(1), **settings},
    )


def loss_of(model: nn.Module, data: Tensor):
    return lambda units: model(data[units]).square().mean(1)


PULL = 100.0


def moved_by(
    token: Training, public: bool, *, noise_seed: int = 4, max_grad_norm: float = 1.0
) -> dict[str, Tensor]:
    """What one step of rate 0.1 adds to a model; the public loss has the gradient PULL."""
    torch.manual_seed(1)
    model = nn.Linear(4, 2)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    trainer = trainer_of(
        model,
        token,
        noise=SeededNoise(noise_seed),
        max_grad_norm=max_grad_norm,
        public_loss=(lambda: PULL * model.weight.sum()) if public else None,
    )
    trainer.step(loss_of(model, 50 * rows()))
    return {name: p.detach() - before[name] for name, p in model.named_parameters()}


@pytest.mark.parametrize("noise_multiplier", [1e-9, 1.0])
@pytest.mark.parametrize("rate", [1.0, 1e-9])
def test_a_public_gradient_is_added_after_the_noise_and_is_not_clipped(
    noise_multiplier: float, rate: float
) -> None:
    """Learning rate 0.1 times a gradient of 100, whatever the clipping norm, noise and batch."""
    plain, helped = (moved_by(training(rate, noise_multiplier), public) for public in (False, True))
    # the noise of an empty batch is large beside it, since it is divided by next to nothing
    tolerance = {
        "rtol": 1e-5,
        "atol": 1e-4 if rate == 1.0 else 1e-6 * float(plain["weight"].abs().max()),
    }
    change = helped["weight"] - plain["weight"]
    assert torch.allclose(change, torch.full((2, 4), -0.1 * PULL), **tolerance)
    assert (helped["bias"] == plain["bias"]).all()  # which the public loss does not touch


def test_a_step_with_a_public_loss_by_hand() -> None:
    """Sixty clipped gradients of length 1 over sixty units, and the public one as it is."""
    torch.manual_seed(1)
    model = nn.Linear(4, 2)
    data, grads = 50 * rows(), {}
    for name in ("weight", "bias"):
        grads[name] = torch.zeros_like(getattr(model, name))
    for row in data:
        found = torch.autograd.grad(model(row).square().mean(), [model.weight, model.bias])
        length = torch.sqrt(sum(each.square().sum() for each in found))
        assert length > 1
        grads["weight"] += found[0] / length / N_UNITS
        grads["bias"] += found[1] / length / N_UNITS
    moved = moved_by(training(1.0, 1e-9), public=True)
    assert torch.allclose(moved["weight"], -0.1 * (grads["weight"] + PULL), atol=1e-3)
    assert torch.allclose(moved["bias"], -0.1 * grads["bias"], atol=1e-5)


def test_a_public_loss_changes_neither_batch_nor_noise() -> None:
    """What records and noise add is the same with it and without, at another clipping norm too."""
    for norm in (0.1, 3.0):
        plain, helped = (
            moved_by(training(0.5), public, max_grad_norm=norm) for public in (False, True)
        )
        assert torch.allclose(helped["weight"] + 0.1 * PULL, plain["weight"], atol=1e-4)


def test_a_plain_step_adds_the_public_gradient_too() -> None:
    plain, helped = (moved_by(plain_training(1.0), public) for public in (False, True))
    change = helped["weight"] - plain["weight"]
    assert torch.allclose(change, torch.full((2, 4), -0.1 * PULL), atol=1e-3)


def test_a_public_loss_sees_the_weights_before_the_step_and_is_asked_once_a_step() -> None:
    model, seen = nn.Linear(4, 2), []

    def public() -> Tensor:
        seen.append(model.weight.detach().clone())
        return model.weight.sum()

    before = model.weight.detach().clone()
    trainer = trainer_of(model, training(0.5, steps=2), public_loss=public)
    trainer.step(loss_of(model, rows()))
    assert len(seen) == 1
    assert (seen[0] == before).all()
    trainer.step(loss_of(model, rows()))
    assert len(seen) == 2
