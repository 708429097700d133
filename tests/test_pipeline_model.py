"""The model of a run: chosen by public facts, recorded, and held against itself."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

import privsynth as ps
from privsynth import pipeline
from privsynth.audit.base import Finding
from privsynth.audit.canaries import CanaryAudit
from privsynth.audit.certificate import Certificate
from privsynth.audit.matrix import Kill
from privsynth.errors import UsageError
from privsynth.report.policy import Policy
from privsynth.report.report import RiskReport
from privsynth.risk.base import Criterion, Result, attacks
from privsynth.risk.linkability import Sources
from privsynth.risk.membership import guessed, named
from privsynth.synth import preset
from privsynth.synth.gan import Gan
from privsynth.synth.marginal import Marginal
from privsynth.table import Tables

SCHEMA = ps.Schema.parse(
    {
        "dataset": {"id": "visits"},
        "columns": {
            "age": {"kind": "integer", "lower": 0, "upper": 120},
            "ward": {"kind": "categorical", "categories": ["east", "west"]},
            "died": {"kind": "boolean", "role": "target"},
        },
    }
)


def frame(n: int = 150, seed: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    ward, died = rng.choice(["east", "west"], n), rng.random(n) < 0.3
    return pd.DataFrame({"age": rng.integers(18, 90, n), "ward": ward, "died": died})


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
    """One attack and one metric in the place of all, and a table in the place of a network."""
    from privsynth.fidelity import metrics
    from privsynth.fidelity.marginals import TotalVariation
    from privsynth.risk import Copies

    monkeypatch.setattr(preset, "load_preset", lambda name: Marginal(max_codes=8))
    monkeypatch.setattr(attacks, "_items", {"copies": Copies})
    monkeypatch.setattr(metrics, "_items", {"total_variation": TotalVariation})


def test_the_choice_is_recorded_and_public(
    data: Path, tools: pipeline.Tools, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done, report = pipeline.run(data, SCHEMA, pipeline.Job(1.0), out, tools)
    public = RiskReport.from_json((out / "release/report/report.json").read_text())
    for found in (report.provenance, public.provenance):
        assert found["model"] == "marginal"
        assert "rows for each code at epsilon 1, below 50" in found["choice"]
        assert 0 < found["effective_share"] <= 1
    again = pipeline.RunRecord.load(pipeline.RunFolder(out).record)
    assert again.choice == done.record.choice


def test_the_choice_does_not_look_at_the_records(tools: pipeline.Tools, tmp_path: Path) -> None:
    choices = []
    for seed in (3, 4):
        frame(seed=seed).assign(ward="east").to_parquet(tmp_path / f"{seed}.parquet")
        done = pipeline.fit(
            tmp_path / f"{seed}.parquet", SCHEMA, pipeline.Job(1.0), tmp_path / f"out{seed}", tools
        )
        choices.append(done.record.choice)
    assert choices[0] == choices[1]


def test_a_private_row_count_does_not_decide(tools: pipeline.Tools, tmp_path: Path) -> None:
    schema = ps.Schema.parse(SCHEMA.to_dict() | {"privacy": {"row_count": "private"}})
    reasons = []
    for n in (150, 300):
        frame(n).to_parquet(tmp_path / f"{n}.parquet")
        job = pipeline.Job(1.0, delta=1e-5)
        done = pipeline.fit(tmp_path / f"{n}.parquet", schema, job, tmp_path / f"out{n}", tools)
        reasons.append(done.record.choice.reason)
    assert reasons[0] == reasons[1]


def test_what_a_critic_added_stays_with_the_controller(
    data: Path, tools: pipeline.Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Gan(steps=3, batch_size=32, width=16)
    monkeypatch.setattr(preset, "load_preset", lambda name: small)
    out = tmp_path / "out"
    _, report = pipeline.run(data, SCHEMA, pipeline.Job(1.0, model="gan"), out, tools)
    with_it = {fact.id: fact.value for fact in report.facts("fidelity")}
    beside = report.facts("critic")
    assert "critic.tvd_2way" in {fact.id for fact in beside}
    for fact in beside:
        assert fact.value == with_it[fact.id.replace("critic", "fidelity")]
        assert isinstance(fact.reference, float)
    page = (out / "controller/report/report.html").read_text()
    assert "What the critic added" in page
    assert "are not covered by ε" in page
    public = RiskReport.from_json((out / "release/report/report.json").read_text())
    assert public.facts("critic") == ()
    assert "What the critic added" not in (out / "release/report/report.html").read_text()


def test_a_model_with_targets_is_drawn_from(
    data: Path, tools: pipeline.Tools, tmp_path: Path
) -> None:
    folder = pipeline.RunFolder(tmp_path / "out")
    pipeline.fit(data, SCHEMA, pipeline.Job(1.0), folder.path, tools)
    model = pipeline.targeted(folder, {"ward": {"east": 0.9}}, [("ward", "died")])
    drawn = pipeline.sample(folder, 200, model=model).to_pandas()
    assert (drawn["ward"] == "east").mean() == pytest.approx(0.9, abs=0.02)


def test_the_policy_of_a_run_is_kept_and_decides_its_verdicts(
    data: Path, tools: pipeline.Tools, tmp_path: Path
) -> None:
    policy = Policy(excess_limit=0.03, source="minute 14", set_by="A. Meyer")
    job = pipeline.Job(3.0, delta=1e-5, model="marginal", policy=policy)
    _, report = pipeline.run(data, SCHEMA, job, tmp_path / "out", tools)
    assert report.decision["excess_limit"] == 0.03
    assert report.decision["set_by"] == "A. Meyer"
    again = pipeline.assess_run(pipeline.RunFolder(tmp_path / "out"), data)
    assert again.decision == report.decision


def test_another_policy_is_another_commitment(
    data: Path, tools: pipeline.Tools, tmp_path: Path
) -> None:
    hashes = set()
    for number, policy in enumerate((Policy(), Policy(excess_limit=0.03))):
        job = pipeline.Job(3.0, delta=1e-5, model="marginal", policy=policy)
        out = pipeline.fit(data, SCHEMA, job, tmp_path / str(number), tools)
        hashes.add(out.record.tests)
    assert len(hashes) == 2


def test_a_policy_of_other_columns_is_refused_before_a_charge(
    data: Path, tools: pipeline.Tools, tmp_path: Path
) -> None:
    sources = (Sources("shop", ("age",), ("shoe_size",)),)
    job = pipeline.Job(3.0, delta=1e-5, policy=Policy(linkability=sources))
    with pytest.raises(UsageError, match="shoe_size"):
        pipeline.run(data, SCHEMA, job, tmp_path / "out", tools)
    assert tools.ledger is not None
    assert tools.ledger.entries("visits") == ()


def certificate_of_build(**changes: Any) -> bytes:
    """A certificate of this build."""
    made = Certificate(
        "marginal",
        "2026-01-02T03:04:05+00:00",
        (Finding("noise of steps", True, "p = 0.4"),),
        (Kill("half the noise", "steps with half of their noise", ("noise of steps",)),),
        CanaryAudit(charged=1.0, lower=0.2, hits=60, n_guesses=100, n_canaries=1000),
    )
    return json.dumps({**made.to_dict(), **changes}).encode()


JOB = pipeline.Job(1.0, model="marginal")


def test_a_certificate_goes_out_with_the_table(
    data: Path, tools: pipeline.Tools, tmp_path: Path
) -> None:
    content = certificate_of_build()
    folder = pipeline.RunFolder(tmp_path / "out")
    pipeline.run(data, SCHEMA, JOB, folder.path, replace(tools, certificate=content))
    pipeline.assess_run(folder, data)
    pipeline.report(folder)  # it stays through both
    assert (folder.release / "certificate.json").read_bytes() == content
    public = json.loads((folder.release / "report/report.json").read_text(encoding="utf-8"))
    manifest = json.loads((folder.release / "manifest.json").read_text(encoding="utf-8"))
    hashes = {each["path"]: each["sha256"] for each in manifest["files"]}
    assert public["provenance"]["verification"]["sha256"] == hashes["certificate.json"]


def test_a_certificate_can_be_added_to_a_run(
    data: Path, tools: pipeline.Tools, tmp_path: Path
) -> None:
    folder = pipeline.RunFolder(tmp_path / "out")
    pipeline.run(data, SCHEMA, JOB, folder.path, tools)
    assert not (folder.release / "certificate.json").exists()
    with pytest.raises(ps.UsageError, match="another build"):
        pipeline.report(folder, certificate=certificate_of_build(code="0"))
    found = pipeline.report(folder, certificate=certificate_of_build())
    assert found.provenance["verification"]["preset"] == "marginal"
    assert (folder.release / "certificate.json").is_file()


def test_a_certificate_that_changed_in_its_folder_does_not_go_out(
    data: Path, tools: pipeline.Tools, tmp_path: Path
) -> None:
    folder = pipeline.RunFolder(tmp_path / "out")
    audited = replace(tools, certificate=certificate_of_build())
    pipeline.run(data, SCHEMA, JOB, folder.path, audited)
    folder.certificate.write_bytes(certificate_of_build(code="0"))
    for again in (lambda: pipeline.report(folder), lambda: pipeline.assess_run(folder, data)):
        with pytest.raises(ps.UsageError, match="another build"):
            again()
    folder.certificate.unlink()
    assert pipeline.report(folder).provenance["verification"] is None
    assert not (folder.release / "certificate.json").exists()


def test_a_report_that_is_refused_keeps_no_certificate(
    data: Path, tools: pipeline.Tools, tmp_path: Path
) -> None:
    folder = pipeline.RunFolder(tmp_path / "out")
    pipeline.run(data, SCHEMA, JOB, folder.path, tools)
    shutil.rmtree(folder.release)
    with pytest.raises(ps.PrivsynthError):
        pipeline.report(folder, certificate=certificate_of_build())
    assert not folder.certificate.exists()


def test_no_certificate_speaks_for_a_run_without_noise(
    data: Path, tools: pipeline.Tools, tmp_path: Path
) -> None:
    job = pipeline.Job.without_privacy(model="marginal")
    audited = replace(tools, certificate=certificate_of_build())
    with pytest.raises(ps.UsageError, match="adds none"):
        pipeline.run(data, SCHEMA, job, tmp_path / "out", audited)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code": "0"}, ps.UsageError),
        ({"preset": "gan"}, ps.UsageError),
        ({"findings": []}, ps.ReleaseRefused),
    ],
)
def test_a_certificate_that_does_not_fit_is_refused_before_anything_is_charged(
    data: Path,
    tools: pipeline.Tools,
    tmp_path: Path,
    changes: dict[str, Any],
    error: type[Exception],
) -> None:
    wrong = replace(tools, certificate=certificate_of_build(**changes))
    with pytest.raises(error, match="certificate"):
        pipeline.run(data, SCHEMA, JOB, tmp_path / "out", wrong)
    assert not (tmp_path / "out").exists()
    assert tools.ledger is not None
    assert tools.ledger.entries() == ()


class NamesEveryone:
    """Membership of 2,000 pairs, all of them named right: epsilon 2 does not allow it."""

    name: ClassVar[str] = "membership"
    title: ClassVar[str] = "Membership"
    criterion: ClassVar[Criterion] = "membership"

    def run(self, tables: Tables, rng: np.random.Generator) -> tuple[Result, ...]:
        all_right = guessed(np.ones(2_000), np.zeros(2_000), rng)
        facts = {"attack": self.name, "title": self.title, "criterion": "membership"}
        return (named(all_right, n_planned=2_000, **facts),)


def test_a_claim_that_an_attack_refutes_is_not_released(
    data: Path, tools: pipeline.Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attacks, "_items", {"membership": NamesEveryone})
    folder = pipeline.RunFolder(tmp_path / "out")
    with pytest.raises(ps.ReleaseRefused, match=r"further.*report\.html"):
        pipeline.run(data, SCHEMA, pipeline.Job(1.0), folder.path, tools)
    assert not folder.release.exists()
    assert (folder.report / "report.html").is_file()
    assert folder.synthetic.is_file()
    with pytest.raises(ps.ReleaseRefused, match="further"):
        pipeline.report(folder)
    assert not folder.release.exists()
    pipeline.assess_run(folder, data)  # the refusal leaves a run that can be assessed again


def test_a_release_whose_claim_is_refuted_later_is_taken_back(
    data: Path, tools: pipeline.Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = pipeline.RunFolder(tmp_path / "out")
    pipeline.run(data, SCHEMA, pipeline.Job(1.0), folder.path, tools)
    released = ps.load_release(folder.path)
    monkeypatch.setattr(attacks, "_items", {"membership": NamesEveryone})
    assert pipeline.assess_run(folder, data).is_contradicted
    assert not folder.release.exists()
    pd.testing.assert_frame_equal(
        pd.read_parquet(folder.synthetic), released, check_dtype=False, check_categorical=False
    )


def test_a_column_that_is_drawn_missing_in_every_row_is_read_again(
    tools: pipeline.Tools, tmp_path: Path
) -> None:
    document = SCHEMA.to_dict()
    document["columns"]["age"]["missing"] = True
    schema, path = ps.Schema.parse(document), tmp_path / "visits.parquet"
    frame().assign(age=[40] + [None] * 149).to_parquet(path)
    folder = pipeline.RunFolder(tmp_path / "out")
    pipeline.run(path, schema, pipeline.Job(50.0, rows=5), folder.path, tools)
    empty = ps.load_release(folder.path).assign(age=pd.array([None] * 5, dtype="Int64"))
    empty.to_parquet(next((folder.release / "data").glob("*.parquet")))
    pipeline.assess_run(folder, path)
    pipeline.report(folder)
    assert ps.load_release(folder.path)["age"].isna().all()
