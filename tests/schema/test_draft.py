import tomllib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from privsynth.errors import DataError
from privsynth.io.clinic import simulate_clinic
from privsynth.io.read import read_raw
from privsynth.schema import Schema
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


def notes_of(draft, name):
    return [str(note) for note in draft.notes if note.column == name]


@pytest.mark.parametrize(
    ("name", "values", "kind", "why"),
    [
        ("surname", ["Abel", "Babel", "Cable"] * 20, "text",
         "surname: dropped: direct identifier: name (by its name)"),
        ("x", [f"ann{i}@example.org" for i in range(N)], "text",
         "x: dropped: direct identifier: e-mail (by the pattern of its values)"),
        ("x", [f"617-555-01{i % 50:02}" for i in range(N)], "text",
         "x: dropped: direct identifier: phone (by the pattern of its values)"),
        ("x", [f"123-45-67{i:02}" for i in range(N)], "id",
         "x: direct identifier: ssn; written as fresh surrogates (by the pattern of its values)"),
        ("IBAN", [str(i) for i in range(N)], "id",
         "IBAN: direct identifier: iban; written as fresh surrogates (by its name)"),
        ("mrn", list(range(1000, 1000 + N)), "id",
         "mrn: direct identifier: mrn; written as fresh surrogates (by its name)"),
        ("card", [4111111111111111] * N, "id",
         "card: direct identifier: card number; written as fresh surrogates "
         "(by the pattern of its values)"),
        ("x", [f"Ann{'abcdefghij'[i % 10]} Bell{'abcdefghij'[i // 10]}" for i in range(N)], "text",
         "x: dropped: direct identifier: name (by the pattern of its values)"),
        ("x", [f"k{i * 7919 % 997:04}" for i in range(N)], "id",
         "x: key of a record; written as fresh surrogates (its values do not repeat)"),
        ("x", list(range(5, 5 + N)), "id",
         "x: key of a record; written as fresh surrogates (its values do not repeat)"),
        ("visit_id", [i * 7919 % 9973 for i in range(N)], "id",
         "visit_id: key of a record; written as fresh surrogates (its values do not repeat)"),
        ("x", [f"seen on day {i}, complains about a pain in the knee" for i in range(N)], "text",
         "x: dropped: free text (long and mostly different values; free text is not learned)"),
    ],
)  # fmt: skip
def test_direct_identifiers_are_found(name, values, kind, why):
    draft = draft_of(**{name: values}, y=[0.5] * N)
    column = draft.schema.columns[name]
    assert column.kind == kind
    assert notes_of(draft, name) == [why]
    if kind == "text":
        assert column.action == "drop"
    if "free text" not in why:
        assert column.role == "identifier"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("weight", [i * 7919 % 9973 for i in range(N)]),
        ("x", [i / 7 for i in range(N)]),
        ("x", ["a", "b"] * 30),
        ("patient", ["in", "out"] * 30),
        ("x", [str(i % 30) for i in range(N)]),
    ],
)
def test_ordinary_columns_are_no_identifiers(name, values):
    assert draft_of(**{name: values}, y=[0.5] * N).schema.columns[name].kind not in ("id", "text")


def test_identifiers_hidden_in_a_column_are_counted():
    values = ["ok", "well", "ann@example.org"] + ["ok"] * 57
    assert "x: values that look like e-mail: 1 (remove them, or drop the column)" in notes_of(
        draft_of(x=values), "x"
    )


def test_a_person_with_several_rows_becomes_the_privacy_unit():
    who = [i % 30 for i in range(N)]
    draft = draft_of(patient_nbr=who, y=[0.5] * N)
    assert draft.schema.privacy.unit == "patient_nbr"
    assert draft.schema.privacy.max_rows_per_unit == 2
    assert draft.viability.line.startswith("30 persons for 1 column")
    assert "privacy unit, at most 2 rows a person" in notes_of(draft, "patient_nbr")[-1]


def test_few_persons_with_many_rows_do_not_set_the_bound():
    who = [*range(50), *range(50), *[50] * 6]
    assert draft_of(patient_id=who, y=[0.5] * 106).schema.privacy.max_rows_per_unit == 2


def test_a_person_with_one_row_is_a_key():
    draft = draft_of(patient_id=list(range(N)), y=[0.5] * N)
    assert draft.schema.privacy.unit == "row"
    assert draft.schema.columns["patient_id"].kind == "id"


def test_a_person_who_may_be_missing_is_no_unit_yet():
    draft = draft_of(client_id=[None, *(i % 30 for i in range(N - 1))], y=[0.5] * N)
    assert draft.schema.privacy.unit == "row"
    assert "values missing: 1; fill them in" in notes_of(draft, "client_id")[-1]


