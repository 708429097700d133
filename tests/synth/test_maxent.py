"""The model agrees with precise pairs, adds nothing that they do not say, and ignores noise."""

from itertools import combinations, product

import numpy as np
import pytest
import torch
from torch import Tensor

from privsynth.synth.maxent import Fit, MaxEntTable, Particles, Potentials, one_hot
from privsynth.synth.pairs import NoisyPairs, column_of

SIZES = (2, 3, 2)
CELLS = torch.tensor(list(product(*map(range, SIZES))))  # (12, columns)
N_PARTICLES = 4_000


def random_joint(seed: int, concentration: float = 1.0) -> Tensor:
    """Shares of the twelve cells."""
    drawn = np.random.default_rng(seed).dirichlet(np.full(len(CELLS), concentration))
    return torch.from_numpy(drawn).float()


def pairs_of(joint: Tensor) -> Tensor:
    """Shares of every pair of codes, (total, total), the 1-ways on the diagonal."""
    rows = one_hot(CELLS, SIZES)
    return (rows * joint[:, None]).T @ rows


def measured(shares: Tensor, precision: float, unasked: tuple[tuple[int, int], ...] = ()):
    columns = column_of(SIZES)
    apart = (columns[:, None] != columns[None, :]).float()
    wanted = precision * (1 - torch.eye(len(SIZES)))
    for i, j in unasked:
        wanted[i, j] = wanted[j, i] = 0.0
    return NoisyPairs(SIZES, shares * apart * (wanted > 0)[columns][:, columns], wanted)


def fitted(pairs: NoisyPairs, one_ways: Tensor, rounds: int = 200) -> Fit:
    generator = torch.Generator().manual_seed(3)
    starts = Particles.independent(one_ways.split(list(pairs.sizes)), N_PARTICLES, generator)
    fit = Fit(pairs, one_ways, starts)
    fit.run(rounds)
    return fit


def cells_of(potentials: Potentials) -> Tensor:
    """The model's own shares of the twelve cells, without particles."""
    return potentials.energy(CELLS).double().softmax(0).float()


def test_the_energy_of_codes_is_that_of_their_indicators():
    generator = torch.Generator().manual_seed(0)
    theta = torch.randn(7, 7, generator=generator).triu(1)
    table = Potentials(SIZES, torch.randn(7, generator=generator), theta + theta.T)
    rows = one_hot(CELLS, SIZES)
    expected = 0.5 * ((rows @ table.theta) * rows).sum(1) + rows @ table.bias
    assert torch.allclose(table.energy(CELLS), expected, atol=1e-5)


def two_way_gap(one: Tensor, other: Tensor) -> float:
    """Mean total variation over pairs of columns."""
    parts = zip(one.split(list(SIZES)), other.split(list(SIZES)), strict=True)
    blocks = [(a.split(list(SIZES), 1), b.split(list(SIZES), 1)) for a, b in parts]
    found = [
        float((blocks[i][0][j] - blocks[i][1][j]).abs().sum()) / 2
        for i, j in combinations(range(len(SIZES)), 2)
    ]
    return float(np.mean(found))


# What is fitted


@pytest.mark.parametrize("seed", [0, 1])
def test_precise_pairs_are_met_by_the_model_and_by_its_particles(seed):
    wanted = pairs_of(random_joint(seed))
    fit = fitted(measured(wanted, 1e8), wanted.diagonal())
    assert two_way_gap(pairs_of(cells_of(fit.potentials)), wanted) < 0.015
    assert two_way_gap(fit.particles.pair_shares(), wanted) < 0.03


def test_of_all_tables_with_these_pairs_the_model_has_no_third_order():
    """Iterative proportional fitting of the twelve cells gives the maximum-entropy table."""
    wanted = pairs_of(random_joint(2, 3.0))
    exact = torch.full((len(CELLS),), 1 / len(CELLS))
    starts = [0, 2, 5]
    for _ in range(200):
        for i, j in combinations(range(3), 2):
            at = CELLS[:, i] + starts[i], CELLS[:, j] + starts[j]
            exact = exact * wanted[at] / pairs_of(exact)[at]
    fit = fitted(measured(wanted, 1e8), wanted.diagonal())
    assert float((cells_of(fit.potentials) - exact).abs().sum()) / 2 < 0.02


