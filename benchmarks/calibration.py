"""What the attacks and the audit catch, and how often they cry wolf: known makers, many seeds.

    python benchmarks/calibration.py ../shared/data/adult --seeds 20
    python benchmarks/calibration.py --audit --seeds 20

Each maker gives a table of which is known what leaks: `clean` is drawn by `marginal` at epsilon 1;
`copies-10`, `copies-1` and `copies-0.1` are the same with that percentage of the train records put
in verbatim; `jitter` is train records with a tenth of their entries taken from other records, and
numbers moved a little; `control` is made of the control records, which leaks nobody of train.
Every attack on a table runs, as it would on a release; the attack on the fitted model needs a
model, which no maker has, and is not among them. A fifth of the records is the control. `--audit`
trains canaries without noise, under a claim of epsilon 1, and with the noise claimed. A line a
result goes into benchmarks/results/calibration.csv; what stands there is not run again.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lines import append
from threadpoolctl import threadpool_limits

import privsynth as ps
from privsynth.audit.canaries import canary_audit
from privsynth.audit.mutants import MUTANTS
from privsynth.errors import Inconclusive
from privsynth.privacy.noise import SeededNoise
from privsynth.risk.base import AttackResult, Failure, Result
from privsynth.risk.suite import run_suite
from privsynth.table import Table, Tables

CSV = Path(__file__).resolve().parent / "results" / "calibration.csv"
LIMIT, CONTROL = 0.1, 0.2
JITTERED, MOVED = 0.1, 0.01  # of the entries; of a number's spread

Maker = Callable[[Table, Table, Table, np.random.Generator], pd.DataFrame]


def copies(share: float) -> Maker:
    """The clean table with train records in the place of its first rows."""

    def make(train: Table, _: Table, clean: Table, rng: np.random.Generator) -> pd.DataFrame:
        frame = clean.to_pandas()
        n_copied = round(share * train.n_rows)
        chosen = train.to_pandas().iloc[rng.permutation(train.n_rows)[:n_copied]]
        mixed = pd.concat([chosen, frame.iloc[n_copied:]], ignore_index=True)
        return mixed.iloc[rng.permutation(len(mixed))]

    return make


def jitter(train: Table, _: Table, __: Table, rng: np.random.Generator) -> pd.DataFrame:
    """Train records, each near to one of them, none quite it."""
    frame = train.to_pandas().copy()
    for name in frame.columns:
        values, others = frame[name], frame[name].to_numpy()[rng.permutation(len(frame))]
        moved = pd.Series(np.where(rng.random(len(frame)) < JITTERED, others, values))
        column = train.schema.columns[name]
        if column.kind in {"integer", "numeric"}:
            noise = rng.normal(0.0, MOVED * float(values.std()), len(frame))
            moved = (moved.astype(float) + noise).round().clip(column.lower, column.upper)
        frame[name] = moved.astype(values.dtype)
    return frame


MAKERS: dict[str, Maker] = {
    "clean": lambda train, control, clean, rng: clean.to_pandas(),
    "copies-10": copies(0.1),
    "copies-1": copies(0.01),
    "copies-0.1": copies(0.001),
    "jitter": jitter,
    "control": lambda train, control, clean, rng: control.to_pandas(),
}


@lru_cache(maxsize=1)
def split(folder: Path, seed: int) -> tuple[Table, Table]:
    """Train and control by lot."""
    schema = ps.Schema.load(folder / "schema.toml")
    everyone = ps.read_table(folder / "train.parquet", schema)
    return everyone.split(CONTROL, ps.rng(seed))


@lru_cache(maxsize=1)
def clean_table(folder: Path, seed: int) -> Table:
    """A table at epsilon 1, with secret noise."""
    train, _ = split(folder, seed)
    with tempfile.TemporaryDirectory() as room:
        fitted = ps.load_preset("marginal").fit(
            train, ps.PrivacyBudget(1.0, 1e-5), ledger=ps.Ledger(Path(room) / "ledger.sqlite")
        )
    return fitted.sample(train.n_rows)


def attacked(folder: Path, maker: str, seed: int) -> Iterator[dict[str, Any]]:
    """A line for each result of the suite on that maker's table."""
    train, control = split(folder, seed)
    rng = np.random.default_rng([seed, sorted(MAKERS).index(maker)])
    frame = MAKERS[maker](train, control, clean_table(folder, seed), rng)
    synthetic = Table.from_pandas(frame.reset_index(drop=True), train.schema)
    started = time.perf_counter()
    with threadpool_limits(1):
        results = run_suite(Tables(train, control, synthetic), rng)
    seconds = time.perf_counter() - started
    for result in results:
        yield line(maker, seed, seconds) | facts(result)


