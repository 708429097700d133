"""Named configurations: a synthesizer with its settings, read from models/NAME/preset.toml."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from privsynth.errors import ModelError, UsageError
from privsynth.synth.base import Synthesizer, register_built_in, synthesizers


class Preset(BaseModel):
    """What a preset.toml holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    synthesizer: str
    summary: str
    private: bool
    settings: dict[str, Any] = {}


def presets_folder() -> Path:
    """Where the presets are: in the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "_models"
    return installed if installed.is_dir() else package.parent / "models"


def preset_names() -> tuple[str, ...]:
    """The presets that are installed, sorted.

    >>> "diffusion" in preset_names()
    True
    """
    return tuple(sorted(path.parent.name for path in presets_folder().glob("*/preset.toml")))


def read_preset(name: str) -> Preset:
    """The preset of that name; UsageError names the nearest one otherwise."""
    if name not in preset_names():
        near = difflib.get_close_matches(name, preset_names(), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(preset_names())}"
        raise UsageError(f"no model is called {name!r}; {hint}")
    text = (presets_folder() / name / "preset.toml").read_text(encoding="utf-8")
    try:
        return Preset.model_validate(tomllib.loads(text))
    except (ValidationError, tomllib.TOMLDecodeError):
        raise ModelError(f"models/{name}/preset.toml is not a valid preset") from None


def load_preset(name: str) -> Synthesizer:
    """The synthesizer that a preset configures.

    >>> load_preset("diffusion").name
    'diffusion'
    """
    preset = read_preset(name)
    register_built_in()
    try:
        return synthesizers.get(preset.synthesizer)(**preset.settings)
    except TypeError:
        raise ModelError(f"models/{name}/preset.toml has a setting that does not exist") from None
