"""What a command says at the end: what was spent, what was found, what may be handed over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from privsynth.cli.console import grid, print_json, show
from privsynth.pipeline import Outcome, RunFolder
from privsynth.privacy.guarantee import Guarantee
from privsynth.report.criteria import limit_words
from privsynth.report.facts import (
    INCONCLUSIVE,
    NOT_CLAIMED,
    NOT_SUPPORTED,
    SUPPORTED,
    VOID,
    Claim,
    Fact,
)
from privsynth.report.format import number, rate
from privsynth.report.report import RiskReport

_SIGNS = {
    SUPPORTED: ("✓", "green"),
    NOT_SUPPORTED: ("✗", "bold red"),
    VOID: ("✗", "bold red"),
    INCONCLUSIVE: ("?", "yellow"),
    NOT_CLAIMED: ("!", "yellow"),
}
"""How a verdict looks: a sign and a colour beside its words, never the colour alone."""


def show_run(outcome: Outcome, report: RiskReport, as_json: bool) -> None:
    """The end of the main job."""
    if as_json:
        print_json(_outcome(outcome) | _found(report) | _folders(outcome.folder))
        return
    show(_spent(outcome), *_findings(report), *_handover(outcome, report))


def show_fit(outcome: Outcome, as_json: bool) -> None:
    """The end of a fit: what was spent, and how to go on."""
    folder = outcome.folder
    if as_json:
        print_json(_outcome(outcome) | {"controller": str(folder.controller)})
        return
    show(
        _spent(outcome),
        "",
        f"The model is in {folder.model}, and stays with the controller.",
        f"Next: privsynth assess {folder.path} --data DATA, then privsynth report {folder.path}",
    )


def show_assessment(report: RiskReport, where: Path, as_json: bool) -> None:
    """The end of an assessment: verdicts and figures, and where the report lies."""
    if as_json:
        print_json(_found(report) | {"report": str(where / "report.html")})
        return
    show(*_findings(report), "", f"Report, for the controller: {where / 'report.html'}")


def show_report(report: RiskReport, folder: RunFolder, as_json: bool) -> None:
    """The end of `report`: where both editions lie."""
    if as_json:
        print_json({"n_facts": len(report.evidence)} | _folders(folder))
        return
    show(
        f"May be handed over         {folder.release}",
        f"Stays with the controller  {folder.controller}",
    )


def _spent(outcome: Outcome) -> Table:
    guarantee = outcome.guarantee
    return _pairs(
        [
            ("Model", f"{outcome.record.choice.preset}, run {outcome.record.run_id}"),
            ("Why", outcome.record.choice.reason),
            ("Records", outcome.size),
            ("Privacy", _privacy(guarantee)),
            ("Unit", guarantee.plan.unit.describe()),
            ("Ledger", f"entry {outcome.entry_id}"),
        ]
    )


def _privacy(guarantee: Guarantee) -> str:
    if not guarantee.is_private:
        return "none: --no-privacy; nothing is proved about any person in the data"
    text = (
        f"ε = {guarantee.epsilon_spent:.3g} spent of {guarantee.budget.epsilon:g} "
        f"at δ = {guarantee.budget.delta:g} (replace-one: ε = {guarantee.epsilon_replace_one:.3g})"
    )
    return f"{text}; VOID: {'; '.join(guarantee.void)}" if guarantee.void else text


def _pairs(lines: Iterable[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, text in lines:
        table.add_row(Text(name, style="dim"), Text(text))
    return table


def _findings(report: RiskReport) -> tuple[RenderableType, ...]:
    tested = [claim for claim in report.claims if claim.basis != "declared"]
    counts = Counter(claim.status for claim in tested)
    verdict = ", ".join(f"{n} {status}" for status, n in counts.items())
    return "", _claims(tested), "", f"Of {len(tested)} claims: {verdict}.", "", _fidelity(report)


def _claims(claims: Iterable[Claim]) -> Table:
    table = grid(("claim", "verdict", ">upper limit", ">limit", "why"), ())
    for claim in claims:
        sign, style = _SIGNS[claim.status]
        tested = claim.basis == "tested"
        table.add_row(
            Text(claim.title),
            Text(f"{sign} {claim.status}", style=style),
            rate(claim.upper) if tested else "",
            limit_words(claim.title, claim.limit) if tested else "",
            Text("" if claim.status == SUPPORTED else claim.finding, style="dim"),
        )
    return table


def _fidelity(report: RiskReport) -> Table:
    rows = [
        (fact.title, number(fact.value), _reference(fact), fact.note)
        for fact in report.facts("fidelity")
        if fact.reason is None and (fact.column is None or fact.details["group"] == "utility")
    ]
    return grid(("fidelity", ">synthetic", "real records", ""), rows)


def _reference(fact: Fact) -> str:
    if fact.reference is None:
        return "–"
    return f"{number(fact.reference)} ({fact.reference_name})"


def _handover(outcome: Outcome, report: RiskReport) -> tuple[RenderableType, ...]:
    folder = outcome.folder
    words = "May be handed over         ", "bold green"
    if not outcome.guarantee.holds:
        words = "No proof of privacy        ", "bold red"
    elif any(claim.status == NOT_SUPPORTED for claim in report.claims):
        words = "Read the report first      ", "bold red"
    release = Text.assemble(words, (str(folder.release), "bold"))
    stays = Text.assemble("Stays with the controller  ", (str(folder.controller), "bold"))
    return "", release, stays


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "run_id": outcome.record.run_id,
        "model": outcome.record.choice.preset,
        "choice": outcome.record.choice.reason,
        "ledger_entry": outcome.entry_id,
        "viability": outcome.size,
        "guarantee": outcome.guarantee.to_dict(),
    }


def _found(report: RiskReport) -> dict[str, Any]:
    return {
        "claims": [
            {"title": each.title, "status": each.status, "upper": each.upper, "limit": each.limit}
            for each in report.claims
        ],
        "fidelity": {
            fact.id.removeprefix("fidelity."): {"value": fact.value, "reference": fact.reference}
            for fact in report.facts("fidelity")
        },
        "inconclusive": report.n_inconclusive,
    }


def _folders(folder: RunFolder) -> dict[str, str]:
    return {"release": str(folder.release), "controller": str(folder.controller)}
