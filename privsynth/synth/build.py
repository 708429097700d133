"""Which build this is: a hash of all that decides how records are used."""

from __future__ import annotations

import hashlib
import json
import platform
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from privsynth.synth.preset import load_preset, preset_names

_PACKAGES = (
    *("torch", "opacus", "dp-accounting", "numpy", "scipy"),
    *("cryptography", "pandas", "pyarrow"),
)


@cache
def code_hash() -> str:
    """One hash over every source file of the package, the presets, and what they stand on.

    >>> len(code_hash())
    64
    """
    root = Path(str(files("privsynth")))
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(root).as_posix()} {content}\n".encode())
    settings = {name: repr(load_preset(name)) for name in preset_names()}
    digest.update(json.dumps([settings, packages()], sort_keys=True).encode())
    return digest.hexdigest()


def packages() -> dict[str, str]:
    """The versions of what reading, noise, training and accounting rest on."""
    return {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}
