from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from privsynth.errors import Inconclusive
from privsynth.risk.base import AttackResult, Verdict
from privsynth.risk.identifiers import Identifiers, find_in_tables, is_counter
from privsynth.risk.suite import adjusted
from privsynth.schema import Schema
from privsynth.table import Table, Tables


def tables_of(
    column: dict[str, Any],
    train: list[Any],
    control: list[Any],
    synthetic: list[Any],
) -> Tables:
    schema = Schema.parse({"dataset": {"id": "d"}, "columns": {"x": column}})
    three = [
        Table.from_pandas(pd.DataFrame({"x": pd.Series(values or [""], dtype=object)}), schema)
        for values in (train, control, synthetic)
    ]
    if not control:
        three[1] = three[1].take(np.array([], dtype=int))
    return Tables(*three)


def scan(tables: Tables) -> AttackResult:
    (result,) = Identifiers().run(tables, np.random.default_rng(0))
    assert isinstance(result, AttackResult)
    return result


KEY, NOTES = {"kind": "id"}, {"kind": "text", "action": "drop"}
NAMES = {"kind": "text", "action": "fake", "provider": "name"}


def keys(start: int, stop: int, step: int = 1) -> list[str]:
    return [f"{number}" for number in range(start, stop, step)]


def test_a_clean_table_is_supported(make_tables: Callable[..., Tables]) -> None:
    result = scan(make_tables(200, 100, 200))
    assert result.member.hits == 0
    assert result.verdict(0.05) is Verdict.SUPPORTED


def test_one_address_in_a_category_is_red() -> None:
    column = {"kind": "categorical", "categories": ["a", "ann@example.org"], "source": "data"}
    tables = tables_of(column, ["a"] * 50, ["a"] * 50, ["a"] * 999 + ["ann@example.org"])
    result = scan(tables)
    assert result.member.hits == 1
    assert result.details == {"x: e-mail": 1}
    assert result.verdict(0.5) is Verdict.NOT_SUPPORTED
    assert "ann" not in repr(result) + repr(find_in_tables(tables))


@pytest.mark.parametrize("kind", ["categorical", "ordinal"])
@pytest.mark.parametrize("source", ["declared", "documentation"])
def test_public_categories_identify_nobody_and_others_do(kind: str, source: str) -> None:
    labels = ["www.google.com", "direct"]
    column = {"kind": kind, "categories": labels, "source": source}
    tables = tables_of(column, labels * 50, labels * 50, labels * 100)
    result = scan(tables)
    assert result.details == {}
    assert result.verdict(0.05) is Verdict.SUPPORTED
    learned = tables_of({"kind": kind, "source": "private"}, labels, labels, labels)
    assert scan(learned).details == {"x: url": 1}
    others = pa.table({"x": [*labels, "www.example.org", None]})
    beyond = replace(tables, synthetic=replace(tables.synthetic, data=others))
    assert scan(beyond).details == {"x: url": 1}


def test_what_a_declared_provider_makes_is_expected() -> None:
    made = {"kind": "text", "action": "fake", "provider": "email"}
    synthetic = ["fake@example.com"] * 5
    assert (
        find_in_tables(tables_of(made, ["real@example.org"], ["r2@example.org"], synthetic)) == ()
    )
    (found,) = find_in_tables(tables_of(NAMES, ["Ann Lee"], ["Bob Ray"], synthetic))
    assert (found.kind, found.n_rows) == ("e-mail", 5)


def test_surrogates_that_meet_real_keys_are_a_coincidence() -> None:
    result = scan(tables_of(KEY, keys(0, 1000, 2), keys(1, 1000, 10), keys(1, 501)))
    assert result.details == {"x: verbatim key, by coincidence": 250}
    assert result.verdict(0.05) is Verdict.SUPPORTED


def test_real_keys_that_were_copied_are_red() -> None:
    train = keys(0, 3000, 3)
    tables = tables_of(KEY, train, keys(1, 3000, 3), train[:100])
    (found,) = find_in_tables(tables)
    assert (found.kind, found.n_rows) == ("verbatim key", 100)
    assert scan(tables).persons == 100


