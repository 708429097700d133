"""Grids: public steps, and values back inside the declared bounds."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from privsynth.encode.grid import Grid
from privsynth.schema import DateColumn, DatetimeColumn, IntegerColumn, NumericColumn


def test_integer_grid_has_one_step_a_value():
    column = IntegerColumn(lower=-3, upper=5)
    grid = Grid.of(column)
    steps = grid.index(np.arange(-3, 6))
    assert grid.n_steps == 9
    assert grid.values(steps, column).to_pylist() == list(range(-3, 6))


def test_numbers_beyond_the_grid_take_its_ends():
    grid = Grid.of(IntegerColumn(lower=0, upper=10))
    assert grid.index(np.array([-5, 99])).tolist() == [0, 10]


def test_cents_stay_cents():
    column = NumericColumn(lower=0, upper=1000, granularity=0.01)
    grid = Grid.of(column)
    amounts = np.array([0.0, 19.99, 333.33, 1000.0])
    assert grid.values(grid.index(amounts), column).to_pylist() == amounts.tolist()


def test_without_granularity_the_grid_has_about_a_hundred_thousand_steps():
    grid = Grid.of(NumericColumn(lower=-5, upper=10))
    assert 1e5 <= grid.n_steps <= 1.1e6


def test_coarsened_grid_holds_round_values_only():
    column = NumericColumn(lower=-5, upper=10)
    grid = Grid.of(column).coarsened(1)
    steps = grid.index(np.array([-5.0, 0.0, 1.4, 10.0]))
    assert grid.n_steps == 151
    assert grid.values(steps, column).to_pylist() == [-5.0, 0.0, 1.4, 10.0]


@pytest.mark.parametrize("granularity", ["day", "month", "year"])
def test_dates_never_leave_their_bounds(granularity):
    column = DateColumn(lower="2015-03-10", upper="2016-11-20", granularity=granularity)
    grid = Grid.of(column)
    values = grid.values(np.arange(grid.n_steps), column)
    assert values.type == pa.date32()
    days = values.to_pylist()
    assert min(days) == dt.date(2015, 3, 10)
    assert max(days) <= dt.date(2016, 11, 20)


def test_dates_before_1970_come_back():
    column = DateColumn(lower="1900-01-01", upper="1969-12-31")
    grid = Grid.of(column)
    day = (dt.date(1923, 5, 6) - dt.date(1970, 1, 1)).days
    assert grid.values(grid.index(np.array([day])), column).to_pylist() == [dt.date(1923, 5, 6)]


def test_datetimes_snap_to_their_granularity():
    column = DatetimeColumn(
        lower="2020-01-01T00:00:00", upper="2020-01-02T23:59:59", granularity="hour"
    )
    grid = Grid.of(column)
    moment = dt.datetime(2020, 1, 1, 5, 59, 59)
    micro = int((moment - dt.datetime(1970, 1, 1)).total_seconds()) * 10**6
    assert grid.n_steps == 48
    found = grid.values(grid.index(np.array([micro])), column).to_pylist()
    assert found == [dt.datetime(2020, 1, 1, 5)]


def test_bounds_that_were_learned_beyond_a_declared_one_give_a_grid_of_one_step():
    for column in (
        NumericColumn(lower=1000.0, source="private"),
        IntegerColumn(lower=1000, source="private"),
    ):
        grid = Grid.of(column, 0, 1)
        assert grid.values(grid.index(np.array([0.5, 7.0])), column).to_pylist() == [1000, 1000]
    only_zero = Grid.of(NumericColumn(source="private"), 0.0, 0.0)
    assert (only_zero.n_steps, only_zero.origin) == (1, 0.0)
