import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from privsynth.errors import DataError, SchemaError, UsageError
from privsynth.schema import Schema
from privsynth.table import Table, Tables, rng

SECRET = "Zaphod7391"

COLUMNS = {
    "who": {"kind": "id"},
    "age": {"kind": "integer", "lower": 0, "upper": 120, "missing": True},
    "cost": {"kind": "numeric", "lower": 0, "upper": 1e6, "missing": True},
    "sex": {"kind": "categorical", "categories": ["f", "m"], "missing": True},
    "day": {"kind": "date", "lower": dt.date(1960, 1, 1), "upper": dt.date(2030, 1, 1),
            "missing": True},
    "seen": {"kind": "datetime", "lower": dt.datetime(1960, 1, 1),
             "upper": dt.datetime(2030, 1, 1)},
    "well": {"kind": "boolean"},
}  # fmt: skip
FRAME = pd.DataFrame(
    {
        "who": ["b", "a", "b", "c"],
        "age": pd.array([1, None, 3, 4], dtype="Int64"),
        "cost": [0.5, np.nan, 2.5, 3.0],
        "sex": ["f", None, "m", "f"],
        "day": [dt.date(1970, 1, 2), None, dt.date(1969, 12, 31), dt.date(2024, 1, 1)],
        "seen": pd.to_datetime(["1970-01-01 00:00:01"] * 4),
        "well": [True, False, True, True],
    }
)


def table_of(frame=FRAME, columns=COLUMNS, **privacy):
    schema = Schema.parse({"dataset": {"id": "d"}, "columns": columns, "privacy": privacy})
    return Table.from_pandas(frame, schema)


def persons(n, rows_each, seed=0):
    """A table of n persons, each with as many rows, in mixed order."""
    who = np.random.default_rng(seed).permutation(np.repeat(np.arange(n), rows_each))
    frame = pd.DataFrame({"who": who, "well": True, "row": np.arange(n * rows_each)})
    columns = {"who": {"kind": "id"}, "well": {"kind": "boolean"}, "row": {"kind": "id"}}
    return table_of(frame, columns, unit="who", max_rows_per_unit=2)


def test_numbers_are_integers_doubles_days_and_microseconds():
    table = table_of()
    assert table.numbers("age").tolist() == [1, 0, 3, 4]
    assert table.numbers("age").dtype == np.int64
    np.testing.assert_array_equal(table.numbers("cost"), [0.5, np.nan, 2.5, 3.0])
    assert table.numbers("day").tolist()[:3] == [1, 0, -1]
    assert table.numbers("seen").tolist() == [1_000_000] * 4


def test_missing_entries_are_known():
    table = table_of()
    for name in ("age", "cost", "sex", "day"):
        assert table.missing(name).tolist() == [False, True, False, False]
    assert not table.missing("well").any()


def test_labels_are_text_or_none():
    assert table_of().labels("sex").tolist() == ["f", None, "m", "f"]


def test_a_row_is_a_unit_unless_a_column_says_otherwise():
    assert table_of().units().tolist() == [0, 1, 2, 3]
    table = table_of(unit="who")
    assert table.units().tolist() == [0, 1, 0, 2]
    assert (table.n_rows, table.n_units) == (4, 3)


def test_rows_are_taken_by_position_or_by_mask():
    table = table_of()
    assert table.take(np.array([2, 0])).numbers("age").tolist() == [3, 1]
    assert table.take(np.array([False, False, True, True])).numbers("age").tolist() == [3, 4]


def test_a_table_may_be_emptied():
    empty = table_of(unit="who").take(np.array([], dtype=np.int64))
    assert (len(empty), empty.n_units) == (0, 0)
    assert empty.frame().shape == (0, 7)
    assert empty.split(0.5)[1].n_rows == 0


def test_a_table_without_rows_is_refused():
    with pytest.raises(DataError, match="the table has no rows"):
        table_of(FRAME.iloc[:0])


