"""Every attack on one release, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType

import numpy as np

from privsynth.errors import AssessmentError
from privsynth.progress import SILENT, Progress
from privsynth.risk.base import Attack, AttackResult, Criterion, Failure, Result, attacks
from privsynth.risk.statistics import holm
from privsynth.risk.white_box import Losses, white_box
from privsynth.table import Tables


def run_suite(
    tables: Tables,
    rng: np.random.Generator,
    progress: Progress = SILENT,
    losses: Losses | None = None,
    declared: Mapping[str, Attack] = MappingProxyType({}),
) -> tuple[Result, ...]:
    """The results of every registered attack, their p-values adjusted for each other.

    `losses` says how badly records fit the generator, where there is one: then the model itself
    is attacked as well. `declared` are attacks, by name, that a policy says more of: they take the
    place of those with default settings.

    The adjusted value (Holm 1979) stands in `details["p_holm"]`. Nothing an attack meets in the
    tables is raised: it becomes a Failure.

    >>> import pandas as pd
    >>> from privsynth.schema import Schema
    >>> from privsynth.table import Table
    >>> schema = Schema.parse({"dataset": {"id": "d"},
    ...     "columns": {"age": {"kind": "integer", "lower": 0, "upper": 120}}})
    >>> table = Table.from_pandas(pd.DataFrame({"age": range(100)}), schema)
    >>> results = run_suite(Tables(*table.split(0.5), table), np.random.default_rng(1))
    >>> results[0]
    AttackResult('copies_exact', member 100.0 %, control 100.0 %)
    """
    if not tables.train.n_rows or not tables.synthetic.n_rows:
        raise AssessmentError("the train and the synthetic table must have rows")
    chosen = list(attacks.items())
    seeds = rng.integers(2**63, size=len(chosen))
    progress.stage("attacks", total=len(chosen))
    results: list[Result] = []
    for (name, make), seed in zip(chosen, seeds, strict=True):
        attack, stream = declared.get(name) or make(), np.random.default_rng(seed)
        run = partial(attack.run, tables, stream)
        results.extend(_run(run, name, attack.title, attack.criterion))
        progress.advance(1, name)
    if losses is not None:
        run = partial(white_box, tables, losses, rng)
        results.extend(_run(run, "white_box", "Membership by the model", "membership"))
    return adjusted(results)


def adjusted(results: Sequence[Result]) -> tuple[Result, ...]:
    """The results with the p-value that holds for all of them together in their details."""
    tested = [r for r in results if isinstance(r, AttackResult) and r.p_value is not None]
    together = iter(holm([r.p_value or 0.0 for r in tested], [r.weight for r in tested]))
    return tuple(
        replace(result, details={**result.details, "p_holm": next(together)})
        if isinstance(result, AttackResult) and result.p_value is not None
        else result
        for result in results
    )


def _run(
    attack: Callable[[], tuple[Result, ...]], name: str, title: str, criterion: Criterion
) -> tuple[Result, ...]:
    """One attack; whatever it raises is a fact. A message may hold a value, so it is not shown."""
    try:
        return attack()
    except Exception as error:
        reason = f"the attack stopped with {type(error).__name__}"
        return (Failure(name, title, reason, criterion),)
