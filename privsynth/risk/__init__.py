"""Re-identification risk: attacks on a synthetic table, each with its control."""

from privsynth.risk.base import (
    Attack,
    AttackResult,
    Failure,
    Rate,
    Risk,
    ThreatModel,
    Verdict,
    attacks,
)
from privsynth.risk.copies import Copies
from privsynth.risk.identifiers import IdentifierFinding, Identifiers, find_in_tables
from privsynth.risk.inference import Inference
from privsynth.risk.linkability import Linkability
from privsynth.risk.membership import Membership
from privsynth.risk.planning import planned_queries
from privsynth.risk.singling_out import SinglingOut
from privsynth.risk.suite import run_suite
from privsynth.risk.vulnerable import Vulnerable

__all__ = [
    "Attack",
    "AttackResult",
    "Copies",
    "Failure",
    "IdentifierFinding",
    "Identifiers",
    "Inference",
    "Linkability",
    "Membership",
    "Rate",
    "Risk",
    "SinglingOut",
    "ThreatModel",
    "Verdict",
    "Vulnerable",
    "attacks",
    "find_in_tables",
    "planned_queries",
    "run_suite",
]
