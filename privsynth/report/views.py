"""Rows of the report's tables, from the document alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from privsynth.report.criteria import CRITERIA, Criterion, criterion_of, limit_words
from privsynth.report.facts import INCONCLUSIVE, SIGNS, Claim, Fact, Interval, Proportion
from privsynth.report.format import at_most, cell, number, percent, percent_at_most, rate
from privsynth.report.report import TESTS_AS_RUN, TESTS_BEFORE, RiskReport

Row = Sequence[object]


@dataclass(frozen=True)
class Block:
    """One criterion of adversarial testing, as the page shows it."""

    title: str
    question: str
    source: str
    limits: str
    status: str
    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    failures: tuple[Mapping[str, str], ...]
    weak: tuple[str, ...]
    models: tuple[Mapping[str, str], ...]
    more: tuple[Row, ...]


def blocks(report: RiskReport) -> tuple[Block, ...]:
    """Each criterion with its attacks; attacks of no known criterion come last."""
    facts = report.facts("testing")
    found = [
        _block(criterion, [fact for fact in facts if criterion_of(fact) == criterion], report)
        for criterion in CRITERIA
    ]
    others = [fact for fact in facts if criterion_of(fact) is None]
    return (*found, _block(_OTHERS, others, report)) if others else tuple(found)


def score_rows(facts: Iterable[Fact]) -> list[Row]:
    """Figures of fidelity beside their references; an inconclusive one says why."""
    return [
        (
            fact.title,
            fact.column or "all",
            "inconclusive" if fact.value is None else rate(_float(fact.value)),
            rate(fact.reference),
            fact.reference_name or "–",
            _sentence(fact.reason) if fact.reason else _reading(fact),
        )
        for fact in facts
    ]


def _reading(fact: Fact) -> str:
    """Which way is better, and what makes the reference hard to compare with."""
    of_few, missing = (
        fact.details.get(key) for key in ("value_at_reference_rows", "reference_missing")
    )
    parts = [fact.note]
    if of_few is not None:
        rows = number(fact.details.get("reference_rows"))
        parts.append(f"on as few rows as the reference ({rows}): {rate(_float(of_few))}")
    if missing:
        parts.append(f"no reference: {missing}")
    return "; ".join(parts)


def in_order(facts: Iterable[Fact]) -> list[Fact]:
    """Figures of fidelity by group; those that could not be computed come last."""
    return sorted(facts, key=lambda fact: _GROUPS.index(str(fact.details.get("group", ""))))


_GROUPS = ("marginals", "dependence", "utility", "detection", "quality", "")


def rare_rows(facts: Iterable[Fact]) -> list[Row]:
    """Figures about rare groups."""
    rare = [fact for fact in facts if "rare" in fact.id]
    return [(row[0], *row[2:]) for row in score_rows(rare)]


def group_rows(report: RiskReport) -> list[Row]:
    """Small groups on the quasi-identifiers, or why there is no figure."""
    return [
        (fact.title, fact.reason or _figure(fact.value), fact.note)
        for fact in report.facts("groups")
    ]


def _figure(value: object) -> str:
    return percent(value) if isinstance(value, float) else number(value)


def finding_rows(report: RiskReport) -> list[Row]:
    """What the scan for direct identifiers found: column, kind and how many rows."""
    return [
        (name, cell(n))
        for fact in report.facts("testing")
        if fact.trial and fact.trial.criterion == "identifiers"
        for name, n in fact.details.items()
        if ": " in name and isinstance(n, int)
    ]


def decision_rows(claims: Iterable[Claim]) -> list[Row]:
    """Each tested criterion against its limit."""
    return [
        (
            claim.title,
            limit_words(claim.title, claim.limit),
            claim.limit_source,
            rate(claim.upper),
            _signed(claim.status),
        )
        for claim in claims
        if claim.basis == "tested"
    ]


def mechanism_rows(dp: Mapping[str, Any]) -> list[Row]:
    """Each mechanism with its spend."""
    return [
        (
            each["name"],
            each["purpose"],
            each["how"],
            number(each["delta"]) if each["delta"] else "–",
            at_most(each["epsilon_alone"]),
        )
        for each in dp["mechanisms"]
    ]


def purpose_rows(dp: Mapping[str, Any]) -> list[Row]:
    """What the mechanisms of each purpose cost together."""
    return [
        (
            each["purpose"],
            number(each["n_mechanisms"]),
            number(each["delta"]) if each["delta"] else "–",
            at_most(each["epsilon_together"]),
        )
        for each in dp["purposes"]
    ]


def split_rows(dp: Mapping[str, Any]) -> list[Row]:
    """How the budget was divided."""
    return [
        (each["group"], number(each["n_mechanisms"]), percent(each["share"]))
        for each in dp["split"]
    ]


def critic_rows(report: RiskReport) -> list[Row]:
    """What the critic added: figures with it, and with its weight at zero."""
    return [
        (
            fact.title,
            fact.column or "all",
            "inconclusive" if fact.value is None else rate(_float(fact.value)),
            rate(fact.reference),
            _sentence(fact.reason) if fact.reason else fact.note,
        )
        for fact in report.facts("critic")
    ]


def meaning_rows(dp: Mapping[str, Any]) -> list[Row]:
    """Suspicions before and after: of being in the data, and of holding a certain value."""
    keys = ("after_at_most", "value_after_at_most")
    return [
        (percent(each["before"]), *(percent_at_most(each[key]) for key in keys))
        for each in dp["meaning"]
    ]


def safe_harbor_rows(subject: Mapping[str, Any]) -> list[Row]:
    """HIPAA's eighteen classes, with the columns that fall under each."""
    return [
        (
            each["class"],
            each["title"],
            "; ".join(f"{name}: {became}" for name, became in each["columns"].items()) or "none",
        )
        for each in subject["safe_harbor"]
    ]


