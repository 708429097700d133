"""`privsynth sample`: draw from a fitted model, which costs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from privsynth.cli.options import Folder, Json, Rows


def sample(
    folder: Folder,
    *,
    rows: Rows = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=VALUE", help="Hold a column at a value; may be given more than once."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="A .parquet or .csv file; without it the table waits in DIR for `assess`.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw rows from the model of a run: post-processing, which costs no privacy."""
    from privsynth import pipeline
    from privsynth.cli.console import print_json, show
    from privsynth.cli.progress import on_stderr
    from privsynth.cli.tables import require_suffix, write_as
    from privsynth.errors import UsageError

    conditions = _conditions(where or ())
    run = pipeline.RunFolder(folder)
    if output is None and conditions:
        raise UsageError("a table drawn under --where is not the run's own: name a file with -o")
    if output is not None:
        require_suffix(output)
    with on_stderr() as progress:
        table = pipeline.sample(run, rows, conditions, progress)
    if output is None:
        pipeline.keep(table, run)
    else:
        write_as(table, output)
    written = output or run.synthetic
    if as_json:
        print_json({"rows": table.n_rows, "columns": list(table.columns), "file": str(written)})
    else:
        show(f"{table.n_rows:,} synthetic rows in {written}; nothing was spent")


def _conditions(texts: Sequence[str]) -> dict[str, str | None]:
    """The value at which each column is held; a column held twice is refused."""
    from privsynth.errors import UsageError

    conditions: dict[str, str | None] = {}
    for column, value in map(_condition, texts):
        if column in conditions:
            raise UsageError(f"--where names column {column!r} twice; hold it at one value")
        conditions[column] = value
    return conditions


def _condition(text: str) -> tuple[str, str | None]:
    """Column and value of `COLUMN=VALUE`; an empty value is a missing entry."""
    from privsynth.errors import UsageError

    column, sign, value = text.partition("=")
    if not sign or not column.strip():
        raise UsageError("--where takes COLUMN=VALUE")
    return column.strip(), value.strip() or None
