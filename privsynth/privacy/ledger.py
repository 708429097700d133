"""The ledger: what has been asked of each data set, written down before it is asked.

A charge is on disk before the mechanisms that it pays for can run, so that a crash can only
over-count; a failed, aborted or killed job stays charged. An account is a data set, a privacy unit
and a purpose; what it holds is composed by the accountant as events, never as a sum of epsilons.
A cap refuses the job that would exceed it, also when two jobs ask at the same moment.

A unit that is a person is one account whatever its bound on rows: it is the same person.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from privsynth.errors import BudgetError, LedgerError, UsageError
from privsynth.privacy import chain
from privsynth.privacy.accountant import epsilon_of
from privsynth.privacy.budget import PrivacyBudget, PrivacyUnit
from privsynth.privacy.plan import Mechanism, PrivacyPlan
from privsynth.privacy.spending import Spending, Status

Purpose: TypeAlias = Literal["training", "evaluation"]
Kind: TypeAlias = Literal["charge", "close", "cap"]

_ROUNDING = 1e-9  # relative; an epsilon is not over its bound by the rounding of a sum


@dataclass(frozen=True)
class Entry:
    """One line of the ledger: a charge, how a charged job ended, or a cap.

    The status of a charge is how its job ended as far as the ledger knows: "open" until told.
    """

    kind: Kind
    id: str
    dataset: str
    unit: PrivacyUnit
    purpose: Purpose
    time: str
    version: str
    note: str = ""
    status: str = ""
    refers_to: str | None = None
    plan: PrivacyPlan | None = None
    budget: PrivacyBudget | None = None
    number: int = 0
    hash: str = ""

    @property
    def account(self) -> tuple[str, str | None, Purpose]:
        """What is composed together: data set, column of the privacy unit, purpose."""
        return (self.dataset, self.unit.column, self.purpose)

    def to_dict(self) -> dict[str, Any]:
        """What is hashed, as plain values for JSON."""
        return {
            "kind": self.kind,
            "id": self.id,
            "dataset": self.dataset,
            "unit": self.unit.to_dict(),
            "purpose": self.purpose,
            "time": self.time,
            "version": self.version,
            "note": self.note,
            "status": self.status,
            "refers_to": self.refers_to,
            "plan": self.plan.to_dict() if self.plan else None,
            "budget": self.budget.to_dict() if self.budget else None,
        }


@dataclass(frozen=True)
class Balance:
    """What an account has spent: epsilon, composed, at a delta; and its cap, where it has one.

    The delta is the cap's. Without a cap it is the largest of the plans, or twice what all their
    thresholds take together where that is more.
    """

    dataset: str
    unit: PrivacyUnit
    purpose: Purpose
    n_entries: int
    epsilon: float
    delta: float
    cap: PrivacyBudget | None


class Ledger:
    """A file that remembers every spend; several processes may use it at the same time.

    Without a path it is the one that PRIVSYNTH_LEDGER names, else the user's own.

    >>> from tempfile import TemporaryDirectory
    >>> from privsynth.privacy.plan import GaussianEvent
    >>> plan = PrivacyPlan((Mechanism("counts", "cells", GaussianEvent(8.0)),),
    ...                    PrivacyBudget(1.0, 1e-5))
    >>> with TemporaryDirectory() as folder:
    ...     ledger = Ledger(Path(folder) / "ledger.sqlite")
    ...     spending = ledger.charge(plan, "clinic")
    ...     spending.close("done")
    ...     [(entry.kind, entry.status) for entry in ledger.entries()]
    [('charge', 'done'), ('close', 'done')]
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = default_path() if path is None else Path(path)

    def charge(
        self, plan: PrivacyPlan, dataset: str, *, purpose: Purpose = "training", note: str = ""
    ) -> Spending:
        """Write the plan down, then give the right to carry it out.

        LedgerError if it would take the account over its cap, or if the chain is broken;
        BudgetError if the plan costs more than its own budget.
        """
        _require_within_budget(plan)
        entry = replace(
            _new("charge", dataset, plan.unit, purpose), plan=plan, note=note, status="open"
        )
        with chain.writing(self.path) as writer:
            _require_under_cap(entry, _entries(writer.links))
            writer.append(_canonical(entry))
        return Spending(plan, entry.id, self._close)

    def set_cap(
        self,
        dataset: str,
        unit: PrivacyUnit,
        budget: PrivacyBudget,
        *,
        purpose: Purpose = "training",
    ) -> None:
        """Cap what the account may spend from now on; an infinite epsilon lifts the cap."""
        with chain.writing(self.path) as writer:
            writer.append(_canonical(replace(_new("cap", dataset, unit, purpose), budget=budget)))

    def entries(self, dataset: str | None = None) -> tuple[Entry, ...]:
        """Every entry in order, or those of one data set; each charge with its latest status."""
        every = _entries(chain.read(self.path))
        return tuple(entry for entry in every if dataset in (None, entry.dataset))

    def balance(self, dataset: str) -> list[Balance]:
        """What each account of the data set has spent, in the order in which they were opened."""
        entries = self.entries(dataset)
        accounts = dict.fromkeys(entry.account for entry in entries)
        return [_balance([each for each in entries if each.account == key]) for key in accounts]

    def verify(self) -> None:
        """Recompute the chain; LedgerError names the first entry at which it is broken."""
        chain.read(self.path)

    def extract(self, entry_id: str) -> dict[str, Any]:
        """A charge, how it ended, and where it stands in the chain: the ledger.json of a run."""
        links = chain.read(self.path)
        entries = _entries(links)
        wanted = [
            {"number": link.number, "previous": link.previous, "hash": link.hash}
            | json.loads(link.body)
            for link, entry in zip(links, entries, strict=True)
            if entry_id in (entry.id, entry.refers_to)
        ]
        if not wanted:
            raise LedgerError(f"the ledger {self.path} has no entry {entry_id}")
        return {
            "format": "privsynth/ledger-extract/1",
            "entries": wanted,
            "head": chain.head_of(links),
            "n_entries": len(links),
        }

    def head(self) -> str:
        """The hash of the last entry: noted elsewhere, it shows any later change to the past."""
        return chain.head_of(chain.read(self.path))

    def _close(self, entry_id: str, status: Status) -> None:
        with chain.writing(self.path) as writer:
            charge = next(each for each in _entries(writer.links) if each.id == entry_id)
            entry = _new("close", charge.dataset, charge.unit, charge.purpose)
            writer.append(_canonical(replace(entry, status=status, refers_to=entry_id)))

    def __repr__(self) -> str:
        return f"Ledger({str(self.path)!r})"


