"""Histograms and groups: fine where the records are, and totals kept."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privsynth.encode.group import group_labels, group_ordered, weights
from privsynth.encode.histogram import learn_histogram, n_levels, onto_simplex, pooled


def exact(cells, n_cells, *, level):
    return np.bincount(cells[cells >= 0], minlength=n_cells).astype(float)


def noisy(sigma, seed=0):
    rng = np.random.default_rng(seed)

    def count(cells, n_cells, *, level):
        return exact(cells, n_cells, level=level) + rng.normal(0, sigma, n_cells)

    return count


def test_a_spike_in_a_wide_range_gets_a_cell_of_its_own():
    rng = np.random.default_rng(0)
    steps = np.where(rng.random(20_000) < 0.9, 0, rng.integers(1, 100_000, 20_000))
    histogram = learn_histogram(
        steps,
        np.zeros(20_000, bool),
        n_steps=100_000,
        levels=n_levels(100_000),
        count=noisy(60.0),
        sigma=60.0,
    )
    assert histogram.starts[0] == 0
    assert histogram.widths[0] == 1
    assert histogram.counts[0] == pytest.approx(18_000, rel=0.03)


@given(st.integers(1, 5_000), st.integers(1, 60), st.integers(0, 3))
def test_runs_cover_the_grid_once_and_counts_keep_the_total(n_steps, n_rows, seed):
    steps = np.random.default_rng(seed).integers(0, n_steps, n_rows)
    absent = np.zeros(n_rows, bool)
    histogram = learn_histogram(
        steps, absent, n_steps=n_steps, levels=n_levels(n_steps), count=exact, sigma=0.0
    )
    assert histogram.widths.sum() == n_steps
    assert np.array_equal(histogram.starts, np.concatenate([[0], np.cumsum(histogram.widths)[:-1]]))
    assert histogram.counts.sum() == pytest.approx(n_rows)


def test_a_histogram_of_values_that_are_all_heavy_refines_to_a_bounded_number_of_cells():
    """Without noise each of 300,000 values stands out: a level could ask for thousands of each."""
    n, n_steps = 300_000, 10**12
    steps = np.random.default_rng(1).integers(0, n_steps, n)
    histogram = learn_histogram(
        steps, np.zeros(n, bool), n_steps=n_steps, levels=3, count=exact, sigma=0.0
    )
    assert len(histogram.starts) <= 120_000  # what is split, and what was there
    assert histogram.widths.sum() == n_steps
    assert histogram.counts.sum() == pytest.approx(n)


def test_missing_entries_are_counted_apart():
    steps = np.zeros(100, int)
    absent = np.arange(100) < 30
    histogram = learn_histogram(steps, absent, n_steps=50, levels=1, count=exact, sigma=0.0)
    assert (histogram.counts[0], histogram.n_missing) == (70.0, 30.0)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=30), st.floats(0.1, 500))
def test_projection_is_non_negative_and_keeps_the_total(values, total):
    projected = onto_simplex(np.array(values), total)
    assert (projected >= 0).all()
    assert projected.sum() == pytest.approx(total)


def test_groups_of_ordered_cells_are_about_equal_and_spikes_stay_alone():
    counts = np.r_[5_000.0, np.full(100, 50.0)]
    code_of = group_ordered(counts, 11, 1.0)
    held = np.bincount(code_of, counts)
    assert (code_of == code_of[0]).sum() == 1
    assert 4 <= len(held) <= 11
    assert held[1:].min() > 0.25 * 10_000 / 11


def test_a_column_of_mostly_zeros_is_fine_elsewhere_as_far_as_the_noise_allows():
    counts = np.r_[30_000.0, np.full(20, 100.0)]
    fine, coarse = (group_ordered(counts, 32, sigma).max() + 1 for sigma in (4.0, 100.0))
    assert fine == 21  # an equal share of all would hold the whole rest in 3 codes
    assert coarse <= 5
    assert group_ordered(np.full(40, 4.0), 32, 0.0).max() + 1 <= 16  # 10 records at the least


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=60), st.integers(2, 30))
def test_codes_are_numbered_without_gaps(counts, max_codes):
    for group in (group_ordered, group_labels):
        codes = group(np.array(counts), max_codes, 1.0)
        assert set(codes) == set(range(codes.max() + 1))
        assert len(codes) == len(counts)


def test_rare_labels_share_the_last_code():
    code_of = group_labels(np.array([1000.0, 3.0, 500.0, 2.0]), 24, 10.0)
    assert code_of.tolist() == [0, 2, 1, 2]


def test_weights_sum_to_one_in_every_code():
    counts = np.array([10.0, 0.0, 0.0, 5.0])
    share = weights(counts, np.ones(4), np.array([0, 0, 1, 2]), 1.0)
    assert share[:2].sum() == pytest.approx(1)
    assert share[2:].tolist() == [1.0, 1.0]


def test_faint_counts_are_spread_evenly():
    smooth = pooled(np.array([100.0, 2.0, 0.0]), np.array([1, 1, 1]), 1.0)
    assert smooth.tolist() == [100.0, 1.0, 1.0]
