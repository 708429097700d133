"""The codebook: what is asked, what is kept, and that every code matrix is a valid table."""

import datetime as dt
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privsynth.encode import Codebook, codebook_requests, learn_codebook
from privsynth.errors import BudgetError, SchemaError
from privsynth.privacy.budget import PrivacyBudget, PrivacyUnit
from privsynth.privacy.calibrate import calibrate
from privsynth.privacy.ledger import Ledger
from privsynth.privacy.noise import SeededNoise
from privsynth.schema import OTHER, Schema
from privsynth.synth.preset import load_preset
from privsynth.table import Table

N = 3_000


def everything() -> Schema:
    return Schema.parse(
        {
            "dataset": {"id": "everything"},
            "columns": {
                "age": {"kind": "integer", "lower": 0, "upper": 110, "missing": True},
                "cost": {"kind": "numeric", "lower": 0, "upper": 50_000, "granularity": 0.01},
                "score": {"kind": "numeric", "lower": -5, "upper": 5},
                "ward": {"kind": "categorical", "categories": ["A", "B", "C"], "other": True},
                "code": {"kind": "categorical", "source": "private", "missing": True},
                "grade": {"kind": "ordinal", "categories": ["low", "mid", "high"]},
                "smoker": {"kind": "boolean", "missing": True},
                "seen": {"kind": "date", "lower": "2020-01-01", "upper": "2023-12-31"},
                "admitted": {
                    "kind": "datetime",
                    "lower": "2020-01-01T00:00:00",
                    "upper": "2023-12-31T23:59:59",
                    "granularity": "minute",
                },
                "weight": {"kind": "numeric", "source": "private", "granularity": 0.1},
            },
        }
    )


