"""How the time and memory of a fit grow with rows, on 30 columns of the long stress set.

    python benchmarks/scaling.py --csv benchmarks/results/scaling.csv

A fifth of the rows is held out, as the other benchmarks do. Each fit is made in a process of its
own on one thread. Prints a line for each, and how seconds grow with rows as the exponent of the
power law between the smallest and the largest table: 1 is linear.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import resource
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from arena import datasets
from arena.cells import ONE_THREAD, delta_for
from lines import append

import privsynth as ps
from privsynth.synth.preset import load_preset

DATASET = "long300k"


def measured(preset: str, epsilon: float, n_rows: int) -> dict[str, Any]:
    """One line: seconds of the fit, rows a second of a draw, and the most memory in use."""
    data = datasets.load(DATASET, n_rows)
    table = datasets.as_table(data, data.train)
    budget = ps.PrivacyBudget(epsilon, delta_for(len(data.train)))
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        ledger = ps.Ledger(Path(folder) / "ledger.sqlite")
        fitted = load_preset(preset).fit(table, budget, ledger=ledger, rng=np.random.default_rng(0))
        seconds = time.process_time() - started
    started = time.perf_counter()
    fitted.sample(len(data.train), rng=np.random.default_rng(0))
    return {
        "preset": preset,
        "epsilon": epsilon,
        "n_train": len(data.train),
        "n_columns": len(data.sizes),
        "fit_cpu_s": round(seconds, 1),
        "sample_rows_s": round(len(data.train) / (time.perf_counter() - started)),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "date": datetime.now(UTC).date().isoformat(),
    }


def growth(lines: list[dict[str, Any]]) -> float:
    """The exponent of seconds over rows between the smallest and the largest table.

    >>> growth([{"n_train": 10, "fit_cpu_s": 5.0}, {"n_train": 40, "fit_cpu_s": 10.0}])
    0.5
    """
    ordered = sorted(lines, key=lambda line: line["n_train"])
    first, last = ordered[0], ordered[-1]
    more_rows, more_seconds = (last[key] / first[key] for key in ("n_train", "fit_cpu_s"))
    return math.log(more_seconds) / math.log(more_rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--presets", nargs="+", default=["marginal", "diffusion", "gan"])
    parser.add_argument("--rows", nargs="+", type=int, default=[37_500, 300_000])
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--csv", type=Path)
    asked = parser.parse_args()
    os.environ.update(ONE_THREAD)  # for the processes that are started from here on
    context = multiprocessing.get_context("spawn")
    for preset in asked.presets:
        lines = []
        for n_rows in asked.rows:
            with context.Pool(1) as pool:
                lines.append(pool.apply(measured, (preset, asked.epsilon, n_rows)))
            print(lines[-1], flush=True)
            if asked.csv:
                append(asked.csv, lines[-1])
        if len(lines) > 1:
            print(f"{preset}: seconds grow as rows to the power {growth(lines):.2f}", flush=True)


if __name__ == "__main__":
    main()
