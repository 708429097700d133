"""A command line to call in-process, and a small table to give it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from privsynth.cli.main import run
from privsynth.schema import Schema

PLANTED = "Quirinius-4711"
"""A value of one record, which no message may repeat."""


@dataclass(frozen=True)
class Done:
    """What a command left: exit code, stdout and stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one line that says what went wrong; stages of the work may stand above it."""
        *stages, last = self.err.splitlines()
        assert last.startswith("error: "), self.err
        assert all(line.startswith(("[", "note: ")) for line in stages), self.err
        return last


Cli = Callable[..., Done]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Cli:
    """Call `privsynth` with its own ledger, in its own folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRIVSYNTH_LEDGER", str(tmp_path / "ledger.sqlite"))
    monkeypatch.delenv("PRIVSYNTH_DEBUG", raising=False)

    def call(*words: object) -> Done:
        capfd.readouterr()
        code = run([str(word) for word in words])
        return Done(code, *capfd.readouterr())

    return call


@pytest.fixture
def small_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """A preset that is fitted in a second, whatever its name."""
    from privsynth.synth import preset
    from privsynth.synth.diffusion import Diffusion

    small = Diffusion(taught_steps=3, steps=3, batch_size=32, width=16, depth=1)
    monkeypatch.setattr(preset, "load_preset", lambda name: small)


@pytest.fixture
def quick_assessment(monkeypatch: pytest.MonkeyPatch) -> None:
    """One attack and one metric in the place of all."""
    from privsynth.fidelity import metrics
    from privsynth.fidelity.marginals import TotalVariation
    from privsynth.risk import Copies, attacks

    monkeypatch.setattr(attacks, "_items", {"copies": Copies})
    monkeypatch.setattr(metrics, "_items", {"total_variation": TotalVariation})


SCHEMA: dict[str, Any] = {
    "dataset": {"id": "ward"},
    "columns": {
        "name": {"kind": "text", "action": "drop"},
        "age": {"kind": "integer", "lower": 0, "upper": 120, "role": "quasi_identifier"},
        "sex": {"kind": "categorical", "categories": ["f", "m"], "role": "quasi_identifier"},
        "ward": {"kind": "categorical", "source": "private"},
        "cost": {"kind": "numeric", "lower": 0, "upper": 100_000, "granularity": 0.01},
        "seen": {"kind": "date", "lower": "2024-01-01", "upper": "2024-12-31"},
        "died": {"kind": "boolean", "role": "target"},
    },
}


@dataclass(frozen=True)
class Ward:
    """Makes the records of a small ward, and their schema, right or wrong in one place."""

    folder: Path
    planted: str = PLANTED

    def rows(self, n: int = 120) -> list[dict[str, str]]:
        """Records; the first has a name that occurs once."""
        rng = np.random.default_rng(5)
        table = [
            {
                "name": f"Person {number}",
                "age": str(rng.integers(18, 90)),
                "sex": str(rng.choice(["f", "m"])),
                "ward": str(rng.choice(["east", "west", "north"])),
                "cost": f"{rng.gamma(2.0, 400.0):.2f}",
                "seen": f"2024-0{rng.integers(1, 10)}-1{rng.integers(0, 10)}",
                "died": str(rng.choice(["yes", "no"], p=[0.2, 0.8])),
            }
            for number in range(n)
        ]
        table[0]["name"] = self.planted
        return table

    def csv(
        self,
        table: list[dict[str, str]] | None = None,
        *,
        delimiter: str = ",",
        encoding: str = "utf-8",
    ) -> Path:
        """The records as a file."""
        table = table or self.rows()
        path = self.folder / "ward.csv"
        with path.open("w", newline="", encoding=encoding) as file:
            writer = csv.DictWriter(file, fieldnames=list(table[0]), delimiter=delimiter)
            writer.writeheader()
            writer.writerows(table)
        return path

    def spoiled(self, column: str, value: str) -> Path:
        """The records with a wrong value in the second row, beside the planted one in the first."""
        table = self.rows()
        table[1][column] = value
        return self.csv(table)

    def schema(self, **columns: Any) -> Path:
        """The schema with some columns described otherwise; None leaves one out."""
        described = {**SCHEMA["columns"], **columns}
        kept = {name: column for name, column in described.items() if column is not None}
        path = self.folder / "ward.toml"
        Schema.parse({**SCHEMA, "columns": kept}).save(path)
        return path


@pytest.fixture
def ward(tmp_path: Path) -> Ward:
    return Ward(tmp_path)
