import datetime as dt
import json
import tomllib
from pathlib import Path

import jsonschema
import pytest

from privsynth.errors import SchemaError
from privsynth.io.clinic import clinic_schema
from privsynth.schema import Schema, json_schema

PUBLISHED = Path(__file__).parents[2] / "docs" / "reference" / "schema.schema.json"

BASE = {"dataset": {"id": "d"}, "columns": {"well": {"kind": "boolean"}}}
FULL = """
[dataset]
id = "uci-adult"
title = "Adult"

[privacy]
unit = "who"
max_rows_per_unit = 3
row_count = "private"

[columns.who]
kind = "id"

[columns.age]
kind = "integer"
lower = 17
upper = 90
source = "documentation"
role = "quasi_identifier"

[columns."cost in €"]
kind = "numeric"
lower = 0.0
upper = 99.5
granularity = 0.01
missing = true
description = "per day"

[columns.workclass]
kind = "categorical"
categories = ["Private", "State-gov", 'q"uote', "no"]
other = true

[columns.level]
kind = "ordinal"
source = "private"

[columns.well]
kind = "boolean"
role = "target"

[columns.born]
kind = "date"
lower = 1900-01-01
upper = 2024-12-31
granularity = "year"

[columns.admitted]
kind = "datetime"
lower = 2015-01-01T00:00:00
upper = 2024-12-31T23:59:59
granularity = "day"

[columns.note]
kind = "text"
action = "fake"
provider = "sentence"

[[constraints]]
kind = "inequality"
low = "age"
high = "cost in €"
strict = true

[[constraints]]
kind = "fixed_combination"
columns = ["workclass", "well"]
combinations = [["Private", "true"]]

[[constraints]]
kind = "implication"
column = "workclass"
value = "Private"
then = "well"
allowed = ["true"]

[[constraints]]
kind = "range"
column = "age"
upper = 60
when = "well"
equals = "true"

[[constraints]]
kind = "functional_dependency"
column = "workclass"
determines = "level"
mapping = { Private = "1" }

[[constraints]]
kind = "sql"
expression = "age > 3"
"""


def parse(columns=None, **sections):
    return Schema.parse(BASE | sections | ({"columns": columns} if columns else {}))


def fault(document):
    with pytest.raises(SchemaError) as caught:
        Schema.parse(document)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_every_kind_of_column_and_constraint_is_read():
    schema = Schema.parse(tomllib.loads(FULL))
    assert [column.kind for column in schema.columns.values()] == [
        "id", "integer", "numeric", "categorical", "ordinal", "boolean", "date", "datetime", "text",
    ]  # fmt: skip
    assert schema.columns["who"].role == "identifier"
    assert schema.columns["born"].upper == dt.date(2024, 12, 31)
    assert [rule.kind for rule in schema.constraints] == [
        "inequality", "fixed_combination", "implication", "range", "functional_dependency", "sql",
    ]  # fmt: skip


def test_a_schema_survives_its_file_its_json_and_its_dict(tmp_path):
    schema = Schema.parse(tomllib.loads(FULL))
    schema.save(tmp_path / "s.toml")
    assert Schema.load(tmp_path / "s.toml") == schema
    assert Schema.parse(json.loads(schema.to_json())) == schema
    assert Schema.parse(schema.to_dict()) == schema


def test_the_privacy_unit_is_always_written_out():
    assert '[privacy]\nunit = "row"\nmax_rows_per_unit = 1\n' in parse().to_toml()


def test_columns_are_found_by_role_source_and_purpose():
    schema = Schema.parse(tomllib.loads(FULL))
    assert schema.with_role("target") == ("well",)
    assert schema.with_source("private") == ("level",)
    assert schema.from_data == ()
    assert schema.modelled == (
        "age", "cost in €", "workclass", "level", "well", "born", "admitted",
    )  # fmt: skip
    assert schema.released == tuple(schema.columns)
    dropped = parse({"note": {"kind": "text", "action": "drop"}, "well": {"kind": "boolean"}})
    assert dropped.released == ("well",)