def test_consecutive_keys_that_are_those_of_train_alone_are_open() -> None:
    """A counter may meet real keys; but every real key copied is consecutive too."""
    train = [f"K1{number:04d}" for number in range(200)]
    control = [f"K2{number:04d}" for number in range(100)]
    result = scan(tables_of(KEY, train, control, train))
    assert result.verdict(0.05) is Verdict.INCONCLUSIVE
    assert isinstance(result.excess, Inconclusive)
    assert result.excess.reason.startswith("column 'x': consecutive keys that are those of 200")
    assert result.details == {"x: verbatim key, or a counter": 200}


def test_a_counter_that_meets_the_control_alike_is_a_coincidence() -> None:
    keys_of_all = [f"K{number:04d}" for number in np.random.default_rng(0).permutation(300)]
    synthetic = [f"K{number:04d}" for number in range(100, 250)]
    result = scan(tables_of(KEY, keys_of_all[:200], keys_of_all[200:], synthetic))
    assert result.verdict(0.05) is Verdict.SUPPORTED


def test_a_bare_counter_from_one_is_a_surrogate_whoever_has_its_numbers() -> None:
    result = scan(tables_of(KEY, keys(1, 201), keys(201, 301), keys(1, 201)))
    assert result.verdict(0.05) is Verdict.SUPPORTED
    prefixed = [f"K{number}" for number in range(1, 301)]
    made = scan(tables_of(KEY, prefixed[:200], prefixed[200:], prefixed[:200]))
    assert made.verdict(0.05) is Verdict.INCONCLUSIVE


def test_a_copied_sentence_is_red_beside_a_counter() -> None:
    schema = Schema.parse({"dataset": {"id": "d"}, "columns": {"k": KEY, "x": NOTES}})
    said = [f"came with pain in the left knee, {number} times" for number in range(300)]
    numbers = [f"K{number}" for number in range(300)]
    frame = pd.DataFrame({"k": numbers, "x": said})
    copied = frame.iloc[:200].assign(x=["nothing"] * 199 + said[:1])
    three = (frame.iloc[:200], frame.iloc[200:], copied)
    result = scan(Tables(*(Table.from_pandas(each, schema) for each in three)))
    assert result.verdict(0.05) is Verdict.NOT_SUPPORTED
    assert result.p_value is None


def test_what_was_not_scanned_is_no_pass() -> None:
    tables = tables_of(NOTES, ["one thing"] * 5, ["two things"] * 5, ["x"] * 5)
    vendors = pa.table({"x": ["x"] * 5, "mail": ["ann@example.org"] * 5})
    result = scan(replace(tables, synthetic=Table.of_what_fits(vendors, tables.schema)))
    assert result.verdict(0.05) is Verdict.INCONCLUSIVE
    assert isinstance(result.excess, Inconclusive)
    assert result.excess.reason == "not scanned: column 'mail', which does not fit the schema"


def wards(rng: np.random.Generator, letter: str, n: int) -> pd.DataFrame:
    """Persons with a five-digit number of their own in each of their 1 to 60 rows."""
    n_rows = rng.integers(1, 60, n)
    numbers = rng.choice(100_000, n, replace=False).astype(str)
    return pd.DataFrame(
        {
            "p": np.repeat([f"{letter}{i}" for i in range(n)], n_rows),
            "k": np.repeat(numbers, n_rows),
        }
    )


def test_a_person_with_many_rows_is_one_chance_match() -> None:
    """By rows, one match in twenty would look like fifty: two in five clean tables were red."""
    schema = Schema.parse(
        {
            "dataset": {"id": "d"},
            "privacy": {"unit": "p", "max_rows_per_unit": 60},
            "columns": {"p": KEY, "k": NOTES},
        }
    )
    red = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        synthetic = pd.DataFrame(
            {"p": [f"s{i}" for i in range(1000)], "k": rng.choice(100_000, 1000).astype(str)}
        )
        three = (wards(rng, "t", 400), wards(rng, "c", 100), synthetic)
        result = scan(Tables(*(Table.from_pandas(each, schema) for each in three)))
        red += result.verdict(0.05) is Verdict.NOT_SUPPORTED
    assert red <= 4


