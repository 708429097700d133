from __future__ import annotations

import numpy as np
import pytest

from privsynth.fidelity.base import Failure, Score
from privsynth.fidelity.collapse import Collapse, repeated_share
from privsynth.table import Tables


def _run(tables: Tables) -> dict[str, Score]:
    results = Collapse().run(tables, np.random.default_rng(1))
    return {result.metric: result for result in results if isinstance(result, Score)}


def test_a_good_table_covers_and_does_not_repeat(tables: Tables) -> None:
    scores = _run(tables)
    assert scores["category_coverage"].value == 1.0
    assert scores["category_coverage"].details["categories"] == 9
    assert scores["rare_coverage"].value == 1.0
    assert scores["repeated_rows"].value == 0.0


def test_a_lost_rare_category_shows(tables: Tables) -> None:
    kept = tables.synthetic.take(tables.synthetic.labels("ward") != "rare")
    scores = _run(Tables(tables.train, tables.control, kept))
    assert scores["rare_coverage"].value == 0.0
    assert scores["rare_coverage"].details["absent"] == 1
    assert scores["category_coverage"].value == pytest.approx(8 / 9)


def test_a_collapsed_generator_repeats_itself(tables: Tables) -> None:
    few = tables.synthetic.take(np.random.default_rng(0).integers(0, 20, 2_000))
    score = _run(Tables(tables.train, tables.control, few))["repeated_rows"]
    assert score.value == pytest.approx(0.99)
    assert score.details["train_share"] == 0.0
    assert repeated_share(few) == pytest.approx(0.99)


def test_no_control_means_no_reference(tables: Tables) -> None:
    scores = _run(Tables(tables.train, tables.control.take(np.arange(0)), tables.synthetic))
    assert scores["category_coverage"].reference is None


def test_no_category_large_enough_is_a_failure(tables: Tables) -> None:
    tiny = tables.train.take(np.arange(3))
    results = Collapse().run(Tables(tiny, tiny, tiny), np.random.default_rng(1))
    assert [type(result) for result in results] == [Failure, Failure, Score]
