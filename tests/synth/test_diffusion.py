"""The diffusion learns dependence, keeps conditions, spends what was charged, saves no record."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from privsynth.errors import BudgetError, DataError, ModelError, SchemaError, UsageError
from privsynth.privacy import dpsgd
from privsynth.privacy.budget import PrivacyBudget
from privsynth.privacy.guarantee import Guarantee
from privsynth.privacy.ledger import Ledger
from privsynth.privacy.noise import SeededNoise
from privsynth.privacy.plan import DpSgdEvent, Mechanism, PrivacyPlan
from privsynth.privacy.spending import Spending, Training
from privsynth.progress import SILENT
from privsynth.schema import Schema
from privsynth.synth import diffusion
from privsynth.synth.base import Work, load_fitted
from privsynth.synth.denoiser import Denoiser
from privsynth.synth.diffusion import TRAINING, Diffusion, Lesson, UnitRows, within_reach
from privsynth.table import Table

SMALL = Diffusion(
    taught_steps=150,
    taught_batch=128,
    steps=40,
    batch_size=256,
    views=2,
    width=48,
    learning_rate=5e-3,
)


@pytest.fixture(autouse=True)
def _always_train(monkeypatch):
    """A share for DP-SGD, whatever the policy makes of so few rows."""
    monkeypatch.setattr(diffusion, "training_share", lambda *_: 0.3)


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
        patch.setattr(diffusion, "training_share", lambda *_: 0.3)
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
    frame = fitted.sample(300, where={"ward": "B", "stay": "7.0"}).to_pandas()
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
    few = Diffusion(taught_steps=2, steps=2, width=16)
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

    monkeypatch.setattr(Diffusion, "_tune", breaks)
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


@pytest.mark.parametrize("n_rows", [0, -1, 1.5, "10", None])
def test_an_impossible_sample_is_refused(fitted, n_rows):
    with pytest.raises(UsageError, match="whole number of rows, at least 1"):
        fitted.sample(n_rows)


# How it is taught and tuned


def tiny(columns: dict[str, dict], **privacy) -> Table:
    """400 rows of booleans, all alike; several a person where the schema has a person."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({name: rng.random(400) < 0.3 for name in columns})
    columns = {name: {"kind": "boolean"} | extra for name, extra in columns.items()}
    if privacy.get("unit"):
        columns[privacy["unit"]] = {"kind": "id"}
        frame[privacy["unit"]] = [f"P{i // 2}" for i in range(400)]
    document = {"dataset": {"id": "tiny"}, "privacy": privacy, "columns": columns}
    return Table.from_pandas(frame, Schema.parse(document))


FEW = Diffusion(
    taught_steps=20, taught_batch=64, steps=5, batch_size=64, width=16, tuning_rate=0.01
)


def fit(settings: Diffusion, table: Table, epsilon: float = 2.0):
    budget = PrivacyBudget(epsilon, 1e-5) if epsilon else PrivacyBudget.no_privacy()
    return settings.fit(table, budget, noise=SeededNoise(1), rng=np.random.default_rng(1))


@pytest.mark.parametrize("columns", [{"high": {}}, {"high": {}, "late": {"role": "target"}}])
@pytest.mark.parametrize("privacy", [{}, {"unit": "patient", "max_rows_per_unit": 2}])
@pytest.mark.parametrize("row_count", ["public", "private"])
@pytest.mark.parametrize("epsilon", [2.0, 0.0])
def test_small_tables_of_rows_and_of_persons_are_learned(columns, privacy, row_count, epsilon):
    fitted = fit(FEW, tiny(columns, **privacy, row_count=row_count), epsilon)
    frame = fitted.sample(1_000, rng=np.random.default_rng(1)).frame()
    assert frame["high"].astype(bool).mean() == pytest.approx(0.3, abs=0.12)
    assert fitted.guarantee.epsilon_spent <= epsilon or not epsilon
    asked = {each.name for each in fitted.guarantee.plan.mechanisms}
    assert ("pairs, first round" in asked) == (len(columns) > 1)


@pytest.mark.parametrize("taught_steps", [0, 20])
def test_the_private_steps_are_those_that_were_charged(monkeypatch, taught_steps):
    made, right = [], Training.next_step
    monkeypatch.setattr(Training, "next_step", lambda self: made.append(self) or right(self))
    settings = replace(FEW, taught_steps=taught_steps)
    plan = fit(settings, tiny({"high": {}, "late": {}})).guarantee.plan
    assert len(made) == plan.mechanism(TRAINING).event.steps == FEW.steps


def test_without_a_share_for_training_the_marginals_take_everything(monkeypatch):
    monkeypatch.setattr(diffusion, "training_share", lambda *_: 0.0)
    monkeypatch.setattr(Diffusion, "_tune", None)
    fitted = fit(FEW, tiny({"high": {}, "late": {}}))
    assert TRAINING not in {each.name for each in fitted.guarantee.plan.mechanisms}
    assert 1.9 < fitted.guarantee.epsilon_spent <= 2.0


