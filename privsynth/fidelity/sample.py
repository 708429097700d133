"""Rows drawn from a table whatever their order, and the hash of a row that this rests on."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privsynth.schema import BooleanColumn, CategoricalColumn, OrdinalColumn
from privsynth.table import Table

_MISSING = np.uint64(0x9E3779B97F4A7C15)


def sampled(table: Table, n_rows: int, seed: int) -> Table:
    """At most `n_rows` rows, in an order that depends on the rows and the seed alone.

    Two tables of the same rows give the same sample, so that a table compared with itself stays
    the best that there is.

    >>> from privsynth.schema import Schema
    >>> import pyarrow as pa
    >>> schema = Schema.parse({"dataset": {"id": "d"},
    ...     "columns": {"age": {"kind": "integer", "lower": 0, "upper": 120}}})
    >>> up, down = (Table.from_arrow(pa.table({"age": ages}), schema)
    ...     for ages in (range(100), range(99, -1, -1)))
    >>> sampled(up, 10, seed=1).data.equals(sampled(down, 10, seed=1).data)
    True
    """
    order = np.argsort(row_hashes(table), kind="stable")
    chosen = np.random.default_rng(seed).permutation(table.n_rows)[:n_rows]
    return table.take(order[chosen])


def row_hashes(table: Table) -> NDArray[Any]:
    """One number a row, (n_rows,) uint64, equal for rows that agree in every modelled column."""
    hashes = np.zeros(table.n_rows, dtype=np.uint64)
    for name in table.schema.modelled:
        hashes = _mixed(hashes * np.uint64(31) + _mixed(_words(table, name)))
    return hashes


def _words(table: Table, name: str) -> NDArray[Any]:
    """The values of a column as 64-bit words: (n_rows,) uint64."""
    column = table.schema.columns[name]
    if isinstance(column, CategoricalColumn | OrdinalColumn | BooleanColumn):
        words = _label_words(table, name)
    else:
        # Adding 0.0 makes the two zeros of floating point one.
        words = (table.numbers(name) + 0.0).astype(np.float64).view(np.uint64)
    return np.where(table.missing(name), _MISSING, words)


def _label_words(table: Table, name: str) -> NDArray[Any]:
    encoded = table.column(name).combine_chunks().dictionary_encode()
    digests = [
        int.from_bytes(hashlib.blake2b(str(label).encode(), digest_size=8).digest(), "little")
        for label in encoded.dictionary.to_pylist()
    ]
    indices = np.asarray(encoded.indices.fill_null(0))
    return np.take(np.array([*digests, 0], dtype=np.uint64), indices)


def _mixed(words: NDArray[Any]) -> NDArray[Any]:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.bitwise_xor(words, words >> np.uint64(31))
