"""Checks of a generator's whole fit: nothing of a record passes by but what was charged.

The fits are small: few rounds, few steps, few rows. What is checked holds at any size, because
none of the settings that are cut down here decides what the records are asked.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from privsynth.audit.base import Check
from privsynth.privacy import dpsgd, mechanisms
from privsynth.privacy.accountant import epsilon_of
from privsynth.privacy.budget import PrivacyBudget
from privsynth.privacy.ledger import Ledger
from privsynth.privacy.noise import NoiseSource, SecretNoise, SeededNoise
from privsynth.privacy.plan import DpSgdEvent, GaussianEvent, Mechanism, PrivacyPlan
from privsynth.schema import Schema
from privsynth.synth import diffusion, gan, marginal, maxent
from privsynth.synth import project as projection
from privsynth.synth.base import FittedSynthesizer, Synthesizer
from privsynth.synth.preset import load_preset
from privsynth.table import Table

N_PERSONS, MAX_ROWS = 300, 3
BUDGET = PrivacyBudget(epsilon=8.0, delta=1e-5)

_SCHEMA = {
    "dataset": {"id": "audit"},
    "privacy": {"unit": "person", "max_rows_per_unit": MAX_ROWS},
    "columns": {
        "person": {"kind": "id"},
        "age": {"kind": "integer", "lower": 0, "upper": 99, "missing": True},
        "cost": {"kind": "numeric", "lower": 0, "upper": 1000, "granularity": 0.5},
        "ward": {"kind": "categorical", "categories": ["a", "b", "c", "d"]},
        "late": {"kind": "boolean", "role": "target"},
    },
}


def table(seed: int) -> Table:
    """Persons with 1 to 3 rows each; the seed decides what is in them, and nothing else.

    As many rows a person for any seed: chance that is drawn row by row then runs alike.
    """
    import pandas as pd

    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(N_PERSONS), 1 + np.arange(N_PERSONS) % MAX_ROWS)
    age = rng.integers(0, 40 + 10 * seed, len(person)).astype(float)
    frame = pd.DataFrame(
        {
            "person": [f"P{number}" for number in person],
            "age": np.where(rng.random(len(person)) < 0.1, np.nan, age),
            "cost": np.round(rng.exponential(50 + 40 * seed, len(person)) * 2).clip(0, 2000) / 2,
            "ward": rng.choice(["a", "b", "c", "d"], len(person), p=[0.7, 0.2, 0.05, 0.05]),
            "late": rng.random(len(person)) < 0.2 + 0.1 * seed,
        }
    )
    return Table.from_pandas(frame, Schema.parse(_SCHEMA))


def small(preset: str) -> Synthesizer:
    """The preset with the steps and sizes cut down that decide nothing about privacy."""
    made = load_preset(preset)
    wanted = {"taught_steps": 3, "taught_batch": 16, "steps": 6, "width": 8, "tuning_width": 8}
    fields = {each.name for each in dataclasses.fields(made)}
    return dataclasses.replace(made, **{k: v for k, v in wanted.items() if k in fields})


@contextmanager
def in_small() -> Iterator[None]:
    """Fewer rounds and particles; DP-SGD has a share although the table is small."""
    with ExitStack() as stack:
        for module, name, value in (
            (marginal, "_FIRST_ROUNDS", 2),
            (marginal, "ROUNDS", 3),
            (marginal, "_PARTICLES", (100, 100)),
            (diffusion, "_TEACHER_ROWS", 200),
            (diffusion, "_TRIED_ROWS", 200),
            (diffusion, "training_share", lambda *_: 0.3),
            (gan, "_TEACHER_ROWS", 200),
            (maxent, "_SWEEPS", 1),
            (projection, "_POOL_ROWS", (200, 200)),
            (projection, "_FITTED_ROWS", (200, 200)),
        ):
            stack.enter_context(mock.patch.object(module, name, value))
        yield


def fit(
    preset: str, train: Table, noise: NoiseSource, folder: Path, budget: PrivacyBudget = BUDGET
) -> FittedSynthesizer:
    """A small fit, with a ledger of its own and chance that is the same each time."""
    ledger = Ledger(folder / "ledger.sqlite")
    with in_small():
        return small(preset).fit(
            train, budget, ledger=ledger, noise=noise, rng=np.random.default_rng(5)
        )


def score_of_world(preset: str, budget: PrivacyBudget, with_person: bool) -> float:
    """How much of one odd person a small fit shows, with that person among the records or not.

    The attacker sees the whole model: the shares that its codebook gives to the person's codes.
    """
    everyone = table(1)
    odd = everyone.frame()
    odd.loc[odd["person"] == "P0", ["age", "cost", "ward"]] = [99, 1000.0, "d"]
    train = Table.from_pandas(odd if with_person else odd[odd["person"] != "P0"], everyone.schema)
    person = Table.from_pandas(odd[odd["person"] == "P0"], everyone.schema)
    with tempfile.TemporaryDirectory() as folder:
        codebook = fit(preset, train, SecretNoise(), Path(folder), budget).codebook
    codes = codebook.encode(person)[0]
    return float(sum(s[c] for s, c in zip(codebook.shares.values(), codes, strict=True)))


def records_decide_nothing_else(preset: str) -> tuple[bool, str]:
    """With canned answers to all that was charged, two tables give one and the same generator.

    What is read of the records beside the mechanisms (bins, categories, a moment to stop,
    conditions) would make the two differ.
    """
    kept = []
    with _canned(), tempfile.TemporaryDirectory() as folder:
        for seed in (1, 2):
            fitted = fit(preset, table(seed), SeededNoise(3), Path(folder) / str(seed))
            kept.append((fitted.tensors(), json.dumps(fitted.codebook.to_dict(), default=str)))
    (one, first), (two, second) = kept
    differ = [name for name in one if name not in two or not np.array_equal(one[name], two[name])]
    same = not differ and first == second and len(one) == len(two)
    codebooks = "equal" if first == second else "not equal"
    return same, f"{len(one)} tensors, {len(differ)} differ; codebooks {codebooks}"


@contextmanager
def _canned() -> Iterator[None]:
    """Mechanisms that answer alike whatever the records, with their noise as it is."""

    def counted(cells: Any, n_cells: int, steps: Any) -> Any:
        return np.full(n_cells, 40 * int(np.max(steps, initial=1)), dtype=np.int64)

    def summed(layers: Any, loss: Any, units: Any, **settings: Any) -> Any:
        return {
            p: p.detach() * 0.01
            for layer in layers.values()
            for p in layer.parameters()
            if p.requires_grad
        }

    with (
        mock.patch.object(mechanisms, "_count", counted),
        mock.patch.object(dpsgd, "clipped_sum", summed),
    ):
        yield


@dataclass
class _Observed:
    """What mechanisms did in a fit, noted where they touch the records and the noise."""

    precision: float = 0.0  # sum of 1 / sigma² over answers of sensitivity 1
    sums: int = 0
    noises: set[float] = field(default_factory=set)
    rates: set[tuple[int, float]] = field(default_factory=set)

    @property
    def steps(self) -> int:
        return self.sums


@contextmanager
def _observing() -> Iterator[_Observed]:
    seen = _Observed()
    add_noise, sum_up = mechanisms._add_noise, dpsgd.clipped_sum
    sample = vars(dpsgd)["poisson_sample"]
    steps_noise = dpsgd._NoisyOptimizer.add_noise

    def noised(counts: Any, grid: Any, noise: NoiseSource) -> Any:
        seen.precision += grid.scale**2 / grid.sigma_squared
        return add_noise(counts, grid, noise)

    def summed(*given: Any, **settings: Any) -> Any:
        seen.sums += 1
        return sum_up(*given, **settings)

    def sampled(n_units: int, rate: float, noise: NoiseSource) -> Any:
        seen.rates.add((n_units, rate))
        return sample(n_units, rate, noise)

    def step_noise(self: Any) -> None:
        seen.noises.add(self.noise_multiplier)
        steps_noise(self)

    with (
        mock.patch.object(mechanisms, "_add_noise", noised),
        mock.patch.object(dpsgd, "clipped_sum", summed),
        mock.patch.object(dpsgd, "poisson_sample", sampled),
        mock.patch.object(dpsgd._NoisyOptimizer, "add_noise", step_noise),
    ):
        yield seen


def observed_is_charged(preset: str) -> tuple[bool, str]:
    """What the mechanisms did, composed anew, costs no more than what the ledger holds."""
    with tempfile.TemporaryDirectory() as folder, _observing() as seen:
        train = table(1)
        fit(preset, train, SecretNoise(), Path(folder))
        (entry, *_) = Ledger(Path(folder) / "ledger.sqlite").entries()
        assert entry.plan is not None
    units = {n for n, _ in seen.rates}
    costs = epsilon_of(_as_plan(seen).mechanisms, BUDGET.delta)
    charged = epsilon_of(entry.plan.mechanisms, BUDGET.delta)
    by_person = units <= {train.n_units}
    figure = f"observed epsilon {costs:.3f}, charged {charged:.3f}"
    return by_person and costs <= charged * 1.01, figure + ("" if by_person else "; rows as units")


def _as_plan(seen: _Observed) -> PrivacyPlan:
    found = [Mechanism("answers", "observed", GaussianEvent(seen.precision**-0.5))]
    if seen.sums:
        rate, noise = max(rate for _, rate in seen.rates), min(seen.noises)
        found.append(Mechanism("steps", "observed", DpSgdEvent(rate, noise, seen.sums)))
    return PrivacyPlan(tuple(found), BUDGET)


def ledger_comes_first(preset: str) -> tuple[bool, str]:
    """The charge is on disk before the first answer, and stays there when the fit fails."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        on_disk: list[int] = []

        def stop(*_: Any, **__: Any) -> Any:
            on_disk.append(len(Ledger(path).entries()) if path.exists() else 0)
            raise _StoppedError

        with mock.patch.object(mechanisms, "_count", stop), suppress(_StoppedError):
            fit(preset, table(1), SecretNoise(), Path(folder))
        charged = [entry for entry in Ledger(path).entries() if entry.kind == "charge"]
    return on_disk == [1] and len(charged) == 1, f"{on_disk} entries at the first question"


