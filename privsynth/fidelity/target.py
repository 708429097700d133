"""What a utility model predicts, and how its prediction is scored on real rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from privsynth.fidelity.base import Detail
from privsynth.fidelity.discretise import Coding, Labels, coding_of
from privsynth.table import Table, Tables

MIN_CLASS_ROWS = 10
MAX_CLASSES = 8


@dataclass(frozen=True)
class ClassTarget:
    """A category to predict: its scored classes from 0, and one last class for all others."""

    name: str
    coding: Coding
    classes: NDArray[Any]  # (size of the coding,) class number of each code
    n_classes: int
    details: Mapping[str, Detail]

    measure: ClassVar[str] = "ROC AUC"

    def values(self, table: Table) -> NDArray[Any]:
        """The class of each row: (n_rows,) integers below `n_classes`."""
        return np.asarray(self.classes[self.coding.codes(table, self.name)])

    def score(self, prediction: NDArray[Any], test: Table) -> float:
        """The mean over scored classes of the AUC of one class against the rest."""
        from sklearn.metrics import roc_auc_score

        truth = self.values(test)
        return float(
            np.mean(
                [
                    roc_auc_score(truth == number, prediction[:, number])
                    for number in range(self.n_classes - 1)
                ]
            )
        )


@dataclass(frozen=True)
class NumberTarget:
    """A number, date or moment to predict."""

    name: str

    measure: ClassVar[str] = "R²"
    details: ClassVar[Mapping[str, Detail]] = {}

    def values(self, table: Table) -> NDArray[Any]:
        """The number in each row: (n_rows,) doubles."""
        return table.numbers(self.name).astype(np.float64)

    def score(self, prediction: NDArray[Any], test: Table) -> float:
        """The share of the variance that is explained; below 0 when the mean would do better."""
        truth = self.values(test)
        residual = np.mean((truth - prediction) ** 2)
        return float(1 - residual / np.var(truth))


Target: TypeAlias = ClassTarget | NumberTarget


def target_of(tables: Tables, name: str) -> Target | str:
    """How a column is predicted, or why it cannot be; its missing rows are gone already.

    >>> import pyarrow as pa
    >>> from privsynth.schema import Schema
    >>> schema = Schema.parse({"dataset": {"id": "d"}, "columns": {"ill": {"kind": "boolean"}}})
    >>> table = Table.from_arrow(pa.table({"ill": [True] * 30}), schema)
    >>> target_of(Tables(table, table, table), "ill")
    'fewer than two classes have 10 rows or more in the train and in the control table'
    """
    coding = coding_of(tables.train, name)
    if isinstance(coding, Labels):
        return _class_target(tables, name, coding)
    if any(np.ptp(table.numbers(name)) == 0 for table in (tables.train, tables.control)):
        return "it is constant in the train or the control table"
    return NumberTarget(name)


def _class_target(tables: Tables, name: str, coding: Labels) -> ClassTarget | str:
    """The frequent classes one by one, all others together."""
    train, control = (
        np.bincount(coding.codes(table, name), minlength=coding.size)
        for table in (tables.train, tables.control)
    )
    others = control.sum() - control
    enough = np.minimum(np.minimum(train, control), others) >= MIN_CLASS_ROWS
    scored = [code for code in np.argsort(-train, kind="stable") if enough[code]][:MAX_CLASSES]
    if not scored:
        return (
            f"fewer than two classes have {MIN_CLASS_ROWS} rows or more "
            "in the train and in the control table"
        )
    classes = np.full(coding.size, len(scored))
    classes[scored] = np.arange(len(scored))
    n_pooled = int(np.count_nonzero(train + control)) - len(scored)
    details = {"classes_scored": len(scored), "classes_pooled": n_pooled}
    return ClassTarget(name, coding, classes, len(scored) + 1, details)
