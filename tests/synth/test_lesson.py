"""What the denoiser is shown: rows of the teacher, and rows of a unit."""

import numpy as np
import pytest
import torch

from privsynth.synth.denoiser import Denoiser
from privsynth.synth.diffusion import Lesson, UnitRows


def test_a_lesson_draws_batches_of_its_own_rows_alone():
    denoiser = Denoiser([np.ones(2) / 2, np.ones(3) / 3], width=8, depth=1)
    lesson = Lesson(torch.tensor([[1, 2]] * 50), 16, torch.Generator().manual_seed(1))
    loss = lesson.loss_of(denoiser, 1.0, None)
    optimizer = torch.optim.Adam(denoiser.parameters(), lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    shares = denoiser(torch.tensor([[0, 0]]), torch.tensor([[True, True]]))[0]
    assert shares[:2].softmax(0)[1] > 0.9
    assert shares[2:].softmax(0)[2] > 0.9


def test_the_weight_of_a_lesson_scales_its_loss():
    denoiser = Denoiser([np.ones(2) / 2, np.ones(3) / 3], width=8, depth=1)
    full, tenth = (
        Lesson(torch.tensor([[1, 2]] * 50), 16, torch.Generator().manual_seed(1))
        .loss_of(denoiser, weight, None)()
        .item()
        for weight in (1.0, 0.1)
    )
    assert tenth == pytest.approx(full / 10)


def test_a_unit_has_views_of_its_own_rows_each_as_often():
    codes = torch.arange(6)[:, None]
    rows = UnitRows(codes, np.array([1, 0, 1, 2, 1, 0]))
    drawn = rows.draw(torch.tensor([1, 2]), 3_000, torch.Generator().manual_seed(0))[:, 0]
    assert rows.n_units == 3
    assert (drawn[3_000:] == 3).all()
    counts = np.bincount(drawn[:3_000], minlength=6)
    assert counts[[0, 2, 4]] == pytest.approx([1_000] * 3, abs=120)
    assert counts.sum() == counts[[0, 2, 4]].sum()
