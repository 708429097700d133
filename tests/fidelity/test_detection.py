from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from privsynth.fidelity.base import Failure, Score
from privsynth.fidelity.detection import Detection, indistinguishability
from privsynth.table import Tables


def _score(tables: Tables, metric: Detection | None = None) -> Score:
    (score,) = (metric or Detection()).run(tables, np.random.default_rng(1))
    assert isinstance(score, Score)
    return score


def test_fresh_draws_cannot_be_told_and_lost_dependence_can(
    tables: Tables, shuffled_columns: Tables
) -> None:
    good, bad = _score(tables), _score(shuffled_columns)
    assert good.value > 0.9
    assert good.reference is not None
    assert good.reference > 0.9
    assert good.details["reference_rows"] == 1_000
    assert float(bad.details["auc"]) > 0.9
    assert bad.value == pytest.approx(2 - 2 * float(bad.details["auc"]))


def test_missing_entries_that_are_gone_give_a_table_away(tables: Tables) -> None:
    known = tables.synthetic.take(~tables.synthetic.missing("cost"))
    assert _score(Tables(tables.train, tables.control, known)).value < 0.95


def test_rows_are_equal_in_number_and_limited(tables: Tables) -> None:
    score = _score(tables, replace(Detection(), max_rows=300))
    assert score.details["rows_of_each"] == 300
    assert score.details["reference_rows"] == 300


def test_a_small_control_leaves_the_reference_out_with_a_reason(tables: Tables) -> None:
    score = _score(Tables(tables.train, tables.control.take(np.arange(20)), tables.synthetic))
    assert score.reference is None
    assert "control" in str(score.details["reference_missing"])


def test_too_few_rows_are_a_failure(tables: Tables) -> None:
    few = Tables(tables.train, tables.control, tables.synthetic.take(np.arange(99)))
    (failure,) = Detection().run(few, np.random.default_rng(1))
    assert isinstance(failure, Failure)
    assert "99" in failure.reason


def test_a_blind_or_inverted_classifier_scores_1() -> None:
    assert indistinguishability(0.5) == indistinguishability(0.3) == 1.0
