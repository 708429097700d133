"""Signs of mode collapse: categories that are gone, rows that repeat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from privsynth.fidelity.base import NO_CONTROL, Detail, Failure, Result, Score, metrics, timed
from privsynth.fidelity.discretise import Discretiser, Labels
from privsynth.fidelity.sample import row_hashes, sampled
from privsynth.table import Table, Tables

MIN_COUNT = 5
RARE_SHARE = 0.01


@metrics.register("collapse")
@dataclass(frozen=True)
class Collapse:
    """What a collapsed generator loses: categories, rare categories, and different rows.

    Only categories with five train rows or more count, because a private generator owes nothing
    to fewer persons; rare ones hold less than 1 % of the train table.

    >>> Collapse().title
    'Coverage and repetition'
    """

    name: ClassVar[str] = "collapse"
    title: ClassVar[str] = "Coverage and repetition"

    def run(self, tables: Tables, rng: np.random.Generator) -> tuple[Result, ...]:
        """Coverage of categories, of rare ones, and the excess of repeated rows."""
        seed = int(rng.integers(2**63))
        if not (tables.train.n_rows and tables.synthetic.n_rows):
            return (Failure(self.name, self.title, "the train or synthetic table has no rows"),)
        counts = _Counts.of(tables)
        return (
            timed(lambda: counts.coverage("category_coverage", "Categories that appear", 1.0)),
            timed(
                lambda: counts.coverage("rare_coverage", "Rare categories that appear", RARE_SHARE)
            ),
            timed(lambda: _repetition(tables, seed)),
        )


@dataclass(frozen=True)
class _Counts:
    """Rows of each category of every category column, one after the other: (n_categories,)."""

    train: NDArray[Any]
    control: NDArray[Any]
    synthetic: NDArray[Any]
    n_rows: int
    n_control: int

    @classmethod
    def of(cls, tables: Tables) -> _Counts:
        discretiser = Discretiser.of(tables.train)
        train, control, synthetic = (
            _counts(discretiser, table)
            for table in (tables.train, tables.control, tables.synthetic)
        )
        return cls(train, control, synthetic, tables.train.n_rows, tables.control.n_rows)

    def coverage(self, metric: str, title: str, below: float) -> Result:
        """The share of train categories with a share up to `below` that the synthetic table has."""
        wanted = (self.train >= MIN_COUNT) & (self.train <= below * self.n_rows)
        n_wanted = int(wanted.sum())
        if not n_wanted:
            reason = f"no category of that kind has {MIN_COUNT} train rows or more"
            return Failure(metric, title, reason)
        details: dict[str, Detail] = {
            "categories": n_wanted,
            "absent": n_wanted - int((self.synthetic[wanted] > 0).sum()),
            "reference_rows": self.n_control,
        }
        if not self.n_control:
            details["reference_missing"] = NO_CONTROL
        return Score(
            metric=metric,
            title=title,
            group="quality",
            value=float((self.synthetic[wanted] > 0).mean()),
            reference=float((self.control[wanted] > 0).mean()) if self.n_control else None,
            reference_name="control" if self.n_control else "",
            higher_is_better=True,
            details=details,
            tool="privsynth",
        )


def _counts(discretiser: Discretiser, table: Table) -> NDArray[Any]:
    columns = [
        # Missing, the last code, is no category.
        np.bincount(coding.codes(table, name), minlength=coding.size)[:-1]
        for name, coding in discretiser.codings.items()
        if isinstance(coding, Labels)
    ]
    return np.concatenate(columns) if columns else np.zeros(0, dtype=np.int64)


def _repetition(tables: Tables, seed: int) -> Score:
    """How much larger the share of repeated rows is than in as many train rows."""
    n_rows = min(tables.train.n_rows, tables.synthetic.n_rows)
    real, synthetic = (
        repeated_share(sampled(table, n_rows, seed)) for table in (tables.train, tables.synthetic)
    )
    return Score(
        metric="repeated_rows",
        title="Repeated rows beyond those of the train table",
        group="quality",
        value=max(0.0, synthetic - real),
        reference=0.0,
        reference_name="train",
        higher_is_better=False,
        details={"rows": n_rows, "synthetic_share": synthetic, "train_share": real},
        tool="privsynth",
    )


def repeated_share(table: Table) -> float:
    """The share of rows that say the same as another row before them.

    >>> import pyarrow as pa
    >>> from privsynth.schema import Schema
    >>> schema = Schema.parse({"dataset": {"id": "d"}, "columns": {"ill": {"kind": "boolean"}}})
    >>> repeated_share(Table.from_arrow(pa.table({"ill": [True, True, True, False]}), schema))
    0.5
    """
    return 1 - len(np.unique(row_hashes(table))) / table.n_rows
