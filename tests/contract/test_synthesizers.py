"""What every registered generator and every preset keeps to, whatever it is inside."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from privsynth.errors import BudgetError, UsageError
from privsynth.io.clinic import clinic_schema, simulate_clinic
from privsynth.privacy.budget import PrivacyBudget, PrivacyUnit
from privsynth.privacy.ledger import Ledger
from privsynth.privacy.noise import SecretNoise
from privsynth.privacy.plan import MeasurementRequest, TrainingRequest
from privsynth.synth import diffusion
from privsynth.synth.base import (
    FittedSynthesizer,
    Synthesizer,
    fitted_synthesizers,
    load_fitted,
    register_built_in,
    synthesizers,
)
from privsynth.synth.constraints import violations
from privsynth.synth.preset import load_preset, preset_names, read_preset
from privsynth.table import Table

register_built_in()

FEW = {"taught_steps": 10, "steps": 3, "batch_size": 32, "width": 8, "max_codes": 8}
EPSILON = 1.0


def small(synthesizer: Synthesizer) -> Synthesizer:
    """The same generator, of a size that tests can wait for."""
    known = {field.name for field in fields(synthesizer)}
    settings = {name: value for name, value in FEW.items() if name in known}
    if getattr(synthesizer, "taught_steps", 1) == 0:
        settings.pop("taught_steps")
    return replace(synthesizer, **settings)


def everything() -> dict[str, Synthesizer]:
    """Every registered generator with its defaults, and every preset."""
    found = {name: small(made()) for name, made in synthesizers.items()}
    return found | {f"preset {name}": small(load_preset(name)) for name in preset_names()}


ALL = everything()


@pytest.fixture(scope="module")
def train() -> Table:
    return Table.from_arrow(simulate_clinic(400, 3), clinic_schema())


@dataclass(frozen=True)
class Fit:
    """A fitted generator, and the ledger that it was charged to."""

    fitted: FittedSynthesizer
    ledger: Ledger


@pytest.fixture(scope="module", params=sorted(ALL))
def fit(
    request: pytest.FixtureRequest, train: Table, tmp_path_factory: pytest.TempPathFactory
) -> Fit:
    """A private fit with secret noise, as for a release."""
    ledger = Ledger(tmp_path_factory.mktemp("contract") / "ledger.sqlite")
    budget = PrivacyBudget(EPSILON, 1e-5)
    with pytest.MonkeyPatch.context() as patch:
        if not request.param.startswith("preset"):  # the policy would train nothing on 400 rows
            patch.setattr(diffusion, "training_share", lambda *_: 0.3)
        fitted = ALL[request.param].fit(
            train, budget, ledger=ledger, noise=SecretNoise(), rng=np.random.default_rng(1)
        )
    return Fit(fitted, ledger)


def test_every_generator_is_registered_before_and_after_its_fit() -> None:
    assert synthesizers.names() == fitted_synthesizers.names()
    assert {read_preset(name).synthesizer for name in preset_names()} <= set(synthesizers.names())


def test_what_was_asked_is_charged_and_no_more(fit: Fit) -> None:
    guarantee = fit.fitted.guarantee
    assert guarantee.is_private
    assert guarantee.holds
    assert 0.9 * EPSILON < guarantee.epsilon_spent <= EPSILON
    (balance,) = fit.ledger.balance("simulated-clinic")
    assert balance.epsilon == pytest.approx(guarantee.epsilon_spent, rel=1e-6)


def test_a_sample_is_valid_and_keeps_the_rules(fit: Fit, train: Table) -> None:
    table = fit.fitted.sample(150, rng=np.random.default_rng(2))
    assert table.n_rows == 150
    assert table.columns == train.schema.released
    assert violations(table) == {}
    # Conforming to the schema checks each value; beside the records no column is all missing.
    drawn = table.to_arrow().append_column("name", pa.array(["dropped"] * 150))
    records = simulate_clinic(50)
    both = pa.concat_tables(
        [drawn.select(records.column_names), records], promote_options="permissive"
    )
    assert Table.from_arrow(both, train.schema).n_rows == 200


def test_conditions_hold(fit: Fit) -> None:
    table = fit.fitted.sample(40, where={"sex": "female", "age": 50}, rng=np.random.default_rng(2))
    frame = table.frame()
    assert (frame["sex"] == "female").all()
    assert (frame["age"] == 50).all()


def test_what_is_saved_draws_the_same(fit: Fit, tmp_path: Path) -> None:
    fit.fitted.save(tmp_path)
    again = load_fitted(tmp_path)
    assert type(again) is type(fit.fitted)
    assert again.guarantee == fit.fitted.guarantee
    drawn = [each.sample(60, rng=np.random.default_rng(3)).data for each in (fit.fitted, again)]
    assert drawn[0].equals(drawn[1])
    where = {"sex": "male"}
    drawn = [
        each.sample(60, where=where, rng=np.random.default_rng(3)).data
        for each in (fit.fitted, again)
    ]
    assert drawn[0].equals(drawn[1])


def test_an_impossible_sample_is_refused(fit: Fit) -> None:
    with pytest.raises(UsageError, match="rows, at least 1"):
        fit.fitted.sample(0)


def test_a_repr_holds_no_record(fit: Fit) -> None:
    assert repr(fit.fitted).startswith(f"{type(fit.fitted).__name__}('simulated-clinic', epsilon")


@pytest.mark.parametrize("name", sorted(ALL))
@pytest.mark.parametrize("n_units", [None, 400, 10**6])
def test_what_is_asked_follows_from_public_facts_and_fits_the_budget(
    name: str, n_units: int | None
) -> None:
    budget = PrivacyBudget(EPSILON, 1e-7)
    requests = ALL[name].requests(clinic_schema(), n_units, budget)
    assert list(requests) == list(ALL[name].requests(clinic_schema(), n_units, budget))
    shares = [each.share for each in requests if isinstance(each, MeasurementRequest)]
    trained = any(isinstance(each, TrainingRequest) for each in requests)
    assert sum(shares) <= 1 + 1e-9
    assert trained == (sum(shares) < 1 - 1e-9)  # nothing is left unspent
    assert len({each.name for each in requests}) == len(requests)


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_cap_is_kept(name: str, train: Table, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.set_cap("simulated-clinic", PrivacyUnit(), PrivacyBudget(0.5, 1e-5))
    with pytest.raises(BudgetError):
        ALL[name].fit(train, PrivacyBudget(EPSILON, 1e-5), ledger=ledger)
