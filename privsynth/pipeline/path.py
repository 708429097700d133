"""The data path in order, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from privsynth.errors import OutputError
from privsynth.io import read_raw, write_parquet
from privsynth.pipeline.folder import RunFolder, new_folder, writing
from privsynth.pipeline.job import Job, refuse_early
from privsynth.pipeline.record import RunRecord
from privsynth.pipeline.steps import Fit, Tools, draw, judge, learn, read, write_report
from privsynth.privacy.guarantee import Guarantee
from privsynth.progress import SILENT, Progress
from privsynth.release.release import write_release
from privsynth.report.report import RiskReport
from privsynth.schema import Schema
from privsynth.table import Table


@dataclass(frozen=True)
class Outcome:
    """What a run or stage gives, without a record in it."""

    folder: RunFolder
    record: RunRecord
    guarantee: Guarantee
    entry_id: str
    report: RiskReport | None = None


def run(data: Path, schema: Schema, job: Job, out: Path, tools: Tools) -> Outcome:
    """The whole path, from records to `out/release` and `out/controller`: all of it or nothing.

    What was charged before a failure stays charged.
    """
    refuse_early(schema, job, tools.noise)
    with new_folder(out) as folder:
        fitted = learn(read(data, schema, tools.progress), data.name, job, folder, tools)
        synthetic = draw(fitted.model, fitted.record, tools.progress)
        report = judge(fitted, synthetic, folder, tools.progress)
        tools.progress.stage("writing the release")
        write_release(folder.release, synthetic, report, csv=job.csv)
    return _outcome(fitted, out, report)


def fit(data: Path, schema: Schema, job: Job, out: Path, tools: Tools) -> Outcome:
    """The path up to the fitted model, in `out/controller`."""
    refuse_early(schema, job, tools.noise)
    with new_folder(out) as folder:
        fitted = learn(read(data, schema, tools.progress), data.name, job, folder, tools)
    return _outcome(fitted, out)


def _outcome(fitted: Fit, out: Path, report: RiskReport | None = None) -> Outcome:
    model = fitted.model
    return Outcome(RunFolder(out), fitted.record, model.guarantee, model.entry_id, report)


def sample(
    folder: RunFolder,
    rows: int | None = None,
    where: Mapping[str, Any] | None = None,
    progress: Progress = SILENT,
) -> Table:
    """Rows from the model of a run, as many as the run asks for unless said otherwise: free."""
    from privsynth.synth.base import load_fitted

    folder.require_run()
    model = load_fitted(folder.model)
    if rows is None and where is None:
        return draw(model, RunRecord.load(folder.record), progress)
    ...