def test_short_copied_keys_come_with_a_p_value_for_the_suite() -> None:
    train = keys(0, 3000, 3)
    result = scan(tables_of(KEY, train, keys(1, 3000, 3), train[:100]))
    assert result.p_value is not None
    assert result.p_value < 1e-6
    weak = scan(tables_of(KEY, train, keys(1, 3000, 3), [train[0], *train[2:7]]))
    assert weak.p_value == pytest.approx(0.016, abs=0.002)
    (alone,) = adjusted([weak])
    assert isinstance(alone, AttackResult)
    assert alone.verdict(0.05) is Verdict.NOT_SUPPORTED
    among_many = adjusted([weak] * 20)[0]
    assert isinstance(among_many, AttackResult)
    assert among_many.verdict(0.05) is not Verdict.NOT_SUPPORTED


def test_random_short_keys_that_meet_by_chance_are_a_coincidence() -> None:
    rng = np.random.default_rng(0)
    real = rng.permutation(10_000).astype(str)
    synthetic = rng.permutation(10_000)[:500].astype(str)
    tables = tables_of(KEY, list(real[:2000]), list(real[2000:3000]), list(synthetic))
    assert find_in_tables(tables) == ()


def test_one_long_key_is_red() -> None:
    real = [f"7f3a-{number:04x}-99c2-{number * 7919:08x}" for number in range(300)]
    fresh = [f"aaaa-{number:04x}-bbbb-{number:08x}" for number in range(300)]
    (found,) = find_in_tables(tables_of(KEY, real[:200], real[200:], [*fresh, real[5]]))
    assert found.n_rows == 1


def test_one_verbatim_sentence_is_red_whatever_its_case() -> None:
    real = [f"patient {number} came with pain in the left knee" for number in range(100)]
    synthetic = ["nothing of note"] * 50 + [" " + real[7].upper()]
    (found,) = find_in_tables(tables_of(NOTES, real[:80], real[80:], synthetic))
    assert (found.kind, found.n_rows) == ("verbatim text", 1)


def test_made_up_names_that_people_have_are_a_coincidence() -> None:
    rng = np.random.default_rng(0)
    pool = [f"{a} {b}" for a in ("Ann", "Bob", "Cleo", "Dan") for b in map(chr, range(65, 91))]
    people = list(rng.permutation(pool))
    synthetic = list(rng.choice(pool, 200))
    clean = tables_of(NAMES, people[:52], people[52:], synthetic)
    assert find_in_tables(clean) == ()
    assert scan(clean).details["x: verbatim text, by coincidence"] > 0
    leaked = tables_of(NAMES, people[:52], people[52:], people[:52])
    assert [found.n_rows for found in find_in_tables(leaked)] == [52]


def test_without_control_nothing_is_called_a_coincidence() -> None:
    (found,) = find_in_tables(tables_of(NAMES, ["Ann Lee", "Bob Ray"], [], ["Ann Lee"]))
    assert found.n_rows == 1


def test_text_that_many_people_share_identifies_nobody() -> None:
    tables = tables_of(NOTES, ["no findings"] * 50, ["no findings"] * 20, ["no findings"] * 50)
    assert find_in_tables(tables) == ()


def test_a_dropped_column_is_no_failure() -> None:
    tables = tables_of(NOTES, ["one thing"] * 5, ["two things"] * 5, ["x"] * 5)
    lacking = Table(tables.schema, pa.table({"other": pa.array([1, 2])}))
    assert find_in_tables(Tables(tables.train, tables.control, lacking)) == ()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "2", "3"], True),
        (["S-010", "S-009", "S-009"], True),
        (["1", "2", "4"], False),
        (["A1", "B2"], False),
        (["x", "y"], False),
        (["1", "01"], False),
        ([], False),
    ],
)
def test_counters_are_recognised(values: list[str], expected: bool) -> None:
    assert is_counter(pa.array(values, pa.string())) is expected
