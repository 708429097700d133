"""The chance that lot divides like persons so: never too low, and close enough to refuse by."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from privsynth.risk.lot import chance_of_dividing, n_divided_by_lot


def divisions(alike: list[int], n_control: int) -> list[int]:
    """The divided pairs in each choice of the control persons."""
    kind = np.repeat(np.arange(len(alike)), alike)
    found = []
    for chosen in combinations(range(len(kind)), n_control):
        hit = np.bincount(kind[list(chosen)], minlength=len(alike))
        found.append(int((hit * (np.array(alike) - hit)).sum()))
    return found


@pytest.mark.parametrize(
    ("alike", "n_control"),
    [([2, 2, 2, 2], 4), ([2, 2, 2, 2], 1), ([3, 3, 3, 1, 1], 4), ([6, 5], 5), ([1, 2, 3, 4], 2)],
)
def test_the_chance_is_never_too_low(alike: list[int], n_control: int) -> None:
    every = np.array(divisions(alike, n_control))
    kinds = np.array(alike)
    assert n_divided_by_lot(kinds, n_control) == pytest.approx(every.mean())
    for n_divided in np.unique(every):
        exact = (every >= n_divided).mean()
        assert exact <= chance_of_dividing(kinds, n_control, int(n_divided)) + 1e-12


def test_where_every_pair_is_divided_the_chance_is_exact() -> None:
    every = divisions([2] * 6, 6)
    exact = np.mean(np.array(every) == 6)
    assert chance_of_dividing(np.full(6, 2), 6, 6) == pytest.approx(exact, rel=0.01)
