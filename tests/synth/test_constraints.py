import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

import privsynth as ps
from privsynth.errors import SchemaError
from privsynth.schema import Schema
from privsynth.synth.constraints import require_constraints, satisfied, violations
from privsynth.table import Table

COLUMNS = {
    "admitted": {
        "kind": "date",
        "lower": dt.date(2020, 1, 1),
        "upper": dt.date(2030, 1, 1),
        "missing": True,
    },
    "discharged": {
        "kind": "datetime",
        "lower": dt.datetime(2020, 1, 1),
        "upper": dt.datetime(2030, 1, 1),
        "missing": True,
    },
    "stay": {"kind": "integer", "lower": 0, "upper": 99},
    "cost": {"kind": "numeric", "lower": 0, "upper": 1e6, "missing": True},
    "sex": {"kind": "categorical", "categories": ["f", "m"], "missing": True},
    "code": {"kind": "categorical", "categories": ["O80", "I21"], "other": True},
    "before": {"kind": "ordinal", "categories": ["low", "mid", "high"]},
    "after": {"kind": "ordinal", "categories": ["low", "mid", "high"]},
    "well": {"kind": "boolean"},
    "note": {"kind": "text", "action": "drop"},
}
ROWS = {
    "admitted": [dt.date(2021, 1, 5), dt.date(2021, 1, 5), None, dt.date(2021, 1, 5)],
    "discharged": [
        dt.datetime(2021, 1, 5),
        dt.datetime(2021, 1, 4),
        dt.datetime(2021, 1, 1),
        dt.datetime(2021, 2, 1),
    ],
    "stay": [0, 1, 2, 30],
    "cost": [10.0, None, 30.0, 900.5],
    "sex": ["f", "m", None, "f"],
    "code": ["O80", "O80", "O80", "I21"],
    "before": ["low", "mid", "high", "low"],
    "after": ["mid", "mid", "low", "high"],
    "well": [True, False, True, True],
    "note": ["a", "b", "c", "d"],
}


def table_with(*rules: dict[str, object]) -> Table:
    schema = Schema.parse({"dataset": {"id": "d"}, "columns": COLUMNS, "constraints": list(rules)})
    return Table.from_arrow(pa.table(ROWS), schema)


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        ({"kind": "inequality", "low": "admitted", "high": "discharged"}, [1, 0, 1, 1]),
        (
            {"kind": "inequality", "low": "admitted", "high": "discharged", "strict": True},
            [0, 0, 1, 1],
        ),
        ({"kind": "inequality", "low": "stay", "high": "cost"}, [1, 1, 1, 1]),
        ({"kind": "inequality", "low": "before", "high": "after"}, [1, 1, 0, 1]),
        (
            {
                "kind": "fixed_combination",
                "columns": ["code", "sex"],
                "combinations": [["O80", "f"], ["I21", "f"]],
            },
            [1, 0, 1, 1],
        ),
        (
            {
                "kind": "fixed_combination",
                "columns": ["stay", "well"],
                "combinations": [["0", "true"], ["1", "false"], ["2", "false"]],
            },
            [1, 1, 0, 0],
        ),
        (
            {"kind": "implication", "column": "code", "value": "O80", "then": "sex",
             "allowed": ["f"]},
            [1, 0, 1, 1],
        ),
        (
            {"kind": "implication", "column": "well", "value": "true", "then": "stay",
             "allowed": ["0", "2"]},
            [1, 1, 1, 0],
        ),
        ({"kind": "range", "column": "cost", "lower": 20}, [0, 1, 1, 1]),
        ({"kind": "range", "column": "cost", "lower": 10, "upper": 30}, [1, 1, 1, 0]),
        (
            {"kind": "range", "column": "stay", "upper": 20, "when": "code", "equals": "O80"},
            [1, 1, 1, 1],
        ),
        (
            {"kind": "range", "column": "stay", "upper": 20, "when": "code", "equals": "I21"},
            [1, 1, 1, 0],
        ),
        (
            {"kind": "functional_dependency", "column": "code", "determines": "before",
             "mapping": {"O80": "mid"}},
            [0, 1, 0, 1],
        ),
        ({"kind": "sql", "expression": "cost > stay * 20"}, [1, 1, 0, 1]),
        ({"kind": "sql", "expression": "admitted is null or well -- a comment"}, [1, 0, 1, 1]),
    ],
)  # fmt: skip
def test_a_rule_keeps_the_rows_where_it_is_true_or_unknown(rule, kept):
    table = table_with(rule)
    np.testing.assert_array_equal(satisfied(table), np.array(kept, dtype=bool))
    n_bad = kept.count(0)
    assert violations(table) == ({1: n_bad} if n_bad else {})


def test_rows_must_keep_every_rule():
    table = table_with(
        {"kind": "inequality", "low": "admitted", "high": "discharged"},
        {"kind": "range", "column": "stay", "upper": 99},
        {"kind": "inequality", "low": "before", "high": "after"},
    )
    np.testing.assert_array_equal(satisfied(table), [True, False, False, True])
    assert violations(table) == {1: 1, 3: 1}


def test_no_rule_keeps_every_row():
    assert satisfied(table_with()).all()


def test_no_rows_break_no_rule():
    table = table_with(
        {"kind": "inequality", "low": "admitted", "high": "discharged"},
        {"kind": "sql", "expression": "stay > 3"},
        {"kind": "fixed_combination", "columns": ["code", "sex"], "combinations": [["O80", "f"]]},
    ).take(np.array([], dtype=np.int64))
    assert satisfied(table).shape == (0,)
    assert violations(table) == {}


