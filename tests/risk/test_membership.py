"""Members are told from controls where the table copies, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from privsynth.risk.base import AttackResult, Failure, Risk, Verdict
from privsynth.risk.lineup import Lineup, line_up
from privsynth.risk.membership import Membership, guessed, named
from privsynth.risk.neighbours import nearest, points
from privsynth.risk.plain import PlainTable, plain_tables
from privsynth.risk.statistics import epsilon_refuted
from privsynth.risk.vulnerable import Vulnerable, in_small_cell, outliers, rare_holders
from privsynth.schema import Schema
from privsynth.table import Table, Tables

MakeTables = Callable[..., Tables]


def run(tables: Tables, seed: int = 0) -> AttackResult:
    (found,) = Membership().run(tables, np.random.default_rng(seed))
    assert isinstance(found, AttackResult)
    return found


def p_value(tables: Tables, seed: int = 0) -> float:
    found = run(tables, seed).p_value
    assert found is not None
    return found


# Distances


def test_distances_are_those_of_a_loop(make_tables: MakeTables) -> None:
    """More candidates than a block holds, and more or fewer sought than there are blocks."""
    rng = np.random.default_rng(0)
    targets, candidates = (rng.random((n, 7)).astype(np.float32) for n in (40, 700))
    expected = np.sort(np.linalg.norm(targets[:, None] - candidates[None], axis=2), axis=1)
    for k in (1, 4, 50):
        assert nearest(targets, candidates, k=k) == pytest.approx(expected[:, :k], abs=1e-6)
    assert nearest(targets, candidates[:2], k=4).shape == (40, 2)


def test_memory_does_not_grow_with_the_number_of_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    targets, candidates = (rng.random((n, 3)).astype(np.float32) for n in (50, 300))
    whole = nearest(targets, candidates)
    monkeypatch.setattr("privsynth.risk.neighbours._CELLS_AT_ONCE", 100)
    assert (nearest(targets, candidates) == whole).all()


@pytest.mark.parametrize("n_labels", [3, 5_000])
def test_a_label_counts_one_column_however_many_there_are(n_labels: int) -> None:
    codes = np.random.default_rng(0).permutation(n_labels)[:3]
    table = PlainTable({}, {"code": np.append(codes, [codes[0], n_labels - 1])}, np.arange(5))
    (found,) = points([table], reference=table)
    squares = ((found[:, None] - found[None]) ** 2).sum(axis=2)
    assert squares[0, 3] == 0
    assert squares[0, 1:3] == pytest.approx(1, abs=1e-5 if n_labels < 48 else 0.6)


def test_extremes_beyond_the_reference_are_told_apart() -> None:
    reference = PlainTable({"cost": np.arange(100.0)}, {}, np.arange(100))
    extremes = PlainTable({"cost": np.array([150.0, 160.0, -50.0])}, {}, np.arange(3))
    (found,) = points([extremes], reference=reference)
    assert len(np.unique(found[:, 0])) == 3
    assert found[0, 0] > 1 > 0 > found[2, 0]


def test_a_copy_is_the_same_record_and_not_a_near_one(make_tables: MakeTables) -> None:
    tables = make_tables(400, 200, 400)
    lineup = line_up(plain_tables(tables), np.random.default_rng(0), 200, 300)
    assert isinstance(lineup, Lineup)
    assert not any(side.any() for side in lineup.copied)
    copied = Tables(tables.train, tables.control, tables.train)
    lineup = line_up(plain_tables(copied), np.random.default_rng(0), 200, 300)
    assert isinstance(lineup, Lineup)
    assert lineup.copied[0].all()
    assert not lineup.copied[1].any()


def test_missing_is_near_missing_alone() -> None:
    table = PlainTable({"age": np.array([np.nan, np.nan, 10.0, 90.0])}, {}, np.arange(4))
    (found,) = points([table], reference=table)
    squares = ((found[0] - found) ** 2).sum(axis=1)
    assert squares[1] == 0
    assert (squares[2:] >= 1).all()


# Membership


@pytest.mark.parametrize("share", [0.3, 0.05])
def test_copied_members_are_named(make_tables: MakeTables, share: float) -> None:
    found = run(make_tables(2000, 900, 2000, copied=share))
    assert float(found.details["share_named_right"]) > 0.75
    assert found.p_value is not None
    assert found.p_value < 1e-4
    assert found.verdict(0.5) is Verdict.NOT_SUPPORTED
    assert (epsilon_refuted(found.guesses, 1e-5) or 0.0) > 0.5


def test_members_whose_copies_were_jittered_are_named(
    make_tables: MakeTables, clinic_schema: Schema
) -> None:
    tables = make_tables(2000, 900, 2000, copied=0.3)
    frame = tables.synthetic.frame()
    frame["balance"] += np.random.default_rng(0).normal(0, 5, len(frame))
    jittered = Tables(tables.train, tables.control, Table.from_pandas(frame, clinic_schema))
    assert p_value(jittered) < 1e-4


def test_nobody_is_named_without_a_leak(make_tables: MakeTables) -> None:
    """The p-values are at least those of fair coins: few are small."""
    results = [run(make_tables(600, 300, seed=seed)) for seed in range(20)]
    small = sum(r.p_value is not None and r.p_value < 0.05 for r in results)
    assert small <= 4  # 1 expected at most
    assert not any(r.verdict(0.9) is Verdict.NOT_SUPPORTED and r.p_value > 0.05 for r in results)
    assert sum((epsilon_refuted(r.guesses, 1e-5) or 0.0) > 0 for r in results) <= 4


def named_right(right: np.ndarray) -> AttackResult:
    """The result where these pairs are named right, the clearest first."""
    clear = np.arange(len(right), 0, -1.0)
    guesses = guessed(np.where(right, clear, -clear), 0 * clear, np.random.default_rng(0))
    return named(guesses, attack="m", title="M", criterion="membership", n_planned=1_000)


def test_the_interval_is_that_of_the_guesses_that_tell_most() -> None:
    """25 clear names, and 550 right of the 975 others: the rates are those of the 25.

    Their excess is under any limit, being so few: the upper limit is that of all pairs.
    """
    others = np.random.default_rng(0).permutation(975) < 550
    found = named_right(np.r_[np.ones(25, bool), others])
    assert isinstance(found.excess, Risk)
    assert found.details["guesses_that_tell_most"] == found.member.hits == 25
    assert found.excess.value == pytest.approx(0.025)
    assert 0.015 < found.excess.low < 0.025
    assert found.excess.high > 0.2
    assert found.verdict(0.1) is Verdict.NOT_SUPPORTED


@pytest.mark.parametrize("n_right", [11, 18, 20, 22, 25])
def test_a_lower_limit_above_nothing_is_a_small_p_value(n_right: int) -> None:
    """One of four numbers of guesses is enough: what is named right most often counts."""
    found = named_right(np.r_[np.arange(25) < n_right, np.arange(975) % 2 == 0])
    assert isinstance(found.excess, Risk)
    assert found.p_value is not None
    assert (found.excess.low > 0) == (found.p_value <= 0.025)


def test_fewer_pairs_are_the_first_whoever_is_named() -> None:
    """Which pairs a delta leaves out says nothing of who was in: they come in random order."""
    scores = np.random.default_rng(0).normal(size=(2, 3_000))
    every, *fewer = guessed(*scores, np.random.default_rng(1))
    assert [each.n_pairs for each in (every, *fewer)] == [3_000, 20, 200, 2_000]
    first, *_ = guessed(*scores[:, :200], np.random.default_rng(1))
    assert fewer[1] == first


def test_few_pairs_decide_nothing_and_many_support(make_tables: MakeTables) -> None:
    few = run(make_tables(120, 60, 120))
    assert few.verdict(0.1) is Verdict.INCONCLUSIVE
    assert isinstance(few.excess, Risk)
    assert few.excess.high > 0.2


def test_a_table_that_copies_the_control_names_no_member(make_tables: MakeTables) -> None:
    found = run(make_tables(900, 450, 900, copied=0.3, copied_from="control"))
    assert isinstance(found.excess, Risk)
    assert found.excess.value < 0
    assert found.verdict(0.5) is not Verdict.NOT_SUPPORTED


def test_the_attack_ignores_the_order_of_rows(make_tables: MakeTables) -> None:
    tables = make_tables(300, 200, 300, copied=0.1)
    order = np.random.default_rng(1).permutation(300)
    shuffled = Tables(tables.train.take(order), tables.control, tables.synthetic.take(order))
    assert run(tables) == run(shuffled)


def test_what_was_planned_is_told_beside_what_was_done(make_tables: MakeTables) -> None:
    found = run(make_tables(300, 200, 300))
    assert (found.n_planned, found.n_done) == (5_000, 150)  # half of train is the reference
    full = Membership(max_pairs=100).run(make_tables(300, 200), np.random.default_rng(0))[0]
    assert isinstance(full, AttackResult)
    assert (full.n_planned, full.n_done) == (100, 100)


def test_how_many_records_stand_for_all_others_is_told(make_tables: MakeTables) -> None:
    tables, rng = make_tables(2_000, 400, 300), np.random.default_rng(0)
    thinned = [
        *Membership(max_reference_rows=700).run(tables, rng),
        *Vulnerable(max_reference_rows=700).run(tables, rng),
    ]
    used = [r.details["reference_rows_used"] for r in thinned if isinstance(r, AttackResult)]
    assert len(used) > 2
    assert set(used) == {700}


def test_a_group_is_planned_as_large_as_a_full_line_up_would_hold(make_tables: MakeTables) -> None:
    tables = make_tables(2_000, 400, 300)
    for max_persons, times in ((10_000, 25), (400, 1)):
        results = Vulnerable(max_persons=max_persons).run(tables, np.random.default_rng(0))
        found = [r for r in results if isinstance(r, AttackResult)]
        assert found
        assert all(r.n_planned == times * r.n_done for r in found)


def test_ties_are_a_coins_toss() -> None:
    zero = np.zeros(4_000)
    every, *_ = guessed(zero, zero, np.random.default_rng(0))
    assert every.hits[-1].value == pytest.approx(0.5, abs=0.05)


def test_all_persons_are_different_and_none_is_its_own_reference(make_tables: MakeTables) -> None:
    lineup = line_up(plain_tables(make_tables(300, 200, 300)), np.random.default_rng(0), 1_000, 999)
    assert isinstance(lineup, Lineup)
    assert lineup.members.n_rows == lineup.controls.n_rows == 150
    assert not set(lineup.members.persons) & set(lineup.reference.persons)
    assert lineup.reference.n_rows == 150


@pytest.mark.parametrize("sizes", [(200, 0, 200), (50, 200, 200), (200, 29, 200)])
def test_too_few_persons_are_a_fact(make_tables: MakeTables, sizes: tuple[int, int, int]) -> None:
    for attack in (Membership(), Vulnerable()):
        (found,) = attack.run(make_tables(*sizes), np.random.default_rng(0))
        assert isinstance(found, Failure)
        assert "control" in found.reason


# Vulnerable persons


def test_an_outlier_lies_far_from_all_others(make_tables: MakeTables) -> None:
    far = outliers((np.arange(100.0), np.arange(100.0)), share=0.1)
    assert [side.sum() for side in far] == [10, 10]
    assert far[0][-10:].all()


def test_holders_of_a_rare_label_are_found() -> None:
    others = PlainTable({}, {"town": np.repeat([0, 1, 2], [900, 95, 5])}, np.arange(1000))
    persons = PlainTable({}, {"town": np.array([0, 1, 2, 3, -1])}, np.arange(5))
    # Label 2 is held by 0.5 %, label 3 by none; entries that are missing are not a label
    assert rare_holders(persons, others).tolist() == [False, False, True, True, False]


def test_a_small_cell_is_one_that_few_others_share() -> None:
    numbers, labels = np.repeat([20.0, 50.0], [500, 510]), np.repeat([0, 1], [1000, 10])
    others = PlainTable({"age": numbers}, {"sex": labels}, np.arange(1010))
    persons = PlainTable(
        {"age": np.array([20.0, 50.0, 50.0])}, {"sex": np.array([0, 0, 1])}, np.arange(3)
    )
    assert in_small_cell(persons, others, ("age", "sex")).tolist() == [False, False, True]


def test_many_records_of_one_person_are_one_holder() -> None:
    """Town 1 is seen in a tenth of the records: the visits of one person among 1,001."""
    others = PlainTable(
        {}, {"town": np.repeat([0, 1], [1000, 111])}, np.append(np.arange(1000), np.full(111, 1000))
    )
    persons = PlainTable({}, {"town": np.array([0, 1])}, np.arange(2))
    assert in_small_cell(persons, others, ("town",)).tolist() == [False, True]
    assert rare_holders(persons, others).tolist() == [False, True]


def test_a_label_that_many_persons_hold_once_is_not_rare() -> None:
    """Town 1 is seen in 0.5 % of the records: one record each of one person in twenty."""
    town = np.zeros((100, 10), dtype=int)
    town[:5, 0] = 1
    others = PlainTable({}, {"town": town.ravel()}, np.repeat(np.arange(100), 10))
    persons = PlainTable({}, {"town": np.array([0, 1])}, np.arange(2))
    assert not rare_holders(persons, others).any()


def test_copies_of_the_rare_are_found(make_tables: MakeTables, clinic_schema: Schema) -> None:
    """One person in 125 of both real tables comes from Cork; the table repeats those of train."""
    tables = make_tables(10_000, 4_900, 3_000)
    rare = "Cork"
    frames = [t.frame() for t in (tables.train, tables.control, tables.synthetic)]
    for frame in frames:
        frame.loc[frame["town"] == rare, "town"] = "Ayr"
        frame.loc[frame.sample(frac=0.008, random_state=0).index, "town"] = rare
    of_train = frames[0][frames[0]["town"] == rare]
    frames[2].iloc[: len(of_train)] = of_train
    planted = Tables(*(Table.from_pandas(frame, clinic_schema) for frame in frames))
    found = {
        each.attack: each
        for each in Vulnerable().run(planted, np.random.default_rng(0))
        if isinstance(each, AttackResult)
    }
    for attack in ("vulnerable_rare", "vulnerable_rare_membership"):
        assert found[attack].verdict(0.9) is Verdict.NOT_SUPPORTED
        assert found[attack].persons >= 30
