"""One raw column as a draft sees it: its values in the type that they are written in."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from privsynth.schema.patterns import DATE_TEXT, DATETIME_TEXT, INTEGER_TEXT, NUMBER_TEXT

_LEADING_ZERO = r"^\s*[+-]?0[0-9]"


@dataclass(frozen=True, repr=False)
class Profile:
    """A column's values, parsed where they are text, and how many there are of what."""

    name: str
    values: pa.ChunkedArray
    n_missing: int
    n_distinct: int

    @property
    def n_present(self) -> int:
        """The values that are not missing."""
        return len(self.values) - self.n_missing

    @property
    def share_distinct(self) -> float:
        """Distinct values over values present: 1 where no value repeats."""
        return self.n_distinct / max(self.n_present, 1)

    @property
    def is_text(self) -> bool:
        """Whether the values are text, also after parsing."""
        return is_text(self.values.type)

    @property
    def is_whole(self) -> bool:
        """Whether the values are stored as whole numbers."""
        return bool(pa.types.is_integer(self.values.type))

    def counts(self) -> dict[str, int]:
        """Each distinct value as text with the number of its rows, sorted by value."""
        counted = pc.value_counts(self.values.drop_null())
        pairs = zip(counted.field("values").cast(pa.string()).to_pylist(),
                    counted.field("counts").to_pylist(), strict=True)  # fmt: skip
        return dict(sorted(pairs, key=lambda pair: natural(pair[0])))

    def __repr__(self) -> str:
        return f"Profile({self.name!r}, {len(self.values)} values)"


def profile(name: str, column: pa.ChunkedArray, *, parse_numbers: bool) -> Profile:
    """What a draft needs to know of a column.

    Text is read as dates where all of it is; as whole numbers, numbers, true and false too where
    `parse_numbers` says that the file had no types of its own.

    >>> profile("age", pa.chunked_array([["40", "52", ""]]), parse_numbers=True)
    Profile('age', 3 values)
    """
    values = _plain(column)
    if is_text(values.type):
        values = _parsed(_blank_as_null(values.cast(pa.string())), parse_numbers)
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    return Profile(name, values, values.null_count, _n_distinct(values))


def is_text(kind: pa.DataType) -> bool:
    """Whether an Arrow type is text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def matches_all(values: pa.ChunkedArray, pattern: str) -> bool:
    """Whether every present value of a text column follows a pattern."""
    return bool(pc.all(pc.match_substring_regex(values, pattern)).as_py())


def natural(label: str) -> tuple[int, float, str]:
    """A key that sorts whole numbers by size, before other text."""
    digits = label.removeprefix("-")
    if digits.isdecimal() and digits.isascii():
        return 0, float(label), label
    return 1, 0.0, label


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    if pa.types.is_decimal(column.type):
        return column.cast(pa.float64())
    return column.cast(pa.string()) if pa.types.is_null(column.type) else column


def _blank_as_null(text: pa.ChunkedArray) -> pa.ChunkedArray:
    blank = pc.equal(pc.utf8_trim_whitespace(text), "")
    return pc.if_else(blank, pa.scalar(None, pa.string()), text)


def _parsed(text: pa.ChunkedArray, parse_numbers: bool) -> pa.ChunkedArray:
    if text.null_count == len(text):
        return text
    trimmed = pc.utf8_trim_whitespace(text)
    if parse_numbers and not pc.any(pc.match_substring_regex(text, _LEADING_ZERO)).as_py():
        if matches_all(text, INTEGER_TEXT):
            return _cast(trimmed, pa.int64(), pa.float64()) or text
        if matches_all(text, NUMBER_TEXT):
            return _cast(trimmed, pa.float64()) or text
    if parse_numbers and matches_all(text, r"(?i)^\s*(true|false)\s*$"):
        return pc.equal(pc.utf8_lower(trimmed), "true")
    if matches_all(text, DATE_TEXT):
        return _cast(trimmed, pa.date32(), pa.timestamp("us")) or text
    if matches_all(text, DATETIME_TEXT):
        return _cast(trimmed, pa.timestamp("us")) or text
    return text


def _cast(
    text: pa.ChunkedArray, to: pa.DataType, through: pa.DataType | None = None
) -> pa.ChunkedArray | None:
    try:
        return text.cast(through or to).cast(to)
    except pa.ArrowInvalid:
        return None


def _n_distinct(values: pa.ChunkedArray) -> int:
    try:
        n_distinct: int = pc.count_distinct(values, mode="only_valid").as_py()
    except pa.ArrowNotImplementedError:  # lists and structures cannot be compared
        n_distinct = len(values) - values.null_count
    return n_distinct
