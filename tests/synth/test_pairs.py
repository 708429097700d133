"""Pairs are counted as they are, merged by precision, and the second round goes where it helps."""

import numpy as np
import pandas as pd
import pytest
import torch

from privsynth.encode import codebook_requests, learn_codebook
from privsynth.privacy.budget import PrivacyBudget, PrivacyUnit
from privsynth.privacy.calibrate import calibrate
from privsynth.privacy.ledger import Ledger
from privsynth.privacy.noise import SeededNoise
from privsynth.privacy.plan import GaussianEvent, Mechanism, NonPrivateEvent, PrivacyPlan
from privsynth.privacy.spending import Spending
from privsynth.progress import SILENT
from privsynth.schema import Schema
from privsynth.synth.base import Work
from privsynth.synth.pairs import (
    LEAST_DEVIATION,
    PAIR_ROUNDS,
    NoisyPairs,
    PairCounter,
    importance,
    pair_requests,
    second_round,
)
from privsynth.table import Table

FIRST, SECOND = PAIR_ROUNDS


def visits(**privacy) -> Table:
    columns = {
        "ward": {"kind": "categorical", "categories": ["A", "B", "C"]},
        "high": {"kind": "boolean"},
        "late": {"kind": "boolean", "role": "target"},
    }
    if privacy:
        columns["patient"] = {"kind": "id"}
    rng = np.random.default_rng(3)
    n = 90
    frame = pd.DataFrame(
        {
            "ward": rng.choice(["A", "B", "C"], n),
            "high": rng.random(n) < 0.4,
            "late": rng.random(n) < 0.3,
        }
    )
    if privacy:
        frame["patient"] = [f"P{i // 3}" if i < 60 else f"Q{i}" for i in range(n)]
    document = {"dataset": {"id": "visits"}, "privacy": privacy, "columns": columns}
    return Table.from_pandas(frame, Schema.parse(document))


def codebook_of(table: Table):
    plan = calibrate(
        codebook_requests(table.schema, 1.0),
        PrivacyBudget.no_privacy(),
        PrivacyUnit.of(table.schema),
    )
    return learn_codebook(table, Ledger().charge(plan, "visits"), SeededNoise(1), max_codes=8)


def counter_of(table: Table, sigma: float = 0.0) -> PairCounter:
    event = GaussianEvent(sigma) if sigma else NonPrivateEvent()
    budget = PrivacyBudget(1.0, 1e-5) if sigma else PrivacyBudget.no_privacy()
    plan = PrivacyPlan(tuple(Mechanism(name, "", event) for name in PAIR_ROUNDS), budget)
    spending = Spending(plan, "entry", lambda *_: None)
    work = Work(spending, None, SeededNoise(1), np.random.default_rng(1), SILENT)
    return PairCounter(table, codebook_of(table), work)


def counted(table: Table, weights: np.ndarray) -> np.ndarray:
    """Shares of every pair of codes by hand: ward A, B, C, then high no, yes, then late no, yes."""
    frame = table.frame()
    indicators = np.column_stack(
        [frame["ward"] == label for label in "ABC"]
        + [frame[name] == value for name in ("high", "late") for value in (False, True)]
    ).astype(float)
    found = indicators.T @ (indicators * weights[:, None]) / weights.sum()
    for start, end in ((0, 3), (3, 5), (5, 7)):
        found[start:end, start:end] = 0.0
    return found


# Counting


def test_without_privacy_pairs_are_what_the_rows_hold():
    table = visits()
    pairs = counter_of(table).measure(FIRST, importance(table.schema))
    assert pairs.shares.numpy() == pytest.approx(counted(table, np.ones(90)), abs=1e-6)
    off_diagonal = pairs.precision[~torch.eye(3, dtype=torch.bool)]
    assert off_diagonal.numpy() == pytest.approx((90 / LEAST_DEVIATION) ** 2)


def test_the_rows_of_a_person_weigh_one_together():
    table = visits(unit="patient", max_rows_per_unit=3)
    pairs = counter_of(table).measure(FIRST, importance(table.schema))
    weights = np.where(np.arange(90) < 60, 1 / 3, 1.0)
    assert table.n_units == 50
    assert pairs.shares.numpy() == pytest.approx(counted(table, weights), abs=1e-6)


