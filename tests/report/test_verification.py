"""What a report takes from a certificate: the figures in it, and only of the build that fitted."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace

import pytest

from privsynth.audit.base import Finding
from privsynth.audit.canaries import CanaryAudit
from privsynth.audit.certificate import Certificate
from privsynth.audit.matrix import Kill
from privsynth.audit.worlds import WorldAudit
from privsynth.errors import DataError, ReleaseRefused, UsageError
from privsynth.report.render import render_html
from privsynth.report.verification import Verification
from privsynth.risk.base import Rate
from privsynth.synth.build import code_hash

CERTIFICATE = Certificate(
    "gan",
    "2026-01-02T03:04:05+00:00",
    (Finding("noise of steps", True, "p = 0.4"),),
    (Kill("half the noise", "steps with half of their noise", ("noise of steps",)),),
    CanaryAudit(charged=1.0, lower=0.2, hits=60, n_guesses=100, n_canaries=1000),
)


def told(certificate, **changes):
    return Verification.parse(json.dumps({**certificate.to_dict(), **changes}).encode())


def test_what_a_certificate_says_is_read_as_it_was_written():
    worlds = WorldAudit(1.0, 0.5, 0.0, Rate(3, 9), Rate(0, 9))
    found = told(replace(CERTIFICATE, worlds=worlds))
    found.require("gan", code_hash())
    assert found.checks == (("noise of steps", True, "p = 0.4"),)
    assert found.defects == (("steps with half of their noise", ("noise of steps",)),)
    assert (found.refuted, found.charged) == (0.2, 1.0)
    assert (found.worlds_refuted, found.worlds_claimed) == (0.5, 1.0)


def test_it_must_be_of_the_build_and_the_preset():
    with pytest.raises(UsageError, match="another build"):
        told(CERTIFICATE).require("gan", "0" * 64)
    with pytest.raises(UsageError, match="of gan, the model is diffusion"):
        told(CERTIFICATE).require("diffusion", code_hash())


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"findings": (Finding("clipping", False, "0.9"),)}, "check failed: clipping"),
        ({"kills": (Kill("x", "counts without noise", ()),)}, "not noticed: counts without"),
        ({"canaries": replace(CERTIFICATE.canaries, lower=2.0)}, "canaries refute"),
        ({"worlds": WorldAudit(1.0, 2.0, 0.0, Rate(9, 9), Rate(0, 9))}, "two worlds refute"),
        ({"findings": ()}, "no checks"),
    ],
)
def test_what_speaks_against_the_build_counts_whatever_the_certificate_concludes(broken, words):
    """A certificate whose conclusion was edited."""
    found = told(replace(CERTIFICATE, **broken), passed=True, faults=[])
    with pytest.raises(ReleaseRefused, match=words):
        found.require("gan", code_hash())


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"format": "privsynth/run/1"}'])
def test_what_is_no_certificate_is_refused(content):
    with pytest.raises(DataError, match="certificate"):
        Verification.parse(content)


@pytest.mark.parametrize(
    "changes",
    [
        {"canaries": None},
        {"canaries": {**asdict(CERTIFICATE.canaries), "charged": math.inf}},
        {"canaries": {**asdict(CERTIFICATE.canaries), "charged": 10**400}},
        {"canaries": {**asdict(CERTIFICATE.canaries), "lower": -1}},
        {"canaries": {**asdict(CERTIFICATE.canaries), "lower": "0.2"}},
        {"worlds": {}},
        {"kills": [{"mutant": "x", "title": "x", "killed_by": [1]}]},
        {"kills": [{"mutant": "x", "title": "\ud800", "killed_by": ["y"]}]},
        {"passed": 1},
        {"note": "seen on the record of one person"},
    ],
)
def test_what_differs_from_what_an_audit_writes_is_refused(changes):
    with pytest.raises(DataError, match="cannot be read"):
        told(CERTIFICATE, **changes)


def test_what_the_audit_itself_held_against_the_build_counts():
    for changes, words in (({"faults": ["odd"]}, "odd"), ({"passed": False}, "did not pass")):
        with pytest.raises(ReleaseRefused, match=words):
            told(CERTIFICATE, **changes).require("gan", code_hash())
    with pytest.raises(UsageError, match="another build"):
        told(CERTIFICATE, code="").require("gan", "")


def test_both_editions_show_what_was_audited_or_that_nothing_was(example):
    bare = example.example_report()
    found = told(CERTIFICATE)
    with_audit = bare.with_verification(found)
    for report in (with_audit, with_audit.public()):
        page = render_html(report)
        assert found.sha256 in page
        assert "all of 1 defects planted on purpose were noticed" in page
        assert "No certificate" not in page
    for report in (bare, bare.public()):
        page = render_html(report)
        assert "No certificate of this build was given" in page
        assert "privsynth audit --model diffusion" in page
    without_noise = example.example_report(private=False).with_verification(found)
    assert "nothing to verify" in render_html(without_noise)