def column_rows(subject: Mapping[str, Any]) -> list[Row]:
    """The columns as the schema declares them."""
    return [
        (
            each["name"],
            each["kind"],
            each["role"].replace("_", " "),
            each["domain"],
            each["source"],
            "may be missing" if each["missing"] else "never missing",
        )
        for each in subject["columns"]
    ]


def identifier_columns(subject: Mapping[str, Any]) -> list[Row]:
    """Columns of keys, identifiers and free text."""
    return [
        (each["name"], each["kind"], each["domain"])
        for each in subject["columns"]
        if each["role"] == "identifier" or each["kind"] in ("id", "text")
    ]


def residual(report: RiskReport) -> list[str]:
    """What remains to be known or feared, in sentences."""
    open_claims = [claim for claim in report.claims if claim.status == INCONCLUSIVE]
    lines = [_proof_line(report)]
    lines += [f"{c.title}: {c.finding or 'not decided.'}" for c in open_claims]
    lines += [
        f"{c.title} is not supported. {c.finding}"
        for c in report.claims
        if c.status in ("not supported", "void")
    ]
    return [
        *lines,
        *_changed_tests(report),
        "An attack that was not tried may do better than those that were. The attacks here are "
        "run by one attacker on one table.",
        "Persons of a small group share what the table says of the group, whether or not they are "
        "in the data.",
        "A further release from the same records adds to what is spent; the ledger holds the sum.",
    ]


def _changed_tests(report: RiskReport) -> list[str]:
    """A line where attacks or limits are not those that were fixed before the fit."""
    hashes = (report.provenance.get("controller") or {}).get("hashes", {})
    if hashes.get(TESTS_BEFORE) == hashes.get(TESTS_AS_RUN):
        return []
    return [
        "The attacks, their numbers or the limits are not those that were registered before the "
        "fit: they may have been chosen by their results."
    ]


def is_by_column(fact: Fact) -> bool:
    """Whether a figure is one of many, one for each column."""
    return fact.column is not None and fact.details.get("group") != "utility"


_ATTACK_HEADS = (
    "Attack",
    "Tried / planned",
    "Members",
    "Control",
    "Guessing",
    "Excess (95 % interval)",
    "Ceiling",
    "Verdict",
)
_SCAN_HEADS = ("Scan", "Rows scanned", "Rows with a finding", "Verdict")

