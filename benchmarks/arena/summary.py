"""The results by cell group: mean and spread over seeds, and who leads."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean, stdev

from arena.cells import BASELINES, PEERS
from arena.datasets import NAMES
from arena.metrics import FIGURES
from arena.results import COSTS, DONE, Row

LOWER_IS_BETTER = frozenset({"tvd1", "tvd2", "tvd3", "structure_tvd", *COSTS}) - {"sample_rows_s"}
TITLES = {
    "tvd1": "TVD 1",
    "tvd2": "TVD 2",
    "tvd3": "TVD 3",
    "structure_tvd": "structure",
    "tstr_gb": "TSTR boost",
    "tstr_logistic": "TSTR logistic",
    "detection": "detection",
    "rare_kept": "rare kept",
    "groups_kept": "groups kept",
    "fit_s": "fit s",
    "fit_cpu_s": "fit CPU s",
    "sample_rows_s": "rows/s",
    "peak_mib": "peak MiB",
}
WHOLE = frozenset(COSTS)


@dataclass(frozen=True)
class Spread:
    """A figure over seeds."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean over the seeds."""
        return mean(self.values)

    def text(self, name: str) -> str:
        """Mean ± standard deviation as the page shows it.

        >>> Spread((0.0381, 0.0391)).text("tvd2")
        '.0386 ± .0007'
        >>> Spread((83.8,)).text("fit_cpu_s")
        '84'
        """
        shown = _whole if name in WHOLE else _four if "tvd" in name else _three
        text = shown(self.mean)
        if len(self.values) > 1:
            text += f" ± {shown(stdev(self.values))}"
        return text


def _whole(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ")


def _four(value: float) -> str:
    return f"{value:.4f}".lstrip("0") if value < 1 else f"{value:.4f}"


def _three(value: float) -> str:
    return f"{value:.3f}".lstrip("0") if value < 1 else f"{value:.3f}"


@dataclass(frozen=True)
class Group:
    """All seeds of a generator on a data set at an epsilon."""

    generator: str
    dataset: str
    epsilon: float
    rows: tuple[Row, ...] = field(repr=False, hash=False)

    @property
    def done(self) -> tuple[Row, ...]:
        """The rows of the seeds that were finished."""
        return tuple(row for row in self.rows if row["status"] == DONE)

    @property
    def unfinished(self) -> dict[str, int]:
        """How often each other status occurs."""
        found = [row["status"] for row in self.rows if row["status"] != DONE]
        return {status: found.count(status) for status in dict.fromkeys(found)}

    def spread(self, name: str) -> Spread | None:
        """A figure over the finished seeds that have it."""
        values = tuple(float(row[name]) for row in self.done if row[name])
        return Spread(values) if values else None

    @property
    def is_ours(self) -> bool:
        """Whether it is one of our presets."""
        return self.generator not in {*PEERS, *BASELINES}

    @property
    def is_baseline(self) -> bool:
        """Whether it is a reference that competes with nobody."""
        return self.generator in BASELINES


def groups(rows: Iterable[Row]) -> list[Group]:
    """The rows by generator, data set and epsilon: baselines, then ours, then peers."""
    found: dict[tuple[str, str, float], list[Row]] = {}
    for row in rows:
        key = (row["generator"], row["dataset"], float(row["epsilon"]))
        found.setdefault(key, []).append(row)
    made = [Group(*key, rows=tuple(kept)) for key, kept in found.items()]
    return sorted(made, key=_place)


def _place(group: Group) -> tuple[int, bool, float, bool, str]:
    return (
        NAMES.index(group.dataset),
        not group.is_baseline,
        group.epsilon,
        not group.is_ours,
        group.generator,
    )


def best(name: str, among: Sequence[Group]) -> float | None:
    """The best mean of a figure among those that compete, or None."""
    means = [
        spread.mean for group in among if not group.is_baseline and (spread := group.spread(name))
    ]
    if not means:
        return None
    return min(means) if name in LOWER_IS_BETTER else max(means)


@dataclass(frozen=True)
class Match:
    """The best of ours against the best peer in one figure."""

    dataset: str
    epsilon: float
    figure: str
    ours: Group
    peer: Group

    @property
    def margin(self) -> float:
        """By how much ours is better; below zero where it is worse."""
        ours, peer = (group.spread(self.figure) for group in (self.ours, self.peer))
        assert ours is not None
        assert peer is not None
        difference = ours.mean - peer.mean
        return -difference if self.figure in LOWER_IS_BETTER else difference


def matches(found: Sequence[Group], figures: Sequence[str] = FIGURES) -> list[Match]:
    """Every figure that both ours and a peer have on a data set at an epsilon."""
    by_place: dict[tuple[str, float], list[Group]] = {}
    for group in found:
        if not group.is_baseline and group.done:
            by_place.setdefault((group.dataset, group.epsilon), []).append(group)
    made = []
    for (dataset, epsilon), there in by_place.items():
        for figure in figures:
            ours = leader(figure, [group for group in there if group.is_ours])
            peer = leader(figure, [group for group in there if not group.is_ours])
            if ours and peer:
                made.append(Match(dataset, epsilon, figure, ours, peer))
    return made


def leader(figure: str, among: Sequence[Group]) -> Group | None:
    """The group with the best mean of a figure."""
    means = {group: s.mean for group in among if (s := group.spread(figure))}
    if not means:
        return None
    sign = 1 if figure in LOWER_IS_BETTER else -1
    return min(means, key=lambda group: sign * means[group])


def epsilon_text(epsilon: float) -> str:
    """An epsilon as the page shows it."""
    return "∞" if math.isinf(epsilon) else f"{epsilon:g}"


def cell_text(group: Group, name: str, leading: Mapping[str, float | None]) -> str:
    """A figure of a group as the page shows it: bold where it leads, a dash where there is none."""
    spread = group.spread(name)
    if spread is None:
        return "–"
    text = spread.text(name)
    return f"**{text}**" if not group.is_baseline and spread.mean == leading[name] else text
