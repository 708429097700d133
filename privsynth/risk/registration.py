"""What will be tested, fixed before anything is fitted: nobody picks attacks by their results."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

from privsynth.progress import Silent
from privsynth.risk.base import Attack, attacks

_TOOLS = ("anonymeter", "numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "torch")
_CONSTANT = re.compile(r"_?[A-Z][A-Z0-9_]+")


def registration(limit: float, declared: Mapping[str, Attack] = MappingProxyType({})) -> str:
    """A SHA-256 of how a table will be judged: attacks, settings, code and the policy's limit.

    `declared` are the attacks whose settings come from the policy. Of the attacks that are not
    registered (the one on the model) and of what all of them share (levels, least numbers of
    trials, numbers of guesses) every constant of the modules is in it; so are the source of the
    whole package, since what reads tables and what makes verdicts decide as well, and the
    versions of the tools.

    Two runs with the same hash asked the same questions, with the same numbers of attempts, and
    held the answers against the same limit.

    >>> registration(0.05) == registration(0.05), registration(0.05) == registration(0.10)
    (True, False)
    """
    document = {
        "versions": {name: version(name) for name in ("privsynth", *_TOOLS)},
        "attacks": {
            name: _settings(declared.get(name) or make()) for name, make in attacks.items()
        },
        "constants": _constants(),
        "code": _code(Path(__file__).parents[1]),
        "limit": limit,
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _settings(attack: Any) -> dict[str, Any]:
    if is_dataclass(attack) and not isinstance(attack, type):
        return {"kind": type(attack).__qualname__, **asdict(attack)}
    return {"kind": type(attack).__qualname__}


def _constants() -> dict[str, str]:
    """What stands in capitals in a module of the attacks, by module and name."""
    here = Path(__file__).parent
    names = (path.stem for path in here.glob("*.py") if path.stem != "__init__")
    modules = {name: import_module(f"privsynth.risk.{name}") for name in names}
    return {
        f"{module}.{name}": _plain(value)
        for module, loaded in modules.items()
        for name, value in vars(loaded).items()
        if _CONSTANT.fullmatch(name) and not isinstance(value, Silent)
    }


def _plain(value: Any) -> str:
    """A constant as text, which no order of hashing changes."""
    return repr(sorted(value) if isinstance(value, frozenset) else value)


def _code(package: Path) -> str:
    """A SHA-256 of the source of a package, which holds whatever asks and judges."""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        place = path.relative_to(package).as_posix()
        digest.update(f"{place}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()
