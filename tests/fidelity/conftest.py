"""A small simulated clinic with every kind of column, for the tests of this room."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from privsynth.schema import Schema
from privsynth.table import Table, Tables

CLINIC = Schema.parse(
    {
        "dataset": {"id": "clinic"},
        "columns": {
            "patient": {"kind": "id"},
            "age": {"kind": "integer", "lower": 0, "upper": 120},
            "ward": {"kind": "categorical", "categories": ["a", "b", "c", "rare"]},
            "grade": {
                "kind": "ordinal",
                "categories": ["low", "middle", "high"],
                "missing": True,
                "role": "sensitive",
            },
            "cost": {"kind": "numeric", "lower": 0, "upper": 1e6, "missing": True},
            "admitted": {"kind": "date", "lower": "2015-01-01", "upper": "2025-12-31"},
            "seen": {
                "kind": "datetime",
                "lower": "2015-01-01T00:00:00",
                "upper": "2025-12-31T00:00:00",
                "missing": True,
            },
            "died": {"kind": "boolean", "role": "target"},
        },
    }
)


def clinic(n_rows: int, seed: int = 0) -> Table:
    """Patients whose outcome depends on age and grade, and cost on age."""
    rng = np.random.default_rng(seed)
    age = rng.integers(20, 95, n_rows)
    grade = np.array(["low", "middle", "high"], dtype=object)[rng.integers(0, 3, n_rows)]
    risk = 0.05 + 0.4 * (age > 70) + 0.3 * (grade == "high")
    days = rng.integers(0, 3_000, n_rows)
    cost = np.where(rng.random(n_rows) < 0.3, 0.0, np.round(age * rng.gamma(2, 40, n_rows), 2))
    frame = pd.DataFrame(
        {
            "patient": [f"p{number}" for number in range(n_rows)],
            "age": age,
            "ward": rng.choice(["a", "b", "c", "rare"], n_rows, p=[0.5, 0.3, 0.194, 0.006]),
            "grade": np.where(rng.random(n_rows) < 0.1, None, grade),
            "cost": np.where(rng.random(n_rows) < 0.2, np.nan, cost),
            "admitted": (np.datetime64("2015-01-01") + days).astype("datetime64[ns]"),
            "seen": pd.Timestamp("2015-01-01") + pd.to_timedelta(days * 86_400 + age, unit="s"),
            "died": rng.random(n_rows) < risk,
        }
    )
    frame.loc[rng.random(n_rows) < 0.1, "seen"] = pd.NaT
    return Table.from_pandas(frame, CLINIC)


@pytest.fixture(scope="session")
def tables() -> Tables:
    """Three independent draws: what a perfect generator would give."""
    return Tables(clinic(2_000, 1), clinic(1_000, 2), clinic(2_000, 3))


@pytest.fixture(scope="session")
def shuffled_columns(tables: Tables) -> Tables:
    """The synthetic table of a generator that knows each column and no dependence."""
    rng = np.random.default_rng(4)
    data = tables.synthetic.data
    for position, name in enumerate(data.column_names):
        column = data.column(name).take(rng.permutation(data.num_rows))
        data = data.set_column(position, name, column)
    return Tables(tables.train, tables.control, Table(CLINIC, data))


@pytest.fixture(scope="session")
def make_clinic() -> Callable[[int, int], Table]:
    return clinic
