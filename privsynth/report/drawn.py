"""Each chart of a report with its caption and the table of numbers behind it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from markupsafe import Markup

from privsynth.report import charts
from privsynth.report.criteria import CRITERIA, criterion_of
from privsynth.report.facts import Fact, Figure, Series
from privsynth.report.format import percent, rate
from privsynth.report.report import RiskReport

_MOST_BARS = 16
_MOST_PAIRS = 300


@dataclass(frozen=True)
class Drawn:
    """A chart, its caption, and its numbers."""

    title: str
    svg: Markup
    heads: tuple[str, ...]
    rows: tuple[Sequence[object], ...]
    numeric: tuple[int, ...]
    note: str = ""


def floors(report: RiskReport) -> Drawn | None:
    """The floor-to-ceiling figure over all attacks that have an excess; none without any."""
    facts = [f for f in report.facts("testing") if f.interval and f.trial and f.trial.control]
    facts.sort(key=_place)
    spans = [_span(fact) for fact in facts]
    if not spans:
        return None
    return Drawn(
        "From floor to ceiling: excess risk by attack",
        charts.floor_to_ceiling("floors", spans, report.decision["excess_limit"]),
        ("Attack", "Lower limit", "Excess", "Upper limit", "Ceiling"),
        tuple((s.label, rate(s.low), rate(s.value), rate(s.high), rate(s.ceiling)) for s in spans),
        (1, 2, 3, 4),
        "Excess of the success rate on members over that on control records. The ceiling is the "
        "highest excess that the proof allows at a control rate like that of the same attack.",
    )


def score_charts(facts: Iterable[Fact]) -> list[Drawn]:
    """A chart for each group of figures that concern the table as a whole."""
    facts = [fact for fact in facts if fact.value is not None]
    whole = [f for f in facts if f.column is None]
    groups = (
        ("marginals", "Distance of marginals (total variation)", "0 is best.", whole),
        ("utility", "What models learn: trained on synthetic beside trained on real", "", facts),
        ("detection", "Can a classifier tell synthetic from real?", "1 is best: it cannot.", whole),
    )
    return [
        _scores(group, title, note, chosen)
        for group, title, note, among in groups
        if (chosen := [f for f in among if f.details.get("group") == group])
    ]


def matrices(report: RiskReport) -> list[Drawn]:
    """Heat maps of the associations: real, synthetic and their difference, or synthetic alone."""
    figure = _matrix_figure(report)
    if figure is None:
        return []
    note = (
        f"{figure.title}, from 0 (none) to 1 (one column fixes the other). "
        "Darker is stronger; white is undefined, because a column is constant."
    )
    if len(figure.series) > 1:
        note += (
            " In the difference, brown is weaker and blue stronger in the synthetic table; the "
            "darkest shade stands for 0.25 and more."
        )
    drawn = [_matrix(series, note) for series in figure.series]
    if len(figure.series) > 1:
        difference = Series("difference", _difference(figure))
        drawn.append(_matrix(difference, note, "difference"))
    return drawn


def matrix_table(report: RiskReport) -> Drawn | None:
    """The numbers behind the heat maps: pairs, the largest differences first."""
    figure = _matrix_figure(report)
    if figure is None:
        return None
    pairs = sorted(combinations(range(len(figure.labels)), 2), key=lambda p: -_weight(figure, p))
    names = [series.name for series in figure.series]
    shown = min(len(pairs), _MOST_PAIRS)
    return Drawn(
        f"Association of pairs ({shown} of {len(pairs)}, the rest is in the JSON document)",
        Markup(""),
        ("First column", "Second column", *names),
        tuple(
            (figure.labels[i], figure.labels[j], *(rate(s.values[i][j]) for s in figure.series))
            for i, j in pairs[:shown]
        ),
        tuple(range(2, 2 + len(names))),
    )


def matrix_columns(report: RiskReport) -> list[tuple[int, str]]:
    """The number of each column on the heat maps."""
    figure = _matrix_figure(report)
    return [] if figure is None else list(enumerate(figure.labels, start=1))


def column_charts(report: RiskReport) -> list[Drawn]:
    """The shares of each column: one chart each, of the edition's own figures."""
    wanted = "public" if report.edition == "public" else "controller"
    figures = [
        figure
        for figure in report.figures
        if figure.kind in ("shares", "histogram") and figure.sensitivity == wanted
    ]
    return [_column(number, figure) for number, figure in enumerate(figures)]


