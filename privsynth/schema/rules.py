"""Public business rules between columns, as the schema states them."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Inequality(_Rule):
    """`low` is at most `high` wherever both are present."""

    kind: Literal["inequality"]
    low: str
    high: str
    strict: bool = False


class FixedCombination(_Rule):
    """Only the listed combinations of `columns` occur."""

    kind: Literal["fixed_combination"]
    columns: tuple[str, ...] = Field(min_length=2)
    combinations: tuple[tuple[str, ...], ...] = Field(min_length=1)


class Implication(_Rule):
    """Where `column` is `value`, `then` is one of `allowed`."""

    kind: Literal["implication"]
    column: str
    value: str
    then: str
    allowed: tuple[str, ...] = Field(min_length=1)


class RangeRule(_Rule):
    """Where `when` is `equals`, `column` lies in [lower, upper]."""

    kind: Literal["range"]
    column: str
    lower: float | None = None
    upper: float | None = None
    when: str | None = None
    equals: str | None = None

    @model_validator(mode="after")
    def _is_a_range(self) -> RangeRule:
        if self.lower is not None and self.upper is not None and self.lower > self.upper:
            raise ValueError("lower is above upper")
        return self


class FunctionalDependency(_Rule):
    """`mapping` gives the one value of `determines` for each value of `column`."""

    kind: Literal["functional_dependency"]
    column: str
    determines: str
    mapping: dict[str, str]


class SqlRule(_Rule):
    """`expression`, in SQL over the columns, is true or unknown for every row."""

    kind: Literal["sql"]
    expression: str


Constraint: TypeAlias = Annotated[
    Inequality | FixedCombination | Implication | RangeRule | FunctionalDependency | SqlRule,
    Field(discriminator="kind"),
]


def columns_of(rule: Constraint) -> tuple[str, ...]:
    """The columns that a rule names; none for SQL, which DuckDB checks."""
    match rule:
        case Inequality():
            return (rule.low, rule.high)
        case FixedCombination():
            return rule.columns
        case Implication():
            return (rule.column, rule.then)
        case RangeRule():
            return (rule.column, rule.when) if rule.when else (rule.column,)
        case FunctionalDependency():
            return (rule.column, rule.determines)
        case SqlRule():
            return ()
