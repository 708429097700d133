import re

import pytest

from privsynth.errors import UsageError
from privsynth.schema import Schema
from privsynth.schema.viability import codebook_size, viability


def schema_of(n_columns, **privacy):
    columns = {
        f"c{number}": {"kind": "integer", "lower": 0, "upper": 99} for number in range(n_columns)
    }
    who = {"who": {"kind": "id"}} if "unit" in privacy else {}
    return Schema.parse({"dataset": {"id": "d"}, "privacy": privacy, "columns": columns | who})


@pytest.mark.parametrize(
    ("column", "size"),
    [
        ({"kind": "integer", "lower": 1, "upper": 10}, 10),
        ({"kind": "integer", "lower": 0, "upper": 10_000, "missing": True}, 33),
        ({"kind": "integer", "source": "private"}, 32),
        ({"kind": "numeric", "lower": 0, "upper": 1}, 32),
        ({"kind": "categorical", "categories": ["a", "b"], "other": True, "missing": True}, 4),
        ({"kind": "categorical", "source": "private"}, 32),
        ({"kind": "boolean"}, 2),
        ({"kind": "id"}, 0),
        ({"kind": "text"}, 0),
    ],
)
def test_codes_are_counted(column, size):
    schema = Schema.parse({"dataset": {"id": "d"}, "columns": {"x": column}})
    assert codebook_size(schema.columns["x"]) == size


def test_the_line_says_what_there_is_what_to_expect_and_what_would_do():
    verdict = viability(920, schema_of(15), 1.0)
    assert verdict.verdict == "too small"
    assert re.fullmatch(
        r"920 rows for 15 columns \(1\.9 rows a code\) at epsilon 1: too small; "
        r"noise is about [0-9.]+% of a mean count; "
        r"expect no more than the outline of single columns; about [0-9,]+ rows would be ample",
        verdict.line,
    )


def test_the_number_named_is_ample_and_not_much_more_than_needed():
    schema = schema_of(15)
    named = int(
        re.search(r"about ([0-9,]+) rows", viability(920, schema, 1.0).line)[1].replace(",", "")
    )
    assert viability(int(1.15 * named), schema, 1.0).verdict == "ample"
    assert viability(int(0.7 * named), schema, 1.0).verdict == "thin"


def test_more_rows_and_more_epsilon_help_and_more_columns_hurt():
    order = ["too small", "thin", "ample"]

    def rank(n_rows=2_000, n_columns=10, epsilon=1.0):
        return order.index(viability(n_rows, schema_of(n_columns), epsilon).verdict)

    for better in ([rank(n_rows=n) for n in (100, 5_000, 10**6)],
                   [rank(epsilon=e) for e in (0.01, 1, 100)],
                   [rank(n_rows=5_000, n_columns=d) for d in (300, 10, 1)]):  # fmt: skip
        assert better == sorted(better)
        assert better[0] < better[-1]


def test_persons_are_counted_where_they_are_the_unit():
    assert viability(500, schema_of(3, unit="who"), 1.0).line.startswith("500 persons for 3 col")


@pytest.mark.parametrize(
    ("n_rows", "alike", "told"),
    [(26_049, 25_951, "about 26,000 rows"), (26, 34, "about 30 rows"), (1, 14, "about 10 rows"),
     (996, 1_040, "about 1,000 rows")],
)  # fmt: skip
def test_a_private_row_count_is_told_roughly_and_enters_nothing_else(n_rows, alike, told):
    schema = schema_of(15, row_count="private")
    found = viability(n_rows, schema, 0.1)
    assert found.line.startswith(f"{told} for 15 columns")
    assert found == viability(alike, schema, 0.1)
    assert found != viability(2 * alike, schema, 0.1)
    assert viability(n_rows, schema_of(15), 0.1).line.startswith(f"{n_rows:,} rows for 15")


def test_no_privacy_and_no_columns_need_no_rows():
    assert viability(5, schema_of(3), float("inf")).verdict == "ample"
    assert viability(5, Schema.parse({"dataset": {"id": "d"}, "columns": {"k": {"kind": "id"}}}),
                     1.0).verdict == "ample"  # fmt: skip


@pytest.mark.parametrize("epsilon", [0, -1, float("nan")])
def test_an_impossible_epsilon_is_refused(epsilon):
    with pytest.raises(UsageError, match="epsilon must be greater than 0"):
        viability(100, schema_of(1), epsilon)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "n_units", "epsilon", "verdict"),
    [
        ("adult", 32_561, 1.0, "ample"),
        ("adult", 32_561, 0.1, "too small"),
        ("heart_disease", 920, 1.0, "too small"),
        ("diabetes130", 71_518, 1.0, "ample"),
    ],
)
def test_verdicts_on_real_data_sets(shared_data, name, n_units, epsilon, verdict):
    schema = Schema.load(shared_data / name / "schema.toml")
    assert viability(n_units, schema, epsilon).verdict == verdict
