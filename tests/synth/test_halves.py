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


def test_every_block_is_like_the_whole_far_more_than_by_chance(pool):
    blocks = pool.chunk(BLOCKS)
    by_chance = rows(8_000).chunk(BLOCKS)  # independent rows, in the order in which they came
    worst = max(pair_distance(block, pool) for block in blocks)
    assert worst < 0.4 * min(pair_distance(block, pool) for block in by_chance)


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
