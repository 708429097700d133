"""What privacy costs in time: a DP-SGD step beside a plain step of the same denoiser.

    python benchmarks/dpsgd_step.py [--hooks] [--repeats N]

Plain and private steps alternate, and the ratio is the median over the pairs, so that a busy
machine slows both. The private step includes Poisson sampling, clipping and secret noise. With
--hooks, the step of Opacus' per-sample gradients stands beside them at the smaller batch (at the
larger one it takes 7 GB). Prints a table, then a line of JSON. OMP_NUM_THREADS decides the threads.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Iterator

import torch
from opacus import PrivacyEngine
from torch import Tensor, nn

from privsynth.privacy.dpsgd import make_trainer
from privsynth.privacy.noise import SecretNoise
from privsynth.privacy.plan import DpSgdEvent, NonPrivateEvent
from privsynth.privacy.spending import Training

N_UNITS, N_IN, WIDTH, N_LAYERS, N_OUT, N_COLUMNS = 32_768, 600, 256, 3, 400, 20
TARGET = 1.5

Step = Callable[[], None]


class Denoiser(nn.Module):
    """A residual MLP of the shape that the diffusion trains."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(N_IN, WIDTH)
        self.middle = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(N_LAYERS))
        self.last = nn.Linear(WIDTH, N_OUT)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x).relu()
        for layer in self.middle:
            hidden = hidden + layer(hidden).relu()
        return self.last(hidden)


def losses(model: nn.Module, codes: Tensor) -> Tensor:
    """The mean cross-entropy over 20 columns of each view: (batch · views,)."""
    logits = model(codes.float()).unflatten(1, (N_COLUMNS, -1))  # (batch · views, columns, codes)
    return -logits.log_softmax(2)[:, :, 0].mean(1)


def own_step(batch: int, views: int, *, private: bool) -> Step:
    """A step of this package's trainer."""
    model, codes = Denoiser(), random_codes(views)
    rate = batch / N_UNITS
    event = DpSgdEvent(rate, 1.0, 10**6) if private else NonPrivateEvent(rate, 10**6)
    trainer = make_trainer(
        model,
        torch.optim.Adam(model.parameters(), 1e-3),
        Training(event, "denoiser"),
        N_UNITS,
        views=views,
        max_grad_norm=1.0,
        noise=SecretNoise(),
    )
    return lambda: trainer.step(lambda units: losses(model, codes[units].flatten(0, 1)))


def hooks_step(batch: int, views: int) -> Step:
    """A step of Opacus with per-sample gradients by hooks, the views averaged inside the loss."""
    model, codes = Denoiser(), random_codes(views)
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(codes), batch_size=batch)
    optimizer: torch.optim.Optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    with warnings.catch_warnings():  # Opacus' advice on secure noise
        warnings.simplefilter("ignore", UserWarning)
        wrapped, optimizer, _ = PrivacyEngine().make_private(
            module=model,
            optimizer=optimizer,
            data_loader=data,
            noise_multiplier=1.0,
            max_grad_norm=1.0,
        )

    def step() -> None:
        units = torch.randperm(N_UNITS)[:batch]
        optimizer.zero_grad()
        x = codes[units].float().requires_grad_()  # (batch, views, in)
        logits = wrapped(x).unflatten(2, (N_COLUMNS, -1))
        (-logits.log_softmax(3)[..., 0]).mean().backward()
        optimizer.step()

    return step


def random_codes(views: int) -> Tensor:
    """One-hot codes and masks of every unit and view: (units, views, in)."""
    return torch.rand(N_UNITS, views, N_IN) < 0.05


def seconds(step: Step) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def compare(batch: int, views: int, repeats: int, *, hooks: bool) -> dict[str, float]:
    """Medians over alternating steps, and of their ratios."""
    steps = {
        "plain": own_step(batch, views, private=False),
        "private": own_step(batch, views, private=True),
    }
    if hooks:
        steps["hooks"] = hooks_step(batch, views)
    rounds = [{name: seconds(step) for name, step in steps.items()} for _ in range(repeats + 2)]
    rounds = rounds[2:]  # the first ones warm up
    found: dict[str, float] = {"batch": batch, "views": views}
    for name in steps:
        found[f"{name}_ms"] = 1e3 * statistics.median(each[name] for each in rounds)
    for name in list(steps)[1:]:
        found[f"{name}_ratio"] = statistics.median(each[name] / each["plain"] for each in rounds)
    return found


def table(results: list[dict[str, float]]) -> Iterator[str]:
    """The lines of a table."""
    yield " ".join(f"{name:>14}" for name in results[0])
    for each in results:
        yield " ".join(f"{value:>14.4g}" for value in each.values())


def main() -> None:
    parser = argparse.ArgumentParser(description="The cost of a DP-SGD step")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--hooks", action="store_true")
    options = parser.parse_args()
    results = [
        compare(batch, views, options.repeats, hooks=options.hooks)
        for batch in ((1024,) if options.hooks else (1024, 4096))
        for views in (1, 4)
    ]
    print("\n".join(table(results)))
    worst = max(each["private_ratio"] for each in results)
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    print(json.dumps({"worst_ratio": worst, "target": TARGET, "machine": machine, "runs": results}))


if __name__ == "__main__":
    main()
