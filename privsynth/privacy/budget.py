"""What may be spent, and who is protected: the privacy budget and the privacy unit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from privsynth.errors import BudgetError, UsageError

if TYPE_CHECKING:
    from privsynth.schema import Schema

_EPSILONS = (1e-4, 1e3)  # beyond these no accountant is exact, and no run makes sense
_LEAST_DELTA = 1e-12


@dataclass(frozen=True)
class PrivacyBudget:
    """What may be spent: an (epsilon, delta) that the whole job never exceeds.

    An infinite epsilon means no privacy. UsageError says which number is impossible.

    >>> PrivacyBudget(epsilon=1.0, delta=1e-5).is_private
    True
    >>> PrivacyBudget.no_privacy()
    PrivacyBudget(epsilon=inf, delta=0.0)
    """

    epsilon: float
    delta: float

    def __post_init__(self) -> None:
        if math.isnan(self.epsilon) or self.epsilon <= 0:
            raise UsageError("epsilon must be a number above 0")
        if not self.is_private:
            if not 0 <= self.delta < 1:
                raise UsageError("delta must be at least 0 and below 1")
            return
        least, most = _EPSILONS
        if not least <= self.epsilon <= most:
            raise UsageError(
                f"epsilon must be between {least:g} and {most:g}, or infinite for no privacy"
            )
        if not _LEAST_DELTA <= self.delta < 1:
            raise UsageError(
                f"delta must be at least {_LEAST_DELTA:g} and below 1 / (number of units)"
            )

    @classmethod
    def no_privacy(cls) -> PrivacyBudget:
        """The budget of a run that protects nobody: epsilon is infinite."""
        return cls(epsilon=math.inf, delta=0.0)

    @property
    def is_private(self) -> bool:
        """Whether epsilon is finite."""
        return math.isfinite(self.epsilon)

    def require_rows(self, n_units: int, *, public: bool = True) -> None:
        """Refuse a delta under which publishing one unit's records outright would be allowed.

        With delta of 1 / n_units or more, a mechanism that releases a random unit passes. The
        message names the number where it is public.
        """
        if n_units < 1:
            raise BudgetError("there is no privacy unit to protect: the table is empty")
        if self.is_private and self.delta * n_units >= 1:
            limit = f"1 / {n_units} = {1 / n_units:.2g}, " if public else ""
            raise BudgetError(
                f"delta {self.delta:g} is too large: it must be below {limit}"
                "the inverse of the number of units"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; an infinite epsilon is None."""
        return {"epsilon": self.epsilon if self.is_private else None, "delta": self.delta}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> PrivacyBudget:
        """The budget that `to_dict` wrote."""
        epsilon = document["epsilon"]
        return cls(math.inf if epsilon is None else float(epsilon), float(document["delta"]))


@dataclass(frozen=True)
class PrivacyUnit:
    """Whose presence is hidden: a row, or the person whom a column names.

    >>> PrivacyUnit().describe()
    'a row'
    >>> PrivacyUnit("patient_nbr", max_rows=3).describe()
    "a person (column 'patient_nbr', at most 3 rows)"
    """

    column: str | None = None
    max_rows: int = 1

    def __post_init__(self) -> None:
        if self.max_rows < 1:
            raise UsageError("a privacy unit has at least 1 row")
        if self.column is None and self.max_rows != 1:
            raise UsageError("a bound on rows is for a privacy unit that is a column")

    @classmethod
    def of(cls, schema: Schema) -> PrivacyUnit:
        """The unit that the schema declares."""
        unit = schema.privacy.unit
        return cls(None if unit == "row" else unit, schema.privacy.max_rows_per_unit)

    def describe(self) -> str:
        """The unit in words."""
        if self.column is None:
            return "a row"
        plural = "" if self.max_rows == 1 else "s"
        return f"a person (column {self.column!r}, at most {self.max_rows} row{plural})"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; the unit row has no column."""
        return {"column": self.column, "max_rows": self.max_rows}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> PrivacyUnit:
        """The unit that `to_dict` wrote."""
        return cls(document["column"], int(document["max_rows"]))
