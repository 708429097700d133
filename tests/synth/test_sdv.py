"""The SDV door: metadata in and out, and a baseline that says it has no privacy."""

import numpy as np
import pandas as pd
import pytest

from privsynth.errors import SchemaError, UsageError
from privsynth.schema import Schema
from privsynth.synth.sdv import copula_baseline, from_metadata, to_metadata
from privsynth.table import Table

SCHEMA = Schema.parse(
    {
        "dataset": {"id": "wards"},
        "columns": {
            "patient": {"kind": "id"},
            "age": {"kind": "integer", "lower": 0, "upper": 120, "missing": True},
            "cost": {"kind": "numeric", "lower": 0, "upper": 9_000, "granularity": 0.01},
            "ward": {"kind": "categorical", "categories": ["A", "B"]},
            "ill": {"kind": "boolean"},
            "seen": {"kind": "date", "lower": "2020-01-01", "upper": "2020-12-31"},
        },
    }
)


def wards(n: int = 300) -> Table:
    rng = np.random.default_rng(0)
    age = pd.array(rng.integers(20, 90, n), dtype="Int64")
    cost = (age.to_numpy(float) * 40 + rng.normal(0, 100, n)).clip(0, 9_000).round(2)
    age[:20] = pd.NA
    frame = pd.DataFrame(
        {
            "patient": np.arange(n),
            "age": age,
            "cost": cost,
            "ward": rng.choice(["A", "B"], n),
            "ill": rng.random(n) < 0.3,
            "seen": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 365, n), "D"),
        }
    )
    return Table.from_pandas(frame, SCHEMA)


def test_metadata_name_the_types_and_no_domain():
    metadata = to_metadata(SCHEMA)
    columns = metadata["tables"]["records"]["columns"]
    assert columns == {
        "age": {"sdtype": "numerical"},
        "cost": {"sdtype": "numerical"},
        "ward": {"sdtype": "categorical"},
        "ill": {"sdtype": "boolean"},
        "seen": {"sdtype": "datetime"},
    }


def test_what_sdv_read_from_records_is_not_taken_over():
    metadata = {
        "tables": {
            "t": {
                "columns": {
                    "age": {"sdtype": "numerical", "range_min": 17, "range_max": 93},
                    "code": {"sdtype": "categorical", "range_values": ["rare-code"]},
                    "mail": {"sdtype": "email"},
                }
            }
        }
    }
    schema = from_metadata(metadata, "d")
    assert schema.with_source("private") == ("age", "code")
    assert schema.columns["mail"].action == "drop"
    assert "93" not in schema.to_toml()
    assert "rare-code" not in schema.to_toml()


def test_several_tables_are_refused():
    with pytest.raises(SchemaError, match="2 tables"):
        from_metadata({"tables": {"a": {}, "b": {}}}, "d")


def test_the_copula_draws_a_valid_table_that_keeps_a_strong_dependence():
    drawn = copula_baseline(wards(), 400)
    frame = drawn.frame()
    assert len(frame) == 400
    assert "patient" not in frame
    known = frame.dropna(subset=["age"])
    assert np.corrcoef(known["age"].astype(float), known["cost"])[0, 1] > 0.7


def test_no_row_is_no_sample():
    with pytest.raises(UsageError):
        copula_baseline(wards(50), 0)
