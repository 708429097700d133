"""How a budget is split and which generator is taken, from public facts alone."""

from __future__ import annotations

from privsynth.privacy.budget import PrivacyBudget
from privsynth.schema import Schema

_DENSE = 50.0


def training_share(
    schema: Schema, n_units: int | None, budget: PrivacyBudget, max_codes: int
) -> float:
    """The share of the budget for DP-SGD; the marginals take the rest.

    0 below 50 units for each code, where DP-SGD learns nothing beyond its noise.
    """
    if not budget.is_private:
        return 0.5
    if n_units is not None and density(schema, n_units, max_codes) < _DENSE:
        return 0.0
    return float(min(0.5, 0.1 * budget.epsilon**0.7))


def density(schema: Schema, n_units: int, max_codes: int) -> float:
    """Units for each code that the columns may have: what decides how much can be learned."""
    return n_units / sum(_codes(schema, name, max_codes) for name in schema.modelled)


def _codes(schema: Schema, name: str, max_codes: int) -> int:
    categories = getattr(schema.columns[name], "categories", None)
    known = len(categories) if categories else max_codes
    return max(2, min(known, max_codes))
