from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from privsynth.errors import BudgetError, UsageError
from privsynth.privacy import mechanisms
from privsynth.privacy.mechanisms import (
    discover_categories,
    noisy_counts,
    private_bounds,
    unit_weights,
)
from privsynth.privacy.noise import MAX_SIGMA_SQUARED, SecretNoise, SeededNoise
from privsynth.privacy.spending import Measurement


def token(noise_multiplier: float, delta: float = 0.0) -> Measurement:
    return Measurement("m", noise_multiplier, delta)


def labels_of(*names: str | None) -> np.ndarray:
    return np.array(names, dtype=object)


# --- weights -------------------------------------------------------------------------------------


def test_unit_weights_of_one_unit_sum_to_one() -> None:
    units = np.array([7, 3, 3, 7, 7, 1])
    weights = unit_weights(units)
    assert weights.tolist() == [1 / 3, 1 / 2, 1 / 2, 1 / 3, 1 / 3, 1.0]


# --- counts --------------------------------------------------------------------------------------


def test_counts_without_privacy_are_exact() -> None:
    cells = np.array([0, 2, 2, -1, 3])
    counts = noisy_counts(cells, 5, measurement=token(0.0), noise=SecretNoise())
    assert counts.tolist() == [1, 0, 2, 1, 0]
    assert counts.dtype == np.float64


@pytest.mark.parametrize("max_rows", [3, 7, 10])
def test_weighted_counts_without_privacy_are_exact(max_rows: int) -> None:
    units = np.repeat(np.arange(max_rows), np.arange(1, max_rows + 1))
    counts = noisy_counts(
        np.zeros(units.size, dtype=np.int64),
        1,
        weights=unit_weights(units),
        max_rows=max_rows,
        measurement=token(0.0),
        noise=SecretNoise(),
    )
    assert counts.tolist() == [max_rows]


@pytest.mark.parametrize("noise_multiplier", [0.3, 1.0, 17.3, 4000.0])
def test_noise_has_the_deviation_that_was_charged(noise_multiplier: float) -> None:
    n_cells = 20_000
    counts = noisy_counts(
        np.zeros(5, dtype=np.int64),
        n_cells,
        measurement=token(noise_multiplier),
        noise=SecretNoise(),
    )
    z = (counts - np.eye(1, n_cells)[0] * 5) / noise_multiplier
    assert stats.kstest(z, "norm").pvalue > 1e-6
    assert stats.chi2(n_cells).cdf((z**2).sum()) > 1e-6


def test_noise_and_counts_lie_on_the_grid() -> None:
    grid = mechanisms._grid(1.7, 3)
    counts = noisy_counts(
        np.array([0, 1, 1]),
        4,
        weights=np.array([1 / 3, 1 / 3, 1 / 3]),
        max_rows=3,
        measurement=token(1.7),
        noise=SecretNoise(),
    )
    steps = counts * grid.scale
    assert np.abs(steps - np.rint(steps)).max() < 1e-6
    assert (np.rint(steps) % grid.scale != 0).any()  # finer than a unit


def test_a_measurement_answers_once() -> None:
    measurement, cells = token(1.0), np.zeros(3, dtype=np.int64)
    noisy_counts(cells, 2, measurement=measurement, noise=SeededNoise(1))
    with pytest.raises(BudgetError, match="second time"):
        noisy_counts(cells, 2, measurement=measurement, noise=SeededNoise(1))


@pytest.mark.parametrize("noise_multiplier", [0.0, 2.0])
@pytest.mark.parametrize("ask", ["counts", "categories", "bounds"])
def test_every_mechanism_uses_its_token_up(ask: str, noise_multiplier: float) -> None:
    measurement, noise = token(noise_multiplier, delta=1e-6), SeededNoise(1)
    match ask:
        case "counts":
            noisy_counts(np.zeros(3, dtype=np.int64), 2, measurement=measurement, noise=noise)
        case "categories":
            discover_categories(labels_of("a"), measurement=measurement, noise=noise)
        case _:
            private_bounds(np.ones(3), measurement=measurement, noise=noise)
    with pytest.raises(BudgetError, match="second time"):
        measurement.consume()


def test_a_token_is_used_up_before_the_records_are_looked_at() -> None:
    measurement = token(1.0)
    with pytest.raises(UsageError):
        noisy_counts(np.array([9]), 2, measurement=measurement, noise=SeededNoise(1))
    with pytest.raises(BudgetError):
        measurement.consume()


