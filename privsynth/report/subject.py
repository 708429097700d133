"""What the report is about: the data set, its unit and its columns, as the schema declares them."""

from __future__ import annotations

from typing import Any

from privsynth.privacy.budget import PrivacyUnit
from privsynth.schema import (
    BooleanColumn,
    CategoricalColumn,
    Column,
    IdColumn,
    OrdinalColumn,
    Schema,
    TextColumn,
)
from privsynth.schema.safe_harbor import safe_harbor

_SOURCES = {
    "declared": "declared",
    "documentation": "documentation",
    "private": "learned privately, charged",
    "data": "read from the records",
}


def subject_of(schema: Schema) -> dict[str, Any]:
    """Data set, unit and columns: public facts, all of them."""
    return {
        "dataset": schema.dataset.id,
        "title": schema.dataset.title,
        "unit": PrivacyUnit.of(schema).describe(),
        "row_count": schema.privacy.row_count,
        "n_rules": len(schema.constraints),
        "safe_harbor": [
            {"class": each.letter, "title": each.title, "columns": dict(each.columns)}
            for each in safe_harbor(schema)
        ],
        "columns": [
            {
                "name": name,
                "kind": column.kind,
                "role": column.role,
                "missing": column.missing,
                "source": _SOURCES[getattr(column, "source", "declared")],
                "domain": domain(column),
                "released": name in schema.released,
                "description": column.description,
            }
            for name, column in schema.columns.items()
        ],
    }


def domain(column: Column, n_categories: int = 0) -> str:
    """The public domain in words; the first `n_categories` of a list by name.

    >>> from privsynth.schema import IntegerColumn
    >>> domain(IntegerColumn(lower=17, upper=90))
    '17 to 90'
    """
    if isinstance(column, IdColumn):
        return "fresh surrogate keys"
    if isinstance(column, BooleanColumn):
        return "true or false"
    if isinstance(column, TextColumn):
        return f"invented by Faker ({column.provider})" if column.action == "fake" else "dropped"
    if column.source == "private":
        return "learned from the records by a charged mechanism"
    if column.source == "data":
        return "read from the records"
    if isinstance(column, CategoricalColumn | OrdinalColumn):
        return _categories(column, n_categories)
    return f"{_bound(column.lower)} to {_bound(column.upper)}{_steps(column)}"


def _bound(value: object) -> str:
    """A bound as people write it: no grouping, which would make a year look odd."""
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _steps(column: Column) -> str:
    step = getattr(column, "granularity", None)
    if isinstance(step, float):
        return f", in steps of {step:g}"
    return f", by the {step}" if step else ""


def _categories(column: CategoricalColumn | OrdinalColumn, n_named: int) -> str:
    other = ", others pooled" if column.other else ""
    if not n_named:
        return f"{len(column.categories)} categories{other}"
    named = ", ".join(column.categories[:n_named])
    more = len(column.categories) - n_named
    return f"{named}{f' and {more} more' if more > 0 else ''}{other}"
