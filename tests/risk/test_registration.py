"""What was fixed before the fit is noticed to have changed."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from privsynth.risk import (
    Copies,
    Linkability,
    anonymeter,
    attacks,
    base,
    membership,
    statistics,
    white_box,
)
from privsynth.risk.registration import _code, _constants, _plain, registration


def test_other_attacks_numbers_or_limits_have_another_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    as_it_is = registration(0.1)
    assert registration(0.1) == as_it_is
    assert registration(0.2) != as_it_is
    fewer = dict(attacks.items())
    fewer.pop("copies")
    for changed in (
        fewer,
        attacks._items | {"linkability": partial(Linkability, n_targets=7)},
        attacks._items | {"linkability": Copies},
    ):
        monkeypatch.setattr(attacks, "_items", changed)
        assert registration(0.1) != as_it_is
        monkeypatch.undo()


@pytest.mark.parametrize(
    ("module", "name", "other"),
    [
        (membership, "N_GUESSES", (25, 100)),
        (white_box, "_MAX_PERSONS", 100),
        (white_box, "ALARM_RATE", 0.05),
        (anonymeter, "MAX_ATTEMPTS", 500),
        (statistics, "MIN_TRIALS", 300),
        (base, "_COINCIDENCE", 0.01),
        (base, "LEVEL", 0.01),
    ],
)
def test_another_setting_that_attacks_share_has_another_hash(
    module: Any, name: str, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_it_is = registration(0.1)
    monkeypatch.setattr(module, name, other)
    assert registration(0.1) != as_it_is


@pytest.mark.parametrize(
    "name", ["risk/attack.py", "synth/losses.py", "report/criteria.py", "conform.py"]
)
def test_other_code_has_another_hash(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("half = 0.5")
    before = _code(tmp_path)
    (tmp_path / name).write_text("half = 0.4")
    assert _code(tmp_path) != before


def test_constants_are_the_same_text_in_every_process() -> None:
    assert _plain(frozenset({"b", "a"})) == "['a', 'b']"
    assert [text for text in _constants().values() if " at 0x" in text] == []
