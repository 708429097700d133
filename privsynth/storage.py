"""The type in which a column goes out, whatever its values: a released type is an answer too.

pandas and Arrow read types off the values: the scale of decimals off the longest, whole numbers
as doubles where one is missing, the unit of moments off the finest. Such a type would say, and
nobody would pay for it, what one record holds.
"""

from __future__ import annotations

import pyarrow as pa

from privsynth.schema import (
    OTHER,
    CategoricalColumn,
    Column,
    DateColumn,
    DatetimeColumn,
    IdColumn,
    IntegerColumn,
    NumericColumn,
    OrdinalColumn,
    TextColumn,
)

_INFERRED = (pa.int64(), pa.uint64(), pa.float64())


def storage_type(came: pa.DataType, canonical: pa.DataType, column: Column) -> pa.DataType:
    """The type in which a column goes out: as it came, where every release can keep to it.

    Numbers stay numbers and moments stay moments. A narrower type (int8, float32) is kept where
    nothing can be missing: only who wrote the file can have chosen it.

    >>> age = IntegerColumn(lower=0, upper=120)
    >>> storage_type(pa.int8(), pa.int64(), age), storage_type(pa.float64(), pa.int64(), age)
    (DataType(int8), DataType(int64))
    """
    if pa.types.is_dictionary(came):
        came = came.value_type
    came = _whatever_the_values(came, column)
    never = (
        _is_text(came)
        or pa.types.is_null(came)
        or isinstance(column, TextColumn)
        or (pa.types.is_date(came) and pa.types.is_timestamp(canonical))
    )
    return came if not never and _holds(came, canonical, column) else canonical


def _is_text(kind: pa.DataType) -> bool:
    return kind in (pa.string(), pa.large_string(), pa.string_view())


def _whatever_the_values(came: pa.DataType, column: Column) -> pa.DataType:
    """The type that stands for all those in which other values of the column may have come."""
    if pa.types.is_timestamp(came):
        return pa.timestamp("us")
    is_float = pa.types.is_floating(came)
    if not (is_float or pa.types.is_integer(came) or pa.types.is_decimal(came)):
        return came
    fractions = _has_fractions(column)
    inferred = came in _INFERRED or pa.types.is_decimal(came)
    may_be_missing = column.missing or isinstance(column, IdColumn)
    if not inferred and not may_be_missing and (fractions or not is_float):
        return came
    return pa.float64() if fractions else pa.int64()


def _has_fractions(column: Column) -> bool:
    """Whether values of the column that are numbers need not be whole."""
    if isinstance(column, NumericColumn):
        on_whole_numbers = (column.granularity, column.lower, column.upper)
        return not all(each is not None and each == int(each) for each in on_whole_numbers)
    return any("." in label for label in getattr(column, "categories", ()))


def _holds(kind: pa.DataType, canonical: pa.DataType, column: Column) -> bool:
    """Whether a type can keep every value of the column's domain."""
    hardest = pa.array(_hardest(column), canonical)
    try:
        kept = hardest.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    labels = isinstance(column, CategoricalColumn | OrdinalColumn) and pa.types.is_integer(kind)
    return not labels or bool(kept.cast(canonical).equals(hardest))  # "01" is not 1


def _hardest(column: Column) -> list[object]:
    """The values of a column's domain that are the hardest to keep in another type."""
    match column:
        case CategoricalColumn() | OrdinalColumn():
            may_be_other = column.other or column.source == "private"
            return [*column.categories, OTHER] if may_be_other else [*column.categories]
        case IntegerColumn(lower=None) | IntegerColumn(upper=None):
            return [-(2**53), 2**53]
        case NumericColumn() if _has_fractions(column):
            return [column.lower, column.upper, 0.5]
        case IntegerColumn() | NumericColumn() | DateColumn() | DatetimeColumn():
            return [column.lower, column.upper]
        case _:
            return []
