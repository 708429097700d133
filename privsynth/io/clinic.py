"""A simulated clinic: records of nobody, drawn from formulas that docs/clinic.md writes out.

It stands in for a hospital's table wherever an example needs one: ages, ZIP codes with leading
zeros, dates, diagnoses with codes, laboratory values that are missing for a reason, costs in
cents and an outcome. Its dependence is realistic and its truth is known, so that a synthetic
table can be judged against the formulas themselves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from privsynth.io.clinic_truth import (
    DELIVERY,
    DETECTION_LIMIT,
    DIAGNOSES,
    FAMILY_NAMES,
    FEMALE_NAMES,
    FIRST_DAY,
    INSURERS,
    LAST_ADMISSION,
    LAST_DAY,
    LONGEST_STAY,
    MALE_NAMES,
    OUTCOMES,
    REGIONS,
)
from privsynth.schema import Schema

Floats = NDArray[np.float64]
Draw = dict[str, NDArray[Any]]


def simulate_clinic(n_patients: int = 20_000, seed: int = 2024) -> pa.Table:
    """One row a patient, 19 columns, the same for the same seed; `clinic_schema` describes them.

    Drawn in this order, each given what came before: sex, age, region, smoker, insurer, diagnosis
    (age, sex, smoker), comorbidities (age, diagnosis), dates (diagnosis, comorbidities, season),
    laboratory values (diagnosis, sex, age, comorbidities; missing by diagnosis), cost (diagnosis,
    days, comorbidities, insurer) and outcome (age, diagnosis, comorbidities, creatinine, insurer).

    >>> simulate_clinic(3).column("region").type
    DataType(string)
    """
    rng = np.random.default_rng(seed)
    draw = _persons(n_patients, rng)
    draw |= _cases(draw, rng)
    draw |= _laboratory(draw, rng)
    draw |= {"cost": _costs(draw, rng), "outcome": _outcomes(draw, rng)}
    names = _names(draw, rng)
    gaps = _gaps(draw, rng)
    return _table(draw, names, gaps)


def clinic_schema() -> Schema:
    """The declared schema of the simulated clinic.

    >>> clinic_schema()
    Schema('simulated-clinic', 19 columns, unit row)
    """
    quasi, sensitive = {"role": "quasi_identifier"}, {"role": "sensitive"}
    days = {"kind": "date", "lower": FIRST_DAY, "granularity": "day"} | quasi
    lab = {"kind": "numeric", "missing": True}
    codes = [diagnosis.code for diagnosis in DIAGNOSES]
    texts = [diagnosis.text for diagnosis in DIAGNOSES]
    columns = {
        "patient_id": {"kind": "id"},
        "name": {"kind": "text", "action": "drop", "role": "identifier"},
        "age": {"kind": "integer", "lower": 18, "upper": 100} | quasi,
        "sex": _labels("female", "male") | quasi,
        "region": _labels(*(region.zip_code for region in REGIONS)) | quasi,
        "insurer": _labels(*INSURERS) | quasi,
        "smoker": {"kind": "boolean", "missing": True} | sensitive,
        "admitted": days | {"upper": LAST_ADMISSION},
        "discharged": days | {"upper": LAST_DAY},
        "length_of_stay": {"kind": "integer", "lower": 0, "upper": LONGEST_STAY},
        "diagnosis": _labels(*codes) | sensitive,
        "description": _labels(*texts) | sensitive,
        "comorbidities": {"kind": "integer", "lower": 0, "upper": 8} | sensitive,
        "creatinine": lab | {"lower": 0.2, "upper": 15, "granularity": 0.01},
        "haemoglobin": lab | {"lower": 4, "upper": 20, "granularity": 0.1},
        "glucose": {"kind": "integer", "lower": 40, "upper": 600, "missing": True},
        "crp": lab | {"lower": 0.5, "upper": 500, "granularity": 0.1},
        "cost": {"kind": "numeric", "lower": 100, "upper": 250_000, "granularity": 0.01},
        "outcome": _labels(*OUTCOMES) | {"role": "target"},
    }
    dataset = {"id": "simulated-clinic", "title": "A simulated clinic"}
    rules = _rules(dict(zip(codes, texts, strict=True)))
    return Schema.parse({"dataset": dataset, "columns": columns, "constraints": rules})


def _rules(texts: dict[str, str]) -> list[dict[str, object]]:
    delivery = {"kind": "implication", "column": "diagnosis", "value": DELIVERY}
    text = {"kind": "functional_dependency", "column": "diagnosis", "determines": "description"}
    return [
        {"kind": "inequality", "low": "admitted", "high": "discharged"},
        text | {"mapping": texts},
        delivery | {"then": "sex", "allowed": ["female"]},
    ]


def _labels(*categories: str) -> dict[str, object]:
    return {"kind": "categorical", "categories": list(categories)}


def _persons(n: int, rng: np.random.Generator) -> Draw:
    male = (rng.random(n) < 0.48).astype(float)
    young = rng.random(n) < 0.28
    age = np.clip(np.round(np.where(young, rng.normal(36, 10, n), rng.normal(68, 13, n))), 18, 100)
    decade = (age - 60) / 10
    region = rng.choice(len(REGIONS), n, p=[region.share for region in REGIONS])
    wealth = np.array([place.wealth for place in REGIONS])[region]
    smoker = rng.random(n) < _logistic(-0.9 + 0.35 * male - 0.18 * decade - 0.3 * wealth)
    old = age >= 65
    insurer = _choose(
        [0.2 + 2.2 * old - 0.6 * wealth, 0.6 * wealth, -1.2 - 1.5 * old - 0.4 * wealth], rng
    )
    return {
        "male": male,
        "age": age,
        "decade": decade,
        "region": region,
        "smoker": smoker.astype(float),
        "insurer": insurer,
    }


def _cases(draw: Draw, rng: np.random.Generator) -> Draw:
    """Diagnosis, comorbidities, and the days of admission and discharge, counted from the first."""
    may_deliver = (draw["male"] == 0) & (draw["age"] <= 45)
    scores = [
        np.where(
            may_deliver | (kind.code != DELIVERY),
            kind.log_odds + kind.per_decade * draw["decade"] + kind.smoker * draw["smoker"],
            -np.inf,
        )
        for kind in DIAGNOSES
    ]
    draw = draw | {"diagnosis": _choose(scores, rng)}
    rate = np.exp(-0.5 + 0.2 * draw["decade"] + 0.4 * _truth("chronic", draw))
    comorbidities = np.minimum(rng.poisson(rate), 8)
    mean_days = _truth("days", draw) * np.exp(0.06 * comorbidities)
    days = np.minimum(rng.poisson(rng.gamma(3, mean_days / 3)), LONGEST_STAY)
    admitted = _admissions(_truth("winter", draw) > 0, rng)
    return {
        "diagnosis": draw["diagnosis"],
        "comorbidities": comorbidities,
        "days": days,
        "admitted": admitted,
        "discharged": admitted + days,
    }


def _admissions(winter: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    """Days of admission: even over three years, or with a crest in the middle of January."""
    n_days = (LAST_ADMISSION - FIRST_DAY).days + 1
    season = 1 + 0.6 * np.cos(2 * np.pi * (np.arange(n_days) - 15) / 365.25)
    even = rng.integers(0, n_days, len(winter))
    crest = rng.choice(n_days, len(winter), p=season / season.sum())
    return np.where(winter, crest, even)


def _laboratory(draw: Draw, rng: np.random.Generator) -> Draw:
    n = len(draw["age"])
    male, decade, ill = draw["male"], draw["decade"], draw["comorbidities"]

    creatinine = np.exp(
        np.log(0.85) + 0.16 * male + 0.05 * decade + 0.06 * ill
        + _truth("creatinine", draw) + rng.normal(0, 0.22, n)
    )  # fmt: skip
    haemoglobin = (
        13.2 + 1.2 * male - 0.15 * decade - 0.15 * ill
        + _truth("haemoglobin", draw) + rng.normal(0, 1.3, n)
    )  # fmt: skip
    glucose = np.exp(np.log(104) + 0.02 * decade + _truth("glucose", draw) + rng.normal(0, 0.2, n))
    crp = _truth("crp", draw) * np.exp(rng.normal(0, 0.8, n))
    return {
        "creatinine": np.clip(np.round(creatinine, 2), 0.2, 15),
        "haemoglobin": np.clip(np.round(haemoglobin, 1), 4, 20),
        "glucose": np.clip(np.round(glucose), 40, 600),
        "crp": np.clip(np.round(crp, 1), DETECTION_LIMIT, 500),
    }


def _costs(draw: Draw, rng: np.random.Generator) -> Floats:
    private = draw["insurer"] == INSURERS.index("private")
    logarithm = (
        6.4 + 0.75 * np.log1p(draw["days"]) + 0.04 * draw["comorbidities"] + 0.15 * private
        + _truth("cost", draw) + rng.normal(0, 0.3, len(private))
    )  # fmt: skip
    return np.asarray(np.clip(np.round(np.exp(logarithm), 2), 100, 250_000))


def _outcomes(draw: Draw, rng: np.random.Generator) -> NDArray[np.int64]:
    decade, ill = draw["decade"], draw["comorbidities"]
    uninsured = draw["insurer"] == INSURERS.index("none")
    readmitted = -2.0 + 0.12 * decade + 0.18 * ill + 0.25 * uninsured + _truth("readmitted", draw)
    died = (
        -4.3 + 0.55 * decade + 0.18 * ill + 0.5 * np.log(draw["creatinine"])
        + _truth("died", draw)
    )  # fmt: skip
    return _choose([np.zeros(len(decade)), readmitted, died], rng)


def _names(draw: Draw, rng: np.random.Generator) -> list[str]:
    """A first name by sex and a family name; 960 combinations, so that many people share one."""
    n = len(draw["male"])
    first = rng.integers(0, len(MALE_NAMES), n)
    family = rng.integers(0, len(FAMILY_NAMES), n)
    lists = (FEMALE_NAMES, MALE_NAMES)
    return [
        f"{lists[int(male)][i]} {FAMILY_NAMES[j]}"
        for male, i, j in zip(draw["male"], first, family, strict=True)
    ]


def _gaps(draw: Draw, rng: np.random.Generator) -> dict[str, NDArray[np.bool_]]:
    """Which entries are missing: smoker at random, laboratory values by diagnosis."""
    n = len(draw["age"])
    diagnosis = draw["diagnosis"].astype(int)
    gaps = {"smoker": rng.random(n) < 0.04}
    for lab in ("creatinine", "haemoglobin", "glucose", "crp"):
        chance = np.array([getattr(kind.gaps, lab) for kind in DIAGNOSES])[diagnosis]
        gaps[lab] = rng.random(n) < chance
    return gaps


def _table(draw: Draw, names: list[str], gaps: dict[str, NDArray[np.bool_]]) -> pa.Table:
    def label(name: str, labels: list[str]) -> pa.Array:
        return pa.array(np.array(labels, dtype=object)[draw[name].astype(int)], pa.string())

    def number(name: str, kind: pa.DataType) -> pa.Array:
        return pa.array(draw[name], mask=gaps.get(name)).cast(kind)

    def day(name: str) -> pa.Array:
        since = np.datetime64(FIRST_DAY, "D") + draw[name].astype("timedelta64[D]")
        return pa.array(since).cast(pa.date32())

    whole, real = pa.int64(), pa.float64()
    return pa.table(
        {
            "patient_id": [f"P{patient:07d}" for patient in range(1, len(names) + 1)],
            "name": names,
            "age": number("age", whole),
            "sex": label("male", ["female", "male"]),
            "region": label("region", [region.zip_code for region in REGIONS]),
            "insurer": label("insurer", list(INSURERS)),
            "smoker": number("smoker", pa.bool_()),
            "admitted": day("admitted"),
            "discharged": day("discharged"),
            "length_of_stay": number("days", whole),
            "diagnosis": label("diagnosis", [kind.code for kind in DIAGNOSES]),
            "description": label("diagnosis", [kind.text for kind in DIAGNOSES]),
            "comorbidities": number("comorbidities", whole),
            "creatinine": number("creatinine", real),
            "haemoglobin": number("haemoglobin", real),
            "glucose": number("glucose", whole),
            "crp": number("crp", real),
            "cost": number("cost", real),
            "outcome": label("outcome", list(OUTCOMES)),
        }
    )


def _truth(number: str, draw: Draw) -> Floats:
    """A number of each patient's diagnosis."""
    values = np.array([getattr(kind, number) for kind in DIAGNOSES], dtype=float)
    return np.asarray(values[draw["diagnosis"].astype(int)])


def _choose(scores: list[Floats], rng: np.random.Generator) -> NDArray[np.int64]:
    """One choice a row by the log-odds of each, (n_rows,) each: the greatest after Gumbel noise."""
    noisy = np.stack(scores) + rng.gumbel(size=(len(scores), len(scores[0])))
    return np.asarray(np.argmax(noisy, axis=0))


def _logistic(log_odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-log_odds)))
