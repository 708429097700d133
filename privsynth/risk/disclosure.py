"""Disclosure on the quasi-identifiers: how small the groups are, described and never judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privsynth.errors import Inconclusive
from privsynth.risk.cells import binned, cells, n_sharing
from privsynth.risk.plain import PlainTables, plain_tables
from privsynth.table import Tables


@dataclass(frozen=True)
class Disclosure:
    """What the synthetic table says about small groups of real persons.

    `k_map` is the smallest number of real persons who share a combination of quasi-identifiers
    with some synthetic record, `real_unique` the share of real persons who have a combination
    that nobody else has. `repu` (replicated uniques) is the share of all real persons for whom
    such a combination occurs in the synthetic table. `disco` is the share of real persons with a
    combination to which the synthetic table gives one and the same value of a sensitive column,
    and the right one (Raab, Nowok and Dibben 2025), the mean over `sensitive` columns.

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
    """The figures on all quasi-identifiers together, numbers in ten quantile bins; persons count.

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
    persons = plain.train.persons
    sizes = n_sharing(real, real, persons)
    alone, met = sizes == 1, np.isin(real, synthetic)
    secrets = plain.with_role("sensitive")
    told = [_share(_told(plain, name, real, synthetic), persons) for name in secrets]
    return Disclosure(
        known,
        secrets,
        k_map=int(sizes[met].min()) if met.any() else 0,
        real_unique=_share(alone, persons),
        repu=_share(alone & met, persons),
        disco=float(np.mean(told)) if told else None,
    )


def _share(records: NDArray[np.bool_], persons: NDArray[Any]) -> float:
    """The share of persons who have one of these records."""
    return len(np.unique(persons[records])) / len(np.unique(persons))


def _told(
    plain: PlainTables, secret: str, real: NDArray[np.uint64], synthetic: NDArray[np.uint64]
) -> NDArray[np.bool_]:
    """The train records whose secret, of numbers the bin, their combination rightly gives away."""
    secrets, codes = binned((plain.train, plain.synthetic), secret, cut_on=plain.train)
    order = np.argsort(synthetic, kind="stable")
    cells, first = np.unique(synthetic[order], return_index=True)
    lowest = np.minimum.reduceat(codes[order], first)
    highest = np.maximum.reduceat(codes[order], first)
    place = np.minimum(np.searchsorted(cells, real), len(cells) - 1)
    says = (cells[place] == real) & (lowest[place] == highest[place])
    return np.asarray(says & (lowest[place] == secrets) & (secrets >= 0))