@pytest.mark.parametrize("control", [0.0, 0.1, 0.5])
def test_a_split_keeps_every_row_once(control):
    table = persons(200, 1)
    train, kept = table.split(control, rng(0))
    assert kept.n_rows == round(control * 200)
    together = np.r_[train.labels("row"), kept.labels("row")]
    assert sorted(together) == sorted(table.labels("row"))


def test_a_split_is_by_person():
    train, control = persons(50, 4).split(0.3, rng(1))
    assert (train.n_units, control.n_units) == (35, 15)
    assert not set(train.labels("who")) & set(control.labels("who"))


def test_a_split_is_random_and_repeatable():
    table = persons(100, 1)
    first, again, other = (table.split(0.5, rng(seed))[1].labels("who") for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert set(first) != set(other)
    assert set(table.split(0.5)[1].labels("who")) != set(table.split(0.5)[1].labels("who"))


@pytest.mark.parametrize("control", [-0.1, 1.0, float("nan")])
def test_an_impossible_split_is_refused(control):
    with pytest.raises(UsageError, match="at least 0 and less than 1"):
        table_of().split(control)


def test_rows_above_the_bound_are_dropped():
    table = persons(40, 5)
    bounded = table.bounded(rng(0))
    _, counts = np.unique(bounded.labels("who"), return_counts=True)
    assert counts.tolist() == [2] * 40
    rows = bounded.labels("row").astype(int)
    assert (np.diff(rows) > 0).all()
    assert set(rows) != set(table.bounded(rng(1)).labels("row").astype(int))


def test_every_row_of_a_person_is_as_likely_to_stay():
    table = persons(3_000, 3)
    who = table.labels("who")
    kept = set(table.bounded(rng(5)).labels("row"))
    place = pd.Series(who).groupby(who).cumcount()
    stayed = [row in kept for row in table.labels("row")]
    shares = pd.Series(stayed).groupby(place).mean()
    assert shares.between(2 / 3 - 0.05, 2 / 3 + 0.05).all()


def test_chance_goes_on_alike_whatever_the_number_of_rows_that_were_bounded() -> None:
    chance = [rng(3), rng(3)]
    for n_rows, each in zip((6, 9), chance, strict=True):
        people = [{"who": f"P{i % 3}", "row": i} for i in range(n_rows)]
        schema = Schema.parse(
            {
                "dataset": {"id": "d"},
                "privacy": {"unit": "who", "max_rows_per_unit": 2},
                "columns": {
                    "who": {"kind": "id"},
                    "row": {"kind": "integer", "lower": 0, "upper": 99},
                },
            }
        )
        Table.from_pandas(pd.DataFrame(people), schema).bounded(each)
    assert chance[0].random() == chance[1].random()


def test_persons_below_the_bound_keep_their_rows():
    table = persons(40, 2)
    assert table.bounded(rng(0)).data.equals(table.data)
    assert table_of().bounded(rng(0)).n_rows == 4


def test_records_come_out_in_the_types_in_which_they_came():
    moments_in_microseconds = FRAME.astype({"seen": "datetime64[us]"})
    pd.testing.assert_frame_equal(table_of().to_pandas(), moments_in_microseconds)


def test_narrow_types_are_kept_where_nothing_can_be_missing():
    frame = FRAME.assign(
        age=pd.array([1, None, 3, 4], dtype="Int8"), well=FRAME["well"].astype("uint8")
    )
    out = table_of(frame).to_pandas()
    assert out["age"].dtype == "Int64"
    assert out["well"].dtype == "uint8"


def test_the_analysis_frame_has_the_same_types_however_the_records_came():
    text = pa.table({name: pa.array(FRAME[name].astype("string")) for name in FRAME})
    expected = {
        "who": "object", "age": "Int64", "cost": "float64", "sex": "object",
        "day": "datetime64[ms]", "seen": "datetime64[us]", "well": "boolean",
    }  # fmt: skip
    for table in (table_of(), Table.from_arrow(text, table_of().schema)):
        assert {name: str(kind) for name, kind in table.frame().dtypes.items()} == expected
    pd.testing.assert_frame_equal(
        table_of().frame(), Table.from_arrow(text, table_of().schema).frame()
    )


@pytest.mark.parametrize(
    "column",
    [[1, SECRET], [{SECRET: 1}, 2], [1 + 2j, 3], [2**70, 1], [object(), 1]],
)
def test_a_frame_that_arrow_cannot_read_is_refused_in_one_line(column):
    with pytest.raises(DataError) as caught:
        table_of(pd.DataFrame({"who": column}), {"who": {"kind": "id"}})
    assert str(caught.value) == (
        "column 'who' of the data frame has mixed types, or a type that Arrow does not know"
    )
    assert caught.value.__suppress_context__


def test_a_column_that_the_schema_does_not_name_is_told_by_its_place():
    with pytest.raises(DataError) as caught:
        table_of(pd.DataFrame({"who": [1, 2], SECRET: [object(), 1]}), {"who": {"kind": "id"}})
    assert str(caught.value).startswith("column 2 of the data frame has mixed types")


@pytest.mark.parametrize(
    "keys", [np.array([2**63 + 7, 1], np.uint64), [Decimal(2**80), Decimal(1)]]
)
def test_keys_that_do_not_fit_the_type_in_which_they_go_out_are_refused_unseen(keys):
    table = table_of(pd.DataFrame({"who": keys}), {"who": {"kind": "id"}})
    with pytest.raises(DataError) as caught:
        table.to_pandas()
    assert str(caught.value) == (
        "column 'who': its values do not fit the type in which it goes out"
    )
    assert caught.value.__context__ is None


def test_a_frame_with_duplicate_names_is_refused():
    frame = pd.DataFrame([[1, 2]], columns=["who", "who"])
    with pytest.raises(DataError, match="duplicate column names"):
        table_of(frame, {"who": {"kind": "id"}})


def test_no_repr_shows_a_record():
    frame = pd.DataFrame({"who": [SECRET] * 1204})
    table = table_of(frame, {"who": {"kind": "id"}})
    assert repr(table) == "Table(1 204 rows × 1 column)"
    assert str(table) == repr(table)
    assert SECRET not in repr(Tables(table, table, table))


def test_where_the_row_count_is_private_one_more_unit_never_pushes_another_out_of_train():
    def trained_on(n):
        frame = pd.DataFrame({"who": np.arange(n).astype(str), "well": True})
        columns = {"who": {"kind": "id"}, "well": {"kind": "boolean"}}
        train, _ = table_of(frame, columns, row_count="private").split(0.1, rng(5))
        return set(train.labels("who"))

    for n in range(40, 60):
        assert trained_on(n) <= trained_on(n + 1)


def test_text_that_cannot_be_written_is_refused_without_it():
    frame = pd.DataFrame({"sex": pd.Series([f"{SECRET}\ud800", "f"], dtype=object)})
    with pytest.raises(DataError) as caught:
        table_of(frame, {"sex": COLUMNS["sex"]})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("empty", [None, np.nan])
def test_a_column_without_a_value_is_left_out_only_where_that_is_asked_for(empty):
    frame = FRAME.assign(cost=empty)
    schema = table_of().schema
    with pytest.raises(SchemaError, match="column 'cost': every value is missing; leave it out"):
        Table.from_pandas(frame, schema)
    table = Table.from_pandas(frame, schema, leave_out_empty=True)
    assert table.left_out == {"cost": "every value is missing"}
    assert table.columns == tuple(name for name in COLUMNS if name != "cost")
    assert table.schema == schema
    assert Table.from_pandas(FRAME, schema, leave_out_empty=True).left_out == {}


def test_what_breaks_the_schema_is_refused_even_where_empty_columns_are_left_out():
    frame = FRAME.assign(cost=np.nan, age=471)
    with pytest.raises(SchemaError, match="column 'age': 4 values lie outside its domain"):
        Table.from_pandas(frame, table_of().schema, leave_out_empty=True)
