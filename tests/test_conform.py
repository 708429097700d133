import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from privsynth.conform import conform
from privsynth.errors import DataError, SchemaError
from privsynth.schema import Schema

SECRET = "Zaphod7391"

AGE = {"kind": "integer", "lower": 0, "upper": 120}
COST = {"kind": "numeric", "lower": 0, "upper": 100}
SEX = {"kind": "categorical", "categories": ["f", "m"]}
WELL = {"kind": "boolean"}
DAY = {"kind": "date", "lower": dt.date(2020, 1, 1), "upper": dt.date(2030, 1, 1)}
SEEN = {"kind": "datetime", "lower": dt.datetime(2020, 1, 1), "upper": dt.datetime(2030, 1, 1)}


def schema_of(column):
    return Schema.parse({"dataset": {"id": "d"}, "columns": {"x": column}})


def read(values, column, kind=None):
    """The canonical values of one column, and the type in which it goes out."""
    data, storage, _ = conform(pa.table({"x": pa.array(values, kind)}), schema_of(column))
    return data.column("x").to_pylist(), storage["x"]


def message(values, column, kind=None):
    with pytest.raises(SchemaError) as caught:
        read(values, column, kind)
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    text = str(caught.value)
    assert "\n" not in text
    assert SECRET not in text
    assert "7391" not in text
    return text


@pytest.mark.parametrize(
    ("values", "column", "expected"),
    [
        (["40", " 7 ", "+1", "12.0"], AGE, [40, 7, 1, 12]),
        ([40.0, 7.0], AGE, [40, 7]),
        (["1.5", ".5", "1e1", "2."], COST, [1.5, 0.5, 10.0, 2.0]),
        ([Decimal("1.50")], COST, [1.5]),
        ([1, 2], COST, [1.0, 2.0]),
        (["f", "m"], SEX, ["f", "m"]),
        ([True, False], {"kind": "categorical", "categories": ["true", "false"]},
         ["true", "false"]),
        ([1, 2], {"kind": "categorical", "categories": ["1", "2"]}, ["1", "2"]),
        ([1.0, 2.0], {"kind": "ordinal", "categories": ["1", "2"]}, ["1", "2"]),
        (["None", "NA"], {"kind": "categorical", "categories": ["NA", "None"]}, ["None", "NA"]),
        (["yes", "No", "T", "0", "false"], WELL, [True, False, True, False, False]),
        ([1, 0], WELL, [True, False]),
        ([1.0, 0.0], WELL, [True, False]),
        (["2024-02-29"], DAY, [dt.date(2024, 2, 29)]),
        ([dt.datetime(2024, 2, 29, 23, 59)], DAY, [dt.date(2024, 2, 29)]),
        (
            ["2024-02-29", "2024-02-29T10:00", "2024-02-29 10:00:01.5"],
            SEEN,
            [dt.datetime(2024, 2, 29), dt.datetime(2024, 2, 29, 10),
             dt.datetime(2024, 2, 29, 10, 0, 1, 500_000)],
        ),
        ([dt.date(2024, 2, 29)], SEEN, [dt.datetime(2024, 2, 29)]),
        ([5, 6], {"kind": "id"}, ["5", "6"]),
        ([10**17 + 1], {"kind": "integer", "lower": 0, "upper": 2**60}, [10**17 + 1]),
        (["100000000000000001"], {"kind": "integer", "lower": 0, "upper": 2**60}, [10**17 + 1]),
        (
            ["100000000000000001", " +100000000000000001.00 ", "12.0", "1e3"],
            {"kind": "integer", "lower": 0, "upper": 2**60},
            [10**17 + 1, 10**17 + 1, 12, 1000],
        ),
    ],
)  # fmt: skip
def test_values_are_read_in_their_canonical_type(values, column, expected):
    assert read(values, column)[0] == expected


@pytest.mark.parametrize(
    ("values", "column"),
    [
        (["1", "", " ", None], AGE),
        ([1.0, float("nan"), None, None], AGE),
        ([1.0, float("nan"), None, None], COST),
        (["f", "", "  ", None], SEX),
        (["t", "", None, None], WELL),
        (["2024-01-01", "", None, " "], DAY),
    ],
)
def test_blank_text_and_nan_are_missing(values, column):
    first, *rest = read(values, column | {"missing": True})[0]
    assert first is not None
    assert rest == [None, None, None]


