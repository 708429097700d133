"""A critic is believed as far as records bear it out, and no further."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from privsynth.privacy.budget import PrivacyBudget
from privsynth.privacy.noise import SeededNoise
from privsynth.privacy.spending import Measurement
from privsynth.schema import Schema
from privsynth.synth import gan, marginal, project, trust
from privsynth.synth.base import load_fitted
from privsynth.synth.gan import Gan
from privsynth.synth.trust import NO_TRUST, ODDS, Trust, measured_trust, nearest
from privsynth.table import Table

N_BINS = 12
EDGES = np.linspace(-2, 2, N_BINS - 1)
TINY = np.full(N_BINS, 1e-6)


def odds(shift: float, n: int = 40_000) -> np.ndarray:
    return np.random.default_rng(0).normal(shift, 1.0, n)


def shares(values: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    counts = np.bincount(np.searchsorted(EDGES, values), weights, minlength=N_BINS)
    return counts / counts.sum()


def test_records_that_score_as_the_table_does_leave_it_as_it_is():
    found = nearest((odds(0.0), odds(0.8)), EDGES, shares(odds(0.0)), TINY)
    assert found == Trust(refined=0.0, slope=0.0)


def test_records_that_score_as_refined_rows_do_have_all_refined():
    found = nearest((odds(0.0), odds(0.8)), EDGES, shares(odds(0.8)), TINY)
    assert found.refined == pytest.approx(1.0)
    assert found.slope == 0.0


@pytest.mark.parametrize("slope", [0.3, 0.7, 1.0])
def test_the_power_of_the_odds_is_found(slope):
    plain = odds(0.0)
    wanted = shares(plain, Trust(0.0, slope).weights(plain))
    found = nearest((plain, odds(-3.0)), EDGES, wanted, TINY)
    assert (found.refined, found.slope) == pytest.approx((0.0, slope))


def test_noise_alone_earns_no_trust():
    """The records' histogram is the table's own, seen through noise: in 95 of 100 fits none."""
    plain = odds(0.0)
    truth, error = shares(plain), np.full(N_BINS, 0.01**2)
    trusted = 0
    for seed in range(40):
        noisy = np.clip(truth + np.random.default_rng(seed).normal(0, 0.01, N_BINS), 0, None)
        trusted += nearest((plain, odds(0.1)), EDGES, noisy / noisy.sum(), error) != NO_TRUST
    assert trusted <= 8


def test_what_noise_could_have_made_is_not_believed():
    both = (odds(0.0), odds(0.8))
    assert nearest(both, EDGES, shares(odds(0.8)), np.full(N_BINS, 1.0)) == NO_TRUST


def test_the_noise_of_the_charge_is_reckoned_with(monkeypatch):
    seen = []
    monkeypatch.setattr(trust, "nearest", lambda *given: seen.append(given[3]) or NO_TRUST)
    train = visits()
    for multiplier in (1.0, 100.0):
        measurement = Measurement(ODDS, multiplier)
        work = SimpleNamespace(
            spending=SimpleNamespace(measurement=lambda _, m=measurement: m), noise=SeededNoise(1)
        )
        measured_trust((odds(0.0), odds(0.5)), odds(0.0, train.n_rows), train, 400.0, work)
    assert seen[1].min() == pytest.approx((100 / 400) ** 2, rel=0.1)
    assert seen[0].max() < 0.1 * seen[1].min()


@pytest.mark.parametrize("wrong", [(np.nan, 1.0), (-1.0, 1.0), (5.0, 1.0), (0.0, np.nan), (0, 9)])
def test_trust_that_no_fit_gives_is_refused(wrong):
    with pytest.raises(ValueError, match="trust lies"):
        Trust(*wrong)


def test_no_row_counts_far_more_than_others():
    weights = Trust(0.0, 1.0).weights(np.array([-50.0, 0.0, 50.0]))
    assert weights.max() / weights[1] < 8
    assert weights.min() > 0


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(marginal, "ROUNDS", 30)
    monkeypatch.setattr(marginal, "_FIRST_ROUNDS", 20)
    monkeypatch.setattr(marginal, "_PARTICLES", (500, 500))
    monkeypatch.setattr(project, "_POOL_ROWS", (2_000, 2_000))
    monkeypatch.setattr(gan, "_TEACHER_ROWS", 2_000)
    monkeypatch.setattr(gan, "_TRIED_ROWS", 2_000)


def visits(n_persons: int = 400) -> Table:
    """Three rows a person."""
    schema = Schema.parse(
        {
            "dataset": {"id": "visits"},
            "privacy": {"unit": "person", "max_rows_per_unit": 3},
            "columns": {
                "person": {"kind": "id"},
                "ward": {"kind": "categorical", "categories": ["A", "B", "C"]},
                "late": {"kind": "boolean"},
            },
        }
    )
    rng = np.random.default_rng(0)
    n = 3 * n_persons
    frame = pd.DataFrame(
        {
            "person": np.repeat([f"P{i}" for i in range(n_persons)], 3),
            "ward": rng.choice(["A", "B", "C"], n),
            "late": rng.random(n) < 0.3,
        }
    )
    return Table.from_pandas(frame, schema)


def test_the_odds_are_one_charged_histogram_in_which_a_person_counts_once(small, monkeypatch):
    asked = []
    right = trust.noisy_counts

    def counting(cells, n_cells, **given):
        asked.append((given["measurement"].name, float(given["weights"].sum())))
        return right(cells, n_cells, **given)

    monkeypatch.setattr(trust, "noisy_counts", counting)
    fitted = Gan(steps=10, batch_size=64, width=8).fit(visits(), PrivacyBudget(2.0, 1e-5))
    assert asked == [(ODDS, pytest.approx(400.0))]
    assert ODDS in [each.name for each in fitted.guarantee.plan.mechanisms]


def small_fit():
    return Gan(steps=10, batch_size=64, width=8).fit(
        visits(), PrivacyBudget(2.0, 1e-5), noise=SeededNoise(1), rng=np.random.default_rng(1)
    )


def test_trust_survives_saving(small, tmp_path):
    fitted = replace(small_fit(), trust=Trust(0.3, 0.7))
    fitted.save(tmp_path)
    assert load_fitted(tmp_path).trust == Trust(0.3, 0.7)


def test_so_many_draws_are_refined_as_are_trusted(small, monkeypatch):
    fitted = replace(small_fit(), trust=Trust(0.25, 0.0))
    monkeypatch.setattr(
        type(fitted.players), "refined", lambda self, codes, *_: torch.full_like(codes, -7)
    )
    monkeypatch.setattr(type(fitted.players), "odds", lambda self, codes: torch.zeros(len(codes)))
    drawn = fitted.draw(400, {}, np.random.default_rng(0))
    assert (drawn == -7).all(1).float().mean() == pytest.approx(0.25, abs=0.01)


def test_draws_are_taken_by_that_power_of_their_odds(small, monkeypatch):
    fitted = replace(small_fit(), trust=Trust(0.0, 0.5))
    late = list(fitted.codebook.columns).index("late")
    monkeypatch.setattr(
        type(fitted.players), "odds", lambda self, codes: 2.0 * (codes[:, late] == 1).double()
    )
    with_odds, without = (
        (each.draw(4_000, {}, np.random.default_rng(0))[:, late] == 1).double().mean().item()
        for each in (fitted, replace(fitted, trust=NO_TRUST))
    )
    expected = without * np.e / (without * np.e + 1 - without)  # odds of 2 to the power of a half
    assert with_odds == pytest.approx(expected, abs=0.03)


def test_where_nothing_is_believed_draws_are_the_tables_own(small, monkeypatch):
    monkeypatch.setattr(gan, "measured_trust", lambda *_: gan.NO_TRUST)
    fitted = Gan(steps=10, batch_size=64, width=8).fit(visits(), PrivacyBudget(2.0, 1e-5))
    refined = []
    monkeypatch.setattr(
        type(fitted.players), "refine", lambda *given: refined.append(given), raising=True
    )
    assert fitted.draw(50, {}, np.random.default_rng(0)).shape == (50, 2)
    assert refined == []