_OTHERS = Criterion(
    "other",
    "Other attacks",
    "What did attacks of other kinds show?",
    "",
    "",
    "As each attack says.",
)


def _proof_line(report: RiskReport) -> str:
    dp = report.dp
    if dp is None or not dp["is_private"]:
        return "Nothing bounds what a stronger attack could learn about a person in the data."
    failed = {"void": "void", "not supported": "refuted", "inconclusive": "in doubt"}.get(
        report.claims[0].status
    )
    if failed:
        return f"The proof is {failed}, so nothing bounds what a stronger attack could learn."
    return (
        f"The proof leaves a slack of δ = {number(dp['delta'])} outside its bound, and within the "
        "bound a suspicion may still grow as the table under “What ε means” says."
    )


def _block(criterion: Criterion, facts: Sequence[Fact], report: RiskReport) -> Block:
    claim = next((claim for claim in report.claims if claim.title == criterion.title), None)
    ran = [fact for fact in facts if fact.trial]
    return Block(
        title=criterion.title,
        question=criterion.question,
        source=criterion.source,
        limits=criterion.limits,
        status=claim.status if claim else INCONCLUSIVE,
        heads=_SCAN_HEADS if criterion.id == "identifiers" else _ATTACK_HEADS,
        rows=tuple(_scan_row(f) if criterion.id == "identifiers" else _attack_row(f) for f in ran),
        failures=tuple(
            {"title": f.title, "reason": _sentence(f.reason)} for f in facts if f.reason
        ),
        weak=tuple(fact.title for fact in ran if fact.trial and fact.trial.is_weak),
        models=tuple(_models(ran)),
        more=tuple(_more(fact) for fact in ran),
    )


def _attack_row(fact: Fact) -> Row:
    trial = fact.trial
    assert trial is not None
    return (
        fact.title,
        f"{number(trial.n_done)} / {number(trial.n_planned)}",
        rate(trial.member.value),
        _proportion(trial.control),
        rate(trial.prior.value) if trial.prior else "–",
        _interval(fact.value, fact.interval),
        rate(trial.ceiling),
        _signed(fact.verdict),
    )


def _scan_row(fact: Fact) -> Row:
    """A scan has no control and no interval: it saw every row."""
    trial = fact.trial
    assert trial is not None
    return (
        fact.title,
        number(trial.n_done),
        number(cell(trial.member.hits or 0)),
        _signed(fact.verdict),
    )


def _signed(verdict: str | None) -> str:
    return f"{SIGNS[verdict]}\N{NO-BREAK SPACE}{verdict}" if verdict else "–"


def _models(facts: Iterable[Fact]) -> Iterable[Mapping[str, str]]:
    """Each attacker with what that attacker knows once, and all that is wanted."""
    goals: dict[tuple[str, str], dict[str, None]] = {}
    for fact in facts:
        assert fact.trial is not None
        key = (fact.trial.attacker, fact.trial.knowledge)
        goals.setdefault(key, {})[fact.trial.goal] = None
    return ({"attacker": a, "knowledge": k, "goal": "; ".join(g)} for (a, k), g in goals.items())


def _more(fact: Fact) -> Row:
    trial = fact.trial
    assert trial is not None
    others = {**fact.details, "seconds": trial.seconds}
    return (
        fact.title,
        number(cell(trial.persons)),
        number(trial.p_value),
        number(others.pop("p_holm", None)),
        "; ".join(f"{name.replace('_', ' ')} {number(value)}" for name, value in others.items()),
        trial.tool,
    )


def _proportion(share: Proportion | None) -> str:
    if share is None:
        return "–"
    return rate(share.value) + (f" of {number(share.total)}" if share.total else "")


def _interval(value: object, interval: Interval | None) -> str:
    if interval is None:
        return "inconclusive"
    return f"{rate(_float(value))} ({rate(interval.low)} to {rate(interval.high)})"


def _float(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)


def _bare(reason: str | None) -> str:
    return (reason or "").rstrip(".")


def _sentence(reason: str) -> str:
    return f"{reason[:1].upper()}{_bare(reason)[1:]}."
