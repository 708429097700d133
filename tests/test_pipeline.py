"""The data path: its order, its folder, and what it commits to before it spends."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import privsynth as ps
from privsynth import pipeline
from privsynth.pipeline.folder import new_folder
from privsynth.pipeline.job import default_delta
from privsynth.pipeline.record import Split
from privsynth.privacy.noise import SeededNoise
from privsynth.report.report import RiskReport
from privsynth.synth import preset
from privsynth.synth.diffusion import Diffusion

SCHEMA = ps.Schema.parse(
    {
        "dataset": {"id": "visits"},
        "columns": {
            "visit": {"kind": "id"},
            "remark": {"kind": "text", "action": "drop"},
            "age": {"kind": "integer", "lower": 0, "upper": 120},
            "ward": {"kind": "categorical", "categories": ["east", "west"]},
            "died": {"kind": "boolean", "role": "target"},
        },
    }
)


def frame(n: int = 150, seed: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "visit": np.arange(n) + 70_000,
            "remark": [f"remark {i}" for i in range(n)],
            "age": rng.integers(18, 90, n),
            "ward": rng.choice(["east", "west"], n),
            "died": rng.random(n) < 0.3,
        }
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "visits.parquet"
    frame().to_parquet(path)
    return path


@pytest.fixture
def tools(tmp_path: Path) -> pipeline.Tools:
    return pipeline.Tools(ps.Ledger(tmp_path / "ledger.sqlite"))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small model, and one attack and one metric in the place of all."""
    from privsynth.fidelity import metrics
    from privsynth.fidelity.marginals import TotalVariation
    from privsynth.risk import Copies, attacks

    small = Diffusion(taught_steps=3, steps=3, batch_size=32, width=16, depth=1)
    monkeypatch.setattr(preset, "load_preset", lambda name: small)
    monkeypatch.setattr(attacks, "_items", {"copies": Copies})
    monkeypatch.setattr(metrics, "_items", {"total_variation": TotalVariation})


# What is asked


@pytest.mark.parametrize(
    ("n_units", "delta"),
    [(100, 1e-5), (9_999, 1e-5), (10_001, 1e-6), (100_000, 1e-6), (100_001, 1e-7)],
)
def test_the_default_delta_is_a_power_of_ten_up_to_a_tenth_of_1_over_n(
    n_units: int, delta: float
) -> None:
    assert default_delta(n_units) == delta
    assert default_delta(n_units) <= 1 / (10 * n_units)


def test_delta_cannot_follow_from_a_private_row_count() -> None:
    private = SCHEMA.model_copy(update={"privacy": ps.Schema.model_fields["privacy"].default})
    private = ps.Schema.parse(private.to_dict() | {"privacy": {"row_count": "private"}})
    with pytest.raises(ps.UsageError, match="delta must be given"):
        pipeline.Job(epsilon=1.0).budget(private, 10_000)
    assert pipeline.Job(epsilon=1.0, delta=1e-6).budget(private, 10_000).delta == 1e-6
    with pytest.raises(ps.BudgetError, match="inverse of the number of units") as told:
        pipeline.Job(epsilon=1.0, delta=1e-3).budget(private, 1_729)
    assert "1729" not in str(told.value)


def test_a_job_survives_json() -> None:
    for job in (pipeline.Job(1.0, 1e-6, rows=5, csv=True), pipeline.Job.without_privacy()):
        assert pipeline.Job.from_dict(json.loads(json.dumps(job.to_dict()))) == job


# The split


def test_the_split_is_made_again_from_the_same_records_in_another_file(tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "visits.csv", index=False)
    table = ps.read_table(frame(), SCHEMA)
    train, control, split = Split.draw(table, 0.2)
    again = split.again(ps.read_table(tmp_path / "visits.csv", SCHEMA), 0.2)
    assert [part.data for part in again] == [train.data, control.data]
    assert control.n_rows == 30


