"""The terms of a report, in plain words."""

from __future__ import annotations

GLOSSARY: tuple[tuple[str, str], ...] = (
    (
        "Add-or-remove-one",
        "Two tables are neighbours if one is the other without all records of one unit. Under "
        "replace-one, one unit’s records are exchanged for another’s.",
    ),
    (
        "Ceiling",
        "The highest success rate, or excess, that the proof allows any attacker at the false "
        "alarm rate of the attack beside it. Where an attack tells which of two persons is the "
        "member, that is the bound of replace-one.",
    ),
    (
        "Control",
        "Real records that were split off by lot, by unit, before training. The generator never "
        "saw them; whatever an attack achieves on them does not come from the training data.",
    ),
    (
        "Detection score",
        "1 if a classifier cannot tell synthetic from real records, 0 if it always can.",
    ),
    (
        "DP-SGD",
        "Training in which each unit’s influence on each step is limited and noise is added.",
    ),
    (
        "Epsilon (ε) and delta (δ)",
        "The guarantee: whether or not one unit is in the data, the probability of any output "
        "changes at most by the factor e to the power ε, and by δ on top of it.",
    ),
    (
        "Excess",
        "The success rate of an attack on members less that on control records: the part that can "
        "only come from the training data.",
    ),
    (
        "Floor",
        "What an attack has shown. Another attack may show more.",
    ),
    (
        "Inconclusive",
        "The figure could not be computed, or its interval reaches across the limit. The reason is "
        "printed with it.",
    ),
    (
        "Inference",
        "Guessing a sensitive value of a person from that person’s other values.",
    ),
    (
        "Interval",
        "The range of values that are compatible with what was measured, at the stated confidence.",
    ),
    ("Ledger", "The record of everything that was ever spent on a data set."),
    (
        "Linkability",
        "Joining two sets of attributes that belong to the same person.",
    ),
    ("Member", "A unit on whose records the generator was trained."),
    (
        "Privacy unit",
        "Whose presence is hidden: a row, or a person with all rows of that person.",
    ),
    (
        "Quasi-identifier",
        "A column that does not name a person but, with others, may point to one: age, sex, place.",
    ),
    (
        "Singling out",
        "Stating a condition that exactly one person in the data meets.",
    ),
    (
        "Total variation distance",
        "Half the sum of the differences between two sets of shares: 0 if equal, 1 if disjoint. "
        "1-way is over single columns, 2-way over pairs, 3-way over triples.",
    ),
    (
        "TSTR and TRTR",
        "Train on synthetic, test on real; beside it train on real, test on real.",
    ),
)
