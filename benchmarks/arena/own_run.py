"""One fit of one of our presets, in a process of its own.

    python own_run.py PRESET DATASET out.npz EPSILON DELTA SEED

Writes the codes that were drawn, and prints one JSON line of timings, as `peer_run.py` does. Under
a finite epsilon noise and chance of the fit are from the secret source, as in a release; the seed
steers the draw of the table, and without privacy the fit too.
"""

from __future__ import annotations

import json
import math
import platform
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import privsynth as ps
from arena import datasets
from privsynth.synth.preset import load_preset


def commit() -> str:
    """The commit of the checkout, with a plus sign where files differ from it."""
    root = Path(__file__).resolve().parents[2]
    git = ["git", "-c", "safe.directory=*", "-C", str(root)]
    try:
        head = subprocess.run(
            [*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--", "privsynth", "models"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "no commit"
    return head + ("+" if changed else "")


def package() -> str:
    """The version and commit that a fit of ours is known by."""
    return f"privsynth {version('privsynth')} ({commit()})"


def budget_of(epsilon: float, delta: float) -> ps.PrivacyBudget:
    """The budget, or none at all where epsilon is infinite."""
    if math.isinf(epsilon):
        return ps.PrivacyBudget.no_privacy()
    return ps.PrivacyBudget(epsilon, delta)


def main() -> None:
    preset, dataset, target, *numbers = sys.argv[1:]
    budget, seed = budget_of(float(numbers[0]), float(numbers[1])), int(numbers[2])
    data = datasets.load(dataset)
    table = datasets.as_table(data, data.train)
    synthesizer = load_preset(preset)
    with tempfile.TemporaryDirectory() as folder:
        ledger = ps.Ledger(Path(folder) / "ledger.sqlite")
        started, cpu = time.perf_counter(), time.process_time()
        fitted = synthesizer.fit(table, budget, ledger=ledger, rng=np.random.default_rng(seed))
        fit_s, fit_cpu_s = time.perf_counter() - started, time.process_time() - cpu
    started = time.perf_counter()
    drawn = fitted.sample(len(data.train), rng=np.random.default_rng(seed))
    sample_s = time.perf_counter() - started
    np.savez_compressed(target, codes=datasets.as_codes(data, drawn).astype(np.uint8))
    facts = {
        "fit_s": fit_s,
        "fit_cpu_s": fit_cpu_s,
        "sample_rows_s": drawn.n_rows / sample_s,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "package": package(),
        "python": platform.python_version(),
    }
    print("RESULT " + json.dumps(facts))


if __name__ == "__main__":
    main()
