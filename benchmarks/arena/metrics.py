"""The figures that a table of drawn codes is judged by; the same for every generator.

All distances are to the train rows. `judge` gives every figure; None where one has no meaning.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arena.datasets import Coded
from arena.domains import Codes
from privsynth.fidelity.detection import indistinguishability
from privsynth.fidelity.marginals import cells, tvd

MAX_TRIPLES = 300
MAX_LEARN_ROWS = 60_000
MAX_DETECT_ROWS = 10_000
RARE = (0.001, 0.02)
FACTOR = 2.0
_SEED = 20_260_101

Figures = dict[str, float | None]
FIGURES = (
    "tvd1",
    "tvd2",
    "tvd3",
    "structure_tvd",
    "tstr_gb",
    "tstr_logistic",
    "detection",
    "rare_kept",
    "groups_kept",
)


def judge(data: Coded, drawn: Codes, *, learn_from: Codes | None = None) -> Figures:
    """Every figure of drawn codes, (n_rows, n_columns).

    `learn_from` takes the place of the drawn rows as what the TSTR models learn from: the row of
    the real records has the test rows as its table, and learns from the train rows.
    """
    from threadpoolctl import threadpool_limits

    drawn = valid(data, drawn)
    with threadpool_limits(1):
        return {
            **distances(data, drawn),
            **usefulness(data, drawn if learn_from is None else learn_from),
            "detection": detection(data, drawn),
            **minorities(data, drawn),
        }


def valid(data: Coded, drawn: Codes) -> Codes:
    """The drawn codes as integers; ValueError where one is outside its column's domain."""
    drawn = np.asarray(drawn, dtype=np.int64)
    if drawn.ndim != 2 or drawn.shape[1] != len(data.sizes):
        raise ValueError(f"drawn codes have the shape {drawn.shape}, not {len(data.sizes)} columns")
    outside = ((drawn < 0) | (drawn >= np.array(data.sizes))).any(axis=0)
    if outside.any():
        names = [data.names[j] for j in np.flatnonzero(outside)]
        raise ValueError(f"drawn codes lie outside the domain of {names}")
    return drawn


def distances(data: Coded, drawn: Codes) -> Figures:
    """Mean total variation distance over columns, pairs, triples and the structure of the set."""
    found: Figures = {
        f"tvd{order}": mean_tvd(data, drawn, subsets(len(data.sizes), order)) for order in (1, 2, 3)
    }
    found["structure_tvd"] = mean_tvd(data, drawn, data.structure) if data.structure else None
    return found


def subsets(n_columns: int, order: int) -> Sequence[tuple[int, ...]]:
    """All sets of so many columns; of triples at most 300, chosen by a fixed public seed."""
    everything = list(combinations(range(n_columns), order))
    if order < 3 or len(everything) <= MAX_TRIPLES:
        return everything
    chosen = np.random.default_rng(_SEED).permutation(len(everything))[:MAX_TRIPLES]
    return [everything[number] for number in np.sort(chosen)]


def mean_tvd(data: Coded, drawn: Codes, of: Iterable[tuple[int, ...]]) -> float:
    """The mean total variation distance of drawn from train rows over sets of columns."""
    found = []
    for subset in of:
        n_cells = int(np.prod([data.sizes[column] for column in subset]))
        real, other = (cells(codes, data.sizes, subset) for codes in (data.train, drawn))
        found.extend(tvd(real, [other], n_cells))
    return float(np.mean(found))


def usefulness(data: Coded, learned: Codes) -> Figures:
    """AUC on the test rows of models that learned from those rows, by model.

    0.5 where the learned rows have one class only.
    """
    learned = _some(learned, MAX_LEARN_ROWS)
    inputs = [j for j in range(len(data.sizes)) if j != data.target]
    y, y_test = learned[:, data.target], data.test[:, data.target]
    if len(np.unique(y)) < 2:
        return {"tstr_gb": 0.5, "tstr_logistic": 0.5}
    x, x_test = learned[:, inputs], data.test[:, inputs]
    categorical = [inputs.index(j) for j in data.categorical]
    return {
        "tstr_gb": _boosted_auc(categorical, (x, y), (x_test, y_test)),
        "tstr_logistic": _logistic_auc([data.sizes[j] for j in inputs], (x, y), (x_test, y_test)),
    }


