"""What a private fit tosses coins with, its noise apart: known to nobody where a claim is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import privsynth as ps
from privsynth.audit.small import BUDGET, table
from privsynth.privacy.budget import PrivacyBudget
from privsynth.privacy.noise import NoiseSource, SecretNoise, SeededNoise
from privsynth.synth.denoiser import hide

KNOWN = float(np.random.default_rng(1).random())


@pytest.fixture
def first_draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The first number that a fit draws when the caller passes the seed 1."""

    def look(budget: PrivacyBudget, noise: NoiseSource | None) -> float:
        drawn: list[float] = []

        def learn(self: Any, train: Any, work: Any) -> None:
            drawn.append(float(work.rng.random()))

        monkeypatch.setattr(ps.Marginal, "learn", learn)
        ledger = ps.Ledger(tmp_path / "ledger.sqlite")
        ps.Marginal().fit(table(1), budget, ledger=ledger, noise=noise, rng=ps.rng(1))
        return drawn[0]

    return look


@pytest.mark.parametrize("make", [SecretNoise, lambda: None])
def test_a_seed_that_is_known_decides_nothing_in_a_fit_with_a_claim(
    first_draw: Any, make: Any
) -> None:
    drawn = [first_draw(BUDGET, make()) for _ in range(2)]
    assert len({*drawn, KNOWN}) == 3


def test_tests_and_fits_without_privacy_keep_to_the_seed(first_draw: Any) -> None:
    assert first_draw(BUDGET, SeededNoise(1)) == KNOWN
    assert first_draw(PrivacyBudget.no_privacy(), None) == KNOWN


def test_with_a_known_generator_one_row_more_would_hide_other_columns_of_the_rest() -> None:
    """Why the generator must be secret: the masks of all others follow from the batch's size."""
    fewer, more = (hide(n, 6, 4, torch.Generator().manual_seed(1)) for n in (50, 51))
    moved = (fewer != more[: len(fewer)]).any(1)
    assert moved.float().mean() > 0.3