def test_free_text_needs_a_decision():
    parse({"note": {"kind": "text", "action": "drop"}}).require_text_decision()
    with pytest.raises(SchemaError, match="column 'note': free text is not synthesised; set"):
        parse({"note": {"kind": "text"}}).require_text_decision()


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"kind": "integer", "lower": 0}, 'lower and upper are needed, or source = "private"'),
        # what `inspect` read from the records, with nothing but the word changed
        ({"kind": "integer", "lower": 0, "upper": 9, "source": "private"},
         'source = "private" learns the range: leave lower and upper out'),
        ({"kind": "ordinal", "categories": ["a"], "source": "private"},
         'source = "private" learns the categories: leave the list out'),
        ({"kind": "numeric"}, 'lower and upper are needed, or source = "private"'),
        ({"kind": "integer", "lower": 5, "upper": 5}, "lower must be less than upper"),
        ({"kind": "numeric", "lower": 1.0, "upper": 0.0}, "lower must be less than upper"),
        ({"kind": "numeric", "lower": float("-inf"), "upper": 0.0},
         "lower and upper must be finite"),
        ({"kind": "numeric", "lower": float("nan"), "upper": 0.0}, "lower must be less than upper"),
        ({"kind": "categorical"}, 'categories are needed, or source = "private"'),
        ({"kind": "ordinal", "categories": ["a", "a"]}, "categories repeat a value"),
        ({"kind": "categorical", "categories": ["(other)"]},
         "'(other)' is reserved; set other = true instead"),
        ({"kind": "categorical", "categories": [str(i) for i in range(1001)]},
         "1001 categories, at most 1000 can be learned; group them, or set "
         'source = "private" to keep the frequent ones'),
        ({"kind": "datetime", "lower": dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
          "upper": dt.datetime(2021, 1, 1, tzinfo=dt.UTC)},
         "lower and upper take no time zone"),
        ({"kind": "text", "action": "fake"},
         'action = "fake" needs a provider, such as "name" or "address"'),
        ({"kind": "boolean", "roll": "target"}, "unknown key 'roll'; did you mean 'role'?"),
        ({"kind": "integer", "lower": 0, "upper": 9, "zzz": 3},
         "unknown key 'zzz'; known keys: description, kind, lower, missing, role, source, upper"),
        ({"lower": 0}, "needs a kind"),
        ({"kind": "float"},
         "unknown kind; known kinds: integer, numeric, categorical, ordinal, boolean, date, "
         "datetime, id, text"),
    ],
)  # fmt: skip
def test_a_wrong_column_is_named_with_its_rule(column, message):
    assert fault(BASE | {"columns": {"x": column}}) == f"columns.x: {message}"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"columns": BASE["columns"]}, "dataset: is missing"),
        ({"dataset": {"id": "d"}}, "columns: is missing"),
        (BASE | {"colums": {}}, "the top level: unknown key 'colums'; did you mean 'columns'?"),
        (BASE | {"dataset": {"id": "d", "titel": "x"}},
         "dataset: unknown key 'titel'; did you mean 'title'?"),
        (BASE | {"privacy": {"unit": "who"}},
         "schema: privacy.unit names 'who', which is not a column"),
        (BASE | {"privacy": {"max_rows_per_unit": 3}},
         "schema: privacy.max_rows_per_unit is for a unit that is a column"),
        (BASE | {"privacy": {"unit": "who"}, "columns": {"who": {"kind": "id", "missing": True}}},
         "schema: columns.who: the privacy unit cannot be missing"),
        (BASE | {"privacy": {"unit": "who"}, "columns": {"who": {"kind": "categorical",
                 "categories": ["a"], "other": True}}},
         "schema: columns.who: the privacy unit cannot have other = true"),
        (BASE | {"constraints": [{"kind": "inequality", "low": "a", "high": "well"}]},
         "schema: constraint 1 names 'a', which is not a column"),
        (BASE | {"constraints": [{"kind": "range", "column": "a", "lower": 5, "upper": 4}]},
         "constraint 1: lower is above upper"),
        (BASE | {"constraints": [{"kind": "sql", "expression": "true"}, {"kind": "sqll"}]},
         "constraint 2: unknown kind; known kinds: inequality, fixed_combination, implication, "
         "range, functional_dependency, sql"),
        (BASE | {"constraints": [{"kind": "sql", "expresion": "true"}]},
         "constraint 1: unknown key 'expresion'; did you mean 'expression'?"),
        (BASE | {"constraints": [{"kind": "sql"}]}, "constraint 1.expression: is missing"),
        (BASE | {"columns": {"date": {"kind": "integer", "lower": "x", "upper": 3}}},
         "columns.date.lower: input should be a valid integer, unable to parse string as an "
         "integer"),
        (BASE | {"columns": {"date": {"kind": "integer", "lwoer": 1, "upper": 3}}},
         "columns.date: unknown key 'lwoer'; did you mean 'lower'?"),
        (BASE | {"columns": {"date": 3}},
         "columns.date: input should be a valid dictionary or object to extract fields from"),
    ],
)  # fmt: skip
def test_a_wrong_document_is_told_where(document, message):
    assert fault(document) == message


