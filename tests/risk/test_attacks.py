"""Singling out, linkability and inference: what they find, and what they say when they cannot."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from privsynth.errors import Inconclusive
from privsynth.risk import anonymeter
from privsynth.risk.base import AttackResult, Failure, Result, Risk, Verdict
from privsynth.risk.inference import Inference
from privsynth.risk.linkability import Linkability, Sources, dealt
from privsynth.risk.plain import PlainTable
from privsynth.risk.singling_out import SinglingOut
from privsynth.risk.statistics import excess
from privsynth.schema import Schema
from privsynth.table import Table, Tables

MakeTables = Callable[..., Tables]
ATTACKS = (
    SinglingOut(n_queries=100, n_columns=(1, 3, 5)),
    Linkability(n_targets=100),
    Inference(n_targets=100),
)


def run(attack: Any, tables: Tables, seed: int = 0) -> dict[str, Result]:
    results = attack.run(tables, np.random.default_rng(seed))
    return {getattr(r, "attack", None) or r.name: r for r in results}


def done(result: Result) -> AttackResult:
    assert isinstance(result, AttackResult), result
    return result


def test_a_full_copy_is_found_by_all_three(make_tables: MakeTables) -> None:
    tables = make_tables(400, 400, 400, copied=1.0)
    singled = run(SinglingOut(n_queries=200, n_columns=(1, 3, 5)), tables)
    linked = run(Linkability(n_targets=200), tables)
    inferred = run(Inference(n_targets=200), tables)
    for name, limit in (("singling_out_5", 0.3), ("singling_out_3", 0.3)):
        assert done(singled[name]).member.value > limit
        assert done(singled[name]).verdict(0.1) is Verdict.NOT_SUPPORTED
    assert done(linked["linkability"]).verdict(0.05) is Verdict.NOT_SUPPORTED
    assert done(inferred["inference_balance"]).member.value > 0.9
    assert done(inferred["inference_balance"]).verdict(0.1) is Verdict.NOT_SUPPORTED


@pytest.mark.parametrize("width", [2, 3])
def test_no_more_predicates_are_tried_than_there_are(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """One record has a predicate for each choice of columns: all are found, and it ends."""
    tried, search = [], anonymeter._multivariate

    def counted(*args: Any) -> list[Any]:
        tried.append(args[3])
        return search(*args)

    monkeypatch.setattr(anonymeter, "_multivariate", counted)
    one = PlainTable({}, {name: np.zeros(1, dtype=int) for name in "abcdef"}, np.arange(1))
    found = anonymeter.multivariate_queries(one, 500, width, seed=0)
    assert len(found) == math.comb(6, width)
    assert sum(tried) < 300


def test_the_forest_remembers_records_that_were_copied(make_tables: MakeTables) -> None:
    inferred = run(Inference(n_targets=400), make_tables(800, 400, 800, copied=1.0))
    trees = done(inferred["inference_illness_by_trees"])
    assert trees.verdict(0.02) is Verdict.NOT_SUPPORTED
    assert isinstance(trees.excess, Risk)
    assert trees.excess.low > 0


def test_the_forest_says_how_often_it_is_sure_and_right() -> None:
    """Half of the people have a secret that their age betrays; the others toss a coin."""
    label = {"kind": "categorical", "categories": ["a", "b"], "role": "sensitive"}
    number = {"kind": "integer", "lower": 0, "upper": 99, "role": "quasi_identifier"}
    schema = Schema.parse({"dataset": {"id": "d"}, "columns": {"x": number, "y": label}})
    rng = np.random.default_rng(0)

    def table() -> Table:
        x = rng.integers(0, 100, 2000)
        tossed = rng.choice(["a", "b"], 2000)
        return Table.from_pandas(frame(x=x, y=np.where(x < 50, "a", tossed)), schema)

    result = done(run(Inference(), Tables(table(), table(), table()))["inference_y_by_trees"])
    for side in ("members", "controls"):
        assert result.details[f"coverage_{side}"] == pytest.approx(0.5, abs=0.05)
        assert result.details[f"precision_{side}"] == 1.0


def test_the_forest_says_how_often_it_is_sure_of_a_number() -> None:
    """Half of the people have a cost that their age betrays to within 5 %; the rest have any."""
    number = {"kind": "numeric", "lower": 0, "upper": 1000}
    columns = {"x": number | {"role": "quasi_identifier"}, "y": number | {"role": "sensitive"}}
    schema = Schema.parse({"dataset": {"id": "d"}, "columns": columns})
    rng = np.random.default_rng(0)

    def table() -> Table:
        x, anything = rng.integers(0, 100, 2000), rng.uniform(0, 1000, 2000)
        young = 500 + rng.uniform(-5, 5, 2000)
        return Table.from_pandas(
            frame(x=x.astype(float), y=np.where(x < 50, young, anything)), schema
        )

    result = done(run(Inference(), Tables(table(), table(), table()))["inference_y_by_trees"])
    for side in ("members", "controls"):
        assert result.details[f"coverage_{side}"] == pytest.approx(0.5, abs=0.05)
        assert float(result.details[f"precision_{side}"]) > 0.98


def test_the_nearest_record_is_sure_where_it_is_the_same(make_tables: MakeTables) -> None:
    """A fifth of the train records stands in the table; hardly anybody of the control does."""
    result = done(
        run(Inference(n_targets=500), make_tables(500, 500, 500, copied=0.2))["inference_balance"]
    )
    assert result.details["coverage_members"] == pytest.approx(0.2, abs=0.01)
    assert result.details["precision_members"] == 1.0
    assert float(result.details["coverage_controls"]) < 0.01


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_a_table_without_leak_shows_none(make_tables: MakeTables, attack: Any) -> None:
    for result in run(attack, make_tables(600, 600, 600)).values():
        excess = done(result).excess
        assert isinstance(excess, Risk)
        assert excess.low < 0.02
        assert 0 <= (done(result).prior or 0) <= 1


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_the_order_of_rows_has_no_effect(make_tables: MakeTables, attack: Any) -> None:
    tables = make_tables(200, 100, 150, copied=0.3)
    rng = np.random.default_rng(5)
    moved = Tables(
        *(
            table.take(rng.permutation(table.n_rows))
            for table in (tables.train, tables.control, tables.synthetic)
        )
    )
    assert run(attack, tables) == run(attack, moved)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_the_seed_decides(make_tables: MakeTables, attack: Any) -> None:
    tables = make_tables(300, 150, 300, copied=0.5)
    assert run(attack, tables, 1) == run(attack, tables, 1)
    assert run(attack, tables, 1) != run(attack, tables, 2)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_without_control_the_rate_stands_and_the_excess_does_not(
    make_tables: MakeTables, attack: Any
) -> None:
    for result in run(attack, make_tables(200, 0, 200)).values():
        assert done(result).control is None
        assert isinstance(done(result).excess, Inconclusive)
        assert done(result).p_value is None


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_a_handful_of_people_decides_nothing(make_tables: MakeTables, attack: Any) -> None:
    for result in run(attack, make_tables(20, 5, 20)).values():
        assert isinstance(done(result).excess, Inconclusive)
        assert "only" in done(result).excess.reason


def test_singling_out_needs_as_many_columns_as_it_uses() -> None:
    column = {"kind": "integer", "lower": 0, "upper": 1000}
    schema = Schema.parse({"dataset": {"id": "d"}, "columns": {"x": column}})
    table = Table.from_pandas(pd.DataFrame({"x": range(100)}), schema)
    results = run(SinglingOut(n_queries=20, n_columns=(1, 3)), Tables(table, table, table))
    assert done(results["singling_out_univariate"]).member.value == 1
    assert isinstance(results["singling_out_3"], Failure)


def test_queries_that_isolate_the_same_person_count_once(make_tables: MakeTables) -> None:
    for result in run(SinglingOut(n_queries=400), make_tables(60, 60, 400)).values():
        found = done(result)
        assert found.control is not None
        assert isinstance(found.excess, Risk)
        plain = excess(found.member, found.control)
        effect = found.details["queries_that_count_as_one"]
        assert effect >= 1
        assert found.excess.high - found.excess.value == pytest.approx(
            math.sqrt(float(effect)) * (plain.high - plain.value)
        )
    assert effect > 1


def test_nobody_can_be_singled_out_where_all_are_alike() -> None:
    column = {"kind": "boolean"}
    schema = Schema.parse({"dataset": {"id": "d"}, "columns": {"x": column, "y": column}})
    table = Table.from_pandas(pd.DataFrame({"x": [True, False] * 50, "y": [True] * 100}), schema)
    synthetic = Table.from_pandas(pd.DataFrame({"x": [True] * 9, "y": [True] * 9}), schema)
    results = run(SinglingOut(n_columns=(1, 2)), Tables(table, table, synthetic))
    # The one distinct synthetic record is singled out by anything; it fits 50 people.
    for result in results.values():
        assert isinstance(result, Failure) or done(result).member.hits == 0


def test_each_pair_of_declared_sources_is_an_attack(make_tables: MakeTables) -> None:
    declared = (
        Sources("registry and town hall", ("age", "cost"), ("town",)),
        Sources("shop", ("age",), ("shoe_size",)),
    )
    found = run(Linkability(n_targets=100, sources=declared), make_tables(200, 100, 200))
    result, missing = found["linkability_1"], found["linkability_2"]
    assert "one with age, cost and one with town" in done(result).threat_model.knowledge
    assert done(result).title == "Linkability: registry and town hall"
    assert isinstance(missing, Failure)
    assert "declared sources" in missing.reason


def test_columns_are_dealt_by_how_much_they_tell() -> None:
    table = PlainTable(
        {},
        {n: np.arange(12) % k for n, k in zip("abcde", (2, 12, 6, 4, 3), strict=True)},
        np.arange(12),
    )
    assert dealt("abcde", table) == (("b", "e", "a"), ("c", "d"))
    assert dealt("a", table) == (("a",), ())


def schema_with(roles: dict[str, str]) -> Schema:
    column = {"kind": "integer", "lower": 0, "upper": 99, "missing": True}
    columns = {name: column | {"role": role} for name, role in roles.items()}
    return Schema.parse({"dataset": {"id": "d"}, "columns": columns})


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns)


def test_what_roles_are_missing_is_said() -> None:
    values = frame(x=[1, 2, 3] * 20, y=[1, 2, 3] * 20)
    for roles, reason in (
        ({"x": "ordinary", "y": "ordinary"}, "sensitive"),
        ({"x": "ordinary", "y": "sensitive"}, "quasi"),
    ):
        table = Table.from_pandas(values, schema_with(roles))
        tables = Tables(table, table, table)
        inferred = run(Inference(), tables)["inference"]
        linked = run(Linkability(), tables)["linkability"]
        assert isinstance(inferred, Failure)
        assert reason in inferred.reason
        assert isinstance(linked, Failure)
        assert "quasi-identifiers" in linked.reason


def test_a_constant_secret_is_nothing_to_infer() -> None:
    schema = schema_with({"x": "quasi_identifier", "y": "sensitive"})
    table = Table.from_pandas(frame(x=list(range(60)), y=[7] * 60), schema)
    result = run(Inference(), Tables(table, table, table))["inference_y"]
    assert isinstance(result, Failure)
    assert "constant" in result.reason


def test_missing_secrets_are_not_attacked() -> None:
    schema = schema_with({"x": "quasi_identifier", "y": "sensitive"})
    values = pd.array([None, 7, 8] * 40, dtype="Int64")
    table = Table.from_pandas(frame(x=list(range(100)) + [0] * 20, y=values), schema)
    nothing = table.take(np.arange(0, 120, 3))
    result = done(run(Inference(), Tables(table, nothing, table))["inference_y"])
    assert result.member.total == 80
    assert result.control is None
    assert isinstance(result.excess, Inconclusive)


def test_large_tables_are_thinned_and_it_is_said(make_tables: MakeTables) -> None:
    tables = make_tables(300, 100, 900)
    for attack in (
        SinglingOut(n_queries=20, n_columns=(3,), max_synthetic_rows=200),
        Linkability(n_targets=20, max_synthetic_rows=200),
        Inference(n_targets=20, max_synthetic_rows=200),
    ):
        for result in run(attack, tables).values():
            assert done(result).details["synthetic_rows_used"] == 200


def test_one_person_is_attacked_once() -> None:
    schema = Schema.parse(
        {
            "dataset": {"id": "d"},
            "privacy": {"unit": "person", "max_rows_per_unit": 5},
            "columns": {
                "person": {"kind": "id"},
                "x": {"kind": "integer", "lower": 0, "upper": 999, "role": "quasi_identifier"},
                "y": {"kind": "integer", "lower": 0, "upper": 9, "role": "sensitive"},
            },
        }
    )
    rng = np.random.default_rng(0)

    def table(prefix: str) -> Table:
        people = [f"{prefix}{number // 4}" for number in range(400)]
        values = frame(person=people, x=rng.integers(0, 999, 400), y=rng.integers(0, 9, 400))
        return Table.from_pandas(values, schema)

    tables = Tables(table("a"), table("b"), table("c"))
    inferred = done(run(Inference(), tables)["inference_y"])
    assert inferred.member.total == 100
    singled = done(run(SinglingOut(n_columns=(1,)), tables)["singling_out_univariate"])
    assert singled.details["persons_a_side"] == 100
    assert singled.persons <= 100
