from dataclasses import replace
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from privsynth.errors import Inconclusive
from privsynth.report.criteria import CRITERIA
from privsynth.report.format import rate
from privsynth.report.render import render_html
from privsynth.report.statement import ceiling_of
from privsynth.report.views import blocks, decision_rows, residual
from privsynth.risk.base import Criterion, Failure, Guesses, Rate, Risk, attacks
from privsynth.risk.statistics import compare
from privsynth.risk.suite import run_suite
from privsynth.schema import Schema
from privsynth.table import Table, Tables


def by_title(report):
    return {claim.title: claim for claim in report.claims}


def test_the_proof_is_a_claim_with_its_numbers(report):
    claim = report.claims[0]
    assert (claim.basis, claim.status) == ("proved", "supported")
    assert "(0.987, 10⁻⁶)-differentially private" in claim.statement
    assert "replace-one ε = 2.04" in claim.finding


def pairs_named(example, n_right):
    """Membership of 2,000 pairs, so many of the 400 clearest named right."""
    guesses = Guesses(2000, (Rate(n_right, 400), Rate(1100, 2000)))
    return example.attack(
        "membership", "Membership by the table", "membership", example.RECIPIENT, guesses=(guesses,)
    )


def test_an_attack_that_needs_a_larger_epsilon_refutes_the_proof(example):
    report = example.example_report(attacks=(pairs_named(example, 400),))
    claim = report.claims[0]
    assert claim.status == "not supported"
    assert "Membership by the table refutes it" in claim.finding
    assert "testing.membership" in claim.evidence
    (fact,) = report.facts("testing")
    assert fact.details["epsilon_lower_replace_one"] > report.dp["epsilon_replace_one"]
    assert fact.details["epsilon_lower_at_delta"] == report.dp["delta"] == 1e-6
    assert "refuted" in " ".join(residual(report))


def test_an_attack_within_the_claim_refutes_nothing(example):
    report = example.example_report(attacks=(pairs_named(example, 300),))
    claim = report.claims[0]
    assert (claim.status, claim.evidence) == ("supported", ("privacy statement",))
    (fact,) = report.facts("testing")
    assert 0 < fact.details["epsilon_lower_replace_one"] < report.dp["epsilon_replace_one"]


def test_add_or_remove_one_is_not_what_pairs_are_held_against(example):
    """Above the epsilon of one person in or out, under that of an exchange: nothing is refuted."""
    report = example.example_report(attacks=(pairs_named(example, 335),))
    (fact,) = report.facts("testing")
    assert report.dp["epsilon"] < fact.details["epsilon_lower_replace_one"]
    assert report.claims[0].status == "supported"


def test_many_attacks_together_refute_by_chance_no_more_often_than_one(example):
    alone, among = (
        example.example_report(attacks=(pairs_named(example, 300),) * n).facts("testing")[0]
        for n in (1, 6)
    )
    key = "epsilon_lower_replace_one"
    assert among.details[key] < alone.details[key]


def linked(example, excess):
    return example.attack(
        "linkability",
        "Linkability",
        "linkability",
        example.LINKER,
        member=Rate(400, 1000),
        excess=excess,
    )


def test_an_attack_above_its_ceiling_puts_the_proof_in_doubt(example):
    report = example.example_report(attacks=(linked(example, Risk(0.35, 0.31, 0.39)),))
    claim = report.claims[0]
    assert claim.status == "inconclusive"
    assert report.is_contradicted
    assert "Linkability got further than the proof allows" in claim.finding
    assert "testing.linkability" in claim.evidence
    assert "in doubt" in render_html(report)
    assert "in doubt" in " ".join(residual(report))


def test_above_the_ceiling_by_what_chance_among_many_attacks_gives_is_no_doubt(example):
    ceiling = ceiling_of(example.guarantee(), linked(example, Risk(0.3, 0.2, 0.4))).excess
    narrowly = linked(example, Risk(ceiling + 0.05, ceiling + 0.01, ceiling + 0.09))
    alone, among = (
        example.example_report(attacks=(narrowly,) * n).claims[0].status for n in (1, 20)
    )
    assert (alone, among) == ("inconclusive", "supported")


@pytest.mark.parametrize("given", [{"private": False}, {"void": ("the noise was seeded",)}])
def test_what_is_not_claimed_or_void_is_not_refuted_too(example, given):
    report = example.example_report(**given, attacks=(pairs_named(example, 400),))
    assert report.claims[0].status in ("not claimed", "void")
    delta = 1e-6 if "void" in given else 1e-5
    assert report.facts("testing")[0].details["epsilon_lower_at_delta"] == delta


