"""Association between pairs of columns, in real and in synthetic records."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from privsynth.fidelity.base import NO_CONTROL, Detail, Failure, Result, Score, metrics, timed
from privsynth.fidelity.marginals import CodedTables
from privsynth.table import Tables

Matrix: TypeAlias = tuple[tuple[float | None, ...], ...]
MAX_ROWS = 100_000


@dataclass(frozen=True)
class Associations:
    """Cramér's V of every pair of columns, (n_columns × n_columns), real and synthetic.

    None stands where a column is constant, so that no association with it is defined.

    >>> Associations(("a",), ((1.0,),), ((None,),)).synthetic
    ((None,),)
    """

    columns: tuple[str, ...]
    real: Matrix
    synthetic: Matrix


@metrics.register("association")
@dataclass(frozen=True)
class Association:
    """Mean absolute difference of the pairs' association (Cramér's V), synthetic against train.

    >>> Association().title
    "Difference of pairwise association (Cramér's V)"
    """

    name: ClassVar[str] = "association"
    title: ClassVar[str] = "Difference of pairwise association (Cramér's V)"

    def run(self, tables: Tables, rng: np.random.Generator) -> tuple[Result, ...]:
        """One score, the mean over the pairs that vary in the train table."""
        seed = int(rng.integers(2**63))
        return (timed(lambda: self._score(tables, seed)),)

    def _score(self, tables: Tables, seed: int) -> Result:
        if not (tables.train.n_rows and tables.synthetic.n_rows):
            return Failure(self.name, self.title, "the train or synthetic table has no rows")
        coded = CodedTables.of(tables, MAX_ROWS, seed)
        real = _upper(coded.train, coded.sizes)
        defined = ~np.isnan(real)
        if not defined.any():
            return Failure(self.name, self.title, "it needs two columns that vary")
        value = _difference(real, coded.synthetic, coded.sizes)
        has_control = len(coded.control) > 0
        details: dict[str, Detail] = {
            "pairs_in_all": len(real),
            "pairs_scored": int(defined.sum()),
            "unit": "rows",
            "reference_rows": len(coded.control),
        }
        if has_control:
            details["value_at_reference_rows"] = _difference(real, coded.small, coded.sizes)
        else:
            details["reference_missing"] = NO_CONTROL
        return Score(
            metric=self.name,
            title=self.title,
            group="dependence",
            value=value,
            reference=_difference(real, coded.control, coded.sizes) if has_control else None,
            reference_name="control" if has_control else "",
            higher_is_better=False,
            details=details,
            tool="privsynth",
        )


def associations(tables: Tables, seed: int = 0) -> Associations:
    """Cramér's V of all pairs of columns, for the report's heat maps.

    >>> import pyarrow as pa
    >>> from privsynth.schema import Schema
    >>> from privsynth.table import Table
    >>> schema = Schema.parse({"dataset": {"id": "d"},
    ...     "columns": {name: {"kind": "boolean"} for name in "ab"}})
    >>> flags = [True, False] * 50
    >>> table = Table.from_arrow(pa.table({"a": flags, "b": flags}), schema)
    >>> associations(Tables(table, table, table)).real
    ((1.0, 1.0), (1.0, 1.0))
    """
    coded = CodedTables.of(tables, MAX_ROWS, seed)
    real, synthetic = (_matrix(codes, coded.sizes) for codes in (coded.train, coded.synthetic))
    return Associations(coded.columns, real, synthetic)


def cramers_v(first: NDArray[Any], second: NDArray[Any], sizes: tuple[int, int]) -> float:
    """Bias-corrected association of two code columns, 0 to 1; NaN where one is constant.

    Bergsma, W. (2013), A bias-correction for Cramér's V and Tschuprow's T.

    >>> codes = np.array([0, 1] * 50)
    >>> cramers_v(codes, codes, (2, 2))
    1.0
    """
    n_rows = len(first)
    rows, columns = (
        np.bincount(codes, minlength=size)
        for codes, size in zip((first, second), sizes, strict=True)
    )
    n_levels = np.array([np.count_nonzero(rows), np.count_nonzero(columns)], dtype=float)
    if n_rows < 3 or n_levels.min() < 2:
        return float("nan")
    found, counts = np.unique(first * sizes[1] + second, return_counts=True)
    expected = rows[found // sizes[1]] * columns[found % sizes[1]] / n_rows
    phi_squared = np.sum(counts**2 / expected) / n_rows - 1
    phi_squared -= np.prod(n_levels - 1) / (n_rows - 1)
    scale = (n_levels - (n_levels - 1) ** 2 / (n_rows - 1)).min() - 1
    return float(np.sqrt(np.clip(phi_squared / scale, 0, 1))) if scale > 0 else float("nan")


def _upper(codes: NDArray[Any], sizes: tuple[int, ...]) -> NDArray[Any]:
    """The association of each pair of columns in turn; NaN where a column is constant."""
    return np.array(
        [
            cramers_v(codes[:, i], codes[:, j], (sizes[i], sizes[j]))
            for i, j in combinations(range(len(sizes)), 2)
        ]
    )


def _difference(real: NDArray[Any], codes: NDArray[Any], sizes: tuple[int, ...]) -> float:
    """The mean distance over pairs that vary in `real`; a column that became constant has none."""
    defined = ~np.isnan(real)
    other = np.nan_to_num(_upper(codes, sizes), nan=0.0)
    return float(np.abs(other - real)[defined].mean())


def _matrix(codes: NDArray[Any], sizes: tuple[int, ...]) -> Matrix:
    n_columns = len(sizes)
    matrix = np.full((n_columns, n_columns), np.nan)
    matrix[np.triu_indices(n_columns, 1)] = _upper(codes, sizes)
    matrix = np.fmax(matrix, matrix.T)
    varies = [len(np.unique(codes[:, column])) > 1 for column in range(n_columns)]
    np.fill_diagonal(matrix, np.where(varies, 1.0, np.nan))
    return tuple(tuple(None if np.isnan(v) else float(v) for v in row) for row in matrix)
