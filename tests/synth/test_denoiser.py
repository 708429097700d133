"""The denoiser's loss, what is hidden from it, and how its weights are averaged."""

import numpy as np
import pytest
import torch

from privsynth.synth.denoiser import Average, Denoiser, cooling, hide
from privsynth.synth.maxent import Potentials


def test_hidden_columns_are_one_to_all_and_evenly_many():
    hidden = hide(2_000, 5, 4, torch.Generator().manual_seed(0))
    counts = torch.bincount(hidden.sum(1), minlength=6)
    assert counts[0] == 0
    assert counts[1:].float().std() < 0.1 * counts[1:].float().mean()


def test_the_loss_is_the_cross_entropy_of_the_hidden_columns():
    torch.manual_seed(0)
    denoiser = Denoiser([np.ones(3) / 3, np.ones(2) / 2], width=8, depth=1)
    torch.nn.init.normal_(denoiser.head.weight)
    codes, hidden = torch.tensor([[2, 1], [0, 0]]), torch.tensor([[True, True], [False, True]])
    logits = denoiser(codes, hidden)
    first = torch.nn.functional.cross_entropy(logits[:, :3], codes[:, 0], reduction="none")
    second = torch.nn.functional.cross_entropy(logits[:, 3:], codes[:, 1], reduction="none")
    expected = torch.stack([(first[0] + second[0]) / 2, second[1]])
    assert torch.allclose(denoiser.loss(codes, hidden), expected, atol=1e-5)


def test_an_untrained_network_says_the_shares_that_it_was_given():
    shares = [np.array([0.2, 0.3, 0.5]), np.array([0.9, 0.1])]
    denoiser = Denoiser(shares, width=8, depth=1)
    logits = denoiser(torch.tensor([[0, 1]]), torch.tensor([[True, False]]))[0]
    assert logits[:3].softmax(0).tolist() == pytest.approx([0.2, 0.3, 0.5], abs=1e-4)
    assert logits[3:].softmax(0).tolist() == pytest.approx([0.9, 0.1], abs=1e-4)


def test_what_is_hidden_decides_nothing():
    denoiser = Denoiser([np.ones(3) / 3, np.ones(2) / 2], width=8, depth=1)
    torch.nn.init.normal_(denoiser.head.weight)
    hidden = torch.tensor([[True, False]])
    one, two = (denoiser(torch.tensor([[code, 1]]), hidden) for code in (0, 2))
    assert (one == two).all()
    assert (one != denoiser(torch.tensor([[0, 0]]), hidden)).any()


def test_an_average_is_the_mean_of_the_weights_that_it_was_shown():
    denoiser = Denoiser([np.ones(3) / 3, np.ones(2) / 2], width=8, depth=1)
    average = Average(denoiser)
    for value in (1.0, 2.0, 6.0):
        torch.nn.init.constant_(denoiser.head.weight, value)
        average.add(denoiser)
    assert average.into(denoiser) is denoiser
    assert torch.allclose(denoiser.head.weight, torch.tensor(3.0))


def test_the_rate_falls_from_its_start_to_nearly_nothing():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=9.0)
    rates = [(done, optimizer.param_groups[0]["lr"]) for done in cooling(optimizer, 10, 0.5)]
    assert [done for done, _ in rates] == pytest.approx([i / 10 for i in range(10)])
    assert rates[0][1] == 0.5
    assert rates == sorted(rates, key=lambda each: -each[1])
    assert rates[-1][1] < 0.02


def based() -> Denoiser:
    """A network upon another one, both with something to say."""
    shares = [np.ones(4) / 4, np.ones(3) / 3]
    base = Denoiser(shares, width=8, depth=1)
    denoiser = Denoiser(shares, width=8, depth=1, base=base)
    for each in (base, denoiser):
        torch.nn.init.normal_(each.head.weight)
    return denoiser


def test_a_second_network_starts_as_its_base_and_adds_to_it():
    denoiser = based()
    codes, hidden = torch.tensor([[2, 1]]), torch.tensor([[True, True]])
    before = denoiser.base(codes, hidden)
    assert (denoiser(codes, hidden) != before).any()
    torch.nn.init.zeros_(denoiser.head.weight)
    assert torch.allclose(denoiser(codes, hidden), before)


def test_a_base_does_not_train_and_is_not_averaged():
    denoiser = based()
    average = Average(denoiser)
    kept = {name: value.clone() for name, value in denoiser.base.state_dict().items()}
    average.add(denoiser)
    average.into(denoiser)
    assert not any(each.requires_grad for each in denoiser.base.parameters())
    assert all((denoiser.base.state_dict()[name] == value).all() for name, value in kept.items())


def test_of_four_masks_one_hides_targets_alone_and_one_any_one_column():
    hidden = hide(2_000, 6, 4, torch.Generator().manual_seed(0), targets=[1, 3]).view(-1, 4, 6)
    targets_alone = (hidden.any(2) & ~hidden[:, :, [0, 2, 4, 5]].any(2)).sum(1)
    assert (targets_alone >= 1).all()
    assert (hidden.sum(2) == 2).any()
    single = hidden[hidden.sum(2) == 1]
    assert single.any(0).all()
    assert targets_alone.float().mean() < 2


def test_without_a_target_half_of_the_masks_hide_one_column():
    hidden = hide(1_000, 5, 4, torch.Generator().manual_seed(0), targets=()).view(-1, 4, 5)
    assert ((hidden.sum(2) == 1).sum(1) >= 2).all()
    assert hidden[hidden.sum(2) == 1].any(0).all()


@pytest.mark.parametrize("views", [1, 2, 3, 4])
def test_what_is_hidden_in_a_row_does_not_depend_on_its_place(views):
    """Else a unit more would change what is hidden of the others, and clipping bound nothing."""
    generator = torch.Generator().manual_seed(0)
    many = torch.stack([hide(4, 8, views, generator, targets=[7]) for _ in range(2_000)])
    alone = (many.sum(2) == 1).view(2_000, 4, views)  # (draws, places, views)
    share = alone.float().mean((0, 2))
    assert share.tolist() == pytest.approx([float(share.mean())] * 4, abs=0.04)


def test_where_one_column_is_hidden_the_pairwise_model_speaks_and_else_the_network():
    denoiser = Denoiser([np.ones(3) / 3, np.ones(2) / 2], width=8, depth=1)
    theta = torch.zeros(5, 5)
    theta[0, 3] = theta[3, 0] = 2.0
    bias = torch.tensor([0.0, 1.0, 0.0, 0.5, 0.0])
    codes, one, both = torch.tensor([[0, 0]]), torch.tensor([[False, True]]), torch.ones(1, 2) > 0
    before = denoiser(codes, both)
    denoiser.rely_on(Potentials((3, 2), bias, theta))
    assert denoiser(codes, one)[0, 3:].tolist() == [2.5, 0.0]
    assert denoiser(codes, ~one)[0, :3].tolist() == [2.0, 1.0, 0.0]
    assert (denoiser(codes, both) == before).all()
