"""`privsynth assess` of any vendor's files, through the door."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from privsynth.schema import Schema

ROWS = list[dict[str, str]]
Cli = Callable[..., Any]
SCHEMA = {
    "dataset": {"id": "ward"},
    "columns": {
        "age": {"kind": "integer", "lower": 0, "upper": 120, "role": "quasi_identifier"},
        "sex": {"kind": "categorical", "categories": ["f", "m"], "role": "quasi_identifier"},
        "cost": {"kind": "numeric", "lower": 0, "upper": 1e6, "missing": True},
        "ill": {"kind": "categorical", "categories": ["yes", "no"], "role": "sensitive"},
    },
}


def rows(seed: int, n: int = 100) -> ROWS:
    rng = np.random.default_rng(seed)
    return [
        {
            "age": str(rng.integers(18, 90)),
            "sex": str(rng.choice(["f", "m"])),
            "cost": f"{rng.gamma(2.0, 400.0):.2f}",
            "ill": str(rng.choice(["yes", "no"])),
        }
        for _ in range(n)
    ]


Assess = Callable[..., Any]


@pytest.fixture
def assess(cli: Cli, quick_assessment: None, tmp_path: Path) -> Assess:
    """Assess files made of these rows; those not given are drawn afresh."""

    def put(name: str, table: ROWS) -> Path:
        path = tmp_path / f"{name}.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(table[0]))
            writer.writeheader()
            writer.writerows(table)
        return path

    def run(**tables: ROWS) -> Any:
        schema = Schema.parse(SCHEMA)
        schema.save(tmp_path / "ward.toml")
        words: list[object] = ["assess", "-s", tmp_path / "ward.toml", "-o", tmp_path / "out"]
        for seed, role in enumerate(("train", "control", "synthetic")):
            words += [f"--{role}", put(role, tables.get(role, rows(seed)))]
        return cli(*words)

    return run


def facts(folder: Path) -> dict[str, Any]:
    document = json.loads((folder / "report.json").read_text())
    return {fact["id"]: fact for fact in document["evidence"]}


def spoiled(column: str, value: str, n: int = 100) -> ROWS:
    return [row | ({column: value} if i < n else {}) for i, row in enumerate(rows(2))]


@pytest.mark.parametrize(
    ("synthetic", "reason"),
    [
        (spoiled("cost", ""), "left out cost: every value is missing"),
        (spoiled("age", "Zaphod", 1), "left out age: 1 value is not a whole number"),
        (spoiled("sex", "Zaphod", 1), "left out sex: 1 value is not in its list of categories"),
        (spoiled("age", "471", 2), "left out age: 2 values lie outside its domain [0, 120]"),
        (
            spoiled("ill", "", 3),
            "left out ill: 3 values are missing, and the schema does not say missing = true",
        ),
        (spoiled("zzz", "1"), "left out zzz: not in the schema"),
    ],
)
def test_a_column_that_breaks_the_schema_is_a_fact_and_the_rest_is_judged(
    assess: Assess, tmp_path: Path, synthetic: ROWS, reason: str
) -> None:
    done = assess(synthetic=synthetic)
    assert done.code == 0, done.err
    found = facts(tmp_path / "out")
    assert found["fidelity.columns"]["reason"] == reason
    assert found["testing.copies_exact"]["trial"]["member"]["total"] > 30
    name, why = reason.removeprefix("left out ").split(": ", 1)
    left_out = found["testing.copies_exact"]["details"].get("columns_left_out", "")
    assert (f"{name}: {why} (synthetic table)" in left_out) is (name != "zzz")
    assert "Zaphod" not in (tmp_path / "out" / "report.json").read_text()


def test_several_columns_are_named_together(assess: Assess, tmp_path: Path) -> None:
    synthetic = [{"age": row["age"], "sex": "x", "new": "1"} for row in rows(2)]
    assert assess(synthetic=synthetic).code == 0
    assert facts(tmp_path / "out")["fidelity.columns"]["reason"] == (
        "the synthetic table lacks cost, ill; left out new: not in the schema; "
        "left out sex: 100 values are not in its list of categories"
    )


def test_a_table_of_which_nothing_fits_is_refused_with_the_first_reason(assess: Assess) -> None:
    done = assess(synthetic=[{"age": "Zaphod"}, {"age": "7"}])
    assert done.code == 1
    assert done.error == (
        "error: synthetic.csv holds no column that keeps to the schema; the first that does not "
        "fit: column 'age': 1 value is not a whole number"
    )


@pytest.mark.parametrize("role", ["train", "control"])
@pytest.mark.parametrize("column", ["cost", "ill"])
def test_a_column_without_a_value_in_train_or_control_is_a_fact_and_the_rest_is_judged(
    assess: Assess, tmp_path: Path, role: str, column: str
) -> None:
    done = assess(**{role: spoiled(column, "")})
    assert done.code == 0, done.err
    found = facts(tmp_path / "out")
    reason = f"every value is missing ({role} table)"
    assert found["fidelity.columns"]["reason"] == f"left out {column}: {reason}"
    copies = found["testing.copies_exact"]
    assert copies["trial"]["member"]["total"] > 30
    assert copies["details"]["columns_left_out"] == f"{column}: {reason}"


def test_a_control_without_any_value_is_refused(assess: Assess) -> None:
    done = assess(control=[dict.fromkeys(row, "") for row in rows(1)])
    assert done.code == 1
    assert done.error == "error: train, control and synthetic share no column of the schema"


@pytest.mark.parametrize("role", ["train", "control"])
def test_train_and_control_must_keep_to_the_schema_and_the_file_is_named(
    assess: Assess, role: str
) -> None:
    done = assess(**{role: spoiled("age", "471", 2)})
    assert done.code == 1
    assert done.error == (
        f"error: {role} table {role}.csv: column 'age': 2 values lie outside its domain [0, 120]"
    )


def test_a_control_that_is_the_train_table_is_refused(assess: Assess) -> None:
    done = assess(train=rows(0), control=rows(0))
    assert done.code == 1
    assert "of 100 different records of the control, 100 are in the train table too" in done.error


def test_a_table_without_a_header_is_refused_without_its_first_record(assess: Assess) -> None:
    done = assess(synthetic=[{"Zaphod": "41", "7391": "f"}])
    assert done.code == 1
    assert done.error.endswith("no column that keeps to the schema; does it have a header?")
    assert "Zaphod" not in done.err
    assert "7391" not in done.err


@pytest.mark.parametrize("option", ["--control", "--out", "--policy", "--schema", "--train"])
def test_what_a_run_would_pass_over_is_refused(cli: Cli, tmp_path: Path, option: str) -> None:
    done = cli("assess", tmp_path, "--data", tmp_path / "d.csv", option, tmp_path / "x")
    assert done.code == 2
    assert "give DIR and --data alone for a run" in done.error