def records(n: int = N, seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    day = dt.date(2020, 1, 1)
    frame = pd.DataFrame(
        {
            "age": pd.array(rng.integers(0, 110, n), dtype="Int64"),
            "cost": np.where(rng.random(n) < 0.4, 0.0, rng.gamma(2, 1_000, n).round(2)),
            "score": rng.normal(0, 1, n).clip(-5, 5).round(1),
            "ward": rng.choice(["A", "B", "C", "zeta"], n),
            "code": rng.choice(["I21", "E11", "J18", None], n, p=[0.5, 0.3, 0.1, 0.1]),
            "grade": rng.choice(["low", "mid", "high"], n),
            "smoker": pd.array(rng.random(n) < 0.2, dtype="boolean"),
            "seen": [day + dt.timedelta(days=int(d)) for d in rng.integers(0, 1400, n)],
            "admitted": pd.Timestamp("2020-01-01")
            + pd.to_timedelta(rng.integers(0, 2e6, n), "min"),
            "weight": rng.normal(80, 12, n).round(1),
        }
    )
    frame.loc[rng.random(n) < 0.1, "age"] = pd.NA
    frame.loc[rng.random(n) < 0.1, "smoker"] = pd.NA
    return Table.from_pandas(frame, everything())


def learned(table: Table, budget: PrivacyBudget, max_codes: int = 24) -> Codebook:
    schema = table.schema
    plan = calibrate(codebook_requests(schema, 1.0), budget, PrivacyUnit.of(schema))
    spending = Ledger().charge(plan, schema.dataset.id)
    return learn_codebook(table, spending, SeededNoise(7), max_codes=max_codes)


@pytest.fixture(scope="module")
def private_codebook(tmp_path_factory) -> Codebook:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRIVSYNTH_LEDGER", str(tmp_path_factory.mktemp("l") / "l.sqlite"))
        return learned(records(), PrivacyBudget(3.0, 1e-5))


def test_any_matrix_of_codes_decodes_to_a_valid_table(private_codebook):
    @given(st.integers(0, 2**32))
    def check(seed):
        rng = np.random.default_rng(seed)
        codes = np.stack([rng.integers(0, size, 50) for size in private_codebook.sizes], axis=1)
        table = private_codebook.decode(codes, rng)
        again = Table.from_arrow(table.to_arrow(), everything())
        assert again.n_rows == 50

    check()


def test_a_decoded_value_has_the_code_that_it_came_from(private_codebook):
    rng = np.random.default_rng(0)
    codes = np.stack([rng.integers(0, size, 500) for size in private_codebook.sizes], axis=1)
    back = private_codebook.encode(private_codebook.decode(codes, rng))
    assert np.array_equal(back, codes)


def test_without_noise_labels_and_missing_entries_come_back():
    table = records()
    codebook = learned(table, PrivacyBudget.no_privacy(), max_codes=200)
    back = codebook.decode(codebook.encode(table), np.random.default_rng(0))
    for name in ("ward", "code", "grade", "smoker"):
        assert back.column(name).to_pylist() == table.column(name).to_pylist()
    for name in table.columns:
        assert np.array_equal(back.missing(name), table.missing(name))


def test_shares_are_close_to_the_truth(private_codebook):
    table = records()
    codes = private_codebook.encode(table)
    for position, share in enumerate(private_codebook.shares.values()):
        true = np.bincount(codes[:, position], minlength=len(share)) / table.n_rows
        assert 0.5 * np.abs(true - share).sum() < 0.15


def test_spikes_and_decimals_survive(private_codebook):
    table = records()
    back = private_codebook.decode(private_codebook.encode(table), np.random.default_rng(0))
    cost, score = back.numbers("cost"), back.numbers("score")
    assert 0.35 < (cost == 0).mean() < 0.45
    assert np.allclose(score, score.round(1))
    assert np.allclose(cost, cost.round(2))


def test_every_measurement_asked_for_is_taken_exactly_once():
    schema = everything()
    plan = calibrate(codebook_requests(schema, 1.0), PrivacyBudget(1.0, 1e-5), PrivacyUnit())
    spending = Ledger().charge(plan, "everything")
    learn_codebook(records(), spending, SeededNoise(1), max_codes=24)
    for mechanism in plan.mechanisms:
        with pytest.raises(BudgetError):
            spending.measurement(mechanism.name).consume()


def test_requests_depend_on_the_schema_alone_and_share_what_they_may():
    requests = codebook_requests(everything(), 0.2)
    assert sum(request.share for request in requests) == pytest.approx(0.2)
    assert sum(request.delta_share for request in requests) == pytest.approx(0.1)


def test_a_category_of_one_record_is_never_in_the_codebook():
    frame = records().to_pandas()
    frame.loc[17, "code"] = "Q-unique-code"
    table = Table.from_pandas(frame, everything())
    for budget in (PrivacyBudget(3.0, 1e-5), PrivacyBudget.no_privacy()):
        codebook = learned(table, budget)
        assert "Q-unique-code" not in str(codebook.to_dict())
        assert OTHER in codebook.columns["code"].cells.labels


def test_a_private_row_count_is_an_estimate():
    document = everything().to_dict()
    document["privacy"] = {"row_count": "private"}
    schema = Schema.parse(document)
    table = Table(schema, records().data, records().storage)
    codebook = learned(table, PrivacyBudget(1.0, 1e-5))
    assert codebook.n_units != N
    assert codebook.n_units == pytest.approx(N, rel=0.2)


def test_a_condition_on_an_unknown_value_names_the_column_only(private_codebook):
    with pytest.raises(SchemaError, match="'code'") as caught:
        private_codebook.code_of("code", "Z99-secret")
    assert "Z99-secret" not in str(caught.value)
    with pytest.raises(SchemaError, match="'nothing'"):
        private_codebook.code_of("nothing", 1)
    assert private_codebook.code_of("smoker", True) == 1
    for missing in (None, float("nan"), pd.NA, pd.NaT):
        assert (
            private_codebook.code_of("age", missing) == private_codebook.columns["age"].n_codes - 1
        )


@pytest.mark.parametrize(
    ("name", "value", "held"),
    [
        ("smoker", np.bool_(True), True),
        ("smoker", "yes", True),
        ("smoker", 0, False),
        ("smoker", "", None),
        ("age", "40.0", 40),
        ("age", np.int8(40), 40),
        ("age", " ", None),
        ("cost", "0.1", 0.1),
        ("score", 0.12345, 0.12345),
        ("code", "", None),
        ("grade", "low", "low"),
        ("ward", OTHER, OTHER),
        ("seen", np.datetime64("2021-05-06"), dt.date(2021, 5, 6)),
        ("admitted", "2021-05-06 07:08", dt.datetime(2021, 5, 6, 7, 8)),
    ],
)
def test_a_condition_is_held_as_the_column_holds_it(private_codebook, name, value, held):
    code, found = private_codebook.held(name, value)
    assert found == held
    assert type(found) is type(held)
    assert 0 <= code < private_codebook.columns[name].n_codes


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("age", 2**70, "cannot be read as integer"),
        ("age", object(), "cannot be read as integer"),
        ("age", 111, "lies outside its domain"),
        ("cost", 5.303, "is never drawn; the nearest is 5.3"),
        ("weight", 10.0**6, "is never drawn; the nearest is"),
        ("grade", "\ud800", "cannot be read as ordinal"),
        ("grade", "tall", "these are: low, mid, high"),
        ("grade", "", "does not allow it to be missing"),
        ("ward", "zeta", "is not one that is drawn"),
        ("seen", [1, 2], "holds list where dates are declared"),
    ],
)
def test_a_condition_that_no_record_could_meet_is_refused(private_codebook, name, value, rule):
    with pytest.raises(SchemaError, match=f"^column '{name}': .*{rule}"):
        private_codebook.held(name, value)


def test_a_saved_codebook_comes_back_the_same(private_codebook):
    back = Codebook.from_dict(private_codebook.to_dict(), everything())
    codes = private_codebook.encode(records())
    assert np.array_equal(back.encode(records()), codes)
    first = private_codebook.decode(codes, np.random.default_rng(3))
    assert back.decode(codes, np.random.default_rng(3)).data.equals(first.data)


