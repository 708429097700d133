"""What a job will ask of the records, decided before it asks: events, mechanisms and the plan.

The plan is the one place that holds sample rate, steps, noise and threshold probabilities. The
accountant reads it, the ledger records it, and the mechanisms run from it, so that they cannot
disagree. Every mechanism is normalised to an L2 sensitivity of 1 per privacy unit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

from privsynth.errors import BudgetError, UsageError
from privsynth.privacy.budget import PrivacyBudget, PrivacyUnit

PAIRS_PURPOSE = "counts of every pair of columns"
"""The purpose of the measurements of pairs: a report tells them from the others by it."""


@dataclass(frozen=True)
class GaussianEvent:
    """Gaussian noise of that standard deviation on an answer of L2 sensitivity 1."""

    noise_multiplier: float

    def __post_init__(self) -> None:
        _require_positive("noise_multiplier", self.noise_multiplier)


@dataclass(frozen=True)
class PureEvent:
    """Any mechanism that is (epsilon, 0)-differentially private, a selection for example."""

    epsilon: float

    def __post_init__(self) -> None:
        _require_positive("epsilon", self.epsilon)
        if self.epsilon > 100:
            raise BudgetError("a mechanism of epsilon above 100 protects nobody")


@dataclass(frozen=True)
class DpSgdEvent:
    """Steps of DP-SGD: each unit joins a batch with probability `sample_rate`, on its own."""

    sample_rate: float
    noise_multiplier: float
    steps: int

    def __post_init__(self) -> None:
        _require_rate(self.sample_rate)
        _require_positive("noise_multiplier", self.noise_multiplier)
        if self.steps < 1:
            raise BudgetError("a training has at least 1 step")


@dataclass(frozen=True)
class NonPrivateEvent:
    """An exact answer: epsilon is infinite. A training keeps its sample rate and steps here."""

    sample_rate: float = 0.0
    steps: int = 0


Event: TypeAlias = GaussianEvent | PureEvent | DpSgdEvent | NonPrivateEvent

_EVENTS: dict[str, type[Event]] = {
    "gaussian": GaussianEvent,
    "pure": PureEvent,
    "dp_sgd": DpSgdEvent,
    "non_private": NonPrivateEvent,
}


@dataclass(frozen=True)
class Mechanism:
    """One thing asked of the records, what for, and its event.

    `delta` is the probability with which a threshold may betray a unit (category discovery); it
    is paid beside the event.

    >>> Mechanism("bins", "bin counts", GaussianEvent(4.0)).to_dict()["event"]
    {'kind': 'gaussian', 'noise_multiplier': 4.0}
    """

    name: str
    purpose: str
    event: Event
    delta: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.delta < 1:
            raise BudgetError(f"mechanism {self.name!r}: delta must be at least 0 and below 1")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "name": self.name,
            "purpose": self.purpose,
            "event": _event_to_dict(self.event),
            "delta": self.delta,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Mechanism:
        """The mechanism that `to_dict` wrote."""
        event = _event_from_dict(document["event"])
        return cls(document["name"], document["purpose"], event, float(document["delta"]))


@dataclass(frozen=True)
class PrivacyPlan:
    """Every mechanism of a job, with the budget that they keep to and the unit they protect.

    >>> plan = PrivacyPlan(
    ...     (Mechanism("bins", "bin counts", GaussianEvent(4.0)),),
    ...     PrivacyBudget(1.0, 1e-5),
    ...     PrivacyUnit(),
    ... )
    >>> plan.mechanism("bins").purpose
    'bin counts'
    >>> PrivacyPlan.from_dict(plan.to_dict()) == plan
    True
    """

    mechanisms: tuple[Mechanism, ...]
    budget: PrivacyBudget
    unit: PrivacyUnit = field(default_factory=PrivacyUnit)

    def __post_init__(self) -> None:
        names = [mechanism.name for mechanism in self.mechanisms]
        for name in names:
            if names.count(name) > 1:
                raise BudgetError(f"the plan names mechanism {name!r} twice")

    @property
    def is_private(self) -> bool:
        """Whether no mechanism of the plan answers exactly."""
        return not any(isinstance(each.event, NonPrivateEvent) for each in self.mechanisms)

    def mechanism(self, name: str) -> Mechanism:
        """The mechanism of that name; BudgetError if the plan has none."""
        for mechanism in self.mechanisms:
            if mechanism.name == name:
                return mechanism
        raise BudgetError(f"the privacy plan has no mechanism {name!r}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "mechanisms": [mechanism.to_dict() for mechanism in self.mechanisms],
            "budget": self.budget.to_dict(),
            "unit": self.unit.to_dict(),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> PrivacyPlan:
        """The plan that `to_dict` wrote; BudgetError if it is not one."""
        try:
            return cls(
                tuple(Mechanism.from_dict(each) for each in document["mechanisms"]),
                PrivacyBudget.from_dict(document["budget"]),
                PrivacyUnit.from_dict(document["unit"]),
            )
        except (KeyError, TypeError, ValueError, UsageError):
            raise BudgetError("a stored privacy plan cannot be read: it is damaged") from None


@dataclass(frozen=True)
class MeasurementRequest:
    """A Gaussian measurement that the job wants, and its share of the whole budget.

    `delta_share` is the fraction of delta that goes to its threshold.
    """

    name: str
    purpose: str
    share: float
    delta_share: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise BudgetError(f"measurement {self.name!r}: its share must be above 0 and at most 1")
        if not 0 <= self.delta_share < 1:
            raise BudgetError(f"measurement {self.name!r}: its delta share must be in [0, 1)")


@dataclass(frozen=True)
class TrainingRequest:
    """A DP-SGD training that the job wants; it gets what the measurements leave."""

    name: str
    purpose: str
    sample_rate: float
    steps: int

    def __post_init__(self) -> None:
        _require_rate(self.sample_rate)
        if self.steps < 1:
            raise BudgetError("a training has at least 1 step")


Request: TypeAlias = MeasurementRequest | TrainingRequest


def _require_positive(field_name: str, value: float) -> None:
    if not (value > 0 and math.isfinite(value)):
        raise BudgetError(f"{field_name} must be a finite number above 0")


def _require_rate(sample_rate: float) -> None:
    if not 0 < sample_rate <= 1:
        raise BudgetError("sample_rate must be above 0 and at most 1")


def _event_to_dict(event: Event) -> dict[str, Any]:
    for kind, cls in _EVENTS.items():
        if type(event) is cls:
            return {"kind": kind, **asdict(event)}
    raise BudgetError(f"unknown privacy event {type(event).__name__}: it cannot be accounted for")


def _event_from_dict(document: Mapping[str, Any]) -> Event:
    values = {key: value for key, value in document.items() if key != "kind"}
    if document["kind"] not in _EVENTS:
        raise BudgetError(f"unknown privacy event {document['kind']!r}: it cannot be accounted for")
    return _EVENTS[document["kind"]](**values)
