"""`privsynth run`: the main job."""

from __future__ import annotations

from privsynth.cli.options import (
    CertificateFile,
    Control,
    Csv,
    Data,
    Delta,
    Epsilon,
    Json,
    LedgerFile,
    Model,
    NoPrivacy,
    Out,
    PolicyFile,
    Rows,
    SchemaFile,
)


def run(
    data: Data,
    *,
    schema: SchemaFile,
    out: Out,
    epsilon: Epsilon = None,
    delta: Delta = None,
    model: Model = "auto",
    rows: Rows = None,
    control: Control = 0.1,
    policy: PolicyFile = None,
    certificate: CertificateFile = None,
    ledger: LedgerFile = None,
    csv: Csv = False,
    no_privacy: NoPrivacy = False,
    as_json: Json = False,
) -> None:
    """The whole path: a synthetic table to hand over, its risk report, and its ledger entry."""
    from privsynth import pipeline
    from privsynth.cli.job import Files, job_of, policy_of, run_job
    from privsynth.cli.summary import show_run

    judged = policy_of(policy)
    asked = {"model": model, "rows": rows, "control": control, "csv": csv, "policy": judged}
    job = job_of(epsilon, no_privacy, delta=delta, **asked)
    files = Files(data, schema, ledger, certificate)
    show_run(*run_job(pipeline.run, files, job, out), as_json)
