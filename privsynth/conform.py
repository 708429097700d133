"""Make raw Arrow columns keep to a schema: types first, then domains; refuse with counts."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from typing import NoReturn, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from privsynth.errors import DataError, SchemaError
from privsynth.schema import (
    OTHER,
    BooleanColumn,
    CategoricalColumn,
    Column,
    DateColumn,
    DatetimeColumn,
    IdColumn,
    IntegerColumn,
    NumericColumn,
    OrdinalColumn,
    RangeColumn,
    Schema,
    TextColumn,
)
from privsynth.schema.patterns import (
    DATE_TEXT,
    DATETIME_TEXT,
    INTEGER_TEXT,
    NUMBER_TEXT,
)
from privsynth.storage import storage_type

EMPTY = "every value is missing"
"""Why a column is left out, or refused, in which nothing stands."""


class _NoValueError(SchemaError):
    """A column in which nothing stands."""


Conformed: TypeAlias = tuple[pa.Table, dict[str, pa.DataType], dict[str, str]]
"""Columns in canonical types, the types in which they go out, and why others are left out."""


def conform(raw: pa.Table, schema: Schema, *, leave_out_empty: bool = False) -> Conformed:
    """The columns of the schema; SchemaError where one is not there or breaks a rule."""
    _same_columns(raw.column_names, list(schema.columns))
    columns: dict[str, pa.ChunkedArray] = {}
    storage: dict[str, pa.DataType] = {}
    left_out: dict[str, str] = {}
    for name in schema.columns:
        try:
            columns[name], storage[name] = _conformed(name, raw.column(name), schema)
        except _NoValueError:
            if not leave_out_empty:
                raise
            left_out[name] = EMPTY
    return pa.table(columns), storage, left_out


def conform_what_fits(raw: pa.Table, schema: Schema) -> Conformed:
    """The columns that keep to the schema; those that are simply not there are not named."""
    columns: dict[str, pa.ChunkedArray] = {}
    storage: dict[str, pa.DataType] = {}
    left_out = {n: "not in the schema" for n in raw.column_names if n not in schema.columns}
    for name in schema.columns:
        n_times = raw.column_names.count(name)
        if n_times > 1:
            left_out[name] = "the name occurs more than once in the table"
        if n_times != 1:
            continue
        try:
            columns[name], storage[name] = _conformed(name, raw.column(name), schema)
        except SchemaError as error:  # what follows the semicolon is advice to the steward
            left_out[name] = str(error).removeprefix(f"column {name!r}: ").partition("; ")[0]
    return pa.table(columns), storage, left_out


def _conformed(
    name: str, raw: pa.ChunkedArray, schema: Schema
) -> tuple[pa.ChunkedArray, pa.DataType]:
    """One column in its canonical type, and the type in which it goes out."""
    with suppress(pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return _read_by_its_rules(name, raw, schema)
    # Out here, where Arrow's error, which may quote a value, is neither cause nor context.
    kind = schema.columns[name].kind
    raise SchemaError(f"column {name!r}: {_kind(raw)} cannot be read as {kind}")


def _read_by_its_rules(
    name: str, raw: pa.ChunkedArray, schema: Schema
) -> tuple[pa.ChunkedArray, pa.DataType]:
    column = schema.columns[name]
    # Of strings in several chunks pyarrow's `if_else` and `is_in` make a damaged array.
    source = pa.chunked_array([raw.combine_chunks()])
    if pa.types.is_float16(source.type):  # Arrow compares and rounds wider ones alone
        source = source.cast(pa.float32())
    typed = typed_column(name, source, column)
    _check_missing(name, typed, column)
    _check_unit(name, typed, schema)
    typed = _in_domain(name, typed, column)
    return typed, storage_type(source.type, typed.type, column)


def _same_columns(found: list[str], declared: list[str]) -> None:
    if repeated := sorted({name for name in found if found.count(name) > 1}):
        raise DataError(f"column {repeated[0]!r}: the name occurs more than once in the table")
    if absent := [name for name in declared if name not in found]:
        raise SchemaError(
            f"column {absent[0]!r}: in the schema, but not in the table{_more(absent)}"
        )
    if extra := [name for name in found if name not in declared]:
        raise SchemaError(
            f"column {extra[0]!r}: in the table, but not in the schema{_more(extra)}; "
            "describe it there or leave it out of the file"
        )


def _more(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""


def fail(name: str, n_bad: int, rule: str) -> NoReturn:
    """Raise for `n_bad` values of a column that break a rule; never shows the values."""
    if n_bad == 1:
        for many, one in _SINGULAR.items():
            rule = rule.replace(many, one, 1)
    raise SchemaError(f"column {name!r}: {n_bad} value{'' if n_bad == 1 else 's'} {rule}")


_SINGULAR = {
    "are not whole numbers": "is not a whole number",
    "are not numbers": "is not a number",
    "are not dates": "is not a date",
    "are not date-times": "is not a date-time",
    "are ": "is ",
    "lie ": "lies ",
    "add them": "add it",
}


def typed_column(name: str, source: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    """The column in its canonical type; whether values are in its domain is not asked."""
    if pa.types.is_dictionary(source.type):
        source = source.cast(source.type.value_type)
    if pa.types.is_null(source.type):
        source = source.cast(pa.string())
    if pa.types.is_large_string(source.type):
        source = source.cast(pa.string())
    match column:
        case IntegerColumn():
            return _integers(name, source)
        case NumericColumn():
            return _numbers(name, source)
        case BooleanColumn():
            return _booleans(name, source)
        case DateColumn():
            return _moments(name, source, DATE_TEXT, "are not dates (YYYY-MM-DD)", pa.date32())
        case DatetimeColumn():
            return _moments(
                name, source, DATETIME_TEXT, "are not date-times (ISO 8601)", pa.timestamp("us")
            )
        case _:
            return _text(name, source)


def _blank_is_missing(source: pa.ChunkedArray) -> pa.ChunkedArray:
    blank = pc.equal(pc.utf8_trim_whitespace(source), "")
    return pc.if_else(blank, pa.scalar(None, pa.string()), source)


def _parsed(
    name: str, source: pa.ChunkedArray, pattern: str, rule: str, to: pa.DataType
) -> pa.ChunkedArray:
    """Text that follows a pattern, cast; refuses text that does not."""
    text = _blank_is_missing(source)
    fits = pc.fill_null(pc.match_substring_regex(text, pattern), True)
    if n_bad := text.length() - pc.sum(fits).as_py():
        fail(name, n_bad, rule)
    try:
        return pc.utf8_trim_whitespace(text).cast(to)
    except pa.ArrowInvalid:
        n_bad = sum(_unreadable(value, to) for value in text.to_pylist())
    fail(name, n_bad, rule)  # out here, where Arrow's error, which quotes a value, is no cause


def _unreadable(text: str | None, to: pa.DataType) -> bool:
    if text is None:
        return False
    try:
        pa.scalar(text.strip()).cast(to)
    except pa.ArrowInvalid:
        return True
    return False


def _integers(name: str, source: pa.ChunkedArray) -> pa.ChunkedArray:
    rule = "are not whole numbers"
    if pa.types.is_string(source.type):
        numbers = _finite(name, _parsed(name, source, NUMBER_TEXT, rule, pa.float64()))
    else:
        numbers = _finite(name, _plain_number(name, source))
    if pa.types.is_floating(numbers.type):
        whole = pc.fill_null(pc.equal(pc.round(numbers), numbers), True)
        if n_bad := numbers.length() - pc.sum(whole).as_py():
            fail(name, n_bad, rule)
    if pa.types.is_string(source.type):
        return _read_exactly(name, source, numbers)
    with suppress(pa.ArrowInvalid):
        return numbers.cast(pa.int64())
    raise SchemaError(f"column {name!r}: values do not fit in 64 bits")


def _read_exactly(name: str, text: pa.ChunkedArray, numbers: pa.ChunkedArray) -> pa.ChunkedArray:
    """Whole numbers from text; those beyond the doubles' exact range from their digits."""
    long = pc.fill_null(pc.greater_equal(pc.abs(numbers), _EXACT), False)
    has_digits = pc.fill_null(pc.match_substring_regex(text, INTEGER_TEXT), False)
    if too_large := pc.sum(pc.and_not(long, has_digits)).as_py():
        fail(name, too_large, "are too large: whole numbers of at most 18 digits are read")
    digits = pc.replace_substring_regex(pc.utf8_trim_whitespace(text), r"^[+]|\.0+$", "")
    exact = pc.if_else(long, digits, pa.scalar(None, pa.string())).cast(pa.int64())
    short = pc.if_else(long, pa.scalar(None, pa.float64()), numbers).cast(pa.int64())
    return pc.coalesce(exact, short)


