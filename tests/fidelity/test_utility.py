from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from privsynth.fidelity.base import Failure, Result, Score
from privsynth.fidelity.features import MAX_LEVELS, Features
from privsynth.fidelity.utility import Utility, targets_of
from privsynth.schema import Schema
from privsynth.table import Table, Tables


def _run(tables: Tables) -> tuple[Result, ...]:
    return Utility().run(tables, np.random.default_rng(1))


def _scores(tables: Tables) -> list[Score]:
    results = _run(tables)
    assert all(isinstance(result, Score) for result in results)
    return [result for result in results if isinstance(result, Score)]


def _aimed(tables: Tables, target: str | None, role: str = "target") -> Tables:
    """The same records under a schema whose only target is another column."""
    columns: dict[str, Any] = {
        name: column.model_copy(update={"role": role if name == target else "ordinary"})
        for name, column in tables.schema.columns.items()
    }
    schema = tables.schema.model_copy(update={"columns": columns})
    return Tables(
        *(Table(schema, t.data) for t in (tables.train, tables.control, tables.synthetic))
    )


def _with_column(table: Table, name: str, values: pa.Array) -> Table:
    position = table.data.column_names.index(name)
    return Table(table.schema, table.data.set_column(position, name, values))


def test_good_records_teach_as_much_as_real_ones(tables: Tables) -> None:
    boosted, linear = _scores(tables)
    assert (boosted.metric, linear.metric) == ("tstr", "tstr_linear")
    for score in (boosted, linear):
        assert score.column == "died"
        assert score.reference is not None
        assert score.reference > 0.7
        assert score.value == pytest.approx(score.reference, abs=0.05)
        assert score.details["gap"] == pytest.approx(score.reference - score.value)
        assert score.details["test_rows"] == 1_000


def test_records_without_dependence_teach_nothing(shuffled_columns: Tables) -> None:
    for score in _scores(shuffled_columns):
        assert score.value == pytest.approx(0.5, abs=0.08)
        assert float(score.details["gap"]) > 0.15


def test_the_test_is_on_the_control_and_not_on_train(tables: Tables) -> None:
    deaths = tables.control.column("died").to_numpy()
    turned = _with_column(tables.control, "died", pa.array(~deaths))
    for score in _scores(Tables(tables.train, turned, tables.train)):
        assert score.value < 0.35


def test_both_models_learn_from_equally_many_rows(tables: Tables) -> None:
    few = Tables(tables.train, tables.control, tables.synthetic.take(np.arange(700)))
    assert [score.details["rows_learned_from"] for score in _scores(few)] == [700, 700]


@pytest.mark.parametrize("target", ["age", "cost", "seen"])
def test_a_range_target_gives_r2(tables: Tables, target: str) -> None:
    for score in _scores(_aimed(tables, target)):
        assert score.details["measure"] == "R²"
        assert score.reference is not None
        assert score.value <= 1
    assert _scores(_aimed(tables, "seen"))[0].value > 0.99  # it follows from the admission date


def test_several_classes_are_averaged_and_rare_ones_pooled(tables: Tables) -> None:
    score = _scores(_aimed(tables, "ward"))[0]
    assert score.details["classes_scored"] == 3
    assert score.details["classes_pooled"] == 1
    assert 0 < score.value < 1


def test_a_class_that_the_synthetic_table_lost_counts_as_unknown(tables: Tables) -> None:
    alive = tables.synthetic.take(~tables.synthetic.column("died").to_numpy())
    for score in _scores(Tables(tables.train, tables.control, alive)):
        assert score.value == 0.5


def test_the_first_sensitive_column_stands_in_for_a_target(tables: Tables) -> None:
    assert targets_of(tables.schema) == ("died",)
    assert targets_of(_aimed(tables, "grade", "sensitive").schema) == ("grade",)
    assert targets_of(_aimed(tables, "patient").schema) == ()


def _reason(tables: Tables) -> str:
    results = _run(tables)
    assert len(results) == 2
    assert all(isinstance(result, Failure) for result in results)
    return " ".join(result.reason for result in results if isinstance(result, Failure))


def test_what_cannot_be_measured_is_a_failure_with_its_reason(tables: Tables) -> None:
    train, control, synthetic = tables.train, tables.control, tables.synthetic
    no_rows = np.arange(0)
    alive = control.take(~control.column("died").to_numpy())
    assert "no column the role" in _reason(_aimed(tables, None))
    assert "control table has no rows" in _reason(Tables(train, control.take(no_rows), synthetic))
    assert "synthetic table has 0 rows" in _reason(Tables(train, control, synthetic.take(no_rows)))
    assert "fewer than two classes" in _reason(Tables(train, alive, synthetic))


def test_a_constant_number_and_an_unknown_target_are_failures(tables: Tables) -> None:
    aimed = _aimed(tables, "cost")
    flat = _with_column(aimed.control, "cost", pa.array(np.full(1_000, 3.0)))
    assert "constant" in _reason(Tables(aimed.train, flat, aimed.synthetic))
    unknown = _with_column(aimed.synthetic, "cost", pa.nulls(2_000, pa.float64()))
    assert "synthetic table has 0 rows" in _reason(Tables(aimed.train, aimed.control, unknown))


def test_a_target_alone_cannot_be_predicted() -> None:
    schema = Schema.parse(
        {"dataset": {"id": "d"}, "columns": {"ill": {"kind": "boolean", "role": "target"}}}
    )
    table = Table.from_arrow(pa.table({"ill": [True, False] * 50}), schema)
    assert "no other column" in _reason(Tables(table, table, table))


def test_long_lists_of_categories_stay_within_what_boosting_takes() -> None:
    schema = Schema.parse(
        {"dataset": {"id": "d"}, "columns": {"x": {"kind": "categorical", "source": "private"}}}
    )
    labels = [f"c{number}" for number in range(400)]
    table = Table.from_arrow(pa.table({"x": [*labels, "c399", "c399"]}), schema)
    features = Features.of(table)
    codes = features.matrix(table)[:, 0]
    assert codes.max() == MAX_LEVELS
    assert codes[-1] == 0
    unseen = Table.from_arrow(pa.table({"x": ["never"]}), schema)
    assert features.matrix(unseen)[0, 0] == MAX_LEVELS
