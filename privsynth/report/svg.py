"""The few SVG marks of which the report's charts are made; no script, no font, no network.

Coordinates across are percentages and sizes down are pixels, so that a chart fills any width
while its text keeps its size.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from markupsafe import Markup


def drawing(
    name: str, title: str, description: str, height: float, marks: Iterable[Markup]
) -> Markup:
    """An accessible drawing that is as wide as its place: an image with title and description.

    >>> "role" in drawing("a", "Ages", "Two bars", 40, [bar(0, 0, 50, 10, "synthetic")])
    True
    """
    head = Markup(
        '<svg role="img" aria-labelledby="{0}-t {0}-d" width="100%" height="{1}" '
        'xmlns="http://www.w3.org/2000/svg"><title id="{0}-t">{2}</title>'
        '<desc id="{0}-d">{3}</desc>'
    ).format(name, _px(height), title, description)
    return head + Markup("").join(marks) + Markup("</svg>")


def scaled(
    name: str, title: str, description: str, size: tuple[float, float], marks: Iterable[Markup]
) -> Markup:
    """An accessible drawing in its own units that keeps its proportions."""
    head = Markup(
        '<svg role="img" aria-labelledby="{0}-t {0}-d" viewBox="0 0 {1} {2}" '
        'xmlns="http://www.w3.org/2000/svg"><title id="{0}-t">{3}</title>'
        '<desc id="{0}-d">{4}</desc>'
    ).format(name, _px(size[0]), _px(size[1]), title, description)
    return head + Markup("").join(marks) + Markup("</svg>")


def bar(x: float, y: float, width: float, height: float, kind: str) -> Markup:
    """A filled rectangle: x and width in per cent, y and height in pixels."""
    return Markup('<rect x="{}%" y="{}" width="{}%" height="{}" class="{}"/>').format(
        _px(x), _px(y), _px(max(width, 0)), _px(max(height, 0)), kind
    )


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """A line: x in per cent, y in pixels."""
    return Markup('<line x1="{}%" y1="{}" x2="{}%" y2="{}" class="{}"/>').format(
        _px(x1), _px(y1), _px(x2), _px(y2), kind
    )


def dot(x: float, y: float, kind: str, radius: float = 4) -> Markup:
    """A round mark."""
    return Markup('<circle cx="{}%" cy="{}" r="{}" class="{}"/>').format(
        _px(x), _px(y), _px(radius), kind
    )


def text(x: float, y: float, words: object, kind: str = "", anchor: str = "start") -> Markup:
    """A line of text, its base line at y."""
    return Markup('<text x="{}%" y="{}" class="{}" text-anchor="{}">{}</text>').format(
        _px(x), _px(y), kind, anchor, words
    )


def path(points: Sequence[tuple[float, float]], kind: str) -> Markup:
    """A line through points, in the drawing's own units."""
    places = " ".join(f"{_px(x)},{_px(y)}" for x, y in points)
    return Markup('<polyline points="{}" class="{}"/>').format(places, kind)


def squares(places: Iterable[tuple[int, int]], size: float, corner: float, kind: str) -> Markup:
    """Many squares of one colour as one path; `places` are (row, column)."""
    steps = []
    for row, spots in itertools.groupby(sorted(places), key=lambda place: place[0]):
        for first, length in _runs([column for _, column in spots]):
            x, y = corner + first * size, corner + row * size
            steps.append(
                f"M{_px(x)} {_px(y)}h{_px(length * size)}v{_px(size)}h-{_px(length * size)}z"
            )
    return Markup('<path class="{}" d="{}"/>').format(kind, "".join(steps)) if steps else Markup("")


def clipped(words: str, length: int) -> str:
    """The words, or their beginning with an ellipsis.

    >>> clipped("marital_status", 8)
    'marital…'
    """
    return words if len(words) <= length else f"{words[: length - 1]}…"


def _runs(columns: Sequence[int]) -> list[tuple[int, int]]:
    """Neighbouring columns as (first, length)."""
    runs: list[tuple[int, int]] = []
    for column in columns:
        if runs and column == sum(runs[-1]):
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((column, 1))
    return runs


def _px(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") or "0"
