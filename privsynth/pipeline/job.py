"""What is asked of one run, and what is refused before a record is read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from privsynth.errors import ReleaseRefused, UsageError
from privsynth.privacy.budget import PrivacyBudget
from privsynth.privacy.noise import NoiseSource
from privsynth.report.policy import Policy
from privsynth.schema import Schema

AUTO = "auto"
LARGEST_DEFAULT_DELTA = 1e-5


@dataclass(frozen=True)
class Job:
    """What is asked of one run. UsageError says which number is impossible.

    >>> Job(epsilon=1.0).model
    'auto'
    >>> Job.without_privacy().is_private
    False
    """

    epsilon: float
    delta: float | None = None
    model: str = AUTO
    rows: int | None = None
    control: float = 0.1
    csv: bool = False
    policy: Policy = field(default_factory=Policy)

    def __post_init__(self) -> None:
        if self.is_private:
            PrivacyBudget(self.epsilon, LARGEST_DEFAULT_DELTA if self.delta is None else self.delta)
        elif self.delta is not None:
            raise UsageError("delta has no meaning without an epsilon")
        if self.rows is not None and self.rows < 1:
            raise UsageError("rows must be at least 1")
        if not 0 <= self.control < 1:
            raise UsageError("control must be at least 0 and less than 1")

    @classmethod
    def without_privacy(cls, **settings: Any) -> Job:
        """A job that protects nobody."""
        return cls(epsilon=math.inf, **settings)

    @property
    def is_private(self) -> bool:
        """Whether epsilon is finite."""
        return self.epsilon != math.inf

    def budget(self, schema: Schema, n_units: int) -> PrivacyBudget:
        """What may be spent on a table of that many units."""
        if not self.is_private:
            return PrivacyBudget.no_privacy()
        budget = PrivacyBudget(self.epsilon, self.delta or _delta(schema, n_units))
        budget.require_rows(n_units, public=schema.privacy.row_count == "public")
        return budget

    def command(self, data: str) -> str:
        """The command that asks for this job.

        >>> Job(epsilon=1.0).command("patients.csv")
        'privsynth run patients.csv --schema schema.toml --epsilon 1 --control 0.1 --out DIR'
        """
        budget = f"--epsilon {self.epsilon:g}" if self.is_private else "--no-privacy"
        model = None if self.model == AUTO else self.model
        asked = {"--delta": self.delta, "--model": model, "--control": self.control}
        options = [f"{name} {value}" for name, value in asked.items() if value is not None]
        rows = [f"--rows {self.rows}"] if self.rows else []
        policy = [] if self.policy == Policy() else ["--policy policy.toml"]
        parts = [f"privsynth run {data} --schema schema.toml", budget, *options, *rows]
        return " ".join([*parts, *policy, *(["--csv"] if self.csv else []), "--out DIR"])

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; an infinite epsilon is None."""
        numbers = {"epsilon": self.epsilon if self.is_private else None}
        return asdict(self) | numbers | {"policy": self.policy.to_dict()}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Job:
        """The job that `to_dict` wrote."""
        epsilon, policy = document["epsilon"], Policy.parse(document["policy"])
        given = {"epsilon": math.inf if epsilon is None else epsilon, "policy": policy}
        return cls(**{**document, **given})


def _delta(schema: Schema, n_units: int) -> float:
    if schema.privacy.row_count == "private":
        raise UsageError('delta must be given where row_count = "private": it cannot follow from n')
    return default_delta(n_units)


def default_delta(n_units: int) -> float:
    """The largest power of ten up to 1 / (10 · n_units), and at most 1e-5.

    >>> default_delta(30_000), default_delta(900)
    (1e-06, 1e-05)
    """
    power = math.floor(-math.log10(10 * n_units) + 1e-12)
    return min(LARGEST_DEFAULT_DELTA, float(f"1e{power}"))


def refuse_early(schema: Schema, job: Job, noise: NoiseSource | None) -> None:
    """Refuse what can be known to be wrong without a look at the records."""
    schema.require_learnable(job.is_private)
    job.policy.require_columns(schema)
    if job.is_private and noise is not None and not noise.is_secret:
        raise ReleaseRefused("the noise is seeded: such a run is for tests, and is not released")
