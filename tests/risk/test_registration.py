"""What was fixed before the fit is noticed to have changed."""

from __future__ import annotations

from functools import partial

import pytest

from privsynth.risk import Copies, Linkability, attacks
from privsynth.risk.registration import registration


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
