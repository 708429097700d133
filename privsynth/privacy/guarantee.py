"""What is proved about a synthetic table, and what that means for a suspicion."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from privsynth.errors import BudgetError, UsageError
from privsynth.privacy.accountant import accountant_name, epsilon_of
from privsynth.privacy.budget import PrivacyBudget
from privsynth.privacy.plan import PrivacyPlan

if TYPE_CHECKING:
    from privsynth.privacy.noise import NoiseSource
    from privsynth.schema import Schema


@dataclass(frozen=True)
class Guarantee:
    """What is proved: the budget that was kept to, the plan that was run, and what it cost.

    `epsilon_spent` is at the budget's delta under `relation`; `epsilon_replace_one` is the same
    plan when one unit is exchanged for another. `void` holds the reasons why the claim does not
    stand, and is empty when it does.

    >>> from privsynth.privacy.plan import GaussianEvent, Mechanism
    >>> from privsynth.privacy.budget import PrivacyUnit
    >>> plan = PrivacyPlan((Mechanism("counts", "cells", GaussianEvent(3.74)),),
    ...                    PrivacyBudget(1.0, 1e-5), PrivacyUnit())
    >>> guarantee = Guarantee(plan.budget, plan, epsilon_spent=1.0, epsilon_replace_one=2.2,
    ...                       accountant="PLD", noise_source="chacha20")
    >>> guarantee.holds
    True
    >>> round(guarantee.suspicion(0.5), 2)
    0.73
    """

    budget: PrivacyBudget
    plan: PrivacyPlan
    epsilon_spent: float
    epsilon_replace_one: float
    accountant: str
    noise_source: str
    relation: str = "add_or_remove_one"
    row_count: str = "public"
    void: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, plan: PrivacyPlan, noise: NoiseSource, schema: Schema, void: tuple[str, ...] = ()
    ) -> Guarantee:
        """The guarantee of a plan that was run with that noise on a table of that schema."""
        delta = plan.budget.delta
        spent = epsilon_of(plan.mechanisms, delta) if plan.budget.is_private else math.inf
        if spent > plan.budget.epsilon:
            raise BudgetError(f"the plan spends epsilon {spent:.4g}, more than its budget allows")
        private = math.isfinite(spent)
        return cls(
            budget=plan.budget,
            plan=plan,
            epsilon_spent=spent,
            epsilon_replace_one=(
                epsilon_of(plan.mechanisms, delta, "replace_one") if private else math.inf
            ),
            accountant=accountant_name(),
            noise_source=noise.description if private else "none",
            row_count=schema.privacy.row_count,
            void=(*void, *_faults(noise, schema)) if private else void,
        )

    @property
    def is_private(self) -> bool:
        """Whether the plan has a finite epsilon; see `holds` for whether the claim stands."""
        return math.isfinite(self.epsilon_spent)

    @property
    def holds(self) -> bool:
        """Whether there is a finite epsilon and nothing that voids it."""
        return self.is_private and not self.void

    def suspicion(self, prior: float) -> float:
        """The most to which a suspicion that someone is in the table can grow.

        `prior` is how sure an attacker is beforehand, as a probability. Whatever else the
        attacker knows, afterwards it is at most this (up to delta).
        """
        if not 0 <= prior <= 1:
            raise UsageError("a prior suspicion is a probability between 0 and 1")
        if prior == 0:
            return 0.0
        return prior / (prior + (1 - prior) * math.exp(-self.epsilon_spent))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; an infinite epsilon is None."""
        return {
            "budget": self.budget.to_dict(),
            "plan": self.plan.to_dict(),
            "epsilon_spent": _finite(self.epsilon_spent),
            "epsilon_replace_one": _finite(self.epsilon_replace_one),
            "accountant": self.accountant,
            "noise_source": self.noise_source,
            "relation": self.relation,
            "row_count": self.row_count,
            "void": list(self.void),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Guarantee:
        """The guarantee that `to_dict` wrote; BudgetError if it is not one."""
        try:
            return cls(
                budget=PrivacyBudget.from_dict(document["budget"]),
                plan=PrivacyPlan.from_dict(document["plan"]),
                epsilon_spent=_number(document["epsilon_spent"]),
                epsilon_replace_one=_number(document["epsilon_replace_one"]),
                accountant=document["accountant"],
                noise_source=document["noise_source"],
                relation=document["relation"],
                row_count=document["row_count"],
                void=tuple(document["void"]),
            )
        except (KeyError, TypeError, ValueError, UsageError):
            raise BudgetError("a stored guarantee cannot be read: it is damaged") from None


def _faults(noise: NoiseSource, schema: Schema) -> tuple[str, ...]:
    """What in the noise or the schema takes the ground from under the claim."""
    faults = []
    if not noise.is_secret:
        faults.append("the noise came from a known seed, which is for tests only")
    if columns := schema.from_data:
        names = ", ".join(repr(name) for name in columns)
        faults.append(f"bounds or categories were read from the records, uncharged: {names}")
    return tuple(faults)


def _finite(epsilon: float) -> float | None:
    return epsilon if math.isfinite(epsilon) else None


def _number(epsilon: float | None) -> float:
    return math.inf if epsilon is None else float(epsilon)
