"""The whole assessment on a small table: every part of it reaches the report."""

import numpy as np
import pyarrow as pa
import pytest

from privsynth import pipeline
from privsynth.errors import UsageError
from privsynth.report.assessment import assess, of_synthetic_alone
from privsynth.report.render import render_html
from privsynth.report.report import Provenance, build_report
from privsynth.schema import Schema
from privsynth.table import Table, Tables

SCHEMA = Schema.parse(
    {
        "dataset": {"id": "small"},
        "columns": {
            "age": {"kind": "integer", "lower": 0, "upper": 120, "role": "quasi_identifier"},
            "sex": {"kind": "categorical", "categories": ["f", "m"], "role": "quasi_identifier"},
            "cost": {"kind": "numeric", "lower": 0, "upper": 1000, "role": "sensitive"},
            "ill": {"kind": "boolean", "role": "target"},
        },
    }
)


def table(seed, n_rows):
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 90, n_rows)
    return Table.from_arrow(
        pa.table(
            {
                "age": age,
                "sex": rng.choice(["f", "m"], n_rows),
                "cost": np.round(rng.gamma(2.0, 50.0, n_rows).clip(0, 999), 2),
                "ill": rng.random(n_rows) < age / 150,
            }
        ),
        SCHEMA,
    )


@pytest.fixture(scope="module")
def assessed():
    tables = Tables(table(1, 300), table(2, 150), table(3, 300))
    return tables, assess(tables, np.random.default_rng(1))


def test_nothing_is_left_out(assessed):
    _, assessment = assessed
    report = build_report(SCHEMA, None, assessment, Provenance("r", "2026-01-01"))
    assert len(report.facts("testing")) == len(assessment.attacks) > 4
    assert len(report.facts("fidelity")) == len(assessment.scores) > 8
    assert len(assessment.profiles) == len(SCHEMA.modelled)
    tested = [claim for claim in report.claims if claim.basis == "tested"]
    assert not [claim for claim in tested if claim.finding == "Not tested."]
    assert render_html(report)


def test_charts_of_the_public_edition_know_the_synthetic_table_alone(assessed):
    tables, assessment = assessed
    shown, related = of_synthetic_alone(tables.synthetic)
    assert assessment.synthetic_profiles == shown
    assert assessment.synthetic_associations == related
    assert assessment.profiles != shown


@pytest.mark.parametrize("role", ["train", "control", "synthetic"])
def test_a_data_frame_is_refused_by_its_role_and_with_what_to_do(role):
    tables = {name: table(1, 20) for name in ("train", "control", "synthetic")}
    tables[role] = tables[role].to_pandas()
    with pytest.raises(UsageError, match=f"^{role}: a Table is needed, not a DataFrame; read"):
        pipeline.assess(**tables)


def test_without_a_control_the_claims_about_attacks_stay_open():
    report = pipeline.assess(train=table(1, 60), synthetic=table(3, 60), control=None)
    tested = {claim.title: claim.status for claim in report.claims if claim.basis == "tested"}
    assert tested.pop("Direct identifiers") == "supported"  # a scan needs no control
    assert set(tested.values()) == {"inconclusive"}