LABELS = {"kind": "categorical", "categories": ["0", "1"]}
NUMBERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
NUMBERS += ["float32", "float64", "decimal128(3, 2)"]


@pytest.mark.parametrize(
    ("kind", "column"),
    [(kind, column) for kind in NUMBERS for column in ("age", "cost", "ward", "id")]
    + [(kind, "smoker") for kind in NUMBERS[:-1]]
    + [(kind, column) for kind in ("string", "large_string") for column in ("age", "ward", "id")]
    + [(kind, "seen") for kind in ("date32", "date64", "timestamp[ns]", "timestamp[s]", "string")]
    + [(f"timestamp[{unit}]", "admitted") for unit in ("s", "ms", "us", "ns")]
    + [("bool", "smoker"), ("dictionary", "ward")],
)
@pytest.mark.parametrize("missing", [False, True])
def test_every_type_that_a_column_can_come_in_is_saved_and_found_again(kind, column, missing):
    """A model that cannot be opened would have spent its budget for nothing."""
    declared = {"kind": "id"} if column == "id" else everything().to_dict()["columns"][column]
    declared = LABELS if column == "ward" else declared
    if column != "id":
        declared = declared | {"missing": missing}
    schema = Schema.parse({"dataset": {"id": "d"}, "columns": {"x": declared, "more": LABELS}})
    table = Table.from_arrow(
        pa.table({"x": came_as(kind, column), "more": ["0", "1"] * 10}), schema
    )
    codebook = learned(table, PrivacyBudget.no_privacy())
    back = Codebook.from_dict(json.loads(json.dumps(codebook.to_dict())), schema)
    assert back.storage == codebook.storage
    drawn = back.decode(back.encode(table), np.random.default_rng(0)).to_arrow()
    if column != "id":
        assert drawn.schema.field("x").type == table.to_arrow().schema.field("x").type


def came_as(kind: str, column: str) -> pa.Array:
    """Twenty values that a column may hold, in a type in which they may come."""
    if column in ("seen", "admitted"):
        values = pa.array([dt.date(2021, 1, 1), dt.date(2022, 1, 1)] * 10)
        return values.cast(pa.string() if kind == "string" else pa.type_for_alias(kind))
    values = pa.array([0, 1] * 10)
    if kind == "dictionary":
        return values.cast(pa.string()).dictionary_encode()
    if kind.startswith("decimal"):
        return values.cast(pa.decimal128(21, 2)).cast(pa.decimal128(3, 2))
    return values.cast(pa.type_for_alias(kind))


def test_persons_count_once_however_many_rows_they_have():
    schema = Schema.parse(
        {
            "dataset": {"id": "visits"},
            "privacy": {"unit": "person", "max_rows_per_unit": 4},
            "columns": {
                "person": {"kind": "id"},
                "ward": {"kind": "categorical", "categories": ["A", "B"]},
            },
        }
    )
    persons = np.r_[np.repeat(np.arange(500), 4), np.arange(500, 1000)]
    wards = np.where(persons < 500, "A", "B")
    table = Table.from_pandas(pd.DataFrame({"person": persons, "ward": wards}), schema)
    codebook = learned(table, PrivacyBudget.no_privacy())
    assert codebook.shares["ward"].tolist() == pytest.approx([0.5, 0.5], abs=1e-6)
    assert codebook.n_units == 1000


def test_bounds_that_no_records_could_show_are_refused_before_a_charge(tmp_path):
    ledger, weight = Ledger(tmp_path / "ledger.sqlite"), {"kind": "numeric", "source": "private"}
    for row_count, entries in (("public", 0), ("private", 2)):
        schema = Schema.parse(
            {
                "dataset": {"id": "weights"},
                "privacy": {"row_count": row_count},
                "columns": {"weight": weight},
            }
        )
        table = Table.from_pandas(pd.DataFrame({"weight": np.arange(200.0)}), schema)
        with pytest.raises(BudgetError, match="too few records to learn its bounds"):
            load_preset("marginal").fit(table, PrivacyBudget(0.05, 1e-5), ledger=ledger)
        assert len(ledger.entries()) == entries  # a private count cannot refuse: it is a record's


@pytest.mark.parametrize("kind", ["integer", "numeric", "date", "datetime"])
def test_a_column_with_hardly_a_value_is_drawn_missing_and_stops_no_fit(kind):
    schema = Schema.parse(
        {
            "dataset": {"id": "d"},
            "columns": {"seen": {"kind": kind, "missing": True, "source": "private"}},
        }
    )
    moment = dt.datetime(2020, 5, 17) if "date" in kind else 70
    table = Table.from_arrow(pa.table({"seen": [moment] * 3 + [None] * (N - 3)}), schema)
    codebook = learned(table, PrivacyBudget(1.0, 1e-6))
    assert codebook.shares["seen"][-1] > 0.99
    assert codebook.shares["seen"].sum() == pytest.approx(1)
