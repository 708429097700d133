"""Every text of the repository speaks of the product, and of no machine that it was made on."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Spelled in pieces, so that this file does not hold what it looks for.
MACHINE_PATHS = ("/wo" + "rk/", "/tm" + "p/venv", "/ro" + "ot/", "/ho" + "me/", "/op" + "t/")
REGISTRIES = ("py" + "pi.org", "python" + "hosted", "download.py" + "torch", "npm" + "js.")
MAKING = ("clau" + "de", "anthro" + "pic", "chat" + "gpt", "ai-gen" + "erated", "co-aut" + "hored")
UNFINISHED = ("TO" + "DO", "FIX" + "ME")


def texts() -> dict[str, str]:
    """Every file that git keeps, or would keep, that is text: by path."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    found = {}
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and b"\0" not in (raw := path.read_bytes()):
            found[name] = raw.decode("utf-8")
    return found


def hits(words: tuple[str, ...], text: str) -> list[str]:
    """The words that a text holds, whatever their case."""
    return [word for word in words if re.search(re.escape(word), text, re.IGNORECASE)]


@pytest.mark.parametrize("words", [MACHINE_PATHS, REGISTRIES, MAKING, UNFINISHED])
def test_no_file_says_where_or_how_it_was_made(words: tuple[str, ...]) -> None:
    found = {name: hits(words, text) for name, text in texts().items()}
    assert {name: words for name, words in found.items() if words} == {}


def test_the_search_sees_a_planted_word() -> None:
    assert hits(MACHINE_PATHS, "see /WO" + "RK/shared") == [MACHINE_PATHS[0]]


def test_every_folder_with_tests_mirrors_a_room() -> None:
    rooms = {path.name for path in (ROOT / "privsynth").iterdir() if path.is_dir()}
    kinds = {"contract", "property", "guarantee", "mutation", "docs", "benchmarks", "__pycache__"}
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()}
    assert folders <= rooms | kinds


def test_constraints_pin_exact_plain_versions() -> None:
    lines = (ROOT / "constraints" / "cpu.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert [line for line in pins if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    assert "torch==2.13.0" in pins


def test_every_dependency_is_pinned_and_justified() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[<>=!\[ ]", line)[0].lower() for line in wanted}
    pins = (ROOT / "constraints" / "cpu.txt").read_text(encoding="utf-8").lower()
    record = (ROOT / "docs" / "adr" / "0007-dependencies.md").read_text(encoding="utf-8").lower()
    assert [name for name in names if f"\n{name}==" not in pins] == []
    assert [name for name in names if f"| {name} |" not in record] == []