@pytest.mark.parametrize("name", ["", "-x", "a b", "../x"])
def test_the_ledger_can_bear_the_name_of_the_data_set(name):
    assert fault(BASE | {"dataset": {"id": name}}).startswith("dataset.id: ")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    path = tmp_path / "s.toml"
    with pytest.raises(SchemaError, match=r"s.toml does not exist"):
        Schema.load(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SchemaError, match=r"s.toml cannot be read as UTF-8 text"):
        Schema.load(path)
    path.write_text("[dataset\nid = 1")
    with pytest.raises(SchemaError, match=r"s.toml is not valid TOML \(at line 1, column"):
        Schema.load(path)
    path.write_text('[dataset]\nid = "d"\n[columns.x]\nkind = "boolean"\nrol = "target"\n')
    with pytest.raises(SchemaError, match=r"s.toml: columns.x: unknown key 'rol'; did you mean"):
        Schema.load(path)


def test_the_published_json_schema_is_the_one_of_the_code():
    assert json.loads(PUBLISHED.read_text(encoding="utf-8")) == json_schema()


def plain(document):
    """As JSON sees it: dates are text."""
    return json.loads(json.dumps(document, default=lambda moment: moment.isoformat()))


def test_the_json_schema_accepts_what_the_code_accepts():
    validator = jsonschema.Draft202012Validator(json_schema())
    validator.check_schema(json_schema())
    validator.validate(plain(tomllib.loads(FULL)))
    validator.validate(plain(clinic_schema().to_dict()))


@pytest.mark.parametrize(
    "wrong",
    [
        BASE | {"colums": {}},
        BASE | {"columns": {"x": {"kind": "float"}}},
        BASE | {"columns": {"x": {"kind": "boolean", "roll": "target"}}},
        BASE | {"dataset": {"id": "a b"}},
        {"columns": BASE["columns"]},
    ],
)
def test_the_json_schema_refuses_what_the_code_refuses(wrong):
    fault(wrong)
    assert not jsonschema.Draft202012Validator(json_schema()).is_valid(wrong)


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["adult", "heart_disease", "diabetes130"])
def test_the_schemas_of_the_real_data_sets_load_and_validate(shared_data, name):
    path = shared_data / name / "schema.toml"
    schema = Schema.load(path)
    assert Schema.parse(schema.to_dict()) == schema
    jsonschema.validate(plain(tomllib.loads(path.read_text(encoding="utf-8"))), json_schema())
