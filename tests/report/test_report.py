import json
import math
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

from privsynth.errors import DataError, Inconclusive
from privsynth.fidelity.base import Failure as NoScore
from privsynth.fidelity.dependence import Associations
from privsynth.fidelity.profiles import ColumnProfile
from privsynth.report.render import render_html
from privsynth.report.report import Provenance, RiskReport, build_report
from privsynth.risk.base import AttackResult, Rate, Risk
from privsynth.risk.base import Failure as NoAttack
from privsynth.schema import Schema

PUBLISHED = Path(__file__).parents[2] / "docs" / "reference" / "risk-report.schema.json"


@pytest.fixture(scope="module")
def validator():
    text = (files("privsynth.report") / "schema.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_published_schema_is_the_packaged_one():
    packaged = (files("privsynth.report") / "schema.json").read_text(encoding="utf-8")
    assert PUBLISHED.read_text(encoding="utf-8") == packaged


@pytest.mark.parametrize("kind", ["private", "no privacy", "void", "someone else's"])
def test_both_editions_are_valid(example, validator, kind):
    report = {
        "private": lambda: example.example_report(),
        "no privacy": lambda: example.example_report(private=False),
        "void": lambda: example.example_report(void=("a seed",)),
        "someone else's": lambda: build_report(
            example.SCHEMA, None, example.assessment(), Provenance("r", "2026-01-01")
        ),
    }[kind]()
    for edition in (report, report.public()):
        validator.validate(json.loads(edition.to_json()))


def test_the_schema_refuses_controller_facts_in_the_public_edition(report, validator):
    document = json.loads(report.to_json())
    assert not list(validator.iter_errors(document))
    assert list(validator.iter_errors(document | {"edition": "public"}))


def test_the_schema_refuses_a_figure_without_value_and_reason(report, validator):
    document = json.loads(report.to_json())
    document["evidence"][0]["value"] = None
    assert list(validator.iter_errors(document))


def test_a_report_is_its_json(report):
    for edition in (report, report.public()):
        again = RiskReport.from_json(edition.to_json())
        assert again.to_json() == edition.to_json()
        assert render_html(again) == render_html(edition)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"schema": "other/1"}', "\x00"])
