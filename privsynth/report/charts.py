"""The report's charts as SVG: small, without script, each with a title and a description."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from privsynth.report import svg
from privsynth.report.facts import Figure
from privsynth.report.format import rate

_LEVELS = 8
"""Shades of a heat map on each side of zero; CSS has as many classes."""


@dataclass(frozen=True)
class Span:
    """One row of the floor-to-ceiling chart: what an attack showed, below what the proof allows."""

    label: str
    low: float
    value: float
    high: float
    ceiling: float | None


@dataclass(frozen=True)
class Mark:
    """One row of a score chart: a value, and the reference that real records reach."""

    label: str
    value: float
    reference: float | None


def floor_to_ceiling(name: str, spans: Sequence[Span], limit: float) -> Markup:
    """What each attack showed (interval), the policy's limit, and the ceiling of the proof.

    >>> chart = floor_to_ceiling("f", [Span("Copies", -0.01, 0.0, 0.02, 0.3)], limit=0.1)
    >>> chart.count("<svg")
    1
    """
    ends = [limit * 1.2, *(span.high for span in spans), *(span.ceiling or 0 for span in spans)]
    axis = _around(min(0.0, *(span.low for span in spans)), max(ends))
    height = 46 * len(spans) + 58
    marks = [mark for i, span in enumerate(spans) for mark in _span_row(span, 30 + 46 * i, axis)]
    at = axis.place(limit)
    marks += [
        svg.line(at, 20, at, height - 26, "limit"),
        svg.text(at, 14, f"limit {limit:g}", "small", _anchor(at)),
        *_scale(axis, height - 22),
    ]
    told = "; ".join(f"{s.label}: {rate(s.low)} to {rate(s.high)}" for s in spans)
    title = "What the attacks showed, beside what the proof allows"
    return svg.drawing(name, title, f"Excess risk with its interval. {told}", height, marks)


def scores(name: str, title: str, rows: Sequence[Mark], top: float | None = None) -> Markup:
    """Values as bars, and the reference of each as an upright mark.

    >>> "0.012" in scores("s", "Distances", [Mark("1-way", 0.012, 0.008)])
    True
    """
    references = [row.reference for row in rows if row.reference is not None]
    axis = _Axis(0.0, top or _round_up(max([1e-6, *(row.value for row in rows), *references])))
    height = 42 * len(rows) + 26
    marks: list[Markup] = []
    for i, row in enumerate(rows):
        y = 42 * i
        marks += [
            svg.text(0, y + 14, svg.clipped(row.label, 46)),
            svg.text(100, y + 14, rate(row.value), "strong", "end"),
            svg.bar(0, y + 20, 100, 12, "track"),
            svg.bar(0, y + 20, axis.place(row.value), 12, "synthetic"),
        ]
        if row.reference is not None:
            at = axis.place(row.reference)
            marks.append(svg.line(at, y + 16, at, y + 36, "reference"))
    told = "; ".join(
        f"{row.label}: {rate(row.value)}"
        + ("" if row.reference is None else f", reference {rate(row.reference)}")
        for row in rows
    )
    return svg.drawing(name, title, told, height, [*marks, *_scale(axis, height - 20)])


def shares(name: str, figure: Figure) -> Markup:
    """Shares of one column: rows with labels for categories, upright bars for a long range."""
    upright = figure.kind == "histogram" and len(figure.labels) > _ROWS_AT_MOST
    return _columns(name, figure) if upright else _rows(name, figure)


def matrix(name: str, title: str, values: Sequence[Sequence[float | None]], kind: str) -> Markup:
    """A heat map; `kind` is "association" (0 to 1) or "difference" (-1 to 1).

    >>> "level-8" in matrix("m", "Real", [[1.0, 0.2], [0.2, 1.0]], "association")
    True
    """
    by_level: dict[str, list[tuple[int, int]]] = {}
    for row, line in enumerate(values):
        for column, value in enumerate(line):
            by_level.setdefault(_level(value, kind), []).append((row, column))
    corner, size = 16.0, 320.0 / max(1, len(values))
    marks = [svg.squares(places, size, corner, level) for level, places in sorted(by_level.items())]
    if size >= 9:
        marks += _numbering(len(values), size, corner)
    told = (
        f"Heat map of {len(values)} by {len(values)} columns; the numbers are in the table below."
    )
    return svg.scaled(name, title, told, (338, 338), marks)


def curve(name: str, figure: Figure) -> Markup:
    """A curve in the unit square: the trade-off between the two errors of any attacker."""
    false_alarms, misses = (series.values for series in figure.series)
    left, top, size = 38.0, 8.0, 250.0
    places = [
        (left + x * size, top + (1 - y) * size) for x, y in zip(false_alarms, misses, strict=True)
    ]
    blind = [(left, top), (left + size, top + size)]
    marks = [
        Markup('<rect x="38" y="8" width="250" height="250" class="frame"/>'),
        svg.path(blind, "blind"),
        svg.path(places, "proved"),
        *_unit_scale(left, top, size),
    ]
    told = "Lowest share of members missed, for each share of non-members accused."
    return svg.scaled(name, figure.title, told, (300, 300), marks)


_ROWS_AT_MOST = 8


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float

    def place(self, value: float) -> float:
        """Where a value stands, in per cent, cut off at the ends."""
        share = (value - self.low) / (self.high - self.low)
        return 100 * min(1.0, max(0.0, share))

    def ticks(self) -> list[float]:
        step = _round_up((self.high - self.low) / 5)
        first = math.ceil(self.low / step - 1e-9)
        return [round(step * i, 10) for i in range(first, int(self.high / step + 1e-9) + 1)]


def _around(low: float, high: float) -> _Axis:
    """An axis that ends on whole steps."""
    step = _round_up((high - low) / 8)
    return _Axis(step * math.floor(low / step + 1e-9), min(1.0, step * math.ceil(high / step)))


def _span_row(span: Span, y: float, axis: _Axis) -> list[Markup]:
    low, high, value = axis.place(span.low), axis.place(span.high), axis.place(span.value)
    marks = [
        svg.text(0, y + 10, svg.clipped(span.label, 48)),
        svg.bar(0, y + 17, 100, 14, "track"),
    ]
    if span.ceiling is not None:
        top = axis.place(span.ceiling)
        marks += [
            svg.bar(top, y + 17, 100 - top, 14, "excluded"),
            svg.line(top, y + 14, top, y + 34, "ceiling"),
        ]
    return [
        *marks,
        svg.bar(low, y + 20, max(high - low, 0.6), 8, "interval"),
        svg.dot(value, y + 24, "point"),
    ]


def _scale(axis: _Axis, y: float) -> list[Markup]:
    marks = [svg.line(0, y, 100, y, "axis")]
    for tick in axis.ticks():
        at = axis.place(tick)
        marks += [
            svg.line(at, y, at, y + 4, "axis"),
            svg.text(at, y + 17, f"{tick:g}".replace("-", "\N{MINUS SIGN}"), "small", _anchor(at)),
        ]
    return marks


def _rows(name: str, figure: Figure) -> Markup:
    """One row a label: real as a wide pale bar, synthetic as a narrow dark one upon it."""
    axis = _shares_axis(figure)
    marks: list[Markup] = []
    for i, label in enumerate(figure.labels):
        y = 24 * i
        marks.append(svg.text(34, y + 15, svg.clipped(label, 16), "small", "end"))
        for series in figure.series:
            inset = 3 if series.name == "real" else 6
            width = 0.64 * axis.place(series.values[i])
            marks.append(svg.bar(36, y + inset, width, 22 - 2 * inset, series.name))
    height = 24 * len(figure.labels) + 4
    return svg.drawing(name, figure.title, _told(figure), height, marks)


def _columns(name: str, figure: Figure) -> Markup:
    """One upright bar a bin, with the first and the last caption beneath."""
    axis, n, height = _shares_axis(figure), len(figure.labels), 150.0
    marks: list[Markup] = []
    for series in figure.series:
        width = 0.86 if series.name == "real" else 0.44
        for i, value in enumerate(series.values):
            tall = height * axis.place(value) / 100
            x = 100 * (i + (1 - width) / 2) / n
            marks.append(svg.bar(x, height - tall, 100 * width / n, tall, series.name))
    shown = [label for label in figure.labels if label != "(missing)"]
    marks += [
        svg.line(0, height, 100, height, "axis"),
        svg.text(0, height + 16, svg.clipped(_ends(shown[0])[0], 18), "small"),
        svg.text(100, height + 16, svg.clipped(_ends(figure.labels[-1])[1], 18), "small", "end"),
    ]
    return svg.drawing(name, figure.title, _told(figure), height + 22, marks)


def _ends(caption: str) -> tuple[str, str]:
    """Where a bin starts and ends, as its caption says."""
    low, _, high = caption.partition(" – ")
    return low, high or low


def _shares_axis(figure: Figure) -> _Axis:
    return _Axis(0.0, max(1e-6, *(max(series.values, default=0) for series in figure.series)))


def _told(figure: Figure) -> str:
    names = " and ".join(series.name for series in figure.series)
    return f"Shares of {len(figure.labels)} values, {names}; the numbers are in the table below."


def _level(value: float | None, kind: str) -> str:
    if value is None:
        return "unknown"
    step = round(min(1.0, abs(value)) * _LEVELS)
    if kind == "difference":
        # A difference of .25 is already large: the scale ends there.
        step = round(min(1.0, abs(value) * 4) * _LEVELS)
        return f"{'less' if value < 0 else 'level'}-{step}"
    return f"level-{step}"


def _numbering(n: int, size: float, corner: float) -> list[Markup]:
    marks = []
    for i in range(n):
        middle = corner + (i + 0.5) * size
        marks += [
            Markup('<text x="{:.1f}" y="11" class="tiny" text-anchor="middle">{}</text>').format(
                middle, i + 1
            ),
            Markup('<text x="13" y="{:.1f}" class="tiny" text-anchor="end">{}</text>').format(
                middle + 3, i + 1
            ),
        ]
    return marks


def _unit_scale(left: float, top: float, size: float) -> list[Markup]:
    tick = Markup('<text x="{:.0f}" y="{:.0f}" class="tiny" text-anchor="{}">{}</text>')
    marks = []
    for share in (0.0, 0.5, 1.0):
        marks += [
            tick.format(left + share * size, top + size + 13, "middle", f"{share:g}"),
            tick.format(left - 5, top + (1 - share) * size + 4, "end", f"{share:g}"),
        ]
    marks += [
        tick.format(left + size / 2, top + size + 27, "middle", "non-members accused"),
        Markup(
            '<text transform="translate(12 {:.0f}) rotate(-90)" class="tiny" '
            'text-anchor="middle">members missed</text>'
        ).format(top + size / 2),
    ]
    return marks


def _anchor(at: float) -> str:
    return "start" if at < 4 else "end" if at > 96 else "middle"


def _round_up(value: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(max(value, 1e-9)))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= value - 1e-12)
