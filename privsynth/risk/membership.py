"""Membership: which of two persons was in the train table, by the synthetic table alone."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from privsynth.errors import Inconclusive
from privsynth.risk.base import (
    AttackResult,
    Criterion,
    Failure,
    Guesses,
    Rate,
    Result,
    Risk,
    ThreatModel,
    attacks,
)
from privsynth.risk.lineup import line_up
from privsynth.risk.plain import plain_tables
from privsynth.risk.statistics import coin_p_value
from privsynth.table import Tables

THREAT_MODEL = ThreatModel(
    attacker="a recipient of the synthetic table",
    knowledge="the synthetic table, the records of two persons, and other records of that kind",
    goal="which of the two was in the train table",
)

N_GUESSES = (25, 100, 400)
"""How many of the clearest pairs the attacker names a member in, beside all of them."""

FEWER_PAIRS = (20, 200, 2_000)
"""How many of the pairs are judged by themselves, for claims whose delta suits no more."""

_DECISIVE = 4.0  # of the suite's error: four numbers of guesses, and an attack that finds leaks


@attacks.register("membership")
@dataclass(frozen=True)
class Membership:
    """Pairs of a train and a control person: which of the two is the member?

    The split drew the members by lot, so each of a pair is the member with probability 1/2,
    independently of all other pairs: the lots are the canaries of a one-run audit (Steinke, Nasr
    and Jagielski 2023) on the very table that is released, and nothing is trained again. The
    attacker names the person to whom one synthetic record comes closer, held against how close
    other records do (after van Breugel, Sun, Qian and van der Schaar 2023): in the 25, 100 and
    400 pairs that look clearest, and in all. Without a leak the number of right names is
    binomial, so that p-values are exact; the best of the four counts, corrected for having four.
    The report says which epsilon they refute at the delta that is claimed. All this holds where
    train and control were split by lot.

    >>> Membership(max_pairs=1_000).max_reference_rows
    30000
    """

    name: ClassVar[str] = "membership"
    title: ClassVar[str] = "Membership"
    criterion: ClassVar[Criterion] = "membership"

    max_pairs: int = 5_000
    max_reference_rows: int = 30_000

    def run(self, tables: Tables, rng: np.random.Generator) -> tuple[Result, ...]:
        """One result; the best number of guesses counts."""
        started = time.perf_counter()
        lineup = line_up(plain_tables(tables), rng, self.max_pairs, self.max_reference_rows)
        if isinstance(lineup, Inconclusive):
            return (Failure(self.name, self.title, lineup.reason, self.criterion),)
        found = named(
            guessed(*lineup.leads, rng),
            attack=self.name,
            title="Membership by the table",
            criterion="membership",
            weight=_DECISIVE,
            n_planned=self.max_pairs,
        )
        details = {**found.details, **lineup.details()}
        return (replace(found, details=details, seconds=time.perf_counter() - started),)


def guessed(
    members: NDArray[np.float64],
    controls: NDArray[np.float64],
    rng: np.random.Generator,
    clear: NDArray[np.float64] | None = None,
) -> tuple[Guesses, ...]:
    """How often the member is named: of each pair, whoever scores higher; a tie is a coin's toss.

    `clear` says which pairs are named first, by default those with the greatest lead. First come
    the guesses at all pairs, then those at fewer.

    >>> guessed(np.array([1.0, 5.0]), np.array([2.0, 0.0]), np.random.default_rng(0))
    (Guesses(n_pairs=2, hits=(Rate(hits=1, total=2),)),)
    """
    lead = np.nan_to_num(members - controls)  # a loss that is no number tells nothing
    right = np.where(lead == 0, rng.random(len(lead)) < 0.5, lead > 0)
    clear = np.abs(lead) if clear is None else clear
    sizes = (len(right), *(n for n in FEWER_PAIRS if n < len(right)))
    return tuple(_clearest_first(right[:n], clear[:n]) for n in sizes)


def _clearest_first(right: NDArray[np.bool_], clear: NDArray[np.float64]) -> Guesses:
    ordered, n_pairs = right[np.argsort(-clear, kind="stable")], len(right)
    tried = [n for n in N_GUESSES if n < n_pairs] + [n_pairs]
    return Guesses(n_pairs, tuple(Rate(int(ordered[:n].sum()), n) for n in tried))


def named(guesses: tuple[Guesses, ...], **facts: Any) -> AttackResult:
    """The result of naming members.

    `facts` say which attack it is, and how many pairs were planned.
    Its rates and its excess are those of the number of guesses that tells most. The upper limit is
    the largest of all of them, because the excess of few guesses is small however right they are.
    Each limit is at a confidence that is corrected for how many there are.
    """
    n_pairs, hits = guesses[0].n_pairs, guesses[0].hits
    p_values = [coin_p_value(each) for each in hits]
    confidence = 1 - 0.05 / len(hits)
    spans = [excess_of_names(each, n_pairs, confidence) for each in hits]
    best = int(np.argmin(p_values))
    chosen = hits[best]
    return AttackResult(
        **{"threat_model": THREAT_MODEL} | facts,
        n_done=n_pairs,
        member=Rate(chosen.hits, n_pairs),
        control=Rate(chosen.total - chosen.hits, n_pairs),
        prior=chosen.total / n_pairs / 2,
        excess=Risk(spans[best].value, spans[best].low, max(span.high for span in spans)),
        p_value=min(1.0, len(hits) * p_values[best]),
        persons=chosen.hits,
        tool="privsynth",
        guesses=guesses,
        details={
            "guesses_that_tell_most": chosen.total,
            "share_named_right": chosen.value,
        },
    )


def excess_of_names(hits: Rate, n_pairs: int, confidence: float = 0.95) -> Risk:
    """Members named less controls named, of all pairs, with the interval of Clopper and Pearson.

    >>> excess_of_names(Rate(25, 25), n_pairs=1000)
    Risk(value=0.025, low=0.018..., high=0.025, confidence=0.95)
    """
    share = hits.total / n_pairs
    value, low, high = (share * (2 * q - 1) for q in (hits.value, *hits.interval(confidence)))
    return Risk(value, low, high, confidence)
