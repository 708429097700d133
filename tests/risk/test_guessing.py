import datetime as dt

import numpy as np
import pytest

from privsynth.risk.base import Rate
from privsynth.risk.guessing import (
    best_guess,
    group_rates,
    random_guess,
    same_label,
    scorer,
    within_days,
    within_share,
)
from privsynth.schema import (
    BooleanColumn,
    CategoricalColumn,
    Column,
    DateColumn,
    IntegerColumn,
)

DAY = {"lower": dt.date(2020, 1, 1), "upper": dt.date(2021, 1, 1)}


@pytest.mark.parametrize(
    ("column", "rule"),
    [
        (IntegerColumn(lower=0, upper=1), within_share),
        (DateColumn(**DAY), within_days),
        (CategoricalColumn(categories=("1", "2")), same_label),
        (BooleanColumn(), same_label),
    ],
)
def test_the_kind_of_the_column_decides(column: Column, rule: object) -> None:
    assert scorer(column) is rule


def test_a_zero_must_be_met_exactly() -> None:
    guesses = np.array([0.0, 0.001, 1e-13])
    assert within_share(guesses, np.zeros(3)).tolist() == [True, False, False]


def test_a_missing_guess_is_never_right() -> None:
    assert not same_label(np.array([-1]), np.array([-1]))[0]
    assert not within_share(np.array([np.nan]), np.array([np.nan]))[0]
    assert not within_days(np.array([np.nan]), np.array([1.0]))[0]


def test_the_best_guess_of_a_number_uses_the_tolerance() -> None:
    population = np.r_[np.full(40, 100.0), np.full(30, 104.0), np.full(30, 500.0)]
    assert best_guess(population, within_share) == pytest.approx(0.7)


def test_the_best_guess_among_many_values_finds_the_spike() -> None:
    rng = np.random.default_rng(0)
    population = np.r_[np.zeros(2000), rng.normal(1e6, 3e5, 8000)]
    assert best_guess(population, within_share) == pytest.approx(0.2, abs=0.01)


def test_the_random_guess_is_the_sum_of_products() -> None:
    rng = np.random.default_rng(0)
    synthetic, real = rng.choice(3, 5000, p=[0.7, 0.2, 0.1]), rng.choice(4, 5000)
    p = np.bincount(synthetic, minlength=4) / 5000
    q = np.bincount(real, minlength=4) / 5000
    assert random_guess(synthetic, real, same_label) == pytest.approx(float(p @ q))


def test_group_rates_divide_by_the_group() -> None:
    rates = group_rates(np.array([True, False, False, True]), np.array([5, 5, 5, 2]))
    assert rates == {5: Rate(1, 3), 2: Rate(1, 1)}
