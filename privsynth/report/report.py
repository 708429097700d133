"""RiskReport: everything that a report says, as one document in two editions."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from typing import Any, Literal, TypeAlias

from privsynth.errors import DataError
from privsynth.privacy.guarantee import Guarantee
from privsynth.report.assessment import Assessment
from privsynth.report.claims import claims
from privsynth.report.evidence import evidence
from privsynth.report.facts import INCONCLUSIVE, NOT_SUPPORTED, Claim, Fact, Figure
from privsynth.report.figures import figures
from privsynth.report.policy import Policy
from privsynth.report.statement import privacy_statement, trade_off_figure
from privsynth.report.subject import subject_of
from privsynth.report.verification import Verification
from privsynth.schema import Schema
from privsynth.schema.viability import Viability

SCHEMA_ID = "privsynth/risk-report/1"

Edition: TypeAlias = Literal["controller", "public"]

_PACKAGES = (
    "privsynth",
    "torch",
    "opacus",
    "dp-accounting",
    "anonymeter",
    "sdmetrics",
    "scikit-learn",
    "scipy",
    "numpy",
    "pandas",
    "pyarrow",
)


def installed_versions() -> dict[str, str]:
    """The versions of Python and of the packages on which the figures rest."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


TESTS_BEFORE = "attacks and limits, before the fit"
TESTS_AS_RUN = "attacks and limits, as run"
"""Hashes that are equal where nobody chose attacks or limits by their results."""


@dataclass(frozen=True)
class Provenance:
    """Which run made the table: what another person needs to do it again.

    `choice` says why it was this model, from public facts alone. `records` says whether there were
    records enough for the epsilon, by their public number or its private estimate.
    `build` is the hash of the code that fitted the model, `verification` the audit of that build.
    `effective_share` is what the projection leaves of a sample; it follows from the model.
    `commands`, `hashes` and `seconds` speak of the real records and stay
    with the controller.
    """

    run_id: str
    created: str
    model: str = ""
    choice: str = ""
    effective_share: float | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=installed_versions)
    ledger_entry: str = ""
    build: str = ""
    verification: Verification | None = None
    records: Viability | None = None
    commands: tuple[str, ...] = ()
    hashes: Mapping[str, str] = field(default_factory=dict)
    seconds: float | None = None


@dataclass(frozen=True)
class Context:
    """What the steward says about the release; an empty entry is printed as not stated."""

    purpose: str = ""
    recipients: str = ""
    release_model: str = ""
    other_releases: str = ""
    intruder: str = ""


