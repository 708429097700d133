"""The losses of a fitted generator: one a record, lower for what it holds likely."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from privsynth.audit.small import fit, table
from privsynth.privacy.budget import PrivacyBudget
from privsynth.privacy.ledger import Ledger
from privsynth.privacy.noise import SeededNoise
from privsynth.synth.base import FittedSynthesizer
from privsynth.synth.losses import losses_of
from privsynth.synth.preset import load_preset


@pytest.fixture(params=["marginal", "diffusion", "gan"])
def fitted(request: pytest.FixtureRequest, tmp_path: Path) -> FittedSynthesizer:
    return fit(request.param, table(1), SeededNoise(1), tmp_path)


def test_every_record_has_a_loss_and_the_same_one_each_time(fitted: FittedSynthesizer) -> None:
    losses, records = losses_of(fitted), table(2)
    assert losses is not None
    found = losses(records)
    assert found.shape == (records.n_rows,)
    assert np.isfinite(found).all()
    order = np.random.default_rng(0).permutation(records.n_rows)
    assert losses(records.take(order)) == pytest.approx(found[order], abs=1e-4)
    assert losses(records.take(np.arange(0))).shape == (0,)


@pytest.mark.parametrize("preset", ["marginal", "diffusion"])
def test_likely_records_have_lower_losses(preset: str, tmp_path: Path) -> None:
    """Half of the ward's records are of one kind: these fit better than the rare ones."""
    ledger = Ledger(tmp_path / "ledger.sqlite")
    made = load_preset(preset)
    if preset == "diffusion":
        made = replace(made, taught_steps=60)
    fitted = made.fit(
        table(1), PrivacyBudget.no_privacy(), ledger=ledger, rng=np.random.default_rng(1)
    )
    losses = losses_of(fitted)
    assert losses is not None
    records = table(1)
    common = records.frame()["ward"].to_numpy() == "a"
    found = losses(records)
    assert found[common].mean() < found[~common].mean() - 0.02


def test_a_gan_whose_critic_is_left_out_is_judged_by_its_table(tmp_path: Path) -> None:
    fitted = fit("gan", table(1), SeededNoise(1), tmp_path)
    plain = fitted.without_training()
    assert plain is not None
    with_critic, without = losses_of(fitted), losses_of(plain)
    assert with_critic is not None
    assert without is not None
    assert (with_critic(table(1)) != without(table(1))).any()


def test_a_gan_without_its_critic_has_no_targets_and_tells_of_none(tmp_path: Path) -> None:
    fitted = fit("gan", table(1), SeededNoise(1), tmp_path)
    plain = fitted.projected_to(balance={"ward": {"a": 0.5}}).without_training()
    assert plain is not None
    assert plain.settings == fitted.settings
    again = fitted.without_training()
    assert again is not None
    assert plain.effective_share == pytest.approx(again.effective_share, abs=0.1)
