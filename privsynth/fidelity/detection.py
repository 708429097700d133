"""How well a gradient-boosting classifier tells synthetic records from real ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from privsynth.fidelity.base import Detail, Failure, Result, Score, metrics, timed
from privsynth.fidelity.features import Features, without_empty
from privsynth.fidelity.sample import sampled
from privsynth.table import Table, Tables

MIN_ROWS = 100
_N_FOLDS = 3


@metrics.register("detection")
@dataclass(frozen=True)
class Detection:
    """A two-sample test by classifier: 1 where no one can tell, 0 where every record gives it away.

    The score is 1 − (2·max(AUC, ½) − 1), with the AUC of gradient boosting over three folds of
    equally many train and synthetic rows. The reference puts control rows in the place of the
    synthetic ones; the details give the synthetic score at the reference's number of rows too,
    because a classifier with more rows sees more.

    >>> Detection().max_rows
    20000
    """

    name: ClassVar[str] = "detection"
    title: ClassVar[str] = "Detection by gradient boosting"
    max_rows: int = 20_000

    def run(self, tables: Tables, rng: np.random.Generator) -> tuple[Result, ...]:
        """One score."""
        seed = int(rng.integers(2**31))
        return (timed(lambda: self._score(tables, seed)),)

    def _score(self, tables: Tables, seed: int) -> Result:
        n_rows = min(tables.train.n_rows, tables.synthetic.n_rows, self.max_rows)
        if n_rows < MIN_ROWS:
            reason = f"it needs {MIN_ROWS} train and synthetic rows, and there are {n_rows}"
            return Failure(self.name, self.title, reason)
        judge = _Judge(Features.of(tables.train), tables.train, seed)
        auc = judge.auc(tables.synthetic, n_rows)
        n_reference = min(tables.control.n_rows, n_rows)
        details: dict[str, Detail] = {"auc": auc, "rows_of_each": n_rows, "folds": _N_FOLDS}
        reference = None
        if n_reference < MIN_ROWS:
            details["reference_missing"] = f"the control has fewer than {MIN_ROWS} rows"
        else:
            reference_auc = judge.auc(tables.control, n_reference)
            reference = indistinguishability(reference_auc)
            small_auc = judge.auc(tables.synthetic, n_reference)
            details |= {
                "reference_auc": reference_auc,
                "reference_rows": n_reference,
                "value_at_reference_rows": indistinguishability(small_auc),
            }
        return Score(
            metric=self.name,
            title=self.title,
            group="detection",
            value=indistinguishability(auc),
            reference=reference,
            reference_name="" if reference is None else "control",
            higher_is_better=True,
            details=details,
            tool="scikit-learn HistGradientBoostingClassifier",
        )


def indistinguishability(auc: float) -> float:
    """1 − (2·max(AUC, ½) − 1): 1 for a blind classifier, 0 for a perfect one.

    >>> indistinguishability(0.5), indistinguishability(1.0)
    (1.0, 0.0)
    """
    return 2.0 - 2.0 * max(auc, 0.5)


@dataclass(frozen=True)
class _Judge:
    """Tells rows of another table from train rows."""

    features: Features
    train: Table
    seed: int

    def auc(self, other: Table, n_rows: int) -> float:
        """The mean area under the ROC curve over the folds, on `n_rows` rows of each table."""
        from sklearn.model_selection import StratifiedKFold

        rows = [
            self.features.matrix(sampled(table, n_rows, self.seed)) for table in (self.train, other)
        ]
        x, y = np.concatenate(rows), np.repeat([0, 1], n_rows)
        folds = StratifiedKFold(_N_FOLDS, shuffle=True, random_state=self.seed).split(x, y)
        return float(np.mean([self._fold_auc(x, y, fold) for fold in folds]))

    def _fold_auc(self, x: NDArray[Any], y: NDArray[Any], fold: Sequence[NDArray[Any]]) -> float:
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.metrics import roc_auc_score

        fit, test = fold
        model = HistGradientBoostingClassifier(
            categorical_features=self.features.categorical,
            early_stopping=False,
            random_state=self.seed,
        )
        learned, tested = without_empty(x[fit], x[test])
        model.fit(learned, y[fit])
        return float(roc_auc_score(y[test], model.predict_proba(tested)[:, 1]))
