import re

import pytest

from privsynth.report import charts, svg
from privsynth.report.facts import Figure, Series


def numbers(drawing, tag, attribute):
    return [
        float(value)
        for value in re.findall(rf'<{tag} [^>]*?{attribute}="(-?[\d.]+)%?"', str(drawing))
    ]


def test_an_interval_stands_where_its_numbers_are():
    span = charts.Span("Copies", 0.1, 0.15, 0.2, 0.4)
    drawing = charts.floor_to_ceiling("f", [span], limit=0.1)
    interval = re.search(r'<rect x="([\d.]+)%" y="[\d.]+" width="([\d.]+)%"[^>]*interval', drawing)
    ceiling = re.search(r'<line x1="([\d.]+)%"[^>]*class="ceiling"', drawing)
    low, width, top = *map(float, interval.groups()), float(ceiling.group(1))
    assert width == pytest.approx(low, rel=0.01)  # 0.1 to 0.2 on an axis that starts at 0
    assert top == pytest.approx(4 * low, rel=0.01)


def test_without_a_ceiling_nothing_is_excluded():
    drawing = charts.floor_to_ceiling("f", [charts.Span("Copies", 0.0, 0.0, 0.1, None)], 0.1)
    assert "excluded" not in drawing
    assert "limit 0.1" in drawing


def test_marks_stay_on_the_drawing():
    spans = [charts.Span("x", -0.4, -0.2, 1.0, 1.0), charts.Span("y", 0.0, 0.0, 0.0, None)]
    drawing = charts.floor_to_ceiling("f", spans, 0.05)
    places = numbers(drawing, "rect", "x") + numbers(drawing, "circle", "cx")
    assert all(0 <= place <= 100 for place in places)


def test_a_score_below_zero_has_an_empty_bar():
    drawing = charts.scores("s", "R²", [charts.Mark("cost", -0.3, 0.2)], top=1.0)
    assert "\N{MINUS SIGN}0.300" in drawing
    assert 'width="0%"' in drawing


def test_columns_and_rows_are_as_tall_as_their_shares():
    wide = Figure(
        "f",
        "fidelity",
        "histogram",
        "age",
        tuple(map(str, range(10))),
        (Series("synthetic", (0.0, 0.1, 0.2, 0.3, 0.4, 0.0, 0.0, 0.0, 0.0, 0.0)),),
    )
    heights = numbers(charts.shares("c", wide), "rect", "height")
    assert heights[:5] == [0, 37.5, 75, 112.5, 150]
    few = Figure("f", "fidelity", "shares", "sex", ("f", "m"), (Series("real", (0.5, 0.25)),))
    first, second = numbers(charts.shares("c", few), "rect", "width")
    assert first == 2 * second


def test_a_heat_map_knows_what_is_undefined_and_what_fell():
    drawing = charts.matrix("m", "M", [[1.0, None], [-0.25, 0.0]], "difference")
    kinds = re.findall(r'class="([\w-]+)" d=', str(drawing))
    assert sorted(kinds) == ["less-8", "level-0", "level-8", "unknown"]


def test_neighbouring_squares_are_one_stroke():
    assert str(svg.squares([(0, 0), (0, 1), (1, 0)], 10, 0, "x")).count("M") == 2


def test_labels_are_text():
    drawing = charts.scores("s", "<b>", [charts.Mark("<script>", 0.1, None)])
    assert "<script>" not in drawing
    assert "&lt;script&gt;" in drawing


def test_chart_text_comes_with_title_and_description():
    drawing = str(charts.scores("s", "Distances", [charts.Mark("1-way", 0.1, 0.05)]))
    assert "<title" in drawing
    assert "1-way: 0.100, reference 0.050" in drawing