def tuned(monkeypatch, rows: torch.Tensor, batches: bool, replay: bool = True) -> torch.Tensor:
    """The head's weights after five steps on these rows; without batches no unit ever joins."""
    if not batches:
        monkeypatch.setattr(dpsgd, "poisson_sample", lambda *_: np.empty(0, dtype=np.int64))
    plan = PrivacyPlan(
        (Mechanism(TRAINING, "", DpSgdEvent(0.2, 1.0, FEW.steps)),), PrivacyBudget(9.0, 1e-5)
    )
    spending = Spending(plan, "entry", lambda *_: None)
    guarantee = Guarantee.of(plan, SeededNoise(1), clinic_schema())
    work = Work(spending, guarantee, SeededNoise(1), np.random.default_rng(1), SILENT)
    torch.manual_seed(0)
    denoiser = Denoiser([np.ones(2) / 2, np.ones(3) / 3], width=8, depth=1)
    generator = torch.Generator().manual_seed(2)
    lesson = Lesson(torch.tensor([[1, 2]] * 50), 16, generator)
    units = UnitRows(rows, np.arange(len(rows)))
    FEW._tune(denoiser, units, lesson.loss_of(denoiser, 1.0, ()) if replay else None, 400.0, work)
    assert spending.plan.mechanism(TRAINING).event.steps == FEW.steps
    return denoiser.head.weight.detach()


def test_the_replay_reads_no_record(monkeypatch):
    """Where no unit joins a batch, other records give the very same network."""
    zeros, ones = torch.zeros(400, 2, dtype=torch.long), torch.ones(400, 2, dtype=torch.long)
    with monkeypatch.context() as patch:
        one, other = tuned(patch, zeros, batches=False), tuned(patch, ones, batches=False)
    assert (one == other).all()
    assert (tuned(monkeypatch, zeros, batches=True) != tuned(monkeypatch, ones, True)).any()


def test_an_empty_batch_still_trains_on_noise_and_on_the_replay(monkeypatch):
    zeros = torch.zeros(400, 2, dtype=torch.long)
    with monkeypatch.context() as patch:
        replayed, alone = (tuned(patch, zeros, False, replay) for replay in (True, False))
    assert (alone != 0).all()  # the head starts at 0: noise alone has moved it
    assert (replayed != alone).any()


def test_records_never_move_the_taught_network(monkeypatch):
    """It is the base of the tuned one; what DP-SGD does shows in the second network alone."""
    taught = []
    right = Diffusion._teach

    def teach(self, denoiser, lesson, work):
        right(self, denoiser, lesson, work)
        taught.append({name: value.clone() for name, value in denoiser.state_dict().items()})

    monkeypatch.setattr(Diffusion, "_teach", teach)
    denoiser = fit(FEW, tiny({"high": {}, "late": {}})).denoiser
    assert all(
        (denoiser.base.state_dict()[name] == value).all() for name, value in taught[0].items()
    )
    assert (denoiser.head.weight != 0).any()


def test_a_second_network_that_strays_is_cut_back_and_one_that_does_not_is_kept():
    fitted = fit(FEW, tiny({"high": {}, "late": {}}))
    head = fitted.denoiser.head
    torch.nn.init.zeros_(head.weight)
    for strays, bias in ((False, [1e-3, 0.0, 0.0, 1e-3]), (True, [4.0, -4.0, -4.0, 4.0])):
        with torch.no_grad():
            head.bias.copy_(torch.tensor(bias))
        within_reach(fitted, fitted.measured, np.random.default_rng(0))
        assert (float(head.bias[0].detach()) < bias[0]) == strays


def test_a_fit_puts_the_parts_together(monkeypatch):
    called = []
    monkeypatch.setattr(diffusion, "within_reach", lambda *_: called.append("within_reach"))
    told = []
    right = diffusion.hide

    def hide(rows, n_columns, views, generator, targets=None):
        told.append(targets)
        return right(rows, n_columns, views, generator, targets)

    monkeypatch.setattr(diffusion, "hide", hide)
    fitted = fit(FEW, tiny({"high": {}, "late": {"role": "target"}}))
    assert fitted.denoiser.base.theta.abs().sum() > 0
    assert fitted.codebook.targets == fitted.denoiser.targets == (1,)
    assert called == ["within_reach"]
    teaching, tuning = told[: FEW.taught_steps], told[FEW.taught_steps :]
    assert set(teaching) == {None}
    assert set(tuning) == {(1,)}  # records and replay alike


def test_steps_follow_the_records_without_privacy_and_never_with_it():
    schema = clinic_schema()

    def steps(n_units: int, budget: PrivacyBudget) -> int:
        return Diffusion(steps=2_000).requests(schema, n_units, budget)[-1].steps

    exact = PrivacyBudget.no_privacy()
    assert [steps(n, exact) for n in (200, 5_000, 10**6)] == [200, 312, 2_000]
    assert {steps(n, PrivacyBudget(1.0, 1e-6)) for n in (200, 5_000, 10**6)} == {2_000}
