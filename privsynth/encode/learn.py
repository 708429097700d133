"""Learning the codebook: what is asked of the records, and what is made of the noisy answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from privsynth.encode.code import ColumnCode, Intervals, Labels
from privsynth.encode.codebook import Codebook
from privsynth.encode.grid import Grid
from privsynth.encode.group import group_labels, group_ordered, weights
from privsynth.encode.histogram import Count, learn_histogram, n_levels, onto_simplex
from privsynth.errors import BudgetError
from privsynth.privacy.mechanisms import (
    bounds_threshold,
    discover_categories,
    noisy_counts,
    private_bounds,
    unit_weights,
)
from privsynth.privacy.noise import NoiseSource
from privsynth.privacy.plan import GaussianEvent, MeasurementRequest, PrivacyPlan
from privsynth.privacy.spending import Measurement, Spending
from privsynth.schema import (
    OTHER,
    BooleanColumn,
    CategoricalColumn,
    Column,
    DateColumn,
    DatetimeColumn,
    NumericColumn,
    OrdinalColumn,
    RangeColumn,
    Schema,
)
from privsynth.table import Array, Table

ROW_COUNT = "row count"
_BOUNDS = ": bounds"
_DAY = 86_400_000_000
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896  # years 1 and 9999, in days from 1970
_DISCOVERY_DELTA = 0.1
_DECIMALS = 6
_LEAST_WITHOUT_PRIVACY = 5
"""Without privacy too, a label of fewer records than this goes to the bucket."""


def codebook_requests(schema: Schema, share: float) -> list[MeasurementRequest]:
    """The measurements that learning the codebook takes, as a function of the schema alone.

    They share `share` of the budget equally; discovered categories share a tenth of delta.
    """
    wanted: list[tuple[str, str, bool]] = []
    if schema.privacy.row_count == "private":
        wanted.append((ROW_COUNT, "number of privacy units", False))
    for name in schema.modelled:
        wanted.extend(_asked(name, schema.columns[name]))
    n_discoveries = sum(discovers for _, _, discovers in wanted)
    return [
        MeasurementRequest(
            name,
            purpose,
            share / len(wanted),
            _DISCOVERY_DELTA / n_discoveries if discovers else 0.0,
        )
        for name, purpose, discovers in wanted
    ]


def _asked(name: str, column: Column) -> list[tuple[str, str, bool]]:
    """Name, purpose and whether it takes delta, of each measurement of one column."""
    match column:
        case CategoricalColumn() | OrdinalColumn() if not column.categories:
            return [
                (f"{name}: categories", "frequent categories and their counts", True),
                (f"{name}: rest", "records outside them, and missing ones", False),
            ]
        case CategoricalColumn() | OrdinalColumn() | BooleanColumn():
            return [(f"{name}: counts", "counts of the declared categories", False)]
        case _:
            return _asked_of_range(name, column)  # type: ignore[arg-type]


def _asked_of_range(name: str, column: RangeColumn) -> list[tuple[str, str, bool]]:
    asked = [] if _has_bounds(column) else [(f"{name}{_BOUNDS}", "lower and upper bound", False)]
    if isinstance(column, NumericColumn) and column.granularity is None:
        asked.append((f"{name}: decimals", "number of decimals in use", False))
    return asked + [
        (f"{name}: bins, level {level}", "counts that place the bins", False)
        for level in range(1, _levels(column) + 1)
    ]


def _has_bounds(column: RangeColumn) -> bool:
    return column.lower is not None and column.upper is not None


def _levels(column: RangeColumn) -> int:
    """How many levels of counts a range takes: asked for and taken by one rule."""
    return n_levels(Grid.of(column).n_steps if _has_bounds(column) else None)


@dataclass(frozen=True)
class _Learner:
    """What every column needs while it is learned."""

    table: Table
    spending: Spending
    noise: NoiseSource
    weights: Array | None
    max_codes: int

    @property
    def max_rows(self) -> int:
        return self.table.schema.privacy.max_rows_per_unit

    def measurement(self, name: str) -> Measurement:
        return self.spending.measurement(name)

    def count(self, cells: Array, n_cells: int, measurement: Measurement) -> Array:
        return noisy_counts(
            cells,
            n_cells,
            weights=self.weights,
            max_rows=self.max_rows,
            measurement=measurement,
            noise=self.noise,
        )


def require_visible_bounds(plan: PrivacyPlan, n_units: int | None) -> None:
    """BudgetError where bounds are to be learned that no number of records could show.

    It follows from the plan and the public number of units, so it can be known before a charge:
    all units in one bin would hardly stand clear of the noise.
    """
    if n_units is None:
        return
    for each in plan.mechanisms:
        if not (each.name.endswith(_BOUNDS) and isinstance(each.event, GaussianEvent)):
            continue
        if n_units < bounds_threshold(each.event.noise_multiplier):
            raise BudgetError(
                f"column {each.name.removesuffix(_BOUNDS)!r}: too few records to learn its bounds "
                "at this epsilon; declare them (nothing was charged)"
            )


def learn_codebook(
    table: Table, spending: Spending, noise: NoiseSource, *, max_codes: int
) -> Codebook:
    """The codebook of a table whose rows a person are bounded; every answer is charged.

    Rows of one person share a weight of 1, so that each measurement has L2 sensitivity 1.
    """
    schema = table.schema
    by_person = schema.privacy.unit != "row"
    learner = _Learner(
        table, spending, noise, unit_weights(table.units()) if by_person else None, max_codes
    )
    columns: dict[str, ColumnCode] = {}
    shares: dict[str, Array] = {}
    for name in schema.modelled:
        columns[name], shares[name] = _learn_column(learner, name, schema.columns[name])
    storage = {name: kind for name, kind in table.storage.items() if name in schema.released}
    return Codebook(schema, columns, shares, _n_units(learner), storage)


def _n_units(learner: _Learner) -> float:
    """The number of units: public, or measured."""
    if learner.table.schema.privacy.row_count == "public":
        return float(learner.table.n_units)
    everyone = np.zeros(learner.table.n_rows, dtype=np.int64)
    estimate = learner.count(everyone, 1, learner.measurement(ROW_COUNT))
    return max(1.0, float(np.round(estimate[0])))


def _learn_column(learner: _Learner, name: str, column: Column) -> tuple[ColumnCode, Array]:
    match column:
        case CategoricalColumn() | OrdinalColumn() if not column.categories:
            return _discovered(learner, name, column)
        case CategoricalColumn() | OrdinalColumn():
            labels = (*column.categories, OTHER) if column.other else column.categories
            return _counted(learner, name, Labels(labels), column)
        case BooleanColumn():
            return _counted(learner, name, Labels(("false", "true")), column)
        case _:
            return _binned(learner, name, column)  # type: ignore[arg-type]


def _counted(
    learner: _Learner, name: str, cells: Labels, column: Column
) -> tuple[ColumnCode, Array]:
    """Declared labels: one count each, and one for missing."""
    measurement = learner.measurement(f"{name}: counts")
    sigma = measurement.noise_multiplier
    absent = learner.table.missing(name)
    cell = np.where(absent, cells.n_cells, cells.cells(learner.table, name))
    counts = np.maximum(learner.count(cell, cells.n_cells + 1, measurement), 0.0)
    group = group_ordered if isinstance(column, OrdinalColumn) else group_labels
    code_of = group(counts[:-1], learner.max_codes, sigma)
    return _finished(cells, code_of, counts[:-1], counts[-1] if column.missing else None, sigma)


def _discovered(
    learner: _Learner, name: str, column: CategoricalColumn | OrdinalColumn
) -> tuple[ColumnCode, Array]:
    """Labels that enough units share; the others become the bucket."""
    finding = learner.measurement(f"{name}: categories")
    sigma = finding.noise_multiplier
    found = discover_categories(
        learner.table.labels(name),
        weights=learner.weights,
        max_rows=learner.max_rows,
        measurement=finding,
        noise=learner.noise,
    )
    if not finding.is_private:
        found = {label: n for label, n in found.items() if n >= _LEAST_WITHOUT_PRIVACY}
    found.pop(OTHER, None)
    cells = Labels((*found, OTHER))
    in_bucket = cells.cells(learner.table, name) == len(found)
    absent = learner.table.missing(name)
    rest = np.where(absent, 1, np.where(in_bucket, 0, -1))
    bucket, n_missing = learner.count(rest, 2, learner.measurement(f"{name}: rest"))
    counts = np.maximum(np.array([*found.values(), bucket]), 0.0)
    code_of = np.arange(len(counts))
    if len(counts) > learner.max_codes:
        code_of = group_labels(counts, learner.max_codes, sigma)
    missing = max(n_missing, 0.0) if column.missing else None
    return _finished(cells, code_of, counts, missing, sigma)


def _binned(learner: _Learner, name: str, column: RangeColumn) -> tuple[ColumnCode, Array]:
    """A range: noisy counts on its grid, grouped into bins of about equal share."""
    grid = _grid(learner, name, column)
    levels = _levels(column)
    measurements = {
        level: learner.measurement(f"{name}: bins, level {level}") for level in range(1, levels + 1)
    }
    sigma = measurements[1].noise_multiplier
    histogram = learn_histogram(
        grid.index(learner.table.numbers(name)),
        learner.table.missing(name),
        n_steps=grid.n_steps,
        levels=levels,
        count=_by_level(learner, measurements),
        sigma=sigma,
    )
    cells = Intervals(grid, tuple(histogram.starts.tolist()))
    code_of = group_ordered(histogram.counts, learner.max_codes, sigma)
    missing = histogram.n_missing if column.missing else None
    return _finished(cells, code_of, histogram.counts, missing, sigma)


def _by_level(learner: _Learner, measurements: dict[int, Measurement]) -> Count:
    """Counts that spend the measurement of their level."""

    def count(cells: Array, n_cells: int, *, level: int) -> Array:
        return learner.count(cells, n_cells, measurements[level])

    return count


def _grid(learner: _Learner, name: str, column: RangeColumn) -> Grid:
    """The grid of a range, with what had to be learned privately: its bounds, its decimals."""
    lower = upper = None
    if not _has_bounds(column):
        lower, upper = _learned_bounds(learner, name, column)
    grid = Grid.of(column, lower, upper)
    if isinstance(column, NumericColumn) and column.granularity is None:
        grid = grid.coarsened(_learned_decimals(learner, name))
    return grid


def _finished(
    cells: Labels | Intervals,
    code_of: Array,
    counts: Array,
    n_missing: float | None,
    sigma: float,
) -> tuple[ColumnCode, Array]:
    """The column's code, and the noisy share of each code."""
    widths = cells.widths if isinstance(cells, Intervals) else np.ones(cells.n_cells)
    held = np.bincount(code_of, counts)
    if n_missing is not None:
        held = np.append(held, n_missing)
    shares = (held + 1e-6) / (held + 1e-6).sum()
    share_in_code = weights(counts, widths, code_of, sigma)
    code = ColumnCode(
        cells, tuple(code_of.tolist()), tuple(share_in_code.tolist()), n_missing is not None
    )
    return code, shares


