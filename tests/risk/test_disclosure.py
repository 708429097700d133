"""Small groups on the quasi-identifiers, counted by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from privsynth.errors import Inconclusive
from privsynth.risk.disclosure import Disclosure, disclosure
from privsynth.schema import Schema
from privsynth.table import Table, Tables

LABELS = {"kind": "categorical", "categories": ["a", "b", "c"], "missing": True}
NUMBER = {"kind": "integer", "lower": 0, "upper": 99, "missing": True}


def table(known: str, secret: str, role: str = "quasi_identifier", **more: list[float]) -> Table:
    columns = {"town": LABELS | {"role": role}, "illness": LABELS | {"role": "sensitive"}}
    columns |= {name: NUMBER | {"role": role} for name in more}
    schema = Schema.parse({"dataset": {"id": "d"}, "columns": columns})
    frame = pd.DataFrame({"town": list(known), "illness": list(secret)} | more)
    return Table.from_pandas(frame.replace("-", None), schema)


def found(real: Table, synthetic: Table) -> Disclosure:
    result = disclosure(Tables(real, real, synthetic))
    assert isinstance(result, Disclosure)
    return result


def test_groups_are_those_of_a_count_by_hand() -> None:
    real = table("aaabbc", "abcaba")
    figures = found(real, table("aabb", "aaab"))
    assert figures.k_map == 2  # town b, of two; the lone c is not in the synthetic table
    assert figures.real_unique == pytest.approx(1 / 6)
    assert figures.repu == 0.0
    assert figures.disco == pytest.approx(1 / 6)  # town a tells illness a: one of three in a


def test_a_copy_replicates_every_unique() -> None:
    real = table("abc", "abc")
    figures = found(real, real)
    assert (figures.k_map, figures.real_unique, figures.repu, figures.disco) == (1, 1.0, 1.0, 1.0)


def test_a_missing_secret_is_never_told() -> None:
    assert found(table("aab", "--b"), table("aab", "aab")).disco == pytest.approx(1 / 3)
    assert found(table("ab", "ab"), table("abb", "-bb")).disco == pytest.approx(0.5)


def test_missing_numbers_are_a_group() -> None:
    real = table("aaaa", "abab", age=[float("nan")] * 2 + [5.0, 90.0])
    figures = found(real, real)
    assert figures.real_unique == 0.5


def test_without_quasi_identifiers_nothing_is_said() -> None:
    real = table("abc", "abc", role="ordinary")
    result = disclosure(Tables(real, real, real))
    assert isinstance(result, Inconclusive)
    assert "quasi-identifier" in result.reason


def test_a_table_that_shares_no_group_maps_to_nobody() -> None:
    figures = found(table("ab", "ab"), table("cc", "ab"))
    assert (figures.k_map, figures.repu, figures.disco) == (0, 0.0, 0.0)


def test_twenty_rows_of_one_person_are_no_group() -> None:
    schema = Schema.parse(
        {
            "dataset": {"id": "d"},
            "privacy": {"unit": "who", "max_rows_per_unit": 20},
            "columns": {
                "who": {"kind": "id"},
                "town": LABELS | {"role": "quasi_identifier"},
                "illness": LABELS | {"role": "sensitive"},
            },
        }
    )
    frame = pd.DataFrame(
        {
            "who": ["ann"] * 20 + [f"p{i}" for i in range(9)],
            "town": ["a"] * 20 + ["b"] * 9,
            "illness": ["c"] * 20 + ["a"] * 8 + ["b"],
        }
    )
    real = Table.from_pandas(frame, schema)
    figures = found(real, real)
    assert figures.k_map == 1
    assert figures.real_unique == figures.repu == pytest.approx(0.1)
    assert figures.disco == pytest.approx(0.1)


def test_a_secret_number_is_told_by_its_bin() -> None:
    schema = Schema.parse(
        {
            "dataset": {"id": "d"},
            "columns": {
                "town": LABELS | {"role": "quasi_identifier"},
                "wage": NUMBER | {"role": "sensitive"},
            },
        }
    )

    def wages(towns: str, wage: list[float]) -> Table:
        return Table.from_pandas(pd.DataFrame({"town": list(towns), "wage": wage}), schema)

    real = wages("aabbbbbbbbbb", [1, 1, *range(10, 100, 9)])
    figures = found(real, wages("aab", [1, 1, 50]))
    assert figures.sensitive == ("wage",)
    assert figures.disco == pytest.approx(3 / 12)