def default_path() -> Path:
    """Where the ledger is unless said otherwise: PRIVSYNTH_LEDGER, else the user's state folder."""
    if named := os.environ.get("PRIVSYNTH_LEDGER"):
        return Path(named)
    state = os.environ.get("XDG_STATE_HOME")
    folder = Path(state) if state else Path.home() / ".local" / "state"
    return folder / "privsynth" / "ledger.sqlite"


def _new(kind: Kind, dataset: str, unit: PrivacyUnit, purpose: Purpose) -> Entry:
    if not dataset:
        raise UsageError("the ledger needs the id of the data set")
    if purpose not in get_args(Purpose):
        raise UsageError(f"the ledger knows no purpose {purpose!r}: training or evaluation")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Entry(
        kind, secrets.token_hex(8), dataset, unit, purpose, now, version=version("privsynth")
    )


def _canonical(entry: Entry) -> str:
    """The one text form of an entry, which is hashed."""
    return json.dumps(entry.to_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _entries(links: Sequence[chain.Link]) -> tuple[Entry, ...]:
    """The entries, with the latest status of each charge on it."""
    entries = [_read(link) for link in links]
    ended = {entry.refers_to: entry.status for entry in entries if entry.kind == "close"}
    return tuple(replace(entry, status=ended.get(entry.id, entry.status)) for entry in entries)


def _read(link: chain.Link) -> Entry:
    try:
        body = json.loads(link.body)
        plan, budget = body.pop("plan"), body.pop("budget")
        return Entry(
            **body | {"unit": PrivacyUnit.from_dict(body["unit"])},
            plan=PrivacyPlan.from_dict(plan) if plan else None,
            budget=PrivacyBudget.from_dict(budget) if budget else None,
            number=link.number,
            hash=link.hash,
        )
    except (BudgetError, UsageError, KeyError, TypeError, ValueError):
        raise LedgerError(
            f"entry {link.number} of the ledger cannot be read: a newer privsynth may have made it"
        ) from None


def _require_within_budget(plan: PrivacyPlan) -> None:
    """Refuse a plan whose mechanisms cost more than the budget that it names."""
    budget = plan.budget
    if not budget.is_private:
        return
    spent = epsilon_of(plan.mechanisms, budget.delta)
    if spent > budget.epsilon * (1 + _ROUNDING):
        raise BudgetError(
            f"the plan would spend epsilon {spent:.4g} at delta {budget.delta:g}, "
            f"more than its budget of {budget.epsilon:.4g}"
        )


def _require_under_cap(charge: Entry, entries: Iterable[Entry]) -> None:
    """Refuse a charge that would take its account over the cap."""
    same_purpose = [
        each for each in entries if (each.dataset, each.purpose) == (charge.dataset, charge.purpose)
    ]
    account = [each for each in same_purpose if each.account == charge.account]
    cap = _cap(account)
    if cap is None:
        if not any(each.kind == "cap" for each in account):
            _require_no_other_cap(charge, same_purpose)
        return
    assert charge.plan is not None
    before = epsilon_of(_mechanisms(account), cap.delta)
    after = epsilon_of((*_mechanisms(account), *charge.plan.mechanisms), cap.delta)
    if after > cap.epsilon * (1 + _ROUNDING):
        raise LedgerError(
            f"data set {charge.dataset!r} has a cap of epsilon {cap.epsilon:g} at delta "
            f"{cap.delta:g}; {before:.3g} is spent and this job would make it {after:.3g}: "
            "ask for less, or raise the cap"
        )


def _require_no_other_cap(charge: Entry, entries: Iterable[Entry]) -> None:
    """Refuse to slip past the cap of one unit by declaring another."""
    if any(each.kind == "cap" and each.budget and each.budget.is_private for each in entries):
        raise LedgerError(
            f"data set {charge.dataset!r} has a cap for another privacy unit but none for "
            f"{charge.unit.describe()}: set one"
        )


def _cap(account: Iterable[Entry]) -> PrivacyBudget | None:
    """The latest cap among the entries of an account, unless it was lifted."""
    caps = [entry.budget for entry in account if entry.kind == "cap"]
    return caps[-1] if caps and caps[-1] and caps[-1].is_private else None


def _mechanisms(account: Iterable[Entry]) -> tuple[Mechanism, ...]:
    plans = [entry.plan for entry in account if entry.plan is not None]
    return tuple(mechanism for plan in plans for mechanism in plan.mechanisms)


def _balance(account: Sequence[Entry]) -> Balance:
    mechanisms, cap = _mechanisms(account), _cap(account)
    thresholds = sum(mechanism.delta for mechanism in mechanisms)
    deltas = [entry.plan.budget.delta for entry in account if entry.plan is not None]
    delta = cap.delta if cap else max(*deltas, 2 * thresholds, 0.0)
    last = account[-1]
    return Balance(
        last.dataset,
        last.unit,
        last.purpose,
        n_entries=sum(entry.kind == "charge" for entry in account),
        epsilon=epsilon_of(mechanisms, delta),
        delta=delta,
        cap=cap,
    )
