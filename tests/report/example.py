"""A report with plausible numbers, made of the same parts as a real one."""

import math
import tomllib

from privsynth.errors import Inconclusive
from privsynth.fidelity.base import Failure as NoScore
from privsynth.fidelity.base import Score
from privsynth.fidelity.dependence import Associations
from privsynth.fidelity.profiles import ColumnProfile
from privsynth.privacy.budget import PrivacyBudget, PrivacyUnit
from privsynth.privacy.guarantee import Guarantee
from privsynth.privacy.plan import (
    DpSgdEvent,
    GaussianEvent,
    Mechanism,
    NonPrivateEvent,
    PrivacyPlan,
)
from privsynth.report.assessment import Assessment
from privsynth.report.report import Context, Provenance, build_report
from privsynth.risk.base import AttackResult, Rate, Risk, ThreatModel
from privsynth.risk.base import Failure as NoAttack
from privsynth.risk.disclosure import Disclosure
from privsynth.schema import Schema
from privsynth.schema.viability import Viability

SCHEMA = Schema.parse(
    tomllib.loads(
        """
[dataset]
id = "clinic-stays"
title = "Hospital stays, Northern District 2015–2024"
[privacy]
unit = "patient_no"
max_rows_per_unit = 3
[columns]
patient_no = {kind = "id"}
age = {kind = "integer", lower = 0, upper = 120, role = "quasi_identifier"}
sex = {kind = "categorical", categories = ["female", "male"], source = "documentation", \
role = "quasi_identifier"}
zip3 = {kind = "categorical", source = "private", role = "quasi_identifier"}
admitted = {kind = "date", lower = 2015-01-01, upper = 2024-12-31, role = "quasi_identifier"}
diagnosis = {kind = "categorical", source = "private", role = "sensitive"}
length_of_stay = {kind = "integer", lower = 0, upper = 365}
creatinine = {kind = "numeric", lower = 0.1, upper = 25.0, granularity = 0.01, missing = true}
cost = {kind = "numeric", lower = 0, upper = 500000, role = "sensitive"}
insurer = {kind = "categorical", categories = ["statutory", "private", "none"], \
source = "documentation"}
notes = {kind = "text", action = "drop"}
died = {kind = "boolean", role = "target"}
[[constraints]]
kind = "range"
column = "length_of_stay"
lower = 0
"""
    )
)

RECIPIENT = ThreatModel(
    "a recipient of the synthetic table",
    "the synthetic table, and enough about a person to know the person's record",
    "a released row that is a real person's record",
)
SINGLER = ThreatModel(
    "a recipient of the synthetic table",
    "the synthetic table alone",
    "a condition that exactly one person in the training data meets",
)
LINKER = ThreatModel(
    "a data broker",
    "age, sex, zip3 from one source; diagnosis, cost from another",
    "to know that two records belong to the same person",
)
GUESSER = ThreatModel("an acquaintance", "age, sex, zip3 and admitted of a person", "the diagnosis")


GUARDS = (
    "3: the rate is over the queries that were made, not those asked for",
    "4: values with quotes are normalised before the search",
    "13: at most 50,000 attempts",
)
ANONYMETER = {"tool": "anonymeter 1.1.0", "guards": GUARDS}


def attack(name, title, criterion, model, **values):
    """An attack's result with the numbers of a calm release."""
    defaults = {
        "n_planned": 1000,
        "n_done": 1000,
        "member": Rate(52, 1000),
        "control": Rate(49, 1000),
        "excess": Risk(0.003, -0.016, 0.022),
        "persons": 49,
        "p_value": 0.41,
        "tool": "privsynth",
        "seconds": 3.2,
        "details": {"p_holm": 1.0},
    }
    return AttackResult(
        attack=name, title=title, criterion=criterion, threat_model=model, **defaults | values
    )


def measured(member, control, excess, p_value):
    """The numbers of an attack that was carried out as planned."""
    return {
        "n_planned": member[1],
        "n_done": member[1],
        "member": Rate(*member),
        "control": Rate(*control),
        "excess": Risk(*excess),
        "persons": member[0],
        "p_value": p_value,
    }


def attacks():
    """One result or failure for each kind of attack."""
    return (*copies(), *singling_out(), *linkability(), *inferences(), scan())


def copies():
    """Nothing is copied beyond chance."""
    exact = measured((14, 18204), (2, 2011), (-0.0002, -0.0029, 0.0007), 0.78)
    binned = measured((402, 17012), (41, 1904), (0.0021, -0.0056, 0.0081), 0.31)
    yield attack("copies_exact", "Exact copies", "copies", RECIPIENT, **exact)
    yield attack("copies_binned", "Copies up to bins", "copies", RECIPIENT, **binned)