def test_blank_text_can_be_a_category():
    column = {"kind": "categorical", "categories": ["", "a"]}
    assert read(["", "a"], column)[0] == ["", "a"]


@pytest.mark.parametrize(
    ("values", "column", "expected"),
    [
        ([SECRET, "1"], AGE, "column 'x': 1 value is not a whole number"),
        (["7391.5", "7391.7"], AGE, "column 'x': 2 values are not whole numbers"),
        ([7391.5], AGE, "column 'x': 1 value is not a whole number"),
        ([str(2**62), "5"], AGE,
         "column 'x': 1 value is too large: whole numbers of at most 18 digits are read"),
        (["1e30", "-1e30"], AGE,
         "column 'x': 2 values are too large: whole numbers of at most 18 digits are read"),
        (["100000000000000001", "1.5"], AGE, "column 'x': 1 value is not a whole number"),
        (["7391", "5"], AGE, "column 'x': 1 value lies outside its domain [0, 120]"),
        ([7391, -7391], AGE, "column 'x': 2 values lie outside its domain [0, 120]"),
        ([SECRET], COST, "column 'x': 1 value is not a number"),
        (["inf"], COST, "column 'x': 1 value is not a number"),
        ([float("inf"), 1.0], COST, "column 'x': 1 value is infinite"),
        ([float("-inf"), float("inf")], AGE, "column 'x': 2 values are infinite"),
        ([SECRET, "f"], SEX,
         "column 'x': 1 value is not in its list of categories; "
         "add it, or set other = true"),
        ([SECRET], WELL, "column 'x': 1 value is neither true nor false"),
        ([7391], WELL, "column 'x': 1 value is neither true nor false"),
        ([SECRET, "2024-01-01"], DAY, "column 'x': 1 value is not a date (YYYY-MM-DD)"),
        (["2024-02-30", "31/12/2024"], DAY, "column 'x': 1 value is not a date (YYYY-MM-DD)"),
        (["2024-02-30", "2024-01-01"], DAY, "column 'x': 1 value is not a date (YYYY-MM-DD)"),
        (["7391-01-01"], DAY,
         "column 'x': 1 value lies outside its domain [2020-01-01, 2030-01-01]"),
        ([SECRET], SEEN, "column 'x': 1 value is not a date-time (ISO 8601)"),
        ([1, None], AGE,
         "column 'x': 1 value is missing, and the schema does not say missing = true"),
        ([None, None], AGE | {"missing": True},
         "column 'x': every value is missing; leave it out of the file and the schema"),
        ([float("nan")] * 3, COST | {"missing": True},
         "column 'x': every value is missing; leave it out of the file and the schema"),
        ([True], AGE, "column 'x': holds true and false where numbers are declared"),
        ([dt.date(2024, 1, 1)], COST, "column 'x': holds date32[day] where numbers are declared"),
        ([7391], DAY, "column 'x': holds int64 where dates are declared"),
        ([dt.date(2024, 1, 1)], WELL, "column 'x': holds date32[day] where a boolean is declared"),
        ([[SECRET]], COST, "column 'x': holds list where numbers are declared"),
        ([[SECRET]], SEX, "column 'x': list cannot be read as categorical"),
        ([1e300], {"kind": "integer", "lower": 0, "upper": 9},
         "column 'x': values do not fit in 64 bits"),
    ],
)  # fmt: skip
def test_a_value_that_breaks_its_rule_is_refused_and_counted(values, column, expected):
    assert message(values, column) == expected


@pytest.mark.parametrize(
    ("values", "column", "expected"),
    [
        (np.array([2**53 + 2, 5]), {"kind": "numeric", "lower": 0, "upper": 1e16},
         [2.0**53 + 2, 5.0]),
        (np.array([2**63 + 1], np.uint64), {"kind": "numeric", "lower": 0, "upper": 1e20},
         [2.0**63]),
        (np.array([40, 7], np.float16), AGE, [40, 7]),
        (np.array([1.5, np.nan], np.float16), COST | {"missing": True}, [1.5, None]),
        (np.array([1, 0], np.float16), WELL, [True, False]),
    ],
)  # fmt: skip
def test_numbers_wider_or_narrower_than_doubles_are_read(values, column, expected):
    assert read(values, column)[0] == expected


