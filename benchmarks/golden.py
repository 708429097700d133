"""What a seeded fit of each preset gives on the simulated clinic: models/NAME/golden.json.

    python benchmarks/golden.py            # print the figures of every preset
    python benchmarks/golden.py --write    # and keep them

A change of a figure beyond its tolerance means that the generator draws other tables than before.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import privsynth as ps
from privsynth.fidelity.base import Score
from privsynth.fidelity.marginals import TotalVariation
from privsynth.io.clinic import clinic_schema, simulate_clinic
from privsynth.privacy.noise import SeededNoise
from privsynth.synth.preset import load_preset, preset_names, presets_folder, read_preset
from privsynth.table import Table, Tables

PATIENTS, SEED = 3_000, 11
BUDGET = ps.PrivacyBudget(epsilon=3.0, delta=1e-5)
TOLERANCE = 0.005


def golden(name: str) -> dict[str, Any]:
    """The golden figures of a preset, with what they were made from."""
    train = Table.from_arrow(simulate_clinic(PATIENTS, SEED), clinic_schema())
    budget = BUDGET if read_preset(name).private else ps.PrivacyBudget.no_privacy()
    with tempfile.TemporaryDirectory() as folder:
        fitted = load_preset(name).fit(
            train,
            budget,
            ledger=ps.Ledger(Path(folder) / "ledger.sqlite"),
            noise=SeededNoise(SEED),
            rng=np.random.default_rng(SEED),
        )
    synthetic = fitted.sample(PATIENTS, rng=np.random.default_rng(SEED))
    tables = Tables(train, train.take(np.zeros(0, dtype=np.int64)), synthetic)
    scores = TotalVariation().run(tables, np.random.default_rng(SEED))
    means = {s.metric: round(s.value, 3) for s in scores if isinstance(s, Score) and not s.column}
    return {
        "made_by": "python benchmarks/golden.py --write",
        "data": f"simulated clinic, {PATIENTS} patients, seed {SEED}",
        "budget": budget.to_dict(),
        "tolerance": TOLERANCE,
        "figures": {"codes": sum(fitted.codebook.sizes), **means},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    for name in preset_names():
        text = json.dumps(golden(name), indent=2) + "\n"
        print(name, text)
        if asked.write:
            (presets_folder() / name / "golden.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
