"""`privsynth ledger`: what has been spent on a data set, and its cap."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from privsynth.cli.console import grid, print_json, show
from privsynth.cli.options import Json, LedgerFile

if TYPE_CHECKING:
    from privsynth.privacy.budget import PrivacyUnit
    from privsynth.privacy.ledger import Balance, Entry, Ledger

app = typer.Typer(help="What has been spent on a data set, and its cap.")


@app.command("show")
def spent(
    *,
    dataset: Annotated[
        str | None, typer.Option(metavar="ID", help="One data set only, by the id in its schema.")
    ] = None,
    ledger: LedgerFile = None,
    as_json: Json = False,
) -> None:
    """What each data set has spent, composed, and the entries behind it; checks the chain too."""
    from privsynth.privacy.ledger import Ledger

    book = Ledger(ledger)
    entries = book.entries(dataset)
    balances = _balances(book, entries)
    if as_json:
        print_json(
            {
                "ledger": str(book.path),
                "head": book.head(),
                "accounts": [_account(balance) for balance in balances],
                "entries": [_entry(entry) for entry in entries],
            }
        )
    else:
        _print(book, balances, entries, dataset)


@app.command("cap")
def cap(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="The id in the schema.")],
    *,
    epsilon: Annotated[float, typer.Option(metavar="E", help="The most that may be spent.")],
    delta: Annotated[float, typer.Option(metavar="D", help="At this delta.")],
    unit: Annotated[
        str, typer.Option(metavar="UNIT", help="`row`, or the column that names the person.")
    ] = "row",
    ledger: LedgerFile = None,
    as_json: Json = False,
) -> None:
    """Refuse, from now on, every job that would take the data set over a budget."""
    from privsynth.errors import UsageError
    from privsynth.privacy.budget import PrivacyBudget, PrivacyUnit
    from privsynth.privacy.ledger import Ledger

    budget = PrivacyBudget(epsilon, delta)
    if not budget.is_private:
        raise UsageError("a cap is a finite epsilon")
    book = Ledger(ledger)
    book.set_cap(dataset, PrivacyUnit(None if unit == "row" else unit), budget)
    if as_json:
        accounts = [_account(balance) for balance in book.balance(dataset)]
        print_json({"ledger": str(book.path), "accounts": accounts})
    else:
        show(f"{dataset}: at most ε = {epsilon:g} at δ = {delta:g} from now on")


def _balances(book: Ledger, entries: tuple[Entry, ...]) -> list[Balance]:
    names = dict.fromkeys(entry.dataset for entry in entries)
    return [balance for name in names for balance in book.balance(name)]


def _print(
    book: Ledger, balances: list[Balance], entries: tuple[Entry, ...], dataset: str | None
) -> None:
    if not entries:
        on_what = f" on data set {dataset!r}" if dataset else ""
        show(f"{book.path}: nothing has been spent{on_what}")
        return
    header = ("data set", "unit", "purpose", ">jobs", ">ε spent", ">at δ", ">cap")
    accounts = grid(header, [_balance_row(balance) for balance in balances])
    header = (">", "time", "data set", "entry", "what", "status", ">ε")
    show(str(book.path), "", accounts, "", grid(header, [_entry_row(each) for each in entries]))


def _balance_row(balance: Balance) -> tuple[str, ...]:
    cap = f"{balance.cap.epsilon:g}" if balance.cap else "none"
    spent = (_epsilon(balance.epsilon), f"{balance.delta:g}", cap)
    who = (balance.dataset, _unit(balance.unit), balance.purpose)
    return (*who, str(balance.n_entries), *spent)


def _entry_row(entry: Entry) -> tuple[str, ...]:
    budget = entry.plan.budget if entry.plan else entry.budget
    epsilon = _epsilon(budget.epsilon) if budget else ""
    time = entry.time.replace("T", " ").removesuffix("+00:00")
    return (str(entry.number), time, entry.dataset, entry.id, entry.kind, entry.status, epsilon)


def _epsilon(value: float) -> str:
    return "∞" if math.isinf(value) else f"{value:.3g}"


def _unit(unit: PrivacyUnit) -> str:
    return "a row" if unit.column is None else f"a person ({unit.column})"


def _account(balance: Balance) -> dict[str, Any]:
    return {
        "dataset": balance.dataset,
        "unit": balance.unit.to_dict(),
        "purpose": balance.purpose,
        "jobs": balance.n_entries,
        "epsilon_spent": None if math.isinf(balance.epsilon) else balance.epsilon,
        "delta": balance.delta,
        "cap": balance.cap.to_dict() if balance.cap else None,
    }


def _entry(entry: Entry) -> dict[str, Any]:
    budget = entry.plan.budget if entry.plan else entry.budget
    return {
        "number": entry.number,
        "id": entry.id,
        "time": entry.time,
        "kind": entry.kind,
        "dataset": entry.dataset,
        "unit": entry.unit.to_dict(),
        "purpose": entry.purpose,
        "status": entry.status,
        "refers_to": entry.refers_to,
        "budget": budget.to_dict() if budget else None,
        "note": entry.note,
        "hash": entry.hash,
    }
