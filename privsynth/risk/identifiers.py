"""Identifiers: a full scan of the synthetic table for names, numbers and texts of real persons."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from privsynth.errors import Inconclusive
from privsynth.risk.base import (
    LEVEL,
    AttackResult,
    Criterion,
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
from privsynth.schema import CategoricalColumn, IdColumn, OrdinalColumn, TextColumn
from privsynth.schema.pii import find_identifiers, name_suggests
from privsynth.table import Table, Tables

THREAT_MODEL = ThreatModel(
    attacker="anybody who reads the synthetic table",
    knowledge="the synthetic table alone",
    goal="a name, number, address or text that points to a real person",
)

_PUBLIC = ("declared", "documentation")  # sources of a category list that are not the records
_SHORT_NUMBER = re.compile(r"\D*\d{1,9}")
_NUMBERED = re.compile(r"(\D*)(\d{1,18})")
_LONG_TEXT_WORDS = 5
_SURROGATES = (("", 0), ("", 1))  # a counter with a prefix may have it from real keys


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

    `nature` is a coincidence where control persons are met alike, or where the keys of the
    synthetic table are a counter from 0 or 1; a counter that starts elsewhere, and meets train
    more often, may be one or copied keys. `p_value` compares train with control, for all columns
    together; it is None where one value is enough.
    """

    column: str
    kind: str
    n_rows: int
    n_persons: int
    nature: Literal["copied", "coincidence", "counter"]
    p_value: float | None = None


