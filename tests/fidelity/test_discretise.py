from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from privsynth.fidelity.discretise import MISSING, Bins, Discretiser, quantile_bins
from privsynth.schema import OTHER, Schema
from privsynth.table import Table, Tables


def _one_column(column: dict[str, object], values: list[object]) -> Table:
    schema = Schema.parse({"dataset": {"id": "d"}, "columns": {"x": column}})
    return Table.from_arrow(pa.table({"x": values}), schema)


_NUMERIC = {"kind": "numeric", "lower": -1e9, "upper": 1e9, "missing": True}


def test_quantile_bins_hold_about_equal_counts() -> None:
    values = np.random.default_rng(0).normal(size=10_000)
    bins = quantile_bins(values)
    counts = np.bincount(bins.codes_of(values), minlength=bins.size - 1)
    assert bins.points == ()
    assert len(counts) == 20
    assert counts.min() >= 490
    assert counts.max() <= 510


def test_heavy_values_are_bins_of_their_own_and_all_bins_are_at_most_20() -> None:
    rng = np.random.default_rng(0)
    values = np.r_[np.zeros(6_000), np.full(600, 40.0), rng.gamma(2, 30, 3_400)]
    bins = quantile_bins(values)
    assert bins.points == (0.0, 40.0)
    assert len(bins.points) + len(bins.cuts) + 1 == 20
    codes = bins.codes_of(values)
    assert (codes[values == 0] == 0).all()
    assert (codes[values == 40] == 1).all()
    assert (codes[(values != 0) & (values != 40)] >= 2).all()


def test_a_value_just_below_a_twentieth_is_no_point() -> None:
    values = np.r_[np.full(499, 7.0), np.linspace(100, 200, 9_501)]
    assert quantile_bins(values).points == ()
    assert quantile_bins(np.r_[values, 7.0, 7.0]).points == (7.0,)


def test_few_distinct_values_are_a_bin_each_and_new_values_have_their_own() -> None:
    bins = quantile_bins(np.repeat(np.arange(16.0), [1] * 15 + [900]))
    assert bins.points == tuple(np.arange(16.0))
    assert bins.codes_of(np.array([3.0, 15.0, 3.5])).tolist() == [3, 15, 16]


def test_last_bits_of_a_decimal_do_not_hide_a_heavy_value() -> None:
    bins = quantile_bins(np.r_[np.full(500, 0.3), np.random.default_rng(0).random(500)])
    assert bins.points == (0.3,)
    assert bins.codes_of(np.array([0.1 + 0.2]))[0] == 0


def test_cuts_come_from_train_alone() -> None:
    train = _one_column(_NUMERIC, list(np.linspace(0, 1, 1_000)))
    far = _one_column(_NUMERIC, list(np.linspace(5, 6, 1_000)))
    discretiser = Discretiser.of(train)
    before = discretiser.codings["x"]
    codes = discretiser.codes(far)
    assert np.unique(codes).tolist() == [19]
    assert discretiser.codings["x"] is before


def test_missing_has_its_own_code() -> None:
    table = _one_column(_NUMERIC, [1.0, None, 2.0, None])
    discretiser = Discretiser.of(table)
    assert discretiser.codes(table)[:, 0].tolist() == [0, 3, 1, 3]
    assert discretiser.sizes == (4,)


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ({"kind": "boolean", "missing": True}, [True, False, None], [1, 0, 3]),
        ({"kind": "categorical", "categories": ["x", "y"], "other": True}, ["y", "z"], [1, 2]),
        ({"kind": "ordinal", "categories": ["1", "2"]}, ["2", "1"], [1, 0]),
        ({"kind": "categorical", "source": "private"}, ["q", "p", OTHER], [1, 0, 2]),
    ],
)
def test_categories_as_they_are(
    column: dict[str, object], values: list[object], expected: list[int]
) -> None:
    table = _one_column(column, values)
    assert Discretiser.of(table).codes(table)[:, 0].tolist() == expected


def test_privately_learned_categories_unknown_to_train_are_other() -> None:
    column = {"kind": "categorical", "source": "private"}
    discretiser = Discretiser.of(_one_column(column, ["a", "b"]))
    assert discretiser.codes(_one_column(column, ["b", "new"]))[:, 0].tolist() == [1, 2]


def test_public_cut_points_replace_quantiles() -> None:
    table = _one_column(_NUMERIC, [0.0, 0.0, 10.0, 11.0, None])
    discretiser = Discretiser.of(table, cuts={"x": [20, 10]})
    assert discretiser.codings["x"] == Bins((), (10, 20))
    assert discretiser.codes(table)[:, 0].tolist() == [0, 0, 0, 1, 3]


def test_codes_lie_below_sizes_in_every_table(tables: Tables) -> None:
    discretiser = Discretiser.of(tables.train)
    assert "patient" not in discretiser.columns
    for table in (tables.train, tables.control, tables.synthetic):
        codes = discretiser.codes(table)
        assert codes.shape == (table.n_rows, 7)
        assert codes.min() >= 0
        assert (codes < np.array(discretiser.sizes)).all()


def test_empty_and_all_missing_columns_have_codes(tables: Tables) -> None:
    train = tables.train.take(np.arange(0))
    discretiser = Discretiser.of(train)
    assert discretiser.codes(train).shape == (0, 7)
    all_missing = tables.train.take(tables.train.missing("cost"))
    coding = Discretiser.of(all_missing).codings["cost"]
    assert (coding.codes(all_missing, "cost") == coding.size - 1).all()


def test_captions_are_in_the_units_of_the_column(tables: Tables) -> None:
    schema = tables.schema
    bins = Bins((40.0,), (30.0, 50.0))
    assert bins.captions(schema.columns["age"]) == ("40", "≤ 30", "31 – 50 (rest)", "> 50", MISSING)
    assert [bins.captions(schema.columns["age"])[code] for code in bins.order()] == [
        "≤ 30",
        "40",
        "31 – 50 (rest)",
        "> 50",
        MISSING,
    ]
    assert Bins((), (16_436.0,)).captions(schema.columns["admitted"])[0] == "≤ 2015-01-01"
    assert Bins((0.0,), ()).captions(schema.columns["seen"])[0] == "1970-01-01 00:00"
    assert Bins((2.50,), ()).captions(schema.columns["cost"])[:2] == ("2.5", "other values")
