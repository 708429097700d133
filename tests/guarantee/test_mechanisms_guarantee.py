"""Counts and categories leak no more than their tokens say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from privsynth.privacy import mechanisms
from privsynth.privacy.mechanisms import discover_categories, noisy_counts, unit_weights
from privsynth.privacy.noise import SeededNoise
from privsynth.privacy.spending import Measurement


def n_betrayed(n_units: int, n_labels: int, measurement: Measurement) -> int:
    """Of units that each hold labels of their own, how many have one of them shown."""
    units = np.repeat(np.arange(n_units), n_labels)
    labels = np.array([f"{unit} {i}" for i, unit in enumerate(units)], dtype=object)
    found = discover_categories(
        labels,
        weights=unit_weights(units),
        max_rows=5,
        measurement=measurement,
        noise=SeededNoise(n_labels),
    )
    return len({label.split()[0] for label in found})


@pytest.mark.parametrize("n_labels", [1, 2, 5])
@pytest.mark.parametrize("noise_multiplier", [0.4, 3.0])
def test_the_labels_of_one_unit_pass_with_probability_delta_at_most(
    n_labels: int, noise_multiplier: float
) -> None:
    delta, n_units = 0.05, 20_000
    token = Measurement("codes", noise_multiplier, delta)
    betrayed = n_betrayed(n_units, n_labels, token)
    assert stats.binom.sf(betrayed - 1, n_units, delta) > 1e-6
    if n_labels == 1 and noise_multiplier < 1:
        assert betrayed > 0.8 * delta * n_units  # and the threshold is not higher than it must be


def test_a_threshold_without_the_union_bound_would_be_noticed() -> None:
    """Five labels of weight 1/5, and a threshold set as if there were one: above delta."""
    delta, sigma = 0.05, 3.0
    careless = 1 / 5 + sigma * stats.norm.isf(delta)
    chance = 1 - stats.norm.cdf((careless - 1 / 5) / sigma) ** 5
    assert chance > 3 * delta
    grid = mechanisms._grid(sigma, 5)
    threshold = mechanisms._threshold(grid, Measurement("m", sigma, delta), 5) / grid.scale
    assert 1 - stats.norm.cdf((threshold - 1 / 5) / sigma) ** 5 < delta


@pytest.mark.parametrize("max_rows", [1, 3, 12])
def test_adding_one_unit_moves_the_counts_by_one_at_most(max_rows: int) -> None:
    rng = np.random.default_rng(max_rows)
    units = np.sort(rng.integers(0, 40, 40 * max_rows))
    rank = np.arange(units.size) - np.searchsorted(units, units)
    units = units[rank < max_rows]
    cells = rng.integers(-1, 6, units.size)

    def answer(rows: np.ndarray) -> np.ndarray:
        return noisy_counts(
            cells[rows],
            6,
            weights=unit_weights(units[rows]),
            max_rows=max_rows,
            measurement=Measurement("m", 2.0),
            noise=SeededNoise(9),  # the same noise, so that only the records differ
        )

    everyone = answer(np.ones(units.size, dtype=bool))
    for unit in np.unique(units):
        assert np.linalg.norm(everyone - answer(units != unit)) <= 1 + 1e-9


def hockey_stick(epsilon: float, noise_multiplier: float) -> tuple[float, float]:
    """Delta of one count at epsilon: on the grid, and with continuous noise."""
    grid = mechanisms._grid(noise_multiplier, 1)
    sigma = math.sqrt(grid.sigma_squared)
    y = np.arange(-int(12 * sigma), int(12 * sigma) + grid.scale, dtype=np.float64)
    with_unit = -((y - grid.scale) ** 2) / (2 * grid.sigma_squared)
    without = -(y**2) / (2 * grid.sigma_squared)
    excess = np.exp(with_unit) - np.exp(epsilon + without)
    discrete = np.clip(excess, 0, None).sum() / math.sqrt(2 * math.pi * grid.sigma_squared)
    half, shift = 0.5 / noise_multiplier, epsilon * noise_multiplier
    continuous = stats.norm.cdf(half - shift) - math.exp(epsilon) * stats.norm.cdf(-half - shift)
    return float(discrete), float(continuous)


@pytest.mark.parametrize("z", [0.5, 2.0, 4.0, 5.5])
@pytest.mark.parametrize("noise_multiplier", [0.7, 1.0, 7.3, 40.0])
def test_noise_on_the_grid_is_as_private_as_the_accountant_says(
    noise_multiplier: float, z: float
) -> None:
    discrete, continuous = hockey_stick(z / noise_multiplier, noise_multiplier)
    assert discrete <= continuous * (1 + 1e-7)
    assert discrete >= continuous * (1 - 1e-3)
