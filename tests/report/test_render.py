import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from privsynth.fidelity.base import Score
from privsynth.fidelity.dependence import Associations
from privsynth.fidelity.profiles import ColumnProfile
from privsynth.report.render import render_html
from privsynth.report.report import TESTS_AS_RUN, TESTS_BEFORE, Provenance, build_report
from privsynth.report.views import residual
from privsynth.risk.base import Rate, Risk
from privsynth.schema import Schema

VOID_TAGS = {"meta", "link", "br", "hr", "img", "input", "rect", "circle", "line", "path"}


class Page(HTMLParser):
    """What a page is made of: tags with attributes, and whether they are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.text = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID_TAGS:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def pages(example):
    report = example.example_report()
    return {"controller": render_html(report), "public": render_html(report.public())}


@pytest.fixture(params=["controller", "public"])
def page(request, pages):
    return pages[request.param]


def test_the_page_stands_alone(page):
    found = Page(page)
    assert not found.open
    assert not found.all("script")
    assert not found.all("link")
    assert not found.all("img")
    assert not re.search(r"@import|url\(|src=|\son\w+=", page)
    links = [attrs["href"] for attrs in found.all("a")]
    assert links
    assert all(link.startswith("#") for link in links)
    assert set(re.findall(r"https?://[^\"' <]+", page)) == {"http://www.w3.org/2000/svg"}


def test_both_editions_say_on_their_front_whether_the_records_were_enough(page, example):
    front = page.split('id="verdicts-h"')[0]
    assert "Are there records enough for this ε? Thin." in front
    assert "about 40,000 would be ample" in front
    without = render_html(example.example_report(private=False))
    assert "records enough" not in without


def test_both_editions_say_why_this_generator_and_what_the_projection_left(page):
    assert "(83.9 persons a code at epsilon 1, at least 50)" in page
    assert "effective sample size of <strong>91 %</strong> of the draws" in page
    assert "How the budget was divided" in page


def test_what_the_critic_added_is_in_the_controllers_edition_alone(example):
    beside = tuple(
        replace(each, value=each.value + 0.01) if isinstance(each, Score) else each
        for each in example.scores()
    )
    report = example.example_report(without_critic=beside)
    page = render_html(report)
    section = page.split("What the critic added</h3>")[1].split("<h3>")[0]
    assert "not covered by ε" in section
    assert "0.046" in section
    assert "0.056" in section
    assert "What the critic added" not in render_html(report.public())
    assert "What the critic added" not in render_html(example.example_report())


def test_a_weak_attack_and_a_small_reference_are_named(example):
    weak = example.attack("inference_x", "Inference of x", "inference", example.GUESSER, prior=0.2)
    details = {"value_at_reference_rows": 0.321, "reference_rows": 92}
    score = example.score("tvd_1way", "1-way distance", "marginals", 0.1, 0.3, details=details)
    lone = example.score(
        "detection", "Detection", "detection", 0.1, None, details={"reference_missing": "too few"}
    )
    report = example.example_report(attacks=(weak,), scores=(score, lone))
    page = render_html(report)
    assert "No better than guessing: Inference of x." in page
    assert "on as few rows as the reference (92): 0.321" in page
    assert "no reference: too few" in page


def test_every_link_leads_somewhere_and_ids_differ(page):
    found = Page(page)
    ids = [attrs["id"] for _, attrs in found.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    wanted = {attrs["href"][1:] for attrs in found.all("a")}
    for _, attrs in found.tags:
        wanted |= set(attrs.get("aria-labelledby", "").split())
    assert wanted <= set(ids)


def test_the_page_can_be_read_by_a_screen_reader(page):
    found = Page(page)
    assert found.all("html") == [{"lang": "en"}]
    assert len(found.all("h1")) == len(found.all("main")) == len(found.all("nav")) == 1
    assert all("scope" in attrs for attrs in found.all("th"))
    headings = [int(tag[1]) for tag, _ in found.tags if re.fullmatch("h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(headings))
    drawings = [attrs for attrs in found.all("svg") if attrs.get("aria-hidden") != "true"]
    assert drawings
    assert all(attrs["role"] == "img" for attrs in drawings)
    tables = len(found.all("table"))
    assert len(found.all("caption")) + 1 == tables  # the verdict table has a heading instead


def test_what_is_folded_away_can_be_told_apart_by_ear(page):
    assert "<span hidden" not in page
    summaries = re.findall(r"<summary>(.*?)</summary>", page, re.DOTALL)
    assert len(summaries) > 8
    assert len(set(summaries)) == len(summaries)


def test_each_chart_has_its_numbers_behind_it(pages):
    charts = re.findall(r"<figure>.*?</figure>", pages["controller"], re.DOTALL)
    assert len(charts) > 8
    assert all("<details>" in chart and "<table>" in chart for chart in charts)


def test_a_verdict_is_a_word_and_a_sign(pages):
    badges = re.findall(
        r'<span class="badge \w+">(.*?)</span> ([\w ]+)</span>', pages["controller"]
    )
    assert {(re.sub("<.*?>", "", sign), words) for sign, words in badges} == {
        ("✓", "supported"),
        ("?", "inconclusive"),
        ("–", "declared"),
    }


def test_attacks_that_were_changed_after_the_fit_are_told(example):
    words = "are not those that were registered before the fit"
    for before, told in (("a", False), ("b", True)):
        hashes = {TESTS_BEFORE: before, TESTS_AS_RUN: "a"}
        provenance = replace(example.PROVENANCE, hashes=hashes)
        report = build_report(example.SCHEMA, example.guarantee(), example.assessment(), provenance)
        assert (words in " ".join(residual(report))) is told


def test_small_groups_stand_in_the_controllers_edition_alone(pages):
    assert "Small groups of real persons" in pages["controller"]
    assert "0.4 %" in pages["controller"]
    assert "Small groups of real persons" not in pages["public"]


def test_the_summary_has_one_line_a_claim_and_counts_what_is_open(report, pages):
    summary = pages["controller"].split('id="claims"')[0]
    for claim in report.claims:
        assert claim.title in summary
    assert "3 of 40 figures in this report are inconclusive" in summary


def test_inconclusive_figures_are_shown_with_their_reasons(pages):
    assert "Inference of died: inconclusive." in pages["controller"]
    assert "Only 22 trials on train and 22 on control records." in pages["controller"]
    assert "Column &#39;notes&#39; is not scored." in pages["controller"]


def test_the_privacy_statement_is_complete(page):
    for words in (
        "add-or-remove-one",
        "ε = 0.987",
        "ε = 2.04",
        "δ = 10⁻⁶",
        "dp_accounting 0.6.0 PLD",
        "ChaCha20",
        "DP-SGD, 600 steps, sample rate 0.05, noise multiplier 5.4",
        "a person (column &#39;patient_no&#39;, at most 3 rows)",
        "the number of privacy units in the table",
        "72.9 %",
    ):
        assert words in page


def test_without_noise_the_page_says_so_loudly(example):
    report = example.example_report(private=False)
    for edition in (report, report.public()):
        page = render_html(edition)
        assert 'class="banner" role="alert"><strong>No differential privacy' in page
        assert "excluded by the proof" not in page


def test_a_private_page_has_no_banner(page):
    assert 'class="banner"' not in page


def test_reasons_that_void_the_claim_are_in_red(example):
    page = render_html(example.example_report(void=("the noise came from a known seed",)))
    assert re.search(r'class="callout bad" role="alert">.*?known seed', page, re.DOTALL)


def test_a_table_without_guarantee_claims_nothing(example):
    report = build_report(
        example.SCHEMA, None, example.assessment(), Provenance("r", "2026-01-01T10:00:00Z")
    )
    page = render_html(report)
    assert "No guarantee came with this table." in page
    assert "! not claimed" in re.sub("<.*?>", "", page)


def test_an_attack_above_the_ceiling_is_told(example):
    won = example.attack(
        "linkability",
        "Linkability",
        "linkability",
        example.LINKER,
        member=Rate(400, 1000),
        excess=Risk(0.35, 0.31, 0.39),
    )
    page = render_html(example.example_report(attacks=(won,)))
    assert "Above the ceiling of the proof:" in page
    assert "Above the ceiling of the proof:" not in render_html(example.example_report())


def test_the_public_page_draws_the_synthetic_table_alone(pages):
    assert 'class="synthetic"' in pages["public"]
    assert 'class="real"' not in pages["public"]
    assert "Synthetic less real" not in pages["public"]
    assert "Do not pass on" in pages["controller"]
    assert "Do not pass on" not in pages["public"]


def test_names_from_users_are_text_and_never_markup(example):
    evil = "<script>alert(1)</script>"
    schema = Schema.parse(
        {
            "dataset": {"id": "d", "title": evil},
            "columns": {
                evil: {"kind": "categorical", "categories": [evil], "description": evil},
                "b": {"kind": "id"},
            },
        }
    )
    profile = ColumnProfile(evil, "categorical", (evil,), (1.0,), (1.0,))
    square = ((1.0, 0.5), (0.5, 1.0))
    report = build_report(
        schema,
        example.guarantee(),
        example.assessment(
            profiles=(profile,), associations=Associations((evil, "b"), square, square)
        ),
        replace(example.PROVENANCE, commands=(evil,), run_id=evil),
    )
    page = render_html(report)
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_fifty_columns_stay_under_a_megabyte(example):
    names = tuple(f"column_with_a_long_name_{i}" for i in range(50))
    schema = Schema.parse(
        {"dataset": {"id": "d"}, "columns": {name: {"kind": "boolean"} for name in names}}
    )
    labels = tuple(f"{10 * i} – {10 * i + 9}" for i in range(20))
    profiles = tuple(
        ColumnProfile(name, "integer", labels, (0.05,) * 20, (0.05,) * 20) for name in names
    )
    square = tuple(tuple((i * j % 17) / 17 for j in range(50)) for i in range(50))
    other = tuple(tuple((i * j % 19) / 19 for j in range(50)) for i in range(50))
    scores = tuple(
        example.score(f"metric_{k}", f"Metric {k}", "marginals", 0.01, 0.01, column=name)
        for name in names
        for k in range(3)
    )
    report = build_report(
        schema,
        None,
        example.assessment(
            profiles=profiles, associations=Associations(names, square, other), scores=scores
        ),
        example.PROVENANCE,
    )
    assert len(render_html(report).encode()) < 1_000_000


def test_an_assessment_of_nothing_still_gives_a_page(example):
    report = example.example_report(
        attacks=(),
        scores=(),
        profiles=(),
        associations=None,
        synthetic_profiles=(),
        synthetic_associations=None,
    )
    assert "Not tested." in render_html(report)
    assert render_html(report.public())
