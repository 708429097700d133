from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from privsynth.errors import BudgetError
from privsynth.privacy.dpsgd import (
    PlainTrainer,
    PrivateTrainer,
    clippable_layers,
    clipped_sum,
    make_trainer,
)
from privsynth.privacy.noise import NoiseSource, SecretNoise, SeededNoise
from privsynth.privacy.plan import DpSgdEvent, NonPrivateEvent
from privsynth.privacy.spending import Training

N_UNITS = 60


def training(rate: float = 0.2, noise_multiplier: float = 1.0, steps: int = 10) -> Training:
    return Training(DpSgdEvent(rate, noise_multiplier, steps), "model")


def plain_training(rate: float = 0.2, steps: int = 10) -> Training:
    return Training(NonPrivateEvent(rate, steps), "model")


def rows(width: int = 4) -> Tensor:
    return torch.randn(N_UNITS, width, generator=torch.Generator().manual_seed(1))


def trainer_of(
    model: nn.Module,
    token: Training,
    noise: NoiseSource | None = None,
    *,
    learning_rate: float = 0.1,
    **settings: float,
):
    trainable = [p for p in model.parameters() if p.requires_grad]
    return make_trainer(
        model,
        torch.optim.SGD(trainable, lr=learning_rate),
        token,
        N_UNITS,
        **{"views": 1, "max_grad_norm": 1.0, "noise": noise or SeededNoise(1), **settings},
    )


