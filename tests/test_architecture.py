"""The house keeps its walls: import order, one door a vendor, and the size of things."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "privsynth"

# Lower never imports higher. Modules of one set may import each other, unless they are siblings.
LAYERS: tuple[frozenset[str], ...] = tuple(
    frozenset(names.split())
    for names in (
        "errors",
        "registry progress",
        "schema",
        "storage",
        "conform",
        "table",
        "io",
        "privacy",
        "encode",
        "synth",
        "risk fidelity fairness",
        "report",
        "release",
        "pipeline",
        "__init__",
        "audit",
        "cli testing __main__",
    )
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
SIBLINGS = frozenset({"risk", "fidelity", "fairness"})
MAY_IMPORT = dict.fromkeys(
    SIBLINGS, frozenset({"schema", "table", "errors", "registry", "progress"})
)

# Where a vendor may be imported: a file, or a folder with everything in it.
DOORS: dict[str, tuple[str, ...]] = {
    "opacus": ("privacy/dpsgd.py",),
    "dp_accounting": ("privacy/accountant.py",),
    "anonymeter": ("risk/anonymeter.py",),
    "sdmetrics": ("fidelity/sdmetrics.py",),
    "torch": ("synth/", "privacy/dpsgd.py", "privacy/noise.py", "audit/"),
    **dict.fromkeys(("sdv", "rdt", "ctgan", "copulas", "deepecho"), ("synth/sdv.py",)),
}

MAX_FILE_LINES = 399
MAX_FUNCTION_LINES = 50
MAX_POSITIONAL = 5


def imports(path: str, source: str) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every import, those inside functions and by name included."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = _absolute(path, module, level)
                yield from ((node.lineno, f"{base}.{alias.name}") for alias in names)
            case ast.Call(func=func, args=[ast.Constant(value=str(name)), *_]):
                if getattr(func, "attr", getattr(func, "id", "")) in {
                    "import_module",
                    "__import__",
                }:
                    yield node.lineno, name


def _absolute(path: str, module: str | None, level: int) -> str:
    if not level:
        return module or ""
    package = ["privsynth", *Path(path).parts[:-1]]
    return ".".join([*package[: len(package) - level + 1], *([module] if module else [])])


def room_of(path: str) -> str:
    """The room, or top module, that a file inside the package belongs to."""
    return Path(path).parts[0].removesuffix(".py")


def wall_faults(path: str, source: str) -> list[str]:
    """Imports of a file (named from the package's folder) that go through a wall."""
    room, faults = room_of(path), []
    for line, name in imports(path, source):
        vendor, _, rest = name.partition(".")
        if vendor != "privsynth":
            if not path.startswith(DOORS.get(vendor, ("",))):
                faults.append(f"{path}:{line}: {vendor} is imported only in {DOORS[vendor]}")
            continue
        target = rest.split(".")[0]
        target = target if target in LEVEL else "__init__"  # a name of the face
        if target != room and not _may_import(room, target):
            faults.append(f"{path}:{line}: {room} must not import {target}")
    return faults


def _may_import(room: str, target: str) -> bool:
    if room in MAY_IMPORT:
        return target in MAY_IMPORT[room]
    return LEVEL[target] <= LEVEL[room]


def size_faults(path: str, source: str) -> list[str]:
    """Files and functions that are too long, and functions of too many positional arguments."""
    faults = []
    if (n := source.count("\n")) > MAX_FILE_LINES:
        faults.append(f"{path}: {n} lines, at most {MAX_FILE_LINES}")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            n = (node.end_lineno or node.lineno) - node.lineno + 1
            if n > MAX_FUNCTION_LINES:
                faults.append(f"{path}:{node.lineno}: {node.name} has {n} lines")
            names = [arg.arg for arg in (*node.args.posonlyargs, *node.args.args)]
            n = len([name for name in names if name not in {"self", "cls"}])
            if n > MAX_POSITIONAL:
                faults.append(f"{path}:{node.lineno}: {node.name} takes {n} positional arguments")
    return faults


def sources(folder: Path) -> list[Path]:
    """Every Python file under a folder of the repository."""
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def package_files() -> list[str]:
    return [path.relative_to(PACKAGE).as_posix() for path in sources(PACKAGE)]


def test_every_room_has_its_place() -> None:
    assert {room_of(path) for path in package_files()} <= set(LEVEL)


@pytest.mark.parametrize("path", package_files())
def test_no_import_goes_through_a_wall(path: str) -> None:
    assert wall_faults(path, (PACKAGE / path).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "path",
    [
        path.relative_to(ROOT).as_posix()
        for folder in ("privsynth", "tests", "benchmarks")
        for path in sources(ROOT / folder)
    ],
)
def test_files_and_functions_stay_small(path: str) -> None:
    assert size_faults(path, (ROOT / path).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("schema/draft.py", "from privsynth.table import Table"),
        ("table.py", "def f():\n    from privsynth.io import read_table"),
        ("risk/copies.py", "from privsynth.fidelity.base import Score"),
        ("fidelity/utility.py", "import privsynth.encode.codebook"),
        ("risk/base.py", "from privsynth.privacy.budget import PrivacyBudget"),
        ("privacy/plan.py", "from ..synth import base"),
        ("io/csv.py", "from privsynth import pipeline"),
        ("encode/codebook.py", "from privsynth import Diffusion"),
        ("synth/gan.py", "import opacus"),
        ("privacy/calibrate.py", "from dp_accounting.pld import privacy_loss_distribution"),
        ("risk/copies.py", "def f():\n    import anonymeter.evaluators"),
        ("encode/codebook.py", "import torch.nn as nn"),
        ("cli/main.py", "import importlib\nimportlib.import_module('sdv')"),
        ("fidelity/dependence.py", "from copulas.bivariate import Frank"),
        (
            "report/build.py",
            "if TYPE_CHECKING:\n    from privsynth.release.manifest import Manifest",
        ),
    ],
)
def test_the_wall_check_sees_a_planted_import(path: str, source: str) -> None:
    assert len(wall_faults(path, source)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("synth/diffusion.py", "import torch\nfrom privsynth.privacy import dpsgd"),
        ("audit/steps.py", "import torch"),
        ("synth/diffusion.py", "from . import base\nfrom .base import Synthesizer"),
        ("cli/main.py", "import privsynth as ps\nfrom privsynth.testing import conformance"),
    ],
)
def test_the_wall_check_lets_the_rest_through(path: str, source: str) -> None:
    assert wall_faults(path, source) == []


