"""The right to ask the records something, once, and only what was charged.

`Ledger.charge` writes a plan down and returns a `Spending`. Each mechanism of the plan leaves it
as a token, and each token works once: a measurement answers one time, a training makes the steps
that were charged and not one more. Who holds no token cannot ask.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from privsynth.errors import BudgetError
from privsynth.privacy.plan import (
    DpSgdEvent,
    GaussianEvent,
    Mechanism,
    NonPrivateEvent,
    PrivacyPlan,
)

Status: TypeAlias = Literal["done", "failed", "aborted"]


class Measurement:
    """The right to one Gaussian measurement of L2 sensitivity 1.

    A noise multiplier of 0 stands for a run without privacy: the answer is exact. Made by
    `Spending.measurement`; a mechanism calls `consume` before it looks at the records.

    >>> measurement = Measurement("bins", noise_multiplier=4.0)
    >>> measurement.consume()
    >>> measurement.consume()
    Traceback (most recent call last):
    ...
    privsynth.errors.BudgetError: measurement 'bins' was charged once and is asked for a second time
    """

    def __init__(self, name: str, noise_multiplier: float, delta: float = 0.0) -> None:
        self.name = name
        self.noise_multiplier = noise_multiplier
        self.delta = delta
        self._unused = [True]

    @property
    def is_private(self) -> bool:
        """Whether the answer carries noise."""
        return self.noise_multiplier > 0

    def consume(self) -> None:
        """Use the right up; BudgetError the second time."""
        try:
            self._unused.pop()  # one operation, so that two threads cannot both pass
        except IndexError:
            raise BudgetError(
                f"measurement {self.name!r} was charged once and is asked for a second time"
            ) from None

    def split(self, weights: Sequence[float]) -> list[Measurement]:
        """The right to several measurements in place of one, at the same charge.

        Weighing answer k by w_k, with squares that sum to 1, gives a vector of L2 sensitivity 1;
        noise on it is noise of 1/w_k times the multiplier on each answer. The weights may follow
        from earlier noisy answers, never from records.

        >>> halves = Measurement("pairs", noise_multiplier=3.0).split([0.6, 0.8])
        >>> [round(half.noise_multiplier, 2) for half in halves]
        [5.0, 3.75]
        """
        if self.delta:
            raise BudgetError(f"measurement {self.name!r} has a threshold and cannot be split")
        if not all(weight > 0 for weight in weights):
            raise BudgetError(f"measurement {self.name!r}: every part needs a weight above 0")
        if math.fsum(weight * weight for weight in weights) > 1 + 1e-9:
            raise BudgetError(f"measurement {self.name!r}: squares of the weights sum to above 1")
        self.consume()
        # the slack above is given back, so that rounding in the weights spends nothing
        noises = [self.noise_multiplier * (1 + 1e-9) / weight for weight in weights]
        return [Measurement(f"{self.name}, {k}", noise) for k, noise in enumerate(noises)]

    def __repr__(self) -> str:
        used = "unused" if self._unused else "used"
        return f"Measurement({self.name!r}, noise_multiplier={self.noise_multiplier:g}, {used})"


class Training:
    """The right to a number of DP-SGD steps.

    A noise multiplier of 0 stands for a run without privacy. Made by `Spending.training`; the
    trainer calls `next_step` before each batch is drawn.

    >>> training = Training(DpSgdEvent(sample_rate=0.1, noise_multiplier=1.0, steps=2), "denoiser")
    >>> training.next_step(), training.next_step()
    (0, 1)
    >>> training.next_step()
    Traceback (most recent call last):
    ...
    privsynth.errors.BudgetError: training 'denoiser' has made the 2 steps that were charged
    """

    def __init__(self, event: DpSgdEvent | NonPrivateEvent, name: str) -> None:
        self.name = name
        self.sample_rate = event.sample_rate
        self.steps = event.steps
        self.noise_multiplier = event.noise_multiplier if isinstance(event, DpSgdEvent) else 0.0
        self._steps = iter(range(event.steps))

    @property
    def is_private(self) -> bool:
        """Whether the steps carry noise."""
        return self.noise_multiplier > 0

    @property
    def steps_left(self) -> int:
        """How many of the charged steps have not been made."""
        return operator.length_hint(self._steps)

    def next_step(self) -> int:
        """The number of the step to make, from 0; BudgetError when all have been made."""
        try:
            return next(self._steps)
        except StopIteration:
            raise BudgetError(
                f"training {self.name!r} has made the {self.steps} steps that were charged"
            ) from None

    def __repr__(self) -> str:
        return (
            f"Training({self.name!r}, sample_rate={self.sample_rate:g}, noise_multiplier="
            f"{self.noise_multiplier:g}, {self.steps_left} of {self.steps} steps left)"
        )


class Spending:
    """A plan that stands in the ledger, from which each mechanism may be taken once.

    Made by `Ledger.charge` alone: `entry_id` is the entry that was written before this object
    existed, and `record` appends how the job ended. Nothing is ever refunded.
    """

    def __init__(
        self, plan: PrivacyPlan, entry_id: str, record: Callable[[str, Status], None]
    ) -> None:
        if not entry_id:
            raise BudgetError("nothing may be spent before the ledger holds its entry")
        self.plan = plan
        self.entry_id = entry_id
        self._record = record
        self._left = {mechanism.name: mechanism for mechanism in plan.mechanisms}
        self._open = [True]

    def measurement(self, name: str) -> Measurement:
        """The token of a measurement; BudgetError if it is unknown, taken or no measurement."""
        event = self.plan.mechanism(name).event
        if isinstance(event, NonPrivateEvent) and not event.steps:
            return Measurement(name, 0.0, self._take(name).delta)
        if isinstance(event, GaussianEvent):
            return Measurement(name, event.noise_multiplier, self._take(name).delta)
        raise BudgetError(f"mechanism {name!r} of the privacy plan is not a measurement")

    def training(self, name: str) -> Training:
        """The token of a training; BudgetError if it is unknown, taken or no training."""
        event = self.plan.mechanism(name).event
        if isinstance(event, DpSgdEvent) or (isinstance(event, NonPrivateEvent) and event.steps):
            self._take(name)
            return Training(event, name)
        raise BudgetError(f"mechanism {name!r} of the privacy plan is not a training")

    def close(self, status: Status) -> None:
        """Append to the ledger how the job ended; no token can be taken afterwards."""
        try:
            self._open.pop()
        except IndexError:
            raise BudgetError(f"ledger entry {self.entry_id} is closed already") from None
        self._record(self.entry_id, status)

    def _take(self, name: str) -> Mechanism:
        if not self._open:
            raise BudgetError(f"ledger entry {self.entry_id} is closed: nothing more may be asked")
        try:
            return self._left.pop(name)
        except KeyError:
            raise BudgetError(f"mechanism {name!r} was charged once and is taken already") from None

    def __repr__(self) -> str:
        return f"Spending(entry {self.entry_id}, {len(self._left)} mechanisms left)"
