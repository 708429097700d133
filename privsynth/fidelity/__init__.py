"""Fidelity: how like the real records the synthetic ones are, each figure with its reference."""

from privsynth.fidelity.base import Failure, Metric, Score, metrics
from privsynth.fidelity.collapse import Collapse
from privsynth.fidelity.dependence import Association, Associations, associations
from privsynth.fidelity.detection import Detection
from privsynth.fidelity.discretise import Discretiser
from privsynth.fidelity.marginals import TotalVariation
from privsynth.fidelity.profiles import ColumnProfile, profiles
from privsynth.fidelity.sdmetrics import SDMetricsQuality
from privsynth.fidelity.suite import run_suite
from privsynth.fidelity.utility import Utility

__all__ = [
    "Association",
    "Associations",
    "Collapse",
    "ColumnProfile",
    "Detection",
    "Discretiser",
    "Failure",
    "Metric",
    "SDMetricsQuality",
    "Score",
    "TotalVariation",
    "Utility",
    "associations",
    "metrics",
    "profiles",
    "run_suite",
]
