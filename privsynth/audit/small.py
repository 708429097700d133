"""Small fits on made-up persons: what whole-fit checks look at."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from privsynth.privacy import accountant
from privsynth.privacy.budget import PrivacyBudget
from privsynth.privacy.ledger import Ledger
from privsynth.privacy.noise import NoiseSource
from privsynth.schema import Schema
from privsynth.synth import diffusion, gan, marginal, maxent, project
from privsynth.synth.base import FittedSynthesizer, Synthesizer
from privsynth.synth.preset import load_preset
from privsynth.table import Table

N_PERSONS, MAX_ROWS = 300, 3
_COARSER = 30  # than the accountant's grid, which decides how tight its bound is, not whether
BUDGET = PrivacyBudget(epsilon=8.0, delta=1e-5)

_PERSON = {"person": {"kind": "id"}}
_UNIT = {"unit": "person", "max_rows_per_unit": MAX_ROWS}
_LATE = {"late": {"kind": "boolean", "role": "target"}}

DECLARED: Mapping[str, Any] = {
    "dataset": {"id": "audit"},
    "privacy": _UNIT,
    "columns": {
        **_PERSON,
        "age": {"kind": "integer", "lower": 0, "upper": 99, "missing": True},
        "cost": {"kind": "numeric", "lower": 0, "upper": 1000, "granularity": 0.5},
        "ward": {"kind": "categorical", "categories": ["a", "b", "c", "d"]},
        **_LATE,
    },
}
LEARNED: Mapping[str, Any] = {
    "dataset": {"id": "audit"},
    "privacy": {**_UNIT, "row_count": "private"},
    "columns": {
        **_PERSON,
        "age": {"kind": "integer", "source": "private", "missing": True},
        "cost": {"kind": "numeric", "source": "private"},
        "ward": {"kind": "categorical", "source": "private"},
        "seen": {"kind": "date", "lower": "2020-01-01", "upper": "2024-12-31"},
        **_LATE,
    },
}
"""The same persons, with bounds, decimals, categories and the row count learned privately."""


def table(seed: int, document: Mapping[str, Any] = DECLARED) -> Table:
    """Persons with 1 to 3 rows each; the seed decides what is in them, and who has how many.

    There are as many rows for any seed: chance that is drawn row by row then runs alike. Some
    labels, missing entries and extremes occur for one seed and not for another.
    """
    import pandas as pd

    rng = np.random.default_rng(seed)
    rows = rng.permutation(1 + np.arange(N_PERSONS) % MAX_ROWS)
    person = np.repeat(np.arange(N_PERSONS), rows)
    n = len(person)
    age = rng.integers(0, 40 + 10 * seed, n).astype(float)
    columns = {
        "person": [f"P{number}" for number in person],
        "age": np.where(rng.random(n) < 0.1 * (seed % 2), np.nan, age),
        "cost": np.round(rng.exponential(50 + 40 * seed, n) * 2).clip(0, 2000) / 2,
        "ward": rng.choice(["a", "a", "a", "b", "c", "d"][: 5 + seed % 2], n),
        "seen": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 300 * seed, n), "D"),
        "late": rng.random(n) < 0.2 + 0.1 * seed,
    }
    schema = Schema.parse(document)
    frame = pd.DataFrame({name: columns[name] for name in schema.columns})
    return Table.from_pandas(frame, schema)


def one_with_rows(table: Table, n_rows: int) -> NDArray[np.bool_]:
    """The rows of the first person who has that many."""
    units = table.units()
    return np.asarray(units == np.flatnonzero(np.bincount(units) == n_rows)[0])


def fit(
    preset: str, train: Table, noise: NoiseSource, folder: Path, budget: PrivacyBudget = BUDGET
) -> FittedSynthesizer:
    """A small fit with a ledger of its own; its chance is the same each time if noise is seeded."""
    ledger = Ledger(folder / "ledger.sqlite")
    with _in_small():
        return _cut_down(preset).fit(
            train, budget, ledger=ledger, noise=noise, rng=np.random.default_rng(5)
        )


def _cut_down(preset: str) -> Synthesizer:
    """The preset with few steps and narrow networks."""
    made = load_preset(preset)
    wanted = {"taught_steps": 3, "taught_batch": 16, "steps": 6, "batch_size": N_PERSONS}
    wanted |= {"width": 8, "tuning_width": 8}
    fields = {each.name for each in dataclasses.fields(made)}
    return dataclasses.replace(made, **{k: v for k, v in wanted.items() if k in fields})


_coarse_loss = lru_cache(accountant._loss.__wrapped__)  # apart, or fine ones would be taken


@contextmanager
def _in_small() -> Iterator[None]:
    """Few rounds, particles and rows; DP-SGD takes part, which the policy spares small tables."""
    interval = accountant._interval
    with ExitStack() as stack:
        for module, name, value in (
            (accountant, "_interval", lambda *given: _COARSER * interval(*given)),
            (accountant, "_loss", _coarse_loss),
            (marginal, "_FIRST_ROUNDS", 2),
            (marginal, "ROUNDS", 3),
            (marginal, "_PARTICLES", (100, 100)),
            (diffusion, "_TEACHER_ROWS", 200),
            (diffusion, "_TRIED_ROWS", 200),
            (diffusion, "_MOST_CUTS", 1),
            (diffusion, "training_share", lambda *_: 0.3),
            (gan, "_TEACHER_ROWS", 200),
            (gan, "_TRIED_ROWS", 200),
            (gan, "_PASSES", 1),
            (maxent, "_SWEEPS", 1),
            (project, "_SCALE_ROUNDS", 3),
            (project, "_POOL_ROWS", (200, 200)),
        ):
            stack.enter_context(mock.patch.object(module, name, value))
        yield