def loss_of(model: nn.Module, data: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda units: model(data[units]).square().mean(1)


def one_step(
    model: nn.Module, noise: NoiseSource | None = None, data: Tensor | None = None
) -> None:
    data = rows() if data is None else data
    trainer_of(model, training(1.0), noise).step(loss_of(model, data))


# --- the two paths -------------------------------------------------------------------------------


def test_the_training_token_decides_the_path() -> None:
    assert isinstance(trainer_of(nn.Linear(4, 2), training()), PrivateTrainer)
    assert isinstance(trainer_of(nn.Linear(4, 2), plain_training()), PlainTrainer)


@pytest.mark.parametrize("token", [training(steps=3), plain_training(steps=3)])
def test_a_trainer_makes_the_charged_steps_and_no_more(token: Training) -> None:
    model, data = nn.Linear(4, 2), rows()
    trainer = trainer_of(model, token)
    made = 0
    while trainer.steps_left and made < 9:
        assert trainer.step(loss_of(model, data)) is None
        made += 1
    before = model.weight.clone()
    with pytest.raises(BudgetError, match="the 3 steps that were charged"):
        trainer.step(loss_of(model, data))
    assert made == 3
    assert (model.weight == before).all()


def test_the_steps_are_counted_by_the_token_not_by_the_trainer() -> None:
    token, model = training(steps=3), nn.Linear(4, 2)
    for _ in range(3):
        trainer_of(model, token).step(loss_of(model, rows()))
    with pytest.raises(BudgetError):
        trainer_of(model, token).step(loss_of(model, rows()))


@pytest.mark.parametrize("token", [training, plain_training])
def test_training_learns(token: Callable[..., Training]) -> None:
    torch.manual_seed(0)
    model, data = nn.Linear(4, 1), rows()
    wanted = data @ torch.tensor([[1.0], [-2.0], [0.5], [0.0]])
    trainer = make_trainer(
        model,
        torch.optim.Adam(model.parameters(), 0.1),
        token(rate=1.0, steps=150),
        N_UNITS,
        views=1,
        max_grad_norm=1.0,
        noise=SeededNoise(1),
    )
    while trainer.steps_left:
        trainer.step(lambda units: (model(data[units]) - wanted[units]).square().sum(1))
    assert (model(data) - wanted).square().mean() < 0.2


def test_plain_batches_cover_the_units_without_replacement() -> None:
    seen: list[Tensor] = []
    model = nn.Linear(4, 1)

    def loss(units: Tensor) -> Tensor:
        seen.append(units)
        return model(rows()[units]).sum(1)

    trainer = trainer_of(model, plain_training(0.3, steps=6))
    while trainer.steps_left:
        trainer.step(loss)
    assert [len(units) for units in seen] == [18] * 6
    assert all(len(torch.cat(seen[i : i + 3]).unique()) == 54 for i in (0, 3))
    assert sorted(torch.cat(seen[:3]).tolist()) != sorted(torch.cat(seen[3:]).tolist())


def test_a_plain_step_is_the_mean_gradient() -> None:
    model, twin = nn.Linear(4, 2), nn.Linear(4, 2)
    twin.load_state_dict(model.state_dict())
    trainer_of(model, plain_training(1.0)).step(loss_of(model, rows()))
    optimizer = torch.optim.SGD(twin.parameters(), 0.1)
    twin(rows()).square().mean(1).mean().backward()
    optimizer.step()
    assert torch.allclose(model.weight, twin.weight)


def test_a_private_step_is_the_mean_gradient_where_nothing_is_clipped_and_noise_is_tiny() -> None:
    model, twin = nn.Linear(4, 2), nn.Linear(4, 2)
    twin.load_state_dict(model.state_dict())
    trainer = trainer_of(model, training(1.0, noise_multiplier=1e-9), max_grad_norm=100.0)
    trainer.step(loss_of(model, rows()))
    optimizer = torch.optim.SGD(twin.parameters(), 0.1)
    twin(rows()).square().mean(1).mean().backward()
    optimizer.step()
    assert torch.allclose(model.weight, twin.weight, atol=1e-6)


def test_the_learning_rate_can_fall_while_training() -> None:
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    trainer = make_trainer(
        model, optimizer, training(), N_UNITS, views=1, max_grad_norm=1.0, noise=SeededNoise(1)
    )
    optimizer.param_groups[0]["lr"] = 0.0
    before = model.weight.clone()
    trainer.step(loss_of(model, rows()))
    assert (model.weight == before).all()


# --- randomness ----------------------------------------------------------------------------------


def test_seeded_runs_agree_and_secret_runs_differ() -> None:
    def weights(noise: NoiseSource) -> Tensor:
        torch.manual_seed(3)
        model = nn.Linear(4, 2)
        one_step(model, noise)
        return model.weight.detach()

    assert (weights(SeededNoise(5)) == weights(SeededNoise(5))).all()
    assert (weights(SeededNoise(5)) != weights(SeededNoise(6))).all()
    assert (weights(SecretNoise()) != weights(SecretNoise())).all()


def test_torchs_global_seed_does_not_move_the_noise() -> None:
    model, twin = nn.Linear(4, 2), nn.Linear(4, 2)
    twin.load_state_dict(model.state_dict())
    for seed, each in ((1, model), (2, twin)):
        torch.manual_seed(seed)
        one_step(each, SeededNoise(9))
    assert (model.weight == twin.weight).all()


# --- what is left behind -------------------------------------------------------------------------


def test_no_gradient_of_records_outlives_the_step() -> None:
    model = nn.Linear(4, 2)
    one_step(model)
    for parameter in model.parameters():
        assert parameter.grad is None
        assert parameter.summed_grad is None
    assert not model._forward_hooks


def test_hooks_are_removed_when_the_loss_fails() -> None:
    model = nn.Linear(4, 2)

    def fails(units: Tensor) -> Tensor:
        raise KeyboardInterrupt

    trainer = trainer_of(model, training(1.0))
    with pytest.raises(KeyboardInterrupt):
        trainer.step(fails)
    assert not model._forward_hooks
    assert trainer.steps_left == 9  # the charge stands


def test_frozen_parameters_stay_as_they_are() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.LayerNorm(8), nn.Linear(8, 2))
    model[0].requires_grad_(False)
    model[2].requires_grad_(False)
    model[3].bias.requires_grad_(False)
    before = {name: p.clone() for name, p in model.named_parameters()}
    one_step(model)
    moved = {name for name, p in model.named_parameters() if (p != before[name]).any()}
    assert moved == {"3.weight"}


