"""A small clinic whose records are drawn independently, so that nothing leaks unless planted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from privsynth.schema import Schema
from privsynth.table import Table, Tables

CLINIC = {
    "dataset": {"id": "clinic"},
    "columns": {
        "age": {"kind": "integer", "lower": 0, "upper": 120, "role": "quasi_identifier"},
        "sex": {"kind": "categorical", "categories": ["F", "M"], "role": "quasi_identifier"},
        "town": {
            "kind": "categorical",
            "categories": ["Ayr", "Bath", "Cork", "O'Hara's \"Bar\""],
            "missing": True,
            "role": "quasi_identifier",
        },
        "admitted": {
            "kind": "date",
            "lower": "2020-01-01",
            "upper": "2024-12-31",
            "role": "quasi_identifier",
        },
        "cost": {"kind": "numeric", "lower": -1e6, "upper": 1e6, "missing": True},
        "visits": {"kind": "integer", "lower": 0, "upper": 1000},
        "insured": {"kind": "boolean", "missing": True},
        "illness": {
            "kind": "categorical",
            "categories": ["none", "flu", "gout"],
            "role": "sensitive",
        },
        "balance": {"kind": "numeric", "lower": -1e6, "upper": 1e6, "role": "sensitive"},
    },
}

MakeFrame = Callable[[int, int], pd.DataFrame]
MakeTables = Callable[..., Tables]


def clinic_frame(n_rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age = rng.integers(0, 100, n_rows)
    frame = pd.DataFrame(
        {
            "age": age,
            "sex": rng.choice(["F", "M"], n_rows),
            "town": rng.choice(["Ayr", "Bath", "Cork", "O'Hara's \"Bar\""], n_rows),
            "admitted": pd.Timestamp("2020-01-01")
            + pd.to_timedelta(rng.integers(0, 1800, n_rows), unit="D"),
            "cost": np.round(rng.normal(age * 10.0, 100), 2),
            "visits": rng.poisson(20, n_rows),
            "insured": pd.array(rng.random(n_rows) < 0.8, dtype="boolean"),
            "illness": rng.choice(["none", "flu", "gout"], n_rows, p=[0.7, 0.2, 0.1]),
            "balance": np.round(rng.normal(0, 1000, n_rows), 2),
        }
    )
    for name in ("town", "cost", "insured"):
        frame.loc[rng.random(n_rows) < 0.1, name] = None
    return frame


@pytest.fixture
def clinic_schema() -> Schema:
    return Schema.parse(CLINIC)


@pytest.fixture
def make_tables(clinic_schema: Schema) -> MakeTables:
    """Independent train, control and synthetic tables, the latter with some rows copied."""

    def make(
        n_train: int = 1000,
        n_control: int = 500,
        n_synthetic: int = 1000,
        *,
        seed: int = 0,
        copied: float = 0.0,
        copied_from: str = "train",
    ) -> Tables:
        train, control, fresh = (
            Table.from_pandas(clinic_frame(max(n, 60), 3 * seed + i), clinic_schema).take(
                np.arange(n)
            )
            for i, n in enumerate((n_train, n_control, n_synthetic))
        )
        source = train if copied_from == "train" else control
        n_copied = round(copied * source.n_rows)
        kept = fresh.take(np.arange(n_synthetic - n_copied))
        synthetic = pa.concat_tables([kept.data, source.take(np.arange(n_copied)).data])
        return Tables(train, control, Table(clinic_schema, synthetic))

    return make
