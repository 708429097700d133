"""The peers' environments: one each, because their pins exclude one another.

`environments/NAME.txt` are the frozen sets that worked, torch's CPU build among them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from arena.cells import HERE, PEERS, Cache

FOLDER = HERE / "environments"


def default_cache() -> Path:
    """Where environments and draws are kept: PRIVSYNTH_PEERS, or a folder of the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("PRIVSYNTH_PEERS") or Path(cache) / "privsynth-peers")


def python311() -> str:
    """An interpreter of Python 3.11, the newest that every peer runs on."""
    if sys.version_info[:2] == (3, 11):
        return sys.executable
    if found := shutil.which("python3.11"):
        return found
    raise SystemExit("the peers need Python 3.11, and there is no python3.11 on the path")


def ready(generator: str, cache: Cache) -> None:
    """Make the environment of a peer where it is missing; ours needs none."""
    name = PEERS.get(generator)
    if name is None or cache.python(name).exists():
        return
    folder = cache.python(name).parents[1]
    partial = folder.with_name(f"{name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        subprocess.run([python311(), "-m", "venv", str(partial)], check=True)
        pip = [str(partial / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, "-r", str(FOLDER / f"{name}.txt")], check=True)
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"the environment of {name} could not be made: {error}") from None
    partial.rename(folder)
