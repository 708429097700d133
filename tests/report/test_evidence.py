from dataclasses import replace

import numpy as np
import pytest

from privsynth.errors import Inconclusive
from privsynth.privacy.accountant import trade_off
from privsynth.report.evidence import evidence
from privsynth.report.policy import Policy
from privsynth.risk.base import Rate
from privsynth.schema import Schema


def facts_of(example, guarantee, schema=None, **values):
    found = evidence(schema or example.SCHEMA, guarantee, example.assessment(**values), Policy())
    return {fact.id: fact for fact in found}


def test_every_result_is_a_fact_and_ids_differ(example):
    assessment = example.assessment()
    found = evidence(example.SCHEMA, None, assessment, Policy())
    assert len({fact.id for fact in found}) == len(found)
    tested = [fact for fact in found if fact.section == "testing"]
    assert len(tested) == len(assessment.attacks)
    measured = [fact for fact in found if fact.section == "fidelity"]
    assert len(measured) == len(assessment.scores)


def test_small_groups_are_described_for_the_controller_and_decide_nothing(example):
    found = {k: f for k, f in facts_of(example, None).items() if f.section == "groups"}
    assert [fact.value for fact in found.values()] == ["<11", 0.021, 0.0043, 0.0127]
    assert all(fact.verdict is None for fact in found.values())
    assert all(fact.sensitivity == "controller" for fact in found.values())
    without = facts_of(example, None, groups=replace(example.GROUPS, disco=None))
    assert "groups.disco" not in without


def test_groups_that_could_not_be_counted_say_why(example):
    found = facts_of(example, None, groups=Inconclusive("no quasi-identifier"))["groups.groups"]
    assert (found.verdict, found.reason) == ("inconclusive", "no quasi-identifier")


def test_two_results_of_one_name_are_both_kept(example):
    one = example.attacks()[0]
    found = facts_of(example, None, attacks=(one, one))
    assert {"testing.copies_exact", "testing.copies_exact.2"} <= set(found)


def test_a_failure_is_a_fact_with_its_reason(example):
    found = facts_of(example, None)
    assert found["testing.inference_insurer"].reason == "its value is known for 12 persons"
    assert found["fidelity.sdmetrics_quality"].is_inconclusive
    assert found["testing.inference_died"].value is None
    assert found["testing.inference_died"].reason.startswith("only 22 trials")


def test_the_ceiling_is_what_the_trade_off_leaves(example):
    guarantee = example.guarantee()
    trial = facts_of(example, guarantee)["testing.inference_diagnosis"].trial
    low, high = Rate(204, 1000).interval()
    missed = trade_off(guarantee.plan.mechanisms, np.array([low, high]), "replace_one")
    assert trial.ceiling == pytest.approx(1 - missed[1])
    assert trial.ceiling_excess == pytest.approx(1 - missed[1] - high, abs=1e-3)
    assert 0.204 < trial.ceiling < 0.4


def test_no_hit_in_few_control_trials_does_not_put_the_ceiling_at_the_floor(example):
    few = replace(example.attacks()[0], control=Rate(0, 90), member=Rate(3, 900))
    trial = facts_of(example, example.guarantee(), attacks=(few,))["testing.copies_exact"].trial
    assert trial.ceiling > 0.04  # no hit in 90 agrees with a rate of .04
    assert trial.ceiling_excess > 0.01


def test_a_query_that_may_hit_anybody_is_bounded_by_the_sum_over_persons(example):
    guarantee = example.guarantee()
    one = example.attacks()[2]
    many = replace(one, details={"persons_a_side": 1000})
    found = facts_of(example, guarantee, attacks=(one, many))
    named, anybody = (
        found[f"testing.{name}"].trial
        for name in ("singling_out_univariate", "singling_out_univariate.2")
    )
    _, high = one.control.interval()
    missed = trade_off(guarantee.plan.mechanisms, np.array([high / 1000]), "replace_one")
    assert anybody.ceiling == pytest.approx(min(1, 1000 * (1 - missed[0])))
    assert named.ceiling < anybody.ceiling <= 1


@pytest.mark.parametrize("guarantee", ["none", "no privacy", "void"])
def test_there_is_no_ceiling_without_a_proof_that_holds(example, guarantee):
    given = {
        "none": None,
        "no privacy": example.guarantee(private=False),
        "void": example.guarantee(void=("a known seed",)),
    }[guarantee]
    found = facts_of(example, given)
    assert all(fact.trial.ceiling_excess is None for fact in found.values() if fact.trial)


def test_verdicts_are_held_against_the_policy(example):
    assert facts_of(example, None)["testing.singling_out_5"].verdict == "supported"
    strict = Policy(excess_limit=0.01)
    found = evidence(example.SCHEMA, None, example.assessment(), strict)
    verdicts = {fact.id: fact.verdict for fact in found}
    assert verdicts["testing.singling_out_5"] == "inconclusive"
    assert {fact.reference for fact in found if fact.section == "testing" and fact.trial} == {0.01}


def test_counts_are_public_only_as_far_as_the_schema_says(example):
    by_person = facts_of(example, None)
    assert by_person["data.train.units"].sensitivity == "public"
    assert by_person["data.train.rows"].sensitivity == "controller"
    document = example.SCHEMA.to_dict()
    hidden = Schema.parse(document | {"privacy": document["privacy"] | {"row_count": "private"}})
    found = facts_of(example, None, hidden)
    assert found["data.train.units"].sensitivity == "controller"
    assert found["data.control.units"].sensitivity == "controller"
    by_row = Schema.parse(document | {"privacy": {"unit": "row"}})
    assert facts_of(example, None, by_row)["data.train.rows"].sensitivity == "public"
    hidden = Schema.parse(document | {"privacy": {"unit": "row", "row_count": "private"}})
    assert facts_of(example, None, hidden)["data.train.rows"].sensitivity == "controller"
    assert facts_of(example, None, hidden)["data.synthetic.rows"].sensitivity == "public"


def test_small_counts_are_not_printed(example):
    found = facts_of(example, None, n_control=7, n_control_units=0)
    assert found["data.control.rows"].value == "<11"
    assert found["data.control.units"].value == 0


def test_everything_measured_on_real_rows_is_the_controllers(example):
    found = facts_of(example, example.guarantee())
    public = {name for name, fact in found.items() if fact.sensitivity == "public"}
    assert public == {"data.synthetic.rows", "data.train.units", "data.control.units"}
