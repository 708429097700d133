"""The rows of results/field.csv: one a cell, written the moment that the cell ends."""

from __future__ import annotations

import csv
import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from arena.cells import Cell
from arena.metrics import FIGURES

KEY = ("generator", "dataset", "epsilon", "seed")
COSTS = ("fit_s", "fit_cpu_s", "sample_rows_s", "peak_mib")
COLUMNS = (
    *("generator", "dataset", "epsilon", "delta", "seed", "status"),
    *FIGURES,
    *COSTS,
    *("n_train", "n_columns", "package", "python", "machine", "date"),
)
DONE = "done"

Row = dict[str, str]


def read(path: Path) -> list[Row]:
    """The rows of the file, none where it does not exist."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def cell_of(row: Mapping[str, str]) -> Cell:
    """The cell that a row is about."""
    return Cell(row["generator"], row["dataset"], float(row["epsilon"]), int(row["seed"]))


def cells_in(path: Path) -> set[Cell]:
    """The cells that have a row."""
    return {cell_of(row) for row in read(path)}


def put(path: Path, cell: Cell, values: Mapping[str, Any]) -> None:
    """Write the row of a cell, in place of an older one; safe beside another process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    row = {
        "generator": cell.generator,
        "dataset": cell.dataset,
        "epsilon": f"{cell.epsilon:g}",
        "seed": str(cell.seed),
        **{name: shown(name, value) for name, value in values.items()},
    }
    if unknown := set(row) - set(COLUMNS):
        raise ValueError(f"not columns of the results: {sorted(unknown)}")
    with _locked(path.parent):
        kept = [other for other in read(path) if cell_of(other) != cell]
        _write(path, sorted([*kept, row], key=_order))


def shown(name: str, value: Any) -> str:
    """A value as the file holds it: four digits for figures, nothing where there is none."""
    if value is None:
        return ""
    if isinstance(value, float):
        return (
            f"{value:.4f}"
            if name in FIGURES
            else f"{value:.6g}"
            if name == "delta"
            else (f"{value:.1f}")
        )
    return str(value)


def _order(row: Row) -> tuple[str, float, str, int]:
    return row["dataset"], float(row["epsilon"]), row["generator"], int(row["seed"])


def _write(path: Path, rows: Sequence[Row]) -> None:
    partial = path.with_suffix(".partial")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    partial.replace(path)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder, so that two processes never write its file at the same moment."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
