"""The benchmark's data: on their public domains, and what the stress sets claim of themselves."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from arena import datasets, metrics
from arena.domains import ADULT, DIABETES, Bins, Labels, chapter

from privsynth.schema import OrdinalColumn


def test_bins_close_below_and_open_above() -> None:
    assert Bins((1, 10)).codes(pd.Series([0, 1, 9, 10, 99])).tolist() == [0, 1, 1, 2, 2]


def test_missing_and_unlisted_labels_have_codes_of_their_own() -> None:
    domain = Labels(("a", "b"), missing=True, rest=True)
    assert domain.codes(pd.Series(["b", "z", None])).tolist() == [1, 2, 3]
    assert domain.size == 4


def test_a_label_that_the_domain_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="'sex': 1 values"):
        Labels(("f", "m")).codes(pd.Series(["f", "x"], name="sex"))


@pytest.mark.parametrize(
    ("code", "name"),
    [("139", "infectious"), ("250.01", "diabetes"), ("251", "endocrine"), ("E909", "E")],
)
def test_diagnoses_fall_into_their_chapters(code: str, name: str) -> None:
    assert chapter(code) == name


def test_no_domain_is_larger_than_a_generator_can_learn() -> None:
    kinds = [*ADULT.items(), *DIABETES.items()]
    assert [name for name, kind in kinds if isinstance(kind, Bins) and kind.size > 32] == []
    assert [name for name, kind in kinds if kind.size > 42] == []


@pytest.mark.parametrize("name", datasets.STRESS)
def test_a_stress_set_is_the_same_every_time_and_keeps_to_its_domain(name: str) -> None:
    one, two = (datasets.load(name, n_rows=500) for _ in range(2))
    assert (one.train == two.train).all()
    assert (one.train.max(axis=0) < np.array(one.sizes)).all()
    assert one.train.min() >= 0
    assert one.sizes[one.target] == 2
    assert one.structure
    assert all(max(subset) < len(one.sizes) for subset in one.structure)


@pytest.mark.parametrize("order", [3, 4])
def test_only_the_whole_group_shows_a_parity(order: int) -> None:
    data = datasets.load(f"parity{order}", n_rows=40_000)
    uniform = np.random.default_rng(1).integers(0, 2, data.train.shape)
    smaller = [s for group in data.structure for s in combinations(group, order - 1)]
    assert metrics.mean_tvd(data, uniform, smaller) < 0.02
    assert metrics.mean_tvd(data, uniform, data.structure) > 0.4


def test_pairs_of_the_mixture_are_weak_and_triples_are_not() -> None:
    data = datasets.load("mixture", n_rows=40_000)
    shuffled = metrics.independent(data, np.random.default_rng(1))
    pairs = sorted({pair for group in data.structure for pair in combinations(group, 2)})
    assert metrics.mean_tvd(data, shuffled, pairs) < 0.15
    assert metrics.mean_tvd(data, shuffled, data.structure) > 0.4


def test_a_table_of_codes_comes_back_from_its_table() -> None:
    data = datasets.load("mixture", n_rows=400)
    table = datasets.as_table(data, data.train)
    assert (datasets.as_codes(data, table) == data.train).all()
    columns = table.schema.columns
    assert [isinstance(columns[name], OrdinalColumn) for name in data.names] == list(data.ordered)
    assert columns["target"].role == "target"


@pytest.mark.real_data
def test_the_real_sets_lie_on_their_domains() -> None:
    if not (datasets.shared_data() / "adult").is_dir():
        pytest.skip("the shared data sets are not here; PRIVSYNTH_SHARED_DATA names their folder")
    adult, diabetes = datasets.load("adult"), datasets.load("diabetes")
    assert (adult.train.shape, adult.test.shape) == ((32_561, 15), (16_281, 15))
    assert (diabetes.train.shape, diabetes.test.shape) == ((57_214, 28), (14_304, 28))
    assert diabetes.train[:, diabetes.target].mean() == pytest.approx(0.088, abs=0.002)
