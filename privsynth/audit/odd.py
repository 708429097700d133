"""What a small fit betrays of one odd person, in its answers and in its steps: for two worlds."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from privsynth.audit.small import fit, one_with_rows, table
from privsynth.privacy import dpsgd
from privsynth.privacy.budget import PrivacyBudget
from privsynth.privacy.noise import SecretNoise
from privsynth.synth.diffusion import UnitRows
from privsynth.synth.pairs import PairCounter
from privsynth.table import Table

_PROBES = 4  # times that the odd person's gradient is drawn to know where it pulls


@dataclass
class _Seen:
    """What the attacker has of a fit so far: its scores, and the person's code and gradients."""

    answers: list[float] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)
    code: Tensor | None = None
    place: int | None = None  # of the person in the batch that is summed
    part: dict[Any, Tensor] = field(default_factory=dict)
    pull: dict[Any, Tensor] = field(default_factory=dict)


def scores_of_world(preset: str, budget: PrivacyBudget, with_person: bool) -> dict[str, float]:
    """How much a small fit speaks for one odd person of three rows being there.

    `answers`: the attacker sees every noisy pair, each with its precision. `steps`, where the
    preset trains on records: it sees every noisy sum of gradients, and knows those of all others.
    Each is the log-likelihood ratio of what the person adds, which is the best that can be made
    of it (Neyman and Pearson 1933).
    """
    everyone = table(1)
    odd = everyone.frame()
    is_odd = one_with_rows(everyone, 3)
    odd.loc[is_odd, ["age", "cost", "ward"]] = [99, 1000.0, "d"]
    odd.loc[is_odd, "late"] = True
    kept = odd if with_person else odd[~is_odd]
    train = Table.from_pandas(kept, everyone.schema)
    person = Table.from_pandas(odd[is_odd], everyone.schema)
    unit = int(everyone.units()[is_odd][0]) if with_person else None
    with tempfile.TemporaryDirectory() as folder, _watching(person, unit) as seen:
        fit(preset, train, SecretNoise(), Path(folder), budget)
    found = {"answers": sum(seen.answers)}
    return found | ({"steps": sum(seen.steps)} if seen.steps else {})


@contextmanager
def _watching(person: Table, unit: int | None) -> Iterator[_Seen]:
    seen = _Seen()
    with ExitStack() as stack:
        for patch in (_answers(seen, person), *_gradients(seen, unit), _noisy_steps(seen)):
            stack.enter_context(patch)
        yield seen


def _answers(seen: _Seen, person: Table) -> Any:
    measure = PairCounter.measure

    def measured(self: PairCounter, name: str, weights: Any) -> Any:
        found = measure(self, name, weights)
        codes = self.codebook.encode(person)[0]
        seen.code = torch.from_numpy(codes)
        cells = np.cumsum([0, *found.sizes[:-1]]) + codes
        shares = found.shares.numpy()[np.ix_(cells, cells)] * self.n_units
        weighed = shares * found.precision.numpy() / self.n_units**2
        seen.answers.append(float(np.triu(weighed, 1).sum()))
        return found

    return mock.patch.object(PairCounter, "measure", measured)


def _gradients(seen: _Seen, unit: int | None) -> Iterator[Any]:
    """The person's part of each sum, and where it would pull, there or not."""
    right, part_of = dpsgd.clipped_sum, dpsgd._summed

    def summed(layers: Any, loss: Any, units: Tensor, **settings: Any) -> Any:
        at = [] if unit is None else torch.nonzero(units == unit).flatten().tolist()
        seen.part, seen.place = {}, at[0] if at else None
        found = right(layers, loss, units, **settings)
        seen.place = None
        with mock.patch.object(UnitRows, "draw", drawn):
            pulls = right(layers, loss, torch.zeros(_PROBES, dtype=torch.long), **settings)
        seen.pull = {parameter: pull / _PROBES for parameter, pull in pulls.items()}
        return found

    def drawn(self: UnitRows, units: Tensor, views: int, generator: Any) -> Tensor:
        assert seen.code is not None
        return seen.code.expand(len(units) * views, -1)

    def parts(layer: Any, inputs: Tensor, grads: Tensor) -> Any:
        if seen.place is not None:
            one = slice(seen.place, seen.place + 1)
            seen.part |= part_of(layer, inputs[one], grads[one])
        return part_of(layer, inputs, grads)

    yield mock.patch.object(dpsgd, "clipped_sum", summed)
    yield mock.patch.object(dpsgd, "_summed", parts)


def _noisy_steps(seen: _Seen) -> Any:
    """What a noisy sum holds beyond the gradients of all others: noise, and the person or not.

    Batches of the small fits hold everybody, so that the ratio is that of two normals.
    """
    add_noise = dpsgd._NoisyOptimizer.add_noise

    def added(self: Any) -> None:
        add_noise(self)
        variance = (self.noise_multiplier * self.max_grad_norm) ** 2
        for parameter in self.params:
            pull = seen.pull[parameter]
            left = parameter.grad - parameter.summed_grad + seen.part.get(parameter, 0.0)
            seen.steps.append(float(((left - pull / 2) * pull).sum()) / variance)

    return mock.patch.object(dpsgd._NoisyOptimizer, "add_noise", added)
