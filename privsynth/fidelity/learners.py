"""The models that measure utility: gradient boosting, and a linear one."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from privsynth.fidelity.discretise import Discretiser
from privsynth.fidelity.features import Features, without_empty
from privsynth.fidelity.target import ClassTarget, NumberTarget, Target
from privsynth.table import Table

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Predict: TypeAlias = Callable[[Table, Table], NDArray[Any]]
"""Learn from the first table; predict the target of the second: numbers, or class probabilities."""


@dataclass(frozen=True)
class Learner:
    """A kind of model: what the scores call it, how many rows it takes, and how it is made."""

    metric: str
    title: str
    tool: str
    max_rows: int
    make: Callable[[Table, Target, int], Predict]


def boosting(train: Table, target: Target, seed: int) -> Predict:
    """Gradient boosting over the columns as they are, categories and missing entries included."""
    features = Features.of(train, without=target.name)

    def predict(learned: Table, test: Table) -> NDArray[Any]:
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        settings = {
            "categorical_features": features.categorical,
            "early_stopping": False,
            "random_state": seed,
        }
        x, x_test = without_empty(features.matrix(learned), features.matrix(test))
        y = target.values(learned)
        if isinstance(target, NumberTarget):
            return np.asarray(HistGradientBoostingRegressor(**settings).fit(x, y).predict(x_test))
        return _probabilities(HistGradientBoostingClassifier(**settings), target, x, y, x_test)

    return predict


def linear(train: Table, target: Target, seed: int) -> Predict:
    """Logistic or ridge regression over the indicators of the shared discretisation's codes."""
    codings = {
        name: coding
        for name, coding in Discretiser.of(train).codings.items()
        if name != target.name
    }
    discretiser = Discretiser(codings)

    def predict(learned: Table, test: Table) -> NDArray[Any]:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression, Ridge

        x, x_test = (_indicators(discretiser, table) for table in (learned, test))
        y = target.values(learned)
        if isinstance(target, NumberTarget):
            return np.asarray(Ridge(solver="lsqr", random_state=seed).fit(x, y).predict(x_test))
        with warnings.catch_warnings():
            # A model that stops after 100 rounds is good enough to compare two tables.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return _probabilities(LogisticRegression(max_iter=100, tol=1e-3), target, x, y, x_test)

    return predict


LEARNERS = (
    Learner("tstr", "gradient boosting", "scikit-learn HistGradientBoosting", 50_000, boosting),
    Learner("tstr_linear", "linear model", "scikit-learn linear_model", 20_000, linear),
)


def _probabilities(
    model: Any, target: ClassTarget, x: Any, y: NDArray[Any], x_test: Any
) -> NDArray[Any]:
    """The probability of each class, (n_test, n_classes); 0 for classes that were never seen."""
    spread = np.zeros((x_test.shape[0], target.n_classes))
    seen = np.unique(y)
    if len(seen) == 1:
        spread[:, seen] = 1.0
    else:
        spread[:, seen] = model.fit(x, y).predict_proba(x_test)
    return spread


def _indicators(discretiser: Discretiser, table: Table) -> csr_matrix:
    """One indicator a code: (n_rows, summed sizes), sparse."""
    from scipy.sparse import csr_matrix

    sizes = np.array(discretiser.sizes, dtype=np.int64)
    starts = np.cumsum(sizes) - sizes
    columns = np.ascontiguousarray(discretiser.codes(table) + starts).ravel()
    rows = np.arange(table.n_rows + 1) * len(sizes)
    return csr_matrix(
        (np.ones(len(columns)), columns, rows), shape=(table.n_rows, int(sizes.sum()))
    )
