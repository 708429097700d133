"""DP-SGD does what its event tells the accountant: gradients, clipping, noise, sampling, steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from opacus import GradSampleModule
from scipy import stats
from torch import Tensor, nn

from privsynth.errors import BudgetError
from privsynth.privacy.budget import PrivacyBudget
from privsynth.privacy.dpsgd import clippable_layers, clipped_sum, make_trainer
from privsynth.privacy.ledger import Ledger
from privsynth.privacy.noise import NoiseSource, SecretNoise, SeededNoise
from privsynth.privacy.plan import DpSgdEvent, Mechanism, PrivacyPlan
from privsynth.privacy.spending import Training

N_IN, N_OUT, N_UNITS = 12, 5, 30

Gradients = dict[nn.Parameter, Tensor]


class Residual(nn.Module):
    """A residual MLP, as the denoiser is one."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.first = nn.Linear(N_IN, 8, bias=bias)
        self.middle = nn.ModuleList(nn.Linear(8, 8, bias=bias) for _ in range(2))
        self.skip = nn.Linear(N_IN, N_OUT, bias=bias)
        self.last = nn.Linear(8, N_OUT, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x).relu()
        for layer in self.middle:
            hidden = hidden + layer(hidden).tanh()
        return self.last(hidden) + self.skip(x)


def batch(views: int) -> tuple[Tensor, Tensor]:
    """Inputs of very different sizes, so that some gradients are clipped and some are not."""
    generator = torch.Generator().manual_seed(views)
    sizes = torch.logspace(-2, 1, N_UNITS)[:, None, None]
    x = torch.randn(N_UNITS, views, N_IN, generator=generator) * sizes
    return x, torch.randint(0, N_OUT, (N_UNITS, views), generator=generator)


def view_losses(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return nn.functional.cross_entropy(model(x), y, reduction="none")


def one_pass(model: nn.Module, x: Tensor, y: Tensor, max_grad_norm: float) -> Gradients:
    trainable = [p for p in model.parameters() if p.requires_grad]
    return clipped_sum(
        clippable_layers(model, trainable),
        lambda units: view_losses(model, x[units].flatten(0, 1), y[units].flatten()),
        torch.arange(N_UNITS),
        views=x.shape[1],
        max_grad_norm=max_grad_norm,
    )


def loop(model: nn.Module, x: Tensor, y: Tensor, max_grad_norm: float) -> Gradients:
    """One unit at a time, by plain automatic differentiation."""
    trainable = [p for p in model.parameters() if p.requires_grad]
    total = {p: torch.zeros_like(p) for p in trainable}
    for unit_x, unit_y in zip(x, y, strict=True):
        found = torch.autograd.grad(view_losses(model, unit_x, unit_y).mean(), trainable)
        factor = clip_factor(found, max_grad_norm)
        for p, g in zip(trainable, found, strict=True):
            total[p] += factor * g
    return total


def clip_factor(gradients: tuple[Tensor, ...], max_grad_norm: float) -> float:
    norm = math.sqrt(sum(float(g.double().square().sum()) for g in gradients))
    return min(1.0, max_grad_norm / norm) if norm else 1.0


def opacus_hooks(model: nn.Module, x: Tensor, y: Tensor, max_grad_norm: float) -> Gradients:
    """Opacus' own per-sample gradients, clipped here."""
    wrapped = GradSampleModule(model, batch_first=True, loss_reduction="sum")
    logits = wrapped(x.clone().requires_grad_()).flatten(0, 1)
    losses = nn.functional.cross_entropy(logits, y.flatten(), reduction="none")
    (losses.sum() / x.shape[1]).backward()
    samples = {p: p.grad_sample for p in model.parameters() if p.requires_grad}
    wrapped.remove_hooks()
    factors = torch.tensor(
        [clip_factor(tuple(s[i] for s in samples.values()), max_grad_norm) for i in range(N_UNITS)]
    )
    return {p: torch.einsum("i,i...->...", factors, s) for p, s in samples.items()}


def assert_equal(found: Gradients, wanted: Gradients) -> None:
    assert set(found) == set(wanted)
    for parameter, gradient in wanted.items():
        assert torch.allclose(found[parameter], gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("reference", [loop, opacus_hooks])
@pytest.mark.parametrize("max_grad_norm", [0.1, 1.0, 1e6])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("views", [1, 4])
def test_the_clipped_sum_is_that_of_per_record_gradients(
    views: int, bias: bool, max_grad_norm: float, reference: Callable[..., Gradients]
) -> None:
    torch.manual_seed(1)
    model = Residual(bias)
    x, y = batch(views)
    assert_equal(one_pass(model, x, y, max_grad_norm), reference(model, x, y, max_grad_norm))


@pytest.mark.parametrize("views", [1, 4])
@pytest.mark.parametrize("frozen", ["first.weight", "first", "last.bias", "middle"])
def test_frozen_parameters_leave_the_norm(frozen: str, views: int) -> None:
    torch.manual_seed(1)
    model = Residual(bias=True)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not name.startswith(frozen))
    x, y = batch(views)
    assert_equal(one_pass(model, x, y, 0.5), loop(model, x, y, 0.5))


def test_positions_within_a_record_are_part_of_its_one_gradient() -> None:
    model = nn.Linear(3, 2)
    x = torch.randn(N_UNITS, 5, 3)  # five positions, one loss
    layers = clippable_layers(model, list(model.parameters()))

    def losses(units: Tensor) -> Tensor:
        return model(x[units]).square().sum((1, 2))

    found = clipped_sum(layers, losses, torch.arange(N_UNITS), views=1, max_grad_norm=0.3)
    wanted = {p: torch.zeros_like(p) for p in model.parameters()}
    for unit in range(N_UNITS):
        one = torch.autograd.grad(losses(torch.tensor([unit])).sum(), list(model.parameters()))
        for p, g in zip(wanted, one, strict=True):
            wanted[p] += clip_factor(one, 0.3) * g
    assert_equal(found, wanted)


# --- clipping ------------------------------------------------------------------------------------


def norm_of(gradients: Gradients) -> float:
    return math.sqrt(sum(float(g.double().square().sum()) for g in gradients.values()))


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e4, 1e12])
@pytest.mark.parametrize("views", [1, 4])
def test_no_unit_adds_more_than_the_clipping_norm(views: int, size: float) -> None:
    torch.manual_seed(1)
    model = Residual(bias=True)
    layers = clippable_layers(model, list(model.parameters()))
    x, y = batch(views)
    x = x * size

    def contribution(unit: int) -> float:
        return norm_of(
            clipped_sum(
                layers,
                lambda units: view_losses(model, x[units].flatten(0, 1), y[units].flatten()),
                torch.tensor([unit]),
                views=views,
                max_grad_norm=0.7,
            )
        )

    largest = max(contribution(unit) for unit in range(N_UNITS))
    assert largest <= 0.7
    assert size < 1 or largest > 0.7 * (1 - 1e-4)