def test_noisy_shares_are_symmetric_and_a_pair_of_no_weight_is_not_asked():
    table = visits()
    weights = importance(table.schema)
    weights[0, 2] = weights[2, 0] = 0.0
    pairs = counter_of(table, 5.0).measure(FIRST, weights)
    assert (pairs.shares == pairs.shares.T).all()
    assert (pairs.shares[:3, 5:] == 0).all()
    assert (pairs.shares[:3, 3:5] != 0).all()
    assert (pairs.precision == pairs.precision.T).all()
    assert (pairs.precision == 0).nonzero().tolist() == [[0, 0], [0, 2], [1, 1], [2, 0], [2, 2]]


@pytest.mark.parametrize("left_out", [False, True])
def test_a_round_spends_its_charge_whole_and_no_more(left_out):
    table = visits()
    weights = importance(table.schema)
    if left_out:
        weights[0, 1] = weights[1, 0] = 0.0
    pairs = counter_of(table, 5.0).measure(FIRST, weights)
    spent = float(pairs.precision[np.triu_indices(3, 1)].sum())
    assert spent == pytest.approx((90 / 5.0) ** 2, rel=1e-5)


def test_the_requests_take_the_share_that_is_theirs():
    requests = pair_requests(0.7)
    assert [each.name for each in requests] == list(PAIR_ROUNDS)
    assert sum(each.share for each in requests) == pytest.approx(0.7)


def test_pairs_with_a_target_count_three_times_and_no_column_with_itself():
    assert importance(visits().schema).tolist() == [[0, 1, 3], [1, 0, 3], [3, 3, 0]]


@pytest.mark.parametrize(("n_columns", "weight"), [(2, 3.0), (15, 3.0), (28, 6.0), (150, 34.15)])
def test_pairs_with_a_target_get_about_a_third_however_many_columns_there_are(
    n_columns: int, weight: float
) -> None:
    columns = {f"c{number}": {"kind": "boolean"} for number in range(n_columns - 1)}
    columns["y"] = {"kind": "boolean", "role": "target"}
    schema = Schema.parse({"dataset": {"id": "wide"}, "columns": columns})
    found = importance(schema)
    assert found[0, -1] == pytest.approx(weight, abs=0.01)
    if n_columns >= 15:
        assert 2 * found[-1].sum() / found.sum() == pytest.approx(6 / 19, abs=1e-6)


def test_without_a_target_all_pairs_count_alike() -> None:
    columns = {name: {"kind": "boolean"} for name in "abc"}
    found = importance(Schema.parse({"dataset": {"id": "d"}, "columns": columns}))
    assert found.tolist() == [[0, 1, 1], [1, 0, 1], [1, 1, 0]]


def test_a_repr_shows_no_count():
    table = visits()
    pairs = counter_of(table).measure(FIRST, importance(table.schema))
    assert repr(pairs) == "NoisyPairs(3 pairs of 3 columns)"


# What is made of the answers


def pairs_of(shares: float, precision: list[list[float]]) -> NoisyPairs:
    return NoisyPairs((2, 2, 2), torch.full((6, 6), shares), torch.tensor(precision))


def test_two_rounds_make_the_mean_by_precision():
    first = pairs_of(0.1, [[0, 3, 1], [3, 0, 0], [1, 0, 0]])
    second = pairs_of(0.5, [[0, 1, 0], [1, 0, 2], [0, 2, 0]])
    both = first.merged(second)
    assert both.precision.tolist() == [[0, 4, 1], [4, 0, 2], [1, 2, 0]]
    assert both.shares[0, 2] == pytest.approx(0.2)
    assert both.shares[0, 4] == pytest.approx(0.1)
    assert both.shares[2, 4] == pytest.approx(0.5)


