"""White-box membership: which persons the fitted model itself fits best."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from privsynth.risk.base import (
    NO_CONTROL,
    AttackResult,
    Failure,
    Rate,
    Result,
    ThreatModel,
    timed,
)
from privsynth.risk.membership import guessed, named
from privsynth.risk.statistics import MIN_TRIALS, compared
from privsynth.table import Table, Tables

Losses: TypeAlias = Callable[[Table], NDArray[Any]]
"""How badly each record of a table fits the generator, (n_rows,): lower fits better."""

THREAT_MODEL = ThreatModel(
    attacker="somebody who holds the fitted model",
    knowledge="the model's parameters and the records of two persons",
    goal="which of the two was in the train table",
)

ALARM_RATE = 0.01
"""The rate of false alarms at which members are counted: the tail is what a mean hides."""

_MAX_PERSONS = 5_000
_TAIL_TITLE = "Membership by the model, at 1 % false alarms"


def white_box(tables: Tables, losses: Losses, rng: np.random.Generator) -> tuple[Result, ...]:
    """Names of members in pairs by the lower loss, and the members found at 1 % false alarms.

    The model stays with the controller and is covered by the guarantee like the table: this is
    what its thief could do. The threshold of the tail is set on one half of the control persons
    and counted on the other (Carlini, Chien, Nasr, Song, Terzis and Tramer 2022).
    """
    sides = [_one_row_each(table, rng) for table in (tables.train, tables.control)]
    n_pairs = min(side.n_rows for side in sides)
    if n_pairs < 2 * MIN_TRIALS:
        reason = NO_CONTROL if not tables.control.n_rows else f"only {n_pairs} persons on one side"
        return (Failure("white_box", "Membership by the model", reason, "membership"),)
    members, controls = (losses(side) for side in sides)
    return (
        timed(lambda: _pairs(members[:n_pairs], controls[:n_pairs], rng)),
        timed(lambda: _tail(members, controls, rng)),
    )


def _pairs(members: NDArray[Any], controls: NDArray[Any], rng: np.random.Generator) -> AttackResult:
    return named(
        guessed(-members, -controls, rng),
        attack="white_box",
        title="Membership by the model",
        criterion="membership",
        threat_model=THREAT_MODEL,
        n_planned=_MAX_PERSONS,
    )


def _tail(members: NDArray[Any], controls: NDArray[Any], rng: np.random.Generator) -> Result:
    """Members and controls under the threshold; and guesses at the pairs with the lowest loss.

    A loss that is not finite is left out and counted: one among the controls would be a threshold
    that no member is under.
    """
    first = [side[: min(len(members), len(controls))] for side in (members, controls)]
    n_persons = len(members) + len(controls)
    members, controls = (side[np.isfinite(side)] for side in (members, controls))
    if (n_left := min(len(members), len(controls))) < 2 * MIN_TRIALS:
        reason = f"only {n_left} losses on one side are finite; {2 * MIN_TRIALS} are needed"
        return Failure("white_box_tail", _TAIL_TITLE, reason, "membership")
    threshold = float(np.quantile(controls[::2], ALARM_RATE))
    judged = controls[1::2]
    member = Rate(int((members < threshold).sum()), len(members))
    control = Rate(int((judged < threshold).sum()), len(judged))
    return compared(
        member,
        control,
        attack="white_box_tail",
        title=_TAIL_TITLE,
        criterion="membership",
        threat_model=THREAT_MODEL,
        n_planned=_MAX_PERSONS,
        prior=ALARM_RATE,
        details={"losses_not_finite": n_persons - len(members) - len(controls)},
        guesses=guessed(-first[0], -first[1], rng, clear=-np.minimum(*first)),
    )


def _one_row_each(table: Table, rng: np.random.Generator) -> Table:
    """One row of each of some persons, drawn at random, in random order."""
    if not table.n_rows:
        return table
    order = rng.permutation(table.n_rows)
    _, first = np.unique(table.units()[order], return_index=True)
    return table.take(rng.permutation(order[first])[:_MAX_PERSONS])
