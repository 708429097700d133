"""What attacks say beside their rates: the residual, the plan, what was left out."""

from __future__ import annotations

from privsynth.risk.base import Detail, Rate
from privsynth.risk.plain import PlainTables
from privsynth.risk.planning import planned_queries
from privsynth.risk.statistics import MIN_TRIALS, residual


def rate_details(member: Rate, control: Rate | None) -> dict[str, Detail]:
    """The residual risk, and the queries that a limit of .09 needs at this control rate.

    >>> rate_details(Rate(55, 100), Rate(50, 100))
    {'residual': 0.1, 'queries_for_residual_under_0.09': 669}
    >>> rate_details(Rate(3, 1000), Rate(0, 1000))["queries_for_residual_under_0.09"]
    30
    """
    if control is None:
        return {}
    details: dict[str, Detail] = {"residual": residual(member, control)}
    if control.value < 1:
        details["queries_for_residual_under_0.09"] = max(
            MIN_TRIALS, planned_queries(control.value, 0.09)
        )
    return details


def common_details(tables: PlainTables) -> dict[str, Detail]:
    """The columns that had to be left out, where there are any."""
    if not tables.unusable:
        return {}
    reasons = "; ".join(f"{name}: {reason}" for name, reason in sorted(tables.unusable.items()))
    return {"columns_left_out": reasons}
