"""Generators of a size that tests can wait for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


def _small() -> list[tuple[Any, str, Any]]:
    from privsynth.synth import diffusion, gan, marginal, project

    return [
        (marginal, "ROUNDS", 60),
        (marginal, "_FIRST_ROUNDS", 40),
        (marginal, "_PARTICLES", (1_000, 1_000)),
        (diffusion, "_TEACHER_ROWS", 4_000),
        (gan, "_TEACHER_ROWS", 4_000),
        (project, "_POOL_ROWS", (4_000, 4_000)),
    ]


@pytest.fixture(scope="session", autouse=True)
def _full_size() -> Iterator[list[tuple[Any, str, Any]]]:
    """Rounds, particles and pools are small in every test; given are the sizes of a real fit."""
    small = _small()
    full = [(module, name, getattr(module, name)) for module, name, _ in small]
    with pytest.MonkeyPatch.context() as patch:
        for module, name, value in small:
            patch.setattr(module, name, value)
        yield full


@pytest.fixture
def full_size(_full_size: list[tuple[Any, str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """The sizes of a real fit, for a test that looks at its figures."""
    for module, name, value in _full_size:
        monkeypatch.setattr(module, name, value)
