"""How near the diffusion comes to a table when privacy costs nothing: Adult at epsilon = infinity.

    python benchmarks/no_privacy.py ../shared/data/adult --test test --seeds 3 --csv FILE
    python benchmarks/no_privacy.py ../shared/data/adult --test test --set steps=500

Fits the preset on the train file, draws as many rows, and judges them: shape and trend error as
sdmetrics defines them (against train, every pair), TSTR beside real-to-real with the boosting of
`privsynth.fidelity` and with XGBoost's default settings, detection by boosting and by sdmetrics'
logistic regression (the C2ST of the papers), total variation, and what would betray memorising:
copies, and the share of synthetic rows nearer to a train row than to a control row. Each figure
stands beside that of the control table in the place of the synthetic one, where there is one.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import resource
import time
import tomllib
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command does

import numpy as np
import pandas as pd
from lines import append
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.neighbors import NearestNeighbors

import privsynth as ps
from privsynth.fidelity.base import Result, Score
from privsynth.fidelity.detection import Detection
from privsynth.fidelity.features import Features, without_empty
from privsynth.fidelity.marginals import TotalVariation
from privsynth.fidelity.sample import sampled
from privsynth.fidelity.sdmetrics import SDMetricsQuality
from privsynth.fidelity.target import ClassTarget, target_of
from privsynth.fidelity.utility import Utility, targets_of
from privsynth.risk.base import AttackResult
from privsynth.risk.copies import Copies
from privsynth.synth.preset import load_preset
from privsynth.table import Table, Tables

METRICS = (SDMetricsQuality(), Utility(), Detection(), TotalVariation())
XGBOOST = {"max_depth": 6, "learning_rate": 0.3, "max_iter": 100, "max_leaf_nodes": None}
NEAREST_OF = 20_000
LOGISTIC_ROWS = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", default="train")
    parser.add_argument("--test", help="without it, a third of the train file is held out")
    parser.add_argument("--preset", default="diffusion-no-privacy")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--csv", type=Path)
    asked = parser.parse_args()
    schema = ps.Schema.load(asked.folder / "schema.toml")
    real = ps.read_table(asked.folder / f"{asked.train}.parquet", schema)
    if asked.test:
        halves = real, ps.read_table(asked.folder / f"{asked.test}.parquet", schema)
    else:
        halves = real.split(1 / 3, ps.rng(0))
    settings = tomllib.loads("\n".join(asked.set))
    for seed in range(asked.seeds):
        line = measured(*halves, asked.preset, settings, seed)
        print(json.dumps(line) if seed else table_of(line), flush=True)
        if asked.csv:
            append(asked.csv, line)


def measured(
    train: Table, test: Table, preset: str, settings: dict[str, Any], seed: int
) -> dict[str, Any]:
    """One line of the benchmark."""
    synthesizer = dataclasses.replace(load_preset(preset), **settings)
    started, cpu_started = time.perf_counter(), time.process_time()
    generator = ps.rng(seed)
    budget = ps.PrivacyBudget.no_privacy()
    fitted = synthesizer.fit(train, budget, ledger=ps.Ledger(), rng=generator)
    fit_seconds = time.perf_counter() - started
    synthetic = fitted.sample(train.n_rows, rng=generator)
    seconds = time.perf_counter() - started
    took = {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(time.process_time() - cpu_started, 1),
        "rows_drawn_a_second": round(train.n_rows / (seconds - fit_seconds)),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }
    tables = Tables(train, test, synthetic)
    figures = dict(quality(tables, seed)) | dict(memorising(tables, seed))
    return {
        "data": train.schema.dataset.id,
        "preset": preset,
        "settings": json.dumps(settings) if settings else "",
        "seed": seed,
        "rows": synthetic.n_rows,
        "columns": len(synthetic.columns),
        **took,
        **{name: round(value, 4) for name, value in figures.items()},
        "version": version("privsynth"),
        "python": platform.python_version(),
        "machine": f"{processor()}, {os.cpu_count()} cores",
        "date": datetime.now(UTC).date().isoformat(),
    }


def quality(tables: Tables, seed: int) -> Iterator[tuple[str, float]]:
    """The figures of the fidelity metrics, and those that the papers state."""
    results: list[Result] = []
    for metric in METRICS:
        results += metric.run(tables, np.random.default_rng(seed))
    for result in results:
        if isinstance(result, Score) and (result.column is None or "tstr" in result.metric):
            yield result.metric, result.value
            if result.reference is not None:
                yield f"{result.metric}_reference", result.reference
    for column in targets_of(tables.schema)[:1]:
        target = target_of(tables, column)
        if isinstance(target, ClassTarget):
            for name, table in (("", tables.synthetic), ("_reference", tables.train)):
                yield f"tstr_xgboost_settings{name}", boosted_auc(tables, target, table, seed)
    for name, table in (("", tables.synthetic), ("_reference", tables.control)):
        yield f"c2st_logistic{name}", logistic_detection(tables.train, table, seed)


def boosted_auc(tables: Tables, target: ClassTarget, learned: Table, seed: int) -> float:
    """The mean AUC on control rows of boosting with XGBoost's default settings."""
    features = Features.of(tables.train, without=target.name)
    fit, tested = (table.take(~table.missing(target.name)) for table in (learned, tables.control))
    x, x_test = without_empty(features.matrix(fit), features.matrix(tested))
    model = HistGradientBoostingClassifier(
        categorical_features=features.categorical,
        early_stopping=False,
        random_state=seed,
        **XGBOOST,
    )
    model.fit(x, target.values(fit))
    shares = np.zeros((tested.n_rows, target.n_classes))
    shares[:, model.classes_] = model.predict_proba(x_test)
    return target.score(shares, tested)