def _boosted_auc(
    categorical: list[int], learn: tuple[Codes, Codes], test: tuple[Codes, Codes]
) -> float:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score

    model = HistGradientBoostingClassifier(
        categorical_features=categorical or None, early_stopping=False, random_state=0
    ).fit(*learn)
    return float(roc_auc_score(test[1], model.predict_proba(test[0])[:, 1]))


def _logistic_auc(
    sizes: Sequence[int], learn: tuple[Codes, Codes], test: tuple[Codes, Codes]
) -> float:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(max_iter=200, tol=1e-3).fit(one_hot(learn[0], sizes), learn[1])
    return float(roc_auc_score(test[1], model.predict_proba(one_hot(test[0], sizes))[:, 1]))


def one_hot(codes: Codes, sizes: Sequence[int]) -> Any:
    """One indicator a code: (n_rows, summed sizes), sparse."""
    from scipy.sparse import csr_matrix

    widths = np.array(sizes)
    columns = (codes + np.cumsum(widths) - widths).ravel()
    starts = np.arange(len(codes) + 1) * len(widths)
    return csr_matrix((np.ones(len(columns)), columns, starts), (len(codes), int(widths.sum())))


def detection(data: Coded, drawn: Codes) -> float:
    """1 where gradient boosting cannot tell drawn rows from train rows, 0 where it always can."""
    from sklearn.model_selection import StratifiedKFold

    n_rows = min(len(data.train), len(drawn), MAX_DETECT_ROWS)
    x = np.concatenate([_some(data.train, n_rows), _some(drawn, n_rows)])
    y = np.repeat([0, 1], n_rows)
    categorical = [j for j in range(len(data.sizes)) if not data.ordered[j]]
    folds = StratifiedKFold(3, shuffle=True, random_state=0).split(x, y)
    aucs = [_boosted_auc(categorical, (x[a], y[a]), (x[b], y[b])) for a, b in folds]
    return indistinguishability(float(np.mean(aucs)))


def minorities(data: Coded, drawn: Codes) -> Figures:
    """The share of rare categories, and of small groups, whose number of rows is about kept.

    Rare means 0.1 % to 2 % of the train rows, kept within a factor of two of the train share. A
    group is a code of a sensitive or target column with a code of any other column.
    """
    marked = [j for j, role in enumerate(data.roles) if role in {"sensitive", "target"}]
    pairs = {tuple(sorted((a, b))) for a in marked for b in range(len(data.sizes)) if a != b}
    return {
        "rare_kept": _kept(data, drawn, subsets(len(data.sizes), 1)),
        "groups_kept": _kept(data, drawn, sorted(pairs)),
    }


def _kept(data: Coded, drawn: Codes, of: Iterable[tuple[int, ...]]) -> float | None:
    n_kept = n_rare = 0
    for subset in of:
        n_cells = int(np.prod([data.sizes[column] for column in subset]))
        real, other = (
            np.bincount(cells(codes, data.sizes, subset), minlength=n_cells) / len(codes)
            for codes in (data.train, drawn)
        )
        rare = (real >= RARE[0]) & (real <= RARE[1])
        kept = (other * FACTOR >= real) & (other <= real * FACTOR)
        n_rare += int(rare.sum())
        n_kept += int((rare & kept).sum())
    return n_kept / n_rare if n_rare else None


def independent(data: Coded, rng: np.random.Generator) -> Codes:
    """Rows whose columns are independent and exact: each column of train, shuffled on its own."""
    shuffled: Codes = rng.permuted(data.train, axis=0)
    return shuffled


def _some(codes: NDArray[np.int64], n_rows: int) -> Codes:
    """At most so many rows, chosen by a fixed seed."""
    if len(codes) <= n_rows:
        return codes
    kept: Codes = codes[np.random.default_rng(_SEED).permutation(len(codes))[:n_rows]]
    return kept
