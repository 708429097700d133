import pytest

from privsynth.report.format import percent, rate


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12 / 26_000, "0.00046"),
        (20 / 26_000, "0.00077"),
        (-12 / 26_000, "\N{MINUS SIGN}0.00046"),
        (1 / 26_000, "3.8 × 10⁻⁵"),
        (-1 / 26_000, "\N{MINUS SIGN}3.8 × 10⁻⁵"),
        (0.0, "0.000"),
        (-0.0, "0.000"),
        (0.3 - 0.1 - 0.2, "0.000"),
        (0.001, "0.001"),
        (-0.0014, "\N{MINUS SIGN}0.001"),
        (1.0, "1.000"),
    ],
)
def test_a_small_rate_is_not_rounded_to_none(value: float, text: str) -> None:
    assert rate(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12 / 26_000, "<0.1 %"),
        (0.0005, "0.1 %"),
        (0.9994, "99.9 %"),
        (0.9995, ">99.9 %"),
        (1 - 1e-12, ">99.9 %"),
        (0.0, "0 %"),
        (1.0, "100 %"),
    ],
)
def test_a_share_is_nobody_or_everybody_only_where_it_is(value: float, text: str) -> None:
    assert percent(value) == text
