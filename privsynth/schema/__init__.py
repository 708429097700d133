"""Schema: column kinds, domains with their provenance, and the draft that `inspect` writes."""

from privsynth.schema.column import (
    OTHER,
    BooleanColumn,
    CategoricalColumn,
    CategoryColumn,
    Column,
    DateColumn,
    DatetimeColumn,
    IdColumn,
    IntegerColumn,
    NumericColumn,
    OrdinalColumn,
    RangeColumn,
    TextColumn,
)
from privsynth.schema.schema import Dataset, PrivacySection, Schema, json_schema

__all__ = [
    "OTHER",
    "BooleanColumn",
    "CategoricalColumn",
    "CategoryColumn",
    "Column",
    "Dataset",
    "DateColumn",
    "DatetimeColumn",
    "IdColumn",
    "IntegerColumn",
    "NumericColumn",
    "OrdinalColumn",
    "PrivacySection",
    "RangeColumn",
    "Schema",
    "TextColumn",
    "json_schema",
]