@pytest.mark.parametrize("cells", [[0, 2], [-2, 0]])
def test_cells_out_of_range_are_refused(cells: list[int]) -> None:
    with pytest.raises(UsageError, match="between -1 and 1"):
        noisy_counts(np.array(cells), 2, measurement=token(1.0), noise=SeededNoise(1))


def test_several_rows_a_unit_need_weights() -> None:
    with pytest.raises(UsageError, match="need weights"):
        noisy_counts(np.array([0]), 1, max_rows=2, measurement=token(1.0), noise=SeededNoise(1))


@pytest.mark.parametrize("weights", [[0.5], [0.5, 0.0], [0.5, 1.5], [0.5, math.nan]])
def test_impossible_weights_are_refused(weights: list[float]) -> None:
    with pytest.raises(UsageError, match="one weight"):
        noisy_counts(
            np.array([0, 0]),
            1,
            weights=np.array(weights),
            measurement=token(1.0),
            noise=SeededNoise(1),
        )


def test_no_rows_give_noise_alone() -> None:
    empty = np.empty(0, dtype=np.int64)
    assert noisy_counts(empty, 3, measurement=token(0.0), noise=SeededNoise(1)).tolist() == [0] * 3


# --- grid ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_rows", [1, 2, 3, 10, 11, 30, 5000])
@pytest.mark.parametrize("noise_multiplier", [0.01, 0.7, 1.0, 33.3, 1000.0, 20_000.0])
def test_a_unit_never_weighs_more_than_one(max_rows: int, noise_multiplier: float) -> None:
    grid = mechanisms._grid(noise_multiplier, max_rows)
    for n_rows in {1, 2, 3, 7, 10, 29, max_rows}:
        weights = unit_weights(np.zeros(n_rows, dtype=np.int64))
        steps = mechanisms._whole_weights(n_rows, weights, max_rows, grid)
        assert steps.sum() <= grid.scale
        assert steps.sum() > grid.scale - n_rows  # no more is lost than rounding takes
        if n_rows <= max_rows <= 10 and noise_multiplier <= 1000:
            assert steps.sum() == grid.scale


@pytest.mark.parametrize("max_rows", [1, 3, 10, 11, 5000])
@pytest.mark.parametrize("noise_multiplier", [0.001, 0.7, 33.3, 1000.0, 20_000.0])
def test_the_grid_is_fine_and_its_noise_at_least_what_was_charged(
    max_rows: int, noise_multiplier: float
) -> None:
    grid = mechanisms._grid(noise_multiplier, max_rows)
    assert 2**26 <= grid.sigma_squared <= MAX_SIGMA_SQUARED
    exact = (noise_multiplier * grid.scale) ** 2
    assert exact <= grid.sigma_squared * (1 + 1e-12)
    assert grid.sigma_squared <= exact + 1 + 1e-12 * exact


def test_noise_that_drowns_everything_is_refused() -> None:
    with pytest.raises(UsageError, match="drowns"):
        noisy_counts(np.array([0]), 1, measurement=token(2.0**26), noise=SeededNoise(1))