def test_other_records_do_not_match_the_commitment() -> None:
    table = ps.read_table(frame(), SCHEMA)
    *_, split = Split.draw(table, 0.2)
    changed = frame()
    changed.loc[7, "age"] += 1
    with pytest.raises(ps.AssessmentError, match="not the records of this run"):
        split.again(ps.read_table(changed, SCHEMA), 0.2)


def test_two_commitments_to_the_same_records_cannot_be_compared() -> None:
    table = ps.read_table(frame(), SCHEMA)
    assert Split.draw(table, 0.0)[2].train != Split.draw(table, 0.0)[2].train


def test_the_commitment_stands_before_anything_is_fitted(
    data: Path, tools: pipeline.Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Curious:
        def fit(self, train: ps.Table, budget: ps.PrivacyBudget, **others: Any) -> None:
            (record,) = tmp_path.glob(".out.partial-*/controller/run.json")
            assert len(json.loads(record.read_text())["split"]["control"]) == 64
            raise ps.BudgetError("seen")

    monkeypatch.setattr(preset, "load_preset", lambda name: Curious())
    with pytest.raises(ps.BudgetError, match="seen"):
        pipeline.fit(data, SCHEMA, pipeline.Job(1.0), tmp_path / "out", tools)


# The folder


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    with new_folder(tmp_path / "deep" / "out") as folder:
        (folder / "a").write_text("a")
        assert not (tmp_path / "deep" / "out").exists()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]


def test_an_empty_folder_may_be_used(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with new_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("a")
    assert (tmp_path / "out" / "a").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, MemoryError])
def test_a_folder_vanishes_with_an_error(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error):
        spoil(tmp_path / "out", error)
    assert list(tmp_path.iterdir()) == []


def spoil(out: Path, error: type[BaseException]) -> None:
    with new_folder(out) as folder:
        (folder / "a").write_text("a")
        raise error


# The path


RUN_FILES = {
    "controller/ledger.json",
    "controller/model/model.json",
    "controller/model/weights.safetensors",
    "controller/report/report.html",
    "controller/report/report.json",
    "controller/run.json",
    "controller/schema.toml",
    "release/README.md",
    "release/data/visits.parquet",
    "release/manifest.json",
    "release/report/report.html",
    "release/report/report.json",
}


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_private_row_count_is_told_in_two_digits(
    data: Path, tools: pipeline.Tools, tmp_path: Path
) -> None:
    said: list[str] = []
    private = ps.Schema.parse(SCHEMA.to_dict() | {"privacy": {"row_count": "private"}})
    tools = replace(tools, say=said.append)
    done = pipeline.fit(data, private, pipeline.Job(1.0, 1e-5), tmp_path / "out", tools)
    assert re.match(r"about 1[1-5]0 rows for ", said[-1]), said  # about 135 are trained on
    assert re.match(r"about \d{1,2}0 rows for ", done.size)


