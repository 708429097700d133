"""`privsynth fit`: the part of the main job that spends."""

from __future__ import annotations

from privsynth.cli.options import (
    Control,
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


def fit(
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
    ledger: LedgerFile = None,
    no_privacy: NoPrivacy = False,
    as_json: Json = False,
) -> None:
    """Fit a model and keep it in DIR/controller; `sample`, `assess` and `report` go on from it."""
    from privsynth import pipeline
    from privsynth.cli.job import Files, job_of, policy_of, run_job
    from privsynth.cli.summary import show_fit

    asked = {"model": model, "rows": rows, "control": control, "policy": policy_of(policy)}
    job = job_of(epsilon, no_privacy, delta=delta, **asked)
    show_fit(run_job(pipeline.fit, Files(data, schema, ledger), job, out), as_json)