def trade_off(report: RiskReport) -> Drawn | None:
    """The curve of the proof; none without one."""
    figure = next((figure for figure in report.figures if figure.kind == "curve"), None)
    if figure is None:
        return None
    accused, missed = (series.values for series in figure.series)
    return Drawn(
        figure.title,
        charts.curve("trade-off", figure),
        ("Non-members accused", "Members missed, at least"),
        tuple((percent(a), percent(m)) for a, m in zip(accused[::5], missed[::5], strict=True)),
        (0, 1),
        figure.note,
    )


def _place(fact: Fact) -> int:
    """Attacks stand in the order of the criteria, others at the end."""
    criterion = criterion_of(fact)
    return CRITERIA.index(criterion) if criterion else len(CRITERIA)


def _span(fact: Fact) -> charts.Span:
    assert fact.interval is not None
    assert fact.trial is not None
    top = fact.trial.ceiling_excess
    value = fact.value if isinstance(fact.value, float | int) else 0.0
    return charts.Span(fact.title, fact.interval.low, float(value), fact.interval.high, top)


def _scores(group: str, title: str, note: str, facts: Sequence[Fact]) -> Drawn:
    marks = [charts.Mark(_label(fact), _number(fact), fact.reference) for fact in facts]
    top = 1.0 if group in ("detection", "utility") else None
    return Drawn(
        title,
        charts.scores(f"scores-{group}", title, marks, top),
        ("Figure", "Synthetic", "Reference", "Reference is"),
        tuple(
            (m.label, rate(m.value), rate(m.reference), fact.reference_name or "–")
            for m, fact in zip(marks, facts, strict=True)
        ),
        (1, 2),
        note,
    )


def _label(fact: Fact) -> str:
    return f"{fact.column}: {fact.title.split(': ')[-1]}" if fact.column else fact.title


def _number(fact: Fact) -> float:
    return float(fact.value) if isinstance(fact.value, float | int) else 0.0


def _matrix_figure(report: RiskReport) -> Figure | None:
    wanted = "public" if report.edition == "public" else "controller"
    found = [f for f in report.figures if f.kind == "matrix" and f.sensitivity == wanted]
    return found[0] if found else None


def _matrix(series: Series, note: str, kind: str = "association") -> Drawn:
    title = {"difference": "Synthetic less real"}.get(series.name, series.name.capitalize())
    drawing = charts.matrix(f"matrix-{series.name}", f"Association: {title}", series.values, kind)
    return Drawn(title, drawing, (), (), (), note)


def _difference(figure: Figure) -> tuple[tuple[float | None, ...], ...]:
    real, synthetic = (series.values for series in figure.series)
    return tuple(
        tuple(None if r is None or s is None else s - r for r, s in zip(one, other, strict=True))
        for one, other in zip(real, synthetic, strict=True)
    )


def _weight(figure: Figure, pair: tuple[int, int]) -> float:
    values = [series.values[pair[0]][pair[1]] or 0.0 for series in figure.series]
    return abs(values[-1] - values[0]) if len(values) > 1 else float(values[0])


def _column(number: int, figure: Figure) -> Drawn:
    return Drawn(
        figure.title,
        charts.shares(f"column-{number}", _pooled(figure)),
        ("Value", *(series.name for series in figure.series)),
        tuple(
            (label, *(percent(series.values[i]) for series in figure.series))
            for i, label in enumerate(figure.labels)
        ),
        tuple(range(1, 1 + len(figure.series))),
    )


def _pooled(figure: Figure) -> Figure:
    """The largest shares of a long category list, the others as one bar."""
    n = len(figure.labels)
    if figure.kind == "histogram" or n <= _MOST_BARS:
        return figure
    order = sorted(range(n), key=lambda i: -sum(series.values[i] for series in figure.series))
    kept = sorted(order[: _MOST_BARS - 1])
    rest = order[_MOST_BARS - 1 :]
    return replace(
        figure,
        labels=(*(figure.labels[i] for i in kept), f"({len(rest)} more)"),
        series=tuple(
            Series(s.name, (*(s.values[i] for i in kept), sum(s.values[i] for i in rest)))
            for s in figure.series
        ),
    )
