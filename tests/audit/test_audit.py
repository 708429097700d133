"""What the audits conclude: neither more nor less than was seen."""

from __future__ import annotations

import json
import math
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from privsynth.audit import certificate
from privsynth.audit.base import Check, Finding
from privsynth.audit.canaries import CanaryAudit, canary_audit
from privsynth.audit.certificate import WORLD_BUDGET, Certificate
from privsynth.audit.matrix import Kill
from privsynth.audit.mutants import MUTANTS
from privsynth.audit.odd import scores_of_world
from privsynth.audit.worlds import WorldAudit, judge, judge_each, run_worlds
from privsynth.privacy.budget import PrivacyBudget
from privsynth.privacy.noise import SeededNoise
from privsynth.risk.base import Rate
from privsynth.risk.statistics import epsilon_lower
from privsynth.synth.build import code_hash

PASSED = Certificate(
    "gan",
    "2026-01-02T03:04:05+00:00",
    (Finding("noise of steps", True, "p = 0.4"),),
    (Kill("half the noise", "steps with half of their noise", ("noise of steps",)),),
    CanaryAudit(charged=1.0, lower=0.2, hits=60, n_guesses=100, n_canaries=1000),
)


# --- the bound of one run


def test_a_fair_guesser_is_refuted_at_its_own_epsilon_in_few_runs() -> None:
    """Right with e^eps / (1 + e^eps), which (eps, 0) allows: the bound holds in 95 of 100 runs."""
    rng, epsilon = np.random.default_rng(1), 1.0
    right = 1 / (1 + math.exp(-epsilon))
    bounds = [epsilon_lower(Rate(int(h), 200), 1000, 0.0) for h in rng.binomial(200, right, 300)]
    assert sum(bound > epsilon for bound in bounds) <= 24  # 15 expected
    assert np.median(bounds) > 0.6  # and it is not idle


