"""What will be tested, fixed before anything is fitted: nobody picks attacks by their results."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from importlib.metadata import version
from types import MappingProxyType
from typing import Any

from privsynth.risk.base import LEVEL, Attack, attacks


def registration(limit: float, declared: Mapping[str, Attack] = MappingProxyType({})) -> str:
    """A SHA-256 of every registered attack with its settings, the level and the policy's limit.

    `declared` are the attacks whose settings come from the policy.

    Two runs with the same hash asked the same questions, with the same numbers of attempts, and
    held the answers against the same limit.

    >>> registration(0.05) == registration(0.05), registration(0.05) == registration(0.10)
    (True, False)
    """
    document = {
        "version": version("privsynth"),
        "attacks": {
            name: _settings(declared.get(name) or make()) for name, make in attacks.items()
        },
        "level": LEVEL,
        "limit": limit,
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _settings(attack: Any) -> dict[str, Any]:
    if is_dataclass(attack) and not isinstance(attack, type):
        return {"kind": type(attack).__qualname__, **asdict(attack)}
    return {"kind": type(attack).__qualname__}