def test_views_that_cancel_are_not_underestimated() -> None:
    """Two views whose gradients differ in the seventh digit: rounding hides their difference."""
    model = nn.Linear(1, 1, bias=False)
    layers = clippable_layers(model, list(model.parameters()))
    x = torch.tensor([[4096.0], [-4096.001]])

    def losses(units: Tensor) -> Tensor:
        return 4096.0 * model(x).flatten().repeat(len(units))

    found = clipped_sum(layers, losses, torch.tensor([0]), views=2, max_grad_norm=0.1)
    assert norm_of(found) <= 0.1


# --- what a step does, seen from outside ---------------------------------------------------------

N_FREE = 1000  # coordinates whose gradient is zero whatever the records say


class Deficient(SeededNoise):
    """Nine tenths of the noise that was promised."""

    def normal(self, shape: int | tuple[int, ...]) -> np.ndarray:
        return 0.9 * super().normal(shape)


def probe(
    token: Training, noise: NoiseSource, max_grad_norm: float
) -> tuple[np.ndarray, list[int]]:
    """Each step's moves of the data-free coordinates (steps, N_FREE), and the batch sizes."""
    x = torch.cat([torch.randn(N_UNITS, 4), torch.zeros(N_UNITS, N_FREE)], 1)
    model = nn.Linear(4 + N_FREE, 1)
    sgd = torch.optim.SGD(model.parameters(), lr=1.0)
    trainer = make_trainer(
        model, sgd, token, N_UNITS, views=1, max_grad_norm=max_grad_norm, noise=noise
    )
    moves: list[np.ndarray] = []
    sizes: list[int] = []

    def losses(units: Tensor) -> Tensor:
        sizes.append(len(units))
        return 1e3 * model(x[units]).flatten()

    while trainer.steps_left:
        before, seen = model.weight.detach().double().clone(), len(sizes)
        trainer.step(losses)
        moves.append((model.weight.detach().double() - before)[0, 4:].numpy())
        sizes += [0] * (len(sizes) == seen)  # an empty batch never asks for a loss
    return np.array(moves), sizes


def noise_p_value(noise: NoiseSource, noise_multiplier: float, max_grad_norm: float) -> float:
    """How likely a sum of squares this far off is if the noise is what was charged; two-sided."""
    token = Training(DpSgdEvent(0.5, noise_multiplier, 1), "model")
    moves, _ = probe(token, noise, max_grad_norm)
    deviation = noise_multiplier * max_grad_norm / (0.5 * N_UNITS)
    chi = stats.chi2(moves.size)
    square = float(((moves / deviation) ** 2).sum())
    return 2 * min(chi.cdf(square), chi.sf(square))


