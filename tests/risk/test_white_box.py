"""Members are told by the model's loss where it remembers them, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from privsynth.risk.base import AttackResult, Failure, Risk, Verdict
from privsynth.risk.statistics import epsilon_refuted
from privsynth.risk.suite import run_suite
from privsynth.risk.white_box import Losses, white_box
from privsynth.table import Table, Tables

MakeTables = Callable[..., Tables]


def remembering(tables: Tables, share: float, by: float) -> Losses:
    """Losses of chance, lower by `by` for some of the members."""
    known = set(tables.train.frame()["balance"].iloc[: round(share * tables.train.n_rows)])

    def losses(table: Table) -> np.ndarray:
        balance = table.frame()["balance"]
        rng = np.random.default_rng(abs(hash(tuple(balance))) % 2**32)
        return rng.normal(size=table.n_rows) - by * balance.isin(known).to_numpy()

    return losses


def attacked(tables: Tables, losses: Losses) -> tuple[AttackResult, AttackResult]:
    pairs, tail = white_box(tables, losses, np.random.default_rng(0))
    assert isinstance(pairs, AttackResult)
    assert isinstance(tail, AttackResult)
    return pairs, tail


def test_a_model_that_fits_all_members_a_little_better_is_found_by_the_pairs(
    make_tables: MakeTables,
) -> None:
    tables = make_tables(1500, 1500, 50)
    pairs, _ = attacked(tables, remembering(tables, 1.0, 0.4))
    assert pairs.verdict(0.9) is Verdict.NOT_SUPPORTED
    assert (pairs.n_planned, pairs.n_done) == (5_000, 1_500)
    assert isinstance(pairs.excess, Risk)
    assert pairs.excess.high > 0.15  # 0.22 for a guess at every pair: 2 · Phi(.4 / sqrt 2) - 1


def test_a_model_that_remembers_a_few_is_found_by_the_tail(make_tables: MakeTables) -> None:
    tables = make_tables(1500, 1500, 50)
    _, tail = attacked(tables, remembering(tables, 0.04, 6.0))
    assert tail.verdict(0.9) is Verdict.NOT_SUPPORTED
    assert (tail.n_planned, tail.n_done) == (5_000, 1_500)
    assert tail.member.value == pytest.approx(0.05, abs=0.02)
    assert (epsilon_refuted(tail.guesses, 1e-6) or 0.0) > 1
    assert tail.control is not None
    assert tail.control.value < 0.03


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", ["train", "control"])
def test_a_loss_that_is_not_finite_hides_no_leak(
    make_tables: MakeTables, odd: float, side: str
) -> None:
    tables = make_tables(400, 400, 50)
    known, control = remembering(tables, 1.0, 60.0), set(tables.control.frame()["balance"])

    def losses(table: Table) -> np.ndarray:
        found = known(table)
        if control.issuperset(table.frame()["balance"]) == (side == "control"):
            found[::25] = odd
        return found

    pairs, tail = attacked(tables, losses)
    assert tail.details["losses_not_finite"] == 16
    assert (tail.n_done, tail.member.value) == (384 if side == "train" else 400, 1.0)
    assert {pairs.verdict(0.9), tail.verdict(0.9)} == {Verdict.NOT_SUPPORTED}


def test_a_tail_without_enough_finite_losses_is_a_fact(make_tables: MakeTables) -> None:
    tables = make_tables(400, 400, 50)

    def losses(table: Table) -> np.ndarray:
        return np.where(np.arange(table.n_rows) < 59, 0.0, np.nan)

    _, tail = white_box(tables, losses, np.random.default_rng(0))
    assert isinstance(tail, Failure)
    assert (tail.name, tail.criterion) == ("white_box_tail", "membership")
    assert tail.reason.startswith("only 59 losses on one side are finite")


def test_a_model_that_remembers_nobody_names_nobody(make_tables: MakeTables) -> None:
    p_values, refuted = [], []
    for seed in range(15):
        tables = make_tables(400, 400, 50, seed=seed)
        found = attacked(tables, remembering(tables, 0.0, 0.0))
        p_values += [r.p_value for r in found]
        refuted += [epsilon_refuted(r.guesses, 1e-5) for r in found]
    assert sum(epsilon is not None and epsilon > 0 for epsilon in refuted) <= 5
    assert sum(p is not None and p < 0.05 for p in p_values) <= 5


@pytest.mark.parametrize("sizes", [(400, 0, 50), (400, 59, 50), (40, 400, 50)])
def test_too_few_persons_are_a_fact(make_tables: MakeTables, sizes: tuple[int, int, int]) -> None:
    tables = make_tables(*sizes)
    (found,) = white_box(tables, remembering(tables, 0.0, 0.0), np.random.default_rng(0))
    assert isinstance(found, Failure)


def test_the_suite_takes_the_model_in_and_says_what_stops_it(
    make_tables: MakeTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("privsynth.risk.suite.attacks._items", {})
    tables = make_tables(300, 300, 50)
    found = run_suite(tables, np.random.default_rng(0), losses=remembering(tables, 1.0, 3.0))
    assert [r.details["p_holm"] for r in found if isinstance(r, AttackResult)] != []

    def broken(table: Table) -> np.ndarray:
        raise ValueError("the value of a record")

    (failure,) = run_suite(tables, np.random.default_rng(0), losses=broken)
    assert failure == Failure(
        "white_box", "Membership by the model", "the attack stopped with ValueError", "membership"
    )
