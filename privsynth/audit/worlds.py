"""A two-world audit: many small fits with one person and without, and what they betray of it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from privsynth.progress import SILENT, Progress
from privsynth.risk.base import Rate

Floats: TypeAlias = NDArray[np.float64]
Scores: TypeAlias = Mapping[str, float]
"""How much a fit looks like one with the person, by what of it was looked at."""


@dataclass(frozen=True)
class WorldAudit:
    """What the fits refute: the claimed epsilon beside the lower limit, and the best test found.

    `gdp_lower` is the lower limit under the assumption that scores are normal with one variance
    (Gaussian differential privacy), for information alone.

    >>> WorldAudit(1.0, lower=0.0, gdp_lower=0.1, hits=Rate(3, 50), alarms=Rate(2, 50)).passed
    True
    """

    claimed: float
    lower: float
    gdp_lower: float
    hits: Rate
    alarms: Rate

    @property
    def passed(self) -> bool:
        """Whether the fits refute no more than was claimed."""
        return self.lower <= self.claimed


LEAST_RUNS = 40
"""Fewer fits a world than this refute next to nothing."""


def run_worlds(
    fit: Callable[[bool], Scores],
    n_runs: int,
    kept: Path | None = None,
    build: str = "",
    progress: Progress = SILENT,
) -> tuple[list[Scores], list[Scores]]:
    """`n_runs` fits with the person (True) and without; what `kept` holds of this build stays.

    One line a fit is appended as it is made, so that an audit can be stopped and gone on with.
    """
    scores: dict[bool, list[Scores]] = {True: [], False: []}
    for found in _kept(kept):
        if found.get("build") == build:
            scores[found["with_person"]].append(found["scores"])
    progress.stage("fitting two worlds", 2 * n_runs)
    progress.advance(min(n_runs, len(scores[True])) + min(n_runs, len(scores[False])))
    for _ in range(n_runs):
        for world, made in scores.items():
            if len(made) >= n_runs:
                continue
            made.append(fit(world))
            if kept:
                with kept.open("a", encoding="utf-8") as file:
                    line = {"build": build, "with_person": world, "scores": made[-1]}
                    file.write("\n" + json.dumps(line))  # whatever the last one broke off in
            progress.advance()
    return scores[True][:n_runs], scores[False][:n_runs]


def _kept(path: Path | None) -> Iterator[dict[str, Any]]:
    """The lines of a file of scores; those that were cut off, or say something else, are not."""
    if path is None or not path.exists():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict) and _is_score(found):
                yield found


def _is_score(found: dict[str, Any]) -> bool:
    scores = found.get("scores")
    return (
        isinstance(found.get("with_person"), bool)
        and isinstance(scores, dict)
        and bool(scores)
        and all(isinstance(each, float) for each in scores.values())
    )


def judge_each(
    with_person: Sequence[Scores], without: Sequence[Scores], claimed: float, delta: float
) -> WorldAudit:
    """The audit that refutes most of those by each score, at a confidence for having several.

    >>> inside = [{"answers": 0.0, "steps": 1.0}] * 200
    >>> found = judge_each(inside, [{"answers": 0.0, "steps": 0.0}] * 200, 1.0, 1e-5)
    >>> round(found.lower, 1)
    3.1
    """
    names = list(with_person[0])
    audits = [
        judge(
            [each[name] for each in with_person],
            [each[name] for each in without],
            claimed,
            delta,
            confidence=1 - 0.05 / len(names),
        )
        for name in names
    ]
    return max(audits, key=lambda audit: audit.lower)


def judge(
    with_person: Sequence[float],
    without: Sequence[float],
    claimed: float,
    delta: float,
    *,
    confidence: float = 0.95,
) -> WorldAudit:
    """The largest epsilon that a threshold on the scores refutes, with exact limits.

    The threshold is chosen on every other run and judged on the rest, so that no correction for
    having tried many is needed. The two limits hold together with that confidence, half of the
    error each (Clopper and Pearson 1934).

    >>> sure = judge([1.0] * 200, [0.0] * 200, claimed=1.0, delta=1e-5)
    >>> round(sure.lower, 1), sure.passed
    (3.3, False)
    """
    inside, outside = np.asarray(with_person), np.asarray(without)
    best, threshold, is_above = -math.inf, 0.0, True
    for at in np.unique(np.r_[inside[::2], outside[::2]]):
        for above in (True, False):
            found = _lower(*_rates(inside[::2], outside[::2], at, above), delta, confidence)
            if found > best:
                best, threshold, is_above = found, float(at), above
    hits, alarms = _rates(inside[1::2], outside[1::2], threshold, is_above)
    spread = max(math.sqrt((inside.var() + outside.var()) / 2), 1e-9)
    shift = abs(inside.mean() - outside.mean()) / spread
    shift -= 2 * math.sqrt(2 / len(inside) + shift**2 / (4 * len(inside)))
    lower = max(0.0, _lower(hits, alarms, delta, confidence))
    return WorldAudit(claimed, lower, max(0.0, shift), hits, alarms)


def _rates(inside: Floats, outside: Floats, at: float, above: bool) -> tuple[Rate, Rate]:
    """Scores on the side of the threshold in either world."""
    named = [(side >= at) if above else (side < at) for side in (inside, outside)]
    hits, alarms = (Rate(int(each.sum()), len(each)) for each in named)
    return hits, alarms


def _lower(hits: Rate, alarms: Rate, delta: float, confidence: float) -> float:
    """The epsilon below which these rates would break (epsilon, delta), either way round."""
    found = -math.inf
    for good, bad in ((hits, alarms), (_other(alarms), _other(hits))):
        low, high = good.interval(confidence)[0], bad.interval(confidence)[1]
        if low > delta:
            found = max(found, math.log((low - delta) / high))
    return found


def _other(rate: Rate) -> Rate:
    return Rate(rate.total - rate.hits, rate.total)
