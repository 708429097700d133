"""The schema: the public facts about a table, declared by the steward."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import tomlkit
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from privsynth.errors import SchemaError
from privsynth.schema.column import Column, IdColumn, Role, TextColumn
from privsynth.schema.rules import Constraint, columns_of


class Dataset(BaseModel):
    """What the ledger calls the table, and what people call it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    title: str = ""


class PrivacySection(BaseModel):
    """Who is protected: a row, or the person whom a column names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    unit: str = "row"
    max_rows_per_unit: int = Field(default=1, ge=1, le=1000)
    row_count: Literal["public", "private"] = "public"


class Schema(BaseModel):
    """The declared, public description of a table.

    >>> schema = Schema.parse({
    ...     "dataset": {"id": "clinic"},
    ...     "columns": {"age": {"kind": "integer", "lower": 0, "upper": 120}},
    ... })
    >>> schema
    Schema('clinic', 1 column, unit row)
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: Dataset
    privacy: PrivacySection = PrivacySection()
    columns: dict[str, Column] = Field(min_length=1)
    constraints: tuple[Constraint, ...] = ()

    @model_validator(mode="after")
    def _names_exist(self) -> Schema:
        unit = self.privacy.unit
        if unit != "row" and unit not in self.columns:
            raise ValueError(f"privacy.unit names {unit!r}, which is not a column")
        if unit == "row" and self.privacy.max_rows_per_unit != 1:
            raise ValueError("privacy.max_rows_per_unit is for a unit that is a column")
        if unit != "row" and self.columns[unit].missing:
            raise ValueError(f"columns.{unit}: the privacy unit cannot be missing")
        if unit != "row" and getattr(self.columns[unit], "other", False):
            # Persons outside the list would become one, and adding one would replace another.
            raise ValueError(f"columns.{unit}: the privacy unit cannot have other = true")
        for number, rule in enumerate(self.constraints, start=1):
            for name in columns_of(rule):
                if name not in self.columns:
                    raise ValueError(f"constraint {number} names {name!r}, which is not a column")
        return self

    @classmethod
    def load(cls, path: str | Path) -> Schema:
        """The schema in a TOML file; SchemaError says where it is wrong."""
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise SchemaError(f"schema file {path} does not exist") from None
        except (OSError, UnicodeDecodeError):
            raise SchemaError(f"schema file {path} cannot be read as UTF-8 text") from None
        try:
            return cls.parse(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            where = str(error).rpartition("(")[2].rstrip(")")
            raise SchemaError(f"schema file {path} is not valid TOML ({where})") from None
        except SchemaError as error:
            raise SchemaError(f"schema file {path}: {error}") from None

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Schema:
        """The schema in a nested mapping, as read from TOML or JSON."""
        try:
            return cls.model_validate(dict(document))
        except ValidationError as error:
            raise SchemaError(_first_fault(error)) from None

    def to_dict(self) -> dict[str, Any]:
        """The schema as plain values that `parse` takes; defaults are left out, but for privacy."""
        document = {"dataset": {}, "privacy": {}} | self.model_dump(
            exclude_defaults=True, exclude_none=True, mode="python"
        )
        document["privacy"] = self.privacy.model_dump()
        for name, column in self.columns.items():
            document["columns"][name] = {"kind": column.kind} | document["columns"].get(name, {})
            if source := getattr(column, "source", None):
                document["columns"][name]["source"] = source
        document["constraints"] = [
            {"kind": rule.kind} | rule.model_dump(exclude_defaults=True, exclude_none=True)
            for rule in self.constraints
        ]
        if not self.constraints:
            del document["constraints"]
        return document

    def to_json(self) -> str:
        """The schema as JSON with sorted keys: the form that is hashed."""
        return json.dumps(self.to_dict(), sort_keys=True, default=str)

    def to_toml(self) -> str:
        """The schema as TOML, which `load` takes."""
        return tomlkit.dumps(_listed(self.to_dict()))

    def save(self, path: str | Path) -> None:
        """Write the schema as TOML."""
        Path(path).write_text(self.to_toml(), encoding="utf-8")

    def without(self, names: Iterable[str]) -> Schema:
        """The schema without some columns, and without the rules that name one or may do so."""
        gone = set(names)
        if not gone:
            return self
        kept = {name: column for name, column in self.columns.items() if name not in gone}
        rules = tuple(
            rule for rule in self.constraints if (of := columns_of(rule)) and not gone & set(of)
        )
        return self.model_copy(update={"columns": kept, "constraints": rules})

    def with_role(self, role: Role) -> tuple[str, ...]:
        """The names of the columns with that role, in order."""
        return tuple(name for name, column in self.columns.items() if column.role == role)

    @property
    def modelled(self) -> tuple[str, ...]:
        """The columns that a generator learns: all but keys and free text."""
        return tuple(
            name
            for name, column in self.columns.items()
            if not isinstance(column, IdColumn | TextColumn)
        )

    @property
    def released(self) -> tuple[str, ...]:
        """The columns of the synthetic table: all but text that is dropped."""
        return tuple(
            name
            for name, column in self.columns.items()
            if not (isinstance(column, TextColumn) and column.action == "drop")
        )

    @property
    def from_data(self) -> tuple[str, ...]:
        """The columns whose range or categories were read from the records."""
        return self.with_source("data")

    def with_source(self, source: str) -> tuple[str, ...]:
        """The columns whose range or categories have that source."""
        return tuple(
            name
            for name, column in self.columns.items()
            if getattr(column, "source", "declared") == source
        )

    def require_text_decision(self) -> None:
        """Refuse free text about which the schema says nothing."""
        for name, column in self.columns.items():
            if isinstance(column, TextColumn) and column.action is None:
                raise SchemaError(
                    f"column {name!r}: free text is not synthesised; set "
                    'action = "drop", or action = "fake" with a provider'
                )

    def require_learnable(self, is_private: bool) -> None:
        """Refuse a schema from which no generator can learn, or not under a finite epsilon."""
        self.require_text_decision()
        if not self.modelled:
            raise SchemaError("no column is left to learn: all are keys or free text")
        if is_private and (names := self.from_data):
            plural = "" if len(names) == 1 else "s"
            raise SchemaError(
                f"column{plural} {', '.join(map(repr, names))}: the domain was read from the "
                'records (source = "data"), which a finite epsilon forbids; declare it (source = '
                '"declared"), let the run learn it (source = "private", without it), or run with '
                "--no-privacy"
            )

    def __repr__(self) -> str:
        plural = "" if len(self.columns) == 1 else "s"
        return (
            f"Schema({self.dataset.id!r}, {len(self.columns)} column{plural}, "
            f"unit {self.privacy.unit})"
        )

    __str__ = __repr__


def json_schema() -> dict[str, Any]:
    """The published JSON Schema of the schema file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Schema.model_json_schema(),
        "title": "privsynth/schema/1",
        "description": "The declared, public description of a table.",
    }


def _listed(value: Any) -> Any:
    """The same document with lists for tuples, which TOML writers want."""
    if isinstance(value, Mapping):
        return {key: _listed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_listed(item) for item in value]
    return value


def _first_fault(error: ValidationError) -> str:
    """One line for the first fault: where it is, what the rule is, the nearest known key."""
    faults = error.errors(include_url=False, include_input=False)
    unknown = [fault for fault in faults if fault["type"] == "extra_forbidden"]
    fault = (unknown or faults)[0]
    place, kinds = list(fault["loc"]), _kinds_at(fault["loc"])
    if fault["type"] == "extra_forbidden":
        key = str(place.pop())
        return f"{_where(place) or 'the top level'}: unknown key {key!r}{_nearest(key, place)}"
    messages = {
        "missing": "is missing",
        "union_tag_not_found": "needs a kind",
        "union_tag_invalid": f"unknown kind; known kinds: {', '.join(kinds)}",
    }
    message = messages.get(fault["type"]) or fault["msg"].removeprefix("Value error, ")
    return f"{_where(place) or 'schema'}: {message[:1].lower()}{message[1:]}"


Place = Sequence[str | int]


def _where(place: Place) -> str:
    """A place in the file as a person would name it; pydantic puts the kind third."""
    parts = [str(part) for part in place]
    if parts[2:3] and parts[2] in _kinds_at(place):
        del parts[2]
    if parts[:1] == ["constraints"] and len(parts) > 1:
        parts[:2] = [f"constraint {int(parts[1]) + 1}"]
    return ".".join(parts)


def _nearest(key: str, place: Place) -> str:
    known = _known_keys(place)
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; known keys: {', '.join(sorted(known))}"


def _known_keys(place: Place) -> list[str]:
    """The keys that are allowed where a fault was found."""
    if not place:
        return list(Schema.model_fields)
    if len(place) > 2:
        return list(_kinds_at(place)[str(place[2])].model_fields)
    sections: dict[str | int, type[BaseModel]] = {"dataset": Dataset, "privacy": PrivacySection}
    return list(sections[place[0]].model_fields)


def _kinds_at(place: Place) -> dict[str, type[BaseModel]]:
    """The kinds of column, or of constraint, that may stand at a place."""
    alias = {"columns": Column, "constraints": Constraint}.get(str(place[0]) if place else "")
    return _by_kind(_members(alias)) if alias else {}


def _by_kind(models: Iterable[type[BaseModel]]) -> dict[str, type[BaseModel]]:
    return {
        str(model.model_fields["kind"].annotation.__args__[0]): model  # type: ignore[union-attr]
        for model in models
    }


def _members(alias: Any) -> tuple[type[BaseModel], ...]:
    """The models of an annotated union."""
    return tuple(alias.__origin__.__args__)
