from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from privsynth.fidelity.base import Failure, Score
from privsynth.fidelity.discretise import Discretiser
from privsynth.fidelity.marginals import TotalVariation, cells, shares, tvd
from privsynth.table import Tables


def _scores(tables: Tables, metric: TotalVariation | None = None) -> dict[str, Score]:
    results = (metric or TotalVariation()).run(tables, np.random.default_rng(1))
    return {
        result.metric: result
        for result in results
        if isinstance(result, Score) and result.column is None
    }


def test_means_equal_a_slow_count(tables: Tables) -> None:
    frames = [Discretiser.of(tables.train).codes(t) for t in (tables.train, tables.synthetic)]
    scores = _scores(tables)
    for order in (1, 2, 3):
        distances = []
        for subset in combinations(range(7), order):
            real, synthetic = (
                {
                    tuple(k): c / len(f)
                    for k, c in zip(
                        *np.unique(f[:, subset], axis=0, return_counts=True), strict=True
                    )
                }
                for f in frames
            )
            keys = real.keys() | synthetic.keys()
            distances.append(sum(abs(real.get(k, 0) - synthetic.get(k, 0)) for k in keys) / 2)
        assert scores[f"tvd_{order}way"].value == pytest.approx(np.mean(distances))


def test_dependence_that_is_lost_shows_in_pairs_and_not_in_columns(
    tables: Tables, shuffled_columns: Tables
) -> None:
    good, bad = _scores(tables), _scores(shuffled_columns)
    assert bad["tvd_1way"].value == pytest.approx(good["tvd_1way"].value)
    assert bad["tvd_2way"].value > 1.2 * good["tvd_2way"].value


def test_the_reference_is_the_control_and_comparable_at_its_size(tables: Tables) -> None:
    score = _scores(tables)["tvd_2way"]
    assert score.reference is not None
    assert score.reference > score.value  # half the rows: a higher floor
    assert score.details["reference_rows"] == 1_000
    same_size = score.details["value_at_reference_rows"]
    assert same_size == pytest.approx(score.reference, rel=0.1)


def test_each_column_has_its_own_distance(tables: Tables) -> None:
    results = TotalVariation().run(tables, np.random.default_rng(1))
    columns = [r for r in results if isinstance(r, Score) and r.column]
    assert [score.column for score in columns] == list(tables.schema.modelled)
    mean = np.mean([score.value for score in columns])
    assert mean == pytest.approx(_scores(tables)["tvd_1way"].value)


def test_a_sample_of_triples_and_rows_says_so(tables: Tables) -> None:
    score = _scores(tables, TotalVariation(max_rows=300, max_triples=10))["tvd_3way"]
    assert score.details["triples_in_all"] == 35
    assert score.details["triples_scored"] == 10
    assert score.details["note"] == "a random sample of 10 triples"
    assert score.details["train_rows"] == 300


def test_without_a_control_there_is_no_reference_and_a_reason(tables: Tables) -> None:
    empty = Tables(tables.train, tables.control.take(np.arange(0)), tables.synthetic)
    score = _scores(empty)["tvd_1way"]
    assert score.reference is None
    assert "control" in str(score.details["reference_missing"])


def test_an_empty_synthetic_table_is_a_failure(tables: Tables) -> None:
    empty = Tables(tables.train, tables.control, tables.synthetic.take(np.arange(0)))
    (failure,) = TotalVariation().run(empty, np.random.default_rng(1))
    assert isinstance(failure, Failure)


def test_wide_marginals_are_counted_without_a_table_of_all_cells() -> None:
    rng = np.random.default_rng(0)
    codes, other = rng.integers(0, 3_000, (2, 500, 2))
    numbers = [cells(matrix, (3_000, 3_000), (0, 1)) for matrix in (codes, other)]
    assert tvd(numbers[0], numbers[1:], 9_000_000) == [pytest.approx(1.0, abs=0.01)]
    assert tvd(numbers[0], [numbers[0]], 9_000_000) == [0.0]


def test_shares_of_no_rows_are_zero() -> None:
    assert shares(np.zeros(0, dtype=np.int64), 2).tolist() == [0.0, 0.0]
