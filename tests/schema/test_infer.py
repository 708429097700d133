import datetime as dt

import pyarrow as pa
import pytest

from privsynth.schema.draft import draft_schema
from privsynth.table import Table

SECRET = "Zaphod7391"
N = 60


def draft_of(**columns):
    """The draft of columns of one length; the records must keep to it."""
    raw = pa.table(columns)
    draft = draft_schema(raw, "d")
    Table.from_arrow(raw, draft.schema).to_arrow()
    return draft


def column_of(values, name="x", **others):
    """The drafted column as the schema file has it."""
    draft = draft_of(**{name: values}, **others)
    document = draft.schema.to_dict()["columns"][name]
    document.pop("role", None)
    if "categories" in document:
        document["categories"] = list(document["categories"])
    return document


def notes_of(draft, name):
    return [str(note) for note in draft.notes if note.column == name]


def text(values):
    return [str(value) for value in values]


REAL_TYPES = {"real": pa.array([0.5] * N)}
"""A column that is no text, so that the table has types of its own."""


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (text(range(3, 33)) * 2, {"kind": "integer", "lower": 3, "upper": 32, "source": "data"}),
        (["-5.0", "7.0", "30"] * 20, {"kind": "integer", "lower": -5, "upper": 30,
                                       "source": "data"}),
        (["1.25", "7.5", "1e1"] * 20, {"kind": "numeric", "lower": 1.25, "upper": 10.0,
                                       "granularity": 0.01, "source": "data"}),
        (["0.123456", "7.5"] * 30, {"kind": "numeric", "lower": 0.123456, "upper": 7.5,
                                    "source": "data"}),
        (["true", "False", ""] * 20, {"kind": "boolean", "missing": True}),
        (["Yes", "No"] * 30, {"kind": "categorical", "categories": ["No", "Yes"],
                              "source": "data"}),
        (["02139", "00501", "10001"] * 20, {"kind": "categorical", "source": "data",
                                            "categories": ["00501", "02139", "10001"]}),
        (["2024-01-31", "2023-02-01", " "] * 20,
         {"kind": "date", "lower": dt.date(2023, 2, 1), "upper": dt.date(2024, 1, 31),
          "missing": True, "source": "data"}),
        (["2024-01-01", "2023-02-01", "2022-07-01"] * 20,
         {"kind": "date", "lower": dt.date(2022, 7, 1), "upper": dt.date(2024, 1, 1),
          "granularity": "month", "source": "data"}),
        (["2024-01-01", "2023-01-01", "2022-01-01"] * 20,
         {"kind": "date", "lower": dt.date(2022, 1, 1), "upper": dt.date(2024, 1, 1),
          "granularity": "year", "source": "data"}),
        (["2024-01-31T10:05", "2024-01-31 11:00:00"] * 30,
         {"kind": "datetime", "lower": dt.datetime(2024, 1, 31, 10, 5),
          "upper": dt.datetime(2024, 1, 31, 11), "granularity": "minute", "source": "data"}),
        (["2024-01-31T10:05:01", "2024-01-31"] * 30,
         {"kind": "datetime", "lower": dt.datetime(2024, 1, 31),
          "upper": dt.datetime(2024, 1, 31, 10, 5, 1), "source": "data"}),
        (["NA", "None", "", "5"] * 15, {"kind": "categorical", "source": "data", "missing": True,
                                        "categories": ["5", "NA", "None"]}),
    ],
)  # fmt: skip
def test_columns_of_a_csv_are_tried_as_numbers_dates_and_booleans(values, expected):
    assert column_of(values) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "2", "3"] * 20, {"kind": "categorical", "categories": ["1", "2", "3"],
                                "source": "data"}),
        (["true", "false"] * 30, {"kind": "categorical", "categories": ["false", "true"],
                                  "source": "data"}),
        (["2024-01-31", "2023-02-01"] * 30,
         {"kind": "date", "lower": dt.date(2023, 2, 1), "upper": dt.date(2024, 1, 31),
          "source": "data"}),
        (pa.array([1, 2, 30] * 20, pa.int16()), {"kind": "integer", "lower": 1, "upper": 30,
                                                 "source": "data"}),
        ([0, 1] * 30, {"kind": "categorical", "categories": ["0", "1"], "source": "data"}),
        ([1.0, None, 30.0] * 20, {"kind": "integer", "lower": 1, "upper": 30, "missing": True,
                                  "source": "data"}),
        ([0.1, 0.7, float("nan")] * 20, {"kind": "numeric", "lower": 0.1, "upper": 0.7,
                                         "granularity": 0.1, "missing": True, "source": "data"}),
        ([True, False] * 30, {"kind": "boolean"}),
        ([dt.datetime(2024, 1, 31), dt.datetime(2024, 3, 1)] * 30,
         {"kind": "date", "lower": dt.date(2024, 1, 31), "upper": dt.date(2024, 3, 1),
          "source": "data"}),
        ([dt.datetime(2024, 1, 31, 7), dt.datetime(2024, 3, 1, 9)] * 30,
         {"kind": "datetime", "lower": dt.datetime(2024, 1, 31, 7),
          "upper": dt.datetime(2024, 3, 1, 9), "granularity": "hour", "source": "data"}),
        (pa.array(["a", "b"] * 30).dictionary_encode(),
         {"kind": "categorical", "categories": ["a", "b"], "source": "data"}),
    ],
)  # fmt: skip
def test_columns_with_types_keep_them(values, expected):
    assert column_of(values, **REAL_TYPES) == expected


