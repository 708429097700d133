"""Defects of measurements, of whole fits and of the ledger."""

from __future__ import annotations

import os
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import torch

from privsynth.audit.mutant import ALL, both, bound, in_place_of, mutant
from privsynth.encode import learn
from privsynth.privacy import chain, ledger, mechanisms
from privsynth.privacy import noise as sources
from privsynth.privacy.spending import Measurement, Spending
from privsynth.synth import base, diffusion, gan, marginal, pairs, trust
from privsynth.table import Table


@mutant("half the noise on counts", "counts with half of their noise")
def _() -> Any:
    def add(right: Any, counts: Any, grid: Any, noise: Any) -> Any:
        return right(counts, replace(grid, sigma_squared=grid.sigma_squared // 4), noise)

    return in_place_of(mechanisms, "_add_noise", add)


@mutant("noise drawn once", "all counts of a number of cells share one noise")
def _() -> Any:
    kept: dict[int, Any] = {}

    def add(right: Any, counts: Any, grid: Any, noise: Any) -> Any:
        drawn = kept.setdefault(counts.size, right(counts, grid, noise) - counts)
        return counts + drawn

    return in_place_of(mechanisms, "_add_noise", add)


@mutant("noise shared by cells", "every second cell of four has the noise of another")
def _() -> Any:
    def add(right: Any, counts: Any, grid: Any, noise: Any) -> Any:
        drawn = right(counts, grid, noise) - counts
        whole = drawn[: len(drawn) // 4 * 4].reshape(-1, 4)
        whole[:, 2:] = whole[:, :2]
        return counts + drawn

    return in_place_of(mechanisms, "_add_noise", add)


@mutant("one key for all noise", "secret noise has the same key in every block and run")
def _() -> Any:
    known = SimpleNamespace(getpid=os.getpid, urandom=bytes)
    return mock.patch.object(sources, "os", known)


@mutant("measured twice a charge", "the mean of two answers to one charged question")
def _() -> Any:
    def add(right: Any, counts: Any, grid: Any, noise: Any) -> Any:
        return (right(counts, grid, noise) + right(counts, grid, noise)) // 2

    return in_place_of(mechanisms, "_add_noise", add)


@mutant("pairs measured twice", "every pair is counted again without a charge", *ALL)
def _() -> Any:
    def counted(right: Any, *given: Any, measurement: Measurement, **named: Any) -> Any:
        again = Measurement(measurement.name, measurement.noise_multiplier)
        first = right(*given, measurement=measurement, **named)
        return (first + right(*given, measurement=again, **named)) / 2

    return in_place_of(pairs, "noisy_counts", counted)


@mutant("a charge for each part", "parts of one charge have the noise of the whole", *ALL)
def _() -> Any:
    def split(right: Any, self: Measurement, weights: Any) -> Any:
        return [Measurement(each.name, self.noise_multiplier) for each in right(self, weights)]

    return in_place_of(Measurement, "split", split)


@mutant("answers without end", "a measurement may be asked again and again")
def _() -> Any:
    return mock.patch.object(Measurement, "consume", return_value=None)


@mutant("contribution bound ignored", "each row of a person counts as a whole one")
def _() -> Any:
    def whole(right: Any, n_rows: int, weights: Any, max_rows: int, grid: Any) -> Any:
        return np.full(n_rows, grid.scale)

    return in_place_of(mechanisms, "_whole_weights", whole)


@mutant("categories from records", "every label that occurs is shown")
def _() -> Any:
    return mock.patch.object(mechanisms, "_threshold", return_value=-(2**62))


@mutant("weights left out", "each row of a person counts as a whole one among the pairs", *ALL)
def _() -> Any:
    def made(right: Any, self: Any, train: Any, codebook: Any, work: Any) -> None:
        right(self, train, codebook, work)
        self._weights = None if self._weights is None else np.ones(len(self._weights))

    return in_place_of(pairs.PairCounter, "__init__", made)


@mutant("rows beyond the bound", "all rows of a person are read, however many", *ALL)
def _() -> Any:
    return mock.patch.object(Table, "bounded", lambda self, rng: self)


@mutant("learned bounds are extremes", "a fit takes extremes of the records for bounds", *ALL)
def _() -> Any:
    def bounds(right: Any, values: Any, **named: Any) -> Any:
        right(values, **named)
        return float(np.nanmin(values)), float(np.nanmax(values))

    return in_place_of(learn, "private_bounds", bounds)


@mutant("learned categories are labels", "a fit takes every label that occurs", *ALL)
def _() -> Any:
    def categories(right: Any, labels: Any, **named: Any) -> Any:
        right(labels, **named)
        return {str(label): 50.0 for label in sorted({each for each in labels if each is not None})}

    return in_place_of(learn, "discover_categories", categories)


@mutant("bounds from records", "the extremes of the records are the bounds")
def _() -> Any:
    def bounds(right: Any, values: Any, **named: Any) -> Any:
        return float(np.nanmin(values)), float(np.nanmax(values))

    return in_place_of(mechanisms, "private_bounds", bounds)


# --- the fit


@mutant("bins from records", "bins are cut on exact counts", *ALL)
def _() -> Any:
    def count(right: Any, self: Any, cells: Any, n_cells: int, measurement: Any) -> Any:
        right(self, cells, n_cells, measurement)
        return np.bincount(cells[cells >= 0], minlength=n_cells).astype(float)

    return in_place_of(learn._Learner, "count", count)


@mutant("chance from records", "what rows hold decides how chance runs on", *ALL)
def _() -> Any:
    def made(right: Any, self: Any, train: Any, codebook: Any, work: Any) -> None:
        right(self, train, codebook, work)
        work.rng.random(int(self._codes.sum()) % 997)

    return in_place_of(pairs.PairCounter, "__init__", made)


@mutant("row count from records", "a private row count is the exact one all the same", *ALL)
def _() -> Any:
    def learned(right: Any, train: Any, *given: Any, **named: Any) -> Any:
        return replace(right(train, *given, **named), n_units=float(train.n_units))

    one, two, three = (
        in_place_of(module, "learn_codebook", learned) for module in (marginal, diffusion, gan)
    )
    return both(one, both(two, three))


@mutant("odds uncharged", "the critic's odds on records decide beside the charged histogram", "gan")
def _() -> Any:
    def trusted(right: Any, odds: Any, on_records: Any, *rest: Any) -> Any:
        return replace(right(odds, on_records, *rest), slope=float(np.abs(on_records).mean()))

    return in_place_of(gan, "measured_trust", trusted)


@mutant("odds by row", "each row of a person counts as a whole one among the odds", "gan")
def _() -> Any:
    return mock.patch.object(trust, "unit_weights", lambda units: np.ones(len(units)))


@mutant("conditions from rows", "the rows that the critic's fakes start from are records", "gan")
def _() -> Any:
    def play(right: Any, self: Any, train: Any, codebook: Any, *rest: Any) -> Any:
        table, measured, work = rest
        codes = torch.from_numpy(codebook.encode(train))
        with mock.patch.object(gan, "take", lambda draws, *_: codes[: len(draws)]):
            return right(self, train, codebook, table, measured, work)

    return in_place_of(gan.Gan, "_play", play)


@mutant("replay of records", "the rows that are replayed as public are records", "diffusion")
def _() -> Any:
    def learned(right: Any, train: Any, codebook: Any, work: Any) -> Any:
        table, measured = right(train, codebook, work)
        codes = torch.from_numpy(codebook.encode(train)).to(torch.int16)
        return replace(table, particles=codes), measured

    return mock.patch.object(diffusion, "learn_table", bound(marginal.learn_table, learned))


@mutant("ledger after the spend", "the charge is written when the fit has ended", *ALL)
def _() -> Any:
    def charge(right: Any, self: Any, plan: Any, dataset: str, **named: Any) -> Spending:
        entry = replace(
            ledger._new("charge", dataset, plan.unit, "training"), plan=plan, status="open"
        )

        def close(entry_id: str, status: Any) -> None:
            with chain.writing(self.path) as writer:
                writer.append(ledger._canonical(entry))

        return Spending(plan, entry.id, close)

    return in_place_of(ledger.Ledger, "charge", charge)


@mutant("seed published", "the saved generator names the seed of its noise", *ALL)
def _() -> Any:
    def save(right: Any, self: Any, folder: Any) -> None:
        right(replace(self, settings={**self.settings, "noise_seed": 987_654_321}), folder)

    return in_place_of(base.FittedSynthesizer, "save", save)
