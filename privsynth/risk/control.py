"""Whether the control is one: records that the maker never had."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from privsynth.errors import AssessmentError
from privsynth.risk.identifiers import plain_text
from privsynth.risk.lot import chance_of_dividing, n_divided_by_lot
from privsynth.risk.plain import PlainTable, plain_tables, row_hashes
from privsynth.table import Table, Tables

LEVEL = 1e-4
"""The chance of refusing a train and a control table that were drawn by lot."""

_FEWEST_NEAR = 0.05  # near twins for each shared record: fewer are chance themselves
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
    privsynth.errors.AssessmentError: of 1000 different records of the control, 1000 are in ...
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
    (ours, ours_plain), (theirs, theirs_plain) = (_keys(each, unit) for each in (train, control))
    counts = pc.value_counts(ours_plain)
    of_one = counts.field("values").filter(pc.equal(counts.field("counts"), 1))
    # Where case or space tells persons of the train table apart, keys are theirs as written alone.
    shared = pc.or_(
        pc.is_in(theirs, value_set=ours), pc.is_in(theirs_plain, value_set=of_one.drop_null())
    )
    n_shared = pc.sum(shared).as_py() or 0
    if n_shared:
        raise AssessmentError(
            f"column {unit!r}: the control holds {n_shared} of the persons of the train table; "
            + _WHAT_TO_DO
        )


def _keys(table: Table, unit: str) -> tuple[pa.Array, pa.Array]:
    """The keys of the persons as written, and without differences of case or space."""
    written = pc.unique(table.column(unit).combine_chunks().cast(pa.string()))
    return written, plain_text(written)


def _refuse_twins(train: PlainTable, control: PlainTable) -> None:
    """Refuse where like persons are divided between the tables more often than by lot.

    A table in which no two are alike may have been de-duplicated, which takes the pairs within it
    away and leaves those across: lot says nothing then, and distinct records are compared.
    """
    ours, theirs = _people(train, train.columns), _people(control, control.columns)
    kinds, kind = np.unique(np.r_[ours, theirs], return_inverse=True)
    in_train, in_control = (
        np.bincount(some, minlength=len(kinds)) for some in np.split(kind, [len(ours)])
    )
    alike, n_divided = in_train + in_control, int(in_train @ in_control)
    if chance_of_dividing(alike, len(theirs), n_divided) >= LEVEL:
        return
    if in_train.max() > 1 and in_control.max() > 1:
        n_pairs, by_lot = (alike * (alike - 1)).sum() // 2, n_divided_by_lot(alike, len(theirs))
        raise AssessmentError(
            f"of {n_pairs} pairs of records that are alike, {n_divided} have one in the train "
            f"table and one in the control, where lot would give about {by_lot:.0f}; {_WHAT_TO_DO}"
        )
    n_train, n_control = ((counts > 0).sum() for counts in (in_train, in_control))
    n_shared = ((in_train > 0) & (in_control > 0)).sum()
    if n_shared == min(n_train, n_control) or not _may_be_alike_by_chance(train, control, n_shared):
        raise AssessmentError(
            f"of {n_control} different records of the control, {n_shared} are in the train table "
            f"too; {_WHAT_TO_DO}"
        )


def _may_be_alike_by_chance(train: PlainTable, control: PlainTable, n_shared: int) -> bool:
    """Whether the columns are so coarse that distinct records are shared without a person shared.

    Where chance makes records alike, it also makes some that differ in one column alone, and
    de-duplication leaves these: for each that is shared as many as there are unlike values of the
    column for each like one, where others do not tell the column. The finest column does not
    count: records that are alike but for it say nothing. Of one column nothing can be said.
    """
    finest = max(train.columns, key=lambda name: len(np.unique(train.values(name))))
    for name in set(train.columns) - {finest}:
        both = np.r_[train.values(name), control.values(name)]
        _, counts = np.unique(both, return_counts=True)
        unlike = 1 / float(((counts / len(both)) ** 2).sum()) - 1
        n_near = sum(_n_alike_but_for(name, table) for table in (train, control))
        if n_near >= n_shared * max(unlike / 2, _FEWEST_NEAR):
            return True
    return len(train.columns) == 1


def _n_alike_but_for(name: str, table: PlainTable) -> int:
    """The pairs of different persons of a table who are alike in all columns but one."""
    _, first = np.unique(_people(table, table.columns), return_index=True)
    others = [column for column in table.columns if column != name]
    _, counts = np.unique(_people(table, others)[first], return_counts=True)
    return int((counts * (counts - 1)).sum()) // 2


def _people(table: PlainTable, columns: Sequence[str]) -> NDArray[Any]:
    """A number for each person, (n_persons,), equal for those alike in these columns."""
    _, person = np.unique(table.persons, return_inverse=True)
    numbers = np.zeros(person.max() + 1, dtype=np.uint64)
    hashes = row_hashes([table.values(name) for name in columns])
    np.add.at(numbers, person, hashes)  # wraps around; whatever the order of the rows
    return numbers
