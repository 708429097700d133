"""The claims register: what is proved, what was tested, what is only declared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from privsynth.report.criteria import CRITERIA, Criterion, criterion_of, is_on_model
from privsynth.report.facts import (
    ABOVE_CEILING,
    DECLARED,
    EPSILON_LOWER,
    INCONCLUSIVE,
    NOT_CLAIMED,
    NOT_SUPPORTED,
    SUPPORTED,
    VOID,
    Claim,
    Fact,
    Trial,
)
from privsynth.report.format import at_most, cell, number, rate
from privsynth.report.policy import Policy
from privsynth.schema import Schema


def claims(
    schema: Schema, dp: dict[str, Any] | None, facts: Sequence[Fact], policy: Policy
) -> tuple[Claim, ...]:
    """Every claim: first what is proved, then what was tested, then what rests on a word."""
    return (
        _proof(dp, facts),
        *(_tested(criterion, facts, policy) for criterion in CRITERIA),
        *_declared(schema),
    )


def _proof(dp: dict[str, Any] | None, facts: Sequence[Fact]) -> Claim:
    against = _refuting(dp, facts)
    doubted = [fact for fact in facts if ABOVE_CEILING in fact.details and fact not in against]
    status = NOT_SUPPORTED if against else INCONCLUSIVE if doubted else _proof_status(dp)
    told = [*map(_refutation, against), *map(_doubt, doubted)]
    return Claim(
        id="C1",
        title="Differential privacy",
        statement=_proved_statement(dp),
        scope="any recipient, any attacker, whatever else the attacker knows",
        basis="proved",
        status=status,
        finding=" ".join([_proof_finding(dp), *told]),
        falsifier="A question put to the records that the list of mechanisms does not hold; a "
        "defect in the code; an audit whose lower limit of epsilon is above the claim.",
        evidence=("privacy statement", *(fact.id for fact in [*against, *doubted])),
    )


def _refuting(dp: dict[str, Any] | None, facts: Sequence[Fact]) -> list[Fact]:
    """The attacks that told two persons apart better than the claim allows; none without one."""
    if dp is None or not dp["is_private"] or dp["void"] or dp["epsilon_replace_one"] is None:
        return []
    allowed = float(dp["epsilon_replace_one"])
    return [fact for fact in facts if _refuted_epsilon(fact) > allowed]


def _refutation(fact: Fact) -> str:
    return f"{fact.title} refutes it: ε under replace-one is above {rate(_refuted_epsilon(fact))}."


def _doubt(fact: Fact) -> str:
    return (
        f"{fact.title} got further than the proof allows, and chance among all attacks does not "
        "explain that: find out why before the table is handed over."
    )


def _refuted_epsilon(fact: Fact) -> float:
    return float(fact.details.get(EPSILON_LOWER) or 0.0)


def _proved_statement(dp: dict[str, Any] | None) -> str:
    if dp is None or not dp["is_private"]:
        return "No claim of differential privacy is made for this table."
    budget = f"({at_most(dp['epsilon'])}, {number(dp['delta'])})"
    return (
        f"The table was produced by a mechanism that is {budget}-differentially private for "
        f"{dp['unit']}, under {relation_words(dp['relation'])}, end to end: learning bounds and "
        "categories, counting, measuring, training and sampling."
    )


def relation_words(relation: str) -> str:
    """The neighbouring relation as a text names it.

    >>> relation_words("add_or_remove_one")
    'add-or-remove-one'
    """
    return relation.replace("_", "-")


def _proof_status(dp: dict[str, Any] | None) -> str:
    if dp is None or not dp["is_private"]:
        return NOT_CLAIMED
    return VOID if dp["void"] else SUPPORTED


def _proof_finding(dp: dict[str, Any] | None) -> str:
    if dp is None:
        return "The table came without a guarantee; what follows rests on the tests alone."
    if not dp["is_private"]:
        return "The run used no noise: nothing is proved about any person in the data."
    if dp["void"]:
        return "The claim is void: " + "; ".join(dp["void"]) + "."
    return (
        f"ε = {at_most(dp['epsilon'])} at δ = {number(dp['delta'])}; "
        f"under replace-one ε = {at_most(dp['epsilon_replace_one'])}."
    )


def _tested(criterion: Criterion, facts: Sequence[Fact], policy: Policy) -> Claim:
    ours = [fact for fact in facts if fact.section == "testing" and criterion_of(fact) == criterion]
    decisive = _decisive(ours)
    model_attacked = any(map(is_on_model, ours))
    unasked = bool(ours and criterion.claim_of_table) and not model_attacked
    return Claim(
        id=f"C{CRITERIA.index(criterion) + 2}",
        title=criterion.title,
        statement=criterion.statement(model_attacked),
        scope="the stated attackers and the recipients named in the context",
        basis="tested",
        status=_worst(ours),
        finding=_tested_finding(criterion, ours, policy) + (_NO_MODEL if unasked else ""),
        falsifier=criterion.falsifier,
        evidence=tuple(fact.id for fact in ours),
        limit=policy.excess_limit,
        limit_source=policy.source,
        upper=decisive.interval.high if decisive and decisive.interval else None,
    )


def _worst(facts: Sequence[Fact]) -> str:
    """The verdict that is hardest on the claim; a criterion that nobody tested is open."""
    return max((_verdict(fact) for fact in facts), key=_HARDNESS.index, default=INCONCLUSIVE)


def _decisive(facts: Iterable[Fact]) -> Fact | None:
    """Of the attacks with an interval, one with the hardest verdict: that of the highest limit."""
    measured = [(fact, fact.interval.high) for fact in facts if fact.interval]
    hardest = max(measured, key=lambda m: (_HARDNESS.index(_verdict(m[0])), m[1]), default=None)
    return hardest[0] if hardest else None


def _verdict(fact: Fact) -> str:
    return fact.verdict or INCONCLUSIVE


_HARDNESS = (SUPPORTED, INCONCLUSIVE, NOT_SUPPORTED)


def _tested_finding(criterion: Criterion, facts: Sequence[Fact], policy: Policy) -> str:
    if not facts:
        return "Not tested."
    if facts[0].trial and facts[0].trial.criterion == "identifiers":
        return _scan_finding(facts[0].trial, facts[0].reason)
    undecided = sum(fact.is_inconclusive for fact in facts)
    parts = [f"{undecided} of {len(facts)} attacks inconclusive"] if undecided else []
    if decisive := _decisive(facts):
        parts[:0] = _measured(criterion, decisive, _worst(facts), policy.excess_limit)
    elif len(facts) == undecided:
        parts = [f"No attack was conclusive: {facts[0].reason}"]
    weak = sum(fact.trial.is_weak for fact in facts if fact.trial)
    parts += [f"{weak} of {len(facts)} attacks did no better than guessing"] if weak else []
    return "; ".join(parts) + "."


def _measured(criterion: Criterion, fact: Fact, status: str, limit: float) -> list[str]:
    """How a criterion stands, and the attack that decides it, with its figures and the limit."""
    assert fact.interval is not None
    low, high = rate(fact.interval.low), rate(fact.interval.high)
    if status != NOT_SUPPORTED:
        most = "largest upper limit" if status == SUPPORTED else "upper limit"
        told = f"{most} of the excess {high} ({fact.title}), limit {limit:g}"
        strict = ["no excess that is shown is tolerated"] if criterion.is_strict else []
        return [_IN_SHORT[status], told, *strict]
    told = f"95 % interval of the excess {low} to {high} ({fact.title})"
    if criterion.is_strict:
        return ["An attack showed an excess, and none is tolerated", told]
    return [_IN_SHORT[status], f"{told}, limit {limit:g}"]


_NO_MODEL = " The model was not attacked: this speaks of the table alone."
_IN_SHORT = {
    SUPPORTED: "Under the stated attackers no evidence was found",
    NOT_SUPPORTED: "An attack succeeded beyond the limit",
    INCONCLUSIVE: "The tests do not decide",
}


def _scan_finding(trial: Trial, open_reason: str | None) -> str:
    rows = f"a full scan of {number(trial.n_done)} rows"
    if open_reason:
        return f"{rows[0].upper()}{rows[1:]} does not decide: {open_reason}."
    if not trial.member.hits:
        return f"No direct identifier was found in {rows}."
    return f"Direct identifiers were found in {number(cell(trial.member.hits))} rows in {rows}."


def _declared(schema: Schema) -> Iterable[Claim]:
    first = len(CRITERIA) + 2
    yield Claim(
        id=f"C{first}",
        title="Public facts",
        statement="Column names, kinds, declared ranges and categories, and hyper-parameters are "
        "public: none of them was taken from the records.",
        scope="the schema of this data set",
        basis="declared",
        status=VOID if schema.from_data else DECLARED,
        finding=f"Read from the records: {', '.join(schema.from_data)}."
        if schema.from_data
        else "On the word of the steward.",
        falsifier="A range or category list that was in fact read from the records.",
    )
    if schema.privacy.row_count == "public":
        yield Claim(
            id=f"C{first + 1}",
            title="Row count",
            statement="The number of privacy units in the data is public.",
            scope="the schema of this data set",
            basis="declared",
            status=DECLARED,
            finding="On the word of the steward.",
            falsifier="A setting in which membership of the count is itself a secret.",
        )
