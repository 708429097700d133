"""One column as integer codes: cells grouped into codes, and how codes become values again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from privsynth.encode.grid import Grid
from privsynth.schema import OTHER, BooleanColumn, Column, NumericColumn
from privsynth.table import Array, Table


@dataclass(frozen=True)
class Labels:
    """Cells that are labels; a label outside the list belongs to the bucket, the last cell."""

    labels: tuple[str, ...]

    @property
    def n_cells(self) -> int:
        """How many labels there are."""
        return len(self.labels)

    def cells(self, table: Table, name: str) -> Array:
        """The cell of each row, (n_rows,); what is missing or unknown reads the bucket or 0."""
        column = table.column(name).cast(pa.string())
        found = pc.index_in(column, pa.array(self.labels))
        bucket = self.labels.index(OTHER) if OTHER in self.labels else 0
        return np.asarray(pc.fill_null(found, bucket).to_numpy(), dtype=np.int64)

    def draw(self, cells: Array, column: Column, rng: np.random.Generator) -> pa.Array:
        """The label of each cell."""
        values = pa.array(self.labels).take(pa.array(cells))
        return values.cast(pa.bool_()) if isinstance(column, BooleanColumn) else values


@dataclass(frozen=True)
class Intervals:
    """Cells that are runs of grid steps: cell i holds the steps starts[i] … starts[i+1] - 1."""

    grid: Grid
    starts: tuple[int, ...]

    @property
    def n_cells(self) -> int:
        """How many runs there are."""
        return len(self.starts)

    @property
    def widths(self) -> Array:
        """How many steps each cell holds, (n_cells,)."""
        return np.diff(np.append(self.starts, self.grid.n_steps))

    def cells(self, table: Table, name: str) -> Array:
        """The cell of each row, (n_rows,)."""
        steps = self.grid.index(table.numbers(name))
        return np.searchsorted(np.asarray(self.starts), steps, side="right") - 1

    def nearest(self, table: Table, name: str) -> Any:
        """The value that can be drawn nearest to that of the only row; None where that is drawn.

        Numbers without a declared granularity may lie between the steps of their grid.
        """
        column, asked = table.schema.columns[name], table.column(name)[0].as_py()
        step = self.grid.index(table.numbers(name))
        (near,) = self.grid.values(step, column).to_pylist()  # type: ignore[arg-type]
        free = isinstance(column, NumericColumn) and column.granularity is None
        if free or isinstance(near, float):
            is_drawn = abs(near - asked) <= self.grid.step * (1.0 if free else 1e-6)
        else:
            is_drawn = near == asked
        return None if is_drawn else near

    def draw(self, cells: Array, column: Column, rng: np.random.Generator) -> pa.Array:
        """A value of each cell, every step of it equally likely."""
        steps = np.asarray(self.starts)[cells] + rng.integers(0, self.widths[cells])
        return self.grid.values(steps, column)  # type: ignore[arg-type]


@dataclass(frozen=True)
class ColumnCode:
    """How one column becomes codes 0 … n_codes - 1 and back; a missing entry is the last code.

    `code_of` and `weight` have one entry a cell: its code, and its share within that code.
    """

    cells: Labels | Intervals
    code_of: tuple[int, ...]
    weight: tuple[float, ...]
    missing: bool

    @property
    def n_codes(self) -> int:
        """How many codes there are, the one for missing included."""
        return max(self.code_of) + 1 + int(self.missing)

    def is_alone(self, code: int) -> bool:
        """Whether one value alone has that code, so that its share is the code's."""
        if self.missing and code == self.n_codes - 1:
            return True
        members = np.flatnonzero(np.asarray(self.code_of) == code)
        n_values = (
            self.cells.widths if isinstance(self.cells, Intervals) else np.ones(self.cells.n_cells)
        )
        return int(n_values[members].sum()) == 1

    def encode(self, table: Table, name: str) -> Array:
        """The code of each row, (n_rows,) int64."""
        codes = np.asarray(self.code_of)[self.cells.cells(table, name)]
        return np.where(table.missing(name), self.n_codes - 1, codes) if self.missing else codes

    def decode(self, codes: Array, column: Column, rng: np.random.Generator) -> pa.Array:
        """A value for each code: a cell by its share, then a value of that cell."""
        absent = codes == self.n_codes - 1 if self.missing else np.zeros(len(codes), dtype=bool)
        cells = np.zeros(len(codes), dtype=np.int64)
        code_of, weight = np.asarray(self.code_of), np.asarray(self.weight)
        for code in np.unique(codes[~absent]):
            rows = np.flatnonzero(codes == code)
            members = np.flatnonzero(code_of == code)
            cells[rows] = members[_systematic(weight[members], len(rows), rng)]
        values = self.cells.draw(cells, column, rng)
        return pc.if_else(pa.array(absent), pa.scalar(None, values.type), values)

    def to_dict(self) -> dict[str, Any]:
        """The code as plain values."""
        cells: dict[str, Any]
        if isinstance(self.cells, Intervals):
            cells = {"grid": asdict(self.cells.grid), "starts": list(self.cells.starts)}
        else:
            cells = {"labels": list(self.cells.labels)}
        return {
            "cells": cells,
            "code_of": list(self.code_of),
            "weight": [round(share, 9) for share in self.weight],
            "missing": self.missing,
        }

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> ColumnCode:
        """The code that `to_dict` gave."""
        raw = document["cells"]
        cells: Labels | Intervals
        if "grid" in raw:
            cells = Intervals(Grid(**raw["grid"]), tuple(map(int, raw["starts"])))
        else:
            cells = Labels(tuple(map(str, raw["labels"])))
        return cls(
            cells,
            tuple(map(int, document["code_of"])),
            tuple(map(float, document["weight"])),
            bool(document["missing"]),
        )


def _systematic(weight: Array, n: int, rng: np.random.Generator) -> Array:
    """n draws from the weights by one random start and equal strides, then shuffled.

    Each cell comes within one draw of its expected count, so that decoding adds almost no
    sampling error of its own.
    """
    shares = np.cumsum(weight / weight.sum())
    points = (rng.random() + np.arange(n)) / n
    picks = np.minimum(np.searchsorted(shares, points, side="right"), len(weight) - 1)
    return rng.permutation(picks)
