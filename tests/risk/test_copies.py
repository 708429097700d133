from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from privsynth.errors import Inconclusive
from privsynth.risk.base import AttackResult, Failure, Result, Risk, Verdict
from privsynth.risk.copies import Copies, unique_to_one_person
from privsynth.schema import Schema
from privsynth.table import Table, Tables

MakeTables = Callable[..., Tables]


def run(tables: Tables) -> tuple[AttackResult, AttackResult]:
    exact, binned = Copies().run(tables, np.random.default_rng(0))
    assert isinstance(exact, AttackResult)
    assert isinstance(binned, AttackResult)
    return exact, binned


@pytest.mark.parametrize("share", [0.1, 0.02])
def test_a_generator_that_copies_train_rows_is_caught(
    make_tables: MakeTables, share: float
) -> None:
    exact, _ = run(make_tables(2000, 500, 2000, copied=share))
    assert exact.member.hits == exact.persons == round(2000 * share)
    assert exact.p_value is not None
    assert exact.p_value < 0.01
    assert exact.verdict(0.5) is Verdict.NOT_SUPPORTED


def test_a_generator_that_rounds_what_it_copies_is_caught_by_the_bins(
    make_tables: MakeTables, clinic_schema: Schema
) -> None:
    tables = make_tables(2000, 500, 2000, copied=0.2)
    frame = tables.synthetic.frame()
    jitter = np.random.default_rng(0).normal(0, 0.01, len(frame))
    frame["balance"] = frame["balance"] + jitter
    jittered = Tables(tables.train, tables.control, Table.from_pandas(frame, clinic_schema))
    exact, binned = run(jittered)
    assert exact.member.hits == 0
    assert binned.member.hits > 300
    assert binned.verdict(0.5) is Verdict.NOT_SUPPORTED


def test_sampling_the_control_is_not_copying(make_tables: MakeTables) -> None:
    exact, binned = run(make_tables(1000, 1000, 1000, copied=0.5, copied_from="control"))
    assert exact.control is not None
    assert exact.control.hits == 500
    for result in (exact, binned):
        assert result.member.hits == 0
        assert result.verdict(0.1) is Verdict.SUPPORTED


def test_nothing_planted_raises_no_alarm(make_tables: MakeTables) -> None:
    alarms = 0
    for seed in range(20):
        exact, binned = run(make_tables(500, 500, 500, seed=seed))
        alarms += Verdict.NOT_SUPPORTED in (exact.verdict(0.1), binned.verdict(0.1))
    assert alarms <= 1


def coarse(values: list[int]) -> Table:
    column = {"kind": "integer", "lower": 0, "upper": 1000}
    schema = Schema.parse({"dataset": {"id": "d"}, "columns": {"x": column}})
    return Table.from_pandas(pd.DataFrame({"x": values}), schema)


def test_records_that_several_people_have_do_not_count() -> None:
    train, control = coarse([1, 1, 2, 3]), coarse([3, 4])
    exact, *_ = Copies().run(Tables(train, control, coarse([1, 2, 3])), np.random.default_rng(0))
    assert isinstance(exact, AttackResult)
    assert (exact.member.hits, exact.member.total) == (1, 1)  # only 2 is one person's alone
    assert (exact.n_planned, exact.n_done) == (4, 1)
    assert exact.details["synthetic_rows_equal_to_train"] == 3
    assert isinstance(exact.excess, Inconclusive)


def test_a_table_without_any_record_of_its_own_is_a_fact() -> None:
    train = coarse([1, 1])
    results = Copies().run(Tables(train, train, train), np.random.default_rng(0))
    assert [type(result) for result in results] == [Failure, Failure]


def test_persons_count_once() -> None:
    columns = {
        "person": {"kind": "id"},
        "x": {"kind": "integer", "lower": 0, "upper": 1000},
    }
    schema = Schema.parse(
        {
            "dataset": {"id": "d"},
            "privacy": {"unit": "person", "max_rows_per_unit": 9},
            "columns": columns,
        }
    )

    def table(people: list[str], values: list[int]) -> Table:
        return Table.from_pandas(pd.DataFrame({"person": people, "x": values}), schema)

    train = table(["a", "a", "a", "b", "c"], [1, 2, 2, 3, 4])
    tables = Tables(train, table(["z"], [9]), table(["s"] * 3, [1, 2, 3]))
    exact, *_ = Copies().run(tables, np.random.default_rng(0))
    assert isinstance(exact, AttackResult)
    assert (exact.member.hits, exact.member.total) == (2, 3)  # a and b, of three persons


def test_uniqueness_agrees_with_counting_by_hand() -> None:
    rng = np.random.default_rng(0)
    hashes, persons = rng.integers(0, 60, 200), rng.integers(0, 80, 200)
    expected = [len(set(persons[hashes == value])) == 1 for value in hashes]
    assert unique_to_one_person(hashes, persons).tolist() == expected


def test_without_control_the_rate_stands_and_the_excess_does_not(
    make_tables: MakeTables,
) -> None:
    for result in run(make_tables(500, 0, 500, copied=0.1)):
        assert result.control is None
        assert isinstance(result.excess, Inconclusive)
        assert result.verdict(0.1) is Verdict.INCONCLUSIVE


def test_the_order_of_rows_has_no_effect(make_tables: MakeTables) -> None:
    tables = make_tables(400, 200, 300, copied=0.1)
    shuffled = Tables(
        *(shuffle(table) for table in (tables.train, tables.control, tables.synthetic))
    )
    assert run(tables) == run(shuffled)


def shuffle(table: Table) -> Table:
    return table.take(np.random.default_rng(9).permutation(table.n_rows))


def test_wide_tables_are_quick() -> None:
    rng = np.random.default_rng(0)
    columns = {f"x{i}": {"kind": "integer", "lower": 0, "upper": 9} for i in range(50)}
    schema = Schema.parse({"dataset": {"id": "d"}, "columns": columns})

    def table() -> Table:
        frame = pd.DataFrame(rng.integers(0, 10, (20_000, 50)), columns=list(columns))
        return Table.from_pandas(frame, schema)

    results: tuple[Result, ...] = run(Tables(table(), table(), table()))
    assert all(isinstance(result, AttackResult) and result.seconds < 5 for result in results)
    assert all(isinstance(r, AttackResult) and isinstance(r.excess, Risk) for r in results)
