"""Common factors of all pairs: found under noise, and trusted no further than they hold."""

import numpy as np
import pytest
import torch

from privsynth.synth.factors import FEWEST_COLUMNS, common, foretold, informed
from privsynth.synth.maxent import Particles
from privsynth.synth.pairs import NoisyPairs, column_of

SIZE, ROWS = 4, 20_000


def table(n_columns, strength, seed=0):
    """Rows of codes whose columns share one cause, as far as strength says."""
    rng = np.random.default_rng(seed)
    cause = rng.normal(size=(ROWS, 1))
    seen = strength * cause + np.sqrt(1 - strength**2) * rng.normal(size=(ROWS, n_columns))
    return torch.from_numpy(np.digitize(seen, [-0.7, 0.0, 0.7]))


def truth(codes):
    return Particles(codes, [SIZE] * codes.shape[1]).pair_shares()


def noisy(pairs, n_columns, deviation, seed):
    """Every pair with noise of this deviation, symmetric, and its precision."""
    generator = torch.Generator().manual_seed(seed)
    upper = torch.randn(pairs.shape, generator=generator).triu()
    noise = deviation * (upper + upper.T - torch.diag(upper.diagonal()))
    apart = column_of([SIZE] * n_columns)
    apart = (apart[:, None] != apart[None, :]).float()
    precision = torch.full((n_columns, n_columns), deviation**-2).fill_diagonal_(0.0)
    return NoisyPairs((SIZE,) * n_columns, (pairs + noise) * apart, precision)


def rounds(pairs, n_columns, deviation):
    return [noisy(pairs, n_columns, deviation, seed) for seed in (1, 2)]


def error(found, pairs, n_columns):
    columns = column_of([SIZE] * n_columns)
    return float((found - pairs)[columns[:, None] != columns[None, :]].square().mean().sqrt())


def test_pairs_that_share_a_cause_are_known_better_by_all_of_them_together():
    pairs = truth(table(30, 0.5))
    first, second = rounds(pairs, 30, 0.01)
    alone = error(first.merged(second).shares, pairs, 30)
    found = informed(first, second, pairs.diagonal())
    assert error(found.shares, pairs, 30) < 0.3 * alone


def test_what_is_said_of_the_precision_is_about_so():
    pairs = truth(table(30, 0.5))
    found = foretold(*rounds(pairs, 30, 0.01), pairs.diagonal())
    told = float(found.precision[0, 1:].mean()) ** -0.5
    assert error(found.shares, pairs, 30) < told < 4 * error(found.shares, pairs, 30)


def test_a_pair_that_the_factors_do_not_hold_is_trusted_less():
    codes = table(30, 0.5)
    alike = torch.arange(ROWS) % 5 == 0  # too few for the pair to be a factor of its own
    codes[alike, 1] = codes[alike, 0]
    pairs = truth(codes)
    found = foretold(*rounds(pairs, 30, 0.01), pairs.diagonal())
    assert found.precision[0, 1] < 0.1 * found.precision[2, 3]


def test_noise_alone_has_no_factors():
    pairs = truth(table(30, 0.0))
    first, _ = rounds(pairs, 30, 0.01)
    assert common(first, pairs.diagonal()).abs().max() < 1e-3


@pytest.mark.parametrize("n_columns", [FEWEST_COLUMNS - 1, FEWEST_COLUMNS])
def test_few_columns_are_left_to_their_measurements(n_columns):
    pairs = truth(table(n_columns, 0.5))
    first, second = rounds(pairs, n_columns, 0.01)
    found = informed(first, second, pairs.diagonal())
    same = torch.equal(found.shares, first.merged(second).shares)
    assert same == (n_columns < FEWEST_COLUMNS)


def test_pairs_that_were_not_asked_for_are_foretold_without_harm():
    pairs = truth(table(30, 0.5))
    first, second = rounds(pairs, 30, 0.01)
    second.precision[0, 1] = second.precision[1, 0] = 0.0
    second.shares[:SIZE, SIZE : 2 * SIZE] = second.shares[SIZE : 2 * SIZE, :SIZE] = 0.0
    found = informed(first, second, pairs.diagonal())
    block = (found.shares - pairs)[:SIZE, SIZE : 2 * SIZE]
    assert found.shares.isfinite().all()
    assert float(block.square().mean().sqrt()) < 0.005


def test_columns_of_one_code_do_no_harm():
    sizes = (SIZE,) * FEWEST_COLUMNS + (1, 1)
    codes = torch.cat([table(FEWEST_COLUMNS, 0.5), torch.zeros(ROWS, 2, dtype=torch.int64)], 1)
    pairs = Particles(codes, sizes).pair_shares()
    precision = torch.full((len(sizes),) * 2, 1e4)
    precision[-2:] = precision[:, -2:] = 0.0
    columns = column_of(sizes)
    apart = (columns[:, None] != columns[None, :]).float()
    measured = NoisyPairs(sizes, pairs * apart, precision.fill_diagonal_(0.0))
    found = informed(measured, measured, pairs.diagonal())
    assert found.shares.isfinite().all()
    assert found.precision.isfinite().all()
