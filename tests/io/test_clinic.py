import re
import time
from pathlib import Path

import numpy as np
import pytest

from privsynth.io.clinic import clinic_schema, simulate_clinic
from privsynth.io.clinic_truth import DIAGNOSES, REGIONS
from privsynth.schema import Schema
from privsynth.synth.constraints import violations
from privsynth.table import Table

PAGE = Path(__file__).parents[2] / "docs" / "clinic.md"


@pytest.fixture(scope="module")
def frame():
    return Table.from_arrow(simulate_clinic(), clinic_schema()).to_pandas()


def test_the_records_keep_to_the_declared_schema():
    table = Table.from_arrow(simulate_clinic(), clinic_schema())
    assert table.n_rows == table.n_units == 20_000
    assert violations(table) == {}
    assert table.to_arrow().equals(simulate_clinic())


def test_a_seed_gives_one_table():
    assert simulate_clinic(50, seed=1).equals(simulate_clinic(50, seed=1))
    assert not simulate_clinic(50, seed=1).equals(simulate_clinic(50, seed=2))


def test_it_is_quick():
    start = time.process_time()
    simulate_clinic()
    assert time.process_time() - start < 2


def test_the_schema_survives_its_file(tmp_path):
    clinic_schema().save(tmp_path / "clinic.toml")
    assert Schema.load(tmp_path / "clinic.toml") == clinic_schema()


def test_every_category_occurs(frame):
    for name, column in clinic_schema().columns.items():
        if column.kind == "categorical":
            assert set(frame[name]) == set(column.categories)


def test_zip_codes_keep_their_zero(frame):
    assert frame["region"].str.fullmatch("0[0-9]{4}").all()


def test_days_add_up(frame):
    stay = [(out - into).days for out, into in zip(frame["discharged"], frame["admitted"])]  # noqa: B905
    np.testing.assert_array_equal(stay, frame["length_of_stay"])


def test_laboratory_values_follow_their_formula(frame):
    seen = frame[frame["creatinine"].notna() & (frame["diagnosis"] != "O80")]
    shift = {kind.code: kind.creatinine for kind in DIAGNOSES}
    rest = (
        np.log(seen["creatinine"])
        - np.log(0.85)
        - 0.16 * (seen["sex"] == "male")
        - 0.005 * (seen["age"] - 60)
        - 0.06 * seen["comorbidities"]
        - seen["diagnosis"].map(shift)
    )
    assert abs(rest.mean()) < 0.01
    assert rest.std() == pytest.approx(0.22, abs=0.01)


def test_gaps_depend_on_the_diagnosis(frame):
    for kind in DIAGNOSES:
        rows = frame[frame["diagnosis"] == kind.code]
        for lab in ("creatinine", "haemoglobin", "glucose", "crp"):
            expected = getattr(kind.gaps, lab)
            sd = np.sqrt(expected * (1 - expected) / len(rows))
            assert abs(rows[lab].isna().mean() - expected) <= 4.5 * sd


def test_stays_last_as_long_as_their_diagnosis_says(frame):
    for kind in DIAGNOSES:
        rows = frame[frame["diagnosis"] == kind.code]
        expected = kind.days * np.exp(0.06 * rows["comorbidities"]).mean()
        assert rows["length_of_stay"].mean() == pytest.approx(expected, rel=0.1)


def test_outcomes_have_causes(frame):
    died = frame["outcome"] == "died"
    assert died[frame["age"] > 75].mean() > 2 * died[frame["age"] < 60].mean()
    assert died[frame["diagnosis"] == "A41"].mean() > 3 * died[frame["diagnosis"] == "E11"].mean()
    winter = frame["admitted"].map(lambda day: day.month in (12, 1, 2))
    assert winter[frame["diagnosis"] == "J18"].mean() > 1.3 * winter.mean()


def test_crp_has_a_spike_at_the_detection_limit(frame):
    low = frame.loc[frame["diagnosis"] == "F32", "crp"].dropna()
    assert (low == 0.5).mean() > 0.3 > 2 * (low == 0.6).mean()


def test_the_page_shows_the_numbers_that_are_drawn_from():
    rows = [
        [cell.strip() for cell in line.strip("|\n ").split("|")]
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if re.match(r"\| [A-Z0-9]{3,5} \|", line)
    ]
    truth = []
    for kind in DIAGNOSES:
        numbers = (
            kind.log_odds, kind.per_decade, kind.smoker, kind.days, kind.creatinine,
            kind.haemoglobin, kind.glucose, kind.crp, kind.cost, kind.readmitted, kind.died,
        )  # fmt: skip
        flags = ["yes" if flag else "no" for flag in (kind.chronic, kind.winter)]
        truth.append([kind.code, kind.text, *(f"{number:g}" for number in numbers), *flags])
    for kind in DIAGNOSES:
        gaps = (kind.gaps.creatinine, kind.gaps.haemoglobin, kind.gaps.glucose, kind.gaps.crp)
        truth.append([kind.code, *(f"{number:g}" for number in gaps)])
    truth += [[place.zip_code, f"{place.share:g}", f"{place.wealth:g}"] for place in REGIONS]
    assert [row for row in rows if row[0] != "ZIP"] == truth