def test_the_public_edition_tells_that_the_proof_is_refuted_and_no_figure(example):
    report = example.example_report(attacks=(pairs_named(example, 390),))
    refuted = report.facts("testing")[0].details["epsilon_lower_replace_one"]
    public = report.public()
    assert public.claims[0].status == "not supported"
    assert public.claims[0].evidence == ("privacy statement",)
    for page in (public.to_json(), render_html(public)):
        assert "An attack learnt more than the claim allows" in page
        assert f"{refuted:.3g}" not in page
    assert "refuted" in render_html(public)


def test_nothing_is_claimed_without_noise(example):
    claim = example.example_report(private=False).claims[0]
    assert claim.status == "not claimed"
    assert "no noise" in claim.finding


def test_a_void_claim_says_why(example):
    claim = example.example_report(void=("the noise came from a known seed",)).claims[0]
    assert claim.status == "void"
    assert "known seed" in claim.finding


def test_one_open_attack_leaves_the_criterion_open(report):
    assert by_title(report)["Inference of a sensitive value"].status == "inconclusive"
    assert (
        "2 of 4 attacks inconclusive" in by_title(report)["Inference of a sensitive value"].finding
    )
    assert by_title(report)["Linkability"].status == "supported"


def test_one_attack_that_succeeds_is_enough(example):
    won = example.attack(
        "linkability",
        "Linkability",
        "linkability",
        example.LINKER,
        member=Rate(400, 1000),
        excess=Risk(0.35, 0.31, 0.39),
        p_value=1e-9,
        details={"p_holm": 1e-8},
    )
    report = example.example_report(attacks=(*example.attacks(), won))
    claim = by_title(report)["Linkability"]
    assert (claim.status, claim.upper) == ("not supported", 0.39)
    assert "interval of the excess 0.310 to 0.390 (Linkability), limit 0.1" in claim.finding
    assert claim.evidence == ("testing.linkability", "testing.linkability.2")


def test_attacks_that_do_no_better_than_guessing_are_counted_in_the_finding(example):
    weak = example.attack("inference_x", "Inference of x", "inference", example.GUESSER, prior=0.2)
    strong = example.attack("inference_y", "Inference of y", "inference", example.GUESSER, prior=0)
    claim = by_title(example.example_report(attacks=(weak, strong)))
    finding = claim["Inference of a sensitive value"].finding
    assert "1 of 2 attacks did no better than guessing" in finding
    assert "guessing" not in claim["Copies of records"].finding


def test_a_criterion_that_nobody_tested_is_open(example):
    report = example.example_report(attacks=())
    assert {claim.status for claim in report.claims if claim.basis == "tested"} == {"inconclusive"}
    assert by_title(report)["Copies of records"].finding == "Not tested."


def few_copies_and_many_alike(example):
    """20 of 26,000 records copied, and a wider interval of bins that shows nothing."""
    excess, p = compare(Rate(20, 26_000), Rate(0, 13_000))
    yield example.attack(
        "copies_exact",
        "Exact copies",
        "copies",
        example.RECIPIENT,
        excess=excess,
        p_value=p,
        details={"p_holm": p},
    )
    bins = Risk(0.002, -0.006, 0.0104)
    yield example.attack("bins", "Copies up to bins", "copies", example.RECIPIENT, excess=bins)


def test_the_finding_names_the_attack_that_decides_and_no_limit_where_none_holds(example):
    report = example.example_report(attacks=tuple(few_copies_and_many_alike(example)))
    claim = by_title(report)["Copies of records"]
    exact, _ = (fact.interval for fact in report.facts("testing"))
    assert claim.status == "not supported"
    assert claim.finding == (
        "An attack showed an excess, and none is tolerated; 95 % interval of the excess "
        f"{rate(exact.low)} to {rate(exact.high)} (Exact copies)."
    )
    assert claim.upper == exact.high < 0.0104
    (row,) = (row for row in decision_rows(report.claims) if row[0] == claim.title)
    assert row[1] == "0.1, and none shown"
    assert row[3:] == (rate(exact.high), "✗\N{NO-BREAK SPACE}not supported")


def test_a_supported_claim_says_whether_an_excess_is_tolerated(example, report):
    found = by_title(report)
    assert found["Copies of records"].finding == (
        "Under the stated attackers no evidence was found; largest upper limit of the excess 0.008 "
        "(Copies up to bins), limit 0.1; no excess that is shown is tolerated."
    )
    assert found["Linkability"].finding.endswith("(Linkability of two sources), limit 0.1.")
    limits = {row[0]: row[1] for row in decision_rows(report.claims)}
    assert limits["Linkability"] == "0.1"


