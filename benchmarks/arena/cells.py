"""One cell of the benchmark: a generator on a data set at an epsilon with a seed.

A cell is run once, in a process of its own; what it drew, and how long that took, stay in the
cache folder, so that figures can be computed again without running it again.
"""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from arena.datasets import Coded
from arena.domains import Codes

LIMIT_S = 3_600
HERE = Path(__file__).resolve().parent
PEERS = {
    "dpmm-mst": "dpmm",
    "dpmm-aim": "dpmm",
    "dpmm-aim-triples": "dpmm",
    "smartnoise-mst": "smartnoise",
    "smartnoise-aim": "smartnoise",
    "smartnoise-dpctgan": "smartnoise",
    "sdv-ctgan": "sdv",
    "sdv-tvae": "sdv",
}
BASELINES = ("real", "independent")
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "PYTHONWARNINGS": "ignore",
}


@dataclass(frozen=True, order=True)
class Cell:
    """What is run: the key of a row of the results."""

    generator: str
    dataset: str
    epsilon: float
    seed: int

    def __str__(self) -> str:
        return f"{self.generator}/{self.dataset}/epsilon-{self.epsilon:g}/seed-{self.seed}"

    @classmethod
    def parse(cls, text: str) -> Cell:
        """The cell that `str` wrote.

        >>> Cell.parse("dpmm-mst/adult/epsilon-0.5/seed-3").epsilon
        0.5
        """
        parts = re.fullmatch(r"([^/]+)/([^/]+)/epsilon-([^/]+)/seed-(\d+)", text)
        if parts is None:
            raise ValueError(f"not a cell: {text!r}; write GENERATOR/DATASET/epsilon-E/seed-S")
        return cls(parts[1], parts[2], float(parts[3]), int(parts[4]))


@dataclass(frozen=True)
class Cache:
    """The folder with environments, inputs and what was drawn."""

    folder: Path

    def python(self, environment: str) -> Path:
        """The interpreter of a peer's environment."""
        return self.folder / "env" / environment / "bin" / "python"

    def drawn(self, cell: Cell) -> Path:
        """Where a cell's drawn codes are kept."""
        return self.folder / "drawn" / f"{cell}.npz"

    def facts(self, cell: Cell) -> Path:
        """Where the facts of a cell's run are kept."""
        return self.folder / "drawn" / f"{cell}.json"

    def source(self, data: Coded) -> Path:
        """The training codes and sizes of a data set, written where they are missing."""
        path = self.folder / "in" / f"{data.name}.npz"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(path, codes=data.train.astype(np.uint8), sizes=data.sizes)
        return path

    def outcome(self, cell: Cell) -> dict[str, Any] | None:
        """The facts of a cell that has run, or None."""
        path = self.facts(cell)
        if not path.exists():
            return None
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return facts

    def codes(self, cell: Cell) -> Codes:
        """What a cell drew."""
        with np.load(self.drawn(cell)) as kept:
            return np.asarray(kept["codes"], dtype=np.int64)


def delta_for(n_rows: int) -> float:
    """1e-5, or 1e-6 where that would be no less than one row's share: such a delta is refused.

    >>> delta_for(57_214), delta_for(240_000)
    (1e-05, 1e-06)
    """
    return 1e-5 if n_rows * 1e-5 < 1 else 1e-6


def command(cell: Cell, data: Coded, cache: Cache) -> list[str]:
    """The command line that fits the cell and draws from it."""
    tail = [
        str(cache.source(data)),
        str(cache.drawn(cell)),
        str(cell.epsilon),
        str(delta_for(len(data.train))),
        str(cell.seed),
    ]
    if cell.generator in PEERS:
        python = str(cache.python(PEERS[cell.generator]))
        return [python, str(HERE / "peer_run.py"), cell.generator, *tail]
    return [sys.executable, str(HERE / "own_run.py"), cell.generator, cell.dataset, *tail[1:]]


def limited(command: list[str], limit_s: int) -> list[str]:
    """The command under a limit on its seconds of CPU time."""
    script = f'ulimit -S -t {limit_s} && ulimit -H -t {limit_s + 5} && exec "$@"'
    return ["sh", "-c", script, "sh", *command]


def run(cell: Cell, data: Coded, cache: Cache, limit_s: int = LIMIT_S) -> dict[str, Any]:
    """Run a cell in a process of its own and keep its facts; a crash is a fact too."""
    cache.drawn(cell).parent.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as printed, tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(
            limited(command(cell, data, cache), limit_s),
            stdout=printed,
            stderr=errors,
            env=os.environ | ONE_THREAD,
        )
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        printed.seek(0), errors.seek(0)
        result = result_of(child.returncode, printed.read(), errors.read(), limit_s)
    outcome = {
        "fit_s": time.perf_counter() - started,
        "fit_cpu_s": used.ru_utime + used.ru_stime,
        "peak_mib": used.ru_maxrss / 1024,
        **result,
    }
    outcome |= {"ended": time.strftime("%Y-%m-%d", time.gmtime())}
    cache.facts(cell).write_text(json.dumps(outcome, indent=1), encoding="utf-8")
    return outcome


def result_of(code: int, printed: str, errors: str, limit_s: int) -> Mapping[str, Any]:
    """The status of a process that ended, and the facts that it printed."""
    lines = [line for line in printed.splitlines() if line.startswith("RESULT ")]
    if code == 0 and lines:
        return {"status": "done", **json.loads(lines[-1].removeprefix("RESULT "))}
    if code == -signal.SIGXCPU:
        return {"status": f"unfinished after {math.ceil(limit_s / 60)} minutes"}
    if code < 0:
        return {"status": f"failed: ended by signal {-code}, of memory where it is 9"}
    last = (errors.strip().splitlines() or ["no message"])[-1]
    return {"status": f"failed: {last[:120]}", "errors": errors[-4000:]}
