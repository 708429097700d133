"""Named configurations: a synthesizer with its settings, read from models/NAME/preset.toml."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from privsynth.errors import ModelError, UsageError
from privsynth.privacy.budget import PrivacyBudget
from privsynth.privacy.plan import Request
from privsynth.schema import Schema
from privsynth.synth.base import (
    FittedSynthesizer,
    Synthesizer,
    Work,
    register_built_in,
    synthesizers,
)
from privsynth.synth.policy import Choice, choose
from privsynth.table import Table

AUTO = "auto"
AUTO_SUMMARY = (
    "Whichever of these the policy takes: without privacy diffusion-no-privacy; below 50 units a "
    "code marginal, else diffusion"
)


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
        known = (AUTO, *preset_names())
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
        raise UsageError(f"no model is called {name!r}; {hint}")
    text = (presets_folder() / name / "preset.toml").read_text(encoding="utf-8")
    try:
        return Preset.model_validate(tomllib.loads(text))
    except (ValidationError, tomllib.TOMLDecodeError):
        raise ModelError(f"models/{name}/preset.toml is not a valid preset") from None


def load_preset(name: str) -> Synthesizer:
    """The synthesizer that a preset configures; for "auto" the one that chooses among them.

    >>> load_preset("diffusion").name
    'diffusion'
    """
    if name == AUTO:
        return Auto()
    preset = read_preset(name)
    register_built_in()
    try:
        return synthesizers.get(preset.synthesizer)(**preset.settings)
    except TypeError:
        raise ModelError(f"models/{name}/preset.toml has a setting that does not exist") from None


@dataclass(frozen=True)
class Auto(Synthesizer):
    """The preset that suits the table, taken by its schema, public row count and budget alone.

    What it fits is a generator of that preset, and says so in its name.

    >>> schema = Schema.parse({"dataset": {"id": "d"},
    ...     "columns": {"ill": {"kind": "boolean"}, "old": {"kind": "boolean"}}})
    >>> Auto().choice(schema, 30_000, PrivacyBudget(epsilon=1.0, delta=1e-6)).preset
    'diffusion'
    """

    name: ClassVar[str] = AUTO

    def choice(self, schema: Schema, n_units: int | None, budget: PrivacyBudget) -> Choice:
        """The preset that is taken and why; n_units is None where the row count is private."""
        return choose(schema, n_units, budget)

    def requests(
        self, schema: Schema, n_units: int | None, budget: PrivacyBudget
    ) -> Sequence[Request]:
        """What the chosen generator asks."""
        return self._chosen(schema, n_units, budget).requests(schema, n_units, budget)

    def learn(self, train: Table, work: Work) -> FittedSynthesizer:
        """The fit of the chosen generator."""
        return self._chosen(train.schema, train.n_public_units, work.guarantee.budget).learn(
            train, work
        )

    def _chosen(self, schema: Schema, n_units: int | None, budget: PrivacyBudget) -> Synthesizer:
        return load_preset(self.choice(schema, n_units, budget).preset)