def logistic_detection(train: Table, other: Table, seed: int) -> float:
    """The score of sdmetrics' LogisticDetection, 1 best: what papers report as C2ST."""
    from sdmetrics.single_table import LogisticDetection

    names = train.schema.modelled
    n_rows = min(train.n_rows, other.n_rows, LOGISTIC_ROWS)
    frames = [sampled(table, n_rows, seed).frame()[list(names)] for table in (train, other)]
    ranks = Features.of(train).ranks
    discrete = {name for name in names if ranks[name] is not None}
    for name in names:
        columns = [frame[name] for frame in frames]
        if name in discrete:
            columns = shared_labels(*columns)
        for frame, column in zip(frames, columns, strict=True):
            frame[name] = column.astype(object if name in discrete else float)
    columns = {
        name: {"sdtype": "categorical" if name in discrete else "numerical"} for name in names
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.random.seed(seed)  # sdmetrics takes no generator
        return float(LogisticDetection.compute(*frames, metadata={"columns": columns}))


def shared_labels(real: pd.Series, other: pd.Series) -> list[pd.Series]:
    """Both columns as text; sdmetrics refuses a label that the real one has not, so labels that
    only one has read as the commonest.
    """
    both = [column.astype(object).where(column.notna(), "(missing)") for column in (real, other)]
    both = [column.astype(str) for column in both]
    shared = set(both[0]) & set(both[1])
    return [column.where(column.isin(shared), both[0].mode()[0]) for column in both]


def memorising(tables: Tables, seed: int) -> Iterator[tuple[str, float]]:
    """Copies of train and of control records, and which of the two synthetic rows are nearer to.

    A generator that has not memorised its records meets both alike: .5 of its rows are nearer to
    a train row than to any of as many control rows.
    """
    for result in Copies().run(tables, np.random.default_rng(seed)):
        if isinstance(result, AttackResult) and result.control is not None:
            yield result.attack, result.member.hits / result.member.total
            yield f"{result.attack}_reference", result.control.hits / result.control.total
    n_rows = min(tables.train.n_rows, tables.control.n_rows)
    near = [
        nearest(tables, sampled(table, n_rows, seed), seed)
        for table in (tables.train, tables.control)
    ]
    yield "nearer_to_train", float(np.mean(near[0] < near[1]) + np.mean(near[0] == near[1]) / 2)
    yield "distance_to_train", float(np.median(near[0]))
    yield "distance_to_train_reference", float(np.median(near[1]))


def nearest(tables: Tables, real: Table, seed: int) -> np.ndarray:
    """The distance of each of some synthetic rows to the nearest real one."""
    found = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(places(tables, real))
    some = sampled(tables.synthetic, NEAREST_OF, seed)
    return found.kneighbors(places(tables, some))[0][:, 0]


def places(tables: Tables, table: Table) -> np.ndarray:
    """Rows as points: numbers by their rank among train values, categories by indicators."""
    features = Features.of(tables.train)
    train, matrix = features.matrix(tables.train), features.matrix(table)
    parts = []
    for column, categorical in enumerate(features.categorical):
        values = matrix[:, column]
        if categorical:
            parts.append((values[:, None] == np.arange(np.nanmax(train[:, column]) + 1)) / 2**0.5)
        else:
            ordered = np.sort(train[:, column][~np.isnan(train[:, column])])
            rank = np.searchsorted(ordered, values) / len(ordered)
            parts.append(np.where(np.isnan(values), -1.0, rank)[:, None])
    return np.concatenate(parts, axis=1).astype(np.float32)


def processor() -> str:
    """The model of the processor, where the system tells."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.machine()
    models = [row.split(":")[1].strip() for row in text.splitlines() if "model name" in row]
    return models[0] if models else platform.machine()


def table_of(line: dict[str, Any]) -> str:
    """A line of the benchmark as two columns: the figures, and those of the control table."""
    rows = [f"{'':32}{'synthetic':>14}{'reference':>14}"]
    for name, value in line.items():
        if not name.endswith("_reference"):
            rows.append(f"{name:32}{value!s:>14}{line.get(f'{name}_reference', '')!s:>14}")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
