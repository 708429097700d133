"""What the report draws of each column: shares of rows, real beside synthetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privsynth.fidelity.discretise import Bins, Labels, coding_of, observed, quantile_bins
from privsynth.fidelity.marginals import shares
from privsynth.schema import CategoricalColumn, DatetimeColumn, IntegerColumn
from privsynth.table import Table, Tables

MAX_BARS = 20
_N_INTERVALS = 12
_DAY = 86_400e6


@dataclass(frozen=True)
class ColumnProfile:
    """The shares of one column's values or bins, real beside synthetic, each summing to 1.

    It is computed on real rows without privacy: for the controller's edition alone.

    >>> ColumnProfile("sex", "categorical", ("f", "m"), (0.4, 0.6), (0.5, 0.5)).labels
    ('f', 'm')
    """

    column: str
    kind: str
    labels: tuple[str, ...]
    real: tuple[float, ...]
    synthetic: tuple[float, ...]


def profiles(tables: Tables) -> tuple[ColumnProfile, ...]:
    """The profile of each modelled column; the longest lists end in a bar for the rest.

    >>> import pyarrow as pa
    >>> from privsynth.schema import Schema
    >>> schema = Schema.parse({"dataset": {"id": "d"}, "columns": {"ill": {"kind": "boolean"}}})
    >>> table = Table.from_arrow(pa.table({"ill": [True, False, False, False]}), schema)
    >>> profiles(Tables(table, table, table))[0].real
    (0.75, 0.25)
    """
    return tuple(_profile(tables, name) for name in tables.schema.modelled)


def chart_bins(values: NDArray[Any], unit: float = 1.0, whole: bool = False) -> Bins:
    """Bins for a histogram: heavy values by themselves, round and equal intervals for the rest.

    >>> chart_bins(np.arange(1000.0)).cuts
    (100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 700.0, 800.0, 900.0)
    """
    points = quantile_bins(values).points
    rest = values[~np.isin(values, points)]
    if not len(rest):
        return Bins(points, ())
    low, high = np.quantile(rest, [0.01, 0.99])
    step = _round_step((high - low) / _N_INTERVALS / unit) * unit
    step = max(step, 1.0) if whole else step
    first, last = np.ceil(low / step), np.floor(high / step)
    return Bins(points, tuple((np.arange(first, last + 1) * step).tolist()))


def _round_step(step: float) -> float:
    """The least of 1, 2, 5, 10, … times a power of ten that is not below `step`."""
    if step <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(step))
    return float(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step))


def _profile(tables: Tables, name: str) -> ColumnProfile:
    column = tables.schema.columns[name]
    coding = _chart_coding(tables.train, name)
    real, synthetic = (
        shares(coding.codes(table, name), coding.size) for table in (tables.train, tables.synthetic)
    )
    captions = coding.captions(column)
    order = [code for code in coding.order() if real[code] + synthetic[code] > 0]
    if isinstance(column, CategoricalColumn):
        order.sort(key=lambda code: -real[code])
    bars = [(captions[code], float(real[code]), float(synthetic[code])) for code in order]
    bars = _pooled(bars)
    return ColumnProfile(
        column=name,
        kind=column.kind,
        labels=tuple(label for label, _, _ in bars),
        real=tuple(share for _, share, _ in bars),
        synthetic=tuple(share for _, _, share in bars),
    )


def _chart_coding(train: Table, name: str) -> Labels | Bins:
    coding = coding_of(train, name)
    if isinstance(coding, Labels):
        return coding
    column = train.schema.columns[name]
    unit = _DAY if isinstance(column, DatetimeColumn) else 1.0
    return chart_bins(observed(train, name), unit, whole=isinstance(column, IntegerColumn))


def _pooled(bars: list[tuple[str, float, float]]) -> list[tuple[str, float, float]]:
    """The bars with the largest shares in their order; the others as one."""
    if len(bars) <= 2 * MAX_BARS:
        return bars
    weights = np.array([real + synthetic for _, real, synthetic in bars])
    kept = set(np.argsort(-weights, kind="stable")[: MAX_BARS - 1].tolist())
    rest = [bar for position, bar in enumerate(bars) if position not in kept]
    pooled = (f"({len(rest)} more)", sum(bar[1] for bar in rest), sum(bar[2] for bar in rest))
    return [*(bar for position, bar in enumerate(bars) if position in kept), pooled]
