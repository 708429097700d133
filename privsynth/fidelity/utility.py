"""What a model learned from synthetic records knows about real ones (TSTR)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from privsynth.fidelity.base import NO_CONTROL, Failure, Result, Score, metrics, timed
from privsynth.fidelity.learners import LEARNERS, Learner
from privsynth.fidelity.sample import sampled
from privsynth.fidelity.target import target_of
from privsynth.schema import Schema
from privsynth.table import Table, Tables

MIN_ROWS = 20
_TITLE = "Train on synthetic, test on real"


@metrics.register("utility")
@dataclass(frozen=True)
class Utility:
    """Train on synthetic, test on real (TSTR): each target, by boosting and by a linear model.

    The model learns from synthetic rows and is tested on the control, never on the train table;
    the reference is the same model learned from as many train rows (TRTR). Targets are the
    schema's, or else its first sensitive column. A category target gives the area under the ROC
    curve, the mean over its classes where there are more than two; a range target gives R².

    >>> Utility().max_rows
    50000
    """

    name: ClassVar[str] = "utility"
    title: ClassVar[str] = _TITLE
    max_rows: int = 50_000

    def run(self, tables: Tables, rng: np.random.Generator) -> tuple[Result, ...]:
        """A score or a reason for each target and model."""
        seed = int(rng.integers(2**31))
        targets = targets_of(tables.schema)
        if not targets:
            reason = "the schema gives no column the role target or sensitive"
            return tuple(Failure(learner.metric, _title(learner), reason) for learner in LEARNERS)
        return tuple(
            timed(partial(self._score, tables, target, learner, seed))
            for target in targets
            for learner in LEARNERS
        )

    def _score(self, tables: Tables, column: str, learner: Learner, seed: int) -> Result:
        known = Tables(
            *(_known(t, column) for t in (tables.train, tables.control, tables.synthetic))
        )
        target = _too_few(tables, known) or target_of(known, column)
        if isinstance(target, str):
            return Failure(learner.metric, _title(learner), f"column {column!r}: {target}")
        n_rows = min(known.train.n_rows, known.synthetic.n_rows, self.max_rows, learner.max_rows)
        predict = learner.make(tables.train, target, seed)
        test = sampled(known.control, self.max_rows, seed)
        real, synthetic = (
            target.score(predict(sampled(table, n_rows, seed), test), test)
            for table in (known.train, known.synthetic)
        )
        return Score(
            metric=learner.metric,
            title=_title(learner),
            group="utility",
            value=synthetic,
            reference=real,
            reference_name="trained on real records",
            higher_is_better=True,
            column=column,
            details={
                "measure": target.measure,
                "gap": real - synthetic,
                "rows_learned_from": n_rows,
                "test_rows": test.n_rows,
                **target.details,
            },
            tool=learner.tool,
        )


def targets_of(schema: Schema) -> tuple[str, ...]:
    """The columns whose prediction measures utility: the targets, or the first sensitive one.

    >>> targets_of(Schema.parse({"dataset": {"id": "d"}, "columns": {
    ...     "hiv": {"kind": "boolean", "role": "sensitive"}}}))
    ('hiv',)
    """
    modelled = set(schema.modelled)
    targets = tuple(name for name in schema.with_role("target") if name in modelled)
    return targets or tuple(n for n in schema.with_role("sensitive") if n in modelled)[:1]


def _title(learner: Learner) -> str:
    return f"{_TITLE}: {learner.title}"


def _known(table: Table, column: str) -> Table:
    return table.take(~table.missing(column))


def _too_few(tables: Tables, known: Tables) -> str:
    """Why there are too few rows to learn or to test, or nothing."""
    if not tables.control.n_rows:
        return NO_CONTROL
    for what in ("train", "control", "synthetic"):
        n_rows = getattr(known, what).n_rows
        if n_rows < MIN_ROWS:
            return f"the {what} table has {n_rows} rows where it is known; {MIN_ROWS} are needed"
    if len(tables.schema.modelled) < 2:
        return "no other column is left to predict it from"
    return ""