def singling_out():
    """One attack could make fewer queries than were planned."""
    few = measured((61, 412), (52, 412), (0.0218, -0.0254, 0.0688), 0.21) | {"n_planned": 1000}
    name, criterion = "singling_out", "singling out"
    yield attack(
        f"{name}_univariate", "Singling out by one column", criterion, SINGLER, **ANONYMETER
    )
    yield attack(f"{name}_5", "Singling out by 5 columns", criterion, SINGLER, **few, **ANONYMETER)


def linkability():
    """Few persons are linked."""
    found = measured((8, 1000), (6, 1000), (0.002, -0.0067, 0.011), 0.39)
    title = "Linkability of two sources"
    yield attack("linkability", title, "linkability", LINKER, **found, **ANONYMETER)


def inferences():
    """Two attacks that decide, one with too few trials, and one that could not be made."""
    diagnosis = measured((231, 1000), (204, 1000), (0.027, -0.009, 0.063), 0.08)
    cost = measured((382, 1000), (340, 1000), (0.042, -0.0001, 0.084), 0.028)
    died = measured((18, 22), (19, 22), (0, 0, 0), None) | {
        "excess": Inconclusive("only 22 trials on train and 22 on control records")
    }
    for column, prior, found in (
        ("diagnosis", 0.171, diagnosis),
        ("cost", 0.31, cost),
        ("died", None, died),
    ):
        name, title = f"inference_{column}", f"Inference of {column}"
        yield attack(name, title, "inference", GUESSER, prior=prior, **found, **ANONYMETER)
    reason = "its value is known for 12 persons"
    yield NoAttack("inference_insurer", "Inference of insurer", reason, "inference")


def scan():
    """No identifier is found."""
    reader = ThreatModel("anybody", "the synthetic table alone", "a name or number of a person")
    found = measured((0, 20000), (0, 1), (0.0, 0.0, 0.0, 1.0), None) | {"control": None}
    return attack("identifiers", "Direct identifiers", "identifiers", reader, details={}, **found)


def score(metric, title, group, value, reference, **values):
    """A fidelity figure whose reference is the control unless it says otherwise."""
    defaults = {"reference_name": "control", "higher_is_better": False, "tool": "privsynth"}
    return Score(
        metric=metric,
        title=title,
        group=group,
        value=value,
        reference=reference,
        **defaults | values,
    )


def scores():
    """Scores of every group."""
    return (*marginals(), *models(), *quality())


def marginals():
    """Distances and dependence."""
    for order, value, reference in ((1, 0.0142, 0.0108), (2, 0.0461, 0.0377), (3, 0.1214, 0.1088)):
        title = f"{order}-way total variation distance (mean)"
        yield score(f"tvd_{order}way", title, "marginals", value, reference)
    for i, name in enumerate(SCHEMA.modelled):
        title = "1-way total variation distance"
        yield score("tvd_1way", title, "marginals", 0.01 + i / 500, 0.011, column=name)
    title = "Difference of pairwise association (Cramér's V)"
    yield score("association", title, "dependence", 0.021, 0.012)


def models():
    """What models learn, and what they tell apart."""
    real = {"reference_name": "trained on real records", "higher_is_better": True}
    for name, model, value, reference in (
        ("boosting", "gradient boosting", 0.861, 0.902),
        ("linear", "linear model", 0.842, 0.871),
    ):
        title = f"Train on synthetic, test on real: {model}"
        yield score(f"tstr_{name}", title, "utility", value, reference, column="died", **real)
    judge = {"higher_is_better": True, "tool": "scikit-learn HistGradientBoostingClassifier"}
    yield score("detection", "Detection by gradient boosting", "detection", 0.62, 0.98, **judge)


def quality():
    """Coverage, and a figure that could not be had."""
    more = {"higher_is_better": True}
    title = "Repeated rows beyond those of the train table"
    yield score("category_coverage", "Categories that appear", "quality", 0.982, 0.991, **more)
    yield score("rare_coverage", "Rare categories that appear", "quality", 0.871, 0.934, **more)
    yield score("repeated_rows", title, "quality", 0.0013, 0.0, reference_name="train")
    yield NoScore("sdmetrics_quality", "Quality (sdmetrics)", "column 'notes' is not scored")


def bell(n, centre, width):
    """Shares like a bell, summing to 1."""
    heights = [math.exp(-(((i - centre) / width) ** 2)) for i in range(n)]
    return tuple(height / sum(heights) for height in heights)


