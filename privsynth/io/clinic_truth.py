"""The numbers behind the simulated clinic; docs/clinic.md shows them with their formulas."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

FIRST_DAY = dt.date(2021, 1, 1)
LAST_ADMISSION = dt.date(2023, 12, 31)
LONGEST_STAY = 60
LAST_DAY = LAST_ADMISSION + dt.timedelta(days=LONGEST_STAY)
DETECTION_LIMIT = 0.5
"""CRP below it is reported as the limit: a spike in the table."""


@dataclass(frozen=True)
class Gaps:
    """How often each laboratory value is missing under a diagnosis."""

    creatinine: float = 0.02
    haemoglobin: float = 0.02
    glucose: float = 0.10
    crp: float = 0.15


@dataclass(frozen=True)
class Diagnosis:
    """One diagnosis and all that follows from it.

    `log_odds` is that of the diagnosis at age 60 in a non-smoker, `per_decade` and `smoker` move
    it; `days` is the mean stay; the laboratory values shift on the scale of their formula;
    `cost`, `readmitted` and `died` shift the logarithm of the cost and the log-odds of outcomes.
    """

    code: str
    text: str
    log_odds: float
    per_decade: float
    smoker: float
    days: float
    creatinine: float
    haemoglobin: float
    glucose: float
    crp: float
    cost: float
    readmitted: float
    died: float
    chronic: bool = False
    winter: bool = False
    gaps: Gaps = Gaps()


@dataclass(frozen=True)
class Region:
    """A part of the country: its share of patients and how well off it is."""

    zip_code: str
    share: float
    wealth: float


DELIVERY = "O80"
"""Only in women of 18 to 45."""

# fmt: off
DIAGNOSES = (
    Diagnosis("A41", "Sepsis", -0.6, 0.35, 0.1, 11, 0.45, -1.3, 0.15, 170, 0.9, 0.4, 1.8,
              gaps=Gaps(crp=0.01)),
    Diagnosis("C34", "Lung cancer", -1.0, 0.15, 1.7, 9, 0.0, -1.2, 0.0, 35, 1.0, 0.8, 1.5,
              chronic=True),
    Diagnosis("E11", "Type 2 diabetes", 0.1, 0.15, 0.1, 5, 0.12, -0.2, 0.75, 1.5, 0.0, 0.4, -0.6,
              chronic=True, gaps=Gaps(glucose=0.005, crp=0.45)),
    Diagnosis("F32", "Depressive episode", -0.3, -0.25, 0.4, 14, 0.0, 0.0, 0.0, 0.6, 0.1, 0.3, -2.5,
              gaps=Gaps(0.25, 0.30, 0.40, 0.60)),
    Diagnosis("I21", "Myocardial infarction", 0.0, 0.25, 0.7, 6, 0.08, 0.0, 0.10, 12, 0.9, 0.2, 0.9,
              gaps=Gaps(crp=0.20)),
    Diagnosis("I50", "Heart failure", 0.1, 0.55, 0.1, 8, 0.25, -0.6, 0.05, 15, 0.4, 0.7, 0.7,
              chronic=True),
    Diagnosis("J18", "Pneumonia", 0.2, 0.30, 0.3, 7, 0.05, -0.4, 0.05, 110, 0.2, 0.3, 0.6,
              winter=True, gaps=Gaps(crp=0.01)),
    Diagnosis("J44", "Chronic obstructive lung disease", -0.1, 0.30, 1.6, 7, 0.0, 0.5, 0.05, 25,
              0.2, 0.6, 0.3, chronic=True, winter=True),
    Diagnosis("K35", "Appendicitis", -0.6, -0.55, 0.1, 3, 0.0, 0.1, 0.0, 60, 0.0, -0.6, -3.0,
              gaps=Gaps(creatinine=0.08, glucose=0.25)),
    Diagnosis("K80", "Gallstones", 0.0, -0.10, 0.0, 3, 0.0, 0.0, 0.0, 4, 0.1, -0.4, -2.0),
    Diagnosis("N17", "Acute kidney failure", -0.7, 0.40, 0.1, 8, 1.10, -1.2, 0.05, 30, 0.5, 0.4,
              0.8, chronic=True, gaps=Gaps(creatinine=0.0)),
    Diagnosis(DELIVERY, "Delivery", 2.2, 0.0, 0.0, 3, -0.15, -1.3, 0.0, 8, -0.2, -1.5, -4.0,
              gaps=Gaps(0.35, 0.05, 0.30, 0.30)),
    Diagnosis("S72", "Fracture of the femur", -0.6, 0.75, 0.1, 10, 0.05, -1.5, 0.0, 60, 0.8, 0.1,
              0.3),
)

REGIONS = (
    Region("01002", 0.06, 0.3), Region("01040", 0.08, -0.8), Region("01103", 0.10, -0.9),
    Region("01201", 0.06, -0.2), Region("01420", 0.07, -0.4), Region("01605", 0.12, -0.5),
    Region("01742", 0.05, 1.0), Region("01850", 0.09, -0.6), Region("02108", 0.08, 0.9),
    Region("02139", 0.12, 0.7), Region("02368", 0.10, 0.0), Region("02740", 0.07, -0.7),
)

INSURERS = ("public", "private", "none")
OUTCOMES = ("home", "readmitted", "died")

FEMALE_NAMES = (
    "Ada", "Bella", "Clara", "Dora", "Edith", "Fiona", "Greta", "Hanna", "Iris", "Judith", "Karla",
    "Lena", "Mara", "Nora", "Olga", "Petra", "Rosa", "Selma", "Thea", "Vera",
)
MALE_NAMES = (
    "Adam", "Bruno", "Carl", "David", "Emil", "Felix", "Georg", "Hugo", "Ivan", "Jonas", "Karl",
    "Leo", "Max", "Nils", "Otto", "Paul", "Quentin", "Rolf", "Simon", "Tom",
)
FAMILY_NAMES = (
    "Abbott", "Bailey", "Carver", "Dalton", "Ellery", "Farmer", "Gardner", "Hollis", "Ingram",
    "Jarvis", "Keller", "Lambert", "Mercer", "Norris", "Orchard", "Palmer", "Quincy", "Ramsey",
    "Sawyer", "Tanner", "Underhill", "Vaughan", "Walker", "Yates",
)
# fmt: on
