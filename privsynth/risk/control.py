"""Whether the control is one: records that the maker never had."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from privsynth.errors import AssessmentError
from privsynth.risk.plain import PlainTable, plain_tables, row_hashes
from privsynth.table import Table, Tables

LEVEL = 1e-4
"""The chance of refusing a train and a control table that were drawn by lot."""

_WHAT_TO_DO = (
    "a leak of them would show on both sides alike, and so not at all; "
    "give a control of others, whom the maker of the table never had"
)


def require_apart(train: Table, control: Table) -> None:
    """Refuse a control that shares persons with the train table: it would hide any leak of them.

    Persons are shared where a key of the privacy unit is in both tables, or where too many
    persons with the same records stand one on either side. Two people may be alike by chance, and
    in a table of few columns many are; but then lot decides whether the two are on one side.
    AssessmentError says how many are shared.

    >>> import pandas as pd
    >>> from privsynth.schema import Schema
    >>> schema = Schema.parse({"dataset": {"id": "d"},
    ...     "columns": {"cost": {"kind": "integer", "lower": 0, "upper": 9999}}})
    >>> table = Table.from_pandas(pd.DataFrame({"cost": range(1000)}), schema)
    >>> require_apart(*table.split(0.5))
    >>> require_apart(table, table)
    Traceback (most recent call last):
    ...
    privsynth.errors.AssessmentError: of 1000 records that occur twice, 1000 are in the train ...
    """
    if not control.n_rows:
        return
    if train.schema.privacy.unit != "row":
        _refuse_shared_keys(train, control)
    plain = plain_tables(Tables(train, control, train))
    if plain.train.columns:
        _refuse_twins(plain.train, plain.control)


def _refuse_shared_keys(train: Table, control: Table) -> None:
    unit = train.schema.privacy.unit
    ours, theirs = (
        pc.unique(table.column(unit).combine_chunks().cast(pa.string()))
        for table in (train, control)
    )
    n_shared = pc.sum(pc.is_in(theirs, value_set=ours)).as_py() or 0
    if n_shared:
        raise AssessmentError(
            f"column {unit!r}: the control holds {n_shared} of the persons of the train table; "
            + _WHAT_TO_DO
        )


def _refuse_twins(train: PlainTable, control: PlainTable) -> None:
    """Refuse where those who occur twice are divided between the tables more often than by lot."""
    from scipy.stats import binom

    ours, theirs = _people(train), _people(control)
    n = len(ours) + len(theirs)
    alike, count = np.unique(np.r_[ours, theirs], return_counts=True)
    twice = alike[count == 2]
    n_divided = int((np.isin(twice, ours) & np.isin(twice, theirs)).sum())
    by_lot = 2 * len(ours) * len(theirs) / (n * (n - 1))
    if len(twice) and binom.sf(n_divided - 1, len(twice), by_lot) < LEVEL:
        expected = round(by_lot * len(twice))
        raise AssessmentError(
            f"of {len(twice)} records that occur twice, {n_divided} are in the train table and in "
            f"the control, where lot would give about {expected}; " + _WHAT_TO_DO
        )


def _people(table: PlainTable) -> NDArray[Any]:
    """A number for each person, (n_persons,), equal for those whose records are the same."""
    _, person = np.unique(table.persons, return_inverse=True)
    numbers = np.zeros(person.max() + 1, dtype=np.uint64)
    hashes = row_hashes([table.values(name) for name in table.columns])
    np.add.at(numbers, person, hashes)  # wraps around; whatever the order of the rows
    return numbers
