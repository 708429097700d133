"""What a fidelity metric is, and what it gives: a score with its reference, or a reason."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, Protocol, TypeAlias

import numpy as np

from privsynth.registry import Registry
from privsynth.table import Tables

Group = Literal["marginals", "dependence", "utility", "detection", "quality"]
Detail: TypeAlias = float | int | str


@dataclass(frozen=True, kw_only=True)
class Score:
    """A measured figure, with the figure that real records reach beside it.

    `reference` is the same measurement on real records (usually the control against the train
    table), None where there are none; `details` says what was counted and on how many rows.

    >>> Score(metric="tvd_1way", title="1-way total variation", group="marginals", value=0.013,
    ...     reference=0.011, reference_name="control", higher_is_better=False, tool="privsynth")
    Score('tvd_1way', 0.013, reference 0.011)
    """

    metric: str
    title: str
    group: Group
    value: float
    higher_is_better: bool
    tool: str
    reference: float | None = None
    reference_name: str = ""
    column: str | None = None
    details: Mapping[str, Detail] = field(default_factory=dict)
    seconds: float = field(default=0.0, compare=False)

    def __post_init__(self) -> None:
        if not math.isfinite(self.value) or not math.isfinite(self.reference or 0.0):
            raise ValueError(f"score {self.metric!r} is not finite; give a Failure instead")

    def __repr__(self) -> str:
        column = f", column {self.column!r}" if self.column else ""
        reference = "" if self.reference is None else f", reference {self.reference:.4g}"
        return f"Score({self.metric!r}, {self.value:.4g}{reference}{column})"


@dataclass(frozen=True)
class Failure:
    """A figure that could not be measured, and why: a fact among the others.

    >>> Failure("tstr", "Train on synthetic, test on real", "the control table has no rows").reason
    'the control table has no rows'
    """

    name: str
    title: str
    reason: str


Result: TypeAlias = Score | Failure


class Metric(Protocol):
    """A measurement of synthetic records beside real ones; a class with defaults for its fields.

    It gives the same results for the same `rng` state whatever the order of the rows, it has no
    better value than that of the train table against itself, and it raises nothing for small,
    constant or missing columns: those become a Failure.
    """

    name: ClassVar[str]
    title: ClassVar[str]

    def run(self, tables: Tables, rng: np.random.Generator) -> tuple[Result, ...]:
        """Every figure of this metric, none left out in silence."""


metrics: Registry[type[Metric]] = Registry("metric")

NO_CONTROL = "the control table has no rows; split with a control share above 0"


def timed(compute: Callable[[], Result]) -> Result:
    """The result of one computation, with the seconds that it took where it is a score.

    >>> timed(lambda: Failure("tstr", "TSTR", "no target")).reason
    'no target'
    """
    started = time.perf_counter()
    result = compute()
    if isinstance(result, Failure):
        return result
    return replace(result, seconds=time.perf_counter() - started)