def test_every_criterion_of_an_attack_has_its_claim():
    assert {criterion.id for criterion in CRITERIA} == set(get_args(Criterion))


def stopped(monkeypatch, name):
    """What the suite makes of an attack, or of the one on the model, that ran out of memory."""

    def stop(*_):
        raise MemoryError

    made = {} if name == "white_box" else {name: attacks.get(name)}
    monkeypatch.setattr("privsynth.risk.suite.attacks._items", made)
    for attack in made.values():
        monkeypatch.setattr(attack, "run", stop)
    document = {"dataset": {"id": "d"}, "columns": {"ill": {"kind": "boolean"}}}
    table = Table.from_pandas(pd.DataFrame({"ill": [True, False] * 100}), Schema.parse(document))
    losses = stop if name == "white_box" else None
    return run_suite(Tables(table, table, table), np.random.default_rng(0), losses=losses)


@pytest.mark.parametrize("name", [*attacks.names(), "white_box"])
def test_an_attack_that_stopped_leaves_its_claim_open(example, monkeypatch, name):
    (failure,) = stopped(monkeypatch, name)
    calm = example.attack("calm", "Calm", failure.criterion, example.RECIPIENT)
    report = example.example_report(attacks=(calm, failure))
    (claim,) = (claim for claim in report.claims if f"testing.{name}" in claim.evidence)
    assert claim.status == "inconclusive"
    assert claim.title == {"white_box": "Membership"}.get(name, claim.title)
    assert "1 of 2 attacks inconclusive" in claim.finding or name == "identifiers"
    assert "Other attacks" not in [block.title for block in blocks(report)]


def test_membership_is_claimed_of_the_model_only_where_it_was_attacked(example):
    pairs = pairs_named(example, 210)
    told = "The model was not attacked: this speaks of the table alone."
    report = example.example_report(attacks=(pairs,))
    of_table = by_title(report)["Membership"]
    assert of_table.status == "supported"
    assert "model" not in of_table.statement
    assert of_table.finding.endswith(told)
    for edition in (report, report.public()):
        assert "attacks on the model were not run" in render_html(edition)
    by_model = (replace(pairs, attack="white_box"), failure_of_model())
    for each in by_model:
        report = example.example_report(attacks=(pairs, each))
        claim = by_title(report)["Membership"]
        assert claim.statement.startswith("Neither the synthetic table nor the model")
        assert told not in claim.finding
        for edition in (report, report.public()):
            assert "attacks on the model were not run" not in render_html(edition)


def failure_of_model():
    return Failure("white_box", "Membership by the model", "no loss is finite", "membership")


def test_attacks_that_all_fail_say_why(example):
    lost = example.attack(
        "linkability",
        "Linkability",
        "linkability",
        example.LINKER,
        excess=Inconclusive("the control table has no rows"),
    )
    claim = by_title(example.example_report(attacks=(lost,)))["Linkability"]
    assert claim.status == "inconclusive"
    assert "the control table has no rows" in claim.finding


def test_found_identifiers_are_told_without_small_counts(example):
    scan = example.attack(
        "identifiers",
        "Direct identifiers",
        "identifiers",
        example.RECIPIENT,
        member=Rate(3, 500),
        control=None,
        excess=Risk(0.006, 0.006, 0.006, 1.0),
        p_value=None,
        details={},
        n_done=500,
    )
    claim = by_title(example.example_report(attacks=(scan,)))["Direct identifiers"]
    assert claim.status == "not supported"
    assert claim.finding == "Direct identifiers were found in <11 rows in a full scan of 500 rows."


def test_a_scan_that_does_not_decide_says_why_and_not_that_nothing_was_found(example):
    scan = example.attack(
        "identifiers",
        "Direct identifiers",
        "identifiers",
        example.RECIPIENT,
        member=Rate(0, 500),
        control=None,
        excess=Inconclusive("column 'key': consecutive keys"),
        p_value=None,
        details={},
        n_done=500,
    )
    claim = by_title(example.example_report(attacks=(scan,)))["Direct identifiers"]
    assert claim.status == "inconclusive"
    assert claim.finding == (
        "A full scan of 500 rows does not decide: column 'key': consecutive keys."
    )


def test_domains_read_from_the_records_void_the_word_of_the_steward(example, report):
    assert by_title(report)["Public facts"].status == "declared"
    document = example.SCHEMA.to_dict()
    document["columns"]["age"]["source"] = "data"
    from privsynth.report.claims import claims
    from privsynth.report.policy import Policy

    found = {claim.title: claim for claim in claims(Schema.parse(document), None, (), Policy())}
    assert found["Public facts"].status == "void"
    assert "age" in found["Public facts"].finding