@attacks.register("identifiers")
@dataclass(frozen=True)
class Identifiers:
    """Every row and column scanned by pattern and checksum, and keys and texts compared with train.

    Any finding is red. The rate is that of the rows with a finding in the worst column. Values so
    short that two people can have them by chance are held against the control, person by person.

    >>> Identifiers().title
    'Direct identifiers'
    """

    name: ClassVar[str] = "identifiers"
    title: ClassVar[str] = "Direct identifiers"
    criterion: ClassVar[Criterion] = "identifiers"

    def run(self, tables: Tables, rng: np.random.Generator) -> tuple[Result, ...]:
        """One result; nothing is random."""
        return (timed(lambda: self._scan(tables)),)

    def _scan(self, tables: Tables) -> Result:
        overlaps = _overlaps(tables)
        patterns = tuple(_patterns(tables.synthetic))
        findings = (*patterns, *_verbatim(overlaps))
        n_rows = tables.synthetic.n_rows
        member = Rate(max((finding.n_rows for finding in findings), default=0), n_rows)
        return AttackResult(
            attack=self.name,
            title=self.title,
            criterion="identifiers",
            threat_model=THREAT_MODEL,
            n_planned=n_rows,
            n_done=n_rows,
            member=member,
            excess=_excess(member, overlaps, tuple(tables.synthetic.left_out)),
            p_value=None if patterns else _smallest_p_value(overlaps),
            persons=max((o.n_persons for o in overlaps if o.nature == "copied"), default=0),
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
    return (*_patterns(tables.synthetic), *_verbatim(_overlaps(tables)))


def is_counter(values: pa.Array) -> bool:
    """Whether the distinct values are consecutive numbers after one prefix, as surrogates are.

    >>> is_counter(pa.array(["P003", "P001", "P002"])), is_counter(pa.array(["P003", "P001"]))
    (True, False)
    """
    return _counter_from(values) is not None


def _counter_from(values: pa.Array) -> tuple[str, int] | None:
    """The prefix and the first number of consecutive numbers, if that is what the values are."""
    matches = [_NUMBERED.fullmatch(value) for value in pc.unique(values.drop_null()).to_pylist()]
    if not matches or not all(matches):
        return None
    parts = [match.groups() for match in matches if match]
    numbers, prefixes = {int(digits) for _, digits in parts}, {prefix for prefix, _ in parts}
    is_run = max(numbers) - min(numbers) + 1 == len(numbers) == len(parts)
    return (prefixes.pop(), min(numbers)) if is_run and len(prefixes) == 1 else None


def _patterns(synthetic: Table) -> Iterator[IdentifierFinding]:
    """Kinds that a pattern finds, in columns whose declared provider does not make that kind.

    Categories that the schema declares are public, and so no identifiers of persons.
    """
    for name in synthetic.columns:
        column = synthetic.schema.columns.get(name)
        declared = isinstance(column, TextColumn) and column.action == "fake" and column.provider
        made = name_suggests(declared) if declared else None
        values = synthetic.column(name)
        if isinstance(column, CategoricalColumn | OrdinalColumn) and column.source in _PUBLIC:
            labels = values.cast(pa.string())  # of whatever type a vendor's table has them
            values = labels.filter(pc.invert(pc.is_in(labels, pa.array(column.categories))))
        for kind, n_rows in sorted(find_identifiers(values).items()):
            if kind != made:
                yield IdentifierFinding(name, kind, n_rows)


def _verbatim(overlaps: tuple[Overlap, ...]) -> Iterator[IdentifierFinding]:
    for found in overlaps:
        if found.nature == "copied":
            yield IdentifierFinding(found.column, found.kind, found.n_rows)


def _excess(
    member: Rate, overlaps: tuple[Overlap, ...], left_out: tuple[str, ...]
) -> Risk | Inconclusive:
    """The rate of findings; where there is none, a reason why that need not be so."""
    if left_out and not member.hits:
        others = f" and {len(left_out) - 1} more" if len(left_out) > 1 else ""
        return Inconclusive(
            f"not scanned: column {left_out[0]!r}{others}, which does not fit the schema"
        )
    for found in overlaps:
        if found.nature == "counter" and not member.hits:
            return Inconclusive(
                f"column {found.column!r}: consecutive keys that are those of {found.n_persons} "
                "persons of train and not of control alike; they may be a counter or copies"
            )
    return Risk(member.value, member.value, member.value, confidence=1.0)


def _smallest_p_value(overlaps: tuple[Overlap, ...]) -> float | None:
    """None where something was found that needs no comparison, or where nothing was compared."""
    if any(found.nature == "copied" and found.p_value is None for found in overlaps):
        return None
    tested = [o.p_value for o in overlaps if o.nature != "counter" and o.p_value is not None]
    return min(tested, default=None)


def _overlaps(tables: Tables) -> tuple[Overlap, ...]:
    """The key and text columns whose synthetic values meet those of train."""
    compared = [
        name
        for name, column in tables.schema.columns.items()
        if isinstance(column, IdColumn | TextColumn)
        and name in tables.train.columns
        and name in tables.synthetic.columns
    ]
    found = (_overlap(name, tables, len(compared)) for name in compared)
    return tuple(overlap for overlap in found if overlap)


def _overlap(name: str, tables: Tables, n_compared: int) -> Overlap | None:
    column = tables.schema.columns[name]
    synthetic = _text_of(tables.synthetic, name)
    own, persons = _own_values(name, tables.train)
    met = pc.is_in(own, value_set=pc.unique(synthetic))
    n_persons = len(np.unique(persons[met.to_numpy(zero_copy_only=False)]))
    if not n_persons:
        return None
    shared = pc.unique(own.filter(met))
    n_rows = pc.sum(pc.is_in(synthetic, value_set=shared)).as_py()
    is_fake = isinstance(column, TextColumn) and column.action == "fake"
    may_coincide, first = _may_coincide(shared, is_fake), _counter_from(synthetic)
    p_value = None
    if first not in _SURROGATES and (may_coincide or first):
        p_value = _p_value(name, tables, synthetic, n_compared)
    return Overlap(
        column=name,
        kind="verbatim key" if isinstance(column, IdColumn) else "verbatim text",
        n_rows=int(n_rows),
        n_persons=n_persons,
        nature=_nature(first, p_value),
        p_value=p_value,
    )


def _nature(
    first: tuple[str, int] | None, p_value: float | None
) -> Literal["copied", "coincidence", "counter"]:
    """What explains the overlap, given where the keys start if they are a counter."""
    if first in _SURROGATES:
        return "coincidence"
    if p_value is not None and p_value >= LEVEL:
        return "coincidence"
    return "copied" if first is None else "counter"


def _may_coincide(values: pa.Array, is_fake: bool) -> bool:
    """Whether values are so short that two people can have them by chance."""
    return all(
        _SHORT_NUMBER.fullmatch(value) or (is_fake and len(value.split()) < _LONG_TEXT_WORDS)
        for value in values.to_pylist()
    )


def _p_value(name: str, tables: Tables, synthetic: pa.Array, n_compared: int) -> float | None:
    """The chance that so many more persons of train than of control are met, in some column.

    Persons count who have a value of their own in train and control together: who of them was in
    train was drawn by lot. None where there is nobody to compare with.
    """
    if not tables.control.n_rows or name not in tables.control.columns:
        return None
    n_train = tables.train.n_units
    own, persons = _own_values(name, tables.train, tables.control)
    met = pc.is_in(own, value_set=pc.unique(synthetic)).to_numpy(zero_copy_only=False)
    hits, everybody = np.unique(persons[met]), np.unique(persons)
    hits_train, all_train = int((hits < n_train).sum()), int((everybody < n_train).sum())
    hits_control, all_control = len(hits) - hits_train, len(everybody) - all_train
    if not all_train or not all_control:
        return None
    p = p_value(Rate(hits_train, all_train), Rate(hits_control, all_control))
    return min(1.0, p * n_compared)


def _own_values(name: str, *tables: Table) -> tuple[pa.Array, NDArray[Any]]:
    """The values that one person alone has, one for each row, with the number of the person.

    The persons of a table are numbered on from those of the table before it.
    """
    text = pa.concat_arrays([_text_of(table, name) for table in tables])
    before = np.cumsum([0, *(table.n_units for table in tables)])
    persons = np.concatenate(
        [_persons(table) + n for table, n in zip(tables, before[:-1], strict=True)]
    )[text.is_valid().to_numpy(zero_copy_only=False)]
    text = text.drop_null()
    codes = text.dictionary_encode().indices.to_numpy(zero_copy_only=False)
    alone = unique_to_one_person(codes, persons) if len(codes) else np.empty(0, dtype=bool)
    return text.filter(pa.array(alone)), persons[alone]


def _persons(table: Table) -> NDArray[Any]:
    unit = table.schema.privacy.unit
    return table.units() if unit in table.columns else np.arange(table.n_rows)


def _text_of(table: Table, name: str) -> pa.Array:
    return plain_text(table.column(name).combine_chunks().cast(pa.string()))


def plain_text(text: pa.Array) -> pa.Array:
    """Text without differences of case or of space around it; blank is missing."""
    text = pc.utf8_lower(pc.utf8_trim_whitespace(text))
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)


def _details(
    findings: tuple[IdentifierFinding, ...], overlaps: tuple[Overlap, ...]
) -> dict[str, Detail]:
    details: dict[str, Detail] = {
        f"{found.column}: {found.kind}": found.n_rows for found in findings
    }
    words = {"coincidence": "by coincidence", "counter": "or a counter"}
    for found in overlaps:
        if found.nature != "copied":
            details[f"{found.column}: {found.kind}, {words[found.nature]}"] = found.n_rows
    return details
