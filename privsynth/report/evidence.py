"""Facts from an assessment: attacks, scores and counts, each with what it is held against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from privsynth.errors import Inconclusive
from privsynth.fidelity.base import Failure, Score
from privsynth.privacy.guarantee import Guarantee
from privsynth.report.assessment import Assessment
from privsynth.report.facts import (
    ABOVE_CEILING,
    CRITERION,
    EPSILON_LOWER,
    INCONCLUSIVE,
    Fact,
    Interval,
    Proportion,
    Sensitivity,
    Trial,
)
from privsynth.report.format import cell
from privsynth.report.policy import Policy
from privsynth.report.statement import Ceiling, ceiling_of
from privsynth.risk.base import LEVEL, AttackResult, Rate, Risk
from privsynth.risk.disclosure import Disclosure
from privsynth.risk.statistics import epsilon_refuted, lower_limit
from privsynth.schema import Schema

DELTA_WITHOUT_CLAIM = 1e-5
"""The delta at which epsilon is bounded from below where none is claimed."""

_EITHER = LEVEL / 2
"""For what guesses refute, and for what lies above a ceiling: either keeps a release back."""


def evidence(
    schema: Schema, guarantee: Guarantee | None, assessment: Assessment, policy: Policy
) -> tuple[Fact, ...]:
    """Every figure of the report, in the order of its sections, with ids that are all different."""
    facts = [
        *_counts(schema, assessment),
        *_attacks(guarantee, assessment, policy),
        *(_score(result) for result in assessment.scores),
        *_critic(assessment),
        *_groups(assessment.groups),
    ]
    return tuple(_numbered(facts))


def _counts(schema: Schema, assessment: Assessment) -> Iterable[Fact]:
    """How many rows and persons there are; public only where the schema says that they are."""
    by_row = schema.privacy.unit == "row"
    declared = schema.privacy.row_count == "public"
    yield _count("synthetic.rows", "Rows in the synthetic table", assessment.n_synthetic, "public")
    for name, rows, units in (
        ("train", assessment.n_train, assessment.n_train_units),
        ("control", assessment.n_control, assessment.n_control_units),
    ):
        title = {"train": "trained on", "control": "kept apart as control"}[name]
        rows_are_public: Sensitivity = "public" if by_row and declared else "controller"
        yield _count(f"{name}.rows", f"Real rows {title}", rows, rows_are_public)
        if not by_row and units is not None:
            public: Sensitivity = "public" if declared else "controller"
            yield _count(f"{name}.units", f"Real persons {title}", units, public)


def _count(name: str, title: str, n: int, sensitivity: Sensitivity) -> Fact:
    return Fact(f"data.{name}", "data", title, value=cell(n), sensitivity=sensitivity)


def _attacks(guarantee: Guarantee | None, assessment: Assessment, policy: Policy) -> Iterable[Fact]:
    carried_out = [each for each in assessment.attacks if isinstance(each, AttackResult)]
    n_guessing = sum(bool(each.guesses) for each in carried_out)
    n_measured = sum(isinstance(each.excess, Risk) for each in carried_out)
    for each in assessment.attacks:
        if isinstance(each, AttackResult):
            fact = _attack(each, ceiling_of(guarantee, each), policy)
            floor = _floor(each, guarantee, n_guessing)
            above = _above_ceiling(each, guarantee, n_measured)
            yield replace(fact, details={**fact.details, **floor, **above})
        else:
            yield Fact(
                f"testing.{each.name}",
                "testing",
                each.title,
                verdict=INCONCLUSIVE,
                reason=each.reason,
                details={CRITERION: each.criterion},
            )


def _floor(result: AttackResult, guarantee: Guarantee | None, n_guessing: int) -> dict[str, float]:
    """The epsilon that an attack refutes at the delta of the claim.

    It holds for all `n_guessing` attacks that refute one together, at the confidence of the rest.
    """
    claimed = guarantee is not None and guarantee.is_private
    delta = guarantee.budget.delta if guarantee is not None and claimed else DELTA_WITHOUT_CLAIM
    refuted = epsilon_refuted(result.guesses, delta, 1 - _EITHER / max(1, n_guessing))
    return {} if refuted is None else {EPSILON_LOWER: refuted, "epsilon_lower_at_delta": delta}


def _above_ceiling(
    result: AttackResult, guarantee: Guarantee | None, n_measured: int
) -> dict[str, float]:
    """How far an excess is above its ceiling, at a confidence that `n_measured` attacks share.

    It counts persons as independent, which a mechanism need not leave them: it is a reason to
    find out, while guesses at pairs refute an epsilon outright.
    """
    confidence = 1 - _EITHER / max(1, n_measured)
    ceiling = ceiling_of(guarantee, result, confidence)
    if ceiling is None or not isinstance(result.excess, Risk):
        return {}
    above = lower_limit(result.excess, confidence) - ceiling.excess
    return {ABOVE_CEILING: round(above, 6)} if above > 0 else {}


def _attack(result: AttackResult, ceiling: Ceiling | None, policy: Policy) -> Fact:
    excess = result.excess
    measured = excess if isinstance(excess, Risk) else None
    return Fact(
        id=f"testing.{result.attack}",
        section="testing",
        title=result.title,
        value=measured.value if measured else None,
        unit="excess rate (member less control)",
        interval=Interval(measured.low, measured.high, measured.confidence) if measured else None,
        reference=policy.excess_limit,
        reference_name="limit of the policy",
        verdict=result.verdict(policy.excess_limit).value,
        reason=excess.reason if isinstance(excess, Inconclusive) else None,
        details=dict(result.details),
        trial=_trial(result, ceiling),
    )


def _trial(result: AttackResult, ceiling: Ceiling | None) -> Trial:
    model = result.threat_model
    return Trial(
        criterion=result.criterion,
        attacker=model.attacker,
        knowledge=model.knowledge,
        goal=model.goal,
        n_planned=result.n_planned,
        n_done=result.n_done,
        member=_proportion(result.member),
        control=_proportion(result.control) if result.control else None,
        prior=Proportion(result.prior) if result.prior is not None else None,
        persons=result.persons,
        ceiling=ceiling.member_rate if ceiling else None,
        ceiling_excess=ceiling.excess if ceiling else None,
        p_value=result.p_value,
        seconds=round(result.seconds, 3),
        tool=result.tool,
        guards=result.guards,
    )


def _proportion(rate: Rate) -> Proportion:
    return Proportion(rate.value, rate.hits, rate.total)


def _score(result: Score | Failure) -> Fact:
    """A fidelity figure, or the reason why there is none."""
    if isinstance(result, Failure):
        return Fact(
            f"fidelity.{result.name}",
            "fidelity",
            result.title,
            verdict=INCONCLUSIVE,
            reason=result.reason,
        )
    better = "higher is better" if result.higher_is_better else "lower is better"
    return Fact(
        id=f"fidelity.{result.metric}" + (f".{result.column}" if result.column else ""),
        section="fidelity",
        title=result.title,
        value=result.value,
        reference=result.reference,
        reference_name=result.reference_name,
        note=better,
        column=result.column,
        details={
            **result.details,
            "group": result.group,
            "tool": result.tool,
            "seconds": round(result.seconds, 3),
        },
    )


def _critic(assessment: Assessment) -> Iterable[Fact]:
    """The figures of the table that have one without the critic to stand beside."""
    without = {_key(each): each for each in assessment.without_critic}
    for each in assessment.scores:
        other = without.get(_key(each))
        if other is None or (isinstance(each, Score) and _is_by_column(each)):
            continue
        fact = _score(each)
        yield replace(
            fact,
            id=fact.id.replace("fidelity.", "critic.", 1),
            section="critic",
            reference=other.value if isinstance(other, Score) else None,
            reference_name="critic's weight at zero",
            note=f"weight at zero: {other.reason}" if isinstance(other, Failure) else fact.note,
        )


def _groups(found: Disclosure | Inconclusive | None) -> Iterable[Fact]:
    """Small groups on the quasi-identifiers: described, and held against no limit."""
    title = "Groups on the quasi-identifiers"
    if isinstance(found, Inconclusive):
        yield Fact("groups.groups", "groups", title, verdict=INCONCLUSIVE, reason=found.reason)
    if not isinstance(found, Disclosure):
        return
    yield Fact(
        "groups.k_map",
        "groups",
        "Smallest group of real persons that a synthetic record points to",
        value=cell(found.k_map),
        note=f"k-map on {', '.join(found.quasi_identifiers)}; numbers in ten bins",
    )
    shares = {
        "real_unique": ("Real persons alone in their group", found.real_unique, "uniques"),
        "repu": ("Of all real persons: alone, and met by a synthetic record", found.repu, "RepU"),
        "disco": ("Of all real persons: secret told by the group", found.disco, "DiSCO"),
    }
    for name, (words, value, short) in shares.items():
        if value is not None:
            yield Fact(f"groups.{name}", "groups", words, value=value, note=short)


def _key(result: Score | Failure) -> tuple[str, str | None]:
    return (result.metric, result.column) if isinstance(result, Score) else (result.name, None)


def _is_by_column(score: Score) -> bool:
    """Whether a score is one of many, one for each column."""
    return score.column is not None and score.group != "utility"


def _numbered(facts: Sequence[Fact]) -> Iterable[Fact]:
    """The facts with a number added to an id that occurs again."""
    seen: Counter[str] = Counter()
    for fact in facts:
        seen[fact.id] += 1
        again = seen[fact.id] > 1
        yield replace(fact, id=f"{fact.id}.{seen[fact.id]}") if again else fact
