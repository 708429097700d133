"""How a budget is split and which generator is taken, from public facts alone."""

from __future__ import annotations

from dataclasses import dataclass

from privsynth.privacy.budget import PrivacyBudget
from privsynth.schema import Schema
from privsynth.schema.viability import codebook_size

_DENSE = 50.0  # units for each code
_LEARNABLE = 3_000.0  # that times epsilon
_MAX_CODES = 32
_RATE_WHEN_ROWS_ARE_PRIVATE = 0.02


@dataclass(frozen=True)
class Choice:
    """A preset, and in plain words why it is taken."""

    preset: str
    reason: str


def choose(schema: Schema, n_units: int | None, budget: PrivacyBudget) -> Choice:
    """The preset for a table, from public facts alone; n_units is None where it is private.

    >>> schema = Schema.parse({"dataset": {"id": "d"},
    ...     "columns": {"ill": {"kind": "boolean"}, "old": {"kind": "boolean"}}})
    >>> choose(schema, 100, PrivacyBudget(epsilon=1.0, delta=1e-5)).preset
    'marginal'
    >>> choose(schema, 30_000, PrivacyBudget(epsilon=1.0, delta=1e-6)).preset
    'diffusion'
    """
    if not budget.is_private:
        return Choice(
            "diffusion-no-privacy", "no noise is added, so a network can learn from the records"
        )
    if len(schema.modelled) < 2:
        return Choice("marginal", "one column has no dependence that a network could learn")
    of = "rows" if schema.privacy.unit == "row" else "persons"
    if n_units is None:
        return Choice(
            "diffusion",
            f"the number of {of} is private, so it cannot decide; the marginals teach the network "
            "and get the whole budget",
        )
    found = density(schema, n_units, _MAX_CODES)
    facts = f"{int(10 * found) / 10:g} {of} for each code at epsilon {budget.epsilon:g}"
    if found < _DENSE:
        return Choice(
            "marginal",
            f"{facts}, below {_DENSE:g}: too few for more than the marginals, which get the whole "
            "budget",
        )
    if training_share(schema, n_units, budget, _MAX_CODES) == 0:
        return Choice(
            "diffusion",
            f"{facts}: the marginals teach the network and get the whole budget, for DP-SGD would "
            f"add more noise than knowledge below {_LEARNABLE / budget.epsilon:,.0f}",
        )
    enough = max(_DENSE, _LEARNABLE / budget.epsilon)
    return Choice(
        "diffusion",
        f"{facts}, at least {enough:,.0f}: the marginals teach the network, and DP-SGD what pairs "
        "of columns cannot hold",
    )


def training_share(
    schema: Schema, n_units: int | None, budget: PrivacyBudget, max_codes: int
) -> float:
    """The share of the budget for DP-SGD; the marginals take the rest.

    0 where units for each code times epsilon are below 3,000 or private: there DP-SGD costs the
    marginals more than it learns (ADR 11).
    """
    if not budget.is_private:
        return 0.5
    if n_units is None:
        return 0.0
    if density(schema, n_units, max_codes) * budget.epsilon < _LEARNABLE:
        return 0.0
    return float(min(0.25, 0.08 * budget.epsilon**0.5))


def sampling_rate(batch_size: int, n_units: int | None) -> float:
    """The rate of Poisson sampling for batches of about that size; fixed where n is private."""
    return min(1.0, batch_size / n_units) if n_units else _RATE_WHEN_ROWS_ARE_PRIVATE


def density(schema: Schema, n_units: int, max_codes: int) -> float:
    """Units for each code that the columns may have: what decides how much can be learned."""
    sizes = [codebook_size(schema.columns[name]) for name in schema.modelled]
    return n_units / sum(min(size, max_codes) for size in sizes)
