from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from privsynth.fidelity import (
    Discretiser,
    Failure,
    Score,
    TotalVariation,
    associations,
    metrics,
    profiles,
    run_suite,
)
from privsynth.fidelity.suite import _run
from privsynth.schema import Schema
from privsynth.table import Table, Tables


def _suite(tables: Tables, seed: int = 1) -> tuple[Score | Failure, ...]:
    return run_suite(tables, np.random.default_rng(seed))


def _degraded(tables: Tables) -> dict[str, Tables]:
    """Tables that ought to give facts, whatever is wrong with them."""
    train, control, synthetic = (
        table.take(np.arange(500)) for table in (tables.train, tables.control, tables.synthetic)
    )
    blank = {name: i for i, name in enumerate(train.data.column_names) if name in ("cost", "seen")}
    hollow = train
    for name, position in blank.items():
        nulls = pa.nulls(500, train.column(name).type)
        hollow = Table(train.schema, hollow.data.set_column(position, name, nulls))
    none = np.arange(0)
    return {
        "no control": Tables(train, control.take(none), synthetic),
        "no synthetic rows": Tables(train, control, synthetic.take(none)),
        "no rows at all": Tables(train.take(none), control.take(none), synthetic.take(none)),
        "one row": Tables(*(t.take(np.arange(1)) for t in (train, control, synthetic))),
        "two rows": Tables(*(t.take(np.arange(2)) for t in (train, control, synthetic))),
        "one row repeated": Tables(
            *(t.take(np.zeros(200, int)) for t in (train, control, synthetic))
        ),
        "200 rows": Tables(
            train.take(np.arange(180)), control.take(np.arange(20)), synthetic.take(np.arange(180))
        ),
        "columns all missing in synthetic": Tables(train, control, hollow),
        "columns all missing in train": Tables(hollow, control, synthetic),
        "columns all missing": Tables(hollow, hollow, hollow),
        "one synthetic row repeated": Tables(train, control, synthetic.take(np.zeros(200, int))),
    }


def test_every_fault_is_a_fact(tables: Tables) -> None:
    for what, broken in _degraded(tables).items():
        results = _suite(broken)
        assert results, what
        stopped = [r for r in results if isinstance(r, Failure) and "stopped" in r.reason]
        assert stopped == [], what
        assert all(r.reason for r in results if isinstance(r, Failure)), what
        profiles(broken)
        associations(broken)


def test_the_same_rng_gives_the_same_results_and_row_order_does_not_matter(
    tables: Tables,
) -> None:
    small = [t.take(np.arange(400)) for t in (tables.train, tables.control, tables.synthetic)]
    rng = np.random.default_rng(0)
    turned = [table.take(rng.permutation(400)) for table in small]
    first = _suite(Tables(*small))
    assert _suite(Tables(*small)) == first
    again = _suite(Tables(*turned))
    assert [result.title for result in again] == [result.title for result in first]
    assert _values(again) == pytest.approx(_values(first))


def _values(results: tuple[Score | Failure, ...]) -> list[float]:
    return [result.value for result in results if isinstance(result, Score)]


class _Broken:
    name: ClassVar[str] = "broken"
    title: ClassVar[str] = "Broken"

    def run(self, tables: Tables, rng: np.random.Generator) -> tuple[Score | Failure, ...]:
        raise ValueError("the value 4711 of a record")


def test_what_stops_a_metric_is_told_without_its_message(tables: Tables) -> None:
    (failure,) = _run(_Broken(), tables, np.random.default_rng(1))
    assert isinstance(failure, Failure)
    assert failure.reason == "it stopped with ValueError"


def test_progress_counts_the_metrics(tables: Tables) -> None:
    told: list[tuple[str, Any]] = []

    class Watcher:
        def stage(self, title: str, total: int | None = None) -> None:
            told.append((title, total))

        def advance(self, steps: int = 1, note: str = "") -> None:
            told.append((note, steps))

    run_suite(_degraded(tables)["two rows"], np.random.default_rng(1), Watcher())
    assert told[0] == ("measuring fidelity", len(metrics.names()))
    assert len(told) == 1 + len(metrics.names())


def test_importing_the_room_loads_nothing_heavy() -> None:
    code = (
        "import sys, privsynth.fidelity\n"
        "heavy = {'sklearn', 'scipy', 'sdmetrics', 'torch'} & set(sys.modules)\n"
        "print(sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


Load = Callable[[str, str], Table]


@pytest.fixture
def load(shared_data: Path) -> Load:
    def read(folder: str, file: str) -> Table:
        schema = Schema.load(shared_data / folder / "schema.toml")
        return Table.from_arrow(pq.read_table(shared_data / folder / file), schema)

    return read


@pytest.mark.real_data
def test_adult_is_measured_in_under_40_seconds(load: Load) -> None:
    train, test = load("adult", "train.parquet"), load("adult", "test.parquet")
    train, control = train.split(0.1, np.random.default_rng(0))
    started = time.perf_counter()
    results = _suite(Tables(train, control, test))
    assert time.perf_counter() - started < 40
    assert [r for r in results if isinstance(r, Failure)] == []
    scores = {r.metric: r for r in results if isinstance(r, Score) and r.column in (None, "income")}
    reference = scores["tstr"].reference
    assert reference is not None
    assert 0.91 < reference < 0.945
    assert scores["tstr"].value == pytest.approx(reference, abs=0.015)
    assert 0.02 < scores["tvd_2way"].value < 0.035  # the sampling floor of real records
    assert scores["detection"].value > 0.95
    assert scores["sdmetrics_shapes"].value < 1.5


@pytest.mark.real_data
def test_920_patients_give_figures_where_they_can(load: Load) -> None:
    table = load("heart_disease", "heart_disease.parquet")
    train, control = table.split(0.1, np.random.default_rng(0))
    results = _suite(Tables(train, control, train.take(np.arange(700))))
    assert {r.metric for r in results if isinstance(r, Score)} >= {"tvd_2way", "detection", "tstr"}


@pytest.mark.real_data
def test_50_columns_have_all_their_pairs_counted_quickly(load: Load) -> None:
    table = load("diabetes130", "diabetes130.parquet")
    train, control = table.split(0.1, np.random.default_rng(0))
    tables = Tables(train, control, train)
    started = time.perf_counter()
    results = TotalVariation().run(tables, np.random.default_rng(1))
    assert time.perf_counter() - started < 15
    pairs = next(r for r in results if isinstance(r, Score) and r.metric == "tvd_2way")
    assert pairs.details["pairs_scored"] == 1_128
    assert pairs.value == 0.0
    assert max(Discretiser.of(train).sizes) > 500
