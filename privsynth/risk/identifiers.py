"""Identifiers: a full scan of the synthetic table for names, numbers and texts of real persons."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from privsynth.risk.base import (
    AttackResult,
    Detail,
    Rate,
    Result,
    Risk,
    ThreatModel,
    attacks,
    timed,
)
from privsynth.risk.copies import unique_to_one_person
from privsynth.risk.statistics import p_value
from privsynth.schema import IdColumn, TextColumn
from privsynth.schema.pii import find_identifiers, name_suggests
from privsynth.table import Table, Tables

THREAT_MODEL = ThreatModel(
    attacker="anybody who reads the synthetic table",
    knowledge="the synthetic table alone",
    goal="a name, number, address or text that points to a real person",
)

LEVEL = 0.01
"""The p-value under which overlap with train, compared with control, is no coincidence."""

_SHORT_NUMBER = re.compile(r"\D*\d{1,9}")
_NUMBERED = re.compile(r"(\D*)(\d{1,18})")
_LONG_TEXT_WORDS = 5


@dataclass(frozen=True)
class IdentifierFinding:
    """A kind of identifier in a column of the synthetic table, with the rows that hold it.

    >>> IdentifierFinding("notes", "e-mail", n_rows=3).n_rows
    3
    """

    column: str
    kind: str
    n_rows: int


@dataclass(frozen=True)
class Overlap:
    """Values of a key or text column that are one person's own in train and occur in synthetic.

    `is_coincidence` says that chance explains them: surrogates are counters, and so may be real
    keys; two people may be called alike.
    """

    n_rows: int
    n_persons: int
    is_coincidence: bool


@attacks.register("identifiers")
@dataclass(frozen=True)
class Identifiers:
    """Every row and column scanned by pattern and checksum, and keys and texts compared with train.

    Any finding is red. The rate is that of the rows with a finding in the worst column.

    >>> Identifiers().title
    'Direct identifiers'
    """

    name: ClassVar[str] = "identifiers"
    title: ClassVar[str] = "Direct identifiers"

    def run(self, tables: Tables, rng: np.random.Generator) -> tuple[Result, ...]:
        """One result; nothing is random."""
        return (timed(lambda: self._scan(tables)),)

    def _scan(self, tables: Tables) -> Result:
        overlaps = dict(_overlaps(tables))
        findings = (*_patterns(tables.synthetic), *_verbatim(overlaps))
        n_rows = tables.synthetic.n_rows
        member = Rate(max((finding.n_rows for finding in findings), default=0), n_rows)
        red = [found.n_persons for found in overlaps.values() if not found.is_coincidence]
        return AttackResult(
            attack=self.name,
            title=self.title,
            criterion="identifiers",
            threat_model=THREAT_MODEL,
            n_planned=n_rows,
            n_done=n_rows,
            member=member,
            excess=Risk(member.value, member.value, member.value, confidence=1.0),
            persons=max(red, default=0),
            tool="privsynth",
            details=_details(findings, overlaps),
        )


def find_in_tables(tables: Tables) -> tuple[IdentifierFinding, ...]:
    """Every identifier that the synthetic table holds, with counts and never with values.

    >>> import pandas as pd
    >>> from privsynth.schema import Schema
    >>> schema = Schema.parse({"dataset": {"id": "d"}, "columns": {"notes": {"kind": "text"}}})
    >>> table = Table.from_pandas(pd.DataFrame({"notes": ["ann@example.org", "none"]}), schema)
    >>> [(found.kind, found.n_rows) for found in find_in_tables(Tables(table, table.take(
    ...     np.array([], dtype=int)), table))]
    [('e-mail', 1), ('verbatim text', 2)]
    """
    return (*_patterns(tables.synthetic), *_verbatim(dict(_overlaps(tables))))


def is_counter(values: pa.Array) -> bool:
    """Whether the distinct values are consecutive numbers after one prefix, as surrogates are.

    >>> is_counter(pa.array(["P003", "P001", "P002"])), is_counter(pa.array(["P003", "P001"]))
    (True, False)
    """
    matches = [_NUMBERED.fullmatch(value) for value in pc.unique(values.drop_null()).to_pylist()]
    if not matches or not all(matches):
        return False
    parts = [match.groups() for match in matches if match]
    numbers = {int(digits) for _, digits in parts}
    one_prefix = len({prefix for prefix, _ in parts}) == 1
    return one_prefix and max(numbers) - min(numbers) + 1 == len(numbers) == len(parts)


def _patterns(synthetic: Table) -> Iterator[IdentifierFinding]:
    """Kinds that a pattern finds, in columns whose declared provider does not make that kind."""
    for name in synthetic.columns:
        column = synthetic.schema.columns.get(name)
        declared = isinstance(column, TextColumn) and column.action == "fake" and column.provider
        made = name_suggests(declared) if declared else None
        for kind, n_rows in sorted(find_identifiers(synthetic.column(name)).items()):
            if kind != made:
                yield IdentifierFinding(name, kind, n_rows)


def _verbatim(overlaps: dict[tuple[str, str], Overlap]) -> Iterator[IdentifierFinding]:
    for (name, kind), found in overlaps.items():
        if not found.is_coincidence:
            yield IdentifierFinding(name, kind, found.n_rows)


def _overlaps(tables: Tables) -> Iterator[tuple[tuple[str, str], Overlap]]:
    """Key and text columns whose synthetic values meet those of train, by column and kind."""
    for name, column in tables.schema.columns.items():
        if not isinstance(column, IdColumn | TextColumn):
            continue
        if name not in tables.train.columns or name not in tables.synthetic.columns:
            continue
        kind = "verbatim key" if isinstance(column, IdColumn) else "verbatim text"
        is_fake = isinstance(column, TextColumn) and column.action == "fake"
        if found := _overlap(name, tables, is_fake):
            yield (name, kind), found


def _overlap(name: str, tables: Tables, is_fake: bool) -> Overlap | None:
    synthetic = _plain_text(tables.synthetic, name)
    own, persons = _own_values(tables.train, name)
    met = pc.is_in(own, value_set=pc.unique(synthetic))
    n_persons = len(np.unique(persons[met.to_numpy(zero_copy_only=False)]))
    if not n_persons:
        return None
    shared = pc.unique(own.filter(met))
    n_rows = pc.sum(pc.is_in(synthetic, value_set=shared)).as_py()
    by_chance = is_counter(synthetic) or (
        _may_coincide(shared, is_fake) and not _beyond_chance(name, tables, synthetic)
    )
    return Overlap(int(n_rows), n_persons, by_chance)


def _may_coincide(values: pa.Array, is_fake: bool) -> bool:
    """Whether values are so short that two people can have them by chance."""
    return all(
        _SHORT_NUMBER.fullmatch(value) or (is_fake and len(value.split()) < _LONG_TEXT_WORDS)
        for value in values.to_pylist()
    )


def _beyond_chance(name: str, tables: Tables, synthetic: pa.Array) -> bool:
    """Whether train's values are met more often than control's; so too where control is empty."""
    if not tables.control.n_rows or name not in tables.control.columns:
        return True
    rates = []
    for table in (tables.train, tables.control):
        own, _ = _own_values(table, name)
        hits = pc.sum(pc.is_in(own, value_set=pc.unique(synthetic))).as_py() or 0
        if not len(own):
            return True
        rates.append(Rate(int(hits), len(own)))
    return p_value(*rates) < LEVEL


def _own_values(table: Table, name: str) -> tuple[pa.Array, NDArray[Any]]:
    """The values that one person alone has, one for each row, with the person."""
    text = _plain_text(table, name)
    present = text.is_valid().to_numpy(zero_copy_only=False)
    persons = _persons(table)[present]
    text = text.drop_null()
    codes = text.dictionary_encode().indices.to_numpy(zero_copy_only=False)
    alone = unique_to_one_person(codes, persons) if len(codes) else np.empty(0, dtype=bool)
    return text.filter(pa.array(alone)), persons[alone]


def _persons(table: Table) -> NDArray[Any]:
    unit = table.schema.privacy.unit
    return table.units() if unit in table.columns else np.arange(table.n_rows)


def _plain_text(table: Table, name: str) -> pa.Array:
    """A column as text without differences of case or of space around it; blank is missing."""
    text = table.column(name).combine_chunks().cast(pa.string())
    text = pc.utf8_lower(pc.utf8_trim_whitespace(text))
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)


def _details(
    findings: tuple[IdentifierFinding, ...], overlaps: dict[tuple[str, str], Overlap]
) -> dict[str, Detail]:
    details: dict[str, Detail] = {
        f"{found.column}: {found.kind}": found.n_rows for found in findings
    }
    for (name, kind), found in overlaps.items():
        if found.is_coincidence:
            details[f"{name}: {kind}, by coincidence"] = found.n_rows
    return details
