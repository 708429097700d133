"""Checks of a generator's whole fit: nothing of a record passes by but what was charged.

The fits are small. What is cut down (rounds, steps, widths, rows of the teacher) and the share
that DP-SGD gets follow from public facts alone, so that what holds here holds at any size.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from privsynth.audit.base import Check
from privsynth.audit.small import BUDGET, DECLARED, LEARNED, MAX_ROWS, fit, one_with_rows, table
from privsynth.privacy import dpsgd, mechanisms
from privsynth.privacy.accountant import epsilon_of
from privsynth.privacy.ledger import Ledger
from privsynth.privacy.noise import NoiseSource, SecretNoise, SeededNoise
from privsynth.privacy.plan import DpSgdEvent, GaussianEvent, Mechanism
from privsynth.table import Table

_N_BOUND_BINS = mechanisms._exponential_edges().size - 1
_KEYS = ("entry_id", "created", "ledger_entry")
_SEED = 987_654_321
_FEWER = 20  # persons by whom one table is the smaller where their number is private


def records_decide_nothing_else(
    preset: str, document: Mapping[str, Any] = LEARNED
) -> tuple[bool, str]:
    """With canned answers to all that was charged, two tables give one and the same model folder.

    What is read of the records beside the mechanisms (bins, categories, a moment to stop,
    conditions, who has how many rows, how many there are where that is private) would make the
    two differ.
    """
    tables = [table(seed, document) for seed in (1, 2)]
    if tables[1].schema.privacy.row_count == "private":
        tables[1] = tables[1].take(np.flatnonzero(tables[1].units() >= _FEWER))
    with _canned(), tempfile.TemporaryDirectory() as folder:
        one, two = (
            _saved(preset, each, Path(folder) / str(number)) for number, each in enumerate(tables)
        )
    differ = [name for name in {*one, *two} if not _same(one.get(name), two.get(name))]
    return not differ, f"{len(differ)} of {len(one)} saved parts differ"


def _saved(preset: str, train: Table, folder: Path) -> dict[str, Any]:
    """Everything that a fit writes down, by name, but for its number and time."""
    from safetensors.numpy import load_file

    fit(preset, train, SeededNoise(3), folder).save(folder / "model")
    text = (folder / "model" / "model.json").read_text(encoding="utf-8")
    document = {key: value for key, value in json.loads(text).items() if key not in _KEYS}
    return document | load_file(folder / "model" / "weights.safetensors")


def _same(one: Any, two: Any) -> bool:
    if isinstance(one, np.ndarray) and isinstance(two, np.ndarray):
        return np.array_equal(one, two)
    return bool(one == two)


@contextmanager
def _canned() -> Iterator[None]:
    """Mechanisms that look at the records as ever, and answer alike whatever they hold."""

    def counted(cells: Any, n_cells: int, steps: Any) -> NDArray[np.int64]:
        counts = np.full(n_cells, 40 * int(np.max(steps, initial=1)), dtype=np.int64)
        if n_cells == _N_BOUND_BINS:  # bounds from 1 to 64
            counts[: n_cells // 2 + 21] = 0
            counts[n_cells // 2 + 27 :] = 0
        return counts

    def distinct(labels: Any) -> tuple[list[str], NDArray[np.int64]]:
        return ["a", "b"], np.zeros(len(labels), dtype=np.int64)

    def summed(layers: Any, loss: Any, units: Any, **settings: Any) -> Any:
        if len(units):
            loss(units)  # what it may note down of the records would show later
        trained = (p for layer in layers.values() for p in layer.parameters() if p.requires_grad)
        return {p: p.detach() * 0.01 for p in trained}

    sample, lots = vars(dpsgd)["poisson_sample"], SeededNoise(4)

    def sampled(n_units: int, rate: float, noise: NoiseSource) -> Any:
        return sample(n_units, rate, lots)  # a person more leaves the noise of the steps as it is

    with (
        mock.patch.object(dpsgd, "poisson_sample", sampled),
        mock.patch.object(mechanisms, "_count", counted),
        mock.patch.object(mechanisms, "_distinct", distinct),
        mock.patch.object(dpsgd, "clipped_sum", summed),
    ):
        yield


def contribution_in_a_fit(preset: str) -> tuple[bool, str]:
    """One person of three rows moves each answer of a whole fit by 1 at most.

    The questions of two fits are the same, since their answers are canned, the row count's too;
    what would have been answered is kept, with the person and without.
    """
    everyone = table(1, LEARNED)
    person = one_with_rows(everyone, 3)
    asked: list[list[NDArray[np.float64]]] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, rows in enumerate((np.ones(everyone.n_rows, dtype=bool), ~person)):
            with _canned(), _keeping() as kept:
                train = everyone.take(np.flatnonzero(rows))
                fit(preset, train, SeededNoise(3), Path(folder) / str(number))
            asked.append(kept)
    if len(asked[0]) != len(asked[1]):
        return False, f"{len(asked[0])} and {len(asked[1])} questions"
    moves = [float(np.linalg.norm(one - two)) for one, two in zip(*asked, strict=True)]
    return max(moves) <= 1 + 1e-6, f"largest move {max(moves):.4f} in {len(moves)} answers"


@contextmanager
def _keeping() -> Iterator[list[NDArray[np.float64]]]:
    """The true answers, in units."""
    kept: list[NDArray[np.float64]] = []
    count, weigh = mechanisms._count, mechanisms._whole_weights
    scale = [1]

    def weighed(n_rows: int, weights: Any, max_rows: int, grid: Any) -> Any:
        scale[0] = grid.scale
        return weigh(n_rows, weights, max_rows, grid)

    def counted(cells: Any, n_cells: int, steps: Any) -> Any:
        true = np.bincount(cells + 1, steps, minlength=n_cells + 1)[1:]
        kept.append(true / scale[0])
        return count(cells, n_cells, steps)

    with (
        mock.patch.object(mechanisms, "_whole_weights", weighed),
        mock.patch.object(mechanisms, "_count", counted),
    ):
        yield kept


def rows_above_the_bound(preset: str) -> tuple[bool, str]:
    """Of a person with nine rows a fit asks about no more than the bound allows."""
    everyone = table(1, LEARNED)
    more = np.flatnonzero(one_with_rows(everyone, MAX_ROWS))
    crowded = everyone.take(np.r_[np.arange(everyone.n_rows), more, more])
    asked: list[int] = []
    weigh = mechanisms._whole_weights

    def weighed(n_rows: int, *given: Any) -> Any:
        asked.append(n_rows)
        return weigh(n_rows, *given)

    with (
        tempfile.TemporaryDirectory() as folder,
        _canned(),
        mock.patch.object(mechanisms, "_whole_weights", weighed),
    ):
        fit(preset, crowded, SeededNoise(3), Path(folder))
    beyond = max(0, max(asked) - everyone.n_rows)
    return beyond == 0, f"{beyond} rows beyond the bound in {len(asked)} questions"


@dataclass
class _Observed:
    """What mechanisms did in a fit, noted where they touch the records and the noise."""

    precision: float = 0.0  # sum of 1 / sigma² over answers of sensitivity 1
    sums: int = 0
    noises: set[float] = field(default_factory=set)
    rates: set[tuple[int, float]] = field(default_factory=set)

    def mechanisms(self) -> Iterator[Mechanism]:
        """The same as the accountant would be told."""
        yield Mechanism("answers", "observed", GaussianEvent(self.precision**-0.5))
        if self.sums:
            rate = max(rate for _, rate in self.rates)
            yield Mechanism("steps", "observed", DpSgdEvent(rate, min(self.noises), self.sums))


@contextmanager
def _observing() -> Iterator[_Observed]:
    seen = _Observed()
    add_noise, sum_up = mechanisms._add_noise, dpsgd.clipped_sum
    sample = vars(dpsgd)["poisson_sample"]
    steps_noise = dpsgd._NoisyOptimizer.add_noise

    def noised(counts: Any, grid: Any, noise: NoiseSource) -> Any:
        seen.precision += grid.scale**2 / grid.sigma_squared
        return add_noise(counts, grid, noise)

    def summed(*given: Any, **settings: Any) -> Any:
        seen.sums += 1
        return sum_up(*given, **settings)

    def sampled(n_units: int, rate: float, noise: NoiseSource) -> Any:
        seen.rates.add((n_units, rate))
        return sample(n_units, rate, noise)

    def step_noise(self: Any) -> None:
        seen.noises.add(self.noise_multiplier)
        steps_noise(self)

    with (
        mock.patch.object(mechanisms, "_add_noise", noised),
        mock.patch.object(dpsgd, "clipped_sum", summed),
        mock.patch.object(dpsgd, "poisson_sample", sampled),
        mock.patch.object(dpsgd._NoisyOptimizer, "add_noise", step_noise),
    ):
        yield seen


def observed_is_charged(preset: str) -> tuple[bool, str]:
    """What the mechanisms did, composed anew, costs no more than what the ledger holds."""
    with tempfile.TemporaryDirectory() as folder, _observing() as seen:
        train = table(1)
        fit(preset, train, SecretNoise(), Path(folder))
        (entry, *_) = Ledger(Path(folder) / "ledger.sqlite").entries()
    assert entry.plan is not None
    costs = epsilon_of(seen.mechanisms(), BUDGET.delta)
    charged = epsilon_of(entry.plan.mechanisms, BUDGET.delta)
    by_person = {n for n, _ in seen.rates} <= {train.n_units}
    figure = f"observed epsilon {costs:.4f}, charged {charged:.4f}"
    # Sigma squared is rounded up to whole steps, and parts of a split give 1e-9 back.
    within = costs <= charged * (1 + 1e-4)
    return by_person and within, figure + ("" if by_person else "; rows as units")


def ledger_comes_first(preset: str) -> tuple[bool, str]:
    """The charge is on disk before the first answer, and stays there when the fit fails."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        on_disk: list[int] = []

        def stop(*_: Any, **__: Any) -> Any:
            on_disk.append(len(Ledger(path).entries()) if path.exists() else 0)
            raise _StoppedError

        with mock.patch.object(mechanisms, "_count", stop), suppress(_StoppedError):
            fit(preset, table(1), SecretNoise(), Path(folder))
        charged = [entry for entry in Ledger(path).entries() if entry.kind == "charge"]
    return on_disk == [1] and len(charged) == 1, f"{on_disk} entries at the first question"


