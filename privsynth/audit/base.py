"""What a check of a build is, and what it finds: whether the code does what the claim says."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

LEAST_P = 1e-6
"""The p-value under which what was seen is no chance: one false alarm in a million checks."""


@dataclass(frozen=True)
class Finding:
    """Whether a check passed, with the figure that decided it in words.

    `stopped` says that an error ended it: it has not passed, and has noticed nothing either.

    >>> Finding("noise of steps", True, "p = 0.31").passed
    True
    """

    check: str
    passed: bool
    figure: str
    seconds: float = field(default=0.0, compare=False)
    stopped: bool = False


Probe: TypeAlias = Callable[[], tuple[bool, str]]
"""Does what a check says, and gives whether that came out right, and the figure."""


@dataclass(frozen=True)
class Check:
    """A property of a build, and how it is put to the test.

    >>> Check("sum", "one and one are two", lambda: (1 + 1 == 2, "2")).run().passed
    True
    """

    name: str
    title: str
    probe: Probe

    def run(self) -> Finding:
        """The finding; a probe that stops with an error has not passed."""
        started = time.perf_counter()
        stopped = False
        try:
            passed, figure = self.probe()
        except Exception as error:
            passed, figure, stopped = False, f"stopped with {type(error).__name__}", True
        seconds = round(time.perf_counter() - started, 3)
        return Finding(self.name, passed, figure, seconds, stopped)


def two_sided(square: float, n: int) -> float:
    """How likely a sum of n squared standard normals this far off is.

    >>> two_sided(1000.0, 1000) > 0.9
    True
    """
    from scipy.stats import chi2

    return float(2 * min(chi2.cdf(square, n), chi2.sf(square, n)))