def profiles(real=True):
    """Shares of each column; without real rows where only the synthetic table was looked at."""
    ages = ("≤ 5", *(f"{5 * i + 1} – {5 * i + 5}" for i in range(1, 17)), "> 85")
    days = (*(f"{i}" for i in range(12)), "12 – 20", "> 20")
    codes = ("I10", "E11", "J18", "I21", "N39", "K35", "C50", "S72", "O80", "(other)")
    years = tuple(f"{2015 + i}-01-01 – {2015 + i}-12-31" for i in range(10))
    shapes = {
        "age": ("integer", ages, bell(18, 12, 5.0), bell(18, 11.4, 5.6)),
        "sex": ("categorical", ("female", "male"), (0.53, 0.47), (0.54, 0.46)),
        "admitted": ("date", years, bell(10, 6, 7), bell(10, 6.2, 6)),
        "diagnosis": ("categorical", codes, bell(10, 0, 4.0), bell(10, 0.3, 4.4)),
        "length_of_stay": ("integer", days, bell(14, 2, 3), bell(14, 2.4, 3.2)),
        "died": ("boolean", ("false", "true"), (0.962, 0.038), (0.957, 0.043)),
    }
    return tuple(
        ColumnProfile(name, kind, labels, seen if real else made, made)
        for name, (kind, labels, seen, made) in shapes.items()
    )


def associations(shift=0.04):
    """Association matrices over the modelled columns; one column is constant."""
    names = SCHEMA.modelled
    n = len(names)

    def value(i, j, by):
        if n - 3 in (i, j):
            return None
        return (
            1.0
            if i == j
            else min(
                1.0,
                abs(math.sin(3.7 * (min(i, j) + 1) * (max(i, j) + 1))) ** 2 * 0.8
                + by * ((i + j) % 3 - 1),
            )
        )

    real = tuple(tuple(value(i, j, 0.0) for j in range(n)) for i in range(n))
    synthetic = tuple(tuple(value(i, j, shift) for j in range(n)) for i in range(n))
    return Associations(names, real, synthetic)


def guarantee(private=True, void=()):
    """The guarantee of a diffusion fitted with epsilon 1, or without privacy."""
    unit = PrivacyUnit.of(SCHEMA)
    if not private:
        budget = PrivacyBudget.no_privacy()
        event = NonPrivateEvent(0.05, 600)
        plan = PrivacyPlan((Mechanism("training", "denoiser", event),), budget, unit)
        return Guarantee(budget, plan, math.inf, math.inf, "dp_accounting 0.6.0 PLD", "none")
    budget = PrivacyBudget(1.0, 1e-6)
    plan = PrivacyPlan(
        (
            Mechanism("categories.zip3", "find the categories of zip3", GaussianEvent(48.0), 1e-7),
            Mechanism(
                "categories.diagnosis",
                "find the categories of diagnosis",
                GaussianEvent(48.0),
                1e-7,
            ),
            Mechanism("marginals.1way", "counts of each column", GaussianEvent(22.0)),
            Mechanism("training", "gradients of the denoiser", DpSgdEvent(0.05, 5.4, 600)),
        ),
        budget,
        unit,
    )
    return Guarantee(
        budget,
        plan,
        0.987,
        2.031,
        "dp_accounting 0.6.0 PLD",
        "ChaCha20, keyed by the system",
        void=void,
    )


GROUPS = Disclosure(
    ("age", "sex"), ("diagnosis",), k_map=4, real_unique=0.021, repu=0.0043, disco=0.0127
)


def assessment(**values):
    """Everything that was measured."""
    measured = {
        "attacks": attacks(),
        "scores": scores(),
        "n_train": 23417,
        "n_control": 2604,
        "n_synthetic": 20000,
        "n_train_units": 18204,
        "n_control_units": 2023,
        "groups": GROUPS,
        "profiles": profiles(),
        "associations": associations(),
        "synthetic_profiles": profiles(real=False),
        "synthetic_associations": associations(),
        "seconds": 71.4,
    }
    return Assessment(**measured | values)


PROVENANCE = Provenance(
    run_id="2026-02-11-7f3a9c",
    created="2026-02-11T10:24:31Z",
    model="diffusion",
    choice="83.9 persons a code at epsilon 1, at least 50",
    effective_share=0.913,
    parameters={"steps": 600, "batch_size": 1024, "noise_multiplicity": 4},
    versions={"python": "3.11.9", "privsynth": "0.1.0", "torch": "2.13.0", "opacus": "1.6.0"},
    ledger_entry="000017-5d1c",
    records=Viability("thin", "18,204 persons at epsilon 1: thin; about 40,000 would be ample"),
    commands=(
        "privsynth run stays.parquet --schema stays.toml --epsilon 1 --delta 1e-6 --out out",
    ),
    hashes={"records": "c0ffee" * 10 + "abcd", "split commitment": "5eed" * 16},
    seconds=203.0,
)

CONTEXT = Context(
    purpose="Method development for length-of-stay prediction",
    recipients="Two university groups under a data use agreement",
    release_model="controlled access",
)


def example_report(private=True, void=(), **values):
    """The controller's edition."""
    return build_report(
        SCHEMA, guarantee(private, void), assessment(**values), PROVENANCE, context=CONTEXT
    )
