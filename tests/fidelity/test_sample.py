from __future__ import annotations

import numpy as np
import pyarrow as pa

from privsynth.fidelity.sample import row_hashes, sampled
from privsynth.schema import Schema
from privsynth.table import Table, Tables


def test_hashes_agree_exactly_where_all_modelled_columns_agree(tables: Tables) -> None:
    table = tables.train
    frame = table.frame().drop(columns="patient")
    doubled = table.take(np.r_[np.arange(table.n_rows), np.arange(table.n_rows)])
    hashes = row_hashes(doubled)
    assert (hashes[: table.n_rows] == hashes[table.n_rows :]).all()
    assert len(np.unique(hashes)) == len(frame.drop_duplicates())


def test_hashes_tell_missing_from_zero_and_columns_from_each_other() -> None:
    flag = {"kind": "integer", "lower": 0, "upper": 1, "missing": True}
    schema = Schema.parse({"dataset": {"id": "d"}, "columns": {"a": flag, "b": flag}})
    table = Table.from_arrow(
        pa.table({"a": [0, None, 1, 0, None], "b": [0, 0, 0, 1, None]}), schema
    )
    assert len(np.unique(row_hashes(table))) == 5


def test_a_sample_depends_on_rows_and_seed_but_not_on_order(tables: Tables) -> None:
    table = tables.train
    turned = table.take(np.random.default_rng(0).permutation(table.n_rows))
    first, again, other = sampled(table, 500, 1), sampled(turned, 500, 1), sampled(table, 500, 2)
    assert first.data.equals(again.data)
    assert not first.data.equals(other.data)
    assert first.n_rows == 500


def test_repeated_rows_are_sampled_like_others() -> None:
    schema = Schema.parse({"dataset": {"id": "d"}, "columns": {"ill": {"kind": "boolean"}}})
    table = Table.from_arrow(pa.table({"ill": [True] * 500 + [False] * 500}), schema)
    share = sampled(table, 400, 3).column("ill").to_numpy().mean()
    assert 0.4 < share < 0.6


def test_a_small_table_comes_whole(tables: Tables) -> None:
    small = tables.train.take(np.arange(10))
    assert sampled(small, 50, 0).n_rows == 10
    assert sampled(small.take(np.arange(0)), 50, 0).n_rows == 0
