"""What occurs once in the records occurs in no file that may leave, in no model and in no log."""

from __future__ import annotations

import datetime as dt
import json
import struct
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from privsynth.cli.main import run
from privsynth.privacy.budget import PrivacyBudget
from privsynth.privacy.ledger import Ledger
from privsynth.schema import Schema
from privsynth.synth import diffusion, preset
from privsynth.synth.diffusion import Diffusion
from privsynth.table import Table

NAME, NUMBER, CODE, STREET = "Quirinius Vespermann", "PT-4711-ZX", "Q99.471", "Wormgasse 31"
AMOUNT, INCOME = 98_765.43, 7_654_321.25
PLANTED = (NAME, NUMBER, CODE, STREET, f"{AMOUNT}", f"{INCOME}", "98,765", "7,654,321", "7654321")

SCHEMA = Schema.parse(
    {
        "dataset": {"id": "ward", "title": "A ward"},
        "privacy": {"unit": "patient", "max_rows_per_unit": 2},
        "columns": {
            "patient": {"kind": "id"},
            "name": {"kind": "text", "action": "drop"},
            "street": {"kind": "text", "action": "fake", "provider": "street_address"},
            "age": {"kind": "integer", "lower": 0, "upper": 120, "role": "quasi_identifier"},
            "sex": {
                "kind": "categorical",
                "categories": ["f", "m"],
                "role": "quasi_identifier",
            },
            "code": {"kind": "categorical", "source": "private", "role": "sensitive"},
            "ward": {"kind": "categorical", "categories": ["east", "west"], "other": True},
            "cost": {"kind": "numeric", "lower": 0, "upper": 100_000, "granularity": 0.01},
            "income": {"kind": "numeric", "source": "private", "missing": True},
            "died": {"kind": "boolean", "role": "target"},
        },
    }
)


def records(n: int = 1_200) -> pd.DataFrame:
    """Records of which the first holds a value in each column that no other has."""
    rng = np.random.default_rng(11)
    frame = pd.DataFrame(
        {
            "patient": [f"P{i // 2}" for i in range(n)],
            "name": [f"Name {i}" for i in range(n)],
            "street": [f"Street {i}" for i in range(n)],
            "age": rng.integers(18, 90, n),
            "sex": rng.choice(["f", "m"], n),
            "code": rng.choice(["I21", "I50", "J18", "E11"], n),
            "ward": rng.choice(["east", "west"], n),
            "cost": rng.gamma(2.0, 900.0, n).round(2),
            "income": rng.gamma(3.0, 9_000.0, n).round(2),
            "died": rng.random(n) < 0.2,
        }
    )
    frame.loc[0, ["patient", "name", "street"]] = [NUMBER, NAME, STREET]
    frame.loc[0, ["code", "ward", "cost", "income"]] = [CODE, CODE, AMOUNT, INCOME]
    return frame


@dataclass(frozen=True)
class Job:
    """What a main job left: its folder, and what it printed."""

    folder: Path
    printed: str


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """The whole main job, with every attack and metric; only the network is small."""
    room = tmp_path_factory.mktemp("job")
    records().to_parquet(room / "ward.parquet")
    SCHEMA.save(room / "ward.toml")
    words = ["run", room / "ward.parquet", "-s", room / "ward.toml", "--epsilon", 5, "--csv"]
    words += ["--out", room / "out", "--ledger", room / "ledger.sqlite"]
    capture = pytest.MonkeyPatch()
    small = Diffusion(taught_steps=20, steps=20, batch_size=64, width=32, depth=1)
    capture.setattr(preset, "load_preset", lambda name: small)
    printed = room / "printed.txt"
    with printed.open("w") as stream:
        capture.setattr("sys.stdout", stream)
        capture.setattr("sys.stderr", stream)
        code = run([str(word) for word in words])
        capture.undo()
    assert code == 0, printed.read_text()
    return Job(room / "out", printed.read_text())


def leaving(folder: Path) -> list[Path]:
    """The files of the release and of the model, and what else is not the controller's report."""
    reports = folder / "controller" / "report"
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return sorted(path for path in paths if reports not in path.parents)


