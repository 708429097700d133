"""The only door to anonymeter: its query generators and its neighbour search, with guards.

The library proposes predicates that single out synthetic records, and finds the synthetic
records nearest to a target (Giomi, Boenisch, Wehmeyer and Tasnádi 2023). Who is attacked, what
counts as a success, and the rates are computed in this package: `GUARDS` says which fault of
anonymeter 1.1.0 each part of that answers.
"""

from __future__ import annotations

import logging
import random
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import version
from math import ceil, comb, log
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from privsynth.risk.plain import PlainTable

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

Query: TypeAlias = Any
"""A predicate over the columns of a table, as a polars expression."""

GUARDS = MappingProxyType(
    {
        1: "1: own baseline for inference",
        2: "2: equal numbers of persons on both sides",
        3: "3: rates over the queries that were made",
        4: "4: labels as plain tokens, so that quotes match",
        5: "5: dates and nullable integers as plain numbers",
        6: "6: number or label by the kind of the column",
        7: "7: own scorer, relative to the absolute value",
        8: "8: seeded, recorded, order made reproducible",
        9: "9: no more attacks than there are targets",
        10: "10: own rates for groups",
        11: "11: missing entries match each other",
        12: "12: ties among neighbours broken at random",
        13: "13: attempts limited",
        14: "14: persons counted, not rows",
    }
)
"""The faults of anonymeter 1.1.0 by number, each with what is done about it."""

MAX_ATTEMPTS = 50_000
"""Predicates that are tried at most until enough of them single out a synthetic record."""
FIRST_ATTEMPTS = 2_000
"""Where none of so many predicates singles out a record, no more are tried."""

_SPARE_ROUNDS = 7.0  # draws for each possible predicate, beyond ln n: one in 1,000 is left out
_NEIGHBOURS = 32  # distinct combinations looked at; ties beyond them are cut in random order
_TIE = 1e-9
_PERSON = "person"


def tool() -> str:
    """The name and version of the library, for the record.

    >>> tool()
    'anonymeter 1.1...'
    """
    return f"anonymeter {version('anonymeter')}"


def guards(*numbers: int) -> tuple[str, ...]:
    """The names of those guards.

    >>> guards(13, 14)
    ('13: attempts limited', '14: persons counted, not rows')
    """
    return tuple(GUARDS[number] for number in numbers)


