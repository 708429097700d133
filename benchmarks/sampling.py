"""Rows a second that a fitted diffusion draws, decoded and checked, on the simulated clinic.

    python benchmarks/sampling.py

Once on 15 of its columns, and once on all of them with their constraints, which some draws break.
Prints a JSON line for each preset and table. The fit is short: a draw is as fast after a long one.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command does

import privsynth as ps
from privsynth.io.clinic import clinic_schema, simulate_clinic
from privsynth.synth.preset import load_preset, read_preset
from privsynth.table import Table

ROWS, REPEATS = 60_000, 3
PRIVATE = ps.PrivacyBudget(epsilon=3.0, delta=1e-6)
LEFT_OUT = ("patient_id", "name", "discharged", "description")


def tables() -> dict[str, Table]:
    """The clinic on 15 columns without constraints, and whole."""
    schema, raw = clinic_schema(), simulate_clinic()
    kept = {name: c for name, c in schema.columns.items() if name not in LEFT_OUT}
    narrow = ps.Schema(dataset=schema.dataset, columns=kept)
    return {
        "15 columns": Table.from_arrow(raw.select(list(kept)), narrow),
        "all, with constraints": Table.from_arrow(raw, schema),
    }


def rows_a_second(preset: str, table: Table) -> int:
    """The best of some repeats."""
    synthesizer = dataclasses.replace(load_preset(preset), steps=20)
    budget = PRIVATE if read_preset(preset).private else ps.PrivacyBudget.no_privacy()
    fitted = synthesizer.fit(table, budget)
    best = 0.0
    for _ in range(REPEATS):
        started = time.perf_counter()
        fitted.sample(ROWS)
        best = max(best, ROWS / (time.perf_counter() - started))
    return round(best)


def main() -> None:
    for name, table in tables().items():
        for preset in ("diffusion", "diffusion-no-privacy"):
            speed = rows_a_second(preset, table)
            print(json.dumps({"table": name, "preset": preset, "rows_a_second": speed}), flush=True)


if __name__ == "__main__":
    main()
