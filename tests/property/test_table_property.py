import datetime as dt
import string

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privsynth.io import read_table, write_csv, write_parquet
from privsynth.schema import Schema
from privsynth.schema.draft import draft_schema
from privsynth.table import Table

LABELS = ("a", "B c", 'q"uote', "new\nline", "007", "None", "é", "x,y")
COLUMNS = {
    "age": {"kind": "integer", "lower": -5, "upper": 120},
    "visits": {"kind": "integer", "lower": 0, "upper": 9, "missing": True},
    "cost": {"kind": "numeric", "lower": -1e6, "upper": 1e6, "missing": True},
    "code": {"kind": "categorical", "categories": list(LABELS), "missing": True},
    "level": {"kind": "ordinal", "categories": ["1", "2", "3"]},
    "day": {"kind": "date", "lower": dt.date(1900, 1, 1), "upper": dt.date(2100, 1, 1),
            "missing": True},
    "seen": {"kind": "datetime", "lower": dt.datetime(1900, 1, 1),
             "upper": dt.datetime(2100, 1, 1)},
    "well": {"kind": "boolean"},
    "sure": {"kind": "boolean", "missing": True},
    "key": {"kind": "id"},
}  # fmt: skip
SCHEMA = Schema.parse({"dataset": {"id": "d"}, "columns": COLUMNS})
MOMENTS = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1))
ROWS = st.fixed_dictionaries(
    {
        "age": st.integers(-5, 120),
        "visits": st.none() | st.integers(0, 9),
        "cost": st.none() | st.floats(-1e6, 1e6),
        "code": st.none() | st.sampled_from(LABELS),
        "level": st.integers(1, 3),
        "day": st.none() | st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1)),
        "seen": MOMENTS,
        "well": st.booleans(),
        "sure": st.none() | st.booleans(),
        "key": st.text(string.ascii_letters + string.digits, min_size=1),
    }
)
TYPES = {"visits": "Int64", "cost": "float64", "code": "object", "sure": "boolean"}


def some_present(rows):
    """A schema refuses a column in which every value is missing."""
    return all(any(row[name] is not None for row in rows) for name in rows[0])


VALID = st.lists(ROWS, min_size=1, max_size=12).filter(some_present)


@st.composite
def valid_frames(draw):
    return pd.DataFrame(draw(VALID))[list(COLUMNS)].astype(TYPES).astype({"seen": "datetime64[us]"})


@given(valid_frames())
def test_a_valid_frame_comes_out_as_it_came(frame):
    out = Table.from_pandas(frame, SCHEMA).to_pandas()
    pd.testing.assert_frame_equal(out, frame.where(frame.notna(), None).astype(frame.dtypes))


@given(valid_frames())
def test_a_valid_table_survives_its_files(tmp_path_factory, frame):
    table, folder = Table.from_pandas(frame, SCHEMA), tmp_path_factory.mktemp("files")
    write_parquet(table, folder / "t.parquet")
    back = read_table(folder / "t.parquet", SCHEMA)
    assert back.to_arrow().equals(table.to_arrow())
    assert back.to_arrow().schema.types == table.to_arrow().schema.types
    write_csv(table, folder / "t.csv")
    assert read_table(folder / "t.csv", SCHEMA).data.equals(table.data)


@given(valid_frames(), st.floats(0, 0.99), st.integers(0, 5))
def test_a_split_loses_no_record(frame, control, seed):
    table = Table.from_pandas(frame, SCHEMA)
    train, kept = table.split(control, np.random.default_rng(seed))
    columns = ["age", "key", "seen"]
    together = pa.concat_tables([train.data, kept.data]).select(columns).to_pylist()
    key = repr
    assert sorted(together, key=key) == sorted(table.data.select(columns).to_pylist(), key=key)


RAW_VALUES = (
    st.integers(-(2**53), 2**53)
    | st.sampled_from(["", " ", "a", "007", "1.50", "2024-01-01", "true", "No", "(other)", "1e3"])
    | st.text(string.printable, max_size=8)
)


@given(st.lists(st.lists(RAW_VALUES.map(str), min_size=3, max_size=3), min_size=1, max_size=30))
def test_text_keeps_to_the_schema_that_is_drafted_from_it(rows):
    raw = pa.table({name: list(column) for name, column in zip("abc", zip(*rows))})  # noqa: B905
    check_draft(raw)


TYPED = st.one_of(
    *(
        st.lists(st.none() | values, min_size=4, max_size=30).map(
            lambda column, kind=kind: pa.array(column, kind)
        )
        for kind, values in (
            (pa.int64(), st.integers(-(2**60), 2**60)),
            (pa.int8(), st.integers(-128, 127)),
            (pa.float64(), st.floats(allow_infinity=False)),
            (pa.float32(), st.floats(width=32, allow_infinity=False)),
            (pa.bool_(), st.booleans()),
            (pa.date32(), st.dates()),
            (pa.timestamp("ns"), MOMENTS),
            (pa.timestamp("us", "UTC"), MOMENTS),
            (pa.string(), st.text(string.printable)),
            (pa.null(), st.none()),
        )
    )
)


@given(TYPED)
def test_typed_columns_keep_to_the_schema_that_is_drafted_from_them(column):
    check_draft(pa.table({"x": column}))


def check_draft(raw):
    draft = draft_schema(raw, "some data")
    table = Table.from_arrow(raw, draft.schema)
    assert table.n_rows == raw.num_rows
    table.to_arrow()
    assert Schema.parse(draft.schema.to_dict()) == draft.schema


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()])
def test_numbers_of_any_width_are_read_as_labels(kind):
    schema = Schema.parse(
        {
            "dataset": {"id": "d"},
            "columns": {
                "x": {"kind": "categorical", "categories": ["1", "2.5"], "missing": True},
                "key": {"kind": "id"},
            },
        }
    )
    values = pa.array([1.0, None, 2.5], kind)
    table = Table.from_arrow(pa.table({"x": values, "key": values}), schema)
    assert table.data["x"].to_pylist() == ["1", None, "2.5"]
    assert table.data["key"].to_pylist() == ["1", None, "2.5"]