@contextmanager
def library_call(seed: int) -> Iterator[None]:
    """Global seeds set, the library's logs and warnings silenced; all put back afterwards.

    >>> state = random.getstate()
    >>> with library_call(seed=1):
    ...     first = random.random()
    >>> random.getstate() == state
    True
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()
    logger = logging.getLogger("anonymeter")
    level = logger.level
    random.seed(seed)
    np.random.seed(seed)
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        logger.setLevel(level)


def univariate_queries(synthetic: PlainTable, n_queries: int, seed: int) -> list[Query]:
    """Predicates on one column that fit exactly one synthetic record: rare or extreme values."""
    with library_call(seed):
        from anonymeter.evaluators.singling_out_evaluator import univariate_singling_out_queries

        frame = query_frame(synthetic).unique(maintain_order=True)
        found = univariate_singling_out_queries(frame, n_queries, _OrderedShuffle(seed))
        return list(found)


def multivariate_queries(
    synthetic: PlainTable, n_queries: int, n_columns: int, seed: int
) -> list[Query]:
    """Predicates on `n_columns` columns that fit exactly one synthetic record.

    Fewer than asked for where `MAX_ATTEMPTS` do not give as many, or where there are no more: a
    record and a choice of columns make one predicate.
    """
    frame = query_frame(synthetic).unique(maintain_order=True)
    most = _attempts(len(frame) * comb(len(frame.columns), n_columns))
    found: list[Query] = []
    for attempts in sorted({min(FIRST_ATTEMPTS, most), most}):
        with library_call(seed):
            found = _multivariate(frame, n_queries, n_columns, attempts, seed)
        if not found or len(found) == n_queries:
            break
    return found


def random_queries(synthetic: PlainTable, n_queries: int, n_columns: int, seed: int) -> list[Query]:
    """Predicates made by guessing: random columns, comparisons and values that occur.

    The library's own draw their values in an order that differs from run to run.
    """
    rng = np.random.default_rng(seed)
    values = {name: np.unique(synthetic.values(name)) for name in synthetic.columns}
    names = _column_names(synthetic)
    made = []
    for _ in range(n_queries):
        columns = rng.choice(list(synthetic.columns), size=n_columns, replace=False)
        parts = [
            _random_part(names[name], name in synthetic.numbers, values[name], rng)
            for name in columns.tolist()
        ]
        made.append(_all_of(parts))
    return made


def singled_out(queries: Sequence[Query], table: PlainTable) -> NDArray[Any]:
    """The one person whom each query fits, (n_queries,); -1 where it fits none or several."""
    if not queries:
        return np.empty(0, dtype=np.int64)
    with library_call(seed=0):
        import polars as pl

        frame = query_frame(table).with_columns(pl.Series(_PERSON, table.persons))
        fits = [pl.col(_PERSON).filter(query) for query in queries]
        lowest = frame.select(fit.min().alias(str(i)) for i, fit in enumerate(fits)).row(0)
        highest = frame.select(fit.max().alias(str(i)) for i, fit in enumerate(fits)).row(0)
    pairs = zip(lowest, highest, strict=True)
    return np.array([low if low is not None and low == high else -1 for low, high in pairs])


def query_frame(table: PlainTable) -> pl.DataFrame:
    """The table for predicates: neutral column names, floats, and tokens in place of labels.

    A column's own name could be read as a regular expression, and a label with quotes never
    matches; neither gets through.
    """
    import polars as pl

    names = _column_names(table)
    columns = [
        pl.Series(names[name], numbers, dtype=pl.Float64).fill_nan(None)
        for name, numbers in table.numbers.items()
    ]
    for name, codes in table.labels.items():
        tokens = [
            f"v{code}" if code >= 0 else None for code in range(-1, codes.max(initial=-1) + 1)
        ]
        columns.append(pl.Series(names[name], tokens, dtype=pl.String).gather(codes + 1))
    return pl.DataFrame(columns)


def nearest_rows(
    candidates: PlainTable, targets: PlainTable, columns: Sequence[str], seed: int
) -> NDArray[Any]:
    """The candidate row nearest to each target on `columns`, (n_targets,); ties at random.

    The distance is that of Gower (1971). Equal candidates are searched once; among the nearest
    distinct combinations one is drawn by how often it occurs, and then one of its rows.
    """
    rng = np.random.default_rng(seed)
    combos, row_of, counts = _combinations(candidates, columns)
    shuffled = rng.permutation(len(combos))
    frame, queries, kinds = neighbour_frames(candidates.take(combos[shuffled]), targets, columns)
    distances, found = _neighbours(frame, queries, kinds, seed)
    nearest = shuffled[_drawn(distances, counts[shuffled][found], found, rng)]
    by_combo = np.argsort(row_of, kind="stable")
    starts = np.r_[0, np.cumsum(counts)[:-1]]
    offsets = (rng.random(len(nearest)) * counts[nearest]).astype(np.int64)
    return np.asarray(by_combo[starts[nearest] + offsets])


def neighbour_frames(
    candidates: PlainTable, targets: PlainTable, columns: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, list[str]]]:
    """Both tables for the neighbour search, without missing entries, and the kind of each column.

    A missing number becomes the candidates' median beside a flag, a missing label a label of its
    own: the library counts two missing entries as unlike.
    """
    import pandas as pd

    filled: dict[str, list[NDArray[Any]]] = {}
    kinds: dict[str, list[str]] = {"num": [], "cat": []}
    for name in columns:
        both = [candidates.values(name), targets.values(name)]
        if name not in candidates.numbers:
            kinds["cat"].append(name)
            filled[name] = both
            continue
        kinds["num"].append(name)
        present = both[0][~np.isnan(both[0])]
        median = float(np.median(present)) if len(present) else 0.0
        filled[name] = [np.where(np.isnan(values), median, values) for values in both]
        if any(np.isnan(values).any() for values in both):
            kinds["cat"].append(flag := f"{name} is missing")
            filled[flag] = [np.isnan(values).astype(np.int64) for values in both]
    frames = [pd.DataFrame({name: both[i] for name, both in filled.items()}) for i in (0, 1)]
    return frames[0], frames[1], kinds


def _attempts(n_possible: int) -> int:
    """How many draws find nearly all of so many predicates: a collector's n ln n, and some more."""
    return min(MAX_ATTEMPTS, ceil(n_possible * (log(n_possible) + _SPARE_ROUNDS)))


