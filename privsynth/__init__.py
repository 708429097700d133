"""A privacy-preserving synthesizer of tables that attacks its own output and reports the risk.

>>> import privsynth as ps
>>> schema = ps.Schema.parse({
...     "dataset": {"id": "clinic"},
...     "columns": {"age": {"kind": "integer", "lower": 0, "upper": 120}},
... })
>>> ps.PrivacyBudget(epsilon=1.0, delta=1e-6).is_private
True

Names are imported when they are first used, so that `import privsynth` loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from privsynth.errors import (
        AssessmentError,
        BudgetError,
        DataError,
        Inconclusive,
        LedgerError,
        ModelError,
        OutputError,
        PrivsynthError,
        ReleaseRefused,
        SchemaError,
        UsageError,
    )
    from privsynth.io import read_table
    from privsynth.pipeline import assess
    from privsynth.privacy.budget import PrivacyBudget, PrivacyUnit
    from privsynth.privacy.guarantee import Guarantee
    from privsynth.privacy.ledger import Ledger
    from privsynth.release.load import load_release
    from privsynth.report.report import RiskReport
    from privsynth.schema import Schema
    from privsynth.synth.base import FittedSynthesizer, Synthesizer, load_fitted
    from privsynth.synth.diffusion import Diffusion
    from privsynth.synth.gan import Gan
    from privsynth.synth.marginal import Marginal
    from privsynth.synth.preset import Auto, load_preset
    from privsynth.table import Table, Tables, rng

__all__ = [
    "AssessmentError",
    "Auto",
    "BudgetError",
    "DataError",
    "Diffusion",
    "FittedSynthesizer",
    "Gan",
    "Guarantee",
    "Inconclusive",
    "Ledger",
    "LedgerError",
    "Marginal",
    "ModelError",
    "OutputError",
    "PrivacyBudget",
    "PrivacyUnit",
    "PrivsynthError",
    "ReleaseRefused",
    "RiskReport",
    "Schema",
    "SchemaError",
    "Synthesizer",
    "Table",
    "Tables",
    "UsageError",
    "assess",
    "load_fitted",
    "load_preset",
    "load_release",
    "read_table",
    "rng",
]

_HOMES = {
    "Auto": "privsynth.synth.preset",
    "Diffusion": "privsynth.synth.diffusion",
    "FittedSynthesizer": "privsynth.synth.base",
    "Gan": "privsynth.synth.gan",
    "Guarantee": "privsynth.privacy.guarantee",
    "Ledger": "privsynth.privacy.ledger",
    "Marginal": "privsynth.synth.marginal",
    "PrivacyBudget": "privsynth.privacy.budget",
    "PrivacyUnit": "privsynth.privacy.budget",
    "RiskReport": "privsynth.report.report",
    "Schema": "privsynth.schema",
    "Synthesizer": "privsynth.synth.base",
    "Table": "privsynth.table",
    "Tables": "privsynth.table",
    "assess": "privsynth.pipeline",
    "load_fitted": "privsynth.synth.base",
    "load_preset": "privsynth.synth.preset",
    "load_release": "privsynth.release.load",
    "read_table": "privsynth.io",
    "rng": "privsynth.table",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'privsynth' has no attribute {name!r}")
    value = getattr(import_module(_HOMES.get(name, "privsynth.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
