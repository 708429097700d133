"""What the documents say is so: code runs, commands, names, tests and links exist."""

from __future__ import annotations

import ast
import contextlib
import io
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "models/*/*.md")
    for path in ROOT.glob(pattern)
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, its text, and the line where the text starts."""

    language: str
    text: str
    line: int


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [
        Block(found[1], found[2], text[: found.start(2)].count("\n") + 1)
        for found in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]


def pages_with(language: str) -> list[str]:
    return [page for page in PAGES if any(b.language == language for b in blocks(text_of(page)))]


# Code


@pytest.mark.parametrize("page", pages_with("python"))
def test_the_code_of_a_page_runs(
    page: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "patients.csv" in text_of(page):
        shutil.copytree(request.getfixturevalue("desk"), tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    run_page(page, text_of(page))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the pages talk about: a small clinic, its schema, and a release in out/."""
    import privsynth as ps
    from privsynth.io.clinic import clinic_schema, simulate_clinic
    from privsynth.release.release import write_release

    folder = tmp_path_factory.mktemp("desk")
    clinic_schema().save(folder / "patients.toml")
    records = simulate_clinic(250)
    records.to_pandas().to_csv(folder / "patients.csv", index=False)
    train, control = ps.read_table(records, clinic_schema()).split(control=0.1)
    ledger, budget = ps.Ledger(folder / "ledger.sqlite"), ps.PrivacyBudget(1.0, 1e-6)
    fitted = ps.Diffusion(taught_steps=10, steps=10).fit(train, budget, ledger=ledger)
    synthetic = fitted.sample(100)
    report = ps.assess(
        train=train, control=control, synthetic=synthetic, guarantee=fitted.guarantee
    )
    (folder / "out").mkdir()
    write_release(folder / "out" / "release", synthetic, report)
    return folder


def run_page(page: str, text: str) -> None:
    """Run the Python blocks of a page; a `text` block right after one shows what that prints."""
    names: dict[str, Any] = {"__name__": page}
    printed: str | None = None
    for block in blocks(text):
        if block.language == "python":
            code = compile("\n" * (block.line - 1) + block.text, page, "exec")
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(code, names)
            printed = out.getvalue()
            continue
        if block.language == "text" and printed is not None:
            assert printed.split() == block.text.split(), f"{page}:{block.line}: prints {printed}"
        printed = None


@pytest.mark.parametrize("code", ["print(1)", "1"])
def test_a_wrong_output_is_seen(code: str) -> None:
    page = f"```python\n{code}\n```\n\n```text\n2\n```\n"
    with pytest.raises(AssertionError):
        run_page("planted.md", page)


def test_what_stands_after_another_block_is_no_output() -> None:
    run_page("planted.md", "```python\n1\n```\n\n```toml\na = 1\n```\n\n```text\n2\n```\n")


# Commands


def commands() -> dict[str, set[str]]:
    """Every command of the command line, with the options and arguments that it takes."""
    import typer

    from privsynth.cli.main import app

    return dict(_walk("privsynth", typer.main.get_command(app)))


def _walk(name: str, command: Any) -> Iterator[tuple[str, set[str]]]:
    inner = getattr(command, "commands", {})
    options = {opt for param in command.params for opt in (*param.opts, *param.secondary_opts)}
    if not inner:
        yield name, {opt for opt in options if opt.startswith("-")} | {"--help"}
    for word, child in inner.items():
        yield from _walk(f"{name} {word}", child)


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", text_of("Makefile"), re.MULTILINE))


def typed_lines(text: str) -> list[str]:
    """The lines that a `console` block tells the reader to type."""
    joined = "\n".join(b.text for b in blocks(text) if b.language == "console")
    return re.findall(r"^\$ (.*)$", joined.replace("\\\n", " "), re.MULTILINE)


@pytest.mark.parametrize("page", pages_with("console"))
def test_the_commands_of_a_page_exist(page: str) -> None:
    known = commands()
    for line in typed_lines(text_of(page)):
        words = shlex.split(line, comments=True)
        if words[0] == "make":
            assert {word for word in words[1:] if "=" not in word} <= make_targets(), line
        if words[0] == "privsynth":
            assert unknown_options(words, known) == set(), line


def unknown_options(words: list[str], known: dict[str, set[str]]) -> set[str]:
    """The options of a line that its command does not take, or the line if nothing takes it."""
    plain = " ".join(words)
    name = max((name for name in known if f"{plain} ".startswith(f"{name} ")), key=len, default="")
    given = {word.split("=")[0] for word in words if word.startswith("-")}
    return given - known[name] if name else {plain}


def test_an_unknown_option_is_seen() -> None:
    known = {"privsynth run": {"--out"}}
    assert unknown_options(["privsynth", "run", "x.csv", "--outt", "o"], known) == {"--outt"}
    assert unknown_options(["privsynth", "rum"], known) == {"privsynth rum"}


def test_every_command_and_option_is_documented() -> None:
    sections = sections_of(text_of("docs/reference/cli.md"), "## ")
    documented = {title.strip("`"): body for title, body in sections.items() if "`" in title}
    assert documented.keys() == commands().keys()
    missing = {
        name: absent
        for name, options in commands().items()
        if (absent := {o for o in options - {"--help"} if f"`{o}" not in documented[name]})
    }
    assert missing == {}


# Names


def sections_of(text: str, mark: str) -> dict[str, str]:
    """Title and body of each section that a heading of that rank opens."""
    parts = re.split(rf"^{mark}(.*)$", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_every_public_name_is_documented() -> None:
    import privsynth

    documented = re.findall(r"^### `(\w+)", text_of("docs/reference/python.md"), re.MULTILINE)
    assert sorted(documented) == sorted(set(privsynth.__all__) - {"__version__"})


@pytest.mark.parametrize("page", PAGES)
def test_the_tests_that_a_page_names_exist(page: str) -> None:
    for file, name in named_tests(text_of(page)):
        defined = {
            node.name
            for node in ast.walk(ast.parse(text_of(file)))
            if isinstance(node, ast.FunctionDef)
        }
        assert name in defined, f"{page}: {file} has no test {name}"


def named_tests(text: str) -> list[tuple[str, str]]:
    return re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)


def test_every_pitfall_names_its_test() -> None:
    rows = re.findall(r"^\| (?!pitfall|---).*\|$", text_of("docs/pitfalls.md"), re.MULTILINE)
    assert len(rows) >= 20
    assert [row for row in rows if not named_tests(row)] == []


# Words and links


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", text_of(page))
    assert [t for t in targets if not (ROOT / page).parent.joinpath(t).exists()] == []


@pytest.mark.parametrize("page", sorted({*PAGES} - {"NOTICE.md"}))
def test_pages_promise_nothing_that_a_report_would_not(page: str) -> None:
    from privsynth.report.wording import forbidden_words

    assert [found.phrase for found in forbidden_words(text_of(page))] == []
