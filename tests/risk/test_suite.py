from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from privsynth.errors import AssessmentError
from privsynth.risk import Inference, Linkability, SinglingOut, anonymeter, attacks, run_suite
from privsynth.risk.base import AttackResult, Criterion, Failure, Result
from privsynth.risk.statistics import holm
from privsynth.risk.suite import adjusted
from privsynth.schema import Schema
from privsynth.table import Table, Tables

MakeTables = Callable[..., Tables]

BUILT_IN = {
    "copies",
    "identifiers",
    "inference",
    "linkability",
    "membership",
    "singling_out",
    "vulnerable",
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer queries and attempts: small tables would be searched for long."""
    monkeypatch.setattr(anonymeter, "MAX_ATTEMPTS", 1_000)
    quick = {
        "inference": partial(Inference, n_targets=100),
        "linkability": partial(Linkability, n_targets=100),
        "singling_out": partial(SinglingOut, n_queries=60),
    }
    monkeypatch.setattr(attacks, "_items", attacks._items | quick)


def suite(tables: Tables, seed: int = 0) -> dict[str, Result]:
    results = run_suite(tables, np.random.default_rng(seed))
    assert {result.criterion for result in results} <= set(get_args(Criterion))
    named = {getattr(r, "attack", None) or r.name: r for r in results}
    assert len(named) == len(results)
    return named


def stopped(results: dict[str, Result]) -> list[str]:
    return [r.reason for r in results.values() if isinstance(r, Failure) and "stopped" in r.reason]


@dataclass
class Steps:
    total: int | None = None
    notes: tuple[str, ...] = ()

    def stage(self, title: str, total: int | None = None) -> None:
        self.total = total

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.notes = (*self.notes, note)


def test_every_attack_runs_and_progress_is_told(make_tables: MakeTables) -> None:
    steps = Steps()
    results = run_suite(make_tables(200, 100, 200), np.random.default_rng(0), steps)
    assert steps.total == len(steps.notes)
    assert set(steps.notes) >= BUILT_IN
    failed = {r.name.removesuffix("_membership") for r in results if isinstance(r, Failure)}
    assert failed == {"vulnerable_outlying", "vulnerable_rare"}  # groups of too few persons
    assert all(r.seconds > 0 for r in results if isinstance(r, AttackResult))
    alone = {r.criterion for r in results if isinstance(r, AttackResult) and not r.p_adjusted}
    assert alone == {"identifiers"}  # every other result is in the family of the correction


def test_p_values_are_adjusted_for_the_suite(make_tables: MakeTables) -> None:
    results = suite(make_tables(400, 200, 400, copied=0.2)).values()
    tested = [r for r in results if isinstance(r, AttackResult) and r.p_value is not None]
    expected = holm([r.p_value or 0.0 for r in tested], [r.weight for r in tested])
    assert len(tested) >= 8
    assert tuple(r.details["p_holm"] for r in tested) == expected
    assert all("p_holm" not in r.details for r in results if getattr(r, "p_value", 1) is None)
    assert adjusted(()) == ()


def test_the_suite_is_reproducible(make_tables: MakeTables) -> None:
    tables = make_tables(150, 100, 150, copied=0.2)
    assert suite(tables, 4) == suite(tables, 4)


def test_a_table_without_rows_is_refused(make_tables: MakeTables) -> None:
    tables = make_tables(50, 50, 50)
    none = tables.train.take(np.array([], dtype=int))
    for wrong in (
        Tables(none, tables.control, tables.synthetic),
        Tables(tables.train, tables.control, none),
    ):
        with pytest.raises(AssessmentError):
            run_suite(wrong, np.random.default_rng(0))


def test_what_an_attack_raises_is_a_fact_without_its_message(
    make_tables: MakeTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        name: ClassVar[str] = "broken"
        title: ClassVar[str] = "Broken"
        criterion: ClassVar[Criterion] = "copies"

        def run(self, tables: Tables, rng: np.random.Generator) -> tuple[Result, ...]:
            raise KeyError("the value of a record")

    monkeypatch.setattr(attacks, "_items", {"broken": Broken})
    results = run_suite(make_tables(50, 50, 50), np.random.default_rng(0))
    assert results == (Failure("broken", "Broken", "the attack stopped with KeyError", "copies"),)


@pytest.mark.parametrize(
    "sizes", [(1, 0, 1), (1, 1, 1), (2, 1, 3), (30, 2, 5), (5, 30, 200)], ids=str
)
def test_tiny_tables_give_facts(make_tables: MakeTables, sizes: tuple[int, int, int]) -> None:
    assert stopped(suite(make_tables(*sizes))) == []


def damaged(tables: Tables, damage: Callable[[pa.Table], pa.Table]) -> Tables:
    synthetic = Table(tables.schema, damage(tables.synthetic.data))
    return Tables(tables.train, tables.control, synthetic)


def replaced(data: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return data.set_column(data.column_names.index(name), name, values)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.drop_columns(["sex", "illness", "cost"]),
        lambda data: data.drop_columns(["age", "sex", "town", "admitted"]),
        lambda data: data.select(["age"]),
        lambda data: replaced(data, "balance", pa.nulls(len(data), pa.float64())),
        lambda data: replaced(data, "illness", pa.nulls(len(data))),
        lambda data: replaced(data, "age", pa.array(["old"] * len(data))),
        lambda data: replaced(data, "admitted", pa.array(["soon"] * len(data))),
        lambda data: replaced(data, "sex", pa.array(range(len(data)))),
        lambda data: replaced(data, "visits", pa.array([5] * len(data))),
        lambda data: replaced(data, "town", pa.array(["never 'seen' \"before\""] * len(data))),
        lambda data: replaced(data, "cost", pa.array([np.inf] * len(data))),
        lambda data: pa.table({"unknown": pa.array([1, 2, 3])}),
    ],
)
def test_damaged_synthetic_tables_give_facts(
    make_tables: MakeTables, damage: Callable[[pa.Table], pa.Table]
) -> None:
    results = suite(damaged(make_tables(80, 60, 80), damage))
    assert stopped(results) == []
    assert "copies" in results or "copies_exact" in results


def test_constant_and_nearly_missing_real_columns_give_facts(clinic_schema: Schema) -> None:
    columns = {
        "age": [40] * 60,
        "sex": ["F"] * 60,
        "town": [None] * 59 + ["Ayr"],
        "admitted": [pd.Timestamp("2020-05-05")] * 60,
        "cost": [None] * 59 + [1.0],
        "visits": [3] * 60,
        "insured": pd.array([None] * 59 + [True], dtype="boolean"),
        "illness": ["flu"] * 60,
        "balance": [0.0] * 60,
    }
    table = Table.from_pandas(pd.DataFrame(columns), clinic_schema)
    results = suite(Tables(table, table, table))
    assert stopped(results) == []
    assert isinstance(results["inference_balance"], Failure)


def test_no_value_of_a_record_is_in_a_result(make_tables: MakeTables) -> None:
    tables = make_tables(200, 100, 200, copied=0.5)
    shown = " ".join(
        f"{result!r} {getattr(result, 'details', '')} {getattr(result, 'threat_model', '')}"
        for result in suite(tables).values()
    )
    for value in ("O'Hara", "Ayr", "gout", str(tables.train.numbers("balance")[0])):
        assert value not in shown


@pytest.mark.real_data
def test_adult(shared_data: Path) -> None:
    schema = Schema.load(shared_data / "adult" / "schema.toml")
    rng = np.random.default_rng(0)
    records = pd.read_parquet(shared_data / "adult" / "train.parquet")
    table = Table.from_pandas(records, schema).take(rng.permutation(len(records))[:3000])
    train, control = table.take(np.arange(1200)), table.take(np.arange(1200, 1800))
    synthetic = table.take(np.arange(1800, 3000))
    results = suite(Tables(train, control, synthetic))
    failed = {name for name, result in results.items() if isinstance(result, Failure)}
    assert all(name.startswith("vulnerable_") for name in failed)  # groups of too few persons
    copies = results["copies_exact"]
    assert isinstance(copies, AttackResult)
    assert copies.verdict(0.05).value == "supported"
    income = results["inference_income"]
    assert isinstance(income, AttackResult)
    assert income.prior == pytest.approx(0.75, abs=0.05)
    assert income.member.value == pytest.approx(0.78, abs=0.12)
