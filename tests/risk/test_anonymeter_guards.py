"""Each fault of anonymeter 1.1.0: the bare library shows it, the door does not."""

from __future__ import annotations

import inspect
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from privsynth.risk import anonymeter as door
from privsynth.risk.base import AttackResult, Risk
from privsynth.risk.guessing import group_rates, scorer, within_share
from privsynth.risk.inference import Inference
from privsynth.risk.linkability import Linkability
from privsynth.risk.plain import PlainTable, plain_tables
from privsynth.risk.singling_out import SinglingOut
from privsynth.schema import NumericColumn, Schema
from privsynth.table import Table, Tables

MakeTables = Callable[..., Tables]


@pytest.fixture(autouse=True)
def _bare_library_may_warn() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import anonymeter.evaluators  # noqa: F401

        yield


def numbers_frame(n_rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    a = rng.normal(size=n_rows)
    return pd.DataFrame({"a": a, "b": a + rng.normal(size=n_rows), "c": rng.normal(size=n_rows)})


def skewed_frame(n_rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    secret = rng.choice(["u", "v", "w"], n_rows, p=[0.8, 0.1, 0.1])
    return numbers_frame(n_rows, seed).assign(secret=secret)


def skewed_tables(n_train: int, n_control: int, n_synthetic: int) -> Tables:
    number = {"kind": "numeric", "lower": -10, "upper": 10}
    columns = {name: number | {"role": "quasi_identifier"} for name in "abc"}
    secret = {"kind": "categorical", "categories": ["u", "v", "w"], "role": "sensitive"}
    schema = Schema.parse({"dataset": {"id": "d"}, "columns": columns | {"secret": secret}})
    sizes = (n_train, n_control, n_synthetic)
    return Tables(*(Table.from_pandas(skewed_frame(n, i), schema) for i, n in enumerate(sizes)))


def plain(
    numbers: dict[str, list[float]], labels: dict[str, list[int]], persons: list[int] | None = None
) -> PlainTable:
    n_rows = len(next(iter((numbers or labels).values())))
    return PlainTable(
        {name: np.array(values, dtype=np.float64) for name, values in numbers.items()},
        {name: np.array(values, dtype=np.int64) for name, values in labels.items()},
        np.arange(n_rows) if persons is None else np.array(persons),
    )


def result_of(results: tuple[object, ...], attack: str) -> AttackResult:
    (found,) = [r for r in results if isinstance(r, AttackResult) and r.attack == attack]
    return found


def attack_numbers_from_door(
    attack: SinglingOut | Linkability | Inference, tables: Tables, seed: int = 0
) -> tuple[object, ...]:
    return attack.run(tables, np.random.default_rng(seed))


def test_01_the_baseline_of_inference_is_what_guessing_gives() -> None:
    from anonymeter.evaluators import InferenceEvaluator

    frames = [skewed_frame(2000, seed) for seed in (1, 2)]
    bare = InferenceEvaluator(*frames, aux_cols=["a", "b"], secret="secret", n_attacks=100)
    results = bare.evaluate(n_jobs=1).results()
    assert results.n_baseline / results.n_attacks_baseline < 0.2  # guessing "u" gives .8

    tables = skewed_tables(300, 300, 300)
    guarded = result_of(
        attack_numbers_from_door(Inference(n_targets=100), tables), "inference_secret"
    )
    assert guarded.prior == pytest.approx(0.8, abs=0.06)
    assert guarded.details["random_guess"] == pytest.approx(0.66, abs=0.08)


def test_02_a_smaller_control_table_makes_no_risk() -> None:
    from anonymeter.evaluators import SinglingOutEvaluator

    sizes = {"ori": 2000, "syn": 2000, "control": 200}
    frames = {name: numbers_frame(n, seed) for seed, (name, n) in enumerate(sizes.items())}
    bare = SinglingOutEvaluator(**frames, n_attacks=200, n_cols=3, max_attempts=20_000, seed=1)
    assert bare.evaluate().risk().ci[0] > 0.05  # yet nothing leaks

    tables = skewed_tables(2000, 200, 2000)
    attack = SinglingOut(n_queries=200, n_columns=(3,))
    guarded = result_of(attack_numbers_from_door(attack, tables), "singling_out_3")
    assert guarded.details["persons_a_side"] == 200
    assert isinstance(guarded.excess, Risk)
    assert guarded.excess.low <= 0 <= guarded.excess.high


def test_03_rates_are_over_the_queries_that_were_made() -> None:
    from anonymeter.evaluators import SinglingOutEvaluator

    frame = numbers_frame(40, 0)
    bare = SinglingOutEvaluator(frame, frame, n_attacks=5000, n_cols=1)
    rate = bare.evaluate("univariate").results().attack_rate
    assert len(bare.queries()) < 500  # every one of them is right
    assert rate.value < 0.1

    table = skewed_tables(40, 40, 40).train
    attack = SinglingOut(n_queries=5000, n_columns=(1,))
    tables = Tables(table, table, table)
    guarded = result_of(attack_numbers_from_door(attack, tables), "singling_out_univariate")
    assert guarded.n_planned == 5000
    assert guarded.n_done == guarded.member.total < 500
    assert guarded.member.value > 0.9


def test_04_labels_with_quotes_match() -> None:
    import polars as pl
    from anonymeter.evaluators.singling_out_evaluator import multivariate_singling_out_queries

    frame = pl.DataFrame({"x": [f"O'Hara {i}" for i in range(50)], "y": ["-"] * 50})
    rng = np.random.default_rng(0)
    assert multivariate_singling_out_queries(frame, 10, 2, 2000, rng) == []

    table = plain({}, {"x": list(range(50)), "y": [0] * 50})
    queries = door.multivariate_queries(table, 10, 2, seed=0)
    assert len(queries) == 10
    assert (door.singled_out(queries, table) >= 0).all()


def test_04_quoted_labels_of_a_table_are_found(make_tables: MakeTables) -> None:
    tables = make_tables(300, 100, 300)
    copied = plain_tables(Tables(tables.train, tables.control, tables.train))
    quoted = np.unique(copied.train.labels["town"])[-1]  # sorted last: the one with quotes
    rows = copied.train.take(copied.train.labels["town"] == quoted)
    queries = door.multivariate_queries(rows, 30, 5, seed=0)
    assert len(queries) == 30


def test_05_dates_and_nullable_integers_work(make_tables: MakeTables) -> None:
    import polars as pl
    from anonymeter.evaluators import SinglingOutEvaluator
    from anonymeter.neighbors.mixed_types_kneighbors import MixedTypeKNeighbors
    from numba.core.errors import TypingError

    dated = numbers_frame(100, 0).assign(day=pd.date_range("2020-01-01", periods=100))
    with pytest.raises(pl.exceptions.InvalidOperationError):
        SinglingOutEvaluator(dated, dated, n_attacks=20, n_cols=4, max_attempts=1000).evaluate()
    nullable = numbers_frame(30, 0).assign(n=pd.array([1, 2, None] * 10, dtype="Int64"))
    with pytest.raises(TypingError):
        MixedTypeKNeighbors(n_neighbors=1, n_jobs=1).fit(nullable).kneighbors(nullable)

    tables = make_tables(200, 100, 200)  # dates, integers and booleans with missing entries
    singled = SinglingOut(n_queries=50, n_columns=(5,))
    for attack in (singled, Linkability(n_targets=50), Inference(n_targets=50)):
        results = attack_numbers_from_door(attack, tables)
        assert results
        assert all(isinstance(result, AttackResult) for result in results)


def test_06_the_kind_of_the_column_says_number_or_label() -> None:
    from anonymeter.evaluators import InferenceEvaluator

    default = inspect.signature(InferenceEvaluator).parameters["regression"].default
    assert default is False  # a cost of 100.00 guessed as 100.01 counts as wrong

    score = scorer(NumericColumn(lower=0, upper=1000))
    assert score(np.array([100.01]), np.array([100.0]))[0]


def test_07_a_negative_guess_is_not_always_right() -> None:
    from anonymeter.evaluators.inference_evaluator import evaluate_inference_guesses

    guesses, secrets = pd.Series([-900.0, -20.0]), pd.Series([5.0, 700.0])
    assert evaluate_inference_guesses(guesses, secrets, regression=True).all()

    assert not within_share(guesses.to_numpy(), secrets.to_numpy()).any()


def test_07_negative_balances_are_not_inferred(make_tables: MakeTables) -> None:
    results = attack_numbers_from_door(Inference(n_targets=300), make_tables(600, 300, 600))
    assert result_of(results, "inference_balance").member.value < 0.15  # half are negative


def test_08_attacks_are_seeded_and_global_generators_untouched(make_tables: MakeTables) -> None:
    from anonymeter.evaluators import LinkabilityEvaluator

    frame = numbers_frame(200, 0)

    def bare() -> list[NDArray[np.int64]]:
        evaluator = LinkabilityEvaluator(frame, frame, (["a"], ["b", "c"]), n_attacks=50)
        links = evaluator.evaluate(n_jobs=1)._baseline_links
        return [links._idx_0, links._idx_1]

    np.random.seed(7)
    first = bare()
    np.random.seed(7)
    assert not all(np.array_equal(a, b) for a, b in zip(first, bare(), strict=True))

    tables = make_tables(200, 100, 200)
    before = np.random.get_state()[1].tolist()
    for attack in (
        SinglingOut(n_queries=60, n_columns=(1, 3)),
        Linkability(n_targets=60),
        Inference(n_targets=60),
    ):
        one, again = (attack_numbers_from_door(attack, tables, seed=3) for _ in range(2))
        assert one == again
        assert all("seed" in result.details for result in one if isinstance(result, AttackResult))
    assert np.random.get_state()[1].tolist() == before


def test_08_rare_values_come_in_one_order_for_one_seed() -> None:
    table = plain({"x": list(np.random.default_rng(0).normal(size=500))}, {})
    lists = [list(map(str, door.univariate_queries(table, 20, seed=1))) for _ in range(3)]
    assert lists[0] == lists[1] == lists[2]
    assert lists[0] != list(map(str, door.univariate_queries(table, 20, seed=2)))


def test_09_a_small_control_limits_the_attacks(make_tables: MakeTables) -> None:
    from anonymeter.evaluators import LinkabilityEvaluator

    frame, halves = numbers_frame(200, 0), (["a"], ["b", "c"])
    small = numbers_frame(50, 1)
    with pytest.raises(ValueError, match="larger sample than population"):
        LinkabilityEvaluator(frame, frame, halves, 100, control=small).evaluate(n_jobs=1)
    numpy_integer = LinkabilityEvaluator(frame, frame, halves, np.int64(50)).evaluate(n_jobs=1)
    with pytest.raises(ValueError, match="must be an integer"):
        numpy_integer.risk()

    attack = Linkability(n_targets=np.int64(100))
    guarded = result_of(attack_numbers_from_door(attack, make_tables(200, 50, 200)), "linkability")
    assert guarded.control is not None
    assert (guarded.member.total, guarded.control.total) == (100, 50)


def test_10_groups_are_divided_by_who_was_attacked() -> None:
    from anonymeter.evaluators import InferenceEvaluator

    ori, syn, control = (skewed_frame(400, seed) for seed in range(3))
    bare = InferenceEvaluator(
        ori, syn, ["a", "b"], "secret", n_attacks=100, control=control
    ).evaluate(n_jobs=1)
    groups = bare.risk_for_groups().values()
    assert sum(group.n_attacks_control for group in groups) == 400  # 100 were attacked

    hits, secrets = np.array([True] * 30 + [False] * 70), np.arange(100) % 3
    assert sum(rate.total for rate in group_rates(hits, secrets).values()) == 100

    results = attack_numbers_from_door(Inference(n_targets=100), skewed_tables(400, 400, 400))
    details = result_of(results, "inference_secret").details
    assert details["worst_group_targets"] <= 100
    assert -1 <= details["worst_group_excess"] <= 1


def test_11_missing_entries_match_each_other() -> None:
    from anonymeter.neighbors.mixed_types_kneighbors import gower_distance

    nan = np.array([np.nan])
    assert gower_distance(nan, nan, 1) == 1

    candidates = plain({"x": [1.0, np.nan, 9.0]}, {"y": [0, -1, 1]})
    targets = plain({"x": [np.nan, 9.0, np.nan]}, {"y": [-1, 1, -1]})
    assert door.nearest_rows(candidates, targets, ("x", "y"), seed=0).tolist() == [1, 2, 1]


def test_12_ties_are_broken_at_random() -> None:
    from anonymeter.neighbors.mixed_types_kneighbors import MixedTypeKNeighbors

    equal = pd.DataFrame({"x": [1.0] * 8, "y": [0.0] * 8})
    search = MixedTypeKNeighbors(n_neighbors=1, n_jobs=1).fit(equal)
    assert len(set(search.kneighbors(pd.concat([equal] * 50)).ravel())) == 1

    candidates = plain({"x": [1.0] * 8 + [5.0]}, {"y": [0] * 6 + [1] * 2 + [0]})
    targets = plain({"x": [1.0] * 4000}, {"y": [2] * 4000})  # unlike all labels: eight are tied
    drawn = np.bincount(door.nearest_rows(candidates, targets, ("x", "y"), 0), minlength=9)
    assert drawn[8] == 0
    assert drawn[:8].min() > 400  # 500 each by chance


def test_12_a_tie_beyond_the_neighbours_looked_at_is_still_random() -> None:
    candidates = plain({}, {"x": list(range(200))})
    targets = plain({}, {"x": [999] * 50})
    found = {
        row for seed in range(20) for row in door.nearest_rows(candidates, targets, ("x",), seed)
    }
    assert len(found) > 150


def test_13_attempts_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    from anonymeter.evaluators import SinglingOutEvaluator, singling_out_evaluator

    default = inspect.signature(SinglingOutEvaluator).parameters["max_attempts"].default
    assert default == 10_000_000

    assert 20_000 <= door.MAX_ATTEMPTS <= 50_000
    tried: list[int] = []
    real = singling_out_evaluator._evaluate_queries

    def counted(df: object, queries: list[object]) -> object:
        tried.append(len(queries))
        return real(df=df, queries=queries)

    monkeypatch.setattr(singling_out_evaluator, "_evaluate_queries", counted)
    monkeypatch.setattr(door, "MAX_ATTEMPTS", 3_000)
    cube = {f"x{i}": [row >> i & 1 for row in range(64)] for i in range(6)}
    assert door.multivariate_queries(plain({}, cube), 500, 3, seed=0) == []
    assert sum(tried) == door.FIRST_ATTEMPTS < 3_000  # none of them: no more are tried
    tried.clear()
    corner = cube | {"y": [1] + [0] * 63}
    assert 0 < len(door.multivariate_queries(plain({}, corner), 500, 3, seed=0)) < 500
    assert sum(tried) == door.FIRST_ATTEMPTS + 3_000


def test_14_persons_are_counted_not_rows() -> None:
    import polars as pl
    from anonymeter.evaluators import SinglingOutEvaluator

    bare = SinglingOutEvaluator(
        pd.DataFrame({"x": [7.0, 7.0, 1.0]}), pd.DataFrame({"x": [7.0, 1.0]}), n_attacks=10
    )
    assert bare._ori.filter(pl.col("x") == 7).height == 1  # two persons, taken for one

    queries = door.univariate_queries(plain({"x": [7.0, 1.0]}, {}), 10, seed=0)
    of_seven = [query for query in queries if "7" in str(query)]
    two_persons = plain({"x": [7.0, 7.0, 1.0]}, {}, persons=[0, 1, 2])
    one_person = plain({"x": [7.0, 7.0, 1.0]}, {}, persons=[4, 4, 2])
    assert of_seven
    assert (door.singled_out(of_seven, two_persons) == -1).all()
    assert (door.singled_out(of_seven, one_person) == 4).all()


def test_every_guard_has_its_test_and_is_named_by_an_attack(make_tables: MakeTables) -> None:
    tested = {
        int(name[5:7]) for name in globals() if name.startswith("test_") and name[5].isdigit()
    }
    assert tested == set(door.GUARDS) == set(range(1, 15))
    tables = make_tables(100, 60, 100)
    named = {
        guard
        for attack in (
            SinglingOut(n_queries=20, n_columns=(3,)),
            Linkability(n_targets=20),
            Inference(n_targets=20),
        )
        for result in attack_numbers_from_door(attack, tables)
        if isinstance(result, AttackResult)
        for guard in result.guards
    }
    assert named == set(door.GUARDS.values())


def test_the_neighbours_import_in_a_fresh_interpreter() -> None:
    """anonymeter.neighbors imported first fails with a circular import."""
    guarded = (
        "import numpy as np; from privsynth.risk.plain import PlainTable\n"
        "from privsynth.risk.anonymeter import nearest_rows\n"
        "t = PlainTable({'x': np.arange(3.0)}, {}, np.arange(3))\n"
        "print(nearest_rows(t, t, ('x',), 0).tolist())"
    )
    done = subprocess.run([sys.executable, "-c", guarded], capture_output=True, text=True)
    assert done.stdout.strip() == "[0, 1, 2]", done.stderr


def test_column_names_are_never_read_as_patterns() -> None:
    table = plain({"^x.*$": [1.0, 2.0, 3.0], "*": [1.0, 1.0, 1.0]}, {"a-b": [0, 1, 2]})
    queries = door.multivariate_queries(table, 5, 2, seed=0)
    assert (door.singled_out(queries, table) >= 0).all()


def test_random_queries_cover_missing_entries() -> None:
    table = plain({"x": [1.0, np.nan, 3.0]}, {"y": [0, -1, 1]})
    queries = door.random_queries(table, 200, 2, seed=0)
    assert len(queries) == 200
    assert "is_null" in "".join(map(str, queries))
    assert set(door.singled_out(queries, table)) == {-1, 0, 1, 2}
