"""How long work tells a person where it is."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told of stages and steps; never told of records."""

    def stage(self, title: str, total: int | None = None) -> None:
        """A new stage begins, of `total` steps where that is known."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Some steps of the stage are done; `note` says where the budget stands."""


class Silent:
    """Progress that nobody watches.

    >>> Silent().stage("training", total=600)
    """

    def stage(self, title: str, total: int | None = None) -> None:
        """Say nothing."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Say nothing."""


SILENT = Silent()