@pytest.mark.parametrize(
    "source",
    [
        "x = 1\n" * 400,
        "def f():\n" + "    x = 1\n" * 50,
        "class A:\n    def f(self, a, b, c, d, e, f): ...\n",
    ],
)
def test_the_size_check_sees_what_is_too_big(source: str) -> None:
    assert len(size_faults("planted.py", source)) == 1


HEAVY = {*DOORS, "duckdb", "pandas", "scipy", "sklearn"}


@pytest.mark.parametrize("module", ["privsynth", "privsynth.cli.main"])
def test_loading_is_light(module: str) -> None:
    code = (
        f"import sys, {module}; print(*(name for name in {sorted(HEAVY)} if name in sys.modules))"
    )
    assert printed(code) == ""


TRAIN_SAMPLE_SAVE = """
import sys, tempfile
from pathlib import Path
import privsynth as ps
from privsynth.io.clinic import clinic_schema, simulate_clinic

folder = Path(tempfile.mkdtemp())
patients = ps.read_table(simulate_clinic(50), clinic_schema())
budget = ps.PrivacyBudget(epsilon=1.0, delta=1e-5)
ledger = ps.Ledger(folder / "ledger.sqlite")
ps.Diffusion(taught_steps=0, steps=1).fit(patients, budget, ledger=ledger).save(folder / "model")
ps.load_fitted(folder / "model").sample(10)
print(*({"sdv", "rdt", "ctgan", "copulas", "deepecho"} & sys.modules.keys()))
"""


def test_training_sampling_and_saving_never_load_sdv() -> None:
    assert printed(TRAIN_SAMPLE_SAVE) == ""


def printed(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
