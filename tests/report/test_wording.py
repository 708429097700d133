from importlib.resources import files

import pytest

from privsynth.report import glossary, policy
from privsynth.report.criteria import CRITERIA
from privsynth.report.render import render_html
from privsynth.report.wording import forbidden_words

FORBIDDEN = [
    "The table is anonymous.",
    "an anonymous record",
    "fully anonymised",
    "fully anonymized data",
    "anonymisation was applied",
    "It guarantees anonymity.",
    "This is GDPR-compliant.",
    "this is GDPR compliant",
    "HIPAA-compliant",
    "The data comply with HIPAA.",
    "CNIL-approved",
    "There is zero risk.",
    "zero-risk",
    "It is risk-free.",
    "It is safe to share.",
    "safe for release",
    "The low risk because epsilon is low is plain.",
    "ε is low, so the risk is low",
    "Epsilon is small, therefore there is little risk.",
    "A score of 9/10.",
    "It scores 8 out of ten.",
    "Persons cannot be re-identified.",
    "It is impossible to reidentify anybody.",
]

ALLOWED = [
    "tool: anonymeter 1.1.0",
    "Under the stated attacker no evidence was found.",
    "Absence of detected leakage is not proof of absence.",
    "1,000 / 1,000 queries; 10 / 10 columns; 3 of 10 attacks",
    "It helps show what GDPR recital 26 asks.",
    "HIPAA Safe Harbor, 45 CFR 164.514(b)(2)",
]


@pytest.mark.parametrize("text", FORBIDDEN)
def test_forbidden_words_are_found(text):
    assert forbidden_words(text)


@pytest.mark.parametrize("text", ALLOWED)
def test_honest_words_are_left_alone(text):
    assert not forbidden_words(text)


def test_markup_and_line_breaks_hide_nothing():
    assert forbidden_words("<p>It is <b>safe</b>\n to&#32;share</p>")


def test_every_template_keeps_to_the_words():
    folder = files("privsynth.report") / "templates"
    texts = {place.name: place.read_text(encoding="utf-8") for place in folder.iterdir()}
    assert len(texts) > 10
    assert {
        name: forbidden_words(text) for name, text in texts.items() if forbidden_words(text)
    } == {}


def test_every_text_of_the_report_keeps_to_the_words():
    texts = [str(glossary.GLOSSARY), str(CRITERIA), str(policy.Policy())]
    assert [forbidden_words(text) for text in texts] == [(), (), ()]


@pytest.mark.parametrize("private", [True, False])
def test_rendered_pages_keep_to_the_words(example, private):
    report = example.example_report(private=private, void=("a seed",) if private else ())
    for edition in (report, report.public()):
        assert forbidden_words(render_html(edition)) == ()
        assert forbidden_words(edition.to_json()) == ()
