"""Class balance and demographic parity: met by the pool, refused where they cannot be."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import privsynth as ps
from privsynth.privacy.noise import SeededNoise
from privsynth.synth import marginal
from privsynth.synth.base import FittedSynthesizer
from privsynth.synth.targets import Targets

SCHEMA = ps.Schema.parse(
    {
        "dataset": {"id": "loans"},
        "columns": {
            "sex": {"kind": "categorical", "categories": ["f", "m"]},
            "income": {"kind": "integer", "lower": 0, "upper": 99},
            "granted": {
                "kind": "categorical",
                "categories": ["yes", "no", "pending", "lost"],
                "missing": True,
                "role": "target",
            },
        },
    }
)


def learned(train: ps.Table, folder: Path) -> FittedSynthesizer:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(marginal, "ROUNDS", 60)
        patch.setattr(marginal, "_PARTICLES", (2_000, 2_000))
        return ps.Marginal(max_codes=8).fit(
            train,
            ps.PrivacyBudget(20.0, 1e-6),
            ledger=ps.Ledger(folder / "ledger.sqlite"),
            noise=SeededNoise(1),
            rng=ps.rng(1),
        )


def loans(n: int = 4_000) -> ps.Table:
    """Men earn more, and who earns more is granted more; nothing is ever lost."""
    rng = np.random.default_rng(4)
    sex = rng.choice(["f", "m"], n)
    income = np.clip(rng.normal(np.where(sex == "m", 60, 40), 15), 0, 99).astype(int)
    granted = np.where(rng.random(n) < income / 150, "yes", "no").astype(object)
    granted[rng.random(n) < 0.1] = "pending"
    granted[rng.random(n) < 0.1] = None
    return ps.read_table(pd.DataFrame({"sex": sex, "income": income, "granted": granted}), SCHEMA)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> FittedSynthesizer:
    return learned(loans(), tmp_path_factory.mktemp("ledger"))


def frame(fitted: FittedSynthesizer, n: int = 4_000) -> pd.DataFrame:
    return fitted.sample(n, rng=ps.rng(2)).to_pandas()


def shares(column: pd.Series) -> dict[str, float]:
    return column.astype(object).fillna("missing").value_counts(normalize=True).to_dict()


def gap(table: pd.DataFrame) -> float:
    """How much more often men are granted than women."""
    granted = (table["granted"] == "yes").groupby(table["sex"], observed=True).mean()
    return float(granted["m"] - granted["f"])


def test_a_class_balance_is_met_and_the_rest_keeps_its_proportions(
    fitted: FittedSynthesizer,
) -> None:
    balanced = fitted.projected_to(balance={"granted": {"yes": 0.5}})
    before, after = shares(frame(fitted)["granted"]), shares(frame(balanced)["granted"])
    assert after["yes"] == pytest.approx(0.5, abs=0.005)
    kept = before["pending"] / before["no"]
    assert after["pending"] / after["no"] == pytest.approx(kept, rel=0.1)
    assert 0 < balanced.effective_share < fitted.effective_share


def test_what_is_known_given_the_class_is_kept(fitted: FittedSynthesizer) -> None:
    balanced = fitted.projected_to(balance={"granted": {"yes": 0.5, "no": 0.5}})
    assert set(shares(frame(balanced)["granted"])) == {"yes", "no"}
    for outcome in ("yes", "no"):
        before, after = (
            table.loc[table["granted"] == outcome, "income"].mean()
            for table in (frame(fitted), frame(balanced))
        )
        assert after == pytest.approx(before, abs=1.5)


def test_a_rare_value_can_be_asked_for_in_half_of_the_rows(fitted: FittedSynthesizer) -> None:
    balanced = fitted.projected_to(balance={"granted": {None: 0.9}})
    assert shares(frame(balanced)["granted"])["missing"] == pytest.approx(0.9, abs=0.005)


def test_more_rows_than_the_pool_has_keep_to_the_targets(fitted: FittedSynthesizer) -> None:
    n_rows = len(fitted.pool) + 1_000
    balanced = fitted.projected_to(balance={"granted": {None: 0.9}})
    assert shares(frame(balanced, n_rows)["granted"])["missing"] == pytest.approx(0.9, abs=0.02)


def test_demographic_parity_closes_the_gap_and_keeps_both_columns(
    fitted: FittedSynthesizer,
) -> None:
    before, after = frame(fitted), frame(fitted.projected_to(independent=[("sex", "granted")]))
    assert gap(before) > 0.08
    assert abs(gap(after)) < 0.01
    for column in ("sex", "granted"):
        was, now = shares(before[column]), shares(after[column])
        for value in was | now:
            assert now.get(value, 0.0) == pytest.approx(was.get(value, 0.0), abs=0.01)


def test_both_targets_at_once(fitted: FittedSynthesizer) -> None:
    both = frame(
        fitted.projected_to(
            balance={"granted": {"yes": 0.5, "no": 0.5}}, independent=[("sex", "granted")]
        )
    )
    assert shares(both["granted"]) == pytest.approx({"yes": 0.5, "no": 0.5}, abs=0.005)
    assert abs(gap(both)) < 0.01


def test_targets_survive_saving_and_are_told(fitted: FittedSynthesizer, tmp_path: Path) -> None:
    fitted.projected_to(balance={"sex": {"f": 0.9}}).save(tmp_path / "model")
    loaded = ps.load_fitted(tmp_path / "model")
    assert shares(frame(loaded)["sex"])["f"] == pytest.approx(0.9, abs=0.005)
    assert loaded.settings["targets"]["balance"] == {"sex": {"f": 0.9}}
    assert loaded.guarantee == fitted.guarantee
    assert loaded.effective_share < fitted.effective_share


@pytest.mark.parametrize(
    ("balance", "independent", "rule"),
    [
        ({}, [], "no target"),
        ({"height": {"1": 0.5}}, [], "column 'height'"),
        ({"granted": {"perhaps": 0.5}}, [], "column 'granted': the value asked for"),
        ({"granted": {"yes": -0.1}}, [], "shares are at least 0"),
        ({"granted": {"yes": 0.7, "no": 0.4}}, [], "sum to at most 1"),
        ({"granted": {"yes": float("nan")}}, [], "shares are at least 0"),
        ({"granted": {"yes": "x"}}, [], "column 'granted': a share is a number"),
        ({"granted": {"yes": None}}, [], "column 'granted': a share is a number"),
        ({"sex": {"f": 0.5, "m": 0.4}}, [], "must sum to 1"),
        ({"income": {"40": 0.5, "41": 0.2}}, [], "fall into one group"),
        ({"income": {"40": 0.5}}, [], "column 'income': one of the values is drawn in a group"),
        ({"sex": {None: 0.5}}, [], "column 'sex': the schema does not allow"),
        ({}, [("sex", "height")], "column 'height'"),
        ({}, [("sex", "sex")], "independent of itself"),
    ],
)
def test_impossible_targets_are_refused(fitted: FittedSynthesizer, balance, independent, rule):
    with pytest.raises((ps.SchemaError, ps.UsageError), match=rule):
        fitted.projected_to(balance=balance, independent=independent)


def test_combinations_that_are_never_drawn_are_told(fitted: FittedSynthesizer) -> None:
    """Every woman is refused and every man granted: no weights make that independent."""
    codes = np.zeros((1_000, 3), dtype=np.int64)
    codes[500:, 0] = codes[500:, 2] = 1
    targets = Targets.of(fitted.codebook, codes, {}, [("sex", "granted")])
    with pytest.raises(ps.SchemaError, match="50% of the table would need combinations"):
        targets.rake(codes)


def alike(n: int, n_other: int) -> np.ndarray:
    """Codes whose first and last column are the same, but for some rows either way."""
    codes = np.zeros((n, 3), dtype=np.int64)
    codes[n // 2 :, 0] = codes[n // 2 :, 2] = 1
    codes[:n_other, 2], codes[-n_other:, 2] = 1, 0
    return codes


def crossed(fitted: FittedSynthesizer, codes: np.ndarray) -> Targets:
    """Shares of the two columns that rows alike in both cannot have together."""
    balance = {"sex": {"f": 0.9, "m": 0.1}, "granted": {"yes": 0.1, "no": 0.9}}
    return Targets.of(fitted.codebook, codes, balance, [])


def test_balances_that_contradict_each_other_are_refused(fitted: FittedSynthesizer) -> None:
    codes = np.repeat([[0, 0, 0], [1, 0, 1]], 500, axis=0)
    with pytest.raises(ps.SchemaError, match=r"column 'sex': .* cannot be met together"):
        crossed(fitted, codes).rake(codes)


def test_balances_that_a_handful_of_draws_would_carry_are_refused(
    fitted: FittedSynthesizer,
) -> None:
    few, enough = alike(40_000, 15), alike(40_000, 2_000)
    with pytest.raises(ps.SchemaError, match="repeat about 23 of the generator's 40000 draws"):
        crossed(fitted, few).rake(few)
    _, weights = crossed(fitted, enough).rake(enough)
    assert weights[enough[:, 0] == 0].sum() == pytest.approx(0.9, abs=0.01)


def test_targets_upon_targets_are_refused(fitted: FittedSynthesizer) -> None:
    """Half and half after nine in ten would weigh few draws twice."""
    once = fitted.projected_to(balance={"sex": {"f": 0.9}})
    with pytest.raises(ps.UsageError, match="has targets already"):
        once.projected_to(balance={"sex": {"f": 0.5}})


def test_a_value_that_is_never_drawn_cannot_be_asked_for(fitted: FittedSynthesizer) -> None:
    codes = np.zeros((1_000, 3), dtype=np.int64)
    with pytest.raises(ps.SchemaError, match="never draws one of the values"):
        Targets.of(fitted.codebook, codes, {"sex": {"m": 0.5}}, [])


def test_what_a_rule_makes_dependent_is_not_called_independent(tmp_path: Path) -> None:
    """Rows are weighed as they will stand in the table, after the rule has set its column."""
    rule = {"kind": "functional_dependency", "column": "sex", "determines": "granted"}
    document = SCHEMA.to_dict() | {"constraints": [rule | {"mapping": {"f": "no", "m": "yes"}}]}
    records = loans().to_pandas()
    records["granted"] = np.where(records["sex"] == "m", "yes", "no")
    fitted = learned(ps.read_table(records, ps.Schema.parse(document)), tmp_path)
    with pytest.raises(ps.SchemaError, match="combinations of their values that the generator"):
        fitted.projected_to(independent=[("sex", "granted")])
