"""The kind of a column and its domain, read from records: what a draft says and nobody declared."""

from __future__ import annotations

import datetime as dt
import re
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from privsynth.schema.column import OTHER
from privsynth.schema.hints import names_a_code
from privsynth.schema.profile import Profile, matches_all

MAX_LISTED = 100
"""The longest category list that a draft writes out; longer ones are left to be learned."""

_RARE = 10
_FEW = 10
_DAY_IN_MICROSECONDS = 86_400_000_000
_SCALES = (
    ("very low", "low", "medium", "high", "very high"),
    ("low", "moderate", "high"),
    ("none", "mild", "moderate", "severe", "very severe"),
    ("never", "rarely", "sometimes", "often", "always"),
    ("poor", "fair", "good", "very good", "excellent"),
    ("small", "medium", "large"),
    ("i", "ii", "iii", "iv", "v"),
)
_BAND = re.compile(
    r"^(?P<open>[<>≤≥]=?)?[\[(]?(?P<low>[0-9]+(?:\.[0-9]+)?)"
    r"(?:\s*(?:-|–|to|,)\s*(?P<high>[0-9]+(?:\.[0-9]+)?)[\])]?|(?P<plus>\+))?$"
)
_FOREIGN_DATE = (
    r"^\s*[0-9]{1,4}[./-][0-9]{1,2}[./-][0-9]{1,4}([ T].*)?$"
    r"|^[0-9-]{10}T.*(Z|[+-][0-9:]{5,6})$"
)

Document = dict[str, Any]
Inferred = tuple[Document, list[str]]


def infer(column: Profile) -> Inferred:
    """The kind and domain of a column as the schema file has them, with what to look at."""
    kind = column.values.type
    if column.is_text:
        document, remarks = _labels(column)
    elif column.is_whole:
        document, remarks = _whole_numbers(column)
    elif pa.types.is_floating(kind):
        document, remarks = _numbers(column)
    elif pa.types.is_boolean(kind):
        document, remarks = {"kind": "boolean"}, []
    elif pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        document, remarks = _moments(column), []
    else:
        document, remarks = {"kind": "text", "action": "drop"}, [f"{kind} values are not learned"]
    if column.n_distinct == 1:
        remarks.append("every value is the same")
    missing = {"missing": True} if column.n_missing else {}
    return document | missing, remarks


def _labels(column: Profile) -> Inferred:
    remarks = []
    if column.is_text and matches_all(column.values, _FOREIGN_DATE):
        remarks.append("looks like dates; write them as YYYY-MM-DD, or YYYY-MM-DDTHH:MM:SS")
    if column.n_distinct > MAX_LISTED:
        return _private(column, remarks)
    counts = column.counts()
    labels = [label for label in counts if label != OTHER]
    if not labels:
        return _private(column, remarks)
    other = {"other": True} if len(labels) < len(counts) else {}
    if n_rare := sum(n < _RARE for n in counts.values()):
        remarks.append(
            f"rare categories (under {_RARE} rows): {n_rare} of {len(counts)}; "
            "keep those that anybody may know, and set other = true for the rest"
        )
    if (ordered := _in_order(labels)) is not None:
        return {"kind": "ordinal", "categories": ordered, "source": "data"} | other, remarks
    return {"kind": "categorical", "categories": labels, "source": "data"} | other, remarks


def _private(column: Profile, remarks: list[str]) -> Inferred:
    remark = f'{column.n_distinct:,} categories; source = "private" learns the frequent ones'
    return {"kind": "categorical", "source": "private"}, [*remarks, remark]


def _in_order(labels: list[str]) -> list[str] | None:
    """The labels by size where they are numeric bands or a well-known scale."""
    if len(labels) < 3:
        return None
    lowered = {label.strip().lower(): label for label in labels}
    for scale in _SCALES:
        if len(lowered) == len(labels) and set(lowered) <= set(scale):
            return [lowered[step] for step in scale if step in lowered]
    bands = [_BAND.match(label.strip()) for label in labels]
    if not all(bands) or not any(band and _is_range(band) for band in bands):
        return None
    keys = {label: _band_key(band) for label, band in zip(labels, bands, strict=True) if band}
    return sorted(labels, key=keys.__getitem__)