def _numbers(name: str, source: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_string(source.type):
        source = _parsed(name, source, NUMBER_TEXT, "are not numbers", pa.float64())
    # Whole numbers beyond the doubles' exact range become the nearest double.
    return _finite(name, _plain_number(name, source)).cast(pa.float64(), safe=False)


def _plain_number(name: str, source: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_boolean(source.type):
        raise SchemaError(f"column {name!r}: holds true and false where numbers are declared")
    if pa.types.is_decimal(source.type):
        return source.cast(pa.float64())
    if not (pa.types.is_integer(source.type) or pa.types.is_floating(source.type)):
        raise SchemaError(f"column {name!r}: holds {_kind(source)} where numbers are declared")
    return source


def _finite(name: str, numbers: pa.ChunkedArray) -> pa.ChunkedArray:
    """NaN is a missing entry; infinity is refused."""
    if not pa.types.is_floating(numbers.type):
        return numbers
    infinite = pc.sum(pc.fill_null(pc.is_inf(numbers), False)).as_py() or 0
    if infinite:
        fail(name, infinite, "are infinite")
    return pc.if_else(pc.is_nan(numbers), pa.scalar(None, numbers.type), numbers)


_EXACT = pa.scalar(2.0**53, pa.float64())  # whole numbers below it lose nothing as floats
_TRUE = ["true", "t", "yes", "y", "1"]
_FALSE = ["false", "f", "no", "n", "0"]


def _booleans(name: str, source: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_boolean(source.type):
        return source
    if pa.types.is_integer(source.type) or pa.types.is_floating(source.type):
        source = _integers(name, source).cast(pa.string())
    if not pa.types.is_string(source.type):
        raise SchemaError(f"column {name!r}: holds {_kind(source)} where a boolean is declared")
    text = pc.utf8_lower(pc.utf8_trim_whitespace(_blank_is_missing(source)))
    true, false = pc.is_in(text, pa.array(_TRUE)), pc.is_in(text, pa.array(_FALSE))
    known = pc.or_(pc.or_(true, false), pc.is_null(text))
    if n_bad := text.length() - pc.sum(known).as_py():
        fail(name, n_bad, "are neither true nor false")
    return pc.if_else(pc.is_null(text), pa.scalar(None, pa.bool_()), true)


def _moments(
    name: str, source: pa.ChunkedArray, pattern: str, rule: str, to: pa.DataType
) -> pa.ChunkedArray:
    """Dates or date-times, from text or from any temporal type; a time zone is read as UTC."""
    if pa.types.is_string(source.type):
        parsed = _parsed(name, source, pattern, rule, pa.timestamp("us"))
    elif pa.types.is_timestamp(source.type):
        unit = source.type.unit  # of nanoseconds fractions are left out
        parsed = source.cast(pa.timestamp(unit)).cast(pa.timestamp("us"), safe=unit != "ns")
    elif pa.types.is_date(source.type):
        parsed = _days(name, source)
    else:
        raise SchemaError(f"column {name!r}: holds {_kind(source)} where dates are declared")
    return parsed.cast(to, safe=False)


def _days(name: str, source: pa.ChunkedArray) -> pa.ChunkedArray:
    with suppress(pa.ArrowInvalid):
        return source.cast(pa.timestamp("us"))
    raise SchemaError(f"column {name!r}: dates lie further from 1970 than can be read")


def _kind(source: pa.ChunkedArray) -> str:
    """The type of a column in words, without the fields of nested ones: these may be values."""
    return str(source.type).partition("<")[0]


def _text(name: str, source: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_floating(source.type):
        return _numbers_as_text(_finite(name, source))
    if pa.types.is_decimal(source.type):
        return _decimals_as_text(source)
    return source.cast(pa.string())


def _numbers_as_text(numbers: pa.ChunkedArray) -> pa.ChunkedArray:
    """Whole numbers without an exponent, each by itself: no record decides for the others."""
    whole = pc.and_(pc.equal(pc.round(numbers), numbers), pc.less(pc.abs(numbers), _EXACT))
    integers = pc.if_else(whole, numbers, pa.scalar(0, numbers.type)).cast(pa.int64())
    return pc.if_else(whole, integers.cast(pa.string()), numbers.cast(pa.string()))


def _decimals_as_text(decimals: pa.ChunkedArray) -> pa.ChunkedArray:
    """Decimals without the zeros at their end: their scale is that of the longest of them."""
    encoded = decimals.combine_chunks().dictionary_encode()
    texts = [f"{value:f}" for value in encoded.dictionary.to_pylist()]
    short = [text.rstrip("0").rstrip(".") if "." in text else text for text in texts]
    return pa.chunked_array([pa.array(short, pa.string()).take(encoded.indices)])


def _check_missing(name: str, typed: pa.ChunkedArray, column: Column) -> None:
    if typed.null_count == len(typed) and not isinstance(column, TextColumn | IdColumn):
        raise _NoValueError(f"column {name!r}: {EMPTY}; leave it out of the file and the schema")
    if typed.null_count and not column.missing and not isinstance(column, TextColumn | IdColumn):
        fail(name, typed.null_count, "are missing, and the schema does not say missing = true")


def _check_unit(name: str, typed: pa.ChunkedArray, schema: Schema) -> None:
    if name == schema.privacy.unit and typed.null_count:
        fail(name, typed.null_count, "are missing, but this column names the privacy unit")


def _in_domain(name: str, typed: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    match column:
        case CategoricalColumn() | OrdinalColumn():
            return _known_categories(name, typed, column)
        case IntegerColumn() | NumericColumn() | DateColumn() | DatetimeColumn():
            return _in_range(name, typed, column)
        case _:
            return typed


def _known_categories(
    name: str, typed: pa.ChunkedArray, column: CategoricalColumn | OrdinalColumn
) -> pa.ChunkedArray:
    """Labels of the list; others go to the bucket, are learned privately, or are refused."""
    if not column.categories:  # they are learned
        return typed
    # Blank text is a missing entry, unless the list holds it.
    if "" not in column.categories:
        typed = _blank_is_missing(typed)
        _check_missing(name, typed, column)
    known = pc.or_(pc.is_in(typed, pa.array(column.categories)), pc.is_null(typed))
    n_bad = len(typed) - pc.sum(known).as_py()
    if not n_bad:
        return typed
    if not column.other:
        fail(name, n_bad, "are not in its list of categories; add them, or set other = true")
    return pc.if_else(known, typed, pa.scalar(OTHER))


def _in_range(
    name: str,
    typed: pa.ChunkedArray,
    column: IntegerColumn | NumericColumn | DateColumn | DatetimeColumn,
) -> pa.ChunkedArray:
    if n_bad := int((~within_bounds(typed, column)).sum()):
        fail(name, n_bad, f"lie outside its domain [{column.lower}, {column.upper}]")
    return typed


def within_bounds(values: pa.Array | pa.ChunkedArray, column: RangeColumn) -> NDArray[np.bool_]:
    """Which values are missing or inside the bounds of the column, (n,), where it has both."""
    if column.lower is None or column.upper is None:
        return np.ones(len(values), dtype=bool)
    lower, upper = (_scalar(bound, values.type) for bound in (column.lower, column.upper))
    inside = pc.and_(pc.greater_equal(values, lower), pc.less_equal(values, upper))
    return np.asarray(pc.fill_null(inside, True).to_numpy(zero_copy_only=False), dtype=bool)


def _scalar(bound: float | dt.date, to: pa.DataType) -> pa.Scalar:
    return pa.scalar(bound).cast(to) if not isinstance(bound, float) else pa.scalar(bound, to)
