"""Rows a second that a fitted diffusion draws, decoded and checked, on the simulated clinic.

    python benchmarks/sampling.py

Prints one JSON line. The fit is short: the speed of a draw does not depend on it.
"""

from __future__ import annotations

import dataclasses
import json
import time

import privsynth as ps
from privsynth.io.clinic import clinic_schema, simulate_clinic
from privsynth.synth.preset import load_preset
from privsynth.table import Table

ROWS = 60_000


def main() -> None:
    schema = clinic_schema()
    clinic = Table.from_arrow(simulate_clinic(), schema)
    results = {}
    for preset in ("diffusion", "diffusion-no-privacy"):
        synthesizer = dataclasses.replace(load_preset(preset), steps=20)
        fitted = synthesizer.fit(clinic, ps.PrivacyBudget(3.0, 1e-6))
        fitted.sample(1_000)
        started = time.perf_counter()
        drawn = fitted.sample(ROWS)
        results[preset] = round(ROWS / (time.perf_counter() - started))
    print(
        json.dumps({"columns": len(drawn.columns), "rows": ROWS, "rows_a_second": results}),
    )


if __name__ == "__main__":
    main()
