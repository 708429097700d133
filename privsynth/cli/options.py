"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA", help="A CSV file, a Parquet file or a directory of Parquet files."
    ),
]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run.")]
SchemaFile = Annotated[
    Path,
    typer.Option("--schema", "-s", metavar="FILE", help="The schema, which `inspect` drafts."),
]
Model = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="A preset that `privsynth list models` names; `auto` takes one by the schema, the "
        "public row count and the budget, and says why.",
    ),
]
Epsilon = Annotated[
    float | None, typer.Option(metavar="E", help="What may be spent. This, or --no-privacy.")
]
Delta = Annotated[
    float | None,
    typer.Option(
        metavar="D",
        help="The slack of the guarantee, below 1 / number of units. By default the largest power "
        "of ten up to 1 / (10 × units), at most 1e-5.",
    ),
]
NoPrivacy = Annotated[
    bool,
    typer.Option("--no-privacy", help="Protect nobody: for baselines. Marks all that is written."),
]
Control = Annotated[
    float,
    typer.Option(
        metavar="F", help="The share of units kept out of training, as a control for the attacks."
    ),
]
Rows = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="Rows of the synthetic table; by default one for each unit trained on."
    ),
]
LedgerFile = Annotated[
    Path | None,
    typer.Option(
        "--ledger", metavar="FILE", help="The ledger; $PRIVSYNTH_LEDGER or your own by default."
    ),
]
PolicyFile = Annotated[
    Path | None,
    typer.Option(
        "--policy",
        metavar="FILE",
        help="Limits, who set them, and the attackers to reckon with, in TOML.",
    ),
]
CertificateFile = Annotated[
    Path | None,
    typer.Option(
        "--certificate",
        metavar="FILE",
        help="certificate.json of this build, which `privsynth audit` makes.",
    ),
]
Csv = Annotated[bool, typer.Option("--csv", help="Write the synthetic table as CSV too.")]
Out = Annotated[
    Path, typer.Option("--out", "-o", metavar="DIR", help="A folder that does not exist yet.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
