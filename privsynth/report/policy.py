"""The limits that a verdict is held against, each with its source. None of them is a law."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Threshold:
    """A limit that others publish or that this project uses, and what it applies to."""

    name: str
    value: str
    source: str
    use: Literal["decides", "information"]
    note: str = ""


PUBLISHED: tuple[Threshold, ...] = (
    Threshold(
        "Risk of re-identification in an equivalence class",
        "0.09",
        "EMA Policy 0070; Health Canada, Public Release of Clinical Information",
        "information",
        "made for masked tables of real records; it does not apply to the excess of an attack",
    ),
    Threshold(
        "Excess risk, public release",
        "0.05",
        "local policy; no authority has set one",
        "information",
    ),
    Threshold(
        "Smallest count that is printed",
        "11",
        "CMS cell size suppression policy; ResDAC 2024",
        "decides",
        "counts from 1 to 10 are printed as <11",
    ),
    Threshold(
        "Persons in a three-digit ZIP area; pooling of ages",
        "more than 20,000; 90 and over",
        "HIPAA Safe Harbor, 45 CFR 164.514(b)(2)",
        "information",
    ),
    Threshold(
        "Expert Determination",
        "“very small”, no number",
        "HIPAA, 45 CFR 164.514(b)(1)",
        "information",
    ),
    Threshold(
        "Epsilon",
        "no legal threshold exists",
        "a NIST blog calls 0 to 5 conservative; a label prototype calls over 20 not ideal",
        "information",
    ),
)

CONDITIONS: tuple[str, ...] = (
    "Use the table for the purpose that was agreed, and by the recipients who were named.",
    "Do not try to single out, contact or identify a person, and do not link the table to other "
    "data in order to do so.",
    "Take no decision about an individual person from the table.",
    "Tell the controller if a record seems to point to a real person.",
    "Say in every publication that the data are synthetic, and name the run.",
    "Correct standard errors, or confirm findings on real records, before acting on them.",
)


@dataclass(frozen=True)
class Policy:
    """What a verdict is held against: the limit on excess risk, its source and who set it.

    >>> Policy().excess_limit
    0.1
    """

    excess_limit: float = 0.10
    source: str = "local policy (default, controlled release)"
    set_by: str = "default of privsynth; no policy was given"
    conditions: tuple[str, ...] = CONDITIONS
    thresholds: tuple[Threshold, ...] = PUBLISHED
