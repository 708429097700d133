"""What a command says on stdout: one JSON document, or text for a person."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

PLAIN_WIDTH = 120
"""Columns of a page that is not a terminal."""


def print_json(document: Any) -> None:
    """Print one JSON document.

    >>> print_json({"rows": 3})
    {
      "rows": 3
    }
    """
    json.dump(document, sys.stdout, indent=2, default=str, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")
    sys.stdout.flush()


def show(*parts: RenderableType) -> None:
    """Print text and tables on stdout, one below the other: in colour on a terminal alone."""
    from rich.console import Console
    from rich.text import Text

    lines = [Text(part) if isinstance(part, str) else part for part in parts]
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(*lines, sep="\n")
        return
    plain = Console(highlight=False, width=PLAIN_WIDTH)
    with plain.capture() as captured:
        plain.print(*lines, sep="\n")
    for line in captured.get().splitlines():
        sys.stdout.write(line.rstrip() + "\n")
    sys.stdout.flush()


def grid(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table without lines; columns whose header starts with `>` are set to the right."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in header:
        table.add_column(title.lstrip(">"), justify="right" if title.startswith(">") else "left")
    for row in rows:
        table.add_row(*(_plain(cell) for cell in row))
    return table


def _plain(text: str) -> str:
    """Text in which square brackets are no markup."""
    from rich.markup import escape

    return escape(text)