def line(maker: str, seed: int, seconds: float) -> dict[str, Any]:
    """The key of a line, and when it was made."""
    date = datetime.now(UTC).date().isoformat()
    return {"maker": maker, "seed": seed, "suite_seconds": round(seconds, 1), "date": date}


def facts(result: Result) -> dict[str, Any]:
    """What a result says, at the default limit."""
    if isinstance(result, Failure):
        return {"check": result.name, "verdict": "inconclusive", **dict.fromkeys(FIGURES, "")}
    assert isinstance(result, AttackResult)
    excess = result.excess
    spans = ("", "") if isinstance(excess, Inconclusive) else (excess.value, excess.low)
    figures = (result.p_value, result.details.get("p_holm"), *spans, result.persons)
    shown = [round(f, 6) if isinstance(f, float) else f for f in figures]
    return {
        "check": result.attack,
        "verdict": result.verdict(LIMIT).value,
        **dict(zip(FIGURES, shown, strict=True)),
    }


FIGURES = ("p", "p_holm", "excess", "excess_low", "persons")


def audited(maker: str, seed: int) -> Iterator[dict[str, Any]]:
    """A line for the canaries of a build without noise, or with the noise that it claims."""
    noiseless = next(each for each in MUTANTS if each.name == "no noise")
    started = time.perf_counter()
    with noiseless.patch() if maker == "no-noise" else nullcontext():
        found = canary_audit(np.random.default_rng(seed), SeededNoise(seed))
    verdict = "supported" if found.passed else "not supported"
    figures = dict.fromkeys(FIGURES, "") | {"excess": round(found.lower - found.charged, 4)}
    seconds = time.perf_counter() - started
    yield line(maker, seed, seconds) | {"check": "canaries", "verdict": verdict, **figures}


def done(path: Path) -> set[tuple[str, int]]:
    """The makers and seeds that stand in the file."""
    if not path.exists():
        return set()
    with path.open(newline="", encoding="utf-8") as file:
        return {(row["maker"], int(row["seed"])) for row in csv.DictReader(file)}


def main() -> None:
    made = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    made.add_argument("folder", type=Path, nargs="?")
    made.add_argument("--audit", action="store_true")
    made.add_argument("--makers", nargs="+", default=list(MAKERS), choices=list(MAKERS))
    made.add_argument("--seeds", type=int, default=20)
    made.add_argument("--first-seed", type=int, default=0)
    made.add_argument("--csv", type=Path, default=CSV)
    asked = made.parse_args()
    if not asked.audit and asked.folder is None:
        made.error("name the folder of the data, or --audit")
    makers = ["no-noise", "with-noise"] if asked.audit else asked.makers
    for seed in range(asked.first_seed, asked.first_seed + asked.seeds):
        for maker in makers:
            if (maker, seed) in done(asked.csv):
                continue
            run = audited(maker, seed) if asked.audit else attacked(asked.folder, maker, seed)
            lines = list(run)
            for each in lines:
                append(asked.csv, each)
            red = [each["check"] for each in lines if each["verdict"] == "not supported"]
            print(maker, seed, f"{lines[0]['suite_seconds']} s", *red, flush=True)


if __name__ == "__main__":
    main()
