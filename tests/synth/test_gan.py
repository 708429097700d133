"""The critic meets records only in charged steps; the generator never does; both add something."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from privsynth.privacy.budget import PrivacyBudget, PrivacyUnit
from privsynth.privacy.calibrate import calibrate
from privsynth.privacy.dpsgd import clippable_layers, clipped_sum
from privsynth.privacy.noise import SeededNoise
from privsynth.privacy.plan import GaussianEvent, MeasurementRequest, TrainingRequest
from privsynth.schema import Schema
from privsynth.synth import gan, marginal, project, trust
from privsynth.synth.base import load_fitted
from privsynth.synth.critic import Critic
from privsynth.synth.gan import TRAINING, Gan, Players
from privsynth.synth.maxent import Potentials, one_hot
from privsynth.table import Table

SMALL = Gan(steps=60, batch_size=128, width=16)
SIZES = (2, 3, 2)
BUDGET = PrivacyBudget(1.0, 1e-5)


@pytest.fixture(autouse=True)
def few_rows(monkeypatch):
    use_few_rows(monkeypatch)


def use_few_rows(patch) -> None:
    """Fits of seconds: fewer particles, fewer of the teacher's rows, a smaller pool."""
    patch.setattr(marginal, "ROUNDS", 60)
    patch.setattr(marginal, "_FIRST_ROUNDS", 40)
    patch.setattr(marginal, "_PARTICLES", (1_000, 1_000))
    patch.setattr(project, "_POOL_ROWS", (6_000, 6_000))
    patch.setattr(gan, "_TEACHER_ROWS", 4_000)
    patch.setattr(gan, "_TRIED_ROWS", 4_000)


def clinic_schema(**privacy) -> Schema:
    counted = {"kind": "categorical", "categories": ["A", "B", "C"]}
    return Schema.parse(
        {
            "dataset": {"id": "clinic"},
            "privacy": privacy,
            "columns": {
                "ward": counted,
                "high": {"kind": "boolean"},
                "late": {"kind": "boolean"},
                "odd": {"kind": "boolean"},
            },
        }
    )


def clinic(n: int = 2_000, **privacy) -> Table:
    """`high` equals ward A nine times in ten; `odd` is `high` or `late` but not both, always."""
    rng = np.random.default_rng(5)
    ward = rng.choice(["A", "B", "C"], n, p=[0.5, 0.3, 0.2])
    high = (ward == "A") ^ (rng.random(n) < 0.1)
    late = rng.random(n) < 0.5
    frame = pd.DataFrame({"ward": ward, "high": high, "late": late, "odd": high ^ late})
    return Table.from_pandas(frame, clinic_schema(**privacy))


def fit(settings: Gan, epsilon: float = 5.0, table: Table | None = None):
    budget = PrivacyBudget(epsilon, 1e-5) if epsilon else PrivacyBudget.no_privacy()
    return settings.fit(
        table or clinic(), budget, noise=SeededNoise(1), rng=np.random.default_rng(1)
    )


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRIVSYNTH_LEDGER", str(tmp_path_factory.mktemp("l") / "l.sqlite"))
        use_few_rows(patch)
        return fit(SMALL)


def parity(fitted) -> float:
    """How often a row keeps the rule of three columns that no pair shows."""
    frame = fitted.sample(2_000, rng=np.random.default_rng(2)).frame()
    return float((frame["odd"] == (frame["high"] ^ frame["late"])).mean())


def a_critic(seed: int = 0) -> tuple[Critic, torch.Tensor]:
    """A critic of random weights, and codes of some rows."""
    torch.manual_seed(seed)
    codes = torch.stack([torch.randint(size, (500,)) for size in SIZES], 1)
    rows = one_hot(codes, SIZES)
    critic = Critic(SIZES, rows.T @ rows / len(rows), 8)
    for layer in (critic.wide, critic.head):
        torch.nn.init.normal_(layer.weight)
    return critic, codes


def test_the_critic_adds_what_no_pair_holds():
    with_critic = Gan(steps=200, batch_size=512, width=32, critic_share=0.5)
    assert parity(fit(Gan(critic_weight=0.0), 20.0)) < 0.6
    assert parity(fit(with_critic, 20.0)) > 0.65


def test_pairs_stay_those_of_the_marginals(fitted):
    frame = fitted.sample(2_000, rng=np.random.default_rng(2)).frame()
    in_a = frame.loc[frame["ward"] == "A", "high"].mean()
    assert in_a == pytest.approx(0.9, abs=0.06)
    assert frame.loc[frame["ward"] != "A", "high"].mean() == pytest.approx(0.1, abs=0.06)


