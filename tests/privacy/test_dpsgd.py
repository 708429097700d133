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