def _learned_bounds(learner: _Learner, name: str, column: RangeColumn) -> tuple[object, object]:
    """Bounds on a public exponential grid, from one measurement; in the column's own type.

    BudgetError where nothing stands clear of the noise and the column must have values.
    """
    present = ~learner.table.missing(name)
    values = learner.table.numbers(name).astype(np.float64)[present]
    bounds = private_bounds(
        values,
        weights=None if learner.weights is None else learner.weights[present],
        max_rows=learner.max_rows,
        measurement=learner.measurement(f"{name}{_BOUNDS}"),
        noise=learner.noise,
    )
    if bounds is None and column.missing:  # hardly a value: missing is what will be drawn
        bounds = 0.0, 0.0
    if bounds is None:
        raise BudgetError(
            f"column {name!r}: too few records to learn its bounds at this epsilon; declare them"
        )
    return _in_type(bounds, column)


def _in_type(bounds: tuple[float, float], column: RangeColumn) -> tuple[object, object]:
    """Bounds as the column's values: numbers, dates or date-times within years 1 to 9999."""
    if isinstance(column, DateColumn):
        days = np.clip(np.round(bounds), _FIRST_DAY, _LAST_DAY).astype(np.int32)
        return tuple(pa.array(days).cast(pa.date32()).to_pylist())
    if isinstance(column, DatetimeColumn):
        limits = _FIRST_DAY * _DAY, (_LAST_DAY + 1) * _DAY - 1
        moments = np.clip(np.round(bounds), *limits).astype(np.int64)
        kind = pa.timestamp("us")
        return tuple(pa.array(moments).cast(kind).to_pylist())
    return bounds


def _learned_decimals(learner: _Learner, name: str) -> int:
    """The decimals that all but a hundredth of the values keep to, from one measurement."""
    values = learner.table.numbers(name)
    needed = np.full(len(values), _DECIMALS)
    for decimals in reversed(range(_DECIMALS)):
        kept = np.abs(np.round(values, decimals) - values) <= 1e-9 * np.maximum(1, np.abs(values))
        needed[kept] = decimals
    needed[learner.table.missing(name)] = -1
    counts = learner.count(needed, _DECIMALS + 1, learner.measurement(f"{name}: decimals"))
    counts = onto_simplex(counts, max(float(counts.sum()), 1.0))
    return int(np.searchsorted(np.cumsum(counts), 0.99 * counts.sum()))
