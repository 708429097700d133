"""Drawing equals the full network, follows its distributions and keeps what is given."""

import numpy as np
import pytest
import torch

from privsynth.synth.denoiser import Denoiser
from privsynth.synth.draw import BLOCK_ROWS, blocks, corrected, draw_codes, reveal, spread
from privsynth.synth.maxent import Potentials


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


def bound_together(strength: float) -> Potentials:
    """Two columns of two codes each that agree with odds exp(strength)."""
    theta = torch.zeros(4, 4)
    theta[0, 2] = theta[2, 0] = theta[1, 3] = theta[3, 1] = strength
    return Potentials((2, 2), torch.zeros(4), theta)


@pytest.mark.parametrize("tuned", [False, True])
def test_a_corrector_step_draws_from_the_exact_model_and_what_the_second_network_adds(tuned):
    halves = [np.ones(2) / 2] * 2
    denoiser = Denoiser(halves, width=8, depth=1)
    denoiser.rely_on(bound_together(2.0))
    if tuned:
        denoiser = Denoiser(halves, width=8, depth=1, base=denoiser)
        torch.nn.init.normal_(denoiser.head.weight)
    codes = torch.randint(2, (20_000, 2), generator=torch.Generator().manual_seed(0))
    drawn = corrected(denoiser, codes.clone(), {0: 0}, np.random.default_rng(0))
    assert (drawn[:, 0] == codes[:, 0]).all()
    for code in (0, 1):
        logits = denoiser(torch.tensor([[code, 0]]), torch.tensor([[False, True]]))[0, 2:]
        share = drawn[drawn[:, 0] == code, 1].float().mean()
        assert float(share) == pytest.approx(float(logits.detach().softmax(0)[1]), abs=0.02)


def test_blocks_end_in_a_corrector_step():
    """The network knows of no dependence here: only the model that it relies on does."""
    denoiser = Denoiser([np.ones(2) / 2] * 2, width=8, depth=1)
    denoiser.rely_on(bound_together(3.0))
    codes = torch.cat(list(blocks(denoiser, 4_000, {}, np.random.default_rng(0))))
    assert (codes[:, 0] == codes[:, 1]).float().mean() > 0.9


def test_targets_are_corrected_last():
    denoiser = Denoiser([np.ones(2) / 2] * 2, width=8, depth=1, targets=[0])
    denoiser.rely_on(bound_together(9.0))
    apart = torch.tensor([[0, 1]] * 2_000)
    parts = [corrected(denoiser, apart.clone(), {}, np.random.default_rng(s)) for s in range(10)]
    assert (torch.cat(parts) == torch.tensor([0, 0])).float().mean() > 0.95


def test_rows_stay_as_they_are_where_no_model_is_relied_on():
    denoiser = Denoiser([np.ones(2) / 2] * 2, width=8, depth=1)
    codes = torch.randint(2, (100, 2), generator=torch.Generator().manual_seed(0))
    assert (corrected(denoiser, codes.clone(), {}, np.random.default_rng(0)) == codes).all()


def test_targets_are_drawn_last():
    """Its code is decided by a column that a random order would put after it half of the time."""
    denoiser = Denoiser([np.ones(2) / 2] * 2, width=8, depth=1, targets=[0])
    with torch.no_grad():
        denoiser.embed.weight.zero_()
        denoiser.embed.weight[0, 2], denoiser.embed.weight[0, 3] = 9.0, -9.0
        denoiser.head.weight[0, 0], denoiser.head.weight[1, 0] = 9.0, -9.0
    codes = torch.cat([reveal(denoiser, 200, {}, np.random.default_rng(s))[0] for s in range(20)])
    assert (codes[:, 0] == codes[:, 1]).float().mean() > 0.95
