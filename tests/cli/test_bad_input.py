"""Whatever is wrong is said in one line that shows no record, and nothing half-written is left."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from privsynth.privacy.budget import PrivacyBudget, PrivacyUnit
from privsynth.privacy.ledger import Ledger

# What each fixture of conftest gives; test modules cannot import it.
Cli = Callable[..., Any]
Ward = Any


def refused(cli: Cli, ward: Ward, *words: object) -> str:
    """The one line in which `privsynth run` refuses; checks that nothing is left of the attempt."""
    before = {path.name for path in ward.folder.iterdir()}
    done = cli("run", *words, "--out", ward.folder / "out")
    assert done.code in (1, 2)
    assert done.out == ""
    assert ward.planted not in done.err
    assert "Traceback" not in done.err
    after = {path.name for path in ward.folder.iterdir()} - {"ledger.sqlite"}
    assert after <= before
    return str(done.error)


def make(ward: Ward, content: bytes, name: str = "ward.csv") -> Path:
    path: Path = ward.folder / name
    path.write_bytes(content)
    return path


def twice(ward: Ward) -> Path:
    header, *lines = ward.csv().read_text().splitlines()
    return make(ward, "\n".join([header.replace("sex", "age"), *lines]).encode())


def constant_missing(ward: Ward) -> Path:
    return ward.csv([{**row, "age": ""} for row in ward.rows()])


def latin_1(ward: Ward) -> Path:
    table = ward.rows()
    table[1]["ward"] = "Süd"
    return ward.csv(table, encoding="latin-1")


FILES: dict[str, tuple[Callable[[Ward], Path], str]] = {
    "missing file": (lambda ward: ward.folder / "absent.csv", "does not exist"),
    "empty file": (lambda ward: make(ward, b""), "it is empty"),
    "header only": (lambda ward: make(ward, b"name,age,sex,ward,cost,seen,died\n"), "no rows"),
    "one row": (lambda ward: ward.csv(ward.rows(1)), "at least 10"),
    "binary rubbish": (lambda ward: make(ward, bytes(range(256)) * 40), "binary"),
    "a broken parquet": (lambda ward: make(ward, b"PAR1 nothing", "ward.parquet"), "no Parquet"),
    "wrong delimiter": (lambda ward: ward.csv(delimiter="~"), "delimiter"),
    "latin-1": (latin_1, "not UTF-8"),
    "duplicate names": (twice, "same name"),
    "outside the domain": (lambda ward: ward.spoiled("age", "471"), "column 'age': 1 value lies"),
    "unknown category": (lambda ward: ward.spoiled("sex", "q-4711"), "column 'sex': 1 value is"),
    "infinite": (lambda ward: ward.spoiled("cost", "inf"), "column 'cost': 1 value is not a num"),
    "not a number": (lambda ward: ward.spoiled("cost", "much"), "column 'cost': 1 value is not"),
    "NaN": (lambda ward: ward.spoiled("cost", "NaN"), "column 'cost': 1 value is"),
    "no date": (lambda ward: ward.spoiled("seen", "31/12/2024"), "column 'seen': 1 value is not"),
    "all missing": (constant_missing, "column 'age': every value is missing"),
    "some missing": (lambda ward: ward.spoiled("age", ""), "column 'age': 1 value is missing"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_wrong(cli: Cli, ward: Ward, case: str) -> None:
    spoil, rule = FILES[case]
    data = spoil(ward)
    assert rule in refused(cli, ward, data, "--schema", ward.schema(), "--epsilon", 1)


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"age": None}, "column 'age': in the table, but not in the schema"),
        (
            {"height": {"kind": "integer", "lower": 0, "upper": 9}},
            "column 'height': in the schema, but not in the table",
        ),
        ({"name": {"kind": "text"}}, "column 'name': free text is not synthesised"),
        (
            {"age": {"kind": "integer", "lower": 0, "upper": 120, "source": "data"}},
            "column 'age': the domain was read from the records",
        ),
    ],
)
def test_a_schema_that_does_not_fit(
    cli: Cli, ward: Ward, columns: dict[str, Any], rule: str
) -> None:
    schema = ward.schema(**columns)
    assert rule in refused(cli, ward, ward.csv(), "--schema", schema, "--epsilon", 1)


def test_the_ways_out_of_ranges_read_from_records_are_named(cli: Cli, ward: Ward) -> None:
    read = {"kind": "integer", "lower": 0, "upper": 120, "source": "data"}
    line = refused(cli, ward, ward.csv(), "-s", ward.schema(age=read), "--epsilon", 1)
    for way in ('source = "declared"', 'source = "private"', "--no-privacy"):
        assert way in line


def test_an_unknown_key_names_the_nearest(cli: Cli, ward: Ward) -> None:
    schema = ward.schema()
    schema.write_text(schema.read_text().replace("lower = 0", "lowr = 0", 1))
    line = refused(cli, ward, ward.csv(), "--schema", schema, "--epsilon", 1)
    assert "unknown key 'lowr'; did you mean 'lower'?" in line


def test_ten_thousand_declared_categories(cli: Cli, ward: Ward) -> None:
    text = ward.schema().read_text().replace('"f", "m"', ", ".join(f'"{i}"' for i in range(10_000)))
    schema = make(ward, text.encode(), "many.toml")
    line = refused(cli, ward, ward.csv(), "--schema", schema, "--epsilon", 1)
    assert "columns.sex: 10000 categories, at most 1000" in line


@pytest.mark.usefixtures("small_model")
def test_ten_thousand_categories_may_be_learned_privately(cli: Cli, ward: Ward) -> None:
    many = [{**row, "ward": f"w{i}"} for i, row in enumerate(ward.rows(10_000))]
    data, out = ward.csv(many), ward.folder / "out"
    done = cli("fit", data, "--schema", ward.schema(), "--epsilon", 1, "--out", out)
    assert done.code == 0, done.err
    assert '"w4711"' not in (out / "controller/model/model.json").read_text()


@pytest.mark.usefixtures("small_model")
def test_a_constant_column_is_no_fault_within_its_domain(cli: Cli, ward: Ward) -> None:
    """To refuse it would tell something about the records."""
    data = ward.csv([{**row, "age": "40"} for row in ward.rows()])
    done = cli("fit", data, "-s", ward.schema(), "--epsilon", 1, "--out", ward.folder / "out")
    assert done.code == 0, done.err


BUDGETS = {
    "no epsilon": ((), "give --epsilon"),
    "both": (("--epsilon", 1, "--no-privacy"), "not both"),
    "zero": (("--epsilon", 0), "epsilon must be a number above 0"),
    "negative": (("--epsilon", -1), "epsilon must be a number above 0"),
    "NaN": (("--epsilon", "nan"), "epsilon must be a number above 0"),
    "infinite": (("--epsilon", "inf"), "--no-privacy"),
    "a word": (("--epsilon", "low"), "--epsilon"),
    "delta zero": (("--epsilon", 1, "--delta", 0), "delta must be at least"),
    "delta one": (("--epsilon", 1, "--delta", 1), "delta must be at least"),
    "delta NaN": (("--epsilon", 1, "--delta", "nan"), "delta must be at least"),
    "delta of 1 / n": (("--epsilon", 1, "--delta", 1 / 120), "it must be below 1 / 120"),
    "delta without privacy": (("--no-privacy", "--delta", 1e-6), "no meaning"),
    "no rows": (("--epsilon", 1, "--rows", 0), "rows must be at least 1"),
    "control of all": (("--epsilon", 1, "--control", 1), "control must be at least 0"),
    "unknown model": (("--epsilon", 1, "--model", "diffusoin"), "did you mean 'diffusion'?"),
    "nearly auto": (("--epsilon", 1, "--model", "atuo"), "did you mean 'auto'?"),
    "unknown option": (("--epsilno", 1), "--epsilon"),
}


@pytest.mark.parametrize("case", BUDGETS)
def test_an_impossible_argument(cli: Cli, ward: Ward, case: str) -> None:
    words, rule = BUDGETS[case]
    assert rule in refused(cli, ward, ward.csv(), "--schema", ward.schema(), *words)
    assert not (ward.folder / "ledger.sqlite").exists(), "nothing may be charged"


def test_more_than_the_cap(cli: Cli, ward: Ward) -> None:
    ledger = Ledger(ward.folder / "ledger.sqlite")
    ledger.set_cap("ward", PrivacyUnit(), PrivacyBudget(0.5, 1e-5))
    line = refused(cli, ward, ward.csv(), "--schema", ward.schema(), "--epsilon", 1)
    assert "cap of epsilon 0.5" in line
    assert [entry.kind for entry in ledger.entries()] == ["cap"]


# Folders


def test_a_folder_that_holds_a_run(cli: Cli, ward: Ward) -> None:
    (ward.folder / "out" / "release").mkdir(parents=True)
    line = refused(cli, ward, ward.csv(), "--schema", ward.schema(), "--epsilon", 1)
    assert "already holds a run" in line


def test_a_folder_that_holds_anything(cli: Cli, ward: Ward) -> None:
    (ward.folder / "out").mkdir()
    make(ward, b"mine", "out/notes.txt")
    line = refused(cli, ward, ward.csv(), "--schema", ward.schema(), "--epsilon", 1)
    assert "is not empty" in line
    assert (ward.folder / "out/notes.txt").read_bytes() == b"mine"


@pytest.mark.parametrize("out", ["ward.csv", "ward.csv/out", "/proc/out", "/dev/null/out"])
def test_an_unwritable_folder(cli: Cli, ward: Ward, out: str) -> None:
    done = cli("run", ward.csv(), "-s", ward.schema(), "--epsilon", 1, "--out", out)
    assert done.code == 1
    assert out.split("/")[-1] in done.error
    assert not (ward.folder / "ledger.sqlite").exists(), "nothing may be charged"


@pytest.mark.usefixtures("small_model", "quick_assessment")
@pytest.mark.parametrize("name", ["run.json", "schema.toml", "report.html"])
def test_a_disk_that_is_full_in_mid_write(
    cli: Cli, ward: Ward, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last file that fits is cut off, as the operating system does it."""
    fill_up_at(name, monkeypatch)
    line = refused(cli, ward, ward.csv(), "--schema", ward.schema(), "--epsilon", 1)
    assert "no space left on" in line.lower()
    assert ".partial" not in line


