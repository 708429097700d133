"""Total variation distance between the small marginals of synthetic and of real records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from privsynth.fidelity.base import NO_CONTROL, Detail, Failure, Result, Score, metrics, timed
from privsynth.fidelity.discretise import Discretiser
from privsynth.fidelity.sample import sampled
from privsynth.table import Tables

_DENSE_CELLS = 1 << 22
_NOUNS = {1: "columns", 2: "pairs", 3: "triples"}


@dataclass(frozen=True)
class CodedTables:
    """The tables of an assessment as code matrices over one discretisation.

    `small` is as many synthetic rows as the control has, so that the two can be compared.
    """

    columns: tuple[str, ...]
    sizes: tuple[int, ...]
    train: NDArray[Any]
    control: NDArray[Any]
    synthetic: NDArray[Any]
    small: NDArray[Any]

    @classmethod
    def of(cls, tables: Tables, max_rows: int, seed: int) -> CodedTables:
        """The code matrices of at most `max_rows` rows of each table.

        >>> from privsynth.schema import Schema
        >>> from privsynth.table import Table
        >>> import pyarrow as pa
        >>> schema = Schema.parse({"dataset": {"id": "d"},
        ...     "columns": {"age": {"kind": "integer", "lower": 0, "upper": 120}}})
        >>> table = Table.from_arrow(pa.table({"age": range(100)}), schema)
        >>> CodedTables.of(Tables(table, table, table), 50, seed=1).train.shape
        (50, 1)
        """
        discretiser = Discretiser.of(tables.train)
        train, control, synthetic = (
            discretiser.codes(sampled(table, max_rows, seed))
            for table in (tables.train, tables.control, tables.synthetic)
        )
        small = synthetic[: len(control)]
        return cls(discretiser.columns, discretiser.sizes, train, control, synthetic, small)


def cells(codes: NDArray[Any], sizes: Sequence[int], subset: Iterable[int]) -> NDArray[Any]:
    """The number of each row's cell in the marginal of a subset of columns: (n_rows,)."""
    numbers = np.zeros(len(codes), dtype=np.int64)
    for column in subset:
        numbers *= sizes[column]
        numbers += codes[:, column]
    return numbers


def shares(numbers: NDArray[Any], n_cells: int) -> NDArray[Any]:
    """The share of rows in each cell: (n_cells,), summing to 1.

    >>> shares(np.array([0, 0, 1, 2]), 3)
    array([0.5 , 0.25, 0.25])
    """
    return np.bincount(numbers, minlength=n_cells) / max(1, len(numbers))


def tvd(real: NDArray[Any], others: Sequence[NDArray[Any]], n_cells: int) -> list[float]:
    """Half the summed differences of cell shares between `real` and each other: 0 best, 1 worst.

    >>> tvd(np.array([0, 1]), [np.array([0, 0]), np.array([1, 0])], 2)
    [0.5, 0.0]
    """
    if n_cells > _DENSE_CELLS:
        found, packed = np.unique(np.concatenate([real, *others]), return_inverse=True)
        ends = np.cumsum([len(real), *map(len, others)])[:-1]
        real, *others = np.split(packed, ends)
        n_cells = len(found)
    expected = shares(real, n_cells)
    return [float(np.abs(shares(other, n_cells) - expected).sum() / 2) for other in others]


@metrics.register("total_variation")
@dataclass(frozen=True)
class TotalVariation:
    """Mean total variation distance over 1-, 2- and 3-way marginals, and each column's own.

    The reference is the control against the train table: what real records that the generator
    has not seen reach. A control of few rows raises it by sampling alone, so the details also
    give the synthetic table's figure at the control's number of rows.

    >>> TotalVariation().max_triples
    1000
    """

    name: ClassVar[str] = "total_variation"
    title: ClassVar[str] = "Total variation distance of marginals"
    max_rows: int = 100_000
    max_triples: int = 1_000

    def run(self, tables: Tables, rng: np.random.Generator) -> tuple[Result, ...]:
        """The means over columns, pairs and triples; then each column alone."""
        seed = int(rng.integers(2**63))
        if not (tables.train.n_rows and tables.synthetic.n_rows):
            return (Failure(self.name, self.title, "the train or synthetic table has no rows"),)
        coded = CodedTables.of(tables, self.max_rows, seed)
        means = [self._mean(coded, order, seed) for order in (1, 2, 3)]
        return (*means, *(_column_score(coded, column) for column in range(len(coded.columns))))

    def _mean(self, coded: CodedTables, order: int, seed: int) -> Result:
        subsets = list(combinations(range(len(coded.columns)), order))
        title = f"{order}-way total variation distance (mean)"
        if not subsets:
            return Failure(f"tvd_{order}way", title, f"it needs {order} columns or more")
        details: dict[str, Detail] = {f"{_NOUNS[order]}_in_all": len(subsets)}
        if order == 3 and len(subsets) > self.max_triples:
            chosen = np.random.default_rng(seed).permutation(len(subsets))[: self.max_triples]
            subsets = [subsets[number] for number in np.sort(chosen)]
            details["note"] = f"a random sample of {self.max_triples} triples"
        details[f"{_NOUNS[order]}_scored"] = len(subsets)

        def compute() -> Score:
            score = _score(coded, subsets, f"tvd_{order}way", title)
            return replace(score, details=details | dict(score.details))

        return timed(compute)


def _column_score(coded: CodedTables, column: int) -> Result:
    name = coded.columns[column]

    def compute() -> Score:
        score = _score(coded, [(column,)], "tvd_1way", "1-way total variation distance")
        return replace(score, column=name)

    return timed(compute)


def _score(
    coded: CodedTables, subsets: Sequence[tuple[int, ...]], metric: str, title: str
) -> Score:
    """The mean distance over the subsets, with the control's beside it."""
    synthetic, control, small = np.mean([_distances(coded, subset) for subset in subsets], axis=0)
    details: dict[str, Detail] = {
        "unit": "rows",
        "train_rows": len(coded.train),
        "synthetic_rows": len(coded.synthetic),
        "reference_rows": len(coded.control),
    }
    has_control = len(coded.control) > 0
    if has_control:
        details["value_at_reference_rows"] = float(small)
    else:
        details["reference_missing"] = NO_CONTROL
    return Score(
        metric=metric,
        title=title,
        group="marginals",
        value=float(synthetic),
        reference=float(control) if has_control else None,
        reference_name="control" if has_control else "",
        higher_is_better=False,
        details=details,
        tool="privsynth",
    )


def _distances(coded: CodedTables, subset: tuple[int, ...]) -> list[float]:
    """From train to synthetic, control and the small synthetic table."""
    matrices = (coded.train, coded.synthetic, coded.control, coded.small)
    real, *others = (cells(matrix, coded.sizes, subset) for matrix in matrices)
    n_cells = int(np.prod([coded.sizes[column] for column in subset], dtype=np.int64))
    return tvd(real, others, n_cells)
