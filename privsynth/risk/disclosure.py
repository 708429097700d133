"""Disclosure on the quasi-identifiers: how small the groups are, described and never judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privsynth.errors import Inconclusive
from privsynth.risk.cells import cells
from privsynth.risk.plain import PlainTables, plain_tables
from privsynth.table import Tables


@dataclass(frozen=True)
class Disclosure:
    """What the synthetic table says about small groups of real persons.

    `k_map` is the smallest number of real records that share a combination of quasi-identifiers
    with some synthetic record, `real_unique` the share of real records that are alone with theirs.
    `repu` (replicated uniques) is the share of all real records that are alone with theirs and
    share it with a synthetic record. `disco` is the share of real records whose combination the
    synthetic table gives one and the same value of a sensitive column, and the right one (Raab,
    Nowok and Dibben 2025), the mean over `sensitive` columns.

    All of them count chance as well as leaks: they describe, and decide nothing.

    >>> Disclosure(("age",), (), k_map=3, real_unique=0.1, repu=0.02, disco=None).k_map
    3
    """

    quasi_identifiers: tuple[str, ...]
    sensitive: tuple[str, ...]
    k_map: int
    real_unique: float
    repu: float
    disco: float | None


def disclosure(tables: Tables) -> Disclosure | Inconclusive:
    """The figures on all quasi-identifiers together, numbers in ten quantile bins.

    >>> import pandas as pd
    >>> from privsynth.schema import Schema
    >>> from privsynth.table import Table
    >>> known = {"kind": "categorical", "categories": ["a", "b"], "role": "quasi_identifier"}
    >>> schema = Schema.parse({"dataset": {"id": "d"}, "columns": {"town": known}})
    >>> real = Table.from_pandas(pd.DataFrame({"town": ["a", "a", "b"]}), schema)
    >>> found = disclosure(Tables(real, real, real))
    >>> found.k_map, round(found.real_unique, 2), round(found.repu, 2)
    (1, 0.33, 0.33)
    """
    plain = plain_tables(tables)
    known = plain.with_role("quasi_identifier")
    if not known:
        return Inconclusive("no quasi-identifier is present in all tables")
    real, synthetic = cells((plain.train, plain.synthetic), known, cut_on=plain.train)
    sizes = _sizes(real)
    alone, met = sizes == 1, np.isin(real, synthetic)
    secrets = tuple(n for n in plain.with_role("sensitive") if n in plain.train.labels)
    told = [_disco(plain, name, real, synthetic) for name in secrets]
    return Disclosure(
        known,
        secrets,
        k_map=int(sizes[met].min()) if met.any() else 0,
        real_unique=float(alone.mean()),
        repu=float((alone & met).mean()),
        disco=float(np.mean(told)) if told else None,
    )


def _sizes(cells: NDArray[np.uint64]) -> NDArray[np.int64]:
    """How many records share the combination of each."""
    _, place, counts = np.unique(cells, return_inverse=True, return_counts=True)
    return np.asarray(counts[place])


def _disco(
    plain: PlainTables, secret: str, real: NDArray[np.uint64], synthetic: NDArray[np.uint64]
) -> float:
    """The share of train records whose secret their combination gives away, rightly."""
    codes = plain.synthetic.labels[secret]
    order = np.argsort(synthetic, kind="stable")
    cells, first = np.unique(synthetic[order], return_index=True)
    lowest = np.minimum.reduceat(codes[order], first)
    highest = np.maximum.reduceat(codes[order], first)
    place = np.minimum(np.searchsorted(cells, real), len(cells) - 1)
    says = (cells[place] == real) & (lowest[place] == highest[place])
    secrets = plain.train.labels[secret]
    return float((says & (lowest[place] == secrets) & (secrets >= 0)).mean())
