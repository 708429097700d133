"""Targets that `privsynth sample` is given: class balance and demographic parity."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from privsynth.errors import UsageError

_SHARES = re.compile(r"(.*?):([0-9.]+)(?:,|$)")
_FORM = "--balance takes COLUMN=VALUE:SHARE,VALUE:SHARE, with shares from 0 to 1"


@dataclass(frozen=True)
class Wanted:
    """What was asked for on the command line; false where nothing was."""

    balance: Mapping[str, Mapping[str | None, float]]
    independent: tuple[tuple[str, str], ...]

    def __bool__(self) -> bool:
        return bool(self.balance or self.independent)

    def line(self, effective_share: float | None) -> str:
        """What the table is no longer, and what the weights have left of the draws.

        >>> print(wanted(["ill=yes:0.5"], ["sex,ill"]).line(0.8))
        The table no longer has the records' balance: ill is yes in 0.5 of the rows; sex and ill
        are independent (demographic parity). Effective sample size: 80% of the draws.
        """
        parts = [
            f"{column} is {value or 'missing'} in {share:.3g} of the rows"
            for column, shares in self.balance.items()
            for value, share in shares.items()
        ]
        parts += [f"{a} and {b} are independent (demographic parity)" for a, b in self.independent]
        left = "" if effective_share is None else f"{effective_share:.0%} of the draws"
        return (
            f"The table no longer has the records' balance: {'; '.join(parts)}. "
            f"Effective sample size: {left or 'not stated'}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; a missing entry is the empty text."""
        return {
            "balance": {
                column: {value or "": share for value, share in shares.items()}
                for column, shares in self.balance.items()
            },
            "independent": [list(pair) for pair in self.independent],
        }


def wanted(balance: Sequence[str], independent: Sequence[str]) -> Wanted:
    """The targets of the options; UsageError for what cannot be read.

    >>> wanted(["ill=yes:0.3,no:0.7"], ["sex, ill"])
    Wanted(balance={'ill': {'yes': 0.3, 'no': 0.7}}, independent=(('sex', 'ill'),))
    """
    found: dict[str, dict[str | None, float]] = {}
    for text in balance:
        column, sign, rest = text.partition("=")
        if not sign or not column.strip():
            raise UsageError(_FORM)
        shares = found.setdefault(column.strip(), {})
        for value, share in _shares(rest):
            if value in shares:
                raise UsageError(f"--balance gives one value of column {column!r} two shares")
            shares[value] = share
    return Wanted(found, tuple(map(_pair, independent)))


def _shares(text: str) -> Iterator[tuple[str | None, float]]:
    """Values with their shares; an empty value is a missing entry; a value may hold commas."""
    if _SHARES.sub("", text) or not text:
        raise UsageError(_FORM)
    for value, share in _SHARES.findall(text):
        try:
            yield value.strip() or None, float(share)
        except ValueError:
            raise UsageError(_FORM) from None


def _pair(text: str) -> tuple[str, str]:
    names = [name.strip() for name in text.split(",")]
    if len(names) != 2 or not all(names):
        raise UsageError("--independent takes the names of two columns: A,B")
    return names[0], names[1]
