"""The commands: what they print, what they write, and what help does not wait for."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import privsynth as ps

# What each fixture of conftest gives; test modules cannot import it.
Cli = Callable[..., Any]
Ward = Any

pytestmark = pytest.mark.usefixtures("small_model", "quick_assessment")


@pytest.fixture
def run_folder(cli: Cli, ward: Ward) -> Path:
    """A finished run."""
    out: Path = ward.folder / "out"
    done = cli("run", ward.csv(), "--schema", ward.schema(), "--epsilon", 1, "--out", out)
    assert done.code == 0, done.err
    return out


def test_help_waits_for_no_heavy_package() -> None:
    code = (
        "import sys; from privsynth.cli.main import run; run(['--help']);"
        "print({name.split('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(ast.literal_eval(done.stderr))
    assert "typer" in loaded
    assert not loaded & {"numpy", "pandas", "pyarrow", "pydantic", "torch", "sklearn", "jinja2"}


def test_no_command_is_help(cli: Cli) -> None:
    done = cli()
    assert done.code == 0
    for name in (
        "inspect",
        "run",
        "fit",
        "sample",
        "assess",
        "audit",
        "report",
        "ledger",
        "list",
        "demo",
    ):
        assert name in done.out


def test_the_version(cli: Cli) -> None:
    assert cli("--version").out.startswith("privsynth 0.")


def test_a_run_says_what_was_spent_and_what_may_be_handed_over(
    cli: Cli, ward: Ward, run_folder: Path
) -> None:
    done = cli("run", ward.csv(), "-s", ward.schema(), "--epsilon", 1, "--out", ward.folder / "two")
    for words in (
        "spent of 1 at δ = 1e-05",
        "Of 8 claims: 1 supported",
        "1-way total variation distance",
        f"May be handed over         {ward.folder / 'two/release'}",
        f"Stays with the controller  {ward.folder / 'two/controller'}",
    ):
        assert words in done.out
    assert "training the denoiser" not in done.err, "the records are too few for DP-SGD"
    assert "measuring every pair of columns" in done.err
    assert "note: 108 rows for 6 columns" in done.err
    assert not any(line.endswith(" ") for line in done.out.splitlines())


def test_a_run_without_privacy_says_so(cli: Cli, ward: Ward) -> None:
    words = ("run", ward.csv(), "-s", ward.schema(), "--no-privacy", "--out", "out")
    done = cli(*words)
    assert done.code == 0, done.err
    assert "nothing is proved about any person" in done.out
    assert "No proof of privacy" in done.out


def test_each_command_prints_one_json_document(cli: Cli, ward: Ward) -> None:
    data, schema, out = ward.csv(), ward.schema(), ward.folder / "out"
    few, judged = ward.folder / "few.parquet", ward.folder / "judged"
    commands: list[tuple[tuple[object, ...], str]] = [
        (("inspect", data), "viability"),
        (("fit", data, "-s", schema, "--epsilon", 1, "--out", out), "guarantee"),
        (("sample", out), "file"),
        (("sample", out, "--rows", 9, "-o", few), "file"),
        (("assess", out, "--data", data), "claims"),
        (("report", out), "release"),
        (
            ("assess", "--train", data, "--synthetic", few, "-s", schema, "-o", judged),
            "fidelity",
        ),
        (("run", data, "-s", schema, "--epsilon", 1, "--out", ward.folder / "two"), "release"),
        (("ledger", "show"), "accounts"),
        (("ledger", "cap", "ward", "--epsilon", 9, "--delta", 1e-5), "accounts"),
        (("list", "models"), "models"),
        (("list", "attacks"), "attacks"),
        (("list", "metrics"), "metrics"),
        (("list", "synthesizers"), "synthesizers"),
    ]
    for words, key in commands:
        done = cli(*words, "--json")
        assert done.code == 0, (words, done.err)
        assert key in done.json, words


def test_an_error_is_json_too(cli: Cli, ward: Ward) -> None:
    words = ("run", ward.folder / "absent.csv", "-s", ward.schema(), "--epsilon", 1)
    done = cli(*words, "--out", "out", "--json")
    assert done.code == 1
    assert done.json["error"]["type"] == "DataError"
    assert done.json["error"]["message"] in done.error
    done = cli("run", "--json", "--epsilon", "low")
    assert (done.code, done.json["error"]["exit_code"]) == (2, 2)


def test_inspect_drafts_a_schema_and_shows_no_value(cli: Cli, ward: Ward) -> None:
    draft = ward.folder / "draft.toml"
    done = cli("inspect", ward.csv(), "-o", draft)
    assert done.code == 0, done.err
    assert set(ps.Schema.load(draft).columns) == {*ward.rows(1)[0]}
    for value in (ward.planted, "east", ward.rows()[3]["cost"]):
        assert value not in done.out + done.err
    assert "too small" in done.out
    again = cli("inspect", ward.csv(), "-o", draft)
    assert (again.code, "--force" in again.error) == (1, True)
    assert cli("inspect", ward.csv(), "-o", draft, "--force").code == 0


def test_inspect_without_a_file_writes_nothing(cli: Cli, ward: Ward) -> None:
    done = cli("inspect", ward.csv())
    assert "Nothing was written" in done.out
    assert [path.name for path in ward.folder.iterdir()] == ["ward.csv"]


def test_a_run_says_which_model_it_took_and_why(cli: Cli, ward: Ward) -> None:
    words = ("fit", ward.csv(), "-s", ward.schema(), "--epsilon", 1)
    done = cli(*words, "--out", "one")
    assert done.code == 0, done.err
    assert "note: model marginal: " in done.err
    for words_ in ("Model    marginal, run", "rows for each code at epsilon 1, below 50"):
        assert words_ in " ".join(done.out.split()).replace("Model marg", "Model    marg")
    named = cli(*words, "--model", "diffusion", "--out", "two", "--json").json
    assert (named["model"], named["choice"]) == ("diffusion", "asked for by name")


def test_the_models_are_listed_with_the_rule_of_auto(cli: Cli) -> None:
    first, *others = cli("list", "models", "--json").json["models"]
    assert first["name"] == "auto"
    assert "below 50 units a code marginal" in first["about"]
    assert {"diffusion", "diffusion-no-privacy", "gan", "marginal"} <= {e["name"] for e in others}


def test_sample_with_targets(cli: Cli, ward: Ward, run_folder: Path) -> None:
    words = ("sample", run_folder, "--rows", 400, "--balance", "sex=f:0.9,m:0.1")
    done = cli(*words, "--independent", "sex,died", "-o", "few.csv")
    assert done.code == 0, done.err
    said = " ".join(done.out.split())
    assert "The table no longer has the records' balance: sex is f in 0.9 of the rows" in said
    assert "sex and died are independent (demographic parity)" in said
    assert "Effective sample size: " in said
    released = ps.Schema.load(ward.schema(name=None))
    few = ps.read_table(ward.folder / "few.csv", released).to_pandas()
    assert (few["sex"] == "f").mean() == pytest.approx(0.9, abs=0.01)
    told = cli(*words, "-o", "again.csv", "--json").json
    assert told["balance"] == {"sex": {"f": 0.9, "m": 0.1}}
    assert 0 < told["effective_share"] <= 1


@pytest.mark.parametrize("name", ["few.csv", "few.parquet"])
def test_sample_under_conditions(cli: Cli, ward: Ward, run_folder: Path, name: str) -> None:
    words = ("sample", run_folder, "--rows", 30, "--where", "sex=f", "--where", "age=40")
    done = cli(*words, "-o", ward.folder / name)
    assert done.code == 0, done.err
    released = ps.Schema.load(ward.schema(name=None))
    few = ps.read_table(ward.folder / name, released).to_pandas()
    assert (len(few), set(few["sex"]), set(few["age"])) == (30, {"f"}, {40})


def test_sample_in_a_process_of_its_own(ward: Ward, run_folder: Path) -> None:
    """Nothing that the fit has loaded may be needed to draw."""
    code = "import sys; from privsynth.cli.main import run; sys.exit(run())"
    words = ["sample", str(run_folder), "--rows", "5", "-o", str(ward.folder / "few.csv")]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (("--where", "sex"), "--where takes COLUMN=VALUE"),
        (("--where", "sex=f"), "name a file with -o"),
        (("--where", "sex=x", "-o", "few.csv"), "column 'sex'"),
        (("--where", "sex=f", "--where", "sex=m", "-o", "few.csv"), "names column 'sex' twice"),
        (("--where", "height=3", "-o", "few.csv"), "column 'height'"),
        (("--balance", "sex"), "--balance takes COLUMN=VALUE:SHARE"),
        (("--balance", "sex=f"), "--balance takes COLUMN=VALUE:SHARE"),
        (("--balance", "sex=f:0.5.1"), "--balance takes COLUMN=VALUE:SHARE"),
        (("--balance", "sex=f:0.5", "--balance", "sex=f:0.6"), "one value of column 'sex' two"),
        (("--balance", "sex=f:0.5"), "name a file with -o"),
        (("--independent", "sex,died"), "name a file with -o"),
        (("--balance", "sex=x:0.5", "-o", "few.csv"), "column 'sex'"),
        (("--balance", "height=3:0.5", "-o", "few.csv"), "column 'height'"),
        (("--balance", "sex=f:0.9,m:0.9", "-o", "few.csv"), "sum to at most 1"),
        (("--balance", "sex=f:0.9", "--where", "sex=f", "-o", "few.csv"), "both name column 'sex'"),
        (("--independent", "sex", "-o", "few.csv"), "--independent takes the names of two"),
        (("--independent", "sex,height", "-o", "few.csv"), "column 'height'"),
        (("-o", "few.xlsx"), "name a .parquet or a .csv file"),
        (("--rows", 0, "-o", "few.csv"), "at least 1"),
    ],
)
def test_sample_refuses(cli: Cli, run_folder: Path, words: tuple[object, ...], rule: str) -> None:
    done = cli("sample", run_folder, *words)
    assert done.code in (1, 2)
    assert rule in done.error
    assert not Path("few.csv").exists()


def test_assess_needs_one_form_or_the_other(cli: Cli, ward: Ward, run_folder: Path) -> None:
    assert cli("assess", run_folder).code == 2
    assert cli("assess", "--train", ward.csv()).code == 2


def test_the_plan_says_how_many_persons_are_needed(cli: Cli) -> None:
    done = cli("assess", "--plan")
    assert done.code == 0
    assert "1,241" in done.out  # at a control rate of 65 % and a limit of .09
    assert "669 / 234 / 480" in done.out
    (found,) = (
        each
        for each in cli("assess", "--plan", "--json").json
        if (each["control_rate"], each["limit"]) == (0.05, 0.09)
    )
    assert found["persons_a_side"] == 36
    assert found["for_the_verdict"] == 64
    assert found["for_80_percent_power"] == 110


def test_other_records_are_not_those_of_the_run(cli: Cli, ward: Ward, run_folder: Path) -> None:
    done = cli("assess", run_folder, "--data", ward.csv(ward.rows(110)))
    assert done.code == 1
    assert "commitment" in done.error


def test_the_ledger_shows_what_was_spent(cli: Cli, ward: Ward, run_folder: Path) -> None:
    (account,) = cli("ledger", "show", "--json").json["accounts"]
    assert (account["dataset"], account["jobs"], account["cap"]) == ("ward", 1, None)
    assert 0.9 < account["epsilon_spent"] <= 1.0
    assert "ward" in cli("ledger", "show").out
    assert cli("ledger", "show", "--dataset", "other", "--json").json["entries"] == []
    other = cli("ledger", "show", "--dataset", "other").out
    assert "nothing has been spent on data set 'other'" in other


def test_an_unexpected_error_keeps_its_text_to_itself(
    cli: Cli, ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **others: object) -> None:
        raise RuntimeError(ward.planted)

    monkeypatch.setattr("privsynth.io.read_raw", broken)
    done = cli("inspect", ward.csv())
    assert done.code == 1
    assert "internal error: RuntimeError in cli/inspect.py" in done.error
    assert ward.planted not in done.err
    monkeypatch.setenv("PRIVSYNTH_DEBUG", "1")
    assert "Traceback" in cli("inspect", ward.csv()).err


def test_bars_for_a_terminal() -> None:
    from io import StringIO

    from rich.console import Console
    from rich.progress import Progress, TextColumn

    from privsynth.cli.progress import Bars

    text = StringIO()
    columns = ("{task.description} {task.completed}/{task.total} {task.fields[note]}",)
    console = Console(file=text, force_terminal=True, width=100)
    with Progress(*map(TextColumn, columns), console=console) as rich:
        bars = Bars(rich)
        bars.stage("reading")
        bars.stage("training", total=600)
        bars.advance(200, "epsilon 0.4 of 1")
        bars.say("few records [of 3]")
        bars.finish()
    for words in (
        "reading 1/1",
        "training 600/600",
        "epsilon 0.4 of 1",
        "note: few records [of 3]",
    ):
        assert words in text.getvalue()


def test_the_demo_leaves_the_ledger_of_the_user_alone(
    cli: Cli, ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    from privsynth.io import clinic

    few = clinic.simulate_clinic(500)
    monkeypatch.setattr(clinic, "simulate_clinic", lambda: few)
    done = cli("demo", "--json")
    assert done.code == 0, done.err
    assert not Path(os.environ["PRIVSYNTH_LEDGER"]).exists()
    controller = Path(done.json["controller"])
    assert pq.read_table(controller / "clinic.parquet").num_rows == 500
    shown = cli("ledger", "show", "--ledger", controller / "ledger.sqlite", "--json").json
    assert [entry["kind"] for entry in shown["entries"]] == ["charge", "close"]
    assert json.loads((controller / "run.json").read_text())["data"] == "clinic.parquet"
    assert "already holds a run" in cli("demo").error
