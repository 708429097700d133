from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa

from privsynth.risk.plain import all_rows_of, one_row_each, plain_tables, row_hashes, some_rows
from privsynth.schema import Schema
from privsynth.table import Table, Tables

PEOPLE = Schema.parse(
    {
        "dataset": {"id": "visits"},
        "privacy": {"unit": "person", "max_rows_per_unit": 3},
        "columns": {
            "person": {"kind": "id"},
            "cost": {"kind": "numeric", "lower": 0, "upper": 100},
        },
    }
)


def people(keys: list[str], costs: list[float]) -> Table:
    return Table.from_pandas(pd.DataFrame({"person": keys, "cost": costs}), PEOPLE)


def test_types_are_plain_and_missing_entries_are_marked(
    make_tables: Callable[..., Tables],
) -> None:
    tables = make_tables(200, 100, 150)
    plain = plain_tables(tables)
    assert plain.train.n_rows == 200
    assert set(plain.train.numbers) == {"age", "admitted", "cost", "visits", "balance"}
    for table, original in ((plain.train, tables.train), (plain.synthetic, tables.synthetic)):
        assert {values.dtype for values in table.numbers.values()} == {np.dtype("float64")}
        assert {values.dtype for values in table.labels.values()} == {np.dtype("int64")}
        for name in table.columns:
            assert table.missing(name).sum() == original.missing(name).sum()
    days = plain.train.numbers["admitted"]
    assert sorted(days) == sorted(tables.train.numbers("admitted"))


def test_labels_have_one_code_in_all_tables(make_tables: Callable[..., Tables]) -> None:
    tables = make_tables(200, 100, 150)
    only_gout = tables.control.take(tables.control.labels("illness") == "gout")
    plain = plain_tables(Tables(tables.train, only_gout, tables.synthetic))
    gout = np.unique(plain.control.labels["illness"])
    assert len(gout) == 1
    n_gout = (tables.train.labels("illness") == "gout").sum()
    assert (plain.train.labels["illness"] == gout[0]).sum() == n_gout


def test_the_order_of_rows_and_keys_has_no_effect(make_tables: Callable[..., Tables]) -> None:
    tables = make_tables(300, 50, 50)
    order = np.random.default_rng(1).permutation(300)
    moved = Tables(tables.train.take(order), tables.control, tables.synthetic)
    one, other = plain_tables(tables).train, plain_tables(moved).train
    for name in one.columns:
        np.testing.assert_array_equal(one.values(name), other.values(name))


def test_unusable_columns_are_named_with_a_reason(make_tables: Callable[..., Tables]) -> None:
    tables = make_tables(100, 50, 60)
    data = tables.synthetic.data.drop_columns(["sex"])
    n_rows = data.num_rows
    data = data.set_column(data.column_names.index("cost"), "cost", pa.nulls(n_rows, pa.float64()))
    data = data.set_column(data.column_names.index("age"), "age", pa.array(["old"] * n_rows))
    plain = plain_tables(Tables(tables.train, tables.control, Table(tables.schema, data)))
    assert plain.unusable == {
        "age": "its types in the tables do not fit together",
        "cost": "every value is missing in the synthetic table",
        "sex": "the synthetic table lacks it",
    }
    assert "sex" not in plain.train.columns
    assert plain.with_role("quasi_identifier") == ("town", "admitted")


def test_persons_are_numbered_by_their_key() -> None:
    table = people(["b", "a", "b", "c"], [1.0, 2.0, 3.0, 4.0])
    plain = plain_tables(Tables(table, table, table)).train
    person_of = dict(zip(plain.numbers["cost"], plain.persons, strict=True))
    assert person_of == {1.0: 1, 2.0: 0, 3.0: 1, 4.0: 2}
    assert plain.n_persons == 3


def test_one_row_of_each_person_is_drawn() -> None:
    table = people(["a"] * 50 + ["b", "c"], list(map(float, range(52))))
    plain = plain_tables(Tables(table, table, table)).train
    seen = set()
    for seed in range(30):
        drawn = one_row_each(plain, 3, np.random.default_rng(seed))
        assert sorted(drawn.persons) == [0, 1, 2]
        seen.update(drawn.numbers["cost"][drawn.persons == 0])
    assert len(seen) > 10
    assert one_row_each(plain, 2, np.random.default_rng(0)).n_rows == 2


def test_all_rows_of_persons_stay_together() -> None:
    table = people(["a"] * 5 + ["b"] * 5 + ["c"] * 5, list(map(float, range(15))))
    plain = plain_tables(Tables(table, table, table)).train
    drawn = all_rows_of(plain, 2, np.random.default_rng(0))
    assert drawn.n_persons == 2
    assert drawn.n_rows == 10
    assert all_rows_of(plain, 9, np.random.default_rng(0)).n_rows == 15


def test_some_rows_are_drawn_at_random() -> None:
    table = people([str(i) for i in range(100)], list(map(float, range(100))))
    plain = plain_tables(Tables(table, table, table)).train
    first, second = (some_rows(plain, 10, np.random.default_rng(seed)) for seed in (0, 1))
    assert first.n_rows == second.n_rows == 10
    assert set(first.numbers["cost"]) != set(second.numbers["cost"])


def test_hashes_tell_rows_apart() -> None:
    rng = np.random.default_rng(0)
    columns = [rng.integers(0, 30, 5000), np.round(rng.normal(size=5000), 1) + 0.0]
    assert len(np.unique(row_hashes(columns))) == len(np.unique(np.column_stack(columns), axis=0))


def test_negative_zero_equals_zero() -> None:
    table = people(["a", "b"], [0.0, -0.0])
    plain = plain_tables(Tables(table, table, table)).train
    assert len(np.unique(row_hashes([plain.numbers["cost"]]))) == 1