@pytest.mark.parametrize("column", [AGE, COST, SEX, WELL, DAY, SEEN])
@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([7391], pa.duration("s")),
        ([7391], pa.time32("s")),
        ([b"\xff7391"], pa.binary()),
        ([[7391]], pa.list_(pa.int64())),
        ([2**62], pa.timestamp("s")),
    ],
)
def test_a_type_that_cannot_be_read_is_refused_without_its_values(values, kind, column):
    assert message(values, column, kind).startswith("column 'x': ")


def test_too_many_categories_are_refused_before_any_record_is_read():
    with pytest.raises(SchemaError, match="10000 categories, at most 1000 can be learned"):
        schema_of({"kind": "categorical", "categories": [str(i) for i in range(10_000)]})


def test_ten_thousand_unknown_labels_are_one_line():
    labels = [f"{SECRET}{i}" for i in range(10_000)]
    assert message(labels, SEX).startswith("column 'x': 10000 values are not in its list")


def test_labels_outside_the_list_go_to_the_other_bucket():
    values, storage = read([SECRET, "f"], SEX | {"other": True})
    assert values == ["(other)", "f"]
    assert storage == pa.string()


def test_labels_to_be_learned_privately_are_let_through():
    assert read([SECRET, "f"], {"kind": "categorical", "source": "private"})[0] == [SECRET, "f"]


@pytest.mark.parametrize(
    ("came", "column", "goes"),
    [
        (pa.int64(), AGE, pa.int64()),
        (pa.int8(), AGE, pa.int8()),
        (pa.int8(), AGE | {"upper": 200}, pa.int64()),
        (pa.uint8(), AGE | {"upper": 200}, pa.uint8()),
        (pa.float64(), AGE, pa.int64()),
        (pa.float32(), AGE, pa.int64()),
        (pa.uint64(), AGE, pa.int64()),
        (pa.int32(), {"kind": "integer", "source": "private"}, pa.int64()),
        (pa.string(), AGE, pa.int64()),
        (pa.int64(), COST, pa.float64()),
        (pa.int64(), COST | {"granularity": 1}, pa.int64()),
        (pa.float64(), COST | {"granularity": 1}, pa.int64()),
        (pa.float64(), {"kind": "numeric", "source": "private", "granularity": 1}, pa.float64()),
        (pa.float32(), COST, pa.float32()),
        (pa.float32(), COST | {"missing": True}, pa.float64()),
        (pa.decimal128(10, 2), COST, pa.float64()),
        (pa.decimal128(10, 0), AGE, pa.int64()),
        (pa.string(), WELL, pa.bool_()),
        (pa.int64(), WELL, pa.int64()),
        (pa.bool_(), WELL, pa.bool_()),
        (pa.int64(), {"kind": "categorical", "categories": ["1", "2"]}, pa.int64()),
        (pa.int64(), {"kind": "categorical", "categories": ["1", "x"]}, pa.string()),
        (pa.int64(), {"kind": "categorical", "categories": ["1"], "other": True}, pa.string()),
        (pa.int64(), {"kind": "categorical", "source": "private"}, pa.string()),
        (pa.int8(), {"kind": "categorical", "categories": ["1", "2"]}, pa.int8()),
        (pa.int64(), {"kind": "categorical", "categories": ["1", "01"]}, pa.string()),
        (pa.large_string(), {"kind": "categorical", "categories": ["1"]}, pa.string()),
        (pa.int64(), {"kind": "text", "action": "drop"}, pa.string()),
        (pa.int64(), {"kind": "id"}, pa.int64()),
    ],
)
def test_a_column_goes_out_as_it_came_where_its_whole_domain_can(came, column, goes):
    _, storage = read(pa.array([1, 1], pa.int8()).cast(came), column)
    assert storage == goes


