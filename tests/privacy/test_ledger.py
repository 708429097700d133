from __future__ import annotations

import json
import math
import sqlite3
from pathlib import Path

import pytest

from privsynth.errors import BudgetError, LedgerError, UsageError
from privsynth.privacy.accountant import epsilon_of
from privsynth.privacy.budget import PrivacyBudget, PrivacyUnit
from privsynth.privacy.chain import link_hash
from privsynth.privacy.ledger import Balance, Ledger, default_path
from privsynth.privacy.plan import GaussianEvent, Mechanism, NonPrivateEvent, PrivacyPlan

ROW, PERSON = PrivacyUnit(), PrivacyUnit("patient", 3)
EXACT = PrivacyPlan((Mechanism("counts", "cells", NonPrivateEvent()),), PrivacyBudget.no_privacy())


def plan(
    noise: float = 8.0, unit: PrivacyUnit = ROW, delta: float = 1e-5, threshold: float = 0.0
) -> PrivacyPlan:
    """At a noise of 8 it costs an epsilon of 0.44."""
    mechanism = Mechanism("counts", "cells", GaussianEvent(noise), threshold)
    return PrivacyPlan((mechanism,), PrivacyBudget(1.0, delta), unit)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite")


def only(balances: list[Balance]) -> Balance:
    (balance,) = balances
    return balance


def test_a_charge_is_on_disk_when_it_returns(ledger: Ledger) -> None:
    spending = ledger.charge(plan(), "clinic", note="first try")
    (entry,) = Ledger(ledger.path).entries()
    assert entry.id == spending.entry_id
    assert (entry.kind, entry.dataset, entry.status) == ("charge", "clinic", "open")
    assert (entry.purpose, entry.note, entry.unit) == ("training", "first try", ROW)
    assert entry.plan == spending.plan == plan()
    assert entry.time.endswith("+00:00")
    assert entry.version


@pytest.mark.parametrize("status", ["done", "failed", "aborted"])
def test_how_a_job_ended_is_a_new_entry_and_refunds_nothing(ledger: Ledger, status: str) -> None:
    spending = ledger.charge(plan(), "clinic")
    before = ledger.balance("clinic")
    spending.close(status)  # type: ignore[arg-type]
    charge, close = ledger.entries()
    assert (charge.status, close.status, close.refers_to) == (status, status, charge.id)
    assert ledger.balance("clinic") == before


def test_an_account_composes_events_not_epsilons(ledger: Ledger) -> None:
    for _ in range(4):
        ledger.charge(plan(), "clinic")
    balance = only(ledger.balance("clinic"))
    once = epsilon_of(plan().mechanisms, 1e-5)
    assert balance.n_entries == 4
    assert balance.epsilon == epsilon_of(plan(noise=4.0).mechanisms, 1e-5)
    assert once < balance.epsilon < 4 * once


def test_the_balance_is_at_the_largest_delta_or_covers_the_thresholds(ledger: Ledger) -> None:
    ledger.charge(plan(delta=1e-6), "clinic")
    ledger.charge(plan(delta=1e-5, threshold=4e-6), "clinic")
    assert only(ledger.balance("clinic")).delta == 1e-5
    for _ in range(3):
        ledger.charge(plan(delta=1e-5, threshold=4e-6), "clinic")
    balance = only(ledger.balance("clinic"))
    assert balance.delta == pytest.approx(3.2e-5)
    assert balance.epsilon < math.inf


def test_data_sets_units_and_purposes_have_their_own_accounts(ledger: Ledger) -> None:
    ledger.charge(plan(), "clinic")
    ledger.charge(plan(), "bank")
    ledger.charge(plan(unit=PERSON), "clinic")
    ledger.charge(plan(), "clinic", purpose="evaluation")
    accounts = [(each.unit, each.purpose, each.n_entries) for each in ledger.balance("clinic")]
    assert accounts == [(ROW, "training", 1), (PERSON, "training", 1), (ROW, "evaluation", 1)]
    assert len(ledger.entries("bank")) == 1
    assert ledger.balance("unheard of") == []


def test_a_person_is_the_same_person_under_another_bound_on_rows(ledger: Ledger) -> None:
    ledger.charge(plan(unit=PERSON), "clinic")
    ledger.charge(plan(unit=PrivacyUnit("patient", 5)), "clinic")
    assert only(ledger.balance("clinic")).n_entries == 2


def test_a_cap_refuses_the_charge_that_would_exceed_it(ledger: Ledger) -> None:
    ledger.set_cap("clinic", ROW, PrivacyBudget(0.7, 1e-5))
    ledger.charge(plan(), "clinic")
    ledger.charge(plan(), "clinic").close("failed")
    with pytest.raises(LedgerError, match=r"cap of epsilon 0\.7 .* 0\.6.* is spent") as error:
        ledger.charge(plan(), "clinic")
    assert "\n" not in str(error.value)
    balance = only(ledger.balance("clinic"))
    assert (balance.n_entries, balance.cap) == (2, PrivacyBudget(0.7, 1e-5))
    assert balance.epsilon <= 0.7


