"""The privacy statement: what was proved, what it cost and what it means, as plain values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from privsynth.privacy.accountant import epsilon_of, trade_off
from privsynth.privacy.budget import PrivacyUnit
from privsynth.privacy.calibrate import budget_shares
from privsynth.privacy.guarantee import Guarantee
from privsynth.privacy.plan import (
    PAIRS_PURPOSE,
    DpSgdEvent,
    Event,
    GaussianEvent,
    Mechanism,
    NonPrivateEvent,
    PrivacyPlan,
    PureEvent,
)
from privsynth.report.facts import Figure, Series
from privsynth.risk.base import AttackResult
from privsynth.schema import Schema

PRIORS = (0.01, 0.1, 0.5)
"""Suspicions for which the statement says what the table can at most turn them into."""

_GRID = np.linspace(0.0, 1.0, 51)
_GRID_AROUND_CONTROL = 21


def privacy_statement(guarantee: Guarantee, schema: Schema) -> dict[str, Any]:
    """The statement of a guarantee, after NIST SP 800-226: every value in it may be published."""
    private = guarantee.is_private
    return {
        "is_private": private,
        "unit": PrivacyUnit.of(schema).describe(),
        "relation": guarantee.relation,
        "epsilon": _finite(guarantee.epsilon_spent),
        "epsilon_replace_one": _finite(guarantee.epsilon_replace_one),
        "epsilon_budget": _finite(guarantee.budget.epsilon),
        "delta": guarantee.budget.delta,
        "accountant": guarantee.accountant,
        "noise_source": guarantee.noise_source,
        "row_count": guarantee.row_count,
        "void": list(guarantee.void),
        "mechanisms": _spends(guarantee.plan.mechanisms, guarantee.budget.delta),
        "purposes": _purposes(guarantee.plan.mechanisms, guarantee.budget.delta),
        "split": _split(guarantee.plan),
        "meaning": [_meaning(guarantee, prior) for prior in PRIORS] if guarantee.holds else [],
        "public_quantities": list(_public_quantities(schema)),
    }


def _meaning(guarantee: Guarantee, prior: float) -> dict[str, float]:
    """What a suspicion becomes at most: of being in the table, and of holding a certain value.

    Two values of one person are two tables that differ by an exchange, so the second is bounded
    by the epsilon of replace-one alone.
    """
    of_value = replace(guarantee, epsilon_spent=guarantee.epsilon_replace_one)
    return {
        "before": prior,
        "after_at_most": guarantee.suspicion(prior),
        "value_after_at_most": of_value.suspicion(prior),
    }


def trade_off_figure(guarantee: Guarantee) -> Figure | None:
    """The curve of errors that no attacker can get below; none where nothing is proved."""
    if not guarantee.holds:
        return None
    missed = trade_off(guarantee.plan.mechanisms, _GRID)
    return Figure(
        id="privacy.trade_off",
        section="privacy",
        kind="curve",
        title="Trade-off curve: members missed at each rate of false accusation",
        labels=(),
        series=(_rounded("false accusations", _GRID), _rounded("members missed", missed)),
        note="An attacker who wants to find members must accuse non-members or miss members: "
        "every attacker is on or above the solid line. The dashed line is blind guessing.",
        sensitivity="public",
    )


@dataclass(frozen=True)
class Ceiling:
    """What the proof allows an attack at most: its success on members, and the excess."""

    member_rate: float
    excess: float


def ceiling_of(
    guarantee: Guarantee | None, result: AttackResult, confidence: float = 0.95
) -> Ceiling | None:
    """The ceiling over every control rate that agrees with what was counted; none without proof.

    At a false positive rate b the proof allows a member rate of 1 - f(b) (Kulynych et al. 2025).
    A control rate is an estimate, so the interval around it is searched, not the point alone:
    no hit in few trials does not show that there is never one.

    f is that of an exchange: the split gives train a fixed number of persons, so that whoever is a
    control record has somebody else in their place.

    That bounds an attack on a named person. A query that may hit any one of n persons has a rate
    that is the sum of theirs: f is convex, so at most n (1 - f(b / n)).
    """
    if guarantee is None or not guarantee.holds or result.control is None:
        return None
    n_persons = int(result.details.get("persons_a_side", 1))
    rates = np.linspace(*result.control.interval(confidence), _GRID_AROUND_CONTROL)
    of_each = 1 - trade_off(guarantee.plan.mechanisms, rates / n_persons, "replace_one")
    allowed = np.minimum(1.0, n_persons * of_each)
    return Ceiling(float(allowed.max()), float((allowed - rates).max()))


def _spends(mechanisms: Iterable[Mechanism], delta: float) -> list[dict[str, Any]]:
    """Each mechanism with what it would cost alone; equal ones are accounted for once."""
    alone: dict[tuple[Event, float], float] = {}
    rows = []
    for mechanism in mechanisms:
        key = (mechanism.event, mechanism.delta)
        if key not in alone:
            alone[key] = epsilon_of((mechanism,), delta)
        rows.append(
            {
                "name": mechanism.name,
                "purpose": mechanism.purpose,
                "how": _described(mechanism.event),
                "delta": mechanism.delta,
                "epsilon_alone": _finite(alone[key]),
            }
        )
    return rows


def _purposes(mechanisms: Iterable[Mechanism], delta: float) -> list[dict[str, Any]]:
    """What the mechanisms of each purpose would cost together, if there were no others."""
    groups: dict[str, list[Mechanism]] = {}
    for mechanism in mechanisms:
        groups.setdefault(mechanism.purpose, []).append(mechanism)
    return [
        {
            "purpose": purpose,
            "n_mechanisms": len(group),
            "delta": sum(mechanism.delta for mechanism in group),
            "epsilon_together": _finite(epsilon_of(group, delta)),
        }
        for purpose, group in groups.items()
    ]


def _split(plan: PrivacyPlan) -> list[dict[str, Any]]:
    """How the budget was divided between codebook, pairs and training; empty without privacy."""
    found, shares = budget_shares(plan), dict[str, list[float]]()
    for mechanism in plan.mechanisms:
        if mechanism.name in found:
            shares.setdefault(_group(mechanism), []).append(found[mechanism.name])
    return [
        {"group": group, "n_mechanisms": len(parts), "share": round(sum(parts), 4)}
        for group, parts in shares.items()
    ]


def _group(mechanism: Mechanism) -> str:
    if isinstance(mechanism.event, DpSgdEvent):
        return "training by DP-SGD"
    if mechanism.purpose == PAIRS_PURPOSE:
        return "pairs of columns"
    return "codebook: counts, bounds, bins and categories"


def _described(event: Event) -> str:
    match event:
        case GaussianEvent(noise_multiplier):
            return f"Gaussian noise, multiplier {noise_multiplier:.4g}"
        case DpSgdEvent(sample_rate, noise_multiplier, steps):
            return (
                f"DP-SGD, {steps:,} steps, sample rate {sample_rate:.4g}, "
                f"noise multiplier {noise_multiplier:.4g}"
            )
        case PureEvent(epsilon):
            return f"pure differential privacy, epsilon {epsilon:.4g}"
        case NonPrivateEvent():
            return "exact answer, no noise"


def _public_quantities(schema: Schema) -> Iterable[str]:
    """What was taken as known to everybody, and on whose word."""
    yield "the schema: column names, kinds, roles and rules; the storage type of each column"
    by_source: Mapping[str, str] = {
        "declared": "ranges or categories declared by the steward",
        "documentation": "ranges or categories from the documentation of the source",
    }
    for source, words in by_source.items():
        if columns := _with_source(schema, source):
            yield f"{words}: {', '.join(columns)}"
    yield "every hyper-parameter of the run"
    if schema.privacy.row_count == "public":
        yield "the number of privacy units in the table"


def _with_source(schema: Schema, source: str) -> list[str]:
    """The columns that have a range or categories at all, with that source."""
    return [
        name for name, column in schema.columns.items() if getattr(column, "source", "") == source
    ]


def _rounded(name: str, values: Iterable[float]) -> Series:
    return Series(name, tuple(round(float(value), 5) for value in values))


def _finite(value: float) -> float | None:
    """The number, or None for infinity, which JSON cannot hold."""
    return float(value) if math.isfinite(value) else None