def test_a_rule_over_an_absent_column_is_kept():
    table = table_with(
        {"kind": "sql", "expression": "note = 'a'"},
        {"kind": "implication", "column": "note", "value": "a", "then": "sex", "allowed": ["f"]},
    )
    assert violations(table) == {1: 3}
    dropped = Table(table.schema, table.data.drop_columns(["note"]))
    assert satisfied(dropped).all()


def test_the_rows_stay_in_order_through_sql():
    n = 50_000
    schema = Schema.parse(
        {
            "dataset": {"id": "d"},
            "columns": {"x": {"kind": "integer", "lower": 0, "upper": n}},
            "constraints": [{"kind": "sql", "expression": "x % 3 = 0"}],
        }
    )
    order = np.random.default_rng(0).permutation(n)
    table = Table.from_arrow(pa.table({"x": order}), schema)
    np.testing.assert_array_equal(satisfied(table), order % 3 == 0)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            {"kind": "inequality", "low": "admitted", "high": "stay"},
            "constraint 1 (inequality): 'admitted' and 'stay' are a date and a number",
        ),
        (
            {"kind": "inequality", "low": "sex", "high": "stay"},
            "constraint 1 (inequality): column 'sex' has no order",
        ),
        (
            {"kind": "inequality", "low": "before", "high": "stay"},
            "constraint 1 (inequality): 'before' and 'stay' have not the same categories",
        ),
        (
            {"kind": "range", "column": "sex", "upper": 1},
            "constraint 1 (range): 'sex' is not a number",
        ),
        (
            {"kind": "implication", "column": "sex", "value": "x", "then": "code",
             "allowed": ["I21"]},
            "constraint 1 (implication): it names 1 value unknown to column 'sex'",
        ),
        (
            {"kind": "implication", "column": "stay", "value": "x", "then": "code",
             "allowed": ["I21"]},
            "constraint 1 (implication): a value it names is not of the kind of column 'stay'",
        ),
        (
            {"kind": "fixed_combination", "columns": ["sex", "code"], "combinations": [["f"]]},
            "constraint 1 (fixed_combination): a combination has not 2 values",
        ),
        (
            {"kind": "sql", "expression": "nobody > 3"},
            'constraint 1 (sql): Binder Error: Referenced column "nobody" not found in FROM '
            "clause!",
        ),
        (
            {"kind": "sql", "expression": "stay + 1"},
            "constraint 1 (sql): its expression must be true or false",
        ),
        (
            {"kind": "sql", "expression": "max(stay) > 1"},
            "constraint 1 (sql): its expression must speak of one row at a time",
        ),
    ],
)  # fmt: skip
def test_a_rule_that_does_not_fit_its_columns_is_a_schema_error(rule, message):
    with pytest.raises(SchemaError) as caught:
        satisfied(table_with(rule))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "expression",
    [
        "stay > ",
        "1 = 1; drop view records",
        "true) union all (select false",
        "exists(select * from read_csv('/etc/hostname'))",
        "(select count(*) from glob('/*')) > 0",
        "stay > 1), (stay < 1",
    ],
)
def test_sql_cannot_leave_its_row(expression):
    with pytest.raises(SchemaError, match=r"^constraint 1 \(sql\): "):
        satisfied(table_with({"kind": "sql", "expression": expression}))


def test_an_sql_error_does_not_quote_a_record():
    with pytest.raises(SchemaError) as caught:
        satisfied(table_with({"kind": "sql", "expression": "cast(note as integer) > 0"}))
    assert str(caught.value) == (
        "constraint 1 (sql): its expression cannot be evaluated for every record"
    )


def test_records_that_break_a_rule_are_refused_with_their_number():
    require_constraints(table_with({"kind": "range", "column": "stay", "upper": 99}))
    with pytest.raises(SchemaError) as caught:
        require_constraints(table_with({"kind": "range", "column": "stay", "upper": 0}))
    assert str(caught.value) == (
        "constraint 1 (range): 3 rows break it; correct the records or the constraint"
    )


def test_a_rule_may_name_no_value_outside_the_domain():
    rule = {"kind": "functional_dependency", "column": "sex", "determines": "stay"}
    satisfied(table_with(rule | {"mapping": {"f": "99"}}))
    with pytest.raises(SchemaError, match="lies outside the domain of column 'stay'"):
        satisfied(table_with(rule | {"mapping": {"f": "100"}}))


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "range", "column": "stay", "upper": 0},
        {"kind": "functional_dependency", "column": "sex", "determines": "stay",
         "mapping": {"f": "100"}},
    ],
)  # fmt: skip
def test_a_fit_looks_at_the_rules_before_it_charges(rule):
    ledger, schema = ps.Ledger(), table_with(rule).schema
    rows = pa.table({name: values * 50 for name, values in ROWS.items()})
    with pytest.raises(SchemaError, match="constraint 1"):
        ps.Marginal().fit(Table.from_arrow(rows, schema), ps.PrivacyBudget(1, 1e-5), ledger=ledger)
    assert ledger.entries() == ()


def test_the_other_bucket_can_be_named():
    table = table_with(
        {"kind": "implication", "column": "code", "value": "(other)", "then": "sex",
         "allowed": ["m"]}
    )  # fmt: skip
    assert violations(table) == {}
    other = pa.table({**ROWS, "code": ["O80", "X", "X", "X"]})
    assert violations(Table.from_arrow(other, table.schema)) == {1: 1}
