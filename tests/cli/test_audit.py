"""`privsynth audit`: what it prints, writes and refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from privsynth.audit import certificate
from privsynth.audit.base import Finding
from privsynth.audit.matrix import Kill

Cli = Callable[..., Any]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Findings in place of checks."""

    def use(passed: bool) -> None:
        monkeypatch.setattr(
            certificate, "conformance", lambda *_: (Finding("clipping", passed, "0.5"),)
        )
        kill = Kill("no noise", "steps without noise", ("noise of steps",))
        monkeypatch.setattr(certificate, "kill_matrix", lambda *_: (kill,))

    return use


def test_an_audit_says_what_held_and_where_the_certificate_is(
    cli: Cli, quick: Callable[[bool], None], tmp_path: Path
) -> None:
    quick(True)
    done = cli("audit", "--model", "marginal", "--out", tmp_path / "c")
    assert done.code == 0, done.err
    assert "1 of 1 checks hold" in done.out
    assert "certificate.html" in done.out
    assert json.loads((tmp_path / "c" / "certificate.json").read_text())["passed"] is True


def test_a_build_that_fails_is_refused(
    cli: Cli, quick: Callable[[bool], None], tmp_path: Path
) -> None:
    quick(False)
    done = cli("audit", "--model", "marginal", "--out", tmp_path, "--json")
    assert done.code == 3
    assert json.loads(done.out)["faults"] == ["check failed: clipping (0.5)"]


@pytest.mark.parametrize("name", ["diffusion-no-privacy", "nothing"])
def test_only_private_presets_are_audited(cli: Cli, tmp_path: Path, name: str) -> None:
    done = cli("audit", "--model", name, "--out", tmp_path / "c")
    assert done.code == 2
    assert "marginal" in done.err
    assert not (tmp_path / "c").exists()


def test_a_folder_that_cannot_be_made_is_refused_before_anything_is_fitted(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificate, "conformance", lambda *_: pytest.fail("it was fitted"))
    (tmp_path / "file").write_text("")
    done = cli("audit", "--model", "marginal", "--out", tmp_path / "file")
    assert done.code == 1
    assert "file cannot be written" in done.error