def test_what_is_no_report_is_refused_in_one_line(text):
    with pytest.raises(DataError) as caught:
        RiskReport.from_json(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", ["subject", "context", "dp", "decision", "provenance"])
def test_a_report_that_lacks_a_key_is_refused(report, part):
    document = json.loads(report.to_json())
    document[part].popitem()
    if part == "provenance":
        document[part].pop("run_id")
    with pytest.raises(DataError, match="damaged"):
        RiskReport.from_json(json.dumps(document))


def test_what_epsilon_means_is_computed(report):
    meaning = {each["before"]: each["after_at_most"] for each in report.dp["meaning"]}
    assert meaning[0.5] == pytest.approx(0.7285, abs=1e-4)
    assert meaning[0.01] == pytest.approx(0.0264, abs=1e-4)


def test_a_suspicion_of_a_value_is_bounded_by_replace_one(report):
    odds = math.exp(report.dp["epsilon_replace_one"])
    assert report.dp["epsilon_replace_one"] > report.dp["epsilon"]
    for each in report.dp["meaning"]:
        before = each["before"]
        bound = before * odds / (before * odds + 1 - before)
        assert each["value_after_at_most"] == pytest.approx(bound)
        assert each["value_after_at_most"] > each["after_at_most"]


def test_a_void_claim_draws_no_conclusions(example):
    report = example.example_report(void=("a seed",))
    assert report.dp["meaning"] == []
    assert not [figure for figure in report.figures if figure.kind == "curve"]


def test_every_mechanism_has_its_spend(report):
    alone = [each["epsilon_alone"] for each in report.dp["mechanisms"]]
    assert len(alone) == 4
    assert alone[0] == alone[1]
    assert all(0 < each < 1.1 for each in alone)


def test_the_budget_is_divided_between_three_groups(report, example):
    split = {each["group"]: each for each in report.dp["split"]}
    assert sum(each["share"] for each in split.values()) == pytest.approx(1.0, abs=1e-3)
    assert [each["n_mechanisms"] for each in split.values()] == [3, 1]
    assert list(split)[-1] == "training by DP-SGD"
    assert example.example_report(private=False).dp["split"] == []


def test_the_split_of_a_plan_is_that_of_its_requests():
    from privsynth.privacy.budget import PrivacyBudget, PrivacyUnit
    from privsynth.privacy.calibrate import budget_shares, calibrate
    from privsynth.privacy.plan import MeasurementRequest, TrainingRequest

    requests = [
        MeasurementRequest("bins", "bins", 0.1, 0.05),
        MeasurementRequest("pairs", "pairs", 0.6),
        TrainingRequest("denoiser", "gradients", 0.05, 100),
    ]
    plan = calibrate(requests, PrivacyBudget(1.0, 1e-5), PrivacyUnit())
    assert budget_shares(plan) == pytest.approx(
        {"bins": 0.1, "pairs": 0.6, "denoiser": 0.3}, abs=1e-3
    )


def test_the_pairs_of_a_generator_are_a_group_of_their_own(example):
    """The purpose by which they are known is written in two rooms, and must be one."""
    from privsynth.privacy.budget import PrivacyUnit
    from privsynth.privacy.calibrate import calibrate
    from privsynth.report.statement import privacy_statement
    from privsynth.synth.marginal import Marginal

    given = example.guarantee()
    requests = Marginal(codebook_share=0.2).requests(example.SCHEMA, 18_204, given.budget)
    plan = calibrate(requests, given.budget, PrivacyUnit.of(example.SCHEMA))
    split = privacy_statement(replace(given, plan=plan), example.SCHEMA)["split"]
    assert {each["group"].split(":")[0]: each["share"] for each in split} == pytest.approx(
        {"codebook": 0.2, "pairs of columns": 0.8}, abs=1e-3
    )


def test_infinity_is_null(example):
    dp = json.loads(example.example_report(private=False).to_json())["dp"]
    assert dp["epsilon"] is None
    assert dp["mechanisms"][0]["epsilon_alone"] is None


def test_repr_counts_and_shows_nothing_else(report):
    assert repr(report) == (
        "RiskReport('clinic-stays', controller edition, 40 facts, 3 inconclusive)"
    )


# Numbers and words that stand for what was computed on real rows. The digits occur nowhere else.
DIGITS, WORD = "83173", "PLANTEDWORD"
NUMBER = 0.83173


def planted(example):
    """The controller's edition with the plant in every figure that comes from real rows."""
    attacks = tuple(plant_attack(each) for each in example.attacks())
    scores = tuple(plant_score(each) for each in example.scores())
    labels = (f"{WORD} – {DIGITS}", "other")
    profile = ColumnProfile("age", "integer", labels, (NUMBER, NUMBER), (NUMBER, NUMBER))
    square = ((1.0, NUMBER), (NUMBER, 1.0))
    document = example.SCHEMA.to_dict()
    document["privacy"]["row_count"] = "private"
    schema = Schema.parse(document)
    provenance = replace(
        example.PROVENANCE,
        commands=(WORD,),
        hashes={WORD: DIGITS},
        seconds=float(DIGITS),
    )
    assessment = example.assessment(
        attacks=attacks,
        scores=scores,
        profiles=(profile,),
        associations=Associations((WORD, "sex"), square, square),
        n_train=int(DIGITS),
        n_control=int(DIGITS),
        n_train_units=int(DIGITS),
        n_control_units=int(DIGITS),
        seconds=NUMBER,
    )
    return build_report(schema, example.guarantee(), assessment, provenance)


def plant_attack(each):
    if isinstance(each, NoAttack):
        return replace(each, title=WORD, reason=f"{WORD} {DIGITS}")
    rate = Rate(int(DIGITS), 100_000)
    failed = isinstance(each.excess, Inconclusive)
    return replace(
        each,
        title=f"{each.title} {WORD}",
        n_planned=int(DIGITS),
        n_done=int(DIGITS),
        member=rate,
        control=rate,
        prior=NUMBER,
        excess=Inconclusive(f"{WORD} {DIGITS}") if failed else Risk(NUMBER, -NUMBER, NUMBER),
        persons=int(DIGITS),
        p_value=NUMBER,
        seconds=NUMBER,
        tool=f"tool {WORD}",
        guards=(WORD,),
        details={"column": WORD, "n": int(DIGITS)},
    )


def plant_score(each):
    if isinstance(each, NoScore):
        return replace(each, title=WORD, reason=f"{WORD} {DIGITS}")
    return replace(
        each,
        title=WORD,
        value=NUMBER,
        reference=NUMBER,
        seconds=NUMBER,
        details={WORD: NUMBER},
        tool=WORD,
    )


def traces(text):
    """Where the plant shows, in whatever precision it is printed."""
    return [
        sign
        for sign in (DIGITS, "83,173", "83173", "0.8317", "0.832", "83 %", WORD)
        if sign in text
    ]


def test_the_plant_shows_in_the_controllers_edition(example):
    report = planted(example)
    assert {DIGITS, "0.8317", WORD} <= set(traces(report.to_json()))
    assert {"83,173", "0.832", "83 %", WORD} <= set(traces(render_html(report)))


def test_nothing_from_real_rows_survives_into_the_public_edition(example):
    public = planted(example).public()
    assert traces(public.to_json()) == []
    assert traces(render_html(public)) == []


def test_of_a_proof_in_doubt_the_public_edition_tells_that_alone(example):
    won = [
        replace(each, excess=Risk(NUMBER, NUMBER, NUMBER))
        if isinstance(each, AttackResult)
        else each
        for each in map(plant_attack, example.attacks())
    ]
    public = example.example_report(attacks=tuple(won)).public()
    assert public.claims[0].status == "inconclusive"
    assert public.claims[0].evidence == ("privacy statement",)
    assert traces(public.to_json()) == []


def test_the_public_edition_does_not_depend_on_what_was_measured(example):
    """The strictest form: two assessments that differ everywhere give one public edition."""
    one = planted(example)
    calm = build_report(
        Schema.parse(
            example.SCHEMA.to_dict()
            | {"privacy": example.SCHEMA.to_dict()["privacy"] | {"row_count": "private"}}
        ),
        example.guarantee(),
        example.assessment(),
        example.PROVENANCE,
    )
    assert one.public().to_json() == calm.public().to_json()
    assert one.to_json() != calm.to_json()


def test_the_public_edition_stays_public(report):
    assert report.public().public().to_json() == report.public().to_json()
