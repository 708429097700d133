"""The field: generators × data sets × epsilon × seeds, ours beside the peers, into one CSV.

    python benchmarks/field.py --generators marginal dpmm-mst --datasets adult --epsilons 1
    python benchmarks/field.py --plan plan.txt
    python benchmarks/field.py --list

A generator is the name of a preset, a peer, or one of the baselines `real` (the test rows in the
place of synthetic ones) and `independent` (every column shuffled on its own). Each peer runs in an
environment of its own, made on first use in the cache folder; each fit in a process of its own on
one thread, with a limit on its CPU time. A cell whose row is in the CSV is not run again, so the
command can be stopped and started at will. Draws stay in the cache: `--rescore` computes all
figures again from them. A plan is a file with a cell a line, read again after each cell.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from arena import cells, datasets, environments, metrics, own_run, results
from arena.cells import BASELINES, PEERS, Cache, Cell
from arena.datasets import Coded

from privsynth.synth.preset import preset_names, read_preset

EPSILONS = (1.0, 0.5, 3.0, 10.0, math.inf)
CSV = Path(__file__).resolve().parent / "results" / "field.csv"
BY_NAME = ("dpmm-aim-triples",)
"""Run only where it is named: it takes an hour a cell, and answers for parity alone."""


@lru_cache(maxsize=2)
def loaded(name: str) -> Coded:
    """A data set, kept while the next cells are about it too."""
    return datasets.load(name)


def machine() -> str:
    """The number of cores and the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.machine()
    return f"{os.cpu_count()} × {model}"


def fits(generator: str, epsilon: float) -> bool:
    """Whether a generator runs at an epsilon: what has no privacy runs only without."""
    if generator in BASELINES:
        return math.isinf(epsilon)
    if generator in PEERS:
        return math.isinf(epsilon) or not generator.startswith("sdv")
    return math.isinf(epsilon) or read_preset(generator).private


def wanted(asked: argparse.Namespace) -> Iterator[Cell]:
    """The cells that the options name: first seeds first, then the others."""
    for seed, epsilon, dataset, generator in itertools.product(
        range(asked.seeds), asked.epsilons, asked.datasets, asked.generators
    ):
        is_repeat_of_same = generator in BASELINES and seed > 0
        if fits(generator, epsilon) and not is_repeat_of_same:
            yield Cell(generator, dataset, epsilon, seed)


def planned(path: Path) -> list[Cell]:
    """The cells of a plan; lines that start with # are left out."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [Cell.parse(line) for line in lines if line and not line.startswith("#")]


def missing(asked: argparse.Namespace) -> list[Cell]:
    """The cells that are wanted and have no row yet."""
    done = results.cells_in(asked.csv)
    cells_wanted = planned(asked.plan) if asked.plan else wanted(asked)
    return [cell for cell in dict.fromkeys(cells_wanted) if cell not in done]


def baseline(cell: Cell, data: Coded) -> dict[str, Any]:
    """The row of a baseline, which nothing is fitted for."""
    if cell.generator == "real":
        figures = metrics.judge(data, data.test, learn_from=data.train)
    else:
        rng = np.random.default_rng(cell.seed)
        figures = metrics.judge(data, metrics.independent(data, rng))
    return {"status": results.DONE, "date": today(), **figures}


def measured(cell: Cell, data: Coded, asked: argparse.Namespace) -> dict[str, Any]:
    """The row of a generator: from the cache where the cell has run, else from a run.

    What another commit of ours drew is scored again where that is asked for, and never passes for
    a run of this one.
    """
    cache = Cache(asked.cache)
    outcome = cache.outcome(cell)
    must_be_ours = cell.generator not in PEERS and not asked.rescore
    if outcome is None or (must_be_ours and outcome.get("package") != own_run.package()):
        environments.ready(cell.generator, cache)
        outcome = cells.run(cell, data, cache, round(60 * asked.limit_minutes))
    kept = {
        name: outcome[name] for name in (*results.COSTS, "package", "python") if name in outcome
    }
    row = {"status": outcome["status"], "date": outcome["ended"], **kept}
    if outcome["status"] != results.DONE:
        return row
    return row | metrics.judge(data, cache.codes(cell))


def today() -> str:
    """The date, as it is written down."""
    return datetime.now(UTC).date().isoformat()


def row_of(cell: Cell, asked: argparse.Namespace) -> dict[str, Any]:
    """Everything that the CSV holds about a cell, but for its key."""
    data = loaded(cell.dataset)
    is_baseline = cell.generator in BASELINES
    found = baseline(cell, data) if is_baseline else measured(cell, data, asked)
    delta = "" if math.isinf(cell.epsilon) else cells.delta_for(len(data.train))
    shape = {"n_train": len(data.train), "n_columns": len(data.sizes)}
    return {"delta": delta, **shape, "machine": machine(), **found}


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    made = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    everyone = [*BASELINES, *preset_names(), *(peer for peer in PEERS if peer not in BY_NAME)]
    made.add_argument("--generators", nargs="+", default=everyone, metavar="NAME")
    made.add_argument("--datasets", nargs="+", default=datasets.NAMES, choices=datasets.NAMES)
    made.add_argument("--epsilons", nargs="+", type=float, default=EPSILONS)
    made.add_argument("--seeds", type=int, default=3, help="how many seeds, from 0")
    made.add_argument("--plan", type=Path, help="a file with one cell a line, in place of these")
    made.add_argument("--cache", type=Path, default=environments.default_cache())
    made.add_argument("--csv", type=Path, default=CSV)
    made.add_argument("--limit-minutes", type=float, default=cells.LIMIT_S / 60)
    made.add_argument("--rescore", action="store_true", help="figures again, from kept draws")
    made.add_argument("--list", action="store_true", help="only print the cells that are missing")
    return made


def rescore(asked: argparse.Namespace) -> None:
    """Compute the figures of every cell again whose draw is in the cache, and the baselines'."""
    cache = Cache(asked.cache)
    for cell in sorted(results.cells_in(asked.csv)):
        if cell.generator in BASELINES or cache.outcome(cell):
            print(cell, flush=True)
            results.put(asked.csv, cell, row_of(cell, asked))


def main() -> None:
    asked = parser().parse_args()
    if asked.rescore:
        return rescore(asked)
    if asked.list:
        return print(*missing(asked), sep="\n")
    while cells_missing := missing(asked):
        cell = cells_missing[0]
        print(datetime.now(UTC).strftime("%H:%M:%S"), cell, flush=True)
        row = row_of(cell, asked)
        results.put(asked.csv, cell, row)
        facts = ("status", "tvd2", "tstr_gb", "fit_cpu_s")
        print("   ", {name: results.shown(name, row.get(name)) for name in facts}, flush=True)
    return None


if __name__ == "__main__":
    main()
