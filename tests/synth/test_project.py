"""Weighing draws meets what was measured, within a cap; pools follow rules and vary little."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from privsynth.errors import ModelError
from privsynth.privacy.budget import PrivacyBudget
from privsynth.privacy.noise import SeededNoise
from privsynth.progress import SILENT
from privsynth.schema import Schema
from privsynth.synth import base
from privsynth.synth.base import load_fitted
from privsynth.synth.constraints import violations
from privsynth.synth.halves import BLOCKS
from privsynth.synth.marginal import FittedMarginal, Marginal
from privsynth.synth.maxent import Particles, Potentials
from privsynth.synth.pairs import NoisyPairs
from privsynth.synth.project import (
    Measured,
    Projection,
    believed,
    project,
    restored_projection,
    take,
)
from privsynth.table import Table

SIZES = (3, 4)
CELLS = torch.tensor(list(product(range(3), range(4))))
ALONE = torch.full((3, 4), 1 / 12)


def joint(strength: float) -> Tensor:
    """Shares of two columns, (3, 4): the higher the strength, the more code equals code."""
    found = ALONE * (1 - strength)
    found[:, :3] += strength * torch.eye(3) / 3
    return found


def measured(wanted: Tensor, precision: float = 1e8) -> Measured:
    shares = torch.zeros(7, 7)
    shares[:3, 3:], shares[3:, :3] = wanted, wanted.T
    one_ways = torch.cat([wanted.sum(1), wanted.sum(0)])
    return Measured(NoisyPairs(SIZES, shares, precision * (1 - torch.eye(2))), one_ways)


def independent(n_rows: int = 20_000) -> Tensor:
    rng = np.random.default_rng(1)
    return torch.from_numpy(np.column_stack([rng.integers(0, size, n_rows) for size in SIZES]))


def weighed(draws: Tensor, projection: Projection) -> Tensor:
    """The weighted shares of the cells, (3, 4)."""
    weights = projection.weights(draws).numpy()
    counts = np.bincount((draws[:, 0] * 4 + draws[:, 1]).numpy(), weights, minlength=12)
    return torch.from_numpy(counts / counts.sum()).float().reshape(3, 4)


# Weights


@pytest.mark.parametrize("strength", [0.0, 0.3, 0.7])
def test_weighted_draws_meet_the_measured_pairs(strength):
    draws, wanted = independent(), joint(strength)
    projection = project(draws, measured(wanted))
    assert float((weighed(draws, projection) - wanted).abs().sum()) / 2 < 0.005
    assert projection.weights(draws).mean() == pytest.approx(1.0)


def test_the_effective_share_is_that_of_the_weights_and_falls_with_the_distance():
    draws = independent()
    found = [project(draws, measured(joint(strength))) for strength in (0.0, 0.4, 0.8)]
    shares = [each.effective_share for each in found]
    assert shares[0] > 0.99
    assert shares[0] > shares[1] > shares[2]
    weights = found[2].weights(draws)
    assert shares[2] == pytest.approx(float(1 / weights.square().mean()), rel=0.01)
    assert shares[2] == pytest.approx(float(1 / (joint(0.8).square() / ALONE).sum()), rel=0.05)


@pytest.mark.parametrize("bias", [3.0, 8.0, 30.0, 300.0])
def test_no_draw_weighs_more_than_the_cap(bias):
    potentials = Potentials.zero((2,))
    potentials.bias[1] = bias
    draws = torch.zeros(1_000, 1, dtype=torch.long)
    draws[:20] = 1  # as many times the mean as they can be, 50 if they are alone
    weights = Projection(potentials, 1.0).weights(draws)
    assert weights.max() <= 10 * 1.01
    assert weights.mean() == pytest.approx(1.0)
    assert weights[0] > weights[-1]


def test_however_many_draws_there_are_all_of_them_are_weighed(monkeypatch):
    """Few cycles, on every draw: weights from a part would leave its chance in the rest, .003."""
    monkeypatch.setattr("privsynth.synth.project._CELLS", 1.0)
    draws, wanted = independent(), joint(0.5)
    found = weighed(draws, project(draws, measured(wanted)))
    assert (found - wanted).abs().max() < 5e-4


def test_pairs_are_counted_so_many_rows_at_a_time(monkeypatch):
    rows = Particles(independent(1_000), SIZES)
    whole = rows.pair_shares()
    monkeypatch.setattr("privsynth.synth.maxent._NUMBERS_AT_ONCE", 50)
    assert torch.allclose(rows.pair_shares(), whole, atol=1e-6)


def test_pairs_that_no_draw_has_are_survived():
    """Half of the wanted shares lie where no draw is: the others take their place."""
    draws, wanted = independent(), joint(0.8)
    draws = draws[(draws[:, 0] != 0) | (draws[:, 1] != 0)]
    projection = project(draws, measured(wanted))
    weights = projection.weights(draws)
    assert torch.isfinite(weights).all()
    assert 0 < projection.effective_share <= 1
    found = weighed(draws, projection)
    assert found[0, 0] == 0
    assert found[1, 1] > found[1, 2]


def test_without_any_pair_the_shares_of_columns_are_met():
    wanted = joint(0.5)
    unmeasured = measured(wanted, 0.0)
    one_ways = torch.tensor([0.7, 0.2, 0.1, 0.4, 0.3, 0.2, 0.1])
    draws = independent()
    projection = project(draws, Measured(unmeasured.pairs, one_ways))
    found = weighed(draws, projection)
    assert found.sum(1).tolist() == pytest.approx([0.7, 0.2, 0.1], abs=0.01)
    assert found.sum(0).tolist() == pytest.approx([0.4, 0.3, 0.2, 0.1], abs=0.01)


def test_what_is_aimed_at_is_the_draws_where_noise_is_large_and_the_answer_where_it_is_small():
    draws = Particles(independent(), SIZES).pair_shares()
    noise = 0.02 * torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    block = slice(0, 3), slice(3, 7)
    trusted = believed(measured(joint(0.5)), draws)[block]
    doubted = believed(measured(ALONE + noise, 0.02**-2), draws)[block]
    assert torch.allclose(trusted, joint(0.5), atol=1e-4)
    assert (doubted - draws[block]).abs().sum() < 0.5 * noise.abs().sum()
    assert (doubted >= 0).all()


# Taking rows


def test_rows_are_taken_as_often_as_they_weigh_to_within_one():
    rows = torch.arange(6)[:, None]
    weights = torch.tensor([0.0, 1.0, 2.5, 3.5, 0.5, 2.5])
    for seed in range(20):
        taken = take(rows, weights, 1_000, np.random.default_rng(seed))
        counts = np.bincount(taken[:, 0], minlength=6)
        assert np.abs(counts - 100 * weights.numpy()).max() <= 1
    assert taken[:10, 0].unique().numel() > 1  # in no order


# Generators with a pool


def stays(n: int = 2_000) -> Table:
    """Stays in which nobody leaves before they came, and nobody of ward C is high."""
    rng = np.random.default_rng(2)
    came = rng.integers(0, 12, n)
    ward = rng.choice(["A", "B", "C"], n)
    document = {
        "dataset": {"id": "stays"},
        "columns": {
            "came": {"kind": "integer", "lower": 0, "upper": 20},
            "left": {"kind": "integer", "lower": 0, "upper": 20},
            "ward": {"kind": "categorical", "categories": ["A", "B", "C"]},
            "high": {"kind": "boolean"},
        },
        "constraints": [
            {"kind": "inequality", "low": "came", "high": "left"},
            {
                "kind": "implication",
                "column": "ward",
                "value": "C",
                "then": "high",
                "allowed": ["false"],
            },
        ],
    }
    frame = pd.DataFrame(
        {
            "came": came,
            "left": (came + rng.poisson(3, n)).clip(0, 20),
            "ward": ward,
            "high": (ward != "C") & (rng.random(n) < 0.5),
        }
    )
    return Table.from_pandas(frame, Schema.parse(document))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRIVSYNTH_LEDGER", str(tmp_path_factory.mktemp("l") / "l.sqlite"))
        return Marginal().fit(
            stays(), PrivacyBudget(3.0, 1e-5), noise=SeededNoise(1), rng=np.random.default_rng(1)
        )


@pytest.fixture
def drawn(fitted, monkeypatch) -> list[int]:
    """How many rows each draw of a sample asks for."""
    asked: list[int] = []
    right = type(fitted).sample_codes

    def counting(self, n_rows, *rest):
        asked.append(n_rows)
        return right(self, n_rows, *rest)

    monkeypatch.setattr(type(fitted), "sample_codes", counting)
    return asked


def test_tables_break_no_rule_and_few_rows_are_drawn_again(fitted, drawn):
    table = fitted.sample(1_000, rng=np.random.default_rng(3))
    assert violations(table) == {}
    assert table.n_rows == 1_000
    assert sum(drawn) < 1_200  # columns drawn on their own would need more than 2,000


def test_the_rules_shape_the_pool_itself(fitted):
    decoded = fitted.codebook.decode(fitted.pool.long().numpy(), np.random.default_rng(5))
    assert violations(decoded).get(1, 0) < 0.1 * len(fitted.pool)  # within a bin a day may differ
    assert 2 not in violations(decoded)


@pytest.mark.parametrize("where", [{"high": False}, {"ward": "A"}, {"came": 4}])
def test_rows_under_a_condition_are_seldom_drawn_again(fitted, drawn, where):
    """The weights were fitted to lawful draws; beyond them they must not favour the others."""
    fitted.sample(500, where=where, rng=np.random.default_rng(3))
    assert sum(drawn) < 900


def test_a_pair_of_codes_that_no_draw_has_gets_no_weight_of_its_own():
    draws = independent()
    draws = draws[(draws[:, 0] != 0) | (draws[:, 1] != 0)]
    projection = project(draws, measured(joint(0.8)))
    assert projection.potentials.theta[0, 3] == 0
    assert projection.potentials.theta[1, 4] > 0.5  # where draws are, it is far from nothing


def test_a_fit_outlives_rules_that_hardly_any_draw_keeps_and_its_samples_tell(monkeypatch):
    for module in ("project", "base"):
        monkeypatch.setattr(
            f"privsynth.synth.{module}.satisfied", lambda table: np.arange(table.n_rows) < 1
        )
    fitted = Marginal().fit(stays(500), PrivacyBudget(1.0, 1e-5))
    assert len(fitted.pool) == 4_000
    with pytest.raises(ModelError, match="draws keep to the schema's constraints; check that"):
        fitted.sample(200)
    name, value = next(iter(fitted.sample(1).to_pandas().iloc[0].items()))
    with pytest.raises(ModelError, match=f"with the values asked for {name} keep .* ask for other"):
        fitted.sample(200, where={name: value})


def test_a_pool_is_made_of_lawful_draws_alone_though_most_are_not(monkeypatch):
    drawn: list[int] = []
    right = FittedMarginal.draw
    monkeypatch.setattr(
        FittedMarginal,
        "draw",
        lambda self, n_rows, *rest: drawn.append(n_rows) or right(self, n_rows, *rest),
    )
    monkeypatch.setattr(
        "privsynth.synth.project.satisfied",
        lambda table: (table.labels("ward") == "B") & (np.arange(table.n_rows) % 2 == 0),
    )
    fitted = Marginal().fit(stays(500), PrivacyBudget(1.0, 1e-5))
    labels = fitted.codebook.decode(fitted.pool.long().numpy(), np.random.default_rng(0))
    assert set(labels.labels("ward")) == {"B"}
    assert 2 <= len(drawn) <= 6  # of a draw about a sixth is lawful: a few are needed


@pytest.mark.parametrize(
    ("n_rows", "where"), [(4_001, {}), (300, {"ward": "C"}), (300, {"came": 4, "high": True})]
)
def test_rows_beyond_the_pool_or_under_a_condition_keep_to_the_rules(fitted, n_rows, where):
    table = fitted.sample(n_rows, where=where, rng=np.random.default_rng(1))
    frame = table.frame()
    assert table.n_rows == n_rows
    assert violations(table) == {}
    for name, value in where.items():
        assert (frame[name] == value).all()


def test_tables_differ_by_their_rng_and_only_by_it(fitted):
    tables = [fitted.sample(200, rng=np.random.default_rng(seed)).data for seed in (1, 1, 2)]
    assert tables[0].equals(tables[1])
    assert not tables[0].equals(tables[2])


@pytest.mark.parametrize("asked", [{}, {"balance": {"ward": {"A": 0.2, "B": 0.5, "C": 0.3}}}])
def test_pools_stand_in_blocks_that_are_each_like_the_whole(fitted, asked):
    pool = fitted.projected_to(rng=np.random.default_rng(0), **asked).pool if asked else fitted.pool
    wards = np.stack([np.bincount(block[:, 2], minlength=3) for block in pool.chunk(BLOCKS)])
    by_chance = wards.sum(0) / BLOCKS * (1 - wards.sum(0) / len(pool))
    assert (wards.var(axis=0) < 0.1 * by_chance).all()


def test_a_table_of_many_chunks_is_taken_from_the_pool_at_once(fitted, monkeypatch):
    """Chunk by chunk, whole blocks would come twice and others never."""
    asked = []
    right = type(fitted).sample_codes
    monkeypatch.setattr(base, "_CHUNK_ROWS", 100)
    monkeypatch.setattr(
        type(fitted),
        "sample_codes",
        lambda self, n_rows, *rest: asked.append(n_rows) or right(self, n_rows, *rest),
    )
    assert fitted.sample(1_000, rng=np.random.default_rng(0)).n_rows == 1_000
    assert asked[0] == 1_000
    assert sum(asked) < 1_200  # a rule may reject some: those alone are drawn again
    asked.clear()
    fitted.sample(250, where={"ward": "A"}, rng=np.random.default_rng(0))
    assert max(asked) <= 100  # drawn anew, a chunk at a time


def test_pool_and_projection_survive_saving(fitted, tmp_path):
    fitted.save(tmp_path)
    again = load_fitted(tmp_path)
    assert (again.pool == fitted.pool).all()
    assert again.effective_share == fitted.effective_share
    draws = fitted.draw(500, {}, np.random.default_rng(0))
    assert (again.projection.weights(draws) == fitted.projection.weights(draws)).all()
    given = {2: 1}
    codes = [
        each.sample_codes(300, given, np.random.default_rng(4), SILENT) for each in (fitted, again)
    ]
    assert (codes[0] == codes[1]).all()


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("pool", lambda pool: pool[:, :2]),
        ("pool", lambda pool: pool[:0]),
        ("pool", lambda pool: pool.ravel()),
        ("pool", lambda pool: pool + 100),
        ("projection.bias", lambda bias: bias[:-1]),
        ("projection.theta", lambda theta: theta[:, :-1]),
        ("projection.effective_share", lambda share: share[:0]),
    ],
)
def test_a_damaged_pool_or_projection_is_refused(fitted, name, damage):
    tensors = fitted.tensors()
    with pytest.raises((ValueError, RuntimeError, IndexError)):
        restored_projection(fitted.codebook, tensors | {name: damage(tensors[name])})


@pytest.mark.parametrize("name", ["pool", "projection.theta", "projection.effective_share"])
def test_a_model_without_its_projection_is_refused_in_one_line(fitted, tmp_path, name):
    from safetensors.numpy import save

    fitted.save(tmp_path)
    left = {key: value for key, value in fitted.tensors().items() if key != name}
    (tmp_path / "weights.safetensors").write_bytes(save(left))
    with pytest.raises(ModelError, match="damaged"):
        load_fitted(tmp_path)


def test_a_model_whose_figures_are_empty_is_refused_in_one_line(fitted, tmp_path):
    from safetensors.numpy import save

    fitted.save(tmp_path)
    broken = fitted.tensors() | {"projection.effective_share": np.empty(0)}
    (tmp_path / "weights.safetensors").write_bytes(save(broken))
    with pytest.raises(ModelError, match="damaged"):
        load_fitted(tmp_path)


def test_a_pair_with_one_cell_whose_noisy_share_is_below_nothing_asks_for_nothing():
    sizes, draws = (
        (1, 1, 2),
        torch.stack([torch.zeros(1_000).long()] * 2 + [torch.arange(1_000) % 2], 1),
    )
    shares = Particles(draws, sizes).pair_shares()
    shares[0, 1] = shares[1, 0] = -1.0
    noisy = NoisyPairs(sizes, shares, 100.0 * (1 - torch.eye(3)))
    projection = project(draws, Measured(noisy, torch.tensor([1.0, 1.0, 0.5, 0.5])))
    assert projection.effective_share == pytest.approx(1.0)
