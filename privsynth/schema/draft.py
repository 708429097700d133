"""A first schema, drafted from records for the steward to read, correct and own."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from privsynth.errors import DataError
from privsynth.schema.hints import (
    names_a_key,
    names_a_person,
    role_by_name,
    target_rank,
)
from privsynth.schema.infer import infer
from privsynth.schema.pii import find_identifiers, name_suggests
from privsynth.schema.profile import Profile, is_text, matches_all, profile
from privsynth.schema.schema import Schema
from privsynth.schema.viability import Viability, viability

_KEYS = frozenset(
    {"ssn", "mrn", "iban", "account number", "card number", "document number", "vehicle number"}
    | {"device number"}
)
_PERSON_NAME = r"^[A-Z][\w'’.-]+,? [A-Z][\w'’. -]*$"
_MIN_UNIQUE = 20
_MANY_ROWS = (1, 2, 3, 5, 10, 20, 50)

_HEAD = """\
A draft, made by `privsynth inspect` from the records. Read it, correct it, then it is yours.

source = "data" marks a range or a category list that was read from the records. A run with a
privacy guarantee refuses it. Replace it by what anybody may know:
  source = "declared"       you state it: write the range or list that could occur
  source = "documentation"  a code book states it
  source = "private"        the run learns it, for a share of the budget: delete what stands here
