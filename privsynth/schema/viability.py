"""Whether there are records enough for the epsilon asked: a rule of thumb, stated before a run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from privsynth.errors import UsageError
from privsynth.schema.column import (
    BooleanColumn,
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
from privsynth.schema.schema import Schema

Verdict = Literal["ample", "thin", "too small"]

AMPLE, THIN = 0.03, 0.10
"""Noise on the average count, as a share of it, up to which a table is ample, or thin."""

_BINS = 32  # a range is cut into about as many codes at epsilon about 1
_PRIVATE_LABELS = 32  # a guess: which labels are frequent enough is learned under privacy


@dataclass(frozen=True)
class Viability:
    """A verdict and the one line that explains it."""

    verdict: Verdict
    line: str


def viability(n_rows: int, schema: Schema, epsilon: float) -> Viability:
    """Whether `n_rows` (persons, where the privacy unit is a column) suffice at that epsilon.

    The rule: all d columns are counted, the budget split evenly between them. In zero-concentrated
    privacy (Bun, Steinke 2016) epsilon at delta = 1/(10 n) gives
    rho = (sqrt(L + epsilon) - sqrt(L))^2 with L = ln(1/delta), so the Gaussian noise of each count
    has the standard deviation sd = sqrt(d / (2 rho)). With K codes over all columns a count is
    n d / K on average. The table is ample where sd is at most 3 % of that, thin up to 10 %, and
    too small beyond: pairs of columns have far smaller counts and drown first. It is a plan, not a
    guarantee: it reads the schema and the number of rows, nothing else. Where the schema says that
    the row count is private, verdict and line rest on a rounded one: two digits, tens at finest.

    >>> schema = Schema.parse({"dataset": {"id": "d"},
    ...     "columns": {"age": {"kind": "integer", "lower": 0, "upper": 120}}})
    >>> viability(50, schema, epsilon=1.0).verdict
    'too small'
    """
    if not epsilon > 0:
        raise UsageError("epsilon must be greater than 0")
    private = schema.privacy.row_count == "private"
    if private:
        n_rows = _rounded(n_rows)
    d, codes = len(schema.modelled), sum(map(codebook_size, schema.columns.values()))
    of = "rows" if schema.privacy.unit == "row" else "persons"
    plural = "" if d == 1 else "s"
    amount = f"{'about ' * private}{n_rows:,} {of}"
    facts = f"{amount} for {d} column{plural} ({n_rows / max(codes, 1):.1f} {of} a code)"
    if not d or math.isinf(epsilon):
        why = "no column is learned" if not d else "no noise is added"
        return Viability("ample", f"{facts}: {why}")
    noise = _noise_sd(n_rows, d, epsilon) / (n_rows * d / codes)
    verdict: Verdict = "ample" if noise <= AMPLE else "thin" if noise <= THIN else "too small"
    enough = _round_up(n_rows * noise / AMPLE)
    line = f"{facts} at epsilon {epsilon:g}: {verdict}; noise is about {noise:.1%} of a mean count"
    return Viability(verdict, line + _advice(verdict, enough, of))


def codebook_size(column: Column) -> int:
    """About how many codes a column takes, the missing code and the other bucket included.

    >>> codebook_size(BooleanColumn(missing=True))
    3
    """
    match column:
        case IdColumn() | TextColumn():
            return 0
        case BooleanColumn():
            size = 2
        case CategoricalColumn() | OrdinalColumn():
            size = (len(column.categories) or _PRIVATE_LABELS) + column.other
        case IntegerColumn() if column.lower is not None and column.upper is not None:
            size = min(column.upper - column.lower + 1, _BINS)
        case IntegerColumn() | NumericColumn() | DateColumn() | DatetimeColumn():
            size = _BINS
    return size + column.missing


def _noise_sd(n_rows: int, n_columns: int, epsilon: float) -> float:
    slack = math.log(10 * max(n_rows, 2))
    rho = (math.sqrt(slack + epsilon) - math.sqrt(slack)) ** 2
    return math.sqrt(n_columns / (2 * rho))


def _advice(verdict: Verdict, enough: int, of: str) -> str:
    if verdict == "ample":
        return ""
    expect = {
        "thin": "expect single columns to be right and pairs to be blurred",
        "too small": "expect no more than the outline of single columns",
    }[verdict]
    return f"; {expect}; about {enough:,} {of} would be ample"


def _rounded(n_rows: int) -> int:
    step = int(10 ** max(math.floor(math.log10(max(n_rows, 1))) - 1, 1))
    return max(step, round(n_rows / step) * step)


def _round_up(number: float) -> int:
    step = int(10 ** max(math.floor(math.log10(number)) - 1, 0))
    return math.ceil(number / step) * step
