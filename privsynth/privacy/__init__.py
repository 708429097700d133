"""Privacy: the only part that may spend a budget, and the part that an auditor reads.

A budget says what may be spent, a plan what will be asked, the accountant what that costs, and the
calibration how much noise it takes. The ledger writes it down and hands out the right to ask; the
mechanisms and DP-SGD ask; the guarantee says what is proved.
"""

from privsynth.privacy.budget import PrivacyBudget, PrivacyUnit
from privsynth.privacy.calibrate import calibrate
from privsynth.privacy.guarantee import Guarantee
from privsynth.privacy.ledger import Ledger
from privsynth.privacy.plan import MeasurementRequest, PrivacyPlan, TrainingRequest

__all__ = [
    "Guarantee",
    "Ledger",
    "MeasurementRequest",
    "PrivacyBudget",
    "PrivacyPlan",
    "PrivacyUnit",
    "TrainingRequest",
    "calibrate",
]
