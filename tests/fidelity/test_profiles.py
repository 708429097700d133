from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from privsynth.fidelity.profiles import chart_bins, profiles
from privsynth.schema import Schema
from privsynth.table import Table, Tables


def test_every_profile_sums_to_one_in_both_tables(tables: Tables) -> None:
    found = profiles(tables)
    assert [profile.column for profile in found] == list(tables.schema.modelled)
    for profile in found:
        assert sum(profile.real) == pytest.approx(1)
        assert sum(profile.synthetic) == pytest.approx(1)
        assert len(profile.labels) == len(set(profile.labels)) == len(profile.real)


def test_a_zero_inflated_column_has_a_bar_for_zero_and_one_for_missing(tables: Tables) -> None:
    cost = next(profile for profile in profiles(tables) if profile.column == "cost")
    assert cost.labels[0] == "0"
    assert cost.labels[-1] == "(missing)"
    assert cost.real[0] == pytest.approx(0.3 * 0.8, abs=0.04)


def test_ordinals_keep_their_order_and_categories_go_by_frequency(tables: Tables) -> None:
    by_name = {profile.column: profile for profile in profiles(tables)}
    assert by_name["grade"].labels == ("low", "middle", "high", "(missing)")
    assert by_name["ward"].labels == ("a", "b", "c", "rare")


def test_long_lists_end_in_a_bar_for_the_rest() -> None:
    names = [f"c{number}" for number in range(100)]
    schema = Schema.parse(
        {
            "dataset": {"id": "d"},
            "columns": {"x": {"kind": "categorical", "categories": names}},
        }
    )
    table = Table.from_arrow(pa.table({"x": [*names, *names[:30]]}), schema)
    (profile,) = profiles(Tables(table, table, table))
    assert len(profile.labels) == 20
    assert profile.labels[-1] == "(81 more)"
    assert sum(profile.real) == pytest.approx(1)


def test_chart_bins_are_round_and_bear_nothing_to_draw() -> None:
    bins = chart_bins(np.random.default_rng(0).normal(40_000, 9_000, 5_000))
    assert all(cut % 5_000 == 0 for cut in bins.cuts)
    assert 4 < len(bins.cuts) < 15
    assert chart_bins(np.zeros(0)).cuts == ()
    assert chart_bins(np.zeros(50)).points == (0.0,)


def test_an_empty_synthetic_table_has_empty_bars(tables: Tables) -> None:
    empty = Tables(tables.train, tables.control, tables.synthetic.take(np.arange(0)))
    assert all(sum(profile.synthetic) == 0 for profile in profiles(empty))
    nothing = Tables(empty.synthetic, empty.synthetic, empty.synthetic)
    assert all(profile.labels == () for profile in profiles(nothing))
