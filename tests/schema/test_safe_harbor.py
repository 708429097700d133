"""Columns fall under the classes of HIPAA that their names and kinds promise."""

from __future__ import annotations

from typing import Any

import pytest

from privsynth.schema import Schema
from privsynth.schema.safe_harbor import CLASSES, safe_harbor

DAY = {"kind": "date", "lower": "2020-01-01", "upper": "2024-12-31"}
NUMBER = {"kind": "integer", "lower": 0, "upper": 89}


def letters(columns: dict[str, dict[str, Any]]) -> dict[str, str]:
    schema = Schema.parse({"dataset": {"id": "d"}, "columns": columns})
    return {name: found.letter for found in safe_harbor(schema) for name in found.columns}


@pytest.mark.parametrize(
    ("name", "column", "letter"),
    [
        ("surname", {"kind": "text", "action": "drop"}, "A"),
        ("zip", {"kind": "categorical", "categories": ["02139"]}, "B"),
        ("street_address", {"kind": "text", "action": "drop"}, "B"),
        ("discharged", DAY, "C"),
        ("age", NUMBER | {"upper": 110}, "C"),
        ("phone", {"kind": "text", "action": "drop"}, "D"),
        ("fax_number", {"kind": "text", "action": "drop"}, "E"),
        ("email", {"kind": "text", "action": "drop"}, "F"),
        ("ssn", {"kind": "id"}, "G"),
        ("mrn", {"kind": "id"}, "H"),
        ("insurance_id", {"kind": "id"}, "I"),
        ("iban", {"kind": "text", "action": "drop"}, "J"),
        ("passport_no", {"kind": "id"}, "K"),
        ("vin", {"kind": "id"}, "L"),
        ("device_id", {"kind": "id"}, "M"),
        ("homepage", {"kind": "text", "action": "drop"}, "N"),
        ("ip_address", {"kind": "text", "action": "drop"}, "O"),
        ("fingerprint", {"kind": "text", "action": "drop"}, "P"),
        ("photo", {"kind": "text", "action": "drop"}, "Q"),
        ("patient_id", {"kind": "id"}, "R"),
        ("user_name", {"kind": "text", "action": "drop"}, "R"),
    ],
)
def test_a_column_falls_under_its_class(name: str, column: dict[str, Any], letter: str) -> None:
    assert letters({name: column, "other": NUMBER}) == {name: letter}


def test_all_eighteen_classes_are_listed_and_years_and_ages_to_89_fall_under_none() -> None:
    columns = {"admitted": DAY | {"granularity": "year"}, "age": NUMBER, "income": NUMBER}
    schema = Schema.parse({"dataset": {"id": "d"}, "columns": columns})
    found = safe_harbor(schema)
    assert [each.letter for each in found] == list(CLASSES) == list("ABCDEFGHIJKLMNOPQR")
    assert not any(each.columns for each in found)


@pytest.mark.parametrize(
    ("column", "became"),
    [
        ({"kind": "text", "action": "drop"}, "dropped"),
        ({"kind": "text", "action": "fake", "provider": "name"}, "invented"),
        ({"kind": "categorical", "categories": ["Ann"]}, "synthetic values"),
    ],
)
def test_what_became_of_it_is_said(column: dict[str, Any], became: str) -> None:
    columns = {"surname": column, "x": NUMBER}
    schema = Schema.parse({"dataset": {"id": "d"}, "columns": columns})
    assert safe_harbor(schema)[0].columns == {"surname": became}