class _StoppedError(Exception):
    """Raised where the records would be asked."""


def no_seed_is_written(preset: str) -> tuple[bool, str]:
    """The saved generator names no seed, and seeded noise voids its guarantee."""
    with tempfile.TemporaryDirectory() as folder:
        fitted = fit(preset, table(1), SeededNoise(987_654_321), Path(folder))
        fitted.save(Path(folder) / "model")
        text = (Path(folder) / "model" / "model.json").read_text(encoding="utf-8")
    named = [key for key in _keys(json.loads(text)) if "seed" in key.lower()]
    void = any("seed" in fault for fault in fitted.guarantee.void)
    passed = not named and "987654321" not in text and void
    return passed, f"{len(named)} fields name a seed; seeded noise {'voids' if void else 'stands'}"


def _keys(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        yield from map(str, document)
        for value in document.values():
            yield from _keys(value)
    if isinstance(document, list):
        for value in document:
            yield from _keys(value)


_PROBES: tuple[tuple[str, str, Callable[[str], tuple[bool, str]]], ...] = (
    (
        "records decide nothing else",
        "beside what was charged, the records decide nothing",
        records_decide_nothing_else,
    ),
    ("observed is charged", "what was done costs what was charged", observed_is_charged),
    ("ledger first", "the ledger holds the charge before the first question", ledger_comes_first),
    (
        "no seed",
        "no seed of noise is written, and seeded noise voids the claim",
        no_seed_is_written,
    ),
)


def checks(preset: str) -> tuple[Check, ...]:
    """The checks of that preset's fit."""
    return tuple(Check(name, title, partial(probe, preset)) for name, title, probe in _PROBES)