def test_a_cap_may_be_spent_to_the_last(ledger: Ledger) -> None:
    cost = epsilon_of(plan().mechanisms, 1e-5)
    ledger.set_cap("clinic", ROW, PrivacyBudget(cost, 1e-5))
    ledger.charge(plan(), "clinic")
    with pytest.raises(LedgerError, match="cap"):
        ledger.charge(plan(noise=1000.0), "clinic")


def test_a_cap_holds_at_its_own_delta(ledger: Ledger) -> None:
    ledger.set_cap("clinic", ROW, PrivacyBudget(0.5, 1e-9))
    with pytest.raises(LedgerError, match="1e-09"):
        ledger.charge(plan(), "clinic")


def test_the_latest_cap_counts_and_an_infinite_one_lifts_it(ledger: Ledger) -> None:
    ledger.set_cap("clinic", ROW, PrivacyBudget(0.1, 1e-5))
    with pytest.raises(LedgerError, match="cap"):
        ledger.charge(plan(), "clinic")
    ledger.set_cap("clinic", ROW, PrivacyBudget(0.5, 1e-5))
    ledger.charge(plan(), "clinic")
    with pytest.raises(LedgerError, match="cap"):
        ledger.charge(EXACT, "clinic")
    ledger.set_cap("clinic", ROW, PrivacyBudget.no_privacy())
    ledger.charge(EXACT, "clinic")
    assert [entry.kind for entry in ledger.entries()] == ["cap", "cap", "charge", "cap", "charge"]


def test_another_unit_is_no_way_around_a_cap(ledger: Ledger) -> None:
    ledger.set_cap("clinic", PERSON, PrivacyBudget(1.0, 1e-5))
    with pytest.raises(LedgerError, match="none for a row"):
        ledger.charge(plan(), "clinic")
    ledger.charge(plan(), "bank")
    ledger.charge(plan(), "clinic", purpose="evaluation")
    ledger.set_cap("clinic", ROW, PrivacyBudget(1.0, 1e-5))
    ledger.charge(plan(), "clinic")


def test_a_run_without_privacy_is_recorded_and_spoils_the_balance(ledger: Ledger) -> None:
    ledger.charge(EXACT, "clinic")
    balance = only(ledger.balance("clinic"))
    assert (balance.epsilon, balance.n_entries) == (math.inf, 1)


def test_a_plan_beyond_its_own_budget_is_not_charged(ledger: Ledger) -> None:
    with pytest.raises(BudgetError, match="more than its budget"):
        ledger.charge(plan(noise=1.0), "clinic")
    mislabelled = PrivacyPlan(EXACT.mechanisms, PrivacyBudget(1.0, 1e-5))
    with pytest.raises(BudgetError, match="inf"):
        ledger.charge(mislabelled, "clinic")
    assert ledger.entries() == ()


def test_an_account_needs_a_name_and_a_known_purpose(ledger: Ledger) -> None:
    with pytest.raises(UsageError, match="data set"):
        ledger.charge(plan(), "")
    with pytest.raises(UsageError, match="'fun'"):
        ledger.charge(plan(), "clinic", purpose="fun")  # type: ignore[arg-type]
    assert ledger.entries() == ()


def test_an_altered_entry_is_found_and_nothing_more_is_charged(ledger: Ledger) -> None:
    ledger.charge(plan(), "clinic")
    ledger.charge(plan(), "clinic")
    ledger.verify()
    connection = sqlite3.connect(ledger.path)
    connection.execute("DROP TRIGGER links_stay_as_they_are")
    connection.execute("UPDATE links SET body = replace(body, '8.0', '80.0') WHERE number = 1")
    connection.commit()
    connection.close()
    with pytest.raises(LedgerError, match="at entry 1"):
        ledger.verify()
    with pytest.raises(LedgerError, match="at entry 1"):
        ledger.charge(plan(), "clinic")


def test_the_head_moves_with_every_entry(ledger: Ledger) -> None:
    heads = [ledger.head()]
    spending = ledger.charge(plan(), "clinic")
    heads.append(ledger.head())
    spending.close("done")
    heads.append(ledger.head())
    assert len(set(heads)) == 3
    assert heads[0] == "0" * 64


def test_an_extract_holds_one_job_and_can_be_checked_without_the_ledger(ledger: Ledger) -> None:
    ledger.charge(plan(), "bank")
    spending = ledger.charge(plan(), "clinic")
    spending.close("done")
    extract = json.loads(json.dumps(ledger.extract(spending.entry_id), allow_nan=False))
    assert [entry["kind"] for entry in extract["entries"]] == ["charge", "close"]
    assert extract["n_entries"] == 3
    for entry in extract["entries"]:
        del entry["number"]
        previous, expected = entry.pop("previous"), entry.pop("hash")
        body = json.dumps(entry, sort_keys=True, separators=(",", ":"))
        assert link_hash(previous, body) == expected
    assert extract["head"] == expected
    with pytest.raises(LedgerError, match="no entry"):
        ledger.extract("unheard of")


def test_where_the_ledger_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PRIVSYNTH_LEDGER", str(tmp_path / "named.sqlite"))
    assert Ledger().path == tmp_path / "named.sqlite"
    monkeypatch.delenv("PRIVSYNTH_LEDGER")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_path() == tmp_path / "privsynth" / "ledger.sqlite"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_path() == tmp_path / ".local" / "state" / "privsynth" / "ledger.sqlite"