def test_columns_whose_pair_was_not_asked_depend_only_through_the_third():
    """A chain of three columns: the ends are independent given the middle."""
    wanted = pairs_of(random_joint(4))
    fit = fitted(measured(wanted, 1e8, unasked=((0, 2),)), wanted.diagonal())
    joint = cells_of(fit.potentials).reshape(SIZES)
    given = joint / joint.sum((0, 2), keepdim=True)
    split = given.sum(2, keepdim=True) * given.sum(0, keepdim=True)
    assert torch.allclose(given, split, atol=1e-5)
    ends = joint.sum(1) - joint.sum((1, 2))[:, None] * joint.sum((0, 1))[None, :]
    assert ends.abs().max() > 1e-3  # and not because nothing was learned


EIGHT = (8, 8, 8)


def noise_around(truth: Tensor, deviation: float) -> NoisyPairs:
    """Pairs of three columns of eight codes each, measured with that noise."""
    noise = deviation * torch.randn(24, 24, generator=torch.Generator().manual_seed(5))
    apart = 1 - torch.block_diag(*[torch.ones(8, 8)] * 3)
    upper = noise.triu()
    wanted = deviation**-2 * (1 - torch.eye(3))
    return NoisyPairs(EIGHT, (truth + upper + upper.T) * apart, wanted)


def distance(found: Tensor, truth: Tensor) -> float:
    apart = 1 - torch.block_diag(*[torch.ones(8, 8)] * 3)
    return float(((found - truth) * apart).abs().sum()) / 12  # of six blocks, halved


def modelled(fit: Fit) -> Tensor:
    """Pairs of many draws of the model."""
    table = MaxEntTable(fit.potentials, fit.particles.codes)
    rows = one_hot(table.draw(40_000, {}, np.random.default_rng(0)), EIGHT)
    return rows.T @ rows / len(rows)


def test_pairs_of_noise_alone_leave_columns_near_independence():
    alone = torch.full((24, 24), 1 / 64)
    pairs = noise_around(alone, 0.01)
    found = distance(modelled(fitted(pairs, torch.full((24,), 1 / 8))), alone)
    assert distance(pairs.shares, alone) > 0.2
    assert found < 0.4 * distance(pairs.shares, alone)


def test_the_same_noise_does_not_hide_strong_dependence():
    alone = torch.full((24, 24), 1 / 64)
    equal = (0.8 * torch.eye(8) / 8 + 0.2 / 64).repeat(3, 3)
    pairs = noise_around(equal, 0.01)
    found = distance(modelled(fitted(pairs, torch.full((24,), 1 / 8))), equal)
    assert distance(alone, equal) > 0.6
    assert found < 0.5 * distance(pairs.shares, equal)


def test_one_ways_are_met_where_no_pair_was_measured():
    wanted = pairs_of(random_joint(1)).diagonal()
    fit = fitted(measured(torch.zeros(7, 7), 0.0), wanted, rounds=60)
    assert (fit.potentials.theta == 0).all()
    assert torch.allclose(pairs_of(cells_of(fit.potentials)).diagonal(), wanted, atol=0.02)


# Drawing


def table_of(seed: int) -> MaxEntTable:
    generator = torch.Generator().manual_seed(seed)
    theta = torch.randn(7, 7, generator=generator)
    columns = column_of(SIZES)
    theta = (theta + theta.T) * (columns[:, None] != columns[None, :])
    potentials = Potentials(SIZES, torch.randn(7, generator=generator), theta)
    starts = Particles(CELLS.repeat(50, 1), SIZES, generator)
    for _ in range(10):
        starts.sweep(potentials)
    return MaxEntTable(potentials, starts.codes.to(torch.int16))


