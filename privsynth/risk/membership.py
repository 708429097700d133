"""Membership: which of two persons was in the train table, by the synthetic table alone."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from privsynth.errors import Inconclusive
from privsynth.risk.base import AttackResult, Failure, Rate, Result, Risk, ThreatModel, attacks
from privsynth.risk.lineup import line_up
from privsynth.risk.plain import plain_tables
from privsynth.risk.statistics import coin_p_value
from privsynth.table import Tables

THREAT_MODEL = ThreatModel(
    attacker="a recipient of the synthetic table",
    knowledge="the synthetic table, the records of two persons, and other records of that kind",
    goal="which of the two was in the train table",
)

_DECISIVE = 2.0  # the weight of the clearest pairs, where a leak of a few shows


@attacks.register("membership")
@dataclass(frozen=True)
class Membership:
    """Pairs of a train and a control person: which of the two is the member?

    The split drew the members by lot, so each of a pair is the member with probability 1/2,
    independently of all other pairs: the lots are the canaries of a one-run audit (Steinke, Nasr
    and Jagielski 2023) on the very table that is released, and nothing is trained again. The
    attacker names the person to whom one synthetic record comes closer, held against how close
    other records do (after van Breugel, Sun, Qian and van der Schaar 2023): in the `n_guesses`
    pairs that look clearest, and in all. Without a leak the number of right names is binomial,
    so the p-value is exact.

    >>> Membership(n_guesses=(25,)).max_pairs
    5000
    """

    name: ClassVar[str] = "membership"
    title: ClassVar[str] = "Membership"

    n_guesses: tuple[int, ...] = (25, 100, 400)
    max_pairs: int = 5_000
    max_reference_rows: int = 30_000

    def run(self, tables: Tables, rng: np.random.Generator) -> tuple[Result, ...]:
        """One result for each number of guesses, and one for a guess at every pair."""
        started = time.perf_counter()
        plain = plain_tables(tables)
        if not plain.train.columns:
            return (Failure(self.name, self.title, "no column is present in all tables"),)
        lineup = line_up(plain, rng, self.max_pairs, self.max_reference_rows)
        if isinstance(lineup, Inconclusive):
            return (Failure(self.name, self.title, lineup.reason),)
        right = names(*lineup.leads, rng)
        asked = [n for n in self.n_guesses if n < len(right)]
        results = [_result(n, right) for n in (*asked, len(right))]
        seconds = (time.perf_counter() - started) / len(results)  # one search serves all
        return tuple(replace(result, seconds=seconds) for result in results)


def names(
    members: NDArray[np.float64], controls: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Whether the member is named in each pair, the clearest pairs first; a tie is a coin's toss.

    >>> names(np.array([1.0, 5.0]), np.array([2.0, 0.0]), np.random.default_rng(0)).tolist()
    [True, False]
    """
    lead = members - controls
    clearest = np.argsort(-np.abs(lead), kind="stable")
    tossed = rng.random(len(lead)) < 0.5
    return np.where(lead == 0, tossed, lead > 0)[clearest]


def named(right: NDArray[np.bool_], n_pairs: int, **facts: Any) -> AttackResult:
    """The result of naming a member in some of `n_pairs` pairs; `facts` say which attack it is."""
    hits = Rate(int(right.sum()), len(right))
    return AttackResult(
        n_planned=hits.total,
        n_done=hits.total,
        member=Rate(hits.hits, n_pairs),
        control=Rate(hits.total - hits.hits, n_pairs),
        prior=hits.total / n_pairs / 2,
        excess=excess_of_names(hits, n_pairs),
        p_value=coin_p_value(hits),
        persons=hits.hits,
        tool="privsynth",
        details={"pairs": n_pairs, "share_named_right": hits.value},
        **{"threat_model": THREAT_MODEL} | facts,
    )


def _result(n_guesses: int, right: NDArray[np.bool_]) -> AttackResult:
    n_pairs = len(right)
    everybody = n_guesses == n_pairs
    return named(
        right[:n_guesses],
        n_pairs,
        weight=_DECISIVE if n_guesses <= 100 else 1.0,
        attack="membership" if everybody else f"membership_{n_guesses}",
        title=f"Membership, {'all' if everybody else f'the {n_guesses} clearest'} pairs",
        criterion="membership",
    )


def excess_of_names(hits: Rate, n_pairs: int, confidence: float = 0.95) -> Risk:
    """Members named less controls named, of all pairs, with the interval of Clopper and Pearson.

    >>> excess_of_names(Rate(25, 25), n_pairs=1000)
    Risk(value=0.025, low=0.018..., high=0.025, confidence=0.95)
    """
    share = hits.total / n_pairs
    value, low, high = (share * (2 * q - 1) for q in (hits.value, *hits.interval(confidence)))
    return Risk(value, low, high, confidence)
