"""From options to a job, and the job at work with somebody watching."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from privsynth.cli.progress import on_stderr
from privsynth.errors import UsageError
from privsynth.pipeline import Job, Tools
from privsynth.privacy.ledger import Ledger
from privsynth.report.policy import Policy
from privsynth.report.verification import load_certificate
from privsynth.schema import Schema

T = TypeVar("T")
Stage: TypeAlias = Callable[[Path, Schema, Job, Path, Tools], T]


@dataclass(frozen=True)
class Files:
    """The records, the schema that describes them, the ledger and the certificate of the build."""

    data: Path
    schema: Path
    ledger: Path | None = None
    certificate: Path | None = None


def job_of(epsilon: float | None, no_privacy: bool, **settings: Any) -> Job:
    """The job that the options ask for: an epsilon, or no privacy, said outright.

    >>> job_of(1.0, False, rows=500).rows
    500
    """
    if no_privacy and epsilon is not None:
        raise UsageError("give --epsilon or --no-privacy, not both")
    if no_privacy:
        return Job.without_privacy(**settings)
    if epsilon is None:
        raise UsageError("give --epsilon, what may be spent; or --no-privacy for a baseline")
    if epsilon == float("inf"):
        raise UsageError("an infinite epsilon protects nobody; say --no-privacy")
    return Job(epsilon, **settings)


def policy_of(path: Path | None) -> Policy:
    """The policy in a file, or the default where none is given."""
    return Policy() if path is None else Policy.load(path)


def run_job(stage: Stage[T], files: Files, job: Job, out: Path) -> T:
    """The outcome of a stage of the pipeline, with progress on stderr."""
    schema = Schema.load(files.schema)
    certificate = load_certificate(files.certificate) if files.certificate else None
    with on_stderr() as progress:
        tools = Tools(
            Ledger(files.ledger), progress=progress, say=progress.say, certificate=certificate
        )
        return stage(files.data, schema, job, out, tools)
