from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats.contingency import association, crosstab

from privsynth.fidelity.base import Failure, Score
from privsynth.fidelity.dependence import Association, associations, cramers_v
from privsynth.schema import Schema
from privsynth.table import Table, Tables


def test_cramers_v_approaches_the_plain_one_and_is_0_for_independent_columns() -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 4, 200_000)
    second = np.where(rng.random(200_000) < 0.5, first, rng.integers(0, 4, 200_000))
    plain = association(crosstab(first, second).count, method="cramer")
    assert cramers_v(first, second, (5, 6)) == pytest.approx(plain, abs=1e-3)
    few = rng.integers(0, 10, (2, 300))
    assert association(crosstab(*few).count, method="cramer") > 0.1
    assert cramers_v(*few, (10, 10)) < 0.08


def test_a_constant_column_has_no_association() -> None:
    assert np.isnan(cramers_v(np.zeros(9, dtype=int), np.arange(9), (2, 9)))


def test_lost_dependence_shows(tables: Tables, shuffled_columns: Tables) -> None:
    (good,) = Association().run(tables, np.random.default_rng(1))
    (bad,) = Association().run(shuffled_columns, np.random.default_rng(1))
    assert isinstance(good, Score)
    assert isinstance(bad, Score)
    assert good.details["pairs_scored"] == 21
    assert bad.value > 3 * good.value
    assert good.reference is not None
    assert good.reference < bad.value
    few = good.details["value_at_reference_rows"]
    assert isinstance(few, float)
    assert few == pytest.approx(good.reference, rel=0.5)


def test_matrices_are_symmetric_with_ones_on_the_diagonal(tables: Tables) -> None:
    found = associations(tables)
    matrix = np.array(found.real, dtype=float)
    assert found.columns == tables.schema.modelled
    assert np.allclose(matrix, matrix.T)
    assert (np.diag(matrix) == 1).all()
    assert matrix[found.columns.index("admitted"), found.columns.index("seen")] > 0.8


def test_a_column_that_became_constant_is_none_in_the_matrix_and_counts_in_the_mean() -> None:
    schema = Schema.parse(
        {"dataset": {"id": "d"}, "columns": {name: {"kind": "boolean"} for name in "ab"}}
    )
    flags = [True, False] * 20
    train = Table.from_arrow(pa.table({"a": flags, "b": flags}), schema)
    flat = Table.from_arrow(pa.table({"a": flags, "b": [True] * 40}), schema)
    tables = Tables(train, train, flat)
    assert associations(tables).synthetic == ((1.0, None), (None, None))
    (score,) = Association().run(tables, np.random.default_rng(1))
    assert isinstance(score, Score)
    assert score.value == pytest.approx(1.0)
    (failure,) = Association().run(Tables(flat, flat, flat), np.random.default_rng(1))
    assert isinstance(failure, Failure)