def test_no_mode_is_lost(fitted):
    frame = fitted.sample(2_000, rng=np.random.default_rng(2)).frame()
    shares = frame["ward"].value_counts(normalize=True)
    assert shares["C"] == pytest.approx(0.2, abs=0.04)
    assert len(frame.drop_duplicates()) >= 20  # of 24 that can be


def test_records_meet_the_critic_in_as_many_steps_as_were_charged(monkeypatch):
    drawn = []
    real = gan.UnitRows.draw
    monkeypatch.setattr(
        gan.UnitRows, "draw", lambda self, *args: drawn.append(1) or real(self, *args)
    )
    guarantee = fit(SMALL).guarantee
    event = guarantee.plan.mechanism(TRAINING).event
    assert event.steps == SMALL.steps == len(drawn)
    assert 4.9 < guarantee.epsilon_spent <= 5.0


def test_only_the_trainer_trains_on_records(monkeypatch):
    """A trainer that makes no step leaves the players as they were: no other move asks for rows.

    The histogram of odds meets the records too, and is charged: see test_trust.
    """

    def unread(*_):
        raise AssertionError("a record was read outside a charged step")

    monkeypatch.setattr(gan, "make_trainer", _idle_trainer)
    monkeypatch.setattr(gan.UnitRows, "draw", unread)
    assert fit(SMALL).players.critic.wide.weight.abs().max() == 0


class _Idle:
    def __init__(self, training):
        self._training = training

    @property
    def steps_left(self):
        return self._training.steps_left

    def step(self, _):
        self._training.next_step()


def _idle_trainer(_model, _optimizer, training, *_args, **_settings):
    return _Idle(training)


def test_an_empty_batch_is_a_charged_step():
    sparse = Gan(steps=20, batch_size=1, width=8)
    event = fit(sparse, table=clinic(300)).guarantee.plan.mechanism(TRAINING).event
    assert event.steps == 20
    assert event.sample_rate == pytest.approx(1 / 300)


def test_without_a_critic_no_training_is_asked_for():
    schema = clinic_schema()
    requests = Gan(critic_weight=0.0).requests(schema, 2_000, BUDGET)
    assert all(isinstance(each, MeasurementRequest) for each in requests)
    assert sum(each.share for each in requests) == pytest.approx(1.0)
    asked = Gan().requests(schema, 2_000, BUDGET)
    assert sum(isinstance(each, TrainingRequest) for each in asked) == 1
    shares = {each.name: each.share for each in asked if isinstance(each, MeasurementRequest)}
    odds = shares.pop(trust.ODDS)
    assert sum(shares.values()) == pytest.approx(1 - Gan().critic_share)
    assert 0 < odds < 0.2 * Gan().critic_share


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 3.0, 10.0, 100.0])
def test_above_epsilon_1_the_critic_gets_less_so_that_its_noise_stays(epsilon):
    asked = Gan().requests(clinic_schema(), 2_000, PrivacyBudget(epsilon, 1e-5))
    teacher = [e.share for e in asked if isinstance(e, MeasurementRequest) and e.name != trust.ODDS]
    expected = max(0.01, Gan().critic_share / max(1.0, epsilon))
    assert 1 - sum(teacher) == pytest.approx(expected)


def test_a_private_row_count_never_sets_the_sample_rate():
    few, many = (
        fit(Gan(steps=2, width=8), table=clinic(n, row_count="private")) for n in (300, 600)
    )
    rates = {each.guarantee.plan.mechanism(TRAINING).event.sample_rate for each in (few, many)}
    assert len(rates) == 1


def test_conditions_follow_the_teacher_whose_rows_follow_the_noisy_shares(monkeypatch):
    """A column each as often, and a code as often as the teacher has it; the row has that code."""
    codes = (torch.rand(4_000, 3, generator=torch.Generator().manual_seed(0)) > 0.8).long()
    teacher = one_hot(codes, SIZES)
    players = Players(Potentials.zero(SIZES), teacher.T @ teacher / 4_000, 8)
    chance = torch.Generator().manual_seed(1)
    game = gan.Game(Gan(batch_size=30_000), players, teacher, chance)
    seen = []
    monkeypatch.setattr(players, "refine", lambda *given: seen.append(given))
    game.fakes()
    rows, held, _ = seen[0]
    assert held.mean(0).numpy() == pytest.approx(np.full(3, 1 / 3), abs=0.01)
    assert rows[held[:, 0] == 1, 1].mean() == pytest.approx(0.2, abs=0.02)