def _is_range(band: re.Match[str]) -> bool:
    return band["high"] is not None and float(band["high"]) > float(band["low"])


def _band_key(band: re.Match[str]) -> tuple[float, int]:
    """Bands sort by their lower end; an open one stands before or after it."""
    sign = (band["open"] or band["plus"] or "")[:1]
    return float(band["low"]), {"<": -1, "≤": -1, ">": 1, "≥": 1, "+": 1}.get(sign, 0)


def _whole_numbers(column: Profile) -> Inferred:
    lower, upper = (pc.min_max(column.values).as_py()[key] for key in ("min", "max"))
    if upper - lower == 1 or names_a_code(column.name):
        return _labels(column)
    few = column.n_distinct <= _FEW
    remarks = ["few values; make it categorical or ordinal if they are codes"] if few else []
    return {"kind": "integer", **_between(lower, upper, 1), "source": "data"}, remarks


def _numbers(column: Profile) -> Inferred:
    present = column.values.drop_null().to_numpy().astype(np.float64)
    finite = present[np.isfinite(present)]
    if not len(finite):
        return {"kind": "text", "action": "drop"}, ["no value is finite; leave the column out"]
    infinite = len(present) - len(finite)
    remarks = [f"infinite values: {infinite}; a run refuses them"] if infinite else []
    step = _granularity(finite)
    lower, upper = float(finite.min()), float(finite.max())
    if step == 1:
        whole = _between(int(lower), int(upper), 1)
        return {"kind": "integer", **whole, "source": "data"}, remarks
    granularity = {"granularity": step} if step else {}
    bounds = _between(lower, upper, step or 1.0)
    return {"kind": "numeric", **bounds, **granularity, "source": "data"}, remarks


def _granularity(numbers: NDArray[np.float64]) -> float | None:
    """The decimal step that all numbers keep to, if it is one of 1, 0.1, ... 0.0001."""
    if np.abs(numbers).max() > 1e11:  # doubles hold no four decimals beyond
        return None
    for decimals in range(5):
        if np.array_equal(np.round(numbers, decimals), numbers):
            return float(f"1e-{decimals}")
    return None


def _moments(column: Profile) -> Document:
    moments = column.values.cast(pa.timestamp("us"), safe=False).drop_null()
    ticks = moments.cast(pa.int64()).to_numpy()
    lower, upper = (pc.min_max(moments).as_py()[key] for key in ("min", "max"))
    if (ticks % _DAY_IN_MICROSECONDS).any():
        step = {"granularity": _clock(ticks), "source": "data"}
        return {"kind": "datetime", **_between(lower, upper, dt.timedelta(days=1)), **step}
    step = {"granularity": _days(moments, column.n_distinct), "source": "data"}
    return {"kind": "date", **_between(lower.date(), upper.date(), dt.timedelta(days=1)), **step}


def _days(moments: pa.ChunkedArray, n_distinct: int) -> str:
    """The coarsest calendar step that all days keep to, if there are several."""
    if n_distinct < 3 or pc.any(pc.not_equal(pc.day(moments), 1)).as_py():
        return "day"
    return "month" if pc.any(pc.not_equal(pc.month(moments), 1)).as_py() else "year"


def _clock(ticks: NDArray[np.int64]) -> str:
    """The coarsest step of the clock that all moments keep to."""
    steps = {"hour": 3_600_000_000, "minute": 60_000_000}
    return next((name for name, step in steps.items() if not (ticks % step).any()), "second")


def _between(lower: Any, upper: Any, step: Any) -> Document:
    """The range that was seen; a range needs two values, so a constant gets a second one."""
    if lower < upper:
        return {"lower": lower, "upper": upper}
    if isinstance(upper, float):
        step = max(step, abs(upper) * 1e-9)  # beyond 2**53 a step of 1 is lost
    try:
        above = upper + step
    except OverflowError:  # 31 December 9999 is a favourite of databases
        return {"lower": lower - step, "upper": upper}
    beyond = above > _GREATEST.get(type(above), above)
    return {"lower": lower - step, "upper": upper} if beyond else {"lower": lower, "upper": above}


_GREATEST = {int: 2**63 - 1, float: sys.float_info.max}
