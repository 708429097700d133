"""What was measured of a synthetic table: attacks, scores and the data behind the charts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from privsynth.errors import Inconclusive
from privsynth.fidelity import base as fidelity
from privsynth.fidelity.dependence import Associations, associations
from privsynth.fidelity.profiles import ColumnProfile, profiles
from privsynth.progress import SILENT, Progress
from privsynth.risk import base as risk
from privsynth.risk.disclosure import Disclosure, disclosure
from privsynth.risk.white_box import Losses
from privsynth.table import Table, Tables

if TYPE_CHECKING:
    import numpy as np


COMPARED = ("detection", "total_variation", "utility")
"""The metrics by which a generator is held against itself without its critic."""


@dataclass(frozen=True)
class Assessment:
    """Every attack and score, none left out, and how many rows and persons they rest on.

    `without_critic` are some of the scores for the same fit with its critic left out, where it has
    one. `groups` describes small groups on the quasi-identifiers. `synthetic_profiles` and
    `synthetic_associations` are computed on the synthetic table alone: they are what the public
    edition may draw.

    >>> Assessment(attacks=(), scores=(), n_train=900, n_control=100, n_synthetic=900)
    Assessment(0 attacks, 0 scores, 900 train, 100 control and 900 synthetic rows)
    """

    attacks: tuple[risk.Result, ...]
    scores: tuple[fidelity.Result, ...]
    n_train: int
    n_control: int
    n_synthetic: int
    without_critic: tuple[fidelity.Result, ...] = ()
    n_train_units: int | None = None
    n_control_units: int | None = None
    groups: Disclosure | Inconclusive | None = None
    profiles: tuple[ColumnProfile, ...] = ()
    associations: Associations | None = None
    synthetic_profiles: tuple[ColumnProfile, ...] = ()
    synthetic_associations: Associations | None = None
    seconds: float = 0.0

    def __repr__(self) -> str:
        return (
            f"Assessment({len(self.attacks)} attacks, {len(self.scores)} scores, "
            f"{self.n_train} train, {self.n_control} control and {self.n_synthetic} synthetic rows)"
        )


def assess(
    tables: Tables,
    rng: np.random.Generator,
    progress: Progress = SILENT,
    *,
    without_critic: Table | None = None,
    losses: Losses | None = None,
    declared: Mapping[str, risk.Attack] = MappingProxyType({}),
) -> Assessment:
    """Run every attack and metric on three tables, and take the figures for the charts.

    `without_critic` is a synthetic table of the same fit, with its critic left out; `losses` says
    how badly records fit the generator; `declared` are the attacks that a policy describes.
    """
    from threadpoolctl import threadpool_limits

    from privsynth.fidelity.suite import run_suite as measure
    from privsynth.risk.suite import run_suite as attack

    started = time.perf_counter()
    # Boosted trees on two spinning OpenMP threads are many times slower on a busy machine.
    with threadpool_limits(limits=1, user_api="openmp"):
        attacks = attack(tables, rng, progress, losses, declared)
        groups = disclosure(tables)
        tables, lacking = _shared(tables)
        scores = (*lacking, *measure(tables, rng, progress))
        beside: tuple[fidelity.Result, ...] = ()
        if without_critic is not None:
            others = Tables(tables.train, tables.control, without_critic)
            beside = measure(others, rng, progress, COMPARED)
    shown, related = of_synthetic_alone(tables.synthetic)
    return Assessment(
        attacks=attacks,
        scores=scores,
        without_critic=beside,
        n_train=tables.train.n_rows,
        n_control=tables.control.n_rows,
        n_synthetic=tables.synthetic.n_rows,
        n_train_units=tables.train.n_units,
        n_control_units=tables.control.n_units,
        groups=groups,
        profiles=profiles(tables),
        associations=associations(tables),
        synthetic_profiles=shown,
        synthetic_associations=related,
        seconds=round(time.perf_counter() - started, 1),
    )


def _shared(tables: Tables) -> tuple[Tables, tuple[fidelity.Failure, ...]]:
    """The tables on the columns that all three have, and a fact about those that one lacks."""
    synthetic = tables.synthetic
    three = (tables.train, tables.control, synthetic)
    lacking = [
        name for name in tables.schema.modelled if any(name not in table.columns for table in three)
    ]
    gone = (*synthetic.columns, *synthetic.left_out)
    absent = [name for name in lacking if name not in gone]
    parts = [f"the synthetic table lacks {', '.join(absent)}"] if absent else []
    parts += [f"left out {name}: {why}" for name, why in synthetic.left_out.items()]
    for title, table in (("train", tables.train), ("control", tables.control)):
        if table.n_rows:
            parts += [f"left out {n}: {why} ({title} table)" for n, why in table.left_out.items()]
    if not parts:
        return tables, ()
    fact = fidelity.Failure("columns", "Columns of the schema", "; ".join(parts))
    return Tables(*(table.without(lacking) for table in three)), (fact,)


def of_synthetic_alone(synthetic: Table) -> tuple[tuple[ColumnProfile, ...], Associations]:
    """The charts of the public edition: no bin of theirs was cut on a real row."""
    alone = Tables(synthetic, synthetic, synthetic)
    return profiles(alone), associations(alone)
