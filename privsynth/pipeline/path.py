"""The data path in order, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from privsynth.errors import AssessmentError, OutputError, ReleaseRefused
from privsynth.io import read_raw, write_parquet
from privsynth.pipeline.folder import RunFolder, new_run, replaced, writing
from privsynth.pipeline.job import Job, refuse_early
from privsynth.pipeline.record import RunRecord
from privsynth.pipeline.steps import (
    Fit,
    Tools,
    certificate_of,
    draw,
    judge,
    learn,
    read,
    rows_asked,
    size_of,
    verified,
    withdraw,
)
from privsynth.privacy.guarantee import Guarantee
from privsynth.progress import SILENT, Progress
from privsynth.release.release import write_release, write_report
from privsynth.report.report import RiskReport
from privsynth.schema import Schema
from privsynth.table import Table

if TYPE_CHECKING:
    from privsynth.synth.base import FittedSynthesizer


@dataclass(frozen=True)
class Outcome:
    """What a fit gives to be told: nothing of the records is in it."""

    folder: RunFolder
    record: RunRecord
    guarantee: Guarantee
    entry_id: str
    size: str


def run(
    data: Path, schema: Schema, job: Job, out: Path, tools: Tools
) -> tuple[Outcome, RiskReport]:
    """The whole path, from records to `out/release` and `out/controller`: all of it or nothing.

    What was charged before a failure stays charged. ReleaseRefused where an attack refutes the
    claim: then the controller's folder is there, with the report and the table, and no release.
    """
    refuse_early(schema, job, tools.noise)
    with new_run(out) as folder:
        fitted = learn(read(data, schema, tools.progress), data.name, job, folder, tools)
        synthetic = draw(fitted.model, fitted.record, tools.progress)
        report = judge(fitted, synthetic, folder, tools.progress)
        tools.progress.stage("writing the release")
        refused = _released(synthetic, report, folder, job, tools)
    if refused is not None:
        raise ReleaseRefused(f"{refused}: {RunFolder(out).report / 'report.html'}")
    return _outcome(fitted, out), report


def _released(
    synthetic: Table, report: RiskReport, folder: RunFolder, job: Job, tools: Tools
) -> ReleaseRefused | None:
    """The release written, or why it was refused."""
    try:
        write_release(folder.release, synthetic, report, csv=job.csv, certificate=tools.certificate)
    except ReleaseRefused as refused:
        return refused
    return None


def fit(data: Path, schema: Schema, job: Job, out: Path, tools: Tools) -> Outcome:
    """The path up to the fitted model, in `out/controller`."""
    refuse_early(schema, job, tools.noise)
    with new_run(out) as folder:
        fitted = learn(read(data, schema, tools.progress), data.name, job, folder, tools)
    return _outcome(fitted, out)


def _outcome(fitted: Fit, out: Path) -> Outcome:
    model = fitted.model
    return Outcome(
        RunFolder(out), fitted.record, model.guarantee, model.entry_id, size_of(model).line
    )


def targeted(
    folder: RunFolder,
    balance: Mapping[str, Mapping[Any, float]],
    independent: Sequence[tuple[str, str]],
) -> FittedSynthesizer:
    """The model of a run, projected to a class balance and to pairs without dependence: free."""
    model, _ = _saved(folder)
    return model.projected_to(balance=balance, independent=independent)


def sample(
    folder: RunFolder,
    rows: int | None = None,
    where: Mapping[str, Any] | None = None,
    progress: Progress = SILENT,
    model: FittedSynthesizer | None = None,
) -> Table:
    """Rows from the model of a run, as many as the run asks for unless said otherwise: free.

    `model` is one that `targeted` has made of it.
    """
    if model is None:
        model, record = _saved(folder)
    else:
        record = RunRecord.load(folder.record)
    n_rows = rows_asked(model, record) if rows is None else rows
    return model.sample(n_rows, where=where, progress=progress)


def keep(synthetic: Table, folder: RunFolder) -> None:
    """Set a table aside as the one that the run assesses and releases.

    A report on an earlier one goes away, so that it cannot be released with this.
    """
    if folder.release.exists():
        raise OutputError(f"{folder.release} holds the table of this run; name a file with -o")
    with writing(folder.path):
        write_parquet(synthetic, folder.synthetic)
        shutil.rmtree(folder.report, ignore_errors=True)


def assess_run(folder: RunFolder, data: Path, progress: Progress = SILENT) -> RiskReport:
    """Assess the table of a run again, or for the first time, on the records it was fitted to.

    AssessmentError where the data do not match the commitment of the run.
    """
    model, record = _saved(folder)
    train, control = record.split.again(read(data, model.schema, progress), record.job.control)
    fitted = Fit(model, train, control, record)
    if not folder.release.exists() and not folder.synthetic.exists():
        keep(draw(model, record, progress), folder)
    with writing(folder.path):
        return judge(fitted, _drawn(folder, model.schema), folder, progress)


def report(folder: RunFolder, csv: bool = False, certificate: bytes | None = None) -> RiskReport:
    """Draw both editions again from the facts, and make the release folder anew.

    A certificate of the build that fitted the model becomes part of both.
    """
    folder.require_run()
    record = RunRecord.load(folder.record)
    facts = folder.report / "report.json"
    if not facts.is_file():
        raise OutputError(f"{facts} is not there; run `privsynth assess {folder.path}` first")
    found = RiskReport.from_json(facts.read_text(encoding="utf-8"))
    if certificate is None:
        certificate = certificate_of(folder)
    found = found.with_verification(verified(certificate, record))
    synthetic = _drawn(folder, Schema.load(folder.schema))
    with writing(folder.path):
        if certificate is not None:
            folder.certificate.write_bytes(certificate)
        write_report(folder.report, found)
        if found.is_contradicted:
            withdraw(synthetic, folder)
        with replaced(folder.release) as fresh:
            as_csv = csv or record.job.csv
            write_release(fresh, synthetic, found, csv=as_csv, certificate=certificate)
        folder.synthetic.unlink(missing_ok=True)
    return found


def _saved(folder: RunFolder) -> tuple[FittedSynthesizer, RunRecord]:
    from privsynth.synth.base import load_fitted

    folder.require_run()
    return load_fitted(folder.model), RunRecord.load(folder.record)


def _drawn(folder: RunFolder, schema: Schema) -> Table:
    """The synthetic table of a run, from its release or from where it waits for one."""
    source = folder.synthetic if folder.synthetic.exists() else folder.release / "data"
    raw = read_raw(source)
    dropped = [name for name in schema.columns if name not in raw.column_names]
    narrow = Table.from_arrow(raw, schema.without(dropped), leave_out_empty=True)
    data, storage = narrow.data, dict(narrow.storage)
    for name in narrow.left_out:  # of few rows a column may be drawn missing in all of them
        data, storage[name] = data.append_column(name, raw.column(name)), raw.column(name).type
    return Table(schema, data.select(raw.column_names), storage)


def read_synthetic(source: Path, schema: Schema) -> Table:
    """A synthetic table of any vendor: the columns that keep to the schema.

    The assessment says which others there are, and what is wrong with them.
    """
    table = Table.of_what_fits(read_raw(source), schema)
    if not table.columns:
        # A name that the schema lacks is not told: without a header it would be a value.
        wrong = [f"column {n!r}: {why}" for n, why in table.left_out.items() if n in schema.columns]
        more = f"the first that does not fit: {wrong[0]}" if wrong else "does it have a header?"
        raise AssessmentError(f"{source.name} holds no column that keeps to the schema; {more}")
    return table
