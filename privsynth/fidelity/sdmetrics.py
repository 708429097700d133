"""The door to sdmetrics: its column shapes and column pair trends, as errors in percent.

What sdmetrics leaves to its caller is done here: the thresholds of correlation and association are
0, so that every pair counts; a column or pair without a score becomes a Failure, where sdmetrics
drops it from the mean; both tables are cut at the real table's bin edges; rows are sampled by
seed; ordinal columns are scored as categories; its warnings go no further.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from privsynth.fidelity.base import NO_CONTROL, Detail, Failure, Result, Score, metrics, timed
from privsynth.fidelity.discretise import Discretiser, Labels
from privsynth.fidelity.sample import sampled
from privsynth.table import Table, Tables

Names: TypeAlias = tuple[str, ...]
_SHAPES = ("sdmetrics_shapes", "Shape error (sdmetrics Column Shapes), %", "columns")
_TRENDS = ("sdmetrics_trends", "Trend error (sdmetrics Column Pair Trends), %", "pairs")


@metrics.register("sdmetrics")
@dataclass(frozen=True)
class SDMetricsQuality:
    """Shape and trend errors as sdmetrics defines them, on at most 50,000 rows of each table.

    Where a table has more than 300 pairs of columns, a random sample of 300 is scored.

    >>> SDMetricsQuality().max_pairs
    300
    """

    name: ClassVar[str] = "sdmetrics"
    title: ClassVar[str] = "Column shapes and pair trends by sdmetrics"
    max_rows: int = 50_000
    max_pairs: int = 300

    def run(self, tables: Tables, rng: np.random.Generator) -> tuple[Result, ...]:
        """Both errors, each followed by a Failure for what could not be scored."""
        seed = int(rng.integers(2**63))
        if not (tables.train.n_rows and tables.synthetic.n_rows):
            return (Failure(self.name, self.title, "the train or synthetic table has no rows"),)
        synthetic, control = self._comparisons(tables, seed)
        columns = tuple((name,) for name in tables.schema.modelled)
        pairs = tuple(combinations(tables.schema.modelled, 2))
        chosen = np.random.default_rng(seed).permutation(len(pairs))[: self.max_pairs]
        some = tuple(pairs[number] for number in np.sort(chosen))
        note: dict[str, Detail] = {"pairs_in_all": len(pairs)}
        if len(some) < len(pairs):
            note["note"] = f"a random sample of {len(some)} pairs"
        return (
            *_results(_SHAPES, columns, (synthetic, control), {}),
            *_results(_TRENDS, some, (synthetic, control), note),
        )

    def _comparisons(self, tables: Tables, seed: int) -> tuple[_Comparison, _Comparison | None]:
        discretiser = Discretiser.of(tables.train)
        train, control, synthetic = (
            _Columns.of(sampled(table, self.max_rows, seed), discretiser)
            for table in (tables.train, tables.control, tables.synthetic)
        )
        return (
            _Comparison.of(train, synthetic),
            _Comparison.of(train, control) if tables.control.n_rows else None,
        )


@dataclass(frozen=True)
class _Columns:
    """A table as sdmetrics takes it: codes for categories, doubles with NaN for ranges."""

    categories: dict[str, NDArray[Any]]
    numbers: dict[str, NDArray[Any]]
    missing: dict[str, NDArray[Any]]

    @classmethod
    def of(cls, table: Table, discretiser: Discretiser) -> _Columns:
        columns = cls({}, {}, {})
        for name, coding in discretiser.codings.items():
            columns.missing[name] = table.missing(name)
            if isinstance(coding, Labels):
                columns.categories[name] = coding.codes(table, name)
            else:
                values = table.numbers(name).astype(np.float64)
                columns.numbers[name] = np.where(columns.missing[name], np.nan, values)
        return columns

    def present(self, name: str) -> NDArray[Any]:
        """The entries of a column that are not missing, as sdmetrics compares shapes."""
        values = self.categories if name in self.categories else self.numbers
        return values[name][~self.missing[name]]


@dataclass(frozen=True)
class _Comparison:
    """Real columns beside others, and both cut into categories at the real columns' bin edges."""

    real: _Columns
    other: _Columns
    cut: dict[str, tuple[NDArray[Any], NDArray[Any]]]

    @classmethod
    def of(cls, real: _Columns, other: _Columns) -> _Comparison:
        import pandas as pd
        from sdmetrics.utils import discretize_column

        cut = {name: (real.categories[name], other.categories[name]) for name in real.categories}
        for name, values in real.numbers.items():
            cut[name] = discretize_column(pd.Series(values), pd.Series(other.numbers[name]))
        return cls(real, other, cut)

    def score(self, names: Names) -> float | None:
        """The similarity of a column or of a pair, 1 best; None where sdmetrics has none."""
        with _quiet():
            score = self._shape(*names) if len(names) == 1 else self._trend(names)
        return None if score is None or np.isnan(score) else float(score)

    def _shape(self, name: str) -> float | None:
        from sdmetrics.single_column import KSComplement, TVComplement

        real, other = self.real.present(name), self.other.present(name)
        if not (len(real) and len(other)):
            return None
        metric = TVComplement if name in self.real.categories else KSComplement
        score: float = metric.compute(real, other)
        return score

    def _trend(self, names: Names) -> float | None:
        import pandas as pd
        from sdmetrics.column_pairs import ContingencySimilarity, CorrelationSimilarity

        if all(name in self.real.numbers for name in names):
            complete = [_complete(columns.numbers, names) for columns in (self.real, self.other)]
            if any(len(frame) < 3 or np.ptp(frame, axis=0).min() == 0 for frame in complete):
                return None
            metric, frames = CorrelationSimilarity, [pd.DataFrame(frame) for frame in complete]
        else:
            cut = [self.cut[name] for name in names]
            frames = [pd.DataFrame(dict(enumerate(side))) for side in zip(*cut, strict=True)]
            metric = ContingencySimilarity
        score: float = metric.compute(*frames)
        return score


