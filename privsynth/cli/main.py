"""The command `privsynth`: what it offers, and how a failure is said in one line."""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer

from privsynth.cli import (
    assess,
    audit,
    demo,
    fit,
    inspect,
    ledger,
    listing,
    report,
    sample,
)
from privsynth.cli import run as run_
from privsynth.cli.console import print_json
from privsynth.errors import PrivsynthError

app = typer.Typer(
    name="privsynth",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A synthetic table that may be handed over, the risk report that goes with it, and a "
    "ledger entry that says what it cost.",
    epilog="Exit codes: 0 done, 1 error, 2 usage, 3 refused. "
    "Progress goes to stderr; --json prints one JSON document on stdout.",
)
app.command("inspect")(inspect.inspect)
app.command("run")(run_.run)
app.command("fit")(fit.fit)
app.command("sample")(sample.sample)
app.command("assess")(assess.assess)
app.command("audit")(audit.audit)
app.command("report")(report.report)
app.add_typer(ledger.app, name="ledger")
app.command("list")(listing.list_)
app.command("demo")(demo.demo)

# Typer keeps its own copy of click, or uses click itself, as its version has it.
_ClickError = typer.BadParameter.__mro__[2]
_INTERRUPTED = 130


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"privsynth {version('privsynth')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    pass


def run(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code; a failure is one line on stderr.

    >>> run(["--version"])
    privsynth ...
    0
    """
    argv = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    # Threads that spin while they wait make a busy machine crawl. Read once, when torch loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        with _quiet():
            code = typer.main.get_command(app)(argv, prog_name="privsynth", standalone_mode=False)
        if code == _INTERRUPTED:
            raise KeyboardInterrupt  # typer turns it into this code
    except (Exception, KeyboardInterrupt) as error:
        return _failed(error, as_json="--json" in argv)
    return int(code or 0)


def _failed(error: BaseException, as_json: bool) -> int:
    """Say what went wrong in one line, and give the exit code."""
    if os.environ.get("PRIVSYNTH_DEBUG"):
        traceback.print_exception(error)
    message, code = _in_words(error)
    message = " ".join(message.split())
    sys.stderr.write(f"error: {message}\n")
    if as_json:
        kind = type(error).__name__
        print_json({"error": {"type": kind, "message": message, "exit_code": code}})
    return code


def _in_words(error: BaseException) -> tuple[str, int]:
    if isinstance(error, PrivsynthError):
        return str(error), error.exit_code
    if isinstance(error, _ClickError):
        return _usage(error), 2
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return "interrupted; nothing was kept, and the ledger keeps what was charged", 1
    if isinstance(error, MemoryError):
        return "not enough memory", 1
    # The text of an unexpected error may hold a record's value: only its place is said.
    return (
        f"internal error: {type(error).__name__} in {_place(error)}; please report it "
        "(PRIVSYNTH_DEBUG=1 shows the whole traceback)",
        1,
    )


def _place(error: BaseException) -> str:
    """The last line of this package on the way to an error."""
    package = os.path.dirname(os.path.dirname(__file__))
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename.startswith(package)
    ]
    return f"{os.path.relpath(frames[-1].filename, package)}:{frames[-1].lineno}"


def _usage(error: BaseException) -> str:
    text: str = error.format_message()  # type: ignore[attr-defined]
    return f"{text[:1].lower()}{text[1:].rstrip('.')}; see privsynth --help"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep libraries from printing warnings and logs, which may quote records.

    SIGTERM is an interruption too, so that it leaves nothing half-written either.
    """
    root, silencer = logging.getLogger(), logging.NullHandler()
    root.addHandler(silencer)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with warnings.catch_warnings():
            if not os.environ.get("PRIVSYNTH_DEBUG"):
                warnings.simplefilter("ignore")
            yield
    finally:
        root.removeHandler(silencer)
        signal.signal(signal.SIGTERM, before)
