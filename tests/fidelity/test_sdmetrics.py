from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from privsynth.fidelity.base import Failure, Result, Score
from privsynth.fidelity.sdmetrics import SDMetricsQuality
from privsynth.table import Table, Tables


def _run(tables: Tables, metric: SDMetricsQuality | None = None) -> tuple[Result, ...]:
    return (metric or SDMetricsQuality()).run(tables, np.random.default_rng(1))


def _scores(tables: Tables) -> dict[str, Score]:
    return {result.metric: result for result in _run(tables) if isinstance(result, Score)}


def _with_column(table: Table, name: str, values: pa.Array) -> Table:
    position = table.data.column_names.index(name)
    return Table(table.schema, table.data.set_column(position, name, values))


def test_every_column_and_pair_is_scored(tables: Tables) -> None:
    results = _run(tables)
    assert all(isinstance(result, Score) for result in results)
    scores = _scores(tables)
    assert scores["sdmetrics_shapes"].details["columns_scored"] == 7
    assert scores["sdmetrics_trends"].details["pairs_scored"] == 21
    for score in scores.values():
        assert score.reference is not None
        assert 0 < score.value < 10


def test_shapes_equal_sdmetrics_own_property(tables: Tables) -> None:
    from sdmetrics.reports.single_table._properties import ColumnShapes

    sdtypes = {
        "age": "numerical",
        "ward": "categorical",
        "grade": "ordinal",
        "cost": "numerical",
        "died": "boolean",
    }
    three = (tables.train, tables.control, tables.synthetic)
    columns = {name: tables.schema.columns[name] for name in sdtypes}
    schema = tables.schema.model_copy(update={"columns": columns})
    ours = _scores(Tables(*(Table(schema, table.data.select([*sdtypes])) for table in three)))
    metadata = {"columns": {name: {"sdtype": sdtype} for name, sdtype in sdtypes.items()}}
    frames = [table.frame()[[*sdtypes]] for table in (tables.train, tables.synthetic)]
    theirs = ColumnShapes().get_score(*frames, metadata)
    assert ours["sdmetrics_shapes"].value == pytest.approx(100 * (1 - theirs))


def test_a_weak_correlation_counts_too(tables: Tables, shuffled_columns: Tables) -> None:
    good, bad = _scores(tables), _scores(shuffled_columns)
    assert bad["sdmetrics_trends"].details["pairs_scored"] == 21
    assert bad["sdmetrics_trends"].value > 1.5 * good["sdmetrics_trends"].value
    assert bad["sdmetrics_shapes"].value == pytest.approx(good["sdmetrics_shapes"].value)


def test_what_has_no_score_is_a_failure_and_counted(tables: Tables) -> None:
    broken = _with_column(tables.synthetic, "cost", pa.nulls(2_000, pa.float64()))
    shapes, no_shape, trends, no_trend = _run(Tables(tables.train, tables.control, broken))
    assert isinstance(shapes, Score)
    assert shapes.details["columns_scored"] == 6
    assert isinstance(no_shape, Failure)
    assert "1 of 7 columns" in no_shape.reason
    assert "'cost'" in no_shape.reason
    assert isinstance(trends, Score)
    assert trends.details["pairs_scored"] == 18
    assert isinstance(no_trend, Failure)
    assert "3 of 21 pairs" in no_trend.reason


def test_constant_numbers_have_no_trend_but_raise_nothing(tables: Tables) -> None:
    flat = _with_column(tables.synthetic, "age", pa.array(np.full(2_000, 50)))
    failures = [
        r for r in _run(Tables(tables.train, tables.control, flat)) if isinstance(r, Failure)
    ]
    assert [failure.name for failure in failures] == ["sdmetrics_trends"]


def test_bins_are_the_real_tables_own(tables: Tables) -> None:
    """Values beyond the real range may not move the bin edges of the synthetic table."""
    cost = tables.train.numbers("cost").copy()
    cost[0] = 900_000.0
    stretched = _with_column(tables.train, "cost", pa.array(cost, from_pandas=True))
    trends = _scores(Tables(tables.train, tables.control, stretched))["sdmetrics_trends"]
    assert trends.value < 1.0


def test_a_sample_of_pairs_says_so(tables: Tables) -> None:
    results = _run(tables, SDMetricsQuality(max_rows=200, max_pairs=5))
    trends = next(r for r in results if isinstance(r, Score) and r.metric == "sdmetrics_trends")
    assert trends.details["pairs_scored"] == 5
    assert trends.details["pairs_in_all"] == 21
    assert trends.details["note"] == "a random sample of 5 pairs"


def test_no_control_means_no_reference(tables: Tables) -> None:
    scores = _scores(Tables(tables.train, tables.control.take(np.arange(0)), tables.synthetic))
    assert all(score.reference is None for score in scores.values())


def test_nothing_is_printed_and_no_synthetic_rows_are_a_failure(
    tables: Tables, capsys: pytest.CaptureFixture[str]
) -> None:
    (failure,) = _run(Tables(tables.train, tables.control, tables.synthetic.take(np.arange(0))))
    assert isinstance(failure, Failure)
    _run(tables)
    assert capsys.readouterr() == ("", "")
