"""Vulnerable persons: copies and membership among those who stand out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from privsynth.errors import Inconclusive
from privsynth.risk.base import AttackResult, Criterion, Failure, Rate, Result, attacks
from privsynth.risk.cells import cells, n_sharing
from privsynth.risk.copies import THREAT_MODEL
from privsynth.risk.lineup import Lineup, Pair, line_up
from privsynth.risk.membership import guessed, named
from privsynth.risk.plain import PlainTable, plain_tables
from privsynth.risk.statistics import MIN_TRIALS, compared
from privsynth.table import Tables

RARE_SHARE = 0.01
"""A label is rare where a smaller share of the other real persons holds it, in any record."""

_FEWEST = 80  # outliers on both sides together, so that each side has some thirty

SMALL_CELL = 11
"""A combination of quasi-identifiers is small below this many persons (CMS, ResDAC 2024)."""

GROUPS = {
    "outlying": "persons far from all others",
    "rare": "persons with a rare label",
    "small": "persons of a small group",
}


@attacks.register("vulnerable")
@dataclass(frozen=True)
class Vulnerable:
    """Copies and membership among the persons whom a leak would hit first.

    Three groups: the `outlying_share` of persons whose record lies farthest from its five nearest
    others (Meeus, Guepin, Cretu and de Montjoye 2023), those with a rare label, and those whose
    combination of quasi-identifiers few others share. Who belongs to them is judged by records
    of other persons, for members and controls alike, so that membership stays a lot.

    >>> Vulnerable().outlying_share
    0.01
    """

    name: ClassVar[str] = "vulnerable"
    title: ClassVar[str] = "Vulnerable persons"
    criterion: ClassVar[Criterion] = "vulnerable"

    outlying_share: float = 0.01
    max_persons: int = 10_000
    max_reference_rows: int = 30_000

    def run(self, tables: Tables, rng: np.random.Generator) -> tuple[Result, ...]:
        """Two results for each group: copies, and names of members."""
        started = time.perf_counter()
        plain = plain_tables(tables)
        lineup = line_up(plain, rng, self.max_persons, self.max_reference_rows)
        if isinstance(lineup, Inconclusive):
            return (Failure(self.name, self.title, lineup.reason, self.criterion),)
        groups = {
            "outlying": outliers(lineup.outlying, self._share(lineup)),
            "rare": _on_both(lineup, rare_holders),
        }
        results: list[Result] = []
        if known := plain.with_role("quasi_identifier"):
            groups["small"] = _on_both(lineup, partial(in_small_cell, columns=known))
        else:
            reason = "no quasi-identifier is present in all tables"
            results.append(
                Failure("vulnerable_small", f"Copies of {GROUPS['small']}", reason, self.criterion)
            )
        planned = self.max_persons / lineup.members.n_rows
        for name, who in groups.items():
            results.extend(_attacked(name, who, lineup, planned, rng))
        seconds = (time.perf_counter() - started) / len(results)  # one search serves all
        return tuple(
            replace(result, details={**result.details, **lineup.details()}, seconds=seconds)
            if isinstance(result, AttackResult)
            else result
            for result in results
        )

    def _share(self, lineup: Lineup) -> float:
        """The share of outliers, more where the tables are so small that too few would be left."""
        return max(self.outlying_share, min(0.1, _FEWEST / (2 * lineup.members.n_rows)))


def outliers(outlying: Pair, share: float) -> Pair:
    """The share of all persons, members and controls together, that lies farthest out.

    >>> outliers((np.array([1.0, 9.0]), np.array([2.0, 3.0])), share=0.25)
    (array([False,  True]), array([False, False]))
    """
    limit = float(np.quantile(np.concatenate(outlying), 1 - share, method="lower"))
    return outlying[0] > limit, outlying[1] > limit


def rare_holders(persons: PlainTable, others: PlainTable) -> NDArray[np.bool_]:
    """Who holds a label that under `RARE_SHARE` of the other persons hold, (n_persons,)."""
    holds, few = np.zeros(persons.n_rows, dtype=bool), RARE_SHARE * others.n_persons
    for name, codes in persons.labels.items():
        is_rare = n_sharing(codes, others.labels[name], others.persons) < few
        holds |= is_rare & (codes >= 0)  # missing is no label
    return holds


def in_small_cell(
    persons: PlainTable, others: PlainTable, columns: Sequence[str]
) -> NDArray[np.bool_]:
    """Whose combination of `columns`, numbers in quantile bins, under 11 other persons share."""
    mine, theirs = cells((persons, others), columns, cut_on=others)
    return n_sharing(mine, theirs, others.persons) < SMALL_CELL


def _on_both(lineup: Lineup, rule: Callable[[PlainTable, PlainTable], NDArray[Any]]) -> Pair:
    return rule(lineup.members, lineup.reference), rule(lineup.controls, lineup.reference)


def _attacked(
    group: str, who: Pair, lineup: Lineup, planned: float, rng: np.random.Generator
) -> Iterator[Result]:
    """Copies among the group's persons, and the members' names in pairs of them.

    How many persons belong to a group is found out, not planned: `planned` is how many times as
    many there would be in a line-up as long as was planned.
    """
    attack, title = f"vulnerable_{group}", GROUPS[group]
    n_pairs = min(int(side.sum()) for side in who)
    if n_pairs < MIN_TRIALS:
        reason = f"{n_pairs} of them on one side; at least {MIN_TRIALS} are needed"
        yield Failure(attack, f"Copies of {title}", reason, "vulnerable")
        yield Failure(f"{attack}_membership", f"Membership of {title}", reason, "vulnerable")
        return
    yield _copies(attack, f"Copies of {title}", who, lineup.copied, planned)
    leads = [lead[side][:n_pairs] for lead, side in zip(lineup.leads, who, strict=True)]
    yield named(
        guessed(leads[0], leads[1], rng),
        attack=f"{attack}_membership",
        title=f"Membership of {title}",
        criterion="vulnerable",
        n_planned=round(planned * n_pairs),
    )


def _copies(attack: str, title: str, who: Pair, copied: Pair, planned: float) -> AttackResult:
    member, control = (
        Rate(int(hits[side].sum()), int(side.sum())) for hits, side in zip(copied, who, strict=True)
    )
    return compared(
        member,
        control,
        attack=attack,
        title=title,
        criterion="vulnerable",
        threat_model=THREAT_MODEL,
        n_planned=round(planned * member.total),
    )
