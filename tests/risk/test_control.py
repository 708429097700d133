"""A control must be of others: twins by chance are let pass, shared records are not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from privsynth.errors import AssessmentError
from privsynth.risk.control import require_apart
from privsynth.schema import Schema
from privsynth.table import Table, Tables

MakeTables = Callable[..., Tables]
SICK = {"kind": "categorical", "categories": ["no", "yes"]}
COST = {"kind": "integer", "lower": 0, "upper": 10**6}


def joined(table: Table, more: Table) -> Table:
    return Table.from_pandas(pd.concat([table.to_pandas(), more.to_pandas()]), table.schema)


def test_a_control_that_holds_half_of_the_copied_records_is_refused(
    make_tables: MakeTables,
) -> None:
    tables = make_tables(200, 100, 100)
    shared = joined(tables.control, tables.train.take(np.arange(100)))
    with pytest.raises(AssessmentError) as caught:
        require_apart(tables.train, shared)
    assert str(caught.value) == (
        "of 200 different records of the control, 100 are in the train table too; a leak of them "
        "would show on both sides alike, and so not at all; give a control of others, whom the "
        "maker of the table never had"
    )


def test_a_control_drawn_by_lot_is_let_pass(make_tables: MakeTables) -> None:
    tables = make_tables(300, 100, 100)
    require_apart(tables.train, tables.control)
    require_apart(tables.train, tables.control.take(np.arange(0)))


@pytest.mark.parametrize("control", [0.1, 0.5])
@pytest.mark.parametrize("n_values", [5, 300, 3000])
def test_people_who_are_alike_by_chance_are_let_pass(n_values: int, control: float) -> None:
    schema = Schema.parse({"dataset": {"id": "d"}, "columns": {"cost": COST, "sick": SICK}})
    for seed in range(40):
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame(
            {"cost": rng.integers(0, n_values, 1000), "sick": rng.choice(["no", "yes"], 1000)}
        )
        require_apart(*Table.from_pandas(frame, schema).split(control, rng))


def frame_of(n_values: int, n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    cost, sick = rng.integers(0, n_values, n), rng.choice(["no", "yes"], n)
    return pd.DataFrame({"cost": cost, "sick": sick})


def of_frame(frame: pd.DataFrame) -> Table:
    schema = Schema.parse({"dataset": {"id": "d"}, "columns": {"cost": COST, "sick": SICK}})
    return Table.from_pandas(frame, schema)


@pytest.mark.parametrize("sides", ["train", "control", "both"])
@pytest.mark.parametrize("n_values", [500, 3000])
def test_tables_that_were_deduplicated_one_by_one_are_let_pass(n_values: int, sides: str) -> None:
    """The pairs within a table are gone then, and those across are not: no sign of anything."""
    for seed in range(5):
        frame = frame_of(n_values, 2000, seed)
        train, control = frame[:1500], frame[1500:]
        require_apart(of_frame(train), of_frame(control))
        train, control = (
            part.drop_duplicates() if sides in (name, "both") else part
            for name, part in (("train", train), ("control", control))
        )
        require_apart(of_frame(train), of_frame(control))


def test_a_control_that_is_a_doubled_train_table_is_refused_with_a_true_count() -> None:
    frame = frame_of(10**6, 200, 0)
    doubled = of_frame(pd.concat([frame, frame]))
    with pytest.raises(AssessmentError) as caught:
        require_apart(doubled, doubled)
    assert str(caught.value).startswith(
        "of 1200 pairs of records that are alike, 800 have one in the train table and one in the "
        "control, where lot would give about 601; a leak"
    )


@pytest.mark.parametrize("n_control", [20, 200])
def test_a_control_of_some_of_a_doubled_train_table_is_refused(n_control: int) -> None:
    frame = frame_of(10**6, 200, 0)
    doubled = of_frame(pd.concat([frame, frame]))
    shared = f"of {n_control} different records of the control, {n_control} are in the train table"
    with pytest.raises(AssessmentError, match=shared):
        require_apart(doubled, of_frame(frame[:n_control]))


def test_a_control_that_is_a_coarse_train_table_is_refused() -> None:
    table = of_frame(frame_of(20, 1000, 0))
    with pytest.raises(AssessmentError, match="pairs of records that are alike"):
        require_apart(table, table)
    distinct = of_frame(frame_of(20, 1000, 0).drop_duplicates())
    with pytest.raises(AssessmentError, match="of 40 different records of the control, 40 are in"):
        require_apart(distinct, distinct)


def by_person(keys: list[str], costs: list[int]) -> Table:
    schema = Schema.parse(
        {
            "dataset": {"id": "d"},
            "privacy": {"unit": "who", "max_rows_per_unit": 9},
            "columns": {"who": {"kind": "id"}, "cost": COST},
        }
    )
    return Table.from_pandas(pd.DataFrame({"who": keys, "cost": costs}), schema)


def test_a_person_of_both_tables_is_refused_by_key_with_a_count_and_no_key() -> None:
    train = by_person(["ann", "ann", "bob", "cy"], [1, 2, 3, 4])
    control = by_person(["ann", "ann", "bob", "di"], [5, 6, 7, 8])
    with pytest.raises(AssessmentError, match="column 'who': the control holds 2 of the persons"):
        require_apart(train, control)
    with pytest.raises(AssessmentError) as caught:
        require_apart(train, control)
    assert "ann" not in str(caught.value)


@pytest.mark.parametrize("key", ["ANN", " ann", "Ann "])
def test_a_key_in_other_letters_or_with_a_space_is_the_same_person(key: str) -> None:
    train = by_person(["ann", "bob"], [1, 2])
    with pytest.raises(AssessmentError, match="the control holds 1 of the persons"):
        require_apart(train, by_person([key, "di"], [5, 6]))


def test_keys_that_case_tells_apart_in_the_train_table_are_other_persons() -> None:
    train = by_person(["ann", "Ann", "bob"], [1, 2, 3])
    require_apart(train, by_person(["ANN", "di"], [5, 6]))
    with pytest.raises(AssessmentError, match="the control holds 2 of the persons"):
        require_apart(train, by_person(["Ann", "BOB", "ANN"], [5, 6, 7]))


def test_persons_are_known_again_under_other_keys_whatever_the_order_of_their_rows() -> None:
    costs = list(range(200))
    train = by_person([f"t{i // 2}" for i in range(200)], costs)
    again = by_person([f"c{i // 2}" for i in range(200)][::-1], costs[::-1])
    with pytest.raises(AssessmentError, match="of 100 different records of the control, 100 are"):
        require_apart(train, again)


def test_one_pair_of_persons_with_many_equal_rows_is_one_pair() -> None:
    train = by_person(["t"] * 9 + [f"t{i}" for i in range(50)], [*range(9), *range(100, 150)])
    control = by_person(["c"] * 9 + [f"c{i}" for i in range(50)], [*range(9), *range(200, 250)])
    require_apart(train, control)
