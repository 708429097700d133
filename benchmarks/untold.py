"""Ours where the schema names no target: what being told one is worth.

    python benchmarks/untold.py --datasets adult diabetes --epsilons 0.5 1 --seeds 2

The schema of a benchmark's table names the column that TSTR predicts, as a steward's would, and
our generators measure its pairs more finely. No peer can be told. Here the same presets are fitted
to the same codes under a schema in which every column is ordinary; figures as in `field.py`. What
stands in results/untold.csv is not run again.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from arena import datasets, metrics, own_run, results
from lines import append

import privsynth as ps
from privsynth.synth.preset import load_preset

CSV = Path(__file__).resolve().parent / "results" / "untold.csv"
FIGURES = ("tvd1", "tvd2", "tvd3", "tstr_gb", "tstr_logistic", "detection", "groups_kept")


def untold(data: datasets.Coded) -> datasets.Coded:
    """The data set with no role for any column."""
    return replace(data, roles=tuple("ordinary" for _ in data.roles))


def drawn(data: datasets.Coded, preset: str, epsilon: float, seed: int) -> np.ndarray:
    """Codes of as many rows as were trained on, from a fit with secret noise."""
    with tempfile.TemporaryDirectory() as folder:
        fitted = load_preset(preset).fit(
            datasets.as_table(data, data.train),
            ps.PrivacyBudget(epsilon, 1e-5),
            ledger=ps.Ledger(Path(folder) / "ledger.sqlite"),
        )
    table = fitted.sample(len(data.train), rng=np.random.default_rng(seed))
    return datasets.as_codes(data, table)


def same(row: dict[str, str], cell: dict[str, object]) -> bool:
    """Whether a row of the CSV is about that cell."""
    return all(row[key] == str(value) for key, value in cell.items())


def main() -> None:
    made = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    made.add_argument("--datasets", nargs="+", default=["adult", "diabetes"])
    made.add_argument("--epsilons", nargs="+", type=float, default=[0.5, 1.0])
    made.add_argument("--presets", nargs="+", default=["diffusion", "gan", "marginal"])
    made.add_argument("--seeds", type=int, default=1)
    made.add_argument("--csv", type=Path, default=CSV)
    asked = made.parse_args()
    for seed, name, epsilon, preset in itertools.product(
        range(asked.seeds), asked.datasets, asked.epsilons, asked.presets
    ):
        cell = {"dataset": name, "epsilon": epsilon, "generator": preset, "seed": seed}
        if any(same(row, cell) for row in results.read(asked.csv)):
            continue
        data = datasets.load(name)
        found = metrics.judge(data, drawn(untold(data), preset, epsilon, seed))
        line = cell | {each: f"{found[each]:.4f}" for each in FIGURES}
        line |= {"package": own_run.package(), "date": datetime.now(UTC).date().isoformat()}
        print(line, flush=True)
        append(asked.csv, line)


if __name__ == "__main__":
    main()