@dataclass(frozen=True, kw_only=True)
class RiskReport:
    """One edition of a report: the document is the truth, every page is drawn from it alone.

    >>> RiskReport.from_json("{}")
    Traceback (most recent call last):
    ...
    privsynth.errors.DataError: the report cannot be read: it is damaged, or no report
    """

    subject: Mapping[str, Any]
    context: Mapping[str, str]
    dp: Mapping[str, Any] | None
    claims: tuple[Claim, ...]
    evidence: tuple[Fact, ...]
    figures: tuple[Figure, ...]
    decision: Mapping[str, Any]
    provenance: Mapping[str, Any]
    edition: Edition = "controller"

    def public(self) -> RiskReport:
        """The public edition: only what is public, or differentially private, or synthetic.

        What a test on real records said, verdicts included, stays behind.
        """
        return replace(
            self,
            claims=tuple(claim.public() for claim in self.claims),
            evidence=tuple(fact for fact in self.evidence if fact.sensitivity == "public"),
            figures=tuple(each for each in self.figures if each.sensitivity == "public"),
            provenance={key: self.provenance[key] for key in _PUBLIC_PROVENANCE},
            edition="public",
        )

    def with_verification(self, verification: Verification | None) -> RiskReport:
        """The same report with that audit of the build, or none, beside it."""
        told = {"verification": verification and verification.to_dict()}
        return replace(self, provenance={**self.provenance, **told})

    def facts(self, section: str) -> tuple[Fact, ...]:
        """The facts of one section, in order."""
        return tuple(fact for fact in self.evidence if fact.section == section)

    @property
    def n_inconclusive(self) -> int:
        """How many figures could not be computed or do not decide."""
        return sum(fact.is_inconclusive for fact in self.evidence)

    @property
    def is_contradicted(self) -> bool:
        """Whether an attack got further than the claim of differential privacy allows."""
        return self.claims[0].status in (NOT_SUPPORTED, INCONCLUSIVE)

    def to_dict(self) -> dict[str, Any]:
        """The document as plain values, as the published JSON Schema describes it."""
        return {
            "schema": SCHEMA_ID,
            "edition": self.edition,
            "subject": dict(self.subject),
            "context": dict(self.context),
            "dp": None if self.dp is None else dict(self.dp),
            "claims": [claim.to_dict() for claim in self.claims],
            "evidence": [fact.to_dict() for fact in self.evidence],
            "figures": [figure.to_dict() for figure in self.figures],
            "decision": dict(self.decision),
            "provenance": dict(self.provenance),
        }

    def to_json(self) -> str:
        """The document as JSON; there is never a NaN or an infinity in it."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> RiskReport:
        """The report that `to_json` wrote; DataError if it is not one."""
        try:
            document = json.loads(text)
            if document["schema"] != SCHEMA_ID:
                raise DataError(f"the report is not of the form {SCHEMA_ID}")
            for key, value in {"build": "", "verification": None}.items():
                document["provenance"].setdefault(key, value)  # reports of earlier versions
            _require_keys(document)
            return cls(
                claims=tuple(map(Claim.from_dict, document["claims"])),
                evidence=tuple(map(Fact.from_dict, document["evidence"])),
                figures=tuple(map(Figure.from_dict, document["figures"])),
                **{key: document[key] for key in _PLAIN},
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            raise DataError("the report cannot be read: it is damaged, or no report") from None

    def __repr__(self) -> str:
        return (
            f"RiskReport({self.subject['dataset']!r}, {self.edition} edition, "
            f"{len(self.evidence)} facts, {self.n_inconclusive} inconclusive)"
        )


def _require_keys(document: Mapping[str, Any]) -> None:
    """KeyError where a part of the document lacks a key that the published schema requires."""
    text = (files("privsynth.report") / "schema.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    parts = {name: schema["properties"][name] for name in _PLAIN if name not in ("edition", "dp")}
    if document["dp"] is not None:
        parts["dp"] = schema["$defs"]["dp"]
    for name, rule in parts.items():
        for key in rule["required"]:
            document[name][key]


_PUBLIC_PROVENANCE = (
    "run_id",
    "created",
    "model",
    "choice",
    "effective_share",
    "parameters",
    "versions",
    "ledger_entry",
    "build",
    "verification",
    "records",
)
_PLAIN = ("edition", "subject", "context", "dp", "decision", "provenance")


def build_report(
    schema: Schema,
    guarantee: Guarantee | None,
    assessment: Assessment,
    provenance: Provenance,
    policy: Policy | None = None,
    *,
    context: Context | None = None,
) -> RiskReport:
    """The controller's edition, from what was proved, what was measured and how it was made.

    >>> schema = Schema.parse({"dataset": {"id": "d"}, "columns": {"ill": {"kind": "boolean"}}})
    >>> nothing = Assessment(attacks=(), scores=(), n_train=90, n_control=10, n_synthetic=90)
    >>> build_report(schema, None, nothing, Provenance("run 1", "2026-01-01"))
    RiskReport('d', controller edition, 3 facts, 0 inconclusive)
    """
    policy = policy or Policy()
    dp = None if guarantee is None else privacy_statement(guarantee, schema)
    facts = evidence(schema, guarantee, assessment, policy)
    curve = None if guarantee is None else trade_off_figure(guarantee)
    return RiskReport(
        subject=subject_of(schema),
        context=asdict(context or Context()),
        dp=dp,
        claims=claims(schema, dp, facts, policy),
        evidence=facts,
        figures=(*([curve] if curve else []), *figures(assessment)),
        decision=_decision(policy),
        provenance=_provenance(provenance, assessment, facts),
    )


def _decision(policy: Policy) -> dict[str, Any]:
    """The limits with their sources, and the conditions: all of them public."""
    return {
        "excess_limit": policy.excess_limit,
        "source": policy.source,
        "set_by": policy.set_by,
        "thresholds": [asdict(threshold) for threshold in policy.thresholds],
        "conditions": list(policy.conditions),
    }


def _provenance(
    provenance: Provenance, assessment: Assessment, facts: Sequence[Fact]
) -> dict[str, Any]:
    """What anybody may know of the run, and beside it what speaks of the records."""
    return {
        "run_id": provenance.run_id,
        "created": provenance.created,
        "model": provenance.model,
        "choice": provenance.choice,
        "effective_share": provenance.effective_share,
        "parameters": dict(provenance.parameters),
        "versions": dict(provenance.versions),
        "ledger_entry": provenance.ledger_entry,
        "build": provenance.build,
        "verification": provenance.verification and provenance.verification.to_dict(),
        "records": None if provenance.records is None else asdict(provenance.records),
        "controller": {
            "commands": list(provenance.commands),
            "hashes": dict(provenance.hashes),
            "seconds": provenance.seconds,
            "assessment_seconds": assessment.seconds,
            "tools": _tools(facts),
        },
    }


def _tools(facts: Sequence[Fact]) -> list[dict[str, Any]]:
    """Each tool, with its defects that were worked around."""
    handled: dict[str, dict[str, None]] = {}
    for fact in facts:
        tool = fact.trial.tool if fact.trial else str(fact.details.get("tool", ""))
        if tool:
            handled.setdefault(tool, {}).update(
                dict.fromkeys(fact.trial.guards if fact.trial else ())
            )
    return [{"tool": tool, "defects_handled": list(guards)} for tool, guards in handled.items()]