class _StoppedError(Exception):
    """Raised where the records would be asked."""


def no_seed_is_written(preset: str) -> tuple[bool, str]:
    """No file of the fit names a seed, and seeded noise voids its guarantee."""
    with tempfile.TemporaryDirectory() as folder:
        fitted = fit(preset, table(1), SeededNoise(_SEED), Path(folder))
        fitted.save(Path(folder) / "model")
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        holding = [path.name for path in files if str(_SEED).encode() in path.read_bytes()]
        text = (Path(folder) / "model" / "model.json").read_text(encoding="utf-8")
    named = [key for key in _keys(json.loads(text)) if "seed" in key.lower()]
    void = any("seed" in fault for fault in fitted.guarantee.void)
    figure = f"{len(named)} fields name a seed; seeded noise {'voids' if void else 'stands'}"
    return not named and not holding and void, figure


def _keys(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        yield from map(str, document)
        for value in document.values():
            yield from _keys(value)
    if isinstance(document, list):
        for value in document:
            yield from _keys(value)


_PROBES: tuple[tuple[str, str, Callable[[str], tuple[bool, str]]], ...] = (
    (
        "records decide nothing else",
        "beside what was charged, the records decide nothing",
        records_decide_nothing_else,
    ),
    (
        "records decide nothing declared",
        "nor do they where bounds, categories and the row count are declared",
        partial(records_decide_nothing_else, document=DECLARED),
    ),
    (
        "contribution in a fit",
        "one person moves each answer of a fit by 1 at most",
        contribution_in_a_fit,
    ),
    ("rows above the bound", "rows beyond a person's bound are not asked", rows_above_the_bound),
    ("observed is charged", "what was done costs what was charged", observed_is_charged),
    ("ledger first", "the ledger holds the charge before the first question", ledger_comes_first),
    (
        "no seed",
        "no seed of noise is written, and seeded noise voids the claim",
        no_seed_is_written,
    ),
)


def checks(preset: str) -> tuple[Check, ...]:
    """The checks of that preset's fit."""
    return tuple(Check(name, title, partial(probe, preset)) for name, title, probe in _PROBES)
