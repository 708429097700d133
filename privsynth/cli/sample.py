"""`privsynth sample`: draw from a fitted model, which costs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from privsynth.cli.options import Folder, Json, Rows

if TYPE_CHECKING:
    from privsynth.cli.targets import Wanted
    from privsynth.synth.base import FittedSynthesizer


Where = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN=VALUE", help="Hold a column at a value; may be given more than once."
    ),
]
Balance = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN=VALUE:SHARE,…",
        help="Class balance: give values of a column these shares; the others keep what is "
        "left. May be given more than once.",
    ),
]
Independent = Annotated[
    list[str] | None,
    typer.Option(
        metavar="A,B",
        help="Demographic parity: take the dependence between two columns out, such as a "
        "sensitive one and an outcome. May be given more than once.",
    ),
]


def sample(
    folder: Folder,
    *,
    rows: Rows = None,
    where: Where = None,
    balance: Balance = None,
    independent: Independent = None,
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
    from privsynth.cli.targets import wanted

    conditions, targets = _conditions(where or ()), wanted(balance or (), independent or ())
    _require_file(output, conditions, targets)
    run = pipeline.RunFolder(folder)
    if output is not None:
        require_suffix(output)
    model = pipeline.targeted(run, targets.balance, targets.independent) if targets else None
    with on_stderr() as progress:
        table = pipeline.sample(run, rows, conditions, progress, model)
    if output is None:
        pipeline.keep(table, run)
    else:
        write_as(table, output)
    written = output or run.synthetic
    if as_json:
        document = {"rows": table.n_rows, "columns": list(table.columns), "file": str(written)}
        print_json(document | _document(targets, model))
    else:
        show(f"{table.n_rows:,} synthetic rows in {written}; nothing was spent")
        if model is not None:
            show(targets.line(model.effective_share))


def _document(targets: Wanted, model: FittedSynthesizer | None) -> dict[str, Any]:
    return targets.to_dict() | {"effective_share": model.effective_share} if model else {}


def _require_file(output: Path | None, conditions: dict[str, Any], targets: Wanted) -> None:
    """Refuse to keep a table that is not the run's own as if it were, and to ask twice."""
    from privsynth.errors import UsageError

    if output is None and (conditions or targets):
        option = "--where" if conditions else "--balance or --independent"
        raise UsageError(f"a table drawn under {option} is not the run's own: name a file with -o")
    if both := [name for name in targets.balance if name in conditions]:
        raise UsageError(f"--where and --balance both name column {both[0]!r}; give one")


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
