"""How numbers are printed, the same everywhere."""

from __future__ import annotations

import math

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

SMALL_CELL = 11
"""The smallest count that is printed as it is (CMS, ResDAC)."""


_ROUNDING_ERROR = 1e-9
"""What is smaller is no rate of anything counted, but the rest of a subtraction."""


def cell(n: int) -> int | str:
    """A count of people or records: from 1 to 10 it reads "<11".

    >>> cell(3), cell(0), cell(12)
    ('<11', 0, 12)
    """
    return f"<{SMALL_CELL}" if 0 < n < SMALL_CELL else n


def number(value: object, digits: int = 3) -> str:
    """A number to read: grouped thousands, three significant digits, a dash for none.

    >>> number(30162), number(0.04321), number(1e-6), number(None), number("<11")
    ('30,162', '0.0432', '10⁻⁶', '–', '<11')
    """
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if 0 < abs(value) < 0.001:
        return _power(value, digits)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"


def at_most(value: float | None, digits: int = 3) -> str:
    """An upper bound to read: rounded up, so that it stays one; infinity for None.

    >>> at_most(0.98701), at_most(2.0), at_most(11.4993), at_most(None)
    ('0.988', '2', '11.5', '∞')
    """
    if value is None:
        return "∞"
    scale = 10.0 ** (digits - 1 - math.floor(math.log10(value))) if value > 0 else 1.0
    # A bound that needs no rounding must not be pushed up by the last bit of its product.
    return number(math.ceil(value * scale - 1e-9) / scale, digits)


def _power(value: float, digits: int) -> str:
    """A small number with its power of ten written out."""
    head, _, tail = f"{value:.{digits - 1}e}".partition("e")
    head = head.rstrip("0").rstrip(".")
    power = f"10{str(int(tail)).translate(_RAISED)}"
    return power if head == "1" else f"{head} × {power}"


def rate(value: float | None) -> str:
    """A rate between 0 and 1 with three decimals; two significant digits where it is smaller.

    >>> rate(0.0432), rate(-0.002), rate(None)
    ('0.043', '\N{MINUS SIGN}0.002', '–')
    >>> rate(0.00046), rate(4.6e-5), rate(0.0)
    ('0.00046', '4.6 × 10⁻⁵', '0.000')
    """
    if value is None:
        return "–"
    size = abs(value)
    if size < _ROUNDING_ERROR:
        return "0.000"
    decimals = 3 if size >= 0.001 else 5
    text = f"{size:.{decimals}f}" if size >= 0.0001 else _power(size, 2)
    return f"\N{MINUS SIGN}{text}" if value < 0 else text


def percent(value: float | None) -> str:
    """A share in per cent, with enough digits near 0 and 1: few are never printed as none.

    >>> percent(0.0267), percent(0.5), percent(0.9942), percent(0.10)
    ('2.7 %', '50 %', '99.4 %', '10 %')
    >>> percent(12 / 26_000), percent(0.9996), percent(0.0), percent(1.0)
    ('<0.1 %', '>99.9 %', '0 %', '100 %')
    """
    if value is None:
        return "–"
    if 0 < value < 0.0005:
        return "<0.1 %"
    if 0.9995 <= value < 1:
        return ">99.9 %"
    near_the_edge = value < 0.095 or value > 0.985
    text = f"{100 * value:.1f}" if near_the_edge else f"{100 * value:.0f}"
    return f"{text.removesuffix('.0')} %"


def percent_at_most(value: float) -> str:
    """An upper bound on a share in per cent: rounded up, so that it stays one.

    >>> percent_at_most(0.7311), percent_at_most(0.5)
    ('73.2 %', '50 %')
    """
    return f"{math.ceil(1000 * value - 1e-9) / 10:.1f}".removesuffix(".0") + " %"