def test_every_kind_of_file_is_searched(job: Job) -> None:
    names = {path.relative_to(job.folder).as_posix() for path in leaving(job.folder)}
    assert {
        "release/data/ward.parquet",
        "release/data/ward.csv",
        "release/report/report.html",
        "release/report/report.json",
        "release/README.md",
        "release/manifest.json",
        "controller/model/model.json",
        "controller/model/weights.safetensors",
        "controller/ledger.json",
        "controller/run.json",
    } <= names


@pytest.mark.parametrize("planted", PLANTED)
def test_no_file_holds_what_occurs_once(job: Job, planted: str) -> None:
    forms = (planted.encode(), planted.encode("utf-16-le"), json.dumps(planted).encode())
    found = [
        path.name
        for path in leaving(job.folder)
        if any(form in path.read_bytes() for form in forms)
    ]
    assert found == []


@pytest.mark.parametrize("planted", [AMOUNT, INCOME])
def test_no_file_holds_the_bits_of_an_amount(job: Job, planted: float) -> None:
    bits = struct.pack("<d", planted)
    assert [path.name for path in leaving(job.folder) if bits in path.read_bytes()] == []


@pytest.fixture(scope="module", params=["marginal", "diffusion", "gan"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Every byte that a fitted generator of a preset saves; only its networks are small."""
    made = preset.load_preset(request.param)
    few = {"taught_steps": 10, "steps": 5, "batch_size": 64, "width": 16}
    known = {field.name for field in fields(made)}
    small = replace(made, **{name: value for name, value in few.items() if name in known})
    folder = tmp_path_factory.mktemp("model")
    table = Table.from_pandas(records(), SCHEMA)
    budget = PrivacyBudget(5.0, 1e-5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diffusion, "training_share", lambda *_: 0.3)
        fitted = small.fit(table, budget, ledger=Ledger(folder / "ledger.sqlite"))
    fitted.save(folder / "model")
    files = sorted((folder / "model").iterdir())
    assert [path.name for path in files] == ["model.json", "weights.safetensors"]
    return b"\0".join(path.read_bytes() for path in files)


@pytest.mark.parametrize("planted", PLANTED)
def test_no_saved_model_holds_what_occurs_once(model: bytes, planted: str) -> None:
    forms = (planted.encode(), planted.encode("utf-16-le"), json.dumps(planted).encode())
    assert not any(form in model for form in forms)


@pytest.mark.parametrize("planted", [AMOUNT, INCOME])
@pytest.mark.parametrize("form", ["<d", "<f"])
def test_no_saved_model_holds_the_bits_of_an_amount(
    model: bytes, planted: float, form: str
) -> None:
    assert struct.pack(form, planted) not in model


def test_a_model_that_kept_its_records_would_be_seen(model: bytes) -> None:
    assert NAME.encode() in model + records()["name"].str.cat().encode()
    assert struct.pack("<d", AMOUNT) in model + records()["cost"].to_numpy().tobytes()


def test_the_synthetic_table_holds_none_of_it(job: Job) -> None:
    """Parquet is compressed, so that its bytes say nothing: its values are compared."""
    table = pq.read_table(job.folder / "release" / "data" / "ward.parquet")
    values = {str(value) for column in table.columns for value in column.to_pylist()}
    assert values & {*PLANTED} == set()
    metadata = str(table.schema.metadata) + str([field.metadata for field in table.schema])
    assert not any(planted in metadata for planted in PLANTED)


def test_nothing_is_printed_of_it(job: Job) -> None:
    assert "May be handed over" in job.printed
    assert not any(planted in job.printed for planted in PLANTED)


def test_the_search_finds_what_is_there(job: Job, tmp_path: Path) -> None:
    """The controller keeps what the release must not hold: the name would be found."""
    (tmp_path / "leak.txt").write_text(f"x {NAME} x")
    assert any(NAME.encode() in path.read_bytes() for path in leaving(tmp_path))


@pytest.mark.parametrize(
    ("column", "value"),
    [("age", 4711), ("sex", NAME), ("cost", -AMOUNT), ("income", np.inf), ("died", None)],
)
def test_no_error_repeats_a_value(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], column: str, value: object
) -> None:
    frame = records().astype({column: object})
    frame.loc[0, column] = value
    frame[column] = frame[column].infer_objects()
    frame.to_csv(tmp_path / "ward.csv", index=False)
    SCHEMA.save(tmp_path / "ward.toml")
    words = ["run", tmp_path / "ward.csv", "-s", tmp_path / "ward.toml", "--epsilon", 1]
    code = run([str(word) for word in (*words, "--out", tmp_path / "out")])
    printed = "".join(capfd.readouterr())
    assert code == 1
    assert (
        f"column '{column}': 1 value is" in printed or f"column '{column}': 1 value lies" in printed
    )
    assert not any(planted in printed for planted in (*PLANTED, "4711", "inf"))


AGE: dict[str, Any] = {"kind": "integer", "lower": 0, "upper": 120}
COST: dict[str, Any] = {"kind": "numeric", "lower": 0, "upper": 100}
LABELS: dict[str, Any] = {"kind": "categorical", "categories": ["1", "2.5"]}
MISSING: dict[str, Any] = {"missing": True}
DAY = {"kind": "date", "lower": dt.date(1600, 1, 1), "upper": dt.date(2030, 1, 1)}
SEEN = {"kind": "datetime", "lower": dt.datetime(2020, 1, 1), "upper": dt.datetime(2030, 1, 1)}
NARROW = ("int8", "int16", "int32", "uint8", "uint16", "uint32", "float32")
MOMENT = dt.datetime(2024, 2, 29)


def goes_out(values: pa.Array, column: dict[str, Any]) -> pa.DataType:
    """The type in which a column of these values goes out."""
    schema = Schema.parse({"dataset": {"id": "d"}, "columns": {"x": column}})
    return Table.from_arrow(pa.table({"x": values}), schema).to_arrow().schema.field("x").type


@pytest.mark.parametrize("column", [AGE, COST, COST | {"granularity": 1}, LABELS, {"kind": "id"}])
@pytest.mark.parametrize("narrow", [*NARROW, "int64", "uint64"])
def test_the_type_does_not_say_whether_an_entry_is_missing(
    narrow: str, column: dict[str, Any]
) -> None:
    column = column if column["kind"] == "id" else column | MISSING
    with_a_gap = pa.array([1.0, 1.0, None])  # pandas makes doubles of it
    assert goes_out(pa.array([1, 1]).cast(narrow), column) == goes_out(with_a_gap, column)


@pytest.mark.parametrize(
    ("column", "usual", "odd"),
    [
        (COST, [Decimal("1.25")], Decimal("1.2345")),
        (COST, [1], Decimal("1.2345")),
        (AGE, [Decimal("40")], Decimal("40.0")),
        (LABELS | MISSING, [Decimal("1")], Decimal("2.5")),
        (LABELS, [1], 2.5),
        (AGE, [40], 41.0),
        (COST | {"granularity": 1}, [40], 41.0),
        ({"kind": "boolean"}, [1], 0.0),
    ],
)
def test_one_record_more_does_not_change_the_type(
    column: dict[str, Any], usual: list[object], odd: object
) -> None:
    """pandas and Arrow read the type off all values."""
    before, after = pa.array(pd.Series(usual * 20)), pa.array(pd.Series([*usual * 20, odd]))
    assert before.type != after.type, "else the pair proves nothing"
    assert goes_out(before, column) == goes_out(after, column)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("column", [DAY, SEEN])
def test_the_unit_of_moments_is_nobodys(unit: str, column: dict[str, Any]) -> None:
    assert goes_out(pa.array([MOMENT]).cast(pa.timestamp(unit)), column) == pa.timestamp("us")


def test_the_encoding_of_labels_is_nobodys() -> None:
    column = {"kind": "categorical", "categories": ["f", "m"]}
    plain = pa.array(["f", "m"])
    forms = (plain, plain.cast(pa.large_string()), plain.dictionary_encode())
    assert {goes_out(form, column) for form in forms} == {pa.string()}
