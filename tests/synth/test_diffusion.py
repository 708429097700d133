"""The diffusion learns dependence, keeps conditions, spends what was charged, saves no record."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from privsynth.errors import BudgetError, DataError, ModelError, SchemaError, UsageError
from privsynth.privacy.budget import PrivacyBudget
from privsynth.privacy.ledger import Ledger
from privsynth.privacy.noise import SeededNoise
from privsynth.schema import Schema
from privsynth.synth.base import load_fitted
from privsynth.synth.diffusion import (
    Denoiser,
    Diffusion,
    balance,
    draw_codes,
    hide,
    mean_shares,
    reveal,
    spread,
)
from privsynth.table import Table

SMALL = Diffusion(steps=150, batch_size=256, views=2, width=48, depth=1, learning_rate=5e-3)


def clinic_schema(**privacy) -> Schema:
    return Schema.parse(
        {
            "dataset": {"id": "clinic"},
            "privacy": privacy,
            "columns": {
                "patient": {"kind": "id"},
                "name": {"kind": "text", "action": "drop"},
                "nickname": {"kind": "text", "action": "fake", "provider": "first_name"},
                "ward": {"kind": "categorical", "categories": ["A", "B", "C"]},
                "high": {"kind": "boolean"},
                "stay": {"kind": "integer", "lower": 0, "upper": 30, "missing": True},
            },
        }
    )


def clinic(n: int = 3_000, **privacy) -> Table:
    """`high` equals ward A nine times in ten."""
    rng = np.random.default_rng(5)
    ward = rng.choice(["A", "B", "C"], n)
    high = (ward == "A") ^ (rng.random(n) < 0.1)
    stay = pd.array(rng.poisson(5, n).clip(0, 30), dtype="Int64")
    stay[rng.random(n) < 0.2] = pd.NA
    frame = pd.DataFrame(
        {
            "patient": np.arange(n) + 918_273_645_000,
            "name": [f"Person Secret{i}" for i in range(n)],
            "nickname": [f"Nick{i}" for i in range(n)],
            "ward": ward,
            "high": high,
            "stay": stay,
        }
    )
    return Table.from_pandas(frame, clinic_schema(**privacy))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRIVSYNTH_LEDGER", str(tmp_path_factory.mktemp("l") / "l.sqlite"))
        return SMALL.fit(
            clinic(),
            PrivacyBudget(5.0, 1e-5),
            noise=SeededNoise(1),
            rng=np.random.default_rng(1),
        )


def test_dependence_is_learned_under_privacy(fitted):
    frame = fitted.sample(4_000, rng=np.random.default_rng(2)).frame()
    in_a = frame.loc[frame["ward"] == "A", "high"].mean()
    elsewhere = frame.loc[frame["ward"] != "A", "high"].mean()
    assert in_a > 0.7
    assert elsewhere < 0.3


def test_a_sample_is_valid_with_the_types_that_came_in(fitted):
    table = fitted.sample(500)
    frame = table.to_pandas()
    assert list(frame.columns) == ["patient", "nickname", "ward", "high", "stay"]
    assert frame["patient"].tolist() == list(range(1, 501))
    assert frame["stay"].dropna().between(0, 30).all()
    assert not frame["nickname"].str.contains("Nick").any()


def test_conditions_are_kept_in_every_row(fitted):
    frame = fitted.sample(300, where={"ward": "B", "stay": 7}).to_pandas()
    assert (frame["ward"] == "B").all()
    assert (frame["stay"] == 7).all()
    assert frame["high"].mean() < 0.35


def test_constraints_hold_in_every_row():
    document = clinic_schema().to_dict()
    document["constraints"] = [
        {
            "kind": "implication",
            "column": "ward",
            "value": "C",
            "then": "high",
            "allowed": ["false"],
        }
    ]
    schema = Schema.parse(document)
    frame = clinic().to_pandas()
    frame["name"], frame["nickname"] = "x", "y"
    frame.loc[frame["ward"] == "C", "high"] = False
    fitted = SMALL.fit(Table.from_pandas(frame, schema), PrivacyBudget(5.0, 1e-5))
    drawn = fitted.sample(1_000).to_pandas()
    assert len(drawn) == 1_000
    assert not drawn.loc[drawn["ward"] == "C", "high"].any()


def test_a_condition_on_a_dependent_column_is_kept():
    document = clinic_schema().to_dict()
    rule = {"kind": "functional_dependency", "column": "ward", "determines": "high"}
    document["constraints"] = [rule | {"mapping": {"C": "false", "A": "true"}}]
    schema = Schema.parse(document)
    frame = clinic().to_pandas()
    frame["name"], frame["nickname"] = "x", "y"
    frame["high"] = frame["ward"] != "C"
    few = Diffusion(steps=2, width=16, depth=1)
    fitted = few.fit(Table.from_pandas(frame, schema), PrivacyBudget(5.0, 1e-5))
    drawn = fitted.sample(100, where={"high": True}).to_pandas()
    assert drawn["high"].all()
    assert not (drawn["ward"] == "C").any()


def test_the_charge_is_what_was_asked_and_every_step_was_made(fitted):
    guarantee = fitted.guarantee
    assert guarantee.is_private
    assert 4.9 < guarantee.epsilon_spent <= 5.0
    assert guarantee.plan.mechanism("denoiser").event.steps == SMALL.steps


def test_save_and_load_draw_the_same_and_hold_no_record(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    again = load_fitted(tmp_path / "model")
    draws = [each.sample(200, rng=np.random.default_rng(3)) for each in (fitted, again)]
    assert draws[0].data.drop(["nickname"]).equals(draws[1].data.drop(["nickname"]))
    assert again.guarantee == fitted.guarantee
    for path in (tmp_path / "model").iterdir():
        content = path.read_bytes()
        assert b"Secret" not in content
        assert b"Nick" not in content
        assert b"918273645" not in content


def test_a_damaged_model_is_refused_in_one_line(fitted, tmp_path):
    with pytest.raises(ModelError, match="holds no model"):
        load_fitted(tmp_path)
    fitted.save(tmp_path)
    document = json.loads((tmp_path / "model.json").read_text())
    document["codebook"]["columns"].popitem()
    (tmp_path / "model.json").write_text(json.dumps(document))
    with pytest.raises(ModelError, match="damaged"):
        load_fitted(tmp_path)
    (tmp_path / "model.json").write_text("[]")
    with pytest.raises(ModelError, match="not a model"):
        load_fitted(tmp_path)
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        load_fitted(tmp_path)


def test_a_model_too_large_to_be_one_is_refused_unread(fitted, tmp_path):
    fitted.save(tmp_path)
    with (tmp_path / "weights.safetensors").open("r+b") as file:
        file.truncate(2**30 + 1)  # sparse: it takes no space
    with pytest.raises(ModelError, match="larger than a model"):
        load_fitted(tmp_path)


def test_what_would_void_the_claim_is_refused_before_any_charge():
    ledger = Ledger()
    table = clinic(200)
    with pytest.raises(BudgetError, match="delta"):
        SMALL.fit(table, PrivacyBudget(1.0, 0.01), ledger=ledger)
    with pytest.raises(DataError, match="at least 10"):
        SMALL.fit(clinic(9), PrivacyBudget(1.0, 1e-5), ledger=ledger)
    document = clinic_schema().to_dict()
    document["columns"]["stay"]["source"] = "data"
    drafted = Table(Schema.parse(document), table.data, table.storage)
    with pytest.raises(SchemaError, match=r"'stay'.*--no-privacy"):
        SMALL.fit(drafted, PrivacyBudget(1.0, 1e-5), ledger=ledger)
    document["columns"]["name"] = {"kind": "text"}
    undecided = Table(Schema.parse(document), table.data, table.storage)
    with pytest.raises(SchemaError, match="free text"):
        SMALL.fit(undecided, PrivacyBudget.no_privacy(), ledger=ledger)
    assert ledger.entries() == ()


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt, "aborted"), (OSError, "failed")])
def test_a_fit_that_breaks_stays_charged(monkeypatch, error, status):
    ledger = Ledger()

    def breaks(*_):
        raise error

    monkeypatch.setattr(Diffusion, "_train", breaks)
    with pytest.raises(error):
        SMALL.fit(clinic(300), PrivacyBudget(1.0, 1e-5), ledger=ledger)
    assert ledger.balance("clinic")[0].epsilon == pytest.approx(1.0, abs=0.05)
    assert status in str(ledger.entries())


def test_a_private_row_count_never_sets_the_sample_rate():
    few, many = (
        SMALL.fit(clinic(n, row_count="private"), PrivacyBudget(5.0, 1e-5)) for n in (500, 1_000)
    )
    rates = {each.guarantee.plan.mechanism("denoiser").event.sample_rate for each in (few, many)}
    assert len(rates) == 1


def test_an_impossible_sample_is_refused(fitted):
    with pytest.raises(UsageError):
        fitted.sample(0)


def test_hidden_columns_are_one_to_all_and_evenly_many():
    hidden = hide(2_000, 5, 4, torch.Generator().manual_seed(0))
    counts = torch.bincount(hidden.sum(1), minlength=6)
    assert counts[0] == 0
    assert counts[1:].float().std() < 0.1 * counts[1:].float().mean()


def test_the_loss_is_the_cross_entropy_of_the_hidden_columns():
    torch.manual_seed(0)
    denoiser = Denoiser([np.ones(3) / 3, np.ones(2) / 2], width=8, depth=1)
    torch.nn.init.normal_(denoiser.head.weight)
    codes, hidden = torch.tensor([[2, 1], [0, 0]]), torch.tensor([[True, True], [False, True]])
    logits = denoiser(codes, hidden)
    first = torch.nn.functional.cross_entropy(logits[:, :3], codes[:, 0], reduction="none")
    second = torch.nn.functional.cross_entropy(logits[:, 3:], codes[:, 1], reduction="none")
    expected = torch.stack([(first[0] + second[0]) / 2, second[1]])
    assert torch.allclose(denoiser.loss(codes, hidden), expected, atol=1e-5)


def test_revealing_column_by_column_equals_the_full_network():
    torch.manual_seed(0)
    denoiser = Denoiser([np.ones(4) / 4, np.ones(3) / 3], width=8, depth=1)
    torch.nn.init.normal_(denoiser.head.weight)
    codes, marginals = reveal(denoiser, 20_000, {0: 2}, np.random.default_rng(0))
    hidden = torch.tensor([[False, True]])
    logits = denoiser(torch.tensor([[2, 0]]), hidden)[0, 4:]
    expected = logits.softmax(0).detach().numpy()
    assert (codes[:, 0] == 2).all()
    assert np.bincount(codes[:, 1], minlength=3) / 20_000 == pytest.approx(expected, abs=0.02)
    assert marginals[1].numpy() == pytest.approx(expected, abs=1e-5)


def test_balancing_brings_the_draws_to_the_private_marginals():
    torch.manual_seed(0)
    shares = [np.array([0.7, 0.2, 0.1]), np.array([0.5, 0.5])]
    denoiser = Denoiser(shares, width=8, depth=1)
    torch.nn.init.normal_(denoiser.head.weight, std=0.3)
    rng = np.random.default_rng(0)

    def distance() -> float:
        drawn = torch.stack([mean_shares(denoiser, rng) for _ in range(50)]).mean(0)
        return float((drawn - torch.from_numpy(np.concatenate(shares))).abs().max())

    before = distance()
    for _ in range(6):
        balance(denoiser, shares, rng)
    assert distance() < 0.03 < before


def test_draws_follow_the_softmax_and_never_its_mode_alone():
    shares = torch.tensor([[0.7, 0.2, 0.1]]).repeat(20_000, 1)
    drawn = draw_codes(shares, torch.rand(20_000, generator=torch.Generator().manual_seed(0)))
    assert np.bincount(drawn) / 20_000 == pytest.approx([0.7, 0.2, 0.1], abs=0.02)


def test_spread_numbers_are_uniform_by_themselves_and_even_within_a_key():
    key = torch.arange(400) % 4
    generator = torch.Generator().manual_seed(0)
    draws = torch.stack([spread(key, generator) for _ in range(500)])
    assert draws[:, 17].mean() == pytest.approx(0.5, abs=0.05)
    assert draws[:, 17].std() == pytest.approx(12**-0.5, abs=0.03)
    below = (draws[:, key == 2] < 0.3).float().mean(1)  # of 100 rows, 30 are expected
    assert below.std() < 0.5 * (0.3 * 0.7 / 100) ** 0.5