def _multivariate(
    frame: pl.DataFrame, n_queries: int, n_columns: int, attempts: int, seed: int
) -> list[Query]:
    from anonymeter.evaluators.singling_out_evaluator import multivariate_singling_out_queries

    found = multivariate_singling_out_queries(
        frame,
        n_queries=n_queries,
        n_cols=n_columns,
        max_attempts=attempts,
        rng=np.random.default_rng(seed),
    )
    return list(found)


class _OrderedShuffle:
    """A generator's `shuffle` that gives the same result whatever the order before it.

    The library collects rare values in an order that differs from run to run.
    """

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def shuffle(self, queries: list[Query]) -> None:
        queries.sort(key=str)
        self._rng.shuffle(queries)


def _column_names(table: PlainTable) -> dict[str, str]:
    return {name: f"c{number}" for number, name in enumerate(sorted(table.columns))}


def _random_part(
    name: str, is_number: bool, values: NDArray[Any], rng: np.random.Generator
) -> Query:
    """One comparison with a value that occurs; with null where that value is missing."""
    import polars as pl

    value, column = rng.choice(values), pl.col(name)
    operators = ("eq", "ne", "gt", "lt", "ge", "le") if is_number else ("eq", "ne")
    operator = str(rng.choice(operators))
    if np.isnan(value) if is_number else value < 0:
        return column.is_null() if operator == "eq" else column.is_not_null()
    return getattr(column, operator)(float(value) if is_number else f"v{value}")


def _all_of(parts: Sequence[Query]) -> Query:
    together = parts[0]
    for part in parts[1:]:
        together = together & part
    return together


def _combinations(
    table: PlainTable, columns: Sequence[str]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """A first row of each distinct combination, the combination of each row, and their counts."""
    matrix = np.column_stack([np.nan_to_num(table.values(name), nan=np.inf) for name in columns])
    _, first, row_of, counts = np.unique(
        matrix, axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    return first, row_of.reshape(-1), counts


def _neighbours(
    candidates: pd.DataFrame, targets: pd.DataFrame, kinds: dict[str, list[str]], seed: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Distances and positions of the nearest candidates, (n_targets, k) each."""
    with library_call(seed):
        # By way of the evaluators: anonymeter.neighbors alone imports in a circle.
        from anonymeter.evaluators.linkability_evaluator import MixedTypeKNeighbors

        _compiled_once()
        k = min(_NEIGHBOURS, len(candidates))
        search = MixedTypeKNeighbors(n_neighbors=k, n_jobs=1).fit(candidates, ctypes=kinds)
        distances, found = search.kneighbors(targets, return_distance=True)
    return np.asarray(distances), np.asarray(found)


@cache
def _compiled_once() -> None:
    """Keep the library's compiled search on disk: compiling it takes seconds in every process."""
    from anonymeter.neighbors.mixed_types_kneighbors import _nearest_neighbors

    with suppress(RuntimeError):  # where no folder can be written
        _nearest_neighbors.enable_caching()


def _drawn(
    distances: NDArray[Any], counts: NDArray[Any], found: NDArray[Any], rng: np.random.Generator
) -> NDArray[Any]:
    """One of the nearest candidates of each target, drawn by how often it occurs."""
    weights = counts * (distances <= distances.min(axis=1, keepdims=True) + _TIE)
    cumulative = np.cumsum(weights, axis=1)
    points = rng.random((len(found), 1)) * cumulative[:, -1:]
    chosen = (cumulative > points).argmax(axis=1)
    return np.asarray(found[np.arange(len(found)), chosen])