kind, missing, granularity and max_rows_per_unit were read from the records too, and have no source:
a run takes them for public facts on your word.
role is quasi_identifier, sensitive, target, identifier or ordinary (the default).
"""


@dataclass(frozen=True)
class Note:
    """Something that the steward should look at. It never holds a value of a record."""

    column: str
    what: str
    why: str

    def __str__(self) -> str:
        where = f"{self.column}: " if self.column else ""
        return f"{where}{self.what} ({self.why})" if self.why else f"{where}{self.what}"


@dataclass(frozen=True)
class Draft:
    """A drafted schema, what to look at in it, and whether the records suffice."""

    schema: Schema
    notes: tuple[Note, ...]
    viability: Viability

    def to_toml(self) -> str:
        """The schema file, with a head that says what a draft is and what to look at."""
        lines = [*_HEAD.splitlines(), "", *_wrapped(self.viability.line)]
        if self.notes:
            lines += ["", "To look at:"]
            lines += [line for note in self.notes for line in _wrapped(f"  {note}")]
        comments = "\n".join(f"# {line}".rstrip() for line in lines)
        return f"{comments}\n\n{self.schema.to_toml()}"


def draft_schema(raw: pa.Table, dataset_id: str, *, epsilon: float = 1.0) -> Draft:
    """A schema for a raw table as `read_raw` gives it: kinds, domains, roles and the privacy unit.

    Columns of a file without types (all text) are tried as numbers, dates and booleans; numbers
    with leading zeros stay text. Direct identifiers become keys (`id`) or text that is dropped.

    >>> draft = draft_schema(pa.table({"age": [34, 51, 34], "sex": ["f", "m", "f"]}), "clinic")
    >>> draft.schema.columns["age"].upper, draft.schema.columns["sex"].categories
    (51, ('f', 'm'))
    """
    if raw.num_rows == 0 or raw.num_columns == 0:
        raise DataError("there are no records to draft a schema from")
    parse = all(is_text(field.type) for field in raw.schema)
    profiles = [
        profile(name, column, parse_numbers=parse)
        for name, column in zip(raw.column_names, raw.columns, strict=True)
    ]
    columns: dict[str, dict[str, Any]] = {}
    notes: list[Note] = []
    for column in profiles:
        columns[column.name], found = _describe(column)
        notes += found
    notes += _name_target(columns, profiles)
    privacy, found = _unit(columns, profiles)
    schema = Schema.parse(
        {"dataset": {"id": _clean(dataset_id)}, "privacy": privacy, "columns": columns}
    )
    units = {column.name: column.n_distinct for column in profiles}
    n_units = units.get(schema.privacy.unit, raw.num_rows)
    return Draft(schema, (*notes, *found), viability(n_units, schema, epsilon))


def _describe(column: Profile) -> tuple[dict[str, Any], list[Note]]:
    """The column as the schema file writes it, and what to look at."""
    if column.n_present == 0:
        why = "every value is missing; leave it out of the file and the schema"
        return _DROPPED, [Note(column.name, "dropped", why)]
    if (identifier := _identifier(column)) is not None:
        return identifier
    document, remarks = infer(column)
    role = role_by_name(column.name)
    notes = [Note(column.name, remark, "") for remark in remarks]
    if role != "ordinary":
        document = document | {"role": role}
        notes.append(Note(column.name, role.replace("_", "-"), "by its name"))
    if column.is_text:
        notes += [
            Note(
                column.name, f"values that look like {kind}: {n}", "remove them, or drop the column"
            )
            for kind, n in find_identifiers(column.values).items()
        ]
    return document, notes


_DROPPED: dict[str, Any] = {"kind": "text", "action": "drop"}
_KEY: dict[str, Any] = {"kind": "id", "role": "identifier"}
_DIRECT = {**_DROPPED, "role": "identifier"}

Described = tuple[dict[str, Any], list[Note]]


def _identifier(column: Profile) -> Described | None:
    """The column as a key or as text to be dropped, where it tells persons or records apart."""
    if (kind := name_suggests(column.name)) is not None and column.n_distinct > 2:
        return _direct(column, kind, "by its name")
    if (kind := _pattern(column)) is not None:
        return _direct(column, kind, "by the pattern of its values")
    if _is_person(column):
        return _key(column, "key of a person", "by its name")
    if _is_key(column):
        return _key(column, "key of a record", "its values do not repeat")
    if not column.is_text or column.n_present < _MIN_UNIQUE:
        return None
    if _is_free_text(column):
        why = "long and mostly different values; free text is not learned"
        return _DROPPED, [Note(column.name, "dropped: free text", why)]
    if column.share_distinct > 0.5 and matches_all(column.values, _PERSON_NAME):
        return _direct(column, "name", "by the pattern of its values")
    return None


def _direct(column: Profile, kind: str, why: str) -> Described:
    if kind in _KEYS:
        return _key(column, f"direct identifier: {kind}", why)
    return _DIRECT, [Note(column.name, f"dropped: direct identifier: {kind}", why)]


def _key(column: Profile, what: str, why: str) -> Described:
    missing = {"missing": True} if column.n_missing else {}
    return _KEY | missing, [Note(column.name, f"{what}; written as fresh surrogates", why)]


def _pattern(column: Profile) -> str | None:
    """The kind of identifier that most values look like."""
    hits = find_identifiers(column.values)
    kind = max(hits, key=hits.__getitem__, default=None)
    return kind if kind and hits[kind] >= 0.5 * column.n_present else None


def _is_person(column: Profile) -> bool:
    names_unit = names_a_person(column.name)
    return names_unit and _may_be_key(column) and column.n_distinct > _MIN_UNIQUE


def _is_key(column: Profile) -> bool:
    """Values that never repeat, and say so by name, by being text, or by counting up."""
    unique = column.n_distinct == column.n_present >= _MIN_UNIQUE
    if not unique or not _may_be_key(column):
        return False
    if column.is_text:
        return not _is_free_text(column) and not matches_all(column.values, _PERSON_NAME)
    ends = pc.min_max(column.values).as_py()
    return names_a_key(column.name) or ends["max"] - ends["min"] + 1 == column.n_present


def _may_be_key(column: Profile) -> bool:
    return column.is_text or column.is_whole


def _is_free_text(column: Profile) -> bool:
    if column.share_distinct < 0.5:
        return False
    length = pc.mean(pc.utf8_length(column.values)).as_py()
    spaces = pc.mean(pc.count_substring(column.values, " ")).as_py()
    return bool(length > 25 and spaces >= 3)


def _name_target(columns: dict[str, dict[str, Any]], profiles: list[Profile]) -> list[Note]:
    """Give one column the role of target: the likeliest by name, else the last with few values."""
    few = {
        column.name: column
        for column in profiles
        if columns[column.name]["kind"] in ("categorical", "ordinal", "boolean", "integer")
        and 2 <= column.n_distinct <= 20
    }
    ranks = {name: rank for name in few if (rank := target_rank(name)) is not None}
    if ranks:
        target, why = min(ranks, key=ranks.__getitem__), "by its name"
    elif few and profiles[-1].name in few:
        target, why = profiles[-1].name, "the last column, with few values"
    else:
        return []
    columns[target] = columns[target] | {"role": "target"}
    return [Note(target, "likely target", why)]


def _unit(
    columns: Mapping[str, Mapping[str, Any]], profiles: list[Profile]
) -> tuple[dict[str, Any], list[Note]]:
    """The privacy section: a person, where a person's key repeats."""
    persons = [
        column
        for column in profiles
        if columns[column.name]["kind"] == "id" and _tells_persons(column)
    ]
    repeated = [column for column in persons if column.n_distinct < column.n_present]
    if not repeated:
        return {"unit": "row"}, []
    column = repeated[0]
    if column.n_missing:
        why = f"values missing: {column.n_missing}; fill them in, then name it in privacy.unit"
        return {"unit": "row"}, [Note(column.name, "a person may have several rows", why)]
    most = _rows_bound(column)
    what = f"privacy unit, at most {most} rows a person"
    why = "persons have several rows; rows above the bound are dropped"
    return {"unit": column.name, "max_rows_per_unit": most}, [Note(column.name, what, why)]


def _tells_persons(column: Profile) -> bool:
    return names_a_person(column.name) or name_suggests(column.name) in ("ssn", "mrn")


def _rows_bound(column: Profile) -> int:
    """The smallest usual bound that keeps 95 % of the rows."""
    rows = pc.value_counts(column.values).field("counts")
    kept = (
        (bound, pc.sum(pc.min_element_wise(rows, bound)).as_py() / column.n_present)
        for bound in _MANY_ROWS
    )
    return next((bound for bound, share in kept if share >= 0.95), _MANY_ROWS[-1])


def _clean(dataset_id: str) -> str:
    """The name as an account of the ledger can bear it."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", dataset_id).strip("._-") or "dataset"


def _wrapped(text: str) -> list[str]:
    """The text in lines of a comment, without what would end one."""
    printable = re.sub(r"[\x00-\x1f\x7f]+", " ", text)
    return textwrap.wrap(printable, 96, subsequent_indent="    ")
