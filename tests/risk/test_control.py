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
        "of 100 records that occur twice, 100 are in the train table and in the control, where "
        "lot would give about 50; a leak of them would show on both sides alike, and so not at "
        "all; give a control of others, whom the maker of the table never had"
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


def test_persons_are_known_again_under_other_keys_whatever_the_order_of_their_rows() -> None:
    costs = list(range(200))
    train = by_person([f"t{i // 2}" for i in range(200)], costs)
    again = by_person([f"c{i // 2}" for i in range(200)][::-1], costs[::-1])
    with pytest.raises(AssessmentError, match="of 100 records that occur twice, 100 are"):
        require_apart(train, again)


def test_one_pair_of_persons_with_many_equal_rows_is_one_pair() -> None:
    train = by_person(["t"] * 9 + [f"t{i}" for i in range(50)], [*range(9), *range(100, 150)])
    control = by_person(["c"] * 9 + [f"c{i}" for i in range(50)], [*range(9), *range(200, 250)])
    require_apart(train, control)
