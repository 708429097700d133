"""Column kinds: what a column may hold, and who said so."""

from __future__ import annotations

import datetime as dt
import math
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

Role = Literal["quasi_identifier", "sensitive", "target", "identifier", "ordinary"]
Source = Literal["declared", "documentation", "private", "data"]
DateGranularity = Literal["day", "month", "year"]
TimeGranularity = Literal["second", "minute", "hour", "day"]

OTHER = "(other)"
"""The label of the bucket for values outside a category list."""

MAX_CATEGORIES = 1_000
"""The longest category list that a generator can learn anything about."""


class _Column(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)

    role: Role = "ordinary"
    missing: bool = False
    description: str = ""


class _Declared(_Column):
    source: Source = "declared"


class _Range(_Declared):
    @model_validator(mode="after")
    def _bounds_make_sense(self) -> _Range:
        lower, upper = getattr(self, "lower"), getattr(self, "upper")  # noqa: B009
        if (lower is None or upper is None) and self.source != "private":
            raise ValueError('lower and upper are needed, or source = "private"')
        if lower is not None and upper is not None and self.source == "private":
            raise ValueError('source = "private" learns the range: leave lower and upper out')
        if lower is not None and upper is not None and not lower < upper:
            raise ValueError("lower must be less than upper")
        return self


class IntegerColumn(_Range):
    """Whole numbers in [lower, upper]."""

    kind: Literal["integer"] = "integer"
    lower: int | None = None
    upper: int | None = None


class NumericColumn(_Range):
    """Real numbers in [lower, upper], in steps of `granularity` where one is given."""

    kind: Literal["numeric"] = "numeric"
    lower: float | None = None
    upper: float | None = None
    granularity: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _finite(self) -> NumericColumn:
        for bound in (self.lower, self.upper):
            if bound is not None and not math.isfinite(bound):
                raise ValueError("lower and upper must be finite")
        return self


class DateColumn(_Range):
    """Days in [lower, upper]."""

    kind: Literal["date"] = "date"
    lower: dt.date | None = None
    upper: dt.date | None = None
    granularity: DateGranularity = "day"


class DatetimeColumn(_Range):
    """Moments in [lower, upper], without time zone."""

    kind: Literal["datetime"] = "datetime"
    lower: dt.datetime | None = None
    upper: dt.datetime | None = None
    granularity: TimeGranularity = "second"

    @model_validator(mode="after")
    def _without_zone(self) -> DatetimeColumn:
        if any(bound is not None and bound.tzinfo for bound in (self.lower, self.upper)):
            raise ValueError("lower and upper take no time zone")
        return self


class _Categories(_Declared):
    categories: tuple[str, ...] = ()
    other: bool = False

    @model_validator(mode="after")
    def _categories_make_sense(self) -> _Categories:
        if not self.categories and self.source != "private":
            raise ValueError('categories are needed, or source = "private"')
        if self.categories and self.source == "private":
            raise ValueError('source = "private" learns the categories: leave the list out')
        if len(set(self.categories)) != len(self.categories):
            raise ValueError("categories repeat a value")
        if OTHER in self.categories:
            raise ValueError(f"{OTHER!r} is reserved; set other = true instead")
        if len(self.categories) > MAX_CATEGORIES:
            raise ValueError(
                f"{len(self.categories)} categories, at most {MAX_CATEGORIES} can be learned; "
                'group them, or set source = "private" to keep the frequent ones'
            )
        return self


class CategoricalColumn(_Categories):
    """Labels without order."""

    kind: Literal["categorical"] = "categorical"


class OrdinalColumn(_Categories):
    """Labels in the order of `categories`."""

    kind: Literal["ordinal"] = "ordinal"


class BooleanColumn(_Column):
    """True or false."""

    kind: Literal["boolean"] = "boolean"


class IdColumn(_Column):
    """Keys: never learned; written as fresh surrogates."""

    kind: Literal["id"] = "id"
    role: Role = "identifier"


class TextColumn(_Column):
    """Free text: never learned; dropped, or replaced by Faker's `provider`."""

    kind: Literal["text"] = "text"
    action: Literal["drop", "fake"] | None = None
    provider: str | None = None

    @model_validator(mode="after")
    def _fake_needs_a_provider(self) -> TextColumn:
        if self.action == "fake" and not self.provider:
            raise ValueError('action = "fake" needs a provider, such as "name" or "address"')
        return self


Column: TypeAlias = Annotated[
    IntegerColumn
    | NumericColumn
    | CategoricalColumn
    | OrdinalColumn
    | BooleanColumn
    | DateColumn
    | DatetimeColumn
    | IdColumn
    | TextColumn,
    Field(discriminator="kind"),
]
RangeColumn: TypeAlias = IntegerColumn | NumericColumn | DateColumn | DatetimeColumn
CategoryColumn: TypeAlias = CategoricalColumn | OrdinalColumn
