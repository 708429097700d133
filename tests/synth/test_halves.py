"""Blocks of a pool are like the whole, far more than chance makes them; none loses a row."""

from itertools import combinations

import numpy as np
import pytest
import torch

from privsynth.synth.halves import BLOCKS, Cells, from_blocks, in_blocks

SIZES = (5, 4, 6, 3)


def rows(n_rows: int, seed: int = 0) -> torch.Tensor:
    """Dependent columns: each code is that of the column before, half of the time."""
    rng = np.random.default_rng(seed)
    columns = [rng.integers(0, SIZES[0], n_rows)]
    for size in SIZES[1:]:
        fresh = rng.integers(0, size, n_rows)
        columns.append(np.where(rng.random(n_rows) < 0.5, columns[-1] % size, fresh))
    return torch.from_numpy(np.stack(columns, 1))


def pair_distance(some: torch.Tensor, whole: torch.Tensor) -> float:
    """The mean total variation distance over all pairs of columns."""
    found = []
    for i, j in combinations(range(len(SIZES)), 2):
        shares = [
            np.bincount(codes[:, i] * SIZES[j] + codes[:, j], minlength=SIZES[i] * SIZES[j])
            / len(codes)
            for codes in (some.numpy(), whole.numpy())
        ]
        found.append(np.abs(shares[0] - shares[1]).sum() / 2)
    return float(np.mean(found))


def as_set(codes: torch.Tensor) -> list[tuple[int, ...]]:
    return sorted(map(tuple, codes.tolist()))


@pytest.fixture(scope="module")
def pool() -> torch.Tensor:
    return in_blocks(rows(8_000), SIZES, np.random.default_rng(1))


def test_blocks_hold_each_row_once(pool):
    assert as_set(pool) == as_set(rows(8_000))


@pytest.mark.parametrize(("n_rows", "part"), [(8_000, 0.2), (800, 0.45)])
def test_blocks_are_like_the_whole_far_more_than_by_chance(n_rows, part):
    """Sorting alone, with rows dealt to the halves at random, leaves .28 and .58 of chance."""
    whole = rows(n_rows)
    blocks = in_blocks(whole, SIZES, np.random.default_rng(1)).chunk(BLOCKS)
    ours, by_chance = (
        np.mean([pair_distance(block, whole) for block in each])
        for each in (blocks, whole.chunk(BLOCKS))  # independent rows, in the order they came
    )
    assert ours < part * by_chance


def test_halves_of_the_same_rows_stay_together():
    """They stray in opposite ways, so that together they stray less."""
    places = torch.arange(800)[:, None]
    for seed in range(20):
        taken = from_blocks(places, 200, np.random.default_rng(seed))[:, 0].sort().values
        assert (taken == taken[0] + torch.arange(200)).all()
        assert int(taken[0]) % 200 == 0


def test_a_table_of_blocks_and_a_part_is_nearer_to_the_pool_than_independent_rows(pool):
    rng = np.random.default_rng(2)
    for n_rows in (300, 1_000, 2_000, 2_700):
        ours = np.mean([pair_distance(from_blocks(pool, n_rows, rng), pool) for _ in range(10)])
        chance = [pool[torch.from_numpy(rng.integers(0, len(pool), n_rows))] for _ in range(10)]
        assert ours < 0.75 * np.mean([pair_distance(each, pool) for each in chance])


@pytest.mark.parametrize("n_rows", [0, 1, 7, 999, 1_000, 8_000, 8_001, 20_500])
def test_a_table_has_as_many_rows_as_asked(pool, n_rows):
    assert from_blocks(pool, n_rows, np.random.default_rng(0)).shape == (n_rows, len(SIZES))


def test_a_table_as_long_as_the_pool_holds_all_of_it_and_a_longer_one_all_of_it_again(pool):
    rng = np.random.default_rng(0)
    assert as_set(from_blocks(pool, 8_000, rng)) == as_set(pool)
    assert as_set(from_blocks(pool, 16_000, rng)) == sorted(as_set(pool) * 2)


def test_each_row_may_come_and_tables_differ(pool):
    rng = np.random.default_rng(0)
    places = torch.arange(800)[:, None]
    tables = [from_blocks(places, 150, rng) for _ in range(100)]
    assert len(torch.cat(tables).unique()) == 800
    assert as_set(tables[0]) != as_set(tables[1])


@pytest.mark.parametrize("n_rows", [1, 5, 8, 13])
def test_pools_of_a_few_rows(n_rows):
    few = in_blocks(rows(n_rows), SIZES, np.random.default_rng(0))
    assert len(few) == (n_rows if n_rows < BLOCKS else n_rows // BLOCKS * BLOCKS)
    assert from_blocks(few, 20, np.random.default_rng(0)).shape == (20, len(SIZES))


def test_one_column_alone_is_halved():
    column = torch.arange(400)[:, None] % 4
    blocks = in_blocks(column, (4,), np.random.default_rng(0)).chunk(BLOCKS)
    counts = np.stack([np.bincount(block[:, 0], minlength=4) for block in blocks])
    assert np.ptp(counts, axis=0).max() <= 2


def test_cells_are_numbered_without_overlap():
    cells = Cells(SIZES, np.random.default_rng(0))
    codes = np.array(list(np.ndindex(*SIZES)), dtype=np.int32)
    found = cells.of(codes)
    assert (found.min(), found.max()) == (0, cells.n_cells - 1)
    used = [set(column) for column in found.T]
    assert sum(map(len, used)) == len(set.union(*used)) == cells.n_cells
    assert cells.counts(codes).sum() == found.size


def test_wide_tables_watch_a_part_of_their_pairs():
    cells = Cells([2] * 100, np.random.default_rng(0))
    assert cells.of(np.zeros((1, 100), dtype=np.int32)).shape == (1, 2_100)


def test_pairs_of_very_many_cells_are_watched_in_part():
    cells = Cells([400] * 40, np.random.default_rng(0))
    assert 40 * 400 < cells.n_cells <= 1_016_000
    assert in_blocks(torch.randint(400, (64, 40)), [400] * 40, np.random.default_rng(0)).shape == (
        64,
        40,
    )