def test_roles_are_given_by_name():
    draft = draft_of(
        age=[30, 40, 57] * 20, ZIP=["02139", "1", "2"] * 20, diagnosis=["a", "b", "c"] * 20,
        hours=[1.5] * N, survived=["y", "n", "y"] * 20,
    )  # fmt: skip
    roles = {name: column.role for name, column in draft.schema.columns.items()}
    assert roles == {
        "age": "quasi_identifier", "ZIP": "quasi_identifier", "diagnosis": "sensitive",
        "hours": "ordinary", "survived": "target",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("names", "target"),
    [
        (["a", "outcome", "b"], "outcome"),
        (["income", "label", "b"], "label"),
        (["a", "b"], "b"),
        (["readmitted", "b"], "readmitted"),
    ],
)
def test_the_target_is_the_likeliest_name_or_the_last_column(names, target):
    draft = draft_of(**{name: ["p", "q", "r"] * 20 for name in names})
    assert draft.schema.with_role("target") == (target,)


def test_a_last_column_with_many_values_is_no_target():
    draft = draft_of(a=["p", "q"] * 30, b=[i / 3 for i in range(N)])
    assert draft.schema.with_role("target") == ()


def test_the_file_is_commented_and_loads(tmp_path):
    draft = draft_of(age=[30, 40, 57] * 20, **{"odd # [name].\n\x07": ["a", "b", "c"] * 20})
    path = tmp_path / "schema.toml"
    path.write_text(draft.to_toml(), encoding="utf-8")
    assert Schema.load(path) == draft.schema
    head = draft.to_toml().split("\n[")[0]
    assert all(line.startswith("#") or not line for line in head.splitlines())
    assert "too small" in head
    assert "age: quasi-identifier (by its name)" in head
    assert 'source = "data"' in head
    assert 'unit = "row"' in draft.to_toml()


def test_the_epsilon_asked_is_judged():
    raw = simulate_clinic()
    assert draft_schema(raw, "d").viability.verdict == "ample"
    assert draft_schema(raw, "d", epsilon=0.01).viability.verdict == "too small"


def test_the_name_of_the_data_set_is_made_to_fit_the_ledger():
    raw = pa.table({"x": [0.5, 0.7]})
    for given, name in (("my data (2)", "my-data-2"), ("..", "dataset"), ("a.b_c-d", "a.b_c-d")):
        assert draft_schema(raw, given).schema.dataset.id == name


def test_no_note_holds_a_value_of_a_record():
    rows = 40
    raw = pa.table(
        {
            "label": [SECRET] + ["a"] * (rows - 1),
            "name": [f"{SECRET} {i}" for i in range(rows)],
            "note": [f"{SECRET} was seen on day {i} and then again" for i in range(rows)],
            "mail": [f"{SECRET}{i}@example.org" for i in range(rows)],
            "mixed": [f"{SECRET}@example.org"] + ["b"] * (rows - 1),
            "big": [7391] + [2] * (rows - 1),
        }
    )
    draft = draft_schema(raw, "d")
    for shown in (*map(str, draft.notes), draft.viability.line):
        assert SECRET not in shown
        assert "7391" not in shown
    assert SECRET not in draft.to_toml().split("\n[")[0]


@pytest.mark.parametrize("raw", [pa.table({}), pa.table({"x": pa.array([], pa.int64())})])
def test_nothing_cannot_be_drafted_from(raw):
    with pytest.raises(DataError, match="there are no records"):
        draft_schema(raw, "d")


def test_the_simulated_clinic_is_understood():
    draft = draft_schema(simulate_clinic(), "clinic")
    kinds = {name: column.kind for name, column in draft.schema.columns.items()}
    assert kinds["patient_id"] == "id"
    assert kinds["name"] == "text"
    assert kinds["region"] == "categorical"
    assert kinds["admitted"] == kinds["discharged"] == "date"
    assert draft.schema.columns["cost"].granularity == 0.01
    assert draft.schema.with_role("target") == ("outcome",)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("file", "target", "unit", "verdict"),
    [
        ("adult/train", "income", "row", "ample"),
        ("heart_disease/heart_disease", "num", "row", "too small"),
        ("diabetes130/diabetes130", "readmitted", "patient_nbr", "ample"),
    ],
)
def test_real_data_sets_are_understood(shared_data, file, target, unit, verdict):
    path = shared_data / f"{file}.parquet"
    raw = read_raw(path)
    draft = draft_schema(raw, path.parent.name)
    assert Schema.parse(tomllib.loads(draft.to_toml())) == draft.schema
    assert draft.schema.with_role("target") == (target,)
    assert draft.schema.privacy.unit == unit
    assert draft.viability.verdict == verdict
    declared = Schema.load(path.parent / "schema.toml")
    found = {column for column, kind in draft.schema.columns.items() if kind.kind == "id"}
    assert found == {column for column, kind in declared.columns.items() if kind.kind == "id"}
    out = Table.from_arrow(raw, draft.schema).to_arrow()
    assert (
        out.select(draft.schema.modelled).schema.types
        == pq.read_schema(path).empty_table().select(draft.schema.modelled).schema.types
    )
