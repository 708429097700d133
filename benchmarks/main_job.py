"""The main job on a real data set, as a steward starts it: time, memory, validity, quality.

    python benchmarks/main_job.py ../shared/data/adult --train train --test test --epsilon 1
    python benchmarks/main_job.py ../shared/data/adult --train train --test test --no-privacy

Runs `privsynth run` in a process of its own, assessment included, then judges the release against
the test file: TSTR beside real-to-real, 1- to 3-way total variation against the train file on the
discretisation of `privsynth.fidelity`, detection, and rows that the schema does not allow. Prints
one JSON line, and appends it to a CSV with --csv. Without --test a tenth is held out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from lines import append

import privsynth as ps
from privsynth.errors import SchemaError
from privsynth.fidelity.base import Failure
from privsynth.fidelity.detection import Detection
from privsynth.fidelity.marginals import TotalVariation
from privsynth.fidelity.utility import Utility
from privsynth.table import Tables


def run(data: Path, schema: Path, out: Path, budget: list[str]) -> tuple[float, float]:
    """Seconds and peak GiB of the command."""
    start = [sys.executable, "-c", "from privsynth.cli.main import run; run()", "run"]
    command = [*start, str(data), "--schema", str(schema), "--out", str(out), *budget]
    environment = os.environ | {"PRIVSYNTH_LEDGER": str(out.parent / "ledger.sqlite")}
    started = time.perf_counter()
    subprocess.run(command, check=True, env=environment, stdout=sys.stderr)
    seconds = time.perf_counter() - started
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20


def judge(tables: Tables, seed: int) -> dict[str, float]:
    """The figures that the release is judged by."""
    found: dict[str, float] = {}
    for metric in (Utility(), TotalVariation(), Detection()):
        for result in metric.run(tables, np.random.default_rng(seed)):
            if isinstance(result, Failure):
                found[result.name] = float("nan")
            elif result.column is None or result.metric.startswith("tstr"):
                found[result.metric] = round(result.value, 4)
                if result.reference is not None:
                    found[f"{result.metric}_reference"] = round(result.reference, 4)
    return found


def is_valid(folder: Path, schema: ps.Schema) -> bool:
    """Whether every row of the release keeps to the schema."""
    try:
        ps.read_table(next((folder / "data").glob("*.parquet")), schema)
    except SchemaError:
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", required=True)
    parser.add_argument("--test")
    parser.add_argument("--epsilon", type=float)
    parser.add_argument("--delta", type=float, default=1e-5)
    parser.add_argument("--no-privacy", action="store_true")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--csv", type=Path)
    asked = parser.parse_args()
    for repeat in range(asked.repeats):
        line = measure(asked, repeat)
        print(json.dumps(line), flush=True)
        if asked.csv:
            append(asked.csv, line)


def measure(asked: argparse.Namespace, repeat: int) -> dict[str, Any]:
    """One line of the benchmark."""
    schema_file = asked.folder / "schema.toml"
    schema = ps.Schema.load(schema_file)
    data = asked.folder / f"{asked.train}.parquet"
    budget = ["--no-privacy"]
    if not asked.no_privacy:
        budget = ["--epsilon", str(asked.epsilon), "--delta", str(asked.delta)]
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "out"
        seconds, gib = run(data, schema_file, out, budget)
        release = out / "release"
        train = ps.read_table(data, schema)
        if asked.test:
            test = ps.read_table(asked.folder / f"{asked.test}.parquet", schema)
        else:
            train, test = train.split(0.1, ps.rng(0))
        valid = is_valid(release, schema)
        synthetic = ps.read_table(next((release / "data").glob("*.parquet")), schema)
        figures = judge(Tables(train, test, synthetic), repeat)
    return {
        "data": schema.dataset.id,
        "epsilon": None if asked.no_privacy else asked.epsilon,
        "repeat": repeat,
        "rows": synthetic.n_rows,
        "columns": len(synthetic.columns),
        "every_row_valid": valid,
        "same_types": synthetic.storage == {n: train.storage[n] for n in synthetic.columns},
        "seconds": round(seconds, 1),
        "peak_gib": round(gib, 2),
        **figures,
        "version": version("privsynth"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "date": datetime.now(UTC).date().isoformat(),
    }


if __name__ == "__main__":
    main()
