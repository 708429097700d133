"""Public business rules, checked row by row.

A rule is kept where it is true or unknown: a missing entry in one of its columns keeps it, as in
SQL. A rule over a column that the table does not hold, such as text that was dropped, is kept.
Constraints are numbered from 1, as they stand in the schema file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from privsynth.conform import within_bounds
from privsynth.errors import SchemaError
from privsynth.schema import (
    OTHER,
    CategoricalColumn,
    DateColumn,
    DatetimeColumn,
    IntegerColumn,
    NumericColumn,
    OrdinalColumn,
    RangeColumn,
)
from privsynth.schema.rules import (
    Constraint,
    FixedCombination,
    FunctionalDependency,
    Implication,
    Inequality,
    RangeRule,
    SqlRule,
    columns_of,
)
from privsynth.table import Table

Mask = NDArray[np.bool_]


def satisfied(table: Table) -> Mask:
    """The rows, (n_rows,), that keep every constraint of the table's schema.

    SchemaError where a rule does not fit the columns it names, or its SQL cannot be evaluated.
    """
    kept = np.ones(table.n_rows, dtype=bool)
    for _, mask in _masks(table):
        kept &= mask
    return kept


def derived(table: Table, held: Collection[str] = ()) -> Table:
    """The table with each functionally dependent column set to what its rule says.

    A drawn record then keeps such a rule by construction, instead of being drawn again. Columns
    that are `held` stay as they are.

    >>> from privsynth.schema import Schema
    >>> schema = Schema.parse({"dataset": {"id": "d"}, "columns": {
    ...     "code": {"kind": "categorical", "categories": ["I21"]},
    ...     "text": {"kind": "categorical", "categories": ["Infarction", "Delivery"]}},
    ...     "constraints": [{"kind": "functional_dependency", "column": "code",
    ...                      "determines": "text", "mapping": {"I21": "Infarction"}}]})
    >>> drawn = Table.from_arrow(pa.table({"code": ["I21"], "text": ["Delivery"]}), schema)
    >>> derived(drawn).labels("text").tolist()
    ['Infarction']
    """
    data = table.data
    for rule in table.schema.constraints:
        if not isinstance(rule, FunctionalDependency) or rule.determines in held:
            continue
        if set(columns_of(rule)) <= set(table.columns):
            given = data.column(rule.column).cast(pa.string())
            row = pc.index_in(given, pa.array(list(rule.mapping)))
            said = pa.array(list(rule.mapping.values())).take(row.combine_chunks())
            old = data.column(rule.determines)
            new = pc.if_else(pc.is_valid(row), said.cast(old.type), old)
            data = data.set_column(data.column_names.index(rule.determines), rule.determines, new)
    return Table(table.schema, data, table.storage)


def violations(table: Table) -> dict[int, int]:
    """The number of rows that break each constraint; constraints that all rows keep are left out.

    >>> from privsynth.schema import Schema
    >>> schema = Schema.parse({"dataset": {"id": "d"}, "columns": {
    ...     "low": {"kind": "integer", "lower": 0, "upper": 9},
    ...     "high": {"kind": "integer", "lower": 0, "upper": 9}},
    ...     "constraints": [{"kind": "inequality", "low": "low", "high": "high"}]})
    >>> violations(Table.from_arrow(pa.table({"low": [1, 5], "high": [2, 3]}), schema))
    {1: 1}
    """
    counts = {number: int(np.count_nonzero(~mask)) for number, mask in _masks(table)}
    return {number: n_bad for number, n_bad in counts.items() if n_bad}


def require_constraints(table: Table) -> None:
    """Refuse records that break a constraint of their own schema."""
    for number, n_bad in violations(table).items():
        rows = "1 row breaks" if n_bad == 1 else f"{n_bad} rows break"
        kind = table.schema.constraints[number - 1].kind
        raise SchemaError(
            f"constraint {number} ({kind}): {rows} it; correct the records or the constraint"
        )


class _Unfit(Exception):  # noqa: N818 - a reason, which never leaves this module
    """Why a rule cannot be applied to the columns that it names."""


def _masks(table: Table) -> Iterator[tuple[int, Mask]]:
    for number, rule in enumerate(table.schema.constraints, start=1):
        if not set(columns_of(rule)) <= set(table.columns):
            continue
        try:
            mask = _mask(table, rule)
        except _Unfit as unfit:
            raise SchemaError(f"constraint {number} ({rule.kind}): {unfit}") from None
        yield number, mask


def _mask(table: Table, rule: Constraint) -> Mask:
    match rule:
        case Inequality():
            return _inequality(table, rule)
        case FixedCombination():
            return _known_rows(table, rule.columns, rule.combinations)
        case Implication():
            applies = _is_one_of(table, rule.column, (rule.value,))
            allowed = _is_one_of(table, rule.then, rule.allowed)
            return ~applies | allowed | table.missing(rule.then)
        case RangeRule():
            return _range(table, rule)
        case FunctionalDependency():
            named = _is_one_of(table, rule.column, tuple(rule.mapping))
            pairs = tuple(rule.mapping.items())
            return ~named | _known_rows(table, (rule.column, rule.determines), pairs)
        case SqlRule():
            return _sql(table, rule.expression)


def _inequality(table: Table, rule: Inequality) -> Mask:
    low, high = _ordered(table, rule.low), _ordered(table, rule.high)
    kinds = [table.schema.columns[name] for name in (rule.low, rule.high)]
    if any(isinstance(kind, OrdinalColumn) for kind in kinds):
        scales = {getattr(kind, "categories", None) for kind in kinds}
        if len(scales) > 1:
            raise _Unfit(f"{rule.low!r} and {rule.high!r} have not the same categories")
    elif len({isinstance(kind, DateColumn | DatetimeColumn) for kind in kinds}) > 1:
        raise _Unfit(f"{rule.low!r} and {rule.high!r} are a date and a number")
    return _true_or_unknown((pc.less if rule.strict else pc.less_equal)(low, high))


def _range(table: Table, rule: RangeRule) -> Mask:
    if not isinstance(table.schema.columns[rule.column], IntegerColumn | NumericColumn):
        raise _Unfit(f"{rule.column!r} is not a number")
    column, kept = table.column(rule.column), np.ones(table.n_rows, dtype=bool)
    if rule.lower is not None:
        kept &= _true_or_unknown(pc.greater_equal(column, rule.lower))
    if rule.upper is not None:
        kept &= _true_or_unknown(pc.less_equal(column, rule.upper))
    if rule.when is None or rule.equals is None:
        return kept
    return kept | ~_is_one_of(table, rule.when, (rule.equals,))


def _known_rows(table: Table, names: Sequence[str], combinations: Sequence[Sequence[str]]) -> Mask:
    """The rows whose values in `names` are one of the combinations, or partly missing."""
    if any(len(combination) != len(names) for combination in combinations):
        raise _Unfit(f"a combination has not {len(names)} values")
    cells = np.zeros(table.n_rows, dtype=np.int64)
    allowed = np.zeros(len(combinations), dtype=np.int64)
    missing = np.zeros(table.n_rows, dtype=bool)
    for position, name in enumerate(names):
        texts = [combination[position] for combination in combinations]
        known = pc.unique(_values(table, name, texts))
        missing |= table.missing(name)
        cells = cells * (len(known) + 1) + _positions(table.column(name), known)
        allowed = allowed * (len(known) + 1) + _positions(_values(table, name, texts), known)
    return np.logical_or(np.isin(cells, allowed), missing)


def _positions(values: pa.Array | pa.ChunkedArray, known: pa.Array) -> NDArray[np.int64]:
    """The place of each value among the known ones, and one place beyond for all others."""
    places = pc.fill_null(pc.index_in(values, known), len(known))
    return np.asarray(places.to_numpy(zero_copy_only=False), dtype=np.int64)


def _is_one_of(table: Table, name: str, texts: Sequence[str]) -> Mask:
    """Where a column has one of the values; False where it is missing."""
    return np.asarray(pc.is_in(table.column(name), _values(table, name, texts)).to_numpy())


def _values(table: Table, name: str, texts: Sequence[str]) -> pa.Array:
    """The values that a rule writes as text, in the type of their column."""
    kind = table.schema.columns[name]
    listed = isinstance(kind, CategoricalColumn | OrdinalColumn) and kind.categories
    if listed and (unknown := set(texts) - {*listed, OTHER}):
        plural = "" if len(unknown) == 1 else "s"
        raise _Unfit(f"it names {len(unknown)} value{plural} unknown to column {name!r}")
    try:
        values = pa.array(texts, pa.string()).cast(table.column(name).type)
    except pa.ArrowInvalid:
        raise _Unfit(f"a value it names is not of the kind of column {name!r}") from None
    if isinstance(kind, RangeColumn) and not within_bounds(values, kind).all():
        raise _Unfit(f"a value it names lies outside the domain of column {name!r}")
    return values


def _ordered(table: Table, name: str) -> pa.ChunkedArray:
    """A column as something that can be compared."""
    match table.schema.columns[name]:
        case OrdinalColumn(categories=categories) if categories:
            return pc.index_in(table.column(name), pa.array(categories))
        case IntegerColumn() | NumericColumn():
            return table.column(name)
        case DateColumn() | DatetimeColumn():
            return table.column(name).cast(pa.timestamp("us"))
    raise _Unfit(f"column {name!r} has no order")


def _true_or_unknown(answers: pa.ChunkedArray) -> Mask:
    return np.asarray(pc.fill_null(answers, True).to_numpy())


_SEALED = {
    "enable_external_access": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,
    "lock_configuration": True,
    "threads": 1,  # keeps the rows in order
}


def _sql(table: Table, expression: str) -> Mask:
    """The rows for which the expression is true or unknown, by DuckDB, sealed off."""
    records = table.data
    for name in table.schema.columns:
        if name not in table.columns:  # reads as missing, so that a rule over it is unknown
            records = records.append_column(name, pa.nulls(table.n_rows, pa.string()))
    try:
        _evaluate(records.slice(0, 0), expression)
    except ValueError as fault:
        raise _Unfit(str(fault)) from None
    try:
        answers = _evaluate(records, expression)
    except ValueError:  # this one may quote a record
        raise _Unfit("its expression cannot be evaluated for every record") from None
    if len(answers) != table.n_rows:
        raise _Unfit("its expression must speak of one row at a time")
    return _true_or_unknown(answers)


def _evaluate(records: pa.Table, expression: str) -> pa.ChunkedArray:
    """The expression for each record; ValueError with DuckDB's first line where it is wrong."""
    import duckdb

    query = f"SELECT (\n{expression}\n) AS kept FROM records"  # noqa: S608 - sealed, and public
    with duckdb.connect(":memory:", config=dict(_SEALED)) as connection:
        connection.register("records", records)
        try:
            relation = connection.sql(query)
            if [str(kind) for kind in relation.types] != ["BOOLEAN"]:
                raise ValueError("its expression must be true or false")
            return relation.to_arrow_table().column(0)
        except duckdb.Error as error:
            raise ValueError(str(error).partition("\n")[0]) from None