def test_delta_makes_the_bound_smaller() -> None:
    hits = Rate(95, 100)
    bounds = [epsilon_lower(hits, 1000, delta) for delta in (0.0, 1e-5, 1e-3)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[0] - bounds[2] > 0.1


# --- canaries


def test_canaries_of_this_build_refute_less_than_was_charged() -> None:
    audits = [canary_audit(np.random.default_rng(s), SeededNoise(s)) for s in range(8)]
    assert all(audit.passed for audit in audits)
    assert max(audit.lower for audit in audits) > 0.1  # they see something


@pytest.mark.parametrize("name", ["no noise", "no clipping"])
def test_canaries_find_a_build_without_noise_or_clipping(name: str) -> None:
    (broken,) = (each for each in MUTANTS if each.name == name)
    with broken.patch():
        found = canary_audit(np.random.default_rng(1), SeededNoise(1))
    assert not found.passed
    assert found.lower > 3


# --- two worlds


def test_alike_worlds_refute_nothing() -> None:
    rng = np.random.default_rng(2)
    bounds = [judge(rng.normal(size=200), rng.normal(size=200), 1.0, 1e-5) for _ in range(40)]
    assert all(bound.lower < 0.6 for bound in bounds)
    assert sum(bound.lower > 0 for bound in bounds) <= 6


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_shift_of_the_scores_is_seen_in_either_direction(sign: float) -> None:
    rng = np.random.default_rng(3)
    found = judge(sign * (rng.normal(size=300) + 6), sign * rng.normal(size=300), 1.0, 1e-5)
    assert found.lower > 2.5
    assert found.gdp_lower > 4
    assert not found.passed


def test_a_two_world_audit_goes_on_where_it_stopped(tmp_path: Path) -> None:
    kept, asked = tmp_path / "worlds.jsonl", list[bool]()

    def fit(with_person: bool) -> dict[str, float]:
        asked.append(with_person)
        if len(asked) == 4:
            raise KeyboardInterrupt
        return {"answers": float(with_person)}

    with pytest.raises(KeyboardInterrupt):
        run_worlds(fit, 5, kept)
    inside, outside = run_worlds(fit, 5, kept)
    assert (inside, outside) == ([{"answers": 1.0}] * 5, [{"answers": 0.0}] * 5)
    assert len(asked) == 11  # ten, and the one that was interrupted


def test_lines_that_are_no_scores_are_passed_over(tmp_path: Path) -> None:
    kept = tmp_path / "worlds.jsonl"
    line = '{"build": "", "with_person": %s, "scores": %s}\n'
    wrong = [(world, '{"answers": 0.5}') for world in ("null", '"yes"', "[1]")]
    wrong += [("true", "{}"), ("false", '"x"'), ("true", '{"answers": null}')]
    lines = "".join(line % each for each in wrong) + f"[1]\n{'7' * 5_000}\n"
    kept.write_bytes(lines.encode() + b'{"build": ""}\n\xff\xfe\n{"build": "", "with_p')
    inside, outside = run_worlds(lambda with_person: {"answers": float(with_person)}, 2, kept)
    assert (len(inside), len(outside)) == (2, 2)
    assert run_worlds(lambda _: pytest.fail("all are kept"), 2, kept) == (inside, outside)


def test_small_fits_differ_by_one_person_and_without_noise_it_shows() -> None:
    bare = PrivacyBudget.no_privacy()
    inside, outside = (scores_of_world("marginal", bare, world) for world in (True, False))
    assert inside.keys() == {"answers"}
    assert inside["answers"] > outside["answers"]


@pytest.mark.parametrize(
    ("preset", "name"), [("diffusion", "no noise"), ("gan", "no noise"), ("diffusion", "")]
)
def test_steps_without_noise_are_refuted_by_two_worlds_and_those_of_this_build_are_not(
    preset: str, name: str
) -> None:
    """The answers are the same in both builds: it is the steps that tell.

    Half of the runs judge: so many that some may be misjudged, and the build is refuted still.
    """
    broken = next((each.patch for each in MUTANTS if each.name == name), nullcontext)
    with broken():
        inside, outside = run_worlds(partial(scores_of_world, preset, WORLD_BUDGET), 48)
    assert inside[0].keys() == {"answers", "steps"}
    assert judge_each(inside, outside, 1.0, 1e-5).passed is (name == "")


def test_with_several_scores_each_must_show_more() -> None:
    sure, unsure = [{"a": 1.0, "b": 1.0}] * 60, [{"a": 0.0, "b": 1.0}] * 60
    several = judge_each(sure, unsure, 1.0, 1e-5)
    alone = judge([1.0] * 60, [0.0] * 60, 1.0, 1e-5)
    assert several.hits == alone.hits
    assert 1 < several.lower < alone.lower


# --- the certificate


def test_what_speaks_against_a_build_is_named() -> None:
    assert PASSED.faults == ()
    failed = replace(PASSED, findings=(Finding("clipping", False, "0.9"),))
    survivor = replace(PASSED, kills=(Kill("x", "counts without noise", ()),))
    refuted = replace(PASSED, canaries=replace(PASSED.canaries, lower=2.0))
    worlds = WorldAudit(1.0, 2.0, 0.0, Rate(9, 9), Rate(0, 9))
    for broken, words in (
        (failed, "check failed: clipping (0.9)"),
        (survivor, "a build broken on purpose was not noticed: counts without noise"),
        (refuted, "the canaries refute the charged epsilon"),
        (replace(PASSED, worlds=worlds), "two worlds refute the claimed epsilon"),
    ):
        assert broken.faults == (words,)
        assert not broken.passed
        assert words in broken.page()


def test_a_certificate_is_written_for_machines_and_for_people(tmp_path: Path) -> None:
    as_json, as_page = PASSED.write(tmp_path)
    document = json.loads(as_json.read_text(encoding="utf-8"))
    assert document["passed"] is True
    assert document["code"] == code_hash()
    assert document["kills"][0]["killed_by"] == ["noise of steps"]
    page = as_page.read_text(encoding="utf-8")
    assert "DP-SGD adds the noise that was charged" in page
    assert "<script" not in page
    assert "http" not in page


def test_a_probe_that_stops_has_not_passed() -> None:
    def stop() -> tuple[bool, str]:
        raise ValueError("what a record holds")

    found = Check("x", "x", stop).run()
    assert not found.passed
    assert found.figure == "stopped with ValueError"


def test_a_certificate_holds_all_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(certificate, "conformance", lambda *_: PASSED.findings)
    monkeypatch.setattr(certificate, "kill_matrix", lambda *_: PASSED.kills)
    made = certificate.certify("marginal", n_worlds=4, kept=tmp_path / "kept.jsonl")
    assert made.findings == PASSED.findings
    assert made.worlds is not None
    assert made.worlds.hits.total == 2
    assert len((tmp_path / "kept.jsonl").read_text(encoding="utf-8").strip().splitlines()) == 8