def _complete(numbers: dict[str, NDArray[Any]], names: Names) -> NDArray[Any]:
    """The rows in which both columns are known: (n_complete, 2)."""
    both = np.column_stack([numbers[name] for name in names])
    complete: NDArray[Any] = both[~np.isnan(both).any(axis=1)]
    return complete


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        # scipy and sdmetrics warn of columns that are nearly constant; those have no score here.
        warnings.simplefilter("ignore")
        yield


def _results(
    what: tuple[str, str, str],
    items: Sequence[Names],
    comparisons: tuple[_Comparison, _Comparison | None],
    note: dict[str, Detail],
) -> tuple[Result, ...]:
    """The mean error over the items that have a score, and a Failure that names the others."""
    metric, title, noun = what
    synthetic, control = comparisons
    unscored: list[Names] = []

    def compute() -> Result:
        errors = _errors(synthetic, items)
        unscored.extend(names for names, error in errors.items() if error is None)
        score = _score(errors, {} if control is None else _errors(control, items), what)
        if isinstance(score, Failure):
            return score
        return replace(score, details={**score.details, **note})

    first = timed(compute)
    if isinstance(first, Failure) or not unscored:
        return (first,)
    example = " with ".join(repr(name) for name in unscored[0])
    reason = (
        f"{len(unscored)} of {len(items)} {noun} have no score and are not in the mean, because "
        f"they are constant or (nearly) all missing in one table; the first is {example}"
    )
    return (first, Failure(metric, title, reason))


def _errors(comparison: _Comparison, items: Sequence[Names]) -> dict[Names, float | None]:
    """The error of each item in percent."""
    scores = {names: comparison.score(names) for names in items}
    return {
        names: None if score is None else 100 * max(0.0, 1 - score)
        for names, score in scores.items()
    }


def _score(
    errors: dict[Names, float | None],
    references: dict[Names, float | None],
    what: tuple[str, str, str],
) -> Result:
    metric, title, noun = what
    scored = {names: error for names, error in errors.items() if error is not None}
    if not scored:
        return Failure(metric, title, f"none of {len(errors)} {noun} can be scored")
    worst = max(scored, key=lambda names: scored[names])
    real = [error for error in references.values() if error is not None]
    details: dict[str, Detail] = {
        f"{noun}_scored": len(scored),
        f"{noun}_asked": len(errors),
        "worst": " with ".join(worst),
        "worst_error": scored[worst],
    }
    if not real:
        details["reference_missing"] = NO_CONTROL
    return Score(
        metric=metric,
        title=title,
        group="quality",
        value=float(np.mean(list(scored.values()))),
        reference=float(np.mean(real)) if real else None,
        reference_name="control" if real else "",
        higher_is_better=False,
        details=details,
        tool="sdmetrics",
    )
