"""HIPAA's eighteen classes of identifiers, and which declared columns fall under them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from privsynth.schema.column import (
    Column,
    DateColumn,
    DatetimeColumn,
    IdColumn,
    IntegerColumn,
    NumericColumn,
    TextColumn,
)
from privsynth.schema.pii import name_suggests, words_of
from privsynth.schema.schema import Schema

CLASSES: Mapping[str, str] = {
    "A": "names",
    "B": "geographic units smaller than a state",
    "C": "dates but for the year, and ages above 89",
    "D": "telephone numbers",
    "E": "fax numbers",
    "F": "e-mail addresses",
    "G": "social security numbers",
    "H": "medical record numbers",
    "I": "health plan beneficiary numbers",
    "J": "account numbers",
    "K": "certificate and licence numbers",
    "L": "vehicle identifiers and plates",
    "M": "device identifiers and serial numbers",
    "N": "web addresses",
    "O": "IP addresses",
    "P": "biometric identifiers",
    "Q": "full-face photographs",
    "R": "any other unique number, characteristic or code",
}
"""The classes of 45 CFR 164.514(b)(2)(i), by their letter there."""

_BY_KIND = {
    "name": "A",
    "street address": "B",
    "phone": "D",
    "e-mail": "F",
    "ssn": "G",
    "mrn": "H",
    "account number": "J",
    "iban": "J",
    "card number": "J",
    "document number": "K",
    "vehicle number": "L",
    "device number": "M",
    "mac address": "M",
    "url": "N",
    "ip address": "O",
    "user name": "R",
}
_BY_NAME = {
    "B": r"_(zip|zip_?code|zcta|postal|post_?code|plz|county|city|town|municipality|district)_",
    "E": r"_fax_",
    "I": r"_(health_plan|beneficiary|member|insur\w*|policy)_(id|no|nbr|number)_",
    "P": r"_(fingerprint|biometric|iris|voice_?print)_",
    "Q": r"_(photo\w*|face_image)_",
}
_AGE, _OLDEST = r"_(age|age_\w+)_", 89


@dataclass(frozen=True)
class Finding:
    """A class with the declared columns that fall under it, each with what became of it.

    >>> Finding("A", "names", {"surname": "dropped"}).columns
    {'surname': 'dropped'}
    """

    letter: str
    title: str
    columns: Mapping[str, str]


def safe_harbor(schema: Schema) -> tuple[Finding, ...]:
    """All eighteen classes, those without a column too: by name and kind, from the schema alone.

    It says where to look. Values are scanned apart, and a column whose name tells nothing is
    found by neither.

    >>> columns = {"admitted": {"kind": "date", "lower": "2020-01-01", "upper": "2024-12-31"}}
    >>> schema = Schema.parse({"dataset": {"id": "d"}, "columns": columns})
    >>> {found.letter: dict(found.columns) for found in safe_harbor(schema) if found.columns}
    {'C': {'admitted': 'synthetic dates by day'}}
    """
    found: dict[str, dict[str, str]] = {letter: {} for letter in CLASSES}
    for name, column in schema.columns.items():
        if letter := _letter(name, column):
            found[letter][name] = _became(column)
    return tuple(Finding(letter, title, found[letter]) for letter, title in CLASSES.items())


def _letter(name: str, column: Column) -> str | None:
    words = words_of(name)
    for letter, pattern in _BY_NAME.items():
        if re.search(pattern, words):
            return letter
    if kind := name_suggests(name):
        return _BY_KIND.get(kind, "R")
    if isinstance(column, DateColumn | DatetimeColumn):
        return None if column.granularity == "year" else "C"
    if isinstance(column, IntegerColumn | NumericColumn) and re.search(_AGE, words):
        return "C" if column.upper is None or column.upper > _OLDEST else None
    return "R" if isinstance(column, IdColumn) else None


def _became(column: Column) -> str:
    if isinstance(column, IdColumn):
        return "fresh surrogate keys"
    if isinstance(column, TextColumn):
        return "invented" if column.action == "fake" else "dropped"
    if isinstance(column, DateColumn | DatetimeColumn):
        return f"synthetic dates by {column.granularity}"
    return "synthetic values"