def fill_up_at(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every way to write the file of that name meet a full disk."""
    for method in ("write_text", "write_bytes"):
        original = getattr(Path, method)

        def write(path: Path, *args: Any, _original: Any = original, **options: Any) -> Any:
            if path.name == name:
                path.touch()
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return _original(path, *args, **options)

        monkeypatch.setattr(Path, method, write)


def test_a_model_that_the_system_does_not_let_grow(
    cli: Cli, ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not simulated: the operating system refuses the write of the weights."""
    from privsynth.synth import preset
    from privsynth.synth.diffusion import Diffusion

    small = Diffusion(taught_steps=1, steps=1, batch_size=16)
    monkeypatch.setattr(preset, "load_preset", lambda name: small)
    data, schema = ward.csv(), ward.schema()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        line = refused(cli, ward, data, "--schema", schema, "--epsilon", 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "cannot be written: file too large" in line
    entries = Ledger(ward.folder / "ledger.sqlite").entries()
    assert [entry.kind for entry in entries] == ["charge", "close"]


# Interruptions


def started(ward: Ward) -> subprocess.Popen[str]:
    """A run in a process of its own that has begun to fit."""
    words = ["run", ward.csv(), "--schema", ward.schema(), "--epsilon", 1, "--out", "out"]
    code = "import sys; from privsynth.cli.main import run; sys.exit(run())"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        cwd=ward.folder,
        env={**os.environ, "PRIVSYNTH_LEDGER": str(ward.folder / "ledger.sqlite")},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "fitting the marginals" in line:
            time.sleep(0.2)
            return process
    raise AssertionError("the run ended before it fitted")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_keeps_the_charge_and_nothing_else(ward: Ward, number: int) -> None:
    process = started(ward)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.splitlines()[-1].startswith("error: interrupted")
    assert "Traceback" not in err
    entries = Ledger(ward.folder / "ledger.sqlite").entries()
    assert [(entry.kind, entry.status) for entry in entries] == [
        ("charge", "aborted"),
        ("close", "aborted"),
    ]
    assert {path.name for path in ward.folder.iterdir()} == {
        "ward.csv",
        "ward.toml",
        "ledger.sqlite",
    }


def test_a_killed_run_keeps_the_charge_and_makes_no_release(ward: Ward) -> None:
    process = started(ward)
    process.kill()
    process.communicate(timeout=60)
    ledger = Ledger(ward.folder / "ledger.sqlite")
    ledger.verify()
    assert [(entry.kind, entry.status) for entry in ledger.entries()] == [("charge", "open")]
    assert not (ward.folder / "out").exists()
    assert [path.name for path in ward.folder.glob(".out.partial-*/*")] == ["controller"]