@pytest.mark.parametrize(
    "bands",
    [
        ["[0-10)", "[10-20)", "[90-100)", "[100-110)"],
        ["<18", "18-29", "30-64", "65+"],
        ["0 to 9", "10 to 99", ">99"],
        ["low", "moderate", "high"],
        ["None", "Mild", "Severe"],
    ],
)
def test_bands_and_scales_are_ordinal_in_their_order(bands):
    column = column_of(bands[::-1] * 20, y=[0.5] * 20 * len(bands))
    assert column["kind"] == "ordinal"
    assert column["categories"] == bands


@pytest.mark.parametrize(
    "labels", [["<30", ">30", "NO"], ["250.83", "V45", "401"], ["<=50K", ">50K"], ["1", "2", "3"]]
)
def test_other_labels_have_no_order(labels):
    assert column_of(labels * 20, y=[0.5] * 20 * len(labels))["kind"] == "categorical"


def test_codes_are_categories_though_they_are_numbers():
    values = [1, 2, 3, 7] * 15
    assert column_of(values, "admission_type_id", **REAL_TYPES)["categories"] == [*"1237"]
    assert column_of(values, "visits", **REAL_TYPES)["kind"] == "integer"
    assert column_of(values, "num_diagnoses", **REAL_TYPES)["kind"] == "integer"


def test_many_categories_are_left_to_be_learned():
    values = [f"code {i % 150}" for i in range(600)]
    draft = draft_of(x=values)
    assert column_of(values) == {"kind": "categorical", "source": "private"}
    assert notes_of(draft, "x") == [
        'x: 150 categories; source = "private" learns the frequent ones'
    ]


def test_rare_categories_are_pointed_out():
    draft = draft_of(x=["a"] * 30 + ["b"] * 29 + [SECRET])
    assert notes_of(draft, "x")[0].startswith("x: rare categories (under 10 rows): 1 of 3; keep")


@pytest.mark.parametrize(
    ("values", "kind"),
    [([5] * N, "integer"), (["a"] * N, "categorical"), ([0.5] * N, "numeric"),
     ([True] * N, "boolean"), ([dt.date(9999, 12, 31)] * N, "date"),
     ([dt.datetime(2024, 1, 1, 3)] * N, "datetime")],
)  # fmt: skip
def test_a_constant_column_is_pointed_out(values, kind):
    draft = draft_of(x=values, y=[0.5] * N)
    assert draft.schema.columns["x"].kind == kind
    assert "x: every value is the same" in notes_of(draft, "x")


def test_an_empty_column_is_left_out():
    draft = draft_of(x=pa.nulls(N), y=[0.5] * N, z=[""] * N)
    for name in "xz":
        assert draft.schema.columns[name].action == "drop"
        assert "every value is missing; leave it out of the file" in notes_of(draft, name)[0]


def test_values_that_are_not_learned_are_left_out():
    raw = pa.table({"x": [[1, 2], [3]], "y": [dt.timedelta(1), None], "z": [b"a", b"b"]})
    assert [column.kind for column in draft_schema(raw, "d").schema.columns.values()] == [
        "text"
    ] * 3


def test_infinite_values_are_pointed_out():
    raw = pa.table({"x": [0.5, float("inf"), 2.5], "y": [float("inf")] * 3})
    draft = draft_schema(raw, "d")
    assert (draft.schema.columns["x"].lower, draft.schema.columns["x"].upper) == (0.5, 2.5)
    assert "x: infinite values: 1; a run refuses them" in notes_of(draft, "x")
    assert draft.schema.columns["y"].kind == "text"


def test_dates_in_another_order_are_pointed_out():
    values = ["31/01/2024", "01/02/2024"] * 30
    assert notes_of(draft_of(x=values), "x")[0].startswith("x: looks like dates; write them as")
