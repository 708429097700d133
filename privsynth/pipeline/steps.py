"""The steps of the data path, each a function of what came before it."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from privsynth.errors import AssessmentError, UsageError
from privsynth.io import read_table, require_rows, write_parquet
from privsynth.pipeline.folder import RunFolder
from privsynth.pipeline.job import AUTO, Job
from privsynth.pipeline.record import RunRecord, Split
from privsynth.privacy.budget import PrivacyBudget
from privsynth.privacy.guarantee import Guarantee
from privsynth.privacy.ledger import Ledger
from privsynth.privacy.noise import NoiseSource
from privsynth.progress import SILENT, Progress
from privsynth.release.release import write_report
from privsynth.report.assessment import assess as measure
from privsynth.report.policy import Policy
from privsynth.report.report import (
    TESTS_AS_RUN,
    TESTS_BEFORE,
    Provenance,
    RiskReport,
    build_report,
)
from privsynth.report.verification import Verification
from privsynth.risk.control import require_apart
from privsynth.risk.registration import registration
from privsynth.schema import Schema
from privsynth.schema.viability import Viability, viability
from privsynth.synth.build import code_hash
from privsynth.synth.constraints import require_constraints
from privsynth.synth.policy import Choice, choose
from privsynth.table import Table, Tables

if TYPE_CHECKING:
    from privsynth.synth.base import FittedSynthesizer


@dataclass(frozen=True)
class Tools:
    """What a job works with besides the records: a ledger to charge, noise, an audience.

    `say` is told what the steward should know before anything is spent. `certificate` is what
    `privsynth audit` wrote of this build.
    """

    ledger: Ledger | None = None
    noise: NoiseSource | None = None
    progress: Progress = SILENT
    say: Callable[[str], None] = field(default=lambda text: None)
    certificate: bytes | None = None


@dataclass(frozen=True)
class Fit:
    """A fitted generator, the tables it was and was not fitted to, and the record of it."""

    model: FittedSynthesizer
    train: Table
    control: Table
    record: RunRecord


def read(data: Path, schema: Schema, progress: Progress) -> Table:
    """The records, checked against the schema and its constraints."""
    progress.stage("reading the records")
    table = read_table(data, schema)
    require_rows(table)
    require_constraints(table)
    return table


def learn(table: Table, name: str, job: Job, folder: RunFolder, tools: Tools) -> Fit:
    """Split, commit to the split, fit, and save what stays with the controller."""
    from privsynth.synth.preset import load_preset

    ledger, budget = tools.ledger or Ledger(), job.budget(table.schema, table.n_units)
    train, control, split = Split.draw(table, job.control)
    choice = _choice(job, train, budget)
    synthesizer = load_preset(choice.preset)
    record = _record(table, name, job, choice, split)
    if tools.certificate is not None:
        verified(tools.certificate, record)
        folder.certificate.write_bytes(tools.certificate)
    record.save(folder.record)  # the commitment stands before anything is fitted
    tools.say(f"model {choice.preset}: {choice.reason}")
    size = viability(train.n_units, table.schema, job.epsilon)
    if size.verdict != "ample":
        tools.say(size.line)
    model = synthesizer.fit(
        train,
        budget,
        ledger=ledger,
        noise=tools.noise,
        progress=tools.progress,
        note=f"run {record.run_id}",
    )
    model.save(folder.model)
    table.schema.save(folder.schema)
    extract = json.dumps(ledger.extract(model.entry_id), indent=2)
    folder.ledger.write_text(extract + "\n", encoding="utf-8")
    return Fit(model, train, control, record)


def verified(content: bytes | None, record: RunRecord) -> Verification | None:
    """What a certificate says; it must be of the build and the preset that fit the model."""
    if content is None:
        return None
    if not record.job.is_private:
        raise UsageError("a certificate says that noise is added; a run without privacy adds none")
    found = Verification.parse(content)
    found.require(record.choice.preset, record.build)
    return found


def _choice(job: Job, train: Table, budget: PrivacyBudget) -> Choice:
    """The preset that was asked for, or the one that public facts of the table choose."""
    if job.model != AUTO:
        return Choice(job.model, "asked for by name")
    return choose(train.schema, train.n_public_units, budget)


def _record(table: Table, name: str, job: Job, choice: Choice, split: Split) -> RunRecord:
    return RunRecord(
        run_id=secrets.token_hex(8),
        created=_now(),
        version=version("privsynth"),
        data=name,
        job=job,
        choice=choice,
        split=split,
        rows=job.rows or _rows_by_default(table, job),
        tests=_tests(job.policy),
        build=code_hash(),
    )


def _tests(policy: Policy) -> str:
    """The commitment to attacks and limits."""
    return registration(policy.excess_limit, policy.attacks())


def _rows_by_default(table: Table, job: Job) -> int | None:
    """As many as are trained on; None where that is private: then one for each unit.

    A public row count is that of the units: how many rows persons have is theirs.
    """
    privacy = table.schema.privacy
    if job.is_private and (privacy.row_count == "private" or privacy.unit != "row"):
        return None
    return table.n_rows - round(job.control * table.n_rows)


def draw(model: FittedSynthesizer, record: RunRecord, progress: Progress) -> Table:
    """The synthetic table of a run, in the number of rows that was asked for."""
    return model.sample(rows_asked(model, record), progress=progress)


def rows_asked(model: FittedSynthesizer, record: RunRecord) -> int:
    """How many rows the synthetic table of a run has."""
    return record.rows or max(1, round(model.n_units))


def judge(fitted: Fit, synthetic: Table, folder: RunFolder, progress: Progress) -> RiskReport:
    """Assess the synthetic table, and write the controller's edition of the report.

    Where an attack got further than the claim allows, there is no release any more.
    """
    from privsynth.synth.losses import losses_of

    tables = _tables(fitted.train, fitted.control, synthetic)
    rng = fitted.record.split.lots()
    plain = fitted.model.without_training()
    without_critic = plain.sample(synthetic.n_rows, rng=rng, progress=progress) if plain else None
    losses = losses_of(fitted.model)
    policy = fitted.record.job.policy
    measured = measure(
        tables,
        rng,
        progress,
        without_critic=without_critic,
        losses=losses,
        declared=policy.attacks(),
    )
    audit = verified(certificate_of(folder), fitted.record)
    made = provenance(fitted.model, fitted.record, audit)
    report = build_report(tables.schema, fitted.model.guarantee, measured, made, policy)
    write_report(folder.report, report)
    if report.is_contradicted:
        withdraw(synthetic, folder)
    return report


def withdraw(synthetic: Table, folder: RunFolder) -> None:
    """Put the table of a run aside for the controller, and take away a release that was made."""
    write_parquet(synthetic, folder.synthetic)
    shutil.rmtree(folder.release, ignore_errors=True)


def assess(
    *,
    train: Table,
    control: Table | None = None,
    synthetic: Table,
    guarantee: Guarantee | None = None,
    policy: Policy | None = None,
    rng: np.random.Generator | None = None,
    progress: Progress = SILENT,
) -> RiskReport:
    """The risk report of a synthetic table, whoever made it, in the controller's edition.

    Without a control nothing shows what an attack would reach by chance, and the claims that rest
    on it stay open. `policy` holds the limits and the attackers to reckon with. AssessmentError
    where the tables do not fit together, or where train and control share persons.

    >>> import pandas as pd
    >>> schema = Schema.parse({"dataset": {"id": "d"},
    ...     "columns": {"age": {"kind": "integer", "lower": 0, "upper": 120}}})
    >>> table = Table.from_pandas(pd.DataFrame({"age": [a % 90 for a in range(400)]}), schema)
    >>> train, control = table.split(0.5)
    >>> assess(train=train, control=control, synthetic=train)
    RiskReport('d', controller edition, ... facts, ... inconclusive)
    """
    for role, table in (("train", train), ("control", control), ("synthetic", synthetic)):
        if not isinstance(table, Table | None if role == "control" else Table):
            raise UsageError(
                f"{role}: a Table is needed, not a {type(table).__name__}; read_table(…, schema) "
                "makes one of a file or a data frame"
            )
    control = train.take(np.arange(0)) if control is None else control
    tables = _tables(train, control, synthetic)
    policy, rng = policy or Policy(), rng or np.random.default_rng()
    policy.require_columns(tables.schema)
    require_apart(train, control)
    measured = measure(tables, rng, progress, declared=policy.attacks())
    return build_report(train.schema, guarantee, measured, _someone_elses(), policy)


def _tables(train: Table, control: Table, synthetic: Table) -> Tables:
    """The three tables of an assessment; AssessmentError where they do not fit together."""
    tables = Tables(train, control, synthetic)
    if tables.train.schema != tables.control.schema:
        raise AssessmentError("train and control do not have the same schema")
    if not set(tables.schema.modelled) & set(tables.synthetic.columns):
        raise AssessmentError("the synthetic table holds no column of the schema")
    three = (set(table.columns) for table in (train, control, synthetic))
    if not set(tables.schema.modelled).intersection(*three):
        raise AssessmentError("train, control and synthetic share no column of the schema")
    return tables


def _someone_elses() -> Provenance:
    return Provenance(run_id=secrets.token_hex(8), created=_now())


def size_of(model: FittedSynthesizer) -> Viability:
    """Whether there were records enough, by their public number or its private estimate."""
    n_units = max(1, round(model.n_units))
    return viability(n_units, model.schema, model.guarantee.budget.epsilon)


def certificate_of(folder: RunFolder) -> bytes | None:
    """The certificate that was kept with a run, which may have changed since."""
    return folder.certificate.read_bytes() if folder.certificate.is_file() else None


def provenance(
    model: FittedSynthesizer, record: RunRecord, verification: Verification | None = None
) -> Provenance:
    """Which run made the table."""
    return Provenance(
        run_id=record.run_id,
        created=record.created,
        model=record.choice.preset,
        choice=record.choice.reason,
        effective_share=model.effective_share,
        parameters={
            "synthesizer": model.name,
            **model.settings,
            "control": record.job.control,
        },
        ledger_entry=model.entry_id,
        build=record.build,
        verification=verification,
        records=size_of(model),
        commands=(record.job.command(record.data),),
        hashes={
            "train, salted": record.split.train,
            "control, salted": record.split.control,
            TESTS_BEFORE: record.tests,
            TESTS_AS_RUN: _tests(record.job.policy),
        },
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