@pytest.mark.parametrize(("noise_multiplier", "max_grad_norm"), [(1.0, 1.0), (3.0, 0.2)])
def test_the_noise_is_there(noise_multiplier: float, max_grad_norm: float) -> None:
    assert noise_p_value(SecretNoise(), noise_multiplier, max_grad_norm) > 1e-6
    assert noise_p_value(SeededNoise(3), noise_multiplier, max_grad_norm) > 1e-3


def test_a_tenth_less_noise_is_noticed() -> None:
    p_values = [noise_p_value(Deficient(seed), 1.0, 1.0) for seed in range(9)]
    assert np.median(p_values) < 1e-4


def test_noise_is_fresh_at_each_step_and_for_each_coordinate() -> None:
    moves, _ = probe(Training(DpSgdEvent(0.5, 1.0, 20), "model"), SecretNoise(), 1.0)
    correlations = np.corrcoef(moves)[np.triu_indices(20, 1)]
    assert np.abs(correlations).max() < 6 / math.sqrt(N_FREE)
    scaled = moves.ravel() / moves.std()
    assert stats.kstest(scaled, "norm").pvalue > 1e-6
    # Coordinates share nothing: unlike a noise drawn once and repeated
    assert np.unique(moves[0]).size > 0.99 * N_FREE


def test_an_empty_batch_trains_and_is_charged() -> None:
    token = Training(DpSgdEvent(1e-9, 1.0, 5), "model")
    moves, sizes = probe(token, SeededNoise(1), 1.0)
    assert sizes == [0] * 5
    assert token.steps_left == 0
    assert (np.abs(moves).sum(1) > 0).all()


def variance_ratio(sizes: list[int], rate: float) -> float:
    return float(np.var(sizes)) / (N_UNITS * rate * (1 - rate))


def test_batch_sizes_vary_as_poisson_sampling_makes_them() -> None:
    rate = 0.2
    _, sizes = probe(Training(DpSgdEvent(rate, 1.0, 1000), "model"), SeededNoise(5), 1.0)
    assert np.mean(sizes) == pytest.approx(N_UNITS * rate, abs=0.35)
    assert 0.75 < variance_ratio(sizes, rate) < 1.25
    shuffled = [round(N_UNITS * rate)] * 1000
    assert variance_ratio(shuffled, rate) < 0.75  # the check would notice batches of one size


def test_the_charged_event_is_what_happens(tmp_path: Path) -> None:
    event = DpSgdEvent(sample_rate=0.3, noise_multiplier=1.7, steps=200)
    plan = PrivacyPlan((Mechanism("model", "denoiser", event),), PrivacyBudget(50.0, 1e-5))
    spending = Ledger(tmp_path / "ledger.sqlite").charge(plan, "probe")
    token = spending.training("model")
    moves, sizes = probe(token, SecretNoise(), 0.4)
    sigma = moves.std() * (event.sample_rate * N_UNITS) / 0.4
    assert sigma == pytest.approx(event.noise_multiplier, rel=0.01)
    rate = np.mean(sizes) / N_UNITS
    assert rate == pytest.approx(event.sample_rate, abs=6 * math.sqrt(0.21 / (200 * N_UNITS)))
    assert len(sizes) == event.steps
    with pytest.raises(BudgetError, match="200 steps that were charged"):
        token.next_step()
    with pytest.raises(BudgetError, match="taken already"):
        spending.training("model")


def test_the_divisor_is_the_expected_batch_size_never_the_realised_one() -> None:
    """One unit in an expected batch of 15: its gradient is divided by 15."""
    model = nn.Linear(1, 1, bias=False)
    weight = model.weight.detach()  # shares its memory
    sizes: list[int] = []

    def losses(units: Tensor) -> Tensor:
        sizes.append(len(units))
        return model(torch.ones(len(units), 1)).flatten()  # each gradient is exactly 1

    token = Training(DpSgdEvent(0.5, 1e-9, 50), "model")
    sgd = torch.optim.SGD(model.parameters(), lr=1.0)
    trainer = make_trainer(
        model, sgd, token, N_UNITS, views=1, max_grad_norm=1.0, noise=SeededNoise(1)
    )
    for _ in range(50):
        before = float(weight)
        trainer.step(losses)
        assert before - float(weight) == pytest.approx(sizes[-1] / 15, rel=1e-3)
    assert len(set(sizes)) > 3


def test_the_noise_of_a_step_is_one_draw_of_every_parameter() -> None:
    drawn: list[int] = []

    class Counting(SeededNoise):
        def normal(self, shape: int | tuple[int, ...]) -> np.ndarray:
            drawn.append(int(np.prod(shape)))
            return super().normal(shape)

    probe(Training(DpSgdEvent(0.5, 1.0, 3), "model"), Counting(1), 1.0)
    assert drawn == [4 + N_FREE + 1] * 3
