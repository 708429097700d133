"""`privsynth audit`: does this build add the noise that it claims?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from privsynth.cli.options import Json

if TYPE_CHECKING:
    from privsynth.audit.certificate import Certificate


def audit(
    *,
    model: Annotated[
        str, typer.Option(metavar="NAME", help="The preset; `privsynth list models` names them.")
    ] = "diffusion",
    worlds: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, help="Fits a world of the two-world audit; 150 take minutes."
        ),
    ] = 0,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Where the certificate goes.")
    ] = Path("certificate"),
    as_json: Json = False,
) -> None:
    """Check this build, plant canaries and break it on purpose; write a certificate.

    No records are needed. With --worlds many small fits are compared; scores are kept in DIR, so
    that the audit goes on where it stopped. Exit code 3 where anything speaks against the build.
    """
    from privsynth.audit.certificate import certify
    from privsynth.audit.worlds import LEAST_RUNS
    from privsynth.cli.progress import on_stderr
    from privsynth.errors import UsageError
    from privsynth.pipeline.folder import writing
    from privsynth.synth.preset import preset_names, read_preset

    if model not in preset_names() or not read_preset(model).private:
        private = [name for name in preset_names() if read_preset(name).private]
        raise UsageError(
            f"--model {model!r}: not a private preset; these are: {', '.join(private)}"
        )
    if 0 < worlds < LEAST_RUNS:
        raise UsageError(f"--worlds {worlds}: fewer than {LEAST_RUNS} refute next to nothing")
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        with on_stderr() as progress:
            found = certify(
                model, n_worlds=worlds, kept=out / f"worlds-{model}.jsonl", progress=progress
            )
        found.write(out)
    _show(found, out, as_json)
    if not found.passed:
        raise typer.Exit(3)


def _show(found: Certificate, out: Path, as_json: bool) -> None:
    from privsynth.cli.console import print_json

    if as_json:
        print_json(found.to_dict())
        return
    n_red = sum(kill.survived for kill in found.kills)
    typer.echo(f"{'passed' if found.passed else 'FAILED'}: {found.preset}")
    typer.echo(f"  {sum(f.passed for f in found.findings)} of {len(found.findings)} checks hold")
    typer.echo(f"  {len(found.kills) - n_red} of {len(found.kills)} defects planted were noticed")
    canaries = found.canaries
    typer.echo(
        f"  canaries refute epsilon {canaries.lower:.2f}; {canaries.charged:.2f} was charged"
    )
    if found.worlds:
        worlds = found.worlds
        typer.echo(
            f"  two worlds refute epsilon {worlds.lower:.2f}; {worlds.claimed:.2f} was claimed"
        )
    for fault in found.faults:
        typer.echo(f"  {fault}")
    typer.echo(f"Open {out / 'certificate.html'} to read it.")