def test_the_whole_path(data: Path, tools: pipeline.Tools, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done, report = pipeline.run(data, SCHEMA, pipeline.Job(1.0), out, tools)
    assert files(out) == RUN_FILES
    assert 0 < done.guarantee.epsilon_spent <= 1.0
    assert done.guarantee.budget.delta == 1e-5
    assert report.edition == "controller"
    assert tools.ledger is not None
    charge, _ = tools.ledger.entries("visits")
    assert (charge.id, charge.status) == (done.entry_id, "done")
    assert json.loads((out / "controller/ledger.json").read_text())["entries"][0]["id"] == charge.id
    synthetic = ps.load_release(out)
    assert len(synthetic) == 135, "as many as were trained on"
    assert list(synthetic.columns) == ["visit", "age", "ward", "died"]
    assert synthetic["visit"].dtype == "int64"
    assert not set(synthetic["visit"]) & set(frame()["visit"])


def test_how_many_rows_persons_have_does_not_show_in_the_table(
    tools: pipeline.Tools, tmp_path: Path
) -> None:
    schema = ps.Schema.parse(
        SCHEMA.to_dict() | {"privacy": {"unit": "visit", "max_rows_per_unit": 2}}
    )
    lengths = []
    for extra in (0, 40):
        records = frame()
        records = pd.concat([records, records.iloc[[0] * extra]])
        records.to_parquet(tmp_path / f"{extra}.parquet")
        out = tmp_path / f"out{extra}"
        pipeline.fit(tmp_path / f"{extra}.parquet", schema, pipeline.Job(1.0), out, tools)
        lengths.append(pipeline.sample(pipeline.RunFolder(out)).n_rows)
    assert lengths == [135, 135]


def test_the_stages_make_what_the_path_makes(
    data: Path, tools: pipeline.Tools, tmp_path: Path
) -> None:
    folder = pipeline.RunFolder(tmp_path / "out")
    pipeline.fit(data, SCHEMA, pipeline.Job(1.0, csv=True), folder.path, tools)
    assert not folder.release.exists()
    pipeline.keep(pipeline.sample(folder), folder)
    found = pipeline.assess_run(folder, data)
    pipeline.report(folder)
    assert files(folder.path) == RUN_FILES | {"release/data/visits.csv"}
    assert RiskReport.from_json((folder.report / "report.json").read_text()) == found
    assert len(ps.load_release(folder.path)) == 135


def test_an_assessment_that_is_repeated_finds_the_same(
    tools: pipeline.Tools, tmp_path: Path
) -> None:
    folder, data = pipeline.RunFolder(tmp_path / "out"), tmp_path / "more.parquet"
    frame(600).to_parquet(data)
    job = pipeline.Job(1.0, model="marginal", control=0.4)
    _, first = pipeline.run(data, SCHEMA, job, folder.path, tools)
    again = pipeline.assess_run(folder, data)
    figures = [
        {f.id: (f.value, f.interval, f.verdict) for f in each.evidence if f.trial is not None}
        for each in (first, again)
    ]
    assert len(figures[0]) >= 3
    assert figures[0] == figures[1]


def test_assessing_draws_the_table_if_there_is_none(
    data: Path, tools: pipeline.Tools, tmp_path: Path
) -> None:
    folder = pipeline.RunFolder(tmp_path / "out")
    pipeline.fit(data, SCHEMA, pipeline.Job(1.0, rows=44), folder.path, tools)
    pipeline.assess_run(folder, data)
    drawn = pq.read_table(folder.synthetic)
    pipeline.report(folder)
    assert pq.read_table(folder.release / "data/visits.parquet").equals(drawn)
    assert drawn.num_rows == 44


def test_a_released_table_is_assessed_and_reported_again(
    data: Path, tools: pipeline.Tools, tmp_path: Path
) -> None:
    folder = pipeline.RunFolder(tmp_path / "out")
    pipeline.run(data, SCHEMA, pipeline.Job(1.0), folder.path, tools)
    before = ps.load_release(folder.path)
    pipeline.assess_run(folder, data)
    pipeline.report(folder)
    pd.testing.assert_frame_equal(ps.load_release(folder.path), before)
    assert files(folder.path) == RUN_FILES


def test_a_table_that_nobody_assessed_is_not_released(
    data: Path, tools: pipeline.Tools, tmp_path: Path
) -> None:
    """The report on one table must not go out with another."""
    folder = pipeline.RunFolder(tmp_path / "out")
    pipeline.fit(data, SCHEMA, pipeline.Job(1.0), folder.path, tools)
    pipeline.assess_run(folder, data)
    pipeline.keep(pipeline.sample(folder, rows=20), folder)
    with pytest.raises(ps.OutputError, match="privsynth assess"):
        pipeline.report(folder)


def test_the_table_of_a_release_is_not_exchanged(
    data: Path, tools: pipeline.Tools, tmp_path: Path
) -> None:
    folder = pipeline.RunFolder(tmp_path / "out")
    pipeline.run(data, SCHEMA, pipeline.Job(1.0), folder.path, tools)
    with pytest.raises(ps.OutputError, match="holds the table of this run"):
        pipeline.keep(pipeline.sample(folder), folder)


def test_a_stage_needs_a_run(tmp_path: Path) -> None:
    with pytest.raises(ps.OutputError, match="holds no run"):
        pipeline.sample(pipeline.RunFolder(tmp_path))


def test_a_run_without_a_control_leaves_the_claims_open(
    data: Path, tools: pipeline.Tools, tmp_path: Path
) -> None:
    job = pipeline.Job(1.0, control=0.0)
    _, report = pipeline.run(data, SCHEMA, job, tmp_path / "out", tools)
    copies = next(claim for claim in report.claims if claim.title.startswith("Copies"))
    assert copies.status == "inconclusive"


def test_seeded_noise_is_refused_before_it_is_charged(
    data: Path, tools: pipeline.Tools, tmp_path: Path
) -> None:
    seeded = replace(tools, noise=SeededNoise(1))
    with pytest.raises(ps.ReleaseRefused, match="seeded"):
        pipeline.run(data, SCHEMA, pipeline.Job(1.0), tmp_path / "out", seeded)
    assert not (tmp_path / "out").exists()
    assert tools.ledger is not None
    assert tools.ledger.entries() == ()


def test_a_run_without_privacy_is_marked_everywhere(
    data: Path, tools: pipeline.Tools, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done, _ = pipeline.run(data, SCHEMA, pipeline.Job.without_privacy(), out, tools)
    assert math.isinf(done.guarantee.epsilon_spent)
    public = RiskReport.from_json((out / "release/report/report.json").read_text())
    assert public.claims[0].status == "not claimed"
    assert ps.load_release(out).attrs["privsynth"]["privacy"]["is_private"] is False


def test_a_small_table_is_said_to_be_small(
    data: Path, tools: pipeline.Tools, tmp_path: Path
) -> None:
    said: list[str] = []
    pipeline.fit(data, SCHEMA, pipeline.Job(1.0), tmp_path / "out", replace(tools, say=said.append))
    choice, size = said
    assert choice.startswith("model marginal: ")
    assert "too small" in size


def test_any_table_can_be_assessed() -> None:
    train, control = ps.read_table(frame(300), SCHEMA).split(0.5, ps.rng(1))
    report = ps.assess(train=train, control=control, synthetic=train)
    assert report.dp is None
    copies = next(claim for claim in report.claims if claim.title.startswith("Copies"))
    assert copies.status == "not supported", "the training table itself is no synthetic table"


def test_what_a_vendors_table_lacks_is_said_and_the_rest_is_judged() -> None:
    train, control = ps.read_table(frame(300), SCHEMA).split(0.5, ps.rng(1))
    lacking = train.without(["died"])
    report = ps.assess(train=train, control=control, synthetic=lacking)
    columns = next(fact for fact in report.evidence if fact.id == "fidelity.columns")
    assert columns.reason == "the synthetic table lacks died"
    copies = next(fact for fact in report.evidence if fact.id == "testing.copies_exact")
    assert copies.trial is not None
    assert copies.trial.member.hits
    assert "died: the synthetic table lacks it" in str(copies.details["columns_left_out"])
    assert not any(fact.column == "died" for fact in report.facts("fidelity"))


def test_tables_that_do_not_fit_together() -> None:
    table = ps.read_table(frame(), SCHEMA)
    other = ps.Schema.parse({"dataset": {"id": "d"}, "columns": {"died": {"kind": "boolean"}}})
    small = ps.read_table(frame()[["died"]], other)
    nothing = small.without(["died"])
    with pytest.raises(ps.AssessmentError, match="no column of the schema"):
        ps.assess(train=table, control=table, synthetic=nothing)
    with pytest.raises(ps.AssessmentError, match="same schema"):
        ps.assess(train=table, control=small, synthetic=table)
