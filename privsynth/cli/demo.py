"""`privsynth demo`: the main job on a simulated clinic."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from privsynth.cli.options import Json


def demo(
    *,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="A folder that does not exist yet.")
    ] = Path("privsynth-demo"),
    epsilon: Annotated[float, typer.Option(metavar="E", help="What may be spent.")] = 1.0,
    as_json: Json = False,
) -> None:
    """The main job on a simulated clinic of 20,000 patients; your own ledger is not touched."""
    from privsynth import pipeline
    from privsynth.cli.job import Files, job_of, run_job
    from privsynth.cli.summary import show_run
    from privsynth.io import read_table, write_parquet
    from privsynth.io.clinic import clinic_schema, simulate_clinic

    job = job_of(epsilon, no_privacy=False)
    with tempfile.TemporaryDirectory() as room:
        ledger = Path(room, "ledger.sqlite")
        files = Files(Path(room, "clinic.parquet"), Path(room, "schema.toml"), ledger)
        schema = clinic_schema()
        schema.save(files.schema)
        write_parquet(read_table(simulate_clinic(), schema), files.data)
        outcome, report = run_job(pipeline.run, files, job, out)
        for file in (files.data, ledger):
            shutil.copy(file, outcome.folder.controller)
    show_run(outcome, report, as_json)