def test_one_ways_are_sharpened_by_pairs_as_far_as_these_are_precise():
    rng = np.random.default_rng(0)
    joint = rng.dirichlet(np.ones(8)).reshape(2, 2, 2)
    truth = torch.tensor([*joint.sum((1, 2)), *joint.sum((0, 2)), *joint.sum((0, 1))]).float()
    shares = torch.zeros(6, 6)
    for i, j, k in ((0, 1, 2), (0, 2, 1), (1, 2, 0)):
        block = torch.from_numpy(joint.sum(k)).float()
        shares[2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = block
        shares[2 * j : 2 * j + 2, 2 * i : 2 * i + 2] = block.T
    rough = truth + torch.tensor([0.1, -0.1] * 3)
    precise = NoisyPairs((2, 2, 2), shares, 1e6 * (1 - torch.eye(3)))
    faint = NoisyPairs((2, 2, 2), shares, 1e-6 * (1 - torch.eye(3)))
    assert torch.allclose(precise.sharpened(rough, 1.0), truth, atol=1e-4)
    kept = faint.sharpened(rough, 1.0)
    assert [float(part.sum()) for part in kept.split(2)] == pytest.approx([1.0] * 3)
    assert (kept >= 0).all()
    assert torch.allclose(kept.clamp(0.001, 0.999), rough.clamp(0.001, 0.999), atol=1e-4)


# The second round


def after_first(prior: dict[tuple[int, int], float]) -> np.ndarray:
    """Where the second round goes when pairs had that variance before the first."""
    first = pairs_of(0.25, (1e4 * (1 - np.eye(3))).tolist())
    variance = torch.zeros(6, 6)
    for (i, j), value in prior.items():
        variance[2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = value
        variance[2 * j : 2 * j + 2, 2 * i : 2 * i + 2] = value
    return second_round(first, variance, 1.0 - np.eye(3))


def test_the_second_round_is_a_split_of_the_whole():
    found = after_first({(0, 1): 1e-2, (0, 2): 1e-4, (1, 2): 1e-8})
    assert found == pytest.approx(found.T)
    assert found[np.triu_indices(3, 1)].sum() == pytest.approx(1.0)
    assert (found >= 0).all()
    assert (np.diag(found) == 0).all()


def test_the_second_round_prefers_what_is_strong_and_leaves_out_what_is_known_to_be_nothing():
    found = after_first({(0, 1): 1e-2, (0, 2): 1e-4, (1, 2): 1e-12})
    assert found[0, 1] > found[0, 2] > found[1, 2] == 0


def test_pairs_that_are_alike_get_alike_and_importance_counts():
    even = after_first({(0, 1): 1e-3, (0, 2): 1e-3, (1, 2): 1e-3})
    assert even[np.triu_indices(3, 1)] == pytest.approx([1 / 3] * 3)
    first = pairs_of(0.25, (1e4 * (1 - np.eye(3))).tolist())
    weights = np.array([[0.0, 1, 3], [1, 0, 3], [3, 3, 0]])
    found = second_round(first, torch.full((6, 6), 1e-3), weights)
    assert found[0, 2] == found[1, 2] > found[0, 1]


def test_where_nothing_was_found_the_second_round_goes_by_importance():
    assert after_first({})[np.triu_indices(3, 1)] == pytest.approx([1 / 3] * 3)


def test_a_column_of_one_code_is_in_no_pair_that_is_asked():
    table = visits()
    counter = counter_of(table, 5.0)
    counter.sizes = (1, *counter.sizes[1:])
    pairs = counter.measure(FIRST, importance(table.schema))
    assert ((pairs.precision > 0).numpy() == [[0, 0, 0], [0, 0, 1], [0, 1, 0]]).all()


def test_the_second_round_leaves_out_what_the_first_could_not_ask():
    first = pairs_of(0.25, [[0.0, 1e4, 0.0], [1e4, 0.0, 0.0], [0.0, 0.0, 0.0]])
    found = second_round(first, torch.full((6, 6), 1e-3), 1.0 - np.eye(3))
    assert found[0, 1] == pytest.approx(1.0)
    nothing = pairs_of(0.25, np.zeros((3, 3)).tolist())
    assert np.isfinite(second_round(nothing, torch.full((6, 6), 1e-3), 1.0 - np.eye(3))).all()
