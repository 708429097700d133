"""What a report is made of: facts, trials, claims and figures, each with its sensitivity."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, TypeAlias

Sensitivity: TypeAlias = Literal["controller", "public"]
Basis: TypeAlias = Literal["proved", "tested", "declared"]
Scalar: TypeAlias = float | int | str | bool | None

SUPPORTED = "supported"
NOT_SUPPORTED = "not supported"
INCONCLUSIVE = "inconclusive"
VOID = "void"
NOT_CLAIMED = "not claimed"
DECLARED = "declared"
WITHHELD = "held by the controller"
"""The status of a tested claim in the public edition: a verdict is computed from real records."""

EPSILON_LOWER = "epsilon_lower_replace_one"
"""The detail of an attack that says which epsilon it refutes at least, under replace-one."""

ABOVE_CEILING = "above_ceiling_by"
"""The detail of an attack beyond what the proof allows, chance among all reckoned with."""

CRITERION = "criterion"
"""The detail of an attack that failed that says which question it leaves open."""

SIGNS: Mapping[str, str] = {
    SUPPORTED: "✓",
    NOT_SUPPORTED: "✗",
    INCONCLUSIVE: "?",
    VOID: "✗",
    NOT_CLAIMED: "!",
    DECLARED: "–",
    WITHHELD: "–",
}
"""Every status that a claim can have, with the sign that stands beside its words."""


@dataclass(frozen=True)
class Interval:
    """Lower and upper confidence limit."""

    low: float
    high: float
    confidence: float = 0.95


@dataclass(frozen=True)
class Proportion:
    """Hits among tries, as an attack counted them; `hits` is None for a computed rate."""

    value: float
    hits: int | None = None
    total: int | None = None


@dataclass(frozen=True)
class Trial:
    """How one attack was carried out, and the rates that it saw."""

    criterion: str
    attacker: str
    knowledge: str
    goal: str
    n_planned: int
    n_done: int
    member: Proportion
    control: Proportion | None
    prior: Proportion | None
    persons: int
    ceiling: float | None = None
    ceiling_excess: float | None = None
    p_value: float | None = None
    seconds: float = 0.0
    tool: str = ""
    guards: tuple[str, ...] = ()

    @property
    def is_weak(self) -> bool:
        """Whether the attack did no better on members than guessing does without the table."""
        return self.prior is not None and self.member.value <= self.prior.value


@dataclass(frozen=True)
class Fact:
    """One figure of the report: its value, what it is compared with, and who may see it.

    A figure that could not be computed has no value and a `reason`. The default sensitivity is
    the careful one.

    >>> Fact("rows", "data", "Rows", value=30_162, sensitivity="public").is_inconclusive
    False
    """

    id: str
    section: str
    title: str
    value: Scalar = None
    unit: str = ""
    interval: Interval | None = None
    reference: float | None = None
    reference_name: str = ""
    verdict: str | None = None
    note: str = ""
    sensitivity: Sensitivity = "controller"
    reason: str | None = None
    column: str | None = None
    details: Mapping[str, Scalar] = field(default_factory=dict)
    trial: Trial | None = None

    def __post_init__(self) -> None:
        if isinstance(self.value, float) and not math.isfinite(self.value):
            raise ValueError(f"fact {self.id!r} is not a finite number: give a reason instead")

    @property
    def is_inconclusive(self) -> bool:
        """Whether the figure could not be computed, or does not decide."""
        return self.reason is not None or self.verdict == INCONCLUSIVE

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Fact:
        """The fact that `to_dict` wrote."""
        values = dict(document)
        values["interval"] = _made(Interval, values.get("interval"))
        values["trial"] = _trial(values.get("trial"))
        return cls(**values)


@dataclass(frozen=True)
class Claim:
    """One statement of the claims register, with its basis, its status and what would refute it."""

    id: str
    title: str
    statement: str
    scope: str
    basis: Basis
    status: str
    falsifier: str
    finding: str = ""
    evidence: tuple[str, ...] = ()
    limit: float | None = None
    limit_source: str = ""
    upper: float | None = None

    def public(self) -> Claim:
        """The claim without what a test on real records said about it.

        That one refuted the proof or got further than it allows stays, without the figures: who is
        told of a guarantee must be told that it does not hold.
        """
        if self.basis == "proved" and self.status in (NOT_SUPPORTED, INCONCLUSIVE):
            return replace(self, finding=_REFUTED, evidence=self.evidence[:1])
        if self.basis != "tested":
            return self
        return replace(self, status=WITHHELD, finding="", evidence=(), upper=None)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Claim:
        """The claim that `to_dict` wrote."""
        return cls(**{**document, "evidence": tuple(document.get("evidence", ()))})


_REFUTED = (
    "An attack learnt more than the claim allows to anybody. "
    "The figures are held by the controller."
)


@dataclass(frozen=True)
class Series:
    """One named row of numbers, or one named matrix, of a figure."""

    name: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Figure:
    """The data behind a chart: shares by label, a matrix over columns, or a curve."""

    id: str
    section: str
    kind: Literal["shares", "histogram", "matrix", "curve"]
    title: str
    labels: tuple[str, ...]
    series: tuple[Series, ...]
    note: str = ""
    sensitivity: Sensitivity = "controller"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Figure:
        """The figure that `to_dict` wrote."""
        series = tuple(Series(each["name"], _tuples(each["values"])) for each in document["series"])
        return cls(**{**document, "labels": tuple(document["labels"]), "series": series})


def _made(cls: type[Any], document: Mapping[str, Any] | None) -> Any:
    return None if document is None else cls(**document)


def _trial(document: Mapping[str, Any] | None) -> Trial | None:
    if document is None:
        return None
    rates = {key: _made(Proportion, document[key]) for key in ("member", "control", "prior")}
    return Trial(**{**document, **rates, "guards": tuple(document["guards"])})


def _tuples(values: Any) -> tuple[Any, ...]:
    return tuple(_tuples(each) if isinstance(each, list) else each for each in values)
