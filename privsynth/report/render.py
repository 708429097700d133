"""A report as one self-contained page: no script, no network, the document alone as its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from privsynth.report import drawn, verification, views
from privsynth.report.claims import relation_words
from privsynth.report.criteria import CRITERIA, limit_words
from privsynth.report.facts import (
    ABOVE_CEILING,
    DECLARED,
    INCONCLUSIVE,
    NOT_CLAIMED,
    NOT_SUPPORTED,
    SIGNS,
    SUPPORTED,
    VOID,
    WITHHELD,
)
from privsynth.report.format import at_most, number, percent
from privsynth.report.glossary import GLOSSARY
from privsynth.report.report import RiskReport

if TYPE_CHECKING:
    import jinja2


@dataclass(frozen=True)
class Place:
    """A section: its anchor, number and title."""

    id: str
    number: int
    title: str


_LOOKS: Mapping[str, str] = {
    SUPPORTED: "good",
    NOT_SUPPORTED: "bad",
    VOID: "bad",
    INCONCLUSIVE: "open",
    NOT_CLAIMED: "open",
    DECLARED: "plain",
    WITHHELD: "plain",
}

PLACES = tuple(
    Place(name, number, title)
    for number, (name, title) in enumerate(
        (
            ("claims", "Claims"),
            ("context", "Context of the release"),
            ("data", "Data"),
            ("privacy", "Privacy statement"),
            ("verification", "Verification of the mechanism"),
            ("testing", "Adversarial testing"),
            ("identifiers", "Identifiers and rare groups"),
            ("fidelity", "Fidelity and utility"),
            ("residual", "Residual risk and conditions of release"),
            ("decision", "Decision and sign-off"),
            ("reproduction", "Reproduction"),
            ("glossary", "Glossary"),
        ),
        start=1,
    )
)

_CONTEXT = (
    ("purpose", "Purpose"),
    ("recipients", "Recipients"),
    ("release_model", "Release model"),
    ("other_releases", "Other releases of the same records"),
    ("intruder", "Who might try to learn about a person, and why"),
)
_ROLES = ("Data steward", "Privacy or data protection officer", "Owner of the data set")


def render_html(report: RiskReport) -> str:
    """The page of one edition.

    >>> from privsynth.report.assessment import Assessment
    >>> from privsynth.report.report import Provenance, build_report
    >>> from privsynth.schema import Schema
    >>> schema = Schema.parse({"dataset": {"id": "d"}, "columns": {"ill": {"kind": "boolean"}}})
    >>> nothing = Assessment(attacks=(), scores=(), n_train=90, n_control=10, n_synthetic=90)
    >>> page = render_html(build_report(schema, None, nothing, Provenance("1", "2026-01-01")))
    >>> page.startswith("<!DOCTYPE html>"), "<script" in page
    (True, False)
    """
    values = _common(report) | _measured(report) | _proved(report)
    return _environment().get_template("report.html.j2").render(values)


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("privsynth.report", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def _common(report: RiskReport) -> dict[str, Any]:
    """What the page says of itself, of its subject and of the run."""
    public = report.edition == "public"
    style = (files("privsynth.report") / "templates" / "style.css").read_text(encoding="utf-8")
    rows = next((f.value for f in report.facts("data") if f.id == "data.synthetic.rows"), None)
    provenance = report.provenance
    controller, audit = provenance.get("controller"), provenance["verification"]
    return {
        "report": report,
        "public": public,
        "date": _date(provenance["created"]),
        "edition_title": "public edition" if public else "controller’s edition",
        "name": report.subject["title"] or report.subject["dataset"],
        "css": Markup(style),  # noqa: S704 - the package's own file
        "signs": SIGNS,
        "looks": _LOOKS,
        "number": number,
        "limit_words": limit_words,
        "at_most": at_most,
        "seconds": _seconds,
        "places": PLACES,
        "place_of": {place.id: place for place in PLACES},
        "context_titles": _CONTEXT,
        "synthetic_rows": rows,
        "columns": views.column_rows(report.subject),
        "safe_harbor_rows": views.safe_harbor_rows(report.subject),
        "identifier_columns": views.identifier_columns(report.subject),
        "versions": sorted(provenance["versions"].items()),
        "parameters": [(k, number(v)) for k, v in provenance["parameters"].items()],
        "audited": _date(audit["created"]) if audit else "",
        "checks": verification.check_rows(audit) if audit else [],
        "defects": verification.defect_rows(audit) if audit else [],
        "controller": controller,
        "hashes": sorted(controller["hashes"].items()) if controller else [],
        "tools": controller["tools"] if controller else [],
        "sign_roles": _ROLES,
        "glossary": GLOSSARY,
    }


def _measured(report: RiskReport) -> dict[str, Any]:
    """Attacks and scores, their tables and charts."""
    fidelity = views.in_order(report.facts("fidelity"))
    limit, source = report.decision["excess_limit"], report.decision["source"]
    share = report.provenance["effective_share"]
    return {
        "blocks": views.blocks(report),
        "floors": drawn.floors(report),
        "has_ceiling": any(f.trial and f.trial.ceiling is not None for f in report.evidence),
        "criteria_rows": [
            (c.title, c.question, limit_words(c.title, limit), source) for c in CRITERIA
        ],
        "contradictions": _contradictions(report),
        "score_rows": views.score_rows(f for f in fidelity if not views.is_by_column(f)),
        "by_column_rows": views.score_rows(f for f in fidelity if views.is_by_column(f)),
        "score_charts": drawn.score_charts(fidelity),
        "critic_rows": views.critic_rows(report),
        "effective_share": percent(share) if share is not None else None,
        "rare_rows": views.rare_rows(fidelity),
        "finding_rows": views.finding_rows(report),
        "group_rows": views.group_rows(report),
        "has_white_box": _says_of_model(report),
        "matrices": drawn.matrices(report),
        "matrix_table": drawn.matrix_table(report),
        "matrix_columns": drawn.matrix_columns(report),
        "column_charts": drawn.column_charts(report),
        "residual": views.residual(report),
        "decision_rows": views.decision_rows(report.claims),
        "threshold_rows": [
            (
                t["name"],
                t["value"],
                t["source"],
                ": ".join(filter(None, (t["use"], t["note"]))),
            )
            for t in report.decision["thresholds"]
        ],
    }


def _contradictions(report: RiskReport) -> list[str]:
    """Attacks that got further than the proof allows, chance among all of them reckoned with."""
    return [fact.title for fact in report.facts("testing") if ABOVE_CEILING in fact.details]


def _says_of_model(report: RiskReport) -> bool:
    """Whether the model was attacked; the statement tells it in the public edition too."""
    of_model = {criterion.claim for criterion in CRITERIA if criterion.claim_of_table}
    return any(claim.statement in of_model for claim in report.claims)


def _proved(report: RiskReport) -> dict[str, Any]:
    """The privacy statement in rows."""
    if report.dp is None:
        rows = dict.fromkeys(("meaning", "mechanisms", "purposes", "split"), ())
        return {"relation": "", "trade_off": None, **rows}
    return {
        "relation": relation_words(report.dp["relation"]),
        "meaning": views.meaning_rows(report.dp),
        "mechanisms": views.mechanism_rows(report.dp),
        "purposes": views.purpose_rows(report.dp),
        "split": views.split_rows(report.dp),
        "trade_off": drawn.trade_off(report),
    }


def _date(created: str) -> str:
    """A moment as people read it, in UTC as it was written down."""
    day, _, time = created.partition("T")
    return f"{day} {time[:5]} UTC" if time else day


def _seconds(value: float | None) -> str:
    return "not stated" if value is None else f"{value:,.0f} s"
