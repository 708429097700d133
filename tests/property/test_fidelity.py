"""What holds for every registered metric, whatever the table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import privsynth.fidelity  # noqa: F401  registers the metrics
from privsynth.fidelity.base import Metric, Score, metrics
from privsynth.fidelity.discretise import Discretiser
from privsynth.schema import Schema
from privsynth.table import Table, Tables

_SCHEMA = Schema.parse(
    {
        "dataset": {"id": "d"},
        "columns": {
            "x": {"kind": "numeric", "lower": -100, "upper": 100, "missing": True},
            "n": {"kind": "integer", "lower": 0, "upper": 50},
            "label": {"kind": "categorical", "categories": list("abcd"), "missing": True},
            "flag": {"kind": "boolean", "role": "target"},
        },
    }
)


def _table(n_rows: int, seed: int, shift: float = 0.0) -> Table:
    rng = np.random.default_rng(seed)
    x = np.clip(rng.normal(shift, 3, n_rows).round(2), -100, 100)
    label = rng.choice(list("abcd"), n_rows, p=[0.6, 0.2, 0.1, 0.1]).astype(object)
    frame = pd.DataFrame(
        {
            "x": np.where(np.arange(n_rows) % 5 == 1, np.nan, x),
            "n": np.clip(rng.poisson(3 + abs(shift), n_rows), 0, 50),
            "label": np.where(np.arange(n_rows) % 9 == 1, None, label),
            "flag": x + rng.normal(size=n_rows) > shift,
        }
    )
    return Table.from_pandas(frame, _SCHEMA)


def _scores(metric: type[Metric], tables: Tables) -> dict[tuple[str, str | None], Score]:
    results = metric().run(tables, np.random.default_rng(1))
    return {(r.metric, r.column): r for r in results if isinstance(r, Score)}


_BEST = {
    "association": 0.0,
    "collapse": None,
    "detection": 1.0,
    "sdmetrics": 0.0,
    "total_variation": 0.0,
}


@pytest.mark.parametrize("name", metrics.names())
@given(seed=st.integers(0, 1_000), shift=st.sampled_from([1.0, 3.0, 10.0]))
@settings(max_examples=2)
def test_no_table_is_better_than_train_itself(name: str, seed: int, shift: float) -> None:
    train, control = _table(200, seed), _table(120, seed + 1)
    other = _table(200, seed + 2, shift)
    best = _scores(metrics.get(name), Tables(train, control, train))
    worse = _scores(metrics.get(name), Tables(train, control, other))
    assert best
    for key, score in best.items():
        sign = 1 if score.higher_is_better else -1
        # Utility is bounded by chance, not by definition: real records may be beaten by luck.
        slack = 0.1 if score.group == "utility" else 1e-9
        assert key not in worse or sign * score.value >= sign * worse[key].value - slack
        if score.group == "utility":
            assert score.value == score.reference
        elif _BEST[name] is not None:
            assert score.value == pytest.approx(_BEST[name])


@given(seed=st.integers(0, 10**6), n_rows=st.integers(1, 200))
def test_codes_are_below_their_sizes_for_any_other_table(seed: int, n_rows: int) -> None:
    discretiser = Discretiser.of(_table(n_rows, seed))
    codes = discretiser.codes(_table(50, seed + 1, shift=20))
    assert codes.min() >= 0
    assert (codes < np.array(discretiser.sizes)).all()


@given(seed=st.integers(0, 10**6))
def test_total_variation_is_within_0_and_1(seed: int) -> None:
    tables = Tables(_table(80, seed), _table(20, seed + 1), _table(60, seed + 2, shift=30))
    for score in _scores(metrics.get("total_variation"), tables).values():
        assert 0 <= score.value <= 1
