"""`privsynth list`: what is installed."""

from __future__ import annotations

import enum
from importlib import import_module
from typing import Annotated, Any

import typer

from privsynth.cli.console import grid, print_json, show
from privsynth.cli.options import Json


class Kind(enum.StrEnum):
    """What can be listed."""

    SYNTHESIZERS = "synthesizers"
    ATTACKS = "attacks"
    METRICS = "metrics"
    MODELS = "models"


def list_(
    kind: Annotated[Kind, typer.Argument(help="What to list.", show_default=False)],
    as_json: Json = False,
) -> None:
    """List the synthesizers, attacks, metrics or models that are installed."""
    found = _models() if kind is Kind.MODELS else _registered(kind)
    if as_json:
        print_json({kind.value: [{"name": name, "about": about} for name, about in found]})
    else:
        show(grid(("name", "what it is"), found))


def _registered(kind: Kind) -> list[tuple[str, str]]:
    """Name and first docstring line of everything in a registry."""
    home = {
        Kind.SYNTHESIZERS: "privsynth.synth.diffusion",
        Kind.ATTACKS: "privsynth.risk",
        Kind.METRICS: "privsynth.fidelity",
    }[kind]
    registry = getattr(import_module(home), kind.value)
    return [(name, _first_line(item)) for name, item in registry.items()]


def _models() -> list[tuple[str, str]]:
    from privsynth.synth.preset import AUTO, AUTO_SUMMARY, preset_names, read_preset

    return [(AUTO, AUTO_SUMMARY), *((name, read_preset(name).summary) for name in preset_names())]


def _first_line(item: Any) -> str:
    return (item.__doc__ or "").strip().partition("\n")[0]
