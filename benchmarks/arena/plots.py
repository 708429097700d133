"""The page's pictures: plain SVG, readable on a light or a dark page, from the same rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

from arena.summary import LOWER_IS_BETTER, Group, epsilon_text

WIDTH, HEIGHT = 420, 300
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 34, 42
LEGEND = 190
OURS = ("#0b63ce", "#0a8f6a", "#7a3fc9", "#0fa3b1", "#27408b")
OTHERS = ("#d1495b", "#e08e0b", "#8a5a44", "#b0578d", "#666666", "#9a9a00", "#c05a00")
_MARK = 3.5


@dataclass(frozen=True)
class Series:
    """A named line of points; a dashed one is a peer."""

    name: str
    colour: str
    is_ours: bool
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Panel:
    """One set of axes; x positions come with their labels."""

    title: str
    x_title: str
    y_title: str
    series: tuple[Series, ...]
    ticks: tuple[tuple[float, str], ...]
    reference: float | None = None
    is_log: bool = False


def colours(found: Sequence[Group]) -> dict[str, str]:
    """A colour for each generator, the same in every picture."""
    names = sorted({(not g.is_ours, g.generator) for g in found if not g.is_baseline})
    ours = [name for is_peer, name in names if not is_peer]
    others = [name for is_peer, name in names if is_peer]
    return {name: OURS[i % len(OURS)] for i, name in enumerate(ours)} | {
        name: OTHERS[i % len(OTHERS)] for i, name in enumerate(others)
    }


def by_epsilon(found: Sequence[Group], dataset: str, figure: str, title: str) -> Panel:
    """A figure against epsilon, a line for each generator; the real rows as a level."""
    there = [group for group in found if group.dataset == dataset]
    epsilons = sorted({group.epsilon for group in there if not group.is_baseline})
    place = {epsilon: float(number) for number, epsilon in enumerate(epsilons)}
    real = next((g.spread(figure) for g in there if g.generator == "real"), None)
    return Panel(
        title=dataset,
        x_title="epsilon",
        y_title=title,
        series=_series(there, figure, lambda group: place[group.epsilon], colours(found)),
        ticks=tuple((x, epsilon_text(epsilon)) for epsilon, x in place.items()),
        reference=real.mean if real else None,
        is_log=figure in LOWER_IS_BETTER,
    )


def by_cost(found: Sequence[Group], dataset: str, figure: str, title: str) -> Panel:
    """A figure at epsilon 1 against the CPU seconds of the fit, on a scale of powers of ten."""
    there = [g for g in found if g.dataset == dataset and g.epsilon == 1 and g.spread("fit_cpu_s")]
    ticks = tuple((float(power), f"{10**power:g}") for power in range(5))
    return Panel(
        title=f"{dataset}, epsilon 1",
        x_title="CPU seconds of the fit",
        y_title=title,
        series=_series(there, figure, _log_seconds, colours(found)),
        ticks=ticks,
        is_log=figure in LOWER_IS_BETTER,
    )


def _log_seconds(group: Group) -> float:
    spread = group.spread("fit_cpu_s")
    return math.log10(max(1.0, spread.mean)) if spread else 0.0


def _series(
    there: Sequence[Group], figure: str, x_of: Callable[[Group], float], palette: dict[str, str]
) -> tuple[Series, ...]:
    lines: dict[str, list[tuple[float, float]]] = {}
    for group in there:
        spread = group.spread(figure)
        if spread and not group.is_baseline:
            lines.setdefault(group.generator, []).append((x_of(group), spread.mean))
    ours = {group.generator: group.is_ours for group in there}
    return tuple(
        Series(name, palette[name], ours[name], tuple(sorted(points)))
        for name, points in lines.items()
    )


def picture(title: str, panels: Sequence[Panel]) -> str:
    """Panels beside one another with one legend."""
    width, height = len(panels) * WIDTH + LEGEND, HEIGHT
    names = {line.name: line for panel in panels for line in panel.series}
    body = [
        f'<g transform="translate({number * WIDTH} 0)">{"".join(_panel(panel))}</g>'
        for number, panel in enumerate(panels)
    ]
    legend = [_entry(line, number) for number, line in enumerate(names.values())]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" font-family="sans-serif" font-size="12">'
        f"<title>{escape(title)}</title>"
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>{"".join(body)}'
        f'<g transform="translate({len(panels) * WIDTH + 8} {TOP})">{"".join(legend)}</g></svg>\n'
    )


def _panel(panel: Panel) -> Iterable[str]:
    ys = [y for line in panel.series for _, y in line.points]
    ys += [panel.reference] if panel.reference is not None else []
    marks = log_marks(ys) if panel.is_log else marks_around(ys)
    scale = math.log10 if panel.is_log else float
    low, high = scale(marks[0]), scale(marks[-1])
    xs = [x for x, _ in panel.ticks] or [0.0]
    span = (max(xs) - min(xs)) or 1.0

    def across(x: float) -> float:
        return LEFT + 16 + (x - min(xs)) / span * (WIDTH - LEFT - RIGHT - 32)

    def down(y: float) -> float:
        return HEIGHT - BOTTOM - (scale(y) - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    yield _text(LEFT, 20, panel.title, 'font-weight="bold"')
    for y in marks:
        yield _level(down(y), "#e3e3e3")
        yield _text(LEFT - 6, down(y) + 4, f"{y:.3g}", 'text-anchor="end" fill="#444444"')
    for x, label in panel.ticks:
        yield _text(across(x), HEIGHT - BOTTOM + 16, label, 'text-anchor="middle" fill="#444444"')
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield _text(middle, HEIGHT - 8, panel.x_title, 'text-anchor="middle"')
    turned = f'text-anchor="middle" transform="rotate(-90 14 {HEIGHT / 2})"'
    yield _text(14, HEIGHT / 2, panel.y_title, turned)
    if panel.reference is not None:
        y = down(panel.reference)
        yield _level(y, "#222222", 'stroke-dasharray="2 3"')
        yield _text(WIDTH - RIGHT, y - 4, "real", 'text-anchor="end" font-size="10"')
    for line in panel.series:
        yield from _drawn([(across(x), down(y)) for x, y in line.points], line)


def _drawn(points: Sequence[tuple[float, float]], line: Series) -> Iterable[str]:
    dash = "" if line.is_ours else ' stroke-dasharray="6 4"'
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    yield f'<polyline points="{path}" fill="none" stroke="{line.colour}" stroke-width="2"{dash}/>'
    for x, y in points:
        yield _mark(x, y, line)


def _mark(x: float, y: float, line: Series) -> str:
    """Ours are filled circles, peers hollow ones."""
    inside = line.colour if line.is_ours else "#ffffff"
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{_MARK}" fill="{inside}" stroke="{line.colour}" '
        f'stroke-width="2"><title>{escape(line.name)}</title></circle>'
    )


def _entry(line: Series, number: int) -> str:
    y = 18 * number
    dash = "" if line.is_ours else 'stroke-dasharray="6 4" '
    return (
        f'<line x1="0" x2="22" y1="{y}" y2="{y}" stroke="{line.colour}" {dash}stroke-width="2"/>'
        + _mark(11, y, line)
        + _text(28, y + 4, line.name)
    )


def _level(y: float, colour: str, more: str = "") -> str:
    """A line across the panel."""
    ends = f'x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"'
    return f'<line {ends} stroke="{colour}" {more}/>'


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(text)}</text>'


def marks_around(values: Sequence[float]) -> list[float]:
    """Round numbers in equal steps, from below the least value to above the largest.

    >>> [round(mark, 2) for mark in marks_around([0.012, 0.047])]
    [0.01, 0.02, 0.03, 0.04, 0.05]
    """
    least, most = (min(values), max(values)) if values else (0.0, 1.0)
    rough = max(most - least, 1e-3) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first, last = math.floor(least / step), math.ceil(most / step)
    return [number * step for number in range(first, max(last, first + 1) + 1)]


def log_marks(values: Sequence[float]) -> list[float]:
    """1, 2 and 5 times powers of ten, from below the least value to above the largest.

    >>> log_marks([0.012, 0.047])
    [0.01, 0.02, 0.05]
    """
    above = [value for value in values if value > 0] or [0.1, 1.0]
    powers = range(math.floor(math.log10(min(above))), math.ceil(math.log10(max(above))) + 1)
    marks = [round(factor * 10.0**power, 12) for power in powers for factor in (1, 2, 5)]
    first = max(number for number, mark in enumerate(marks) if mark <= min(above))
    last = min(number for number, mark in enumerate(marks) if mark >= max(above))
    return marks[first : max(last, first + 1) + 1]