# --- records that go wrong -----------------------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 3e38])
@pytest.mark.parametrize("views", [1, 2])
def test_a_unit_whose_gradient_is_not_finite_adds_nothing(value: float, views: int) -> None:
    model, data = nn.Linear(4, 2), rows()
    broken = data.clone()
    broken[7, 2] = value
    layers = clippable_layers(model, list(model.parameters()))

    def total(which: Tensor, units: Tensor) -> dict[nn.Parameter, Tensor]:
        def loss(chosen: Tensor) -> Tensor:
            return model(which[chosen].repeat_interleave(views, 0)).square().sum(1)

        return clipped_sum(layers, loss, units, views=views, max_grad_norm=1.0)

    everyone = torch.arange(N_UNITS)
    found, wanted = total(broken, everyone), total(data, everyone[everyone != 7])
    for parameter in model.parameters():
        assert torch.allclose(found[parameter], wanted[parameter], atol=1e-5)


# --- what is refused -----------------------------------------------------------------------------


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.layer(x))


class Skips(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused = nn.Linear(4, 2), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.used(x)


class Free(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4))
        self.layer = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x * self.scale)


def tied() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    return model


class Overwrites(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x).relu()
        out = self.second(hidden)
        hidden += 1
        return out + hidden


class Averages(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.mean(0, keepdim=True)).expand(len(x), 4)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)), r"module '1' \(LayerNorm\) cannot"),
        (nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, affine=False)), "mixes the records"),
        (nn.Sequential(nn.Bilinear(4, 4, 2)), r"module '0' \(Bilinear\) cannot"),
        (Free(), r"module '' \(Free\) cannot"),
        (tied(), "share a parameter"),
        (Twice(), "layer 'layer' must run once a forward pass, not 2 times"),
        (Skips(), "layer 'unused' must run once a forward pass, not 0 times"),
        (nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True)), "layer '0' is overwritten"),
        (Overwrites(), "layer 'second' is overwritten"),
        (Averages(), "layer 'layer' must get the views of the batch"),
    ],
)
def test_a_model_that_cannot_be_clipped_is_refused(model: nn.Module, message: str) -> None:
    with pytest.raises(BudgetError, match=message):
        one_step(model)


@pytest.mark.parametrize("extra", ["more", "fewer"])
def test_the_optimizer_holds_the_trainable_parameters_and_no_others(extra: str) -> None:
    model = nn.Linear(4, 2)
    held = (
        [model.weight] if extra == "fewer" else [*nn.Linear(1, 1).parameters(), *model.parameters()]
    )
    with pytest.raises(BudgetError, match="exactly the model's trainable parameters"):
        make_trainer(
            model,
            torch.optim.SGD(held, lr=0.1),
            training(),
            N_UNITS,
            views=1,
            max_grad_norm=1.0,
            noise=SeededNoise(1),
        )


@pytest.mark.parametrize("shape", ["mean", "rows", "column"])
def test_losses_must_be_one_a_view(shape: str) -> None:
    model, data = nn.Linear(4, 2), rows()

    def loss(units: Tensor) -> Tensor:
        each = model(data[units]).square().mean(1)
        return {"mean": each.mean(), "rows": each[:-1], "column": each[:, None]}[shape]

    with pytest.raises(BudgetError, match="one number for each view"):
        trainer_of(model, training(1.0)).step(loss)


# --- a private number of units -------------------------------------------------------------------


def test_a_private_number_of_units_normalises_by_its_estimate() -> None:
    def moved(**settings: float) -> Tensor:
        torch.manual_seed(1)
        model = nn.Linear(4, 2)
        before = model.weight.detach().clone()
        trainer_of(model, training(1.0), SeededNoise(2), **settings).step(loss_of(model, rows()))
        return model.weight.detach() - before

    assert torch.allclose(moved(n_units_public=2 * N_UNITS), moved() / 2, atol=1e-6)
    assert np.isfinite(moved().numpy()).all()


# --- a loss on public data beside the private step ----------------------------------------------

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
        SeededNoise(noise_seed),
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
