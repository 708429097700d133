"""The figures of the benchmark against plain loops, and at their ends."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from arena import datasets, metrics
from arena.datasets import Coded

N_ROWS = 3_000


@pytest.fixture(scope="module")
def parity() -> Coded:
    return datasets.load("parity3", n_rows=N_ROWS)


@pytest.fixture(scope="module")
def small() -> Coded:
    """Three columns, the last the target; the second has a rare category."""
    draw = np.random.default_rng(3)
    rare = np.where(draw.random(2_000) < 0.01, 2, draw.integers(0, 2, 2_000))
    codes = np.column_stack([draw.integers(0, 4, 2_000), rare, draw.integers(0, 2, 2_000)])
    return Coded(
        name="small",
        names=("a", "b", "y"),
        sizes=(4, 3, 2),
        ordered=(True, False, True),
        roles=("ordinary", "sensitive", "target"),
        train=codes[:1_500],
        test=codes[1_500:],
    )


def shares(codes: np.ndarray, subset: tuple[int, ...]) -> dict[tuple[int, ...], float]:
    counts = Counter(tuple(int(code) for code in row[list(subset)]) for row in codes)
    return {cell: n / len(codes) for cell, n in counts.items()}


def plain_tvd(real: np.ndarray, other: np.ndarray, subset: tuple[int, ...]) -> float:
    a, b = shares(real, subset), shares(other, subset)
    return sum(abs(a.get(cell, 0) - b.get(cell, 0)) for cell in a.keys() | b.keys()) / 2


@pytest.mark.parametrize("order", [1, 2, 3])
def test_distances_are_those_of_a_plain_loop(small: Coded, order: int) -> None:
    subsets = list(combinations(range(3), order))
    plain = np.mean([plain_tvd(small.train, small.test, subset) for subset in subsets])
    assert metrics.distances(small, small.test)[f"tvd{order}"] == pytest.approx(plain)


def test_rare_categories_and_groups_are_those_of_a_plain_loop(small: Coded) -> None:
    drawn = small.train.copy()
    drawn[drawn[:, 1] == 2, 1] = 0  # the rare category is lost
    drawn[:2, 0] = 3

    def kept(subsets: list[tuple[int, ...]]) -> float:
        found = []
        for subset in subsets:
            real, other = shares(small.train, subset), shares(drawn, subset)
            rare = {cell: share for cell, share in real.items() if 0.001 <= share <= 0.02}
            found += [s / 2 <= other.get(cell, 0) <= 2 * s for cell, s in rare.items()]
        return sum(found) / len(found)

    figures = metrics.minorities(small, drawn)
    assert figures["rare_kept"] == kept([(0,), (1,), (2,)]) == 0
    assert figures["groups_kept"] == pytest.approx(kept([(0, 1), (1, 2), (0, 2)]))
    assert metrics.minorities(small, small.train) == {"rare_kept": 1, "groups_kept": 1}


def test_the_train_rows_themselves_are_beyond_reproach(parity: Coded) -> None:
    figures = metrics.judge(parity, parity.train)
    assert figures["tvd1"] == figures["tvd2"] == figures["tvd3"] == figures["structure_tvd"] == 0
    assert figures["detection"] is not None
    assert figures["detection"] > 0.9
    assert figures["tstr_gb"] is not None
    assert figures["tstr_gb"] > 0.9


def test_independent_columns_keep_the_marginals_and_lose_the_rest(parity: Coded) -> None:
    figures = metrics.judge(parity, metrics.independent(parity, np.random.default_rng(0)))
    assert figures["tvd1"] == 0
    assert figures["tvd2"] is not None
    assert figures["tvd2"] < 0.03  # no pair shows what is missing
    assert figures["structure_tvd"] is not None
    assert figures["structure_tvd"] > 0.4
    assert figures["detection"] is not None
    assert figures["detection"] < 0.7
    assert figures["tstr_gb"] == pytest.approx(0.5, abs=0.1)


def test_a_table_with_one_class_predicts_nothing(parity: Coded) -> None:
    drawn = parity.train.copy()
    drawn[:, parity.target] = 1
    assert metrics.usefulness(parity, drawn) == {"tstr_gb": 0.5, "tstr_logistic": 0.5}


def test_codes_outside_the_domain_are_refused(parity: Coded) -> None:
    drawn = parity.train.copy()
    drawn[0, 4] = 2
    with pytest.raises(ValueError, match="c4"):
        metrics.judge(parity, drawn)
    with pytest.raises(ValueError, match="13 columns"):
        metrics.judge(parity, drawn[:, 1:])


def test_triples_are_the_same_public_sample_every_time() -> None:
    chosen = metrics.subsets(60, 3)
    assert len(set(chosen)) == metrics.MAX_TRIPLES
    assert chosen == metrics.subsets(60, 3)
    assert len(metrics.subsets(60, 2)) == 60 * 59 // 2
