"""What a table is judged by: limits, each with its source, and attackers. None of them is a law."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from privsynth.errors import UsageError
from privsynth.risk.base import Attack
from privsynth.risk.linkability import Linkability, Sources
from privsynth.schema import Schema


@dataclass(frozen=True)
class Threshold:
    """A limit that others publish or that this project uses, and what it applies to."""

    name: str
    value: str
    source: str
    use: Literal["decides", "information"]
    note: str = ""


PUBLISHED: tuple[Threshold, ...] = (
    Threshold(
        "Risk of re-identification in an equivalence class",
        "0.09",
        "EMA Policy 0070; Health Canada, Public Release of Clinical Information",
        "information",
        "made for masked tables of real records; it does not apply to the excess of an attack",
    ),
    Threshold(
        "Excess risk, public release",
        "0.05",
        "local policy; no authority has set one",
        "information",
    ),
    Threshold(
        "Smallest count that is printed",
        "11",
        "CMS cell size suppression policy; ResDAC 2024",
        "decides",
        "counts from 1 to 10 are printed as <11",
    ),
    Threshold(
        "Persons in a three-digit ZIP area; pooling of ages",
        "more than 20,000; 90 and over",
        "HIPAA Safe Harbor, 45 CFR 164.514(b)(2)",
        "information",
    ),
    Threshold(
        "Expert Determination",
        "“very small”, no number",
        "HIPAA, 45 CFR 164.514(b)(1)",
        "information",
    ),
    Threshold(
        "Epsilon",
        "no legal threshold exists",
        "a NIST blog calls 0 to 5 conservative; a label prototype calls over 20 not ideal",
        "information",
    ),
)

CONDITIONS: tuple[str, ...] = (
    "Use the table for the purpose that was agreed, and by the recipients who were named.",
    "Do not try to single out, contact or identify a person, and do not link the table to other "
    "data in order to do so.",
    "Take no decision about an individual person from the table.",
    "Tell the controller if a record seems to point to a real person.",
    "Say in every publication that the data are synthetic, and name the run.",
    "Correct standard errors, or confirm findings on real records, before acting on them.",
)


@dataclass(frozen=True)
class Policy:
    """What a verdict is held against, its source and who set it; and the attackers to reckon with.

    `linkability` are the pairs of sources that somebody may hold on the same persons. Without
    any, the quasi-identifiers are dealt out to two.

    >>> Policy().excess_limit
    0.1
    """

    excess_limit: float = 0.10
    source: str = "local policy (default, controlled release)"
    set_by: str = "default of privsynth; no policy was given"
    conditions: tuple[str, ...] = CONDITIONS
    linkability: tuple[Sources, ...] = ()
    thresholds: tuple[Threshold, ...] = PUBLISHED

    @classmethod
    def load(cls, path: str | Path) -> Policy:
        """The policy in a TOML file; UsageError says where it is wrong."""
        try:
            return cls.parse(tomllib.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError):
            raise UsageError(f"policy file {path} cannot be read") from None
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"policy file {path} is not valid TOML: {error}") from None
        except UsageError as error:
            raise UsageError(f"policy file {path}: {error}") from None

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Policy:
        """The policy in a nested mapping, as read from TOML.

        >>> Policy.parse({"limits": {"excess": 0.05, "source": "board", "set_by": "A. Meyer"}})
        Policy(excess_limit=0.05, source='board', ...)
        """
        try:
            found = _Document.model_validate(dict(document))
        except ValidationError as error:
            raise UsageError(_fault(error)) from None
        limits = found.limits
        return cls(
            limits.excess,
            limits.source,
            limits.set_by,
            found.conditions,
            tuple(Sources(each.name, each.first, each.second) for each in found.linkability),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values that `parse` takes."""
        limits = {"excess": self.excess_limit, "source": self.source, "set_by": self.set_by}
        linkability = [
            {"name": each.name, "first": list(each.first), "second": list(each.second)}
            for each in self.linkability
        ]
        return {
            "limits": limits,
            "conditions": list(self.conditions),
            "linkability": linkability,
        }

    def attacks(self) -> Mapping[str, Attack]:
        """The attacks that the policy says more of than the defaults do, by name."""
        if not self.linkability:
            return {}
        return {Linkability.name: Linkability(sources=self.linkability)}

    def require_columns(self, schema: Schema) -> None:
        """UsageError where a declared source names a column that the schema does not have."""
        for sources in self.linkability:
            unknown = [name for name in sources.columns if name not in schema.modelled]
            if unknown:
                raise UsageError(
                    f"policy: the sources {sources.name!r} name {', '.join(unknown)}, "
                    "which the synthetic table will not have"
                )


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Limits(_Part):
    excess: float = Field(gt=0, le=1)
    source: str = Field(min_length=1)
    set_by: str = Field(min_length=1)


class _Sources(_Part):
    name: str = Field(min_length=1)
    first: tuple[str, ...] = Field(min_length=1)
    second: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _apart(self) -> _Sources:
        named = [*self.first, *self.second]
        if twice := sorted({name for name in named if named.count(name) > 1}):
            raise ValueError(f"column {twice[0]!r} stands in it twice: what both hold links itself")
        return self


class _Document(_Part):
    limits: _Limits
    conditions: tuple[str, ...] = CONDITIONS
    linkability: tuple[_Sources, ...] = ()


_PARTS: Mapping[str, type[_Part]] = {
    "": _Document,
    "limits": _Limits,
    "linkability": _Sources,
}


def _fault(error: ValidationError) -> str:
    """One line for the first fault: where it is, and what the rule is."""
    fault = error.errors(include_url=False, include_input=False)[0]
    *place, key = [str(part) for part in fault["loc"]]
    if fault["type"] == "extra_forbidden":
        known = ", ".join(_PARTS[place[0] if place else ""].model_fields)
        return f"{'.'.join(place) or 'the top level'}: unknown key {key!r}; known keys: {known}"
    message = "is missing" if fault["type"] == "missing" else fault["msg"]
    return f"{'.'.join([*place, key])}: {message[:1].lower()}{message[1:]}"
