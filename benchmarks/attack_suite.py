"""Time and memory of the attack suite on a release, by data set and number of records.

    python benchmarks/attack_suite.py ../shared/data/adult \
        --sensitive fnlwgt education_num hours_per_week --csv benchmarks/results/attack_suite.csv
    python benchmarks/attack_suite.py --rows 37500 300000 --csv benchmarks/results/attack_suite.csv

A fifth of the records is the control; the synthetic table is drawn by `marginal` at epsilon 1 and
has as many rows as the train table. `--sensitive` names columns that the suite attacks besides
those of the schema. Without a folder the tables are the long stress set: so many train records,
a quarter as many for control, and as many of the same law as synthetic ones; five columns are
sensitive and five quasi-identifiers. Tables are made in one process and attacked in another, on
all cores, so that time and memory are those of the suite, with loading tables and libraries.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from arena import datasets
from arena.domains import Role
from lines import append

import privsynth as ps
from privsynth.risk.base import Failure
from privsynth.risk.suite import run_suite
from privsynth.table import Table, Tables

LONG = "long300k"
ROLES = ("train", "control", "synthetic")
ATTACKED: list[Role] = ["sensitive", "quasi_identifier"] * 5


def folder_tables(folder: Path, sensitive: list[str]) -> list[Table]:
    """Train and control of a data set with more columns marked as sensitive, and a release."""
    document = ps.Schema.load(folder / "schema.toml").to_dict()
    for name in sensitive:
        document["columns"][name]["role"] = "sensitive"
    whole = ps.read_table(folder / "train.parquet", ps.Schema.parse(document))
    train, control = whole.split(0.2, ps.rng(0))
    with tempfile.TemporaryDirectory() as room:
        ledger = ps.Ledger(Path(room) / "ledger.sqlite")
        fitted = ps.load_preset("marginal").fit(
            train, ps.PrivacyBudget(1.0, 1e-5), ledger=ledger, rng=np.random.default_rng(0)
        )
    return [train, control, fitted.sample(train.n_rows, rng=np.random.default_rng(0))]


def stress_tables(n_rows: int) -> list[Table]:
    """The same of the long stress set, where the release is records of the same law."""
    drawn = datasets.load(LONG, n_rows * 9 // 4)
    data = replace(drawn, roles=(*ATTACKED, *drawn.roles[len(ATTACKED) :]))
    codes = np.concatenate([data.train, data.test])
    parts = np.split(codes, [n_rows, n_rows + n_rows // 4])
    return [datasets.as_table(data, part) for part in parts]


def prepare(make: Callable[..., list[Table]], arguments: tuple[Any, ...], room: Path) -> None:
    """The tables as files, with their schema."""
    tables = make(*arguments)
    tables[0].schema.save(room / "schema.toml")
    for role, table in zip(ROLES, tables, strict=True):
        table.to_pandas().to_parquet(room / f"{role}.parquet")


def measured(room: Path) -> dict[str, Any]:
    """One line: how long the suite took, how much memory, and what it gave no figure for."""
    started, started_cpu = time.perf_counter(), time.process_time()
    schema = ps.Schema.load(room / "schema.toml")
    train, control, synthetic = (ps.read_table(room / f"{r}.parquet", schema) for r in ROLES)
    results = run_suite(Tables(train, control, synthetic), np.random.default_rng(0))
    return {
        "data": schema.dataset.id,
        "n_train": train.n_rows,
        "n_control": control.n_rows,
        "n_columns": len(train.columns),
        "n_sensitive": len(schema.with_role("sensitive")),
        "n_results": len(results),
        "n_failures": sum(isinstance(result, Failure) for result in results),
        "seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": round(time.process_time() - started_cpu, 1),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "cores": os.cpu_count(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--sensitive", nargs="*", default=[])
    parser.add_argument("--rows", type=int, nargs="+", default=[37_500, 300_000])
    parser.add_argument("--csv", type=Path)
    asked = parser.parse_args()
    makes: list[tuple[Callable[..., list[Table]], tuple[Any, ...]]] = [
        (stress_tables, (n_rows,)) for n_rows in asked.rows
    ]
    if asked.folder:
        makes = [(folder_tables, (asked.folder, asked.sensitive))]
    context = multiprocessing.get_context("spawn")
    for make, arguments in makes:
        with tempfile.TemporaryDirectory() as name:
            room = Path(name)
            with context.Pool(1) as pool:
                pool.apply(prepare, (make, arguments, room))
            with context.Pool(1) as pool:
                line = pool.apply(measured, (room,))
        print(line, flush=True)
        if asked.csv:
            append(asked.csv, line)


if __name__ == "__main__":
    main()
