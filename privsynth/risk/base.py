"""What an attack is, and what it gives: rates with an excess over control, or a reason."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import ClassVar, Literal, Protocol, TypeAlias

import numpy as np

from privsynth.errors import Inconclusive, UsageError
from privsynth.registry import Registry
from privsynth.table import Tables

Criterion = Literal[
    "copies",
    "membership",
    "vulnerable",
    "singling out",
    "linkability",
    "inference",
    "identifiers",
]
Detail: TypeAlias = float | int | str

NO_CONTROL = "there is no control record to attack; split with a control share above 0"

NOTHING_TOLERATED: frozenset[Criterion] = frozenset(
    {"copies", "membership", "vulnerable", "identifiers"}
)
"""The criteria of which an excess that is shown is too much, however small."""

LEVEL = 0.05
"""The chance that a suite may have of finding a leak where there is none."""

_COINCIDENCE = 0.1
"""The p-value from which an excess of copies may pass for chance."""


@dataclass(frozen=True)
class Rate:
    """Hits among trials.

    >>> Rate(hits=12, total=400).value
    0.03
    """

    hits: int
    total: int

    def __post_init__(self) -> None:
        if not 0 <= self.hits <= self.total or self.total == 0:
            raise ValueError(f"{self.hits} hits in {self.total} trials is not a rate")

    @property
    def value(self) -> float:
        """The share of trials that hit."""
        return self.hits / self.total

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """The two-sided interval of Clopper and Pearson (1934), which never covers too little.

        >>> low, high = Rate(0, 100).interval()
        >>> low, round(high, 4)
        (0.0, 0.0362)
        """
        from scipy.stats import beta

        tail, misses = (1 - confidence) / 2, self.total - self.hits
        low = float(beta.ppf(tail, self.hits, misses + 1)) if self.hits else 0.0
        high = float(beta.ppf(1 - tail, self.hits + 1, misses)) if misses else 1.0
        return low, high


@dataclass(frozen=True)
class Risk:
    """What an attack measured, with its two-sided confidence interval.

    It is never a guarantee: attacks show that a leak is there, not that none is.

    >>> Risk(value=0.01, low=-0.02, high=0.04).confidence
    0.95
    """

    value: float
    low: float
    high: float
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if not self.low <= self.value <= self.high:
            raise ValueError("an interval must hold the value that it is for")


@dataclass(frozen=True)
class Guesses:
    """Guesses at which person of a pair was in, on one run, and how many were right.

    A fair coin of its own decided of each of `n_pairs` who was in. `hits` has a rate for each
    number of guesses that was tried.

    >>> Guesses(n_pairs=1_000, hits=(Rate(90, 100), Rate(560, 1_000))).n_pairs
    1000
    """

    n_pairs: int
    hits: tuple[Rate, ...]


@dataclass(frozen=True)
class ThreatModel:
    """Who attacks, what they know already, and what they want.

    >>> ThreatModel("a recipient", "the synthetic table alone", "to find one person").goal
    'to find one person'
    """

    attacker: str
    knowledge: str
    goal: str


class Verdict(StrEnum):
    """What an attack says about a claim: three values, never two.

    >>> Verdict("supported").name
    'SUPPORTED'
    """

    SUPPORTED = "supported"
    NOT_SUPPORTED = "not supported"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, kw_only=True)
class AttackResult:
    """How one attack went against train records, against control records, and by guessing.

    `member` is the rate of success on records that the generator saw, `control` on records that
    it did not see, `prior` that of guessing without the synthetic table. `excess` is member less
    control. `weight` is this result's part of the error that a suite may make: more for an attack
    that is known to find leaks, since many weak ones beside it would drown it. `persons` counts
    the distinct persons (privacy units) of the train table against whom the attack succeeded.
    `guards` names the faults of the tool that were worked around.
    `guesses` are those at pairs, at all of them and at fewer: some suit whatever delta is claimed.

    >>> result = AttackResult(
    ...     attack="linkability", title="Linkability", criterion="linkability",
    ...     threat_model=ThreatModel("a recipient", "two halves", "to join them"),
    ...     n_planned=500, n_done=500, member=Rate(5, 500), control=Rate(4, 500),
    ...     excess=Risk(0.002, -0.011, 0.016), persons=5, tool="anonymeter 1.1.0")
    >>> result.verdict(threshold=0.05).value
    'supported'
    >>> result
    AttackResult('linkability', member 1.0 %, control 0.8 %)
    """

    attack: str
    title: str
    criterion: Criterion
    threat_model: ThreatModel
    n_planned: int
    n_done: int
    member: Rate
    excess: Risk | Inconclusive
    persons: int
    tool: str
    control: Rate | None = None
    prior: float | None = None
    p_value: float | None = None
    weight: float = 1.0
    details: Mapping[str, Detail] = field(default_factory=dict)
    guards: tuple[str, ...] = ()
    guesses: tuple[Guesses, ...] = ()
    seconds: float = field(default=0.0, compare=False)

    def verdict(self, threshold: float) -> Verdict:
        """Whether the excess is shown to stay under a threshold.

        Supported where the upper limit is under it, not supported where the lower limit is over
        it, inconclusive between the two. Of copies, members and identifiers nothing is tolerated:
        there an excess whose lower limit is above 0 is over it, whatever the threshold. What so
        many attacks together would find by chance is inconclusive: the p-value, which is that of
        no excess at all, is adjusted for the suite and must be under `LEVEL`. Of copies and members
        what chance would give in fewer than one run of ten is inconclusive at best: one run of the
        suite, and of the attack itself for copies.
        """
        if not 0 < threshold <= 1:
            raise UsageError("the threshold of a risk must be above 0 and at most 1")
        if isinstance(self.excess, Inconclusive):
            return Verdict.INCONCLUSIVE
        strict = self.criterion in NOTHING_TOLERATED
        if self.excess.low > (0 if strict else threshold) and not self._may_be_chance:
            return Verdict.NOT_SUPPORTED
        p = self.p_value if self.criterion == "copies" else self.p_adjusted
        if strict and p is not None and p < _COINCIDENCE:
            return Verdict.INCONCLUSIVE
        return Verdict.SUPPORTED if self.excess.high < threshold else Verdict.INCONCLUSIVE

    @property
    def p_adjusted(self) -> float | None:
        """The p-value that holds for all attacks of the suite, or its own outside one."""
        found = self.details.get("p_holm", self.p_value)
        return None if found is None else float(found)

    @property
    def _may_be_chance(self) -> bool:
        return self.p_adjusted is not None and self.p_adjusted >= LEVEL

    def __repr__(self) -> str:
        control = "" if self.control is None else f", control {self.control.value:.1%}"
        rates = f"member {self.member.value:.1%}{control}".replace("%", " %")
        return f"AttackResult({self.attack!r}, {rates})"


@dataclass(frozen=True)
class Failure:
    """An attack that could not be carried out, and why: a fact among the others.

    The claim of its `criterion` stays open: what was not tried does not support it.

    >>> Failure("linkability", "Linkability", "fewer than two columns", "linkability").reason
    'fewer than two columns'
    """

    name: str
    title: str
    reason: str
    criterion: Criterion


Result: TypeAlias = AttackResult | Failure


class Attack(Protocol):
    """An attempt to learn about persons from a synthetic table; a class with default fields.

    It gives the same results for the same `rng` state whatever the order of the rows, and raises
    nothing for small, constant or missing columns: those become a Failure, or a result whose
    excess is Inconclusive.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    criterion: ClassVar[Criterion]

    def run(self, tables: Tables, rng: np.random.Generator) -> tuple[Result, ...]:
        """Every figure of this attack, none left out in silence."""


attacks: Registry[Callable[[], Attack]] = Registry("attack")


def timed(compute: Callable[[], Result]) -> Result:
    """The result of one attack, with the seconds that it took where it was carried out.

    >>> timed(lambda: Failure("copies", "Copies", "no record is unique", "copies")).reason
    'no record is unique'
    """
    started = time.perf_counter()
    result = compute()
    if isinstance(result, Failure):
        return result
    return replace(result, seconds=time.perf_counter() - started)
