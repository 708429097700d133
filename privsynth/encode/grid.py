"""The public grid on which a range column lives: whole steps from its lower bound."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from privsynth.schema import DateColumn, DatetimeColumn, IntegerColumn, NumericColumn, RangeColumn
from privsynth.table import Array

_EPOCH = dt.datetime(1970, 1, 1)
_STEPS_WITHOUT_GRANULARITY = 100_000
_MICROSECONDS = {"second": 10**6, "minute": 60 * 10**6, "hour": 3600 * 10**6, "day": 86400 * 10**6}


@dataclass(frozen=True)
class Grid:
    """`n_steps` values origin, origin + step, …; months and years count whole calendar units.

    Numbers are those of `Table.numbers`: integers, doubles, days or microseconds from 1970.

    >>> grid = Grid("integer", origin=17, step=1, n_steps=74)
    >>> grid.index(np.array([17, 90])).tolist()
    [0, 73]
    """

    kind: str
    origin: float
    step: float
    n_steps: int
    calendar: str = ""

    @classmethod
    def of(cls, column: RangeColumn, lower: Any = None, upper: Any = None) -> Grid:
        """The grid of a column, from its declared bounds or from those that were learned."""
        lower = column.lower if column.lower is not None else lower
        upper = column.upper if column.upper is not None else upper
        if lower > upper:  # one is declared, and what was learned lies beyond it
            lower = upper = column.lower if column.lower is not None else column.upper
        match column:
            case IntegerColumn():
                return cls("integer", int(lower), 1, int(upper) - int(lower) + 1)
            case NumericColumn():
                return _numeric_grid(float(lower), float(upper), column.granularity)
            case DateColumn():
                return _date_grid(lower, upper, column.granularity)
            case DatetimeColumn():
                step = _MICROSECONDS[column.granularity]
                first, last = (_microseconds(bound) // step for bound in (lower, upper))
                return cls("datetime", first * step, step, last - first + 1)

    def index(self, numbers: Array) -> Array:
        """The step of each number, (n,) int64; numbers beyond the grid take its first or last."""
        if self.calendar:
            days = numbers.astype("datetime64[D]").astype(f"datetime64[{self.calendar}]")
            steps = days.astype(np.int64) - int(self.origin)
        elif self.kind == "numeric":
            finite = np.nan_to_num(numbers, nan=self.origin)
            steps = np.rint((finite - self.origin) / self.step).astype(np.int64)
        else:
            steps = (numbers.astype(np.int64) - int(self.origin)) // int(self.step)
        return np.clip(steps, 0, self.n_steps - 1)

    def values(self, steps: Array, column: RangeColumn) -> pa.Array:
        """The value at each step as a canonical Arrow array, inside the declared bounds."""
        if self.kind == "numeric":
            decimals = max(0, -math.floor(math.log10(self.step) + 1e-9) + 2)
            numbers = np.round(self.origin + steps * self.step, decimals)
            return pa.array(_clipped(numbers, column.lower, column.upper), pa.float64())
        if self.kind == "integer":
            return pa.array(steps + int(self.origin), pa.int64())
        if self.kind == "datetime":
            moments = pa.array(steps * int(self.step) + int(self.origin), pa.int64())
            moments = moments.cast(pa.timestamp("us"))
            return _inside(moments, column.lower, column.upper)
        days = steps + int(self.origin)
        if self.calendar:
            days = days.astype(f"datetime64[{self.calendar}]").astype("datetime64[D]")
            days = days.astype(np.int64)
        dates = pa.array(days.astype(np.int32)).cast(pa.date32())
        return _inside(dates, column.lower, column.upper)

    def coarsened(self, decimals: int) -> Grid:
        """The numeric grid with values of that many decimals."""
        step = 10.0**-decimals
        if self.kind != "numeric" or step <= self.step:
            return self
        last = self.origin + (self.n_steps - 1) * self.step
        first = math.ceil(self.origin / step - 1e-9)
        n_steps = max(1, math.floor(last / step + 1e-9) - first + 1)
        return Grid("numeric", round(first * step, decimals), step, n_steps)


def _numeric_grid(lower: float, upper: float, granularity: float | None) -> Grid:
    if lower == upper:  # learned: all that stands clear of the noise is zero
        return Grid("numeric", lower, granularity or 1.0, 1)
    step = granularity or 10.0 ** math.floor(
        math.log10((upper - lower) / _STEPS_WITHOUT_GRANULARITY)
    )
    return Grid("numeric", lower, step, round((upper - lower) / step) + 1)


def _date_grid(lower: dt.date, upper: dt.date, granularity: str) -> Grid:
    unit = {"day": "D", "month": "M", "year": "Y"}[granularity]
    first, last = (
        int(np.datetime64(bound, "D").astype(f"datetime64[{unit}]").astype(np.int64))
        for bound in (lower, upper)
    )
    return Grid("date", first, 1, last - first + 1, "" if unit == "D" else unit)


def _microseconds(moment: dt.datetime) -> int:
    return int((moment.replace(tzinfo=None) - _EPOCH) // dt.timedelta(microseconds=1))


def _clipped(numbers: Array, lower: Any, upper: Any) -> Array:
    if lower is None or upper is None:
        return numbers
    return np.clip(numbers, lower, upper)


def _inside(moments: pa.Array, lower: Any, upper: Any) -> pa.Array:
    """Moments no earlier than `lower`: a month may begin before the declared first day."""
    import pyarrow.compute as pc

    if lower is None or upper is None:
        return moments
    first, last = (pa.scalar(bound).cast(moments.type) for bound in (lower, upper))
    return pc.min_element_wise(pc.max_element_wise(moments, first), last)