def shares_of(codes: Tensor) -> Tensor:
    return (codes[:, None, :] == CELLS[None, :, :]).all(2).float().mean(0)


def test_draws_follow_the_model():
    table = table_of(0)
    drawn = table.draw(20_000, {}, np.random.default_rng(0))
    assert drawn.shape == (20_000, 3)
    gap = (shares_of(drawn) - cells_of(table.potentials)).abs().sum() / 2
    assert gap < 0.03


@pytest.mark.parametrize("given", [{0: 1}, {1: 2, 2: 0}])
def test_what_is_given_is_held_and_the_rest_follows_from_it(given):
    table = table_of(1)
    drawn = table.draw(20_000, given, np.random.default_rng(0))
    holds = torch.stack([CELLS[:, j] == code for j, code in given.items()]).all(0)
    wanted = cells_of(table.potentials) * holds
    assert all((drawn[:, j] == code).all() for j, code in given.items())
    assert (shares_of(drawn) - wanted / wanted.sum()).abs().sum() / 2 < 0.03


def test_a_code_that_no_particle_holds_can_be_given():
    table = table_of(2)
    poor = MaxEntTable(table.potentials, table.particles[table.particles[:, 1] != 2])
    drawn = poor.draw(500, {1: 2}, np.random.default_rng(0))
    assert (drawn[:, 1] == 2).all()


# Particles


def particles(n_rows: int = 1_000) -> Particles:
    generator = torch.Generator().manual_seed(1)
    shares = [torch.full((size,), 1 / size) for size in SIZES]
    return Particles.independent(shares, n_rows, generator)


def test_weights_follow_a_change_of_the_potentials():
    rows = particles()
    change = Potentials.zero(SIZES)
    change.bias[0] = 1.0
    change.theta[2, 6] = change.theta[6, 2] = 0.5
    rows.weigh(change.energy(rows.codes))
    codes = rows.codes
    energy = (codes[:, 0] == 0) * 1.0 + ((codes[:, 1] == 0) & (codes[:, 2] == 1)) * 0.5
    assert torch.allclose(rows.weights, energy.exp() / energy.exp().sum())
    kish = energy.exp().sum() ** 2 / energy.exp().square().sum() / len(codes)
    assert rows.effective_share == pytest.approx(float(kish), rel=1e-4)


def test_resampling_keeps_what_the_weights_said_and_makes_them_even():
    rows = particles()
    change = Potentials.zero(SIZES)
    change.bias[:2] = torch.tensor([2.0, -1.0])
    rows.weigh(change.energy(rows.codes))
    before = rows.pair_shares()
    rows.resample()
    assert rows.effective_share == pytest.approx(1.0)
    assert torch.allclose(rows.pair_shares(), before, atol=0.02)


def test_a_sweep_leaves_held_columns_and_one_code_a_column():
    rows = particles()
    before = rows.codes
    rows.sweep(table_of(0).potentials, held=(1,))
    assert (rows.codes[:, 1] == before[:, 1]).all()
    assert (rows.codes != before).any()
    assert (rows.codes >= 0).all()
    assert (rows.codes < torch.tensor(SIZES)).all()


def test_many_columns_that_hang_together_do_not_make_the_fit_overshoot():
    """Forty columns are copies of one coin, each flipped in a tenth of the rows."""
    chance = np.random.default_rng(0)
    coin = chance.integers(0, 2, (4_000, 1))
    codes = torch.from_numpy(coin ^ (chance.random((4_000, 40)) < 0.1))
    sizes = (2,) * 40
    rows = one_hot(codes, sizes)
    shares = rows.T @ rows / len(rows)
    columns = column_of(sizes)
    apart = (columns[:, None] != columns[None, :]).float()
    pairs = NoisyPairs(sizes, shares * apart, 1e5 * (1 - torch.eye(40)))
    fit = fitted(pairs, shares.diagonal(), 120)
    gap = (fit.particles.pair_shares() - shares).abs() * apart
    assert float(gap.mean()) < 0.02
    assert float((fit.particles.pair_shares() - shares).diagonal().abs().mean()) < 0.02
