"""SDV's Gaussian copula, which has no privacy, judged as `main_job.py` judges a release.

    python benchmarks/sdv_baseline.py ../shared/data/adult --train train --test test

Prints one JSON line: the figures to set beside those of `main_job.py --no-privacy`.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from main_job import judge

import privsynth as ps
from privsynth.synth.sdv import copula_baseline
from privsynth.table import Tables


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", required=True)
    parser.add_argument("--test", required=True)
    asked = parser.parse_args()
    schema = ps.Schema.load(asked.folder / "schema.toml")
    files = (asked.folder / f"{name}.parquet" for name in (asked.train, asked.test))
    train, test = (ps.read_table(file, schema) for file in files)
    started = time.perf_counter()
    synthetic = copula_baseline(train, train.n_rows)
    seconds = round(time.perf_counter() - started, 1)
    figures = judge(Tables(train, test, synthetic), seed=0)
    print(json.dumps({"data": schema.dataset.id, "seconds": seconds, **figures}))


if __name__ == "__main__":
    main()
