"""Every fidelity metric, one after the other, on the tables of one assessment."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from privsynth.fidelity.base import Failure, Metric, Result, metrics
from privsynth.progress import SILENT, Progress
from privsynth.table import Tables


def run_suite(
    tables: Tables,
    rng: np.random.Generator,
    progress: Progress = SILENT,
    names: Collection[str] | None = None,
) -> tuple[Result, ...]:
    """The scores and failures of every registered metric, or of those named, in order of names.

    Each metric draws from a stream of its own, so that one more changes none of the others.

    >>> import pyarrow as pa
    >>> from privsynth.schema import Schema
    >>> from privsynth.table import Table
    >>> schema = Schema.parse({"dataset": {"id": "d"}, "columns": {"ill": {"kind": "boolean"}}})
    >>> table = Table.from_arrow(pa.table({"ill": [True, False, False, False]}), schema)
    >>> results = run_suite(Tables(table, table, table), np.random.default_rng(1))
    >>> results[0]
    Failure(name='association', ..., reason='it needs two columns that vary')
    """
    chosen = [make() for name, make in metrics.items() if names is None or name in names]
    progress.stage("measuring fidelity", total=len(chosen))
    results: list[Result] = []
    for metric, stream in zip(chosen, rng.spawn(len(chosen)), strict=True):
        results += _run(metric, tables, stream)
        progress.advance(note=metric.title)
    return tuple(results)


def _run(metric: Metric, tables: Tables, rng: np.random.Generator) -> tuple[Result, ...]:
    """One metric; what stops it becomes a failure that shows no value of a record."""
    try:
        return metric.run(tables, rng)
    except (ValueError, ArithmeticError, MemoryError) as error:
        return (Failure(metric.name, metric.title, f"it stopped with {type(error).__name__}"),)
