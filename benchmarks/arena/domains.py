"""Public domains: how each column of the benchmark's data sets becomes codes 0..k-1.

Every generator gets the same table of codes. A bin comes from the documentation of the data or
from the meaning of the quantity, but for two lists of the diabetes table that its documentation
does not give: the payers, and the frequent specialties. Both were read from the published records,
and are public here by decree, for every generator alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Role = Literal["ordinary", "quasi_identifier", "sensitive", "target"]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Labels:
    """A column of labels; `missing` and `rest` (values outside the list) are codes of their own."""

    labels: tuple[str, ...]
    ordered: bool = False
    missing: bool = False
    rest: bool = False
    role: Role = "ordinary"
    label_of: Callable[[Any], str | None] | None = None

    @property
    def size(self) -> int:
        """How many codes the column has."""
        return len(self.labels) + self.rest + self.missing

    def codes(self, values: pd.Series) -> Codes:
        """The code of each value; a value that the domain does not know is refused."""
        known = {label: code for code, label in enumerate(self.labels)}
        kept = values.map(self.label_of) if self.label_of else values
        text = kept.map(lambda value: None if pd.isna(value) else str(value))
        codes = text.map(known)
        if self.rest:
            codes = codes.where(codes.notna() | text.isna(), len(self.labels))
        if self.missing:
            codes = codes.where(text.notna(), self.size - 1)
        if n_unknown := int(codes.isna().sum()):
            raise ValueError(f"column {values.name!r}: {n_unknown} values outside its domain")
        return np.asarray(codes, dtype=np.int64)


@dataclass(frozen=True)
class Bins:
    """A column of numbers: code j holds the values in [cuts[j-1], cuts[j])."""

    cuts: tuple[float, ...]
    role: Role = "ordinary"
    ordered: bool = field(default=True, init=False)

    @property
    def size(self) -> int:
        """How many codes the column has."""
        return len(self.cuts) + 1

    def codes(self, values: pd.Series) -> Codes:
        """The code of each value."""
        if n_missing := int(values.isna().sum()):
            raise ValueError(f"column {values.name!r}: {n_missing} missing values")
        return np.searchsorted(self.cuts, np.asarray(values, dtype=float), side="right")


Domain = Labels | Bins


def _steps(first: int, last: int, step: int) -> tuple[int, ...]:
    return tuple(range(first, last + 1, step))


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_COUNTRIES = _words(
    "United-States Cambodia England Puerto-Rico Canada Germany Outlying-US(Guam-USVI-etc) India "
    "Japan Greece South China Cuba Iran Honduras Philippines Italy Poland Jamaica Vietnam Mexico "
    "Portugal Ireland France Dominican-Republic Laos Ecuador Taiwan Haiti Columbia Hungary "
    "Guatemala Nicaragua Scotland Thailand Yugoslavia El-Salvador Trinadad&Tobago Peru Hong "
    "Holand-Netherlands"
)

ADULT: dict[str, Domain] = {
    "age": Bins(_steps(20, 85, 5), "quasi_identifier"),
    "workclass": Labels(
        _words(
            "Private Self-emp-not-inc Self-emp-inc Federal-gov Local-gov State-gov Without-pay "
            "Never-worked"
        ),
        missing=True,
        role="quasi_identifier",
    ),
    "fnlwgt": Bins(_steps(50_000, 500_000, 50_000)),
    "education": Labels(
        _words(
            "Preschool 1st-4th 5th-6th 7th-8th 9th 10th 11th 12th HS-grad Some-college Assoc-voc "
            "Assoc-acdm Bachelors Masters Prof-school Doctorate"
        ),
        ordered=True,
        role="quasi_identifier",
    ),
    "education_num": Bins(_steps(2, 16, 1)),
    "marital_status": Labels(
        _words(
            "Married-civ-spouse Divorced Never-married Separated Widowed Married-spouse-absent "
            "Married-AF-spouse"
        ),
        role="quasi_identifier",
    ),
    "occupation": Labels(
        _words(
            "Tech-support Craft-repair Other-service Sales Exec-managerial Prof-specialty "
            "Handlers-cleaners Machine-op-inspct Adm-clerical Farming-fishing Transport-moving "
            "Priv-house-serv Protective-serv Armed-Forces"
        ),
        missing=True,
        role="quasi_identifier",
    ),
    "relationship": Labels(
        _words("Wife Own-child Husband Not-in-family Other-relative Unmarried"),
        role="quasi_identifier",
    ),
    "race": Labels(
        _words("White Asian-Pac-Islander Amer-Indian-Eskimo Other Black"), role="quasi_identifier"
    ),
    "sex": Labels(_words("Female Male"), role="quasi_identifier"),
    "capital_gain": Bins((1, 2_500, 5_000, 7_500, 10_000, 20_000, 50_000), "sensitive"),
    "capital_loss": Bins((1, 1_500, 1_750, 2_000, 2_500), "sensitive"),
    "hours_per_week": Bins((*_steps(5, 40, 5), 41, *_steps(45, 80, 5))),
    "native_country": Labels(_COUNTRIES, missing=True, role="quasi_identifier"),
    "income": Labels(("<=50K", ">50K"), ordered=True, role="target"),
}

# The chapters of ICD-9, by the first code that no longer belongs to each; diabetes on its own,
# because every patient of the table has it. V and E codes are chapters of their own.
_CHAPTERS: tuple[tuple[float, str], ...] = (
    (140, "infectious"),
    (240, "neoplasms"),
    (250, "endocrine"),
    (251, "diabetes"),
    (280, "endocrine"),
    (290, "blood"),
    (320, "mental"),
    (390, "nervous"),
    (460, "circulatory"),
    (520, "respiratory"),
    (580, "digestive"),
    (630, "genitourinary"),
    (680, "pregnancy"),
    (710, "skin"),
    (740, "musculoskeletal"),
    (760, "congenital"),
    (780, "perinatal"),
    (800, "symptoms"),
    (1000, "injury"),
)


def chapter(code: Any) -> str | None:
    """The chapter of ICD-9 that a diagnosis belongs to.

    >>> chapter("250.83"), chapter("V57"), chapter("786"), chapter(None)
    ('diabetes', 'V', 'symptoms', None)
    """
    if code is None or pd.isna(code):
        return None
    if str(code)[0] in "VE":
        return str(code)[0]
    return next(name for end, name in _CHAPTERS if float(code) < end)


def _diagnosis() -> Labels:
    names = tuple(dict.fromkeys(name for _, name in _CHAPTERS))
    return Labels((*names, "V", "E"), missing=True, role="sensitive", label_of=chapter)


_SPECIALTIES = _words(
    "InternalMedicine Family/GeneralPractice Emergency/Trauma Cardiology Surgery-General "
    "Orthopedics Orthopedics-Reconstructive Radiologist Nephrology Pulmonology Psychiatry "
    "ObstetricsandGynecology Urology Surgery-Cardiovascular/Thoracic Surgery-Neuro "
    "Gastroenterology Oncology Pediatrics Neurology Endocrinology"
)
_DRUG = _words("No Steady Up Down")


def _numbered(first: int, last: int, role: Role = "quasi_identifier") -> Labels:
    return Labels(tuple(str(number) for number in range(first, last + 1)), role=role)


DIABETES: dict[str, Domain] = {
    "race": Labels(
        _words("Caucasian AfricanAmerican Hispanic Asian Other"),
        missing=True,
        role="quasi_identifier",
    ),
    "gender": Labels(_words("Female Male Unknown/Invalid"), role="quasi_identifier"),
    "age": Labels(
        tuple(f"[{start}-{start + 10})" for start in range(0, 100, 10)),
        ordered=True,
        role="quasi_identifier",
    ),
    "admission_type_id": _numbered(1, 8),
    "discharge_disposition_id": _numbered(1, 30),
    "admission_source_id": _numbered(1, 26),
    "time_in_hospital": Bins(_steps(2, 14, 1), "quasi_identifier"),
    "payer_code": Labels(
        _words("BC CH CM CP DM FR HM MC MD MP OG OT PO SI SP UN WC"),
        missing=True,
        role="quasi_identifier",
    ),
    "medical_specialty": Labels(_SPECIALTIES, missing=True, rest=True, role="quasi_identifier"),
    "num_lab_procedures": Bins((2, *_steps(10, 100, 10))),
    "num_procedures": Bins(_steps(1, 6, 1)),
    "num_medications": Bins(_steps(4, 40, 4)),
    "number_outpatient": Bins((1, 2, 3, 5, 10)),
    "number_emergency": Bins((1, 2, 3, 5, 10)),
    "number_inpatient": Bins((1, 2, 3, 5, 10)),
    "diag_1": _diagnosis(),
    "diag_2": _diagnosis(),
    "diag_3": _diagnosis(),
    "number_diagnoses": Bins(_steps(2, 10, 1)),
    "max_glu_serum": Labels(("None", "Norm", ">200", ">300"), ordered=True, role="sensitive"),
    "A1Cresult": Labels(("None", "Norm", ">7", ">8"), ordered=True, role="sensitive"),
    "metformin": Labels(_DRUG),
    "glipizide": Labels(_DRUG),
    "glyburide": Labels(_DRUG),
    "insulin": Labels(_DRUG, role="sensitive"),
    "change": Labels(("No", "Ch")),
    "diabetesMed": Labels(("No", "Yes")),
    "readmitted": Labels(
        ("no", "yes"),
        ordered=True,
        role="target",
        label_of=lambda value: "yes" if value == "<30" else "no",
    ),
}


def code_matrix(frame: pd.DataFrame, domains: dict[str, Domain]) -> Codes:
    """The codes of a frame's columns: (n_rows, n_columns)."""
    columns: Sequence[Codes] = [domain.codes(frame[name]) for name, domain in domains.items()]
    return np.stack(columns, axis=1)
