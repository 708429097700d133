"""The limits have sources; a policy file is read strictly, and decides which attackers count."""

import re

import pytest

from privsynth.errors import UsageError
from privsynth.report.policy import PUBLISHED, Policy
from privsynth.schema import Schema


def test_every_threshold_has_a_value_and_a_source():
    assert all(each.value and each.source for each in PUBLISHED)
    values = " ".join(each.value for each in PUBLISHED)
    assert "0.09" in values
    assert "11" in values


def test_the_limit_on_excess_is_named_as_local_policy():
    assert Policy().excess_limit == 0.10
    assert "local policy" in Policy().source


def test_no_threshold_is_claimed_for_epsilon():
    epsilon = next(each for each in PUBLISHED if each.name == "Epsilon")
    assert epsilon.use == "information"
    assert "no legal threshold" in epsilon.value


DOCUMENT = {
    "limits": {"excess": 0.05, "source": "access board, minute 14", "set_by": "A. Meyer"},
    "conditions": ["Only on the secure server."],
    "linkability": [
        {"name": "registry and insurer", "first": ["age", "sex"], "second": ["ward"]},
    ],
}

TEXT = """
[limits]
excess = 0.05
source = "access board, minute 14"
set_by = "A. Meyer"

[[linkability]]
name = "registry and insurer"
first = ["age", "sex"]
second = ["ward"]
"""


def test_a_policy_file_says_limits_who_set_them_and_attackers(tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text(TEXT, encoding="utf-8")
    policy = Policy.load(path)
    assert (policy.excess_limit, policy.set_by) == (0.05, "A. Meyer")
    assert policy.linkability[0].columns == ("age", "sex", "ward")
    assert policy.conditions == Policy().conditions


@pytest.mark.parametrize("policy", [Policy(), Policy.parse(DOCUMENT)])
def test_what_a_policy_writes_it_reads(policy):
    assert Policy.parse(policy.to_dict()) == policy


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"limits": {"excess": 0.05, "source": "x"}}, "limits.set_by: is missing"),
        ({"limits": DOCUMENT["limits"] | {"excess": 0}}, "limits.excess: input should be greater"),
        ({"limits": DOCUMENT["limits"] | {"exces": 1}}, "limits: unknown key 'exces'; known keys"),
        ({"treshold": 1}, "the top level: unknown key 'treshold'; known keys: limits"),
        ({"linkability": [{"name": "x", "first": ["a"]}]}, "linkability.0.second: is missing"),
        ({"linkability": [{"name": "x", "first": [], "second": ["a"]}]}, "linkability.0.first"),
        ({"linkability": [{"name": "x", "first": ["a"], "second": ["b", "a"]}]},
         "column 'a' stands in it twice"),
        ({"linkability": [{"name": "x", "first": ["a", "a"], "second": ["b"]}]},
         "column 'a' stands in it twice"),
        ({"linkability": [DOCUMENT["linkability"][0] | {"third": []}]}, "known keys: name, first"),
    ],
)  # fmt: skip
def test_a_wrong_policy_is_named_with_its_place(changed, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        Policy.parse(DOCUMENT | changed)


@pytest.mark.parametrize("text", ["[limits", "\xff"])
def test_a_file_that_is_no_policy_is_refused_in_one_line(tmp_path, text):
    path = tmp_path / "policy.toml"
    path.write_bytes(text.encode("latin-1"))
    for wrong in (path, tmp_path / "none.toml"):
        with pytest.raises(UsageError, match="policy file") as told:
            Policy.load(wrong)
        assert "\n" not in str(told.value)


def test_sources_of_columns_that_are_not_released_are_refused():
    columns = {name: {"kind": "boolean"} for name in ("age", "sex", "ward")}
    schema = Schema.parse({"dataset": {"id": "d"}, "columns": columns})
    Policy.parse(DOCUMENT).require_columns(schema)
    with pytest.raises(UsageError, match="'registry and insurer' name ward"):
        Policy.parse(DOCUMENT).require_columns(schema.without(["ward"]))


def test_declared_sources_take_the_place_of_the_dealt_ones():
    assert Policy().attacks() == {}
    (attack,) = Policy.parse(DOCUMENT).attacks().values()
    assert attack.sources == Policy.parse(DOCUMENT).linkability