def test_weights_that_are_no_unit_fractions_are_rounded_down() -> None:
    grid = mechanisms._grid(1.0, 5)
    steps = mechanisms._whole_weights(2, np.array([0.4, 0.6]), 5, grid)
    assert steps.tolist() == [grid.scale // 3, grid.scale // 2]


# --- categories ----------------------------------------------------------------------------------


def test_categories_without_privacy_are_all_labels_with_exact_counts() -> None:
    found = discover_categories(
        labels_of("b", None, "a", "b"), measurement=token(0.0), noise=SecretNoise()
    )
    assert list(found.items()) == [("a", 1.0), ("b", 2.0)]


def test_shared_labels_are_found_sorted_with_noisy_counts() -> None:
    labels = np.repeat(labels_of("c", "a", "b", "rare"), [300, 200, 100, 1])
    found = discover_categories(labels, measurement=token(2.0, 1e-6), noise=SecretNoise())
    assert list(found) == ["a", "b", "c"]
    assert found["c"] == pytest.approx(300, abs=16)
    assert found["c"] != 300


def test_the_order_of_rows_decides_nothing() -> None:
    labels = np.repeat(labels_of(*(f"code {i}" for i in range(50))), 30)
    shuffled = np.random.default_rng(1).permutation(labels)
    first = discover_categories(labels, measurement=token(3.0, 1e-6), noise=SeededNoise(4))
    second = discover_categories(shuffled, measurement=token(3.0, 1e-6), noise=SeededNoise(4))
    assert first == second


def test_a_person_counts_once_however_many_rows_it_has() -> None:
    units = np.repeat(np.arange(200), 3)
    labels = np.full(600, "a", dtype=object)
    found = discover_categories(
        labels,
        weights=unit_weights(units),
        max_rows=3,
        measurement=token(1.0, 1e-6),
        noise=SecretNoise(),
    )
    assert found["a"] == pytest.approx(200, abs=8)


def test_no_labels_give_no_categories() -> None:
    assert (
        discover_categories(labels_of(None), measurement=token(1.0, 1e-6), noise=SecretNoise())
        == {}
    )
    assert discover_categories(labels_of(), measurement=token(1.0, 1e-6), noise=SecretNoise()) == {}


def test_a_threshold_needs_a_delta() -> None:
    with pytest.raises(BudgetError, match="has no delta"):
        discover_categories(labels_of("a"), measurement=token(1.0), noise=SecretNoise())


@pytest.mark.parametrize("max_rows", [1, 3, 20])
@pytest.mark.parametrize("delta", [1e-12, 1e-6, 0.01])
def test_the_threshold_is_the_least_safe_one(delta: float, max_rows: int) -> None:
    grid = mechanisms._grid(4.0, max_rows)
    threshold = mechanisms._threshold(grid, token(4.0, delta), max_rows)

    def betrayed(at: float) -> float:
        z = np.array([at - grid.scale] + [at] * (max_rows - 1)) / math.sqrt(grid.sigma_squared)
        return float(stats.norm.sf(z).sum())

    assert betrayed(threshold) < delta
    assert betrayed(threshold - 3) > delta * 0.99
    assert betrayed(threshold * 0.99) > delta


# --- bounds --------------------------------------------------------------------------------------


def test_bounds_without_privacy_are_the_extremes() -> None:
    values = np.array([3.5, math.nan, -2.0, 8.25, math.inf])
    assert private_bounds(values, measurement=token(0.0), noise=SecretNoise()) == (-2.0, 8.25)
    empty = np.array([math.nan])
    assert private_bounds(empty, measurement=token(0.0), noise=SecretNoise()) is None


@pytest.mark.parametrize(
    ("low", "high", "bounds"),
    [
        (20.0, 89.0, (16.0, 128.0)),
        (-89.0, -20.0, (-128.0, -16.0)),
        (-3.0, 5.0, (-4.0, 8.0)),
        (0.0, 1e-6, (0.0, 2.0**-19)),
        (-1e-6, 0.0, (-(2.0**-19), 0.0)),
        (1.5e15, 1.7e15, (2.0**50, 2.0**51)),
        (1e300, 1e301, (2.0**60, 2.0**61)),
        (-1e-30, 1e-30, (0.0, 0.0)),
    ],
)
def test_bounds_hold_the_values_to_within_a_factor_of_two(
    low: float, high: float, bounds: tuple[float, float]
) -> None:
    values = np.append(np.linspace(low, high, 5000), [math.nan] * 100)
    assert private_bounds(values, measurement=token(3.0), noise=SeededNoise(1)) == bounds


def test_a_lone_extreme_does_not_move_the_bounds() -> None:
    values = np.append(np.full(1000, 50.0), [1e12, -1e12])
    assert private_bounds(values, measurement=token(3.0), noise=SeededNoise(1)) == (32.0, 64.0)


def test_bounds_of_nearly_nothing_are_none() -> None:
    kept = [
        private_bounds(np.ones(2), measurement=token(5.0), noise=SeededNoise(seed))
        for seed in range(300)
    ]
    assert sum(each is not None for each in kept) <= 3  # 0.3 expected


def test_each_value_falls_between_the_edges_of_its_bin() -> None:
    edges = mechanisms._exponential_edges()
    magnitudes = np.exp(np.random.default_rng(1).uniform(np.log(2.0**-19), np.log(2.0**60), 5000))
    values = np.concatenate([magnitudes, -magnitudes, [0.0, 1.0, -1.0]])
    bins = mechanisms._exponential_bins(values, edges)
    assert (edges[bins] <= values).all()
    assert (values <= edges[bins + 1]).all()
    assert (mechanisms._exponential_bins(-values, edges) == edges.size - 2 - bins).all()