@pytest.mark.parametrize(
    ("came", "column", "goes"),
    [
        (pa.timestamp("ns"), SEEN, pa.timestamp("us")),
        (pa.timestamp("ns"), SEEN | {"upper": dt.datetime(2400, 1, 1)}, pa.timestamp("us")),
        (pa.timestamp("s"), SEEN, pa.timestamp("us")),
        (pa.timestamp("us", "UTC"), SEEN, pa.timestamp("us")),
        (pa.date32(), SEEN, pa.timestamp("us")),
        (pa.date32(), DAY, pa.date32()),
        (pa.date64(), DAY, pa.date64()),
        (pa.timestamp("ns"), DAY, pa.timestamp("us")),
    ],
)
def test_a_moment_goes_out_as_it_came_where_its_whole_domain_can(came, column, goes):
    _, storage = read(pa.array([dt.date(2024, 1, 1)]).cast(came), column)
    assert storage == goes


def test_dictionaries_are_read_as_their_values():
    values = pa.array(["f", "m", "f"]).dictionary_encode()
    assert read(values, SEX) == (["f", "m", "f"], pa.string())


@pytest.mark.parametrize(
    ("names", "error", "expected"),
    [
        (["a"], SchemaError, "column 'b': in the schema, but not in the table"),
        ([], SchemaError, "column 'a': in the schema, but not in the table (and 1 more)"),
        (["a", "b", "c", "d"], SchemaError,
         "column 'c': in the table, but not in the schema (and 1 more); "
         "describe it there or leave it out of the file"),
        (["a", "b", "a"], DataError, "column 'a': the name occurs more than once in the table"),
    ],
)  # fmt: skip
def test_the_columns_must_be_those_of_the_schema(names, error, expected):
    schema = Schema.parse({"dataset": {"id": "d"}, "columns": {"a": WELL, "b": WELL}})
    raw = pa.table([pa.array([True])] * len(names), names=names)
    with pytest.raises(error) as caught:
        conform(raw, schema)
    assert str(caught.value) == expected


def test_columns_come_in_the_order_of_the_schema():
    schema = Schema.parse({"dataset": {"id": "d"}, "columns": {"a": WELL, "b": WELL}})
    data, _, _ = conform(pa.table({"b": [True], "a": [False]}), schema)
    assert data.column_names == ["a", "b"]


def test_the_privacy_unit_cannot_be_missing():
    schema = Schema.parse(
        {
            "dataset": {"id": "d"},
            "privacy": {"unit": "who"},
            "columns": {"who": {"kind": "id"}, "well": WELL},
        }
    )
    with pytest.raises(SchemaError) as caught:
        conform(pa.table({"who": ["a", None], "well": [True, False]}), schema)
    assert str(caught.value) == (
        "column 'who': 1 value is missing, but this column names the privacy unit"
    )


def test_one_record_does_not_change_how_the_others_are_written():
    column = {"kind": "categorical", "source": "private", "missing": True}
    assert read([1e10, None], column)[0] == ["10000000000", None]
    assert read([1e10, None, 1.5], column)[0] == ["10000000000", None, "1.5"]
    assert read([Decimal("1.25"), Decimal("10")], column)[0] == ["1.25", "10"]
    assert read([Decimal("1.25"), Decimal("1.2345")], column)[0] == ["1.25", "1.2345"]
    assert read([Decimal("1.25"), Decimal("0E-9")], column)[0] == ["1.25", "0"]


@pytest.mark.parametrize("column", [AGE, SEX, WELL, DAY])
def test_the_fields_of_a_nested_column_are_not_told(column):
    assert "struct" in message([{SECRET: 1}], column)


@pytest.mark.parametrize("kind", [pa.date32(), pa.date64()])
def test_dates_beyond_all_calendars_are_refused(kind):
    n = 7391 * 10**5 if kind == pa.date32() else 7391 * 10**14
    raw = pa.int32() if kind == pa.date32() else pa.int64()
    assert "further from 1970" in message(pa.array([n], raw).cast(kind), DAY)


def test_labels_in_several_chunks_are_read_whole() -> None:
    """pyarrow makes a damaged array of some: a file of many rows holds several."""
    document = {
        "dataset": {"id": "d"},
        "columns": {"c": {"kind": "categorical", "categories": ["1", "12"], "missing": True}},
    }
    labels = pa.array(["1", "12", ""] * 50_000)
    chunks = pa.chunked_array([labels[:70_000], labels[70_000:131_072], labels[131_072:]])
    found, _, _ = conform(pa.table({"c": chunks}), Schema.parse(document))
    assert found.column("c").to_pylist() == ["1", "12", None] * 50_000
