"""Drawing equals the full network, follows its distributions and keeps what is given."""

import numpy as np
import pytest
import torch

from privsynth.synth.denoiser import Denoiser
from privsynth.synth.draw import BLOCK_ROWS, blocks, draw_codes, reveal, spread


@pytest.mark.parametrize("on_a_base", [False, True])
def test_revealing_column_by_column_equals_the_full_network(on_a_base):
    torch.manual_seed(0)
    shares = [np.ones(4) / 4, np.ones(3) / 3]
    base = Denoiser(shares, width=8, depth=1) if on_a_base else None
    denoiser = Denoiser(shares, width=8, depth=1, base=base)
    for each in filter(None, (base, denoiser)):
        torch.nn.init.normal_(each.head.weight)
    codes, marginals = reveal(denoiser, 20_000, {0: 2}, np.random.default_rng(0))
    hidden = torch.tensor([[False, True]])
    logits = denoiser(torch.tensor([[2, 0]]), hidden)[0, 4:]
    expected = logits.softmax(0).detach().numpy()
    assert (codes[:, 0] == 2).all()
    assert np.bincount(codes[:, 1], minlength=3) / 20_000 == pytest.approx(expected, abs=0.02)
    assert marginals[1].numpy() == pytest.approx(expected, abs=1e-5)


def test_draws_follow_the_softmax_and_never_its_mode_alone():
    shares = torch.tensor([[0.7, 0.2, 0.1]]).repeat(20_000, 1)
    drawn = draw_codes(shares, torch.rand(20_000, generator=torch.Generator().manual_seed(0)))
    assert np.bincount(drawn) / 20_000 == pytest.approx([0.7, 0.2, 0.1], abs=0.02)


def test_spread_numbers_are_uniform_by_themselves_and_even_within_a_key():
    key = torch.arange(400) % 4
    generator = torch.Generator().manual_seed(0)
    draws = torch.stack([spread(key, generator) for _ in range(500)])
    assert draws[:, 17].mean() == pytest.approx(0.5, abs=0.05)
    assert draws[:, 17].std() == pytest.approx(12**-0.5, abs=0.03)
    below = (draws[:, key == 2] < 0.3).float().mean(1)  # of 100 rows, 30 are expected
    assert below.std() < 0.5 * (0.3 * 0.7 / 100) ** 0.5


@pytest.mark.parametrize("n_rows", [1, BLOCK_ROWS, BLOCK_ROWS + 1])
def test_blocks_make_the_rows_that_are_asked_for(n_rows):
    denoiser = Denoiser([np.ones(4) / 4, np.ones(3) / 3], width=8, depth=1)
    parts = list(blocks(denoiser, n_rows, {1: 2}, np.random.default_rng(0)))
    codes = torch.cat(parts)
    assert max(map(len, parts)) <= BLOCK_ROWS
    assert codes.shape == (n_rows, 2)
    assert (codes[:, 1] == 2).all()
    again = torch.cat(list(blocks(denoiser, n_rows, {1: 2}, np.random.default_rng(0))))
    assert (codes == again).all()


def test_a_table_of_one_column_is_drawn_from_its_shares():
    denoiser = Denoiser([np.array([0.1, 0.9])], width=8, depth=1)
    codes = torch.cat(list(blocks(denoiser, 4_000, {}, np.random.default_rng(0))))
    assert codes.float().mean() == pytest.approx(0.9, abs=0.02)
