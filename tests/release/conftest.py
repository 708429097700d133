import importlib.util
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from privsynth.table import Table

EXAMPLE = Path(__file__).parents[1] / "report" / "example.py"


@pytest.fixture(scope="session")
def example():
    """The factory of a report with plausible numbers."""
    spec = importlib.util.spec_from_file_location("report_example", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def report(example):
    """The controller's edition of a private run."""
    return example.example_report()


@pytest.fixture(scope="session")
def synthetic(example):
    """A synthetic table under the example's schema, in types that are easily lost."""
    rng, n_rows = np.random.default_rng(1), 200
    raw = pa.table(
        {
            "patient_no": [f"P{i:04d}" for i in range(n_rows)],
            "age": pa.array(rng.integers(0, 100, n_rows), pa.int16()),
            "sex": rng.choice(["female", "male"], n_rows),
            "zip3": rng.choice(["021", "100"], n_rows),
            "admitted": pa.array(rng.integers(16500, 20000, n_rows), pa.int32()).cast(pa.date32()),
            "diagnosis": rng.choice(["I10", "E11"], n_rows),
            "length_of_stay": rng.integers(0, 30, n_rows),
            "creatinine": pa.array([None if i % 5 == 0 else 0.5 + i / 100 for i in range(n_rows)]),
            "cost": rng.random(n_rows).round(3) * 1000,
            "insurer": rng.choice(["statutory", "private"], n_rows),
            "died": rng.random(n_rows) < 0.1,
        }
    )
    schema = example.SCHEMA
    released = {name: schema.columns[name] for name in schema.released}
    table = Table.from_arrow(raw, schema.model_copy(update={"columns": released}))
    return Table(schema, table.data, table.storage)