def test_the_generator_holds_the_condition_and_starts_as_the_table():
    torch.manual_seed(0)
    theta = torch.zeros(7, 7)
    theta[0, 5] = theta[5, 0] = 2.0
    table = Potentials(SIZES, torch.zeros(7), theta)
    players = Players(table, torch.full((7, 7), 0.1), 8)
    rows = one_hot(torch.zeros(20_000, 3, dtype=torch.long), SIZES)
    held = torch.zeros(20_000, 3)
    held[:, 0] = 1.0
    with torch.no_grad():
        found, change = players.refine(rows, held, torch.Generator().manual_seed(0))
    assert change == pytest.approx(0.0, abs=1e-6)
    assert (found[:, 0] == 1).all()
    moved = torch.stack([part.argmax(1) for part in found.split(list(SIZES), 1)], 1)
    assert (moved[:, 1] != 0).any()
    redrawn = 1 - 0.5**gan._PASSES  # each pass redraws one of the two free columns
    expected = redrawn / (1 + np.exp(2.0))
    assert (moved[:, 2] == 1).float().mean() == pytest.approx(expected, abs=0.01)


def test_features_of_soft_rows_are_the_means_of_hard_ones():
    critic, codes = a_critic()
    rows = one_hot(codes[:1], SIZES).repeat(2, 1)
    rows[1, :2] = 1 - rows[1, :2]  # the other code of the first column
    soft = 0.3 * rows[:1] + 0.7 * rows[1:]
    expected = torch.tensor([[0.3, 0.7]]) @ critic.features(rows)
    assert torch.allclose(critic.features(soft), expected, atol=1e-5)


def test_features_of_codes_are_those_of_their_indicators():
    critic, codes = a_critic()
    assert torch.allclose(
        critic.features_of_codes(codes), critic.features(one_hot(codes, SIZES)), atol=1e-5
    )


def test_features_are_those_of_their_pairs():
    critic, codes = a_critic()
    found = critic.features(one_hot(codes, SIZES))[:, 0] * critic.n_pairs**0.5
    assert torch.allclose(found, critic.tables[0][codes[:, 0], 2 + codes[:, 1]], atol=1e-5)


def test_real_and_fake_halves_balance_where_the_tables_agree():
    """Both are clipped alike, else the gradients of equal tables would not cancel."""
    critic, codes = a_critic()
    features = critic.features(one_hot(codes, SIZES)).detach()
    layers = clippable_layers(critic, list(critic.parameters()))
    torch.nn.init.zeros_(critic.wide.weight)
    torch.nn.init.zeros_(critic.head.weight)

    def loss(sign):
        return lambda chosen: torch.nn.functional.softplus(sign * critic(features[chosen]))

    everyone = torch.arange(len(features))
    halves = [
        clipped_sum(layers, loss(sign), everyone, views=1, max_grad_norm=0.1) for sign in (1, -1)
    ]
    for parameter in critic.parameters():
        both = halves[0][parameter] + halves[1][parameter]
        assert both.abs().max() < 1e-3 * (1 + halves[0][parameter].abs().max())


def test_conditions_are_kept_in_every_row(fitted):
    frame = fitted.sample(300, where={"ward": "B", "late": True}).to_pandas()
    assert (frame["ward"] == "B").all()
    assert frame["late"].all()
    assert frame["high"].mean() < 0.3


def test_save_and_load_draw_the_same(fitted, tmp_path):
    fitted.save(tmp_path)
    again = load_fitted(tmp_path)
    for where in ({}, {"ward": "A"}):
        draws = [
            each.sample(200, where=where, rng=np.random.default_rng(3)) for each in (fitted, again)
        ]
        assert draws[0].data.equals(draws[1].data)
    assert again.guarantee == fitted.guarantee


@pytest.mark.parametrize("epsilon", [0.05, 100.0, 1_000.0])
def test_it_fits_at_very_small_and_very_large_epsilon(epsilon):
    assert fit(Gan(steps=5, batch_size=64, width=8), epsilon).guarantee.epsilon_spent <= epsilon


def test_it_trains_without_privacy_too():
    found = fit(SMALL, epsilon=0.0)
    assert not found.guarantee.is_private
    assert found.players.critic.wide.weight.abs().max() > 0


@pytest.mark.parametrize("epsilon", [0.5, 10.0])
def test_the_codebook_is_as_precise_as_its_own_noise_says(epsilon):
    """The histogram of odds is noisier than the codebook, and no part of it."""
    schema, budget = clinic_schema(row_count="public"), PrivacyBudget(epsilon, 1e-5)
    plan = calibrate(Gan().requests(schema, 30_000, budget), budget, PrivacyUnit())
    noises = {
        each.name: each.event.noise_multiplier
        for each in plan.mechanisms
        if isinstance(each.event, GaussianEvent)
    }
    (counted,) = {round(noises[name], 9) for name in noises if name.endswith(": counts")}
    found = marginal.counts_precision(SimpleNamespace(schema=schema, n_units=30_000), plan)
    assert found == pytest.approx((30_000 / max(marginal.LEAST_DEVIATION, counted)) ** 2)
    assert noises[trust.ODDS] > counted
