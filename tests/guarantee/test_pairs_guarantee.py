"""All pairs of columns are one vector of L2 sensitivity 1, with the noise that was charged."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from privsynth.encode import Codebook, codebook_requests, learn_codebook
from privsynth.privacy.budget import PrivacyBudget, PrivacyUnit
from privsynth.privacy.calibrate import calibrate
from privsynth.privacy.ledger import Ledger
from privsynth.privacy.noise import NoiseSource, SecretNoise, SeededNoise
from privsynth.privacy.plan import GaussianEvent, Mechanism, PrivacyPlan
from privsynth.privacy.spending import Measurement, Spending
from privsynth.progress import SILENT
from privsynth.schema import Schema
from privsynth.synth.base import Work
from privsynth.synth.marginal import learn_table
from privsynth.synth.pairs import PAIR_ROUNDS, NoisyPairs, PairCounter, importance
from privsynth.table import Array, Table

SIGMA = 7.0
COLUMNS = {
    "ward": {"kind": "categorical", "categories": ["A", "B", "C"]},
    "high": {"kind": "boolean"},
    "late": {"kind": "boolean", "role": "target"},
    "stay": {"kind": "integer", "lower": 0, "upper": 4},
}


def visits(max_rows: int, n: int = 60) -> Table:
    """Visits of persons with 1 to max_rows rows each; of single rows where max_rows is 1."""
    rng = np.random.default_rng(max_rows)
    columns = dict(COLUMNS)
    frame = pd.DataFrame(
        {
            "ward": rng.choice(["A", "B", "C"], n),
            "high": rng.random(n) < 0.5,
            "late": rng.random(n) < 0.3,
            "stay": rng.integers(0, 5, n),
        }
    )
    privacy = {}
    if max_rows > 1:
        columns["patient"] = {"kind": "id"}
        privacy = {"unit": "patient", "max_rows_per_unit": max_rows}
        person = np.sort(rng.integers(0, n // 2, n))
        rank = np.arange(n) - np.searchsorted(person, person)
        frame["patient"] = [f"P{each}" for each in person]
        frame = frame[rank < max_rows].reset_index(drop=True)
    document = {"dataset": {"id": "visits"}, "privacy": privacy, "columns": columns}
    return Table.from_pandas(frame, Schema.parse(document))


def exact_codebook(table: Table) -> Codebook:
    plan = calibrate(
        codebook_requests(table.schema, 1.0),
        PrivacyBudget.no_privacy(),
        PrivacyUnit.of(table.schema),
    )
    spending = Ledger().charge(plan, "visits")
    return learn_codebook(table, spending, SeededNoise(1), max_codes=8)


def work_of(noise: NoiseSource, sigma: float = SIGMA) -> Work:
    plan = PrivacyPlan(
        tuple(Mechanism(name, "pairs", GaussianEvent(sigma)) for name in PAIR_ROUNDS),
        PrivacyBudget(1.0, 1e-5),
    )
    spending = Spending(plan, "entry", lambda *_: None)
    return Work(spending, None, noise, np.random.default_rng(1), SILENT)


def vector(table: Table, codebook: Codebook, noise: NoiseSource, weights: Array) -> Array:
    """Every count of every pair, each weighed as its part of the charge was."""
    counter = PairCounter(table, codebook, work_of(noise))
    shares = counter.measure(PAIR_ROUNDS[0], weights).shares.double().numpy()
    starts = np.cumsum([0, *codebook.sizes])
    asked = [(i, j) for i, j in combinations(range(len(codebook.sizes)), 2) if weights[i, j] > 0]
    total = sum(weights[i, j] for i, j in asked)
    parts = [
        np.sqrt(weights[i, j] / total)
        * shares[starts[i] : starts[i + 1], starts[j] : starts[j + 1]].ravel()
        for i, j in asked
    ]
    return np.concatenate(parts) * codebook.n_units


def uneven(table: Table) -> Array:
    """Weights of pairs as a second round may set them: some large, some small, one left out."""
    weights = importance(table.schema) * 1.0
    weights[0, 1] = weights[1, 0] = 40.0
    weights[2, 3] = weights[3, 2] = 0.0
    return weights


@pytest.mark.parametrize("max_rows", [1, 3, 12])
@pytest.mark.parametrize("make", [lambda table: importance(table.schema), uneven])
def test_one_unit_more_moves_all_pairs_together_by_one_at_most(max_rows: int, make) -> None:
    table = visits(max_rows)
    codebook, weights, units = exact_codebook(table), make(table), table.units()

    def answer(rows: Array) -> Array:
        part = table.take(np.flatnonzero(rows))
        return vector(part, codebook, SeededNoise(9), weights)  # the same noise

    everyone = answer(np.ones(table.n_rows, dtype=bool))
    moves = [np.linalg.norm(everyone - answer(units != unit)) for unit in np.unique(units)[:25]]
    assert max(moves) <= 1 + 1e-4  # shares are single precision
    assert max(moves) > 0.99  # and the bound is not loose: no budget is given away


def noise_p_value(noise: NoiseSource, weights: Array, table: Table) -> float:
    """How likely a sum of squares this far off is if the noise is what was charged; two-sided."""
    codebook = exact_codebook(table)
    noisy = vector(table, codebook, noise, weights)
    exact = exact_vector(table, codebook, weights)
    chi = stats.chi2(len(noisy))
    square = float(np.square((noisy - exact) / SIGMA).sum())
    return 2 * min(chi.cdf(square), chi.sf(square))


def exact_vector(table: Table, codebook: Codebook, weights: Array) -> Array:
    codes, sizes = codebook.encode(table), codebook.sizes
    asked = [(i, j) for i, j in combinations(range(len(sizes)), 2) if weights[i, j] > 0]
    total = sum(weights[i, j] for i, j in asked)
    parts = []
    for i, j in asked:
        cells = codes[:, i] * sizes[j] + codes[:, j]
        counts = np.bincount(cells, minlength=sizes[i] * sizes[j])
        parts.append(np.sqrt(weights[i, j] / total) * counts)
    return np.concatenate(parts)


@pytest.mark.parametrize("make", [lambda table: importance(table.schema), uneven])
def test_the_parts_of_a_split_hold_the_charged_noise_together(make) -> None:
    table = visits(1)
    assert noise_p_value(SecretNoise(), make(table), table) > 1e-6
    assert noise_p_value(SeededNoise(4), make(table), table) > 1e-3


def test_parts_with_too_little_noise_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    table, split = visits(1), Measurement.split

    def careless(self: Measurement, weights: list[float]) -> list[Measurement]:
        """Each part as if it were the whole charge."""
        return [Measurement("part", self.noise_multiplier) for _ in split(self, weights)]

    monkeypatch.setattr(Measurement, "split", careless)
    assert noise_p_value(SeededNoise(4), importance(table.schema), table) < 1e-6


def test_given_the_noisy_answers_the_records_decide_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second round's split and the table itself are the same for other records."""
    table = visits(1)
    codebook = exact_codebook(table)
    shuffled = table.take(np.zeros(table.n_rows, dtype=np.int64))  # one record, again and again
    seen: list[Array] = []

    def canned(self: PairCounter, name: str, weights: Array) -> NoisyPairs:
        """Noisy answers that are what they are, whatever the records."""
        seen.append(weights)
        total, n_columns = sum(self.sizes), len(self.sizes)
        noise = np.random.default_rng(len(name)).random((total, total))
        shares = torch.from_numpy((noise + noise.T) / 20).float()
        precision = torch.full((n_columns, n_columns), 400.0)
        return NoisyPairs(self.sizes, shares, precision.fill_diagonal_(0.0))

    monkeypatch.setattr(PairCounter, "measure", canned)
    (one, _), (two, _) = (
        learn_table(each, codebook, work_of(SeededNoise(1))) for each in (table, shuffled)
    )
    assert len(seen) == 4
    assert (seen[1] == seen[3]).all()
    assert (seen[1] != seen[0]).any()
    assert (one.potentials.theta == two.potentials.theta).all()
    assert (one.particles == two.particles).all()
