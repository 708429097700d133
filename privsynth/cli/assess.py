"""`privsynth assess`: attacks and scores for a run, or for any vendor's table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from privsynth.cli.options import Json, PolicyFile

if TYPE_CHECKING:
    from privsynth.progress import Progress
    from privsynth.report.report import RiskReport


OnlyPlan = Annotated[
    bool,
    typer.Option(
        "--plan",
        help="Only say how many persons an attack must be tried on before it can show that "
        "nothing leaks.",
    ),
]


def assess(
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="The folder of a run.")
    ] = None,
    *,
    data: Annotated[
        Path | None, typer.Option(metavar="DATA", help="The records that the run was fitted to.")
    ] = None,
    train: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Records that the maker had.")
    ] = None,
    control: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Records that the maker never had.")
    ] = None,
    synthetic: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The table that it made.")
    ] = None,
    schema: Annotated[
        Path | None, typer.Option("--schema", "-s", metavar="FILE", help="The schema of all three.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Where the report goes.")
    ] = None,
    policy: PolicyFile = None,
    plan: OnlyPlan = False,
    as_json: Json = False,
) -> None:
    """Attack and measure the table of a run (DIR --data), or any table (--train … --out)."""
    if plan:
        _show_plan(as_json)
        return
    from privsynth.cli.progress import on_stderr
    from privsynth.cli.summary import show_assessment
    from privsynth.errors import UsageError

    with on_stderr() as progress:
        for_any = (train, control, synthetic, schema, out, policy)
        if folder and data and not any(for_any):
            found, where = _of_run(folder, data, progress)
        elif not folder and not data and train and synthetic and schema and out:
            found = _of_any(_Files(train, control, synthetic, schema, policy), out, progress)
            where = out
        else:
            raise UsageError(
                "give DIR and --data alone for a run, which keeps its own control, schema and "
                "policy; or --train, --synthetic, --schema and --out (and --control, --policy) "
                "for any table"
            )
    show_assessment(found, where, as_json)


def _show_plan(as_json: bool) -> None:
    """The persons that are needed on each side, by the rate of success on control persons."""
    from rich.table import Table

    from privsynth.cli.console import print_json, show
    from privsynth.risk.planning import planned_queries, powered_queries, verdict_queries

    limits, rates = (0.05, 0.09, 0.10), (0.01, 0.05, 0.1, 0.25, 0.5, 0.65, 0.8, 0.9)
    plans = (planned_queries, verdict_queries, powered_queries)
    rows = {
        rate: {limit: [plan(rate, limit) for plan in plans] for limit in limits} for rate in rates
    }
    if as_json:
        keys = ("persons_a_side", "for_the_verdict", "for_80_percent_power")
        return print_json(
            [
                {"control_rate": rate, "limit": limit} | dict(zip(keys, numbers, strict=True))
                for rate, by_limit in rows.items()
                for limit, numbers in by_limit.items()
            ]
        )
    table = Table("success on control", *(f"limit {limit:g}" for limit in limits))
    for rate, by_limit in rows.items():
        cells = (" / ".join(f"{n:,}" for n in numbers) for numbers in by_limit.values())
        table.add_row(f"{rate:.0%}", *cells)
    return show(
        "Persons to attack in train and in control each where nothing leaks, so that (first) the "
        "upper limit of the residual risk stays under the limit, one-sided at 95 %; (second) the "
        "verdict on the excess is `supported` if both sides fare exactly alike; (third) it is so "
        "with a chance of 80 %. The verdict needs two-sided limits and at least 30 persons a side:",
        table,
        "Choose the control share so that there are as many: --control 0.2 keeps one in five.",
    )


@dataclass(frozen=True)
class _Files:
    """The files of an assessment of any table; without a control the claims stay open."""

    train: Path
    control: Path | None
    synthetic: Path
    schema: Path
    policy: Path | None


def _of_run(folder: Path, data: Path, progress: Progress) -> tuple[RiskReport, Path]:
    from privsynth import pipeline

    run = pipeline.RunFolder(folder)
    return pipeline.assess_run(run, data, progress), run.report


@contextmanager
def _naming(role: str, path: Path) -> Iterator[None]:
    """Say of an error in which of the files it is."""
    from privsynth.errors import SchemaError

    try:
        yield
    except SchemaError as error:
        raise SchemaError(f"{role} table {path.name}: {error}") from None


def _of_any(files: _Files, out: Path, progress: Progress) -> RiskReport:
    from privsynth import pipeline
    from privsynth.cli.job import policy_of
    from privsynth.io import read_table
    from privsynth.release.release import write_report
    from privsynth.schema import Schema

    with pipeline.new_folder(out) as folder:
        schema, policy = Schema.load(files.schema), policy_of(files.policy)
        policy.require_columns(schema)
        progress.stage("reading the tables")
        with _naming("train", files.train):
            train = read_table(files.train, schema, leave_out_empty=True)
        control = None
        if files.control:
            with _naming("control", files.control):
                control = read_table(files.control, schema, leave_out_empty=True)
        synthetic = pipeline.read_synthetic(files.synthetic, schema)
        found = pipeline.assess(
            train=train,
            control=control,
            synthetic=synthetic,
            policy=policy,
            progress=progress,
        )
        write_report(folder, found)
    return found
