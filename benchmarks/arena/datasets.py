"""The data sets of the benchmark, real ones and those made by the project, as tables of codes.

>>> data = load("parity3", n_rows=1_000)
>>> data.train.shape, data.test.shape
((800, 13), (200, 13))
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from arena import stress
from arena.domains import ADULT, DIABETES, Codes, Domain, Role, code_matrix

if TYPE_CHECKING:
    import pandas as pd

    from privsynth.table import Table

SPLIT_SEED = 20_140_813
TEST_SHARE = 0.2


@dataclass(frozen=True)
class Coded:
    """A data set on its public domain.

    `train` and `test` are (n_rows, n_columns) codes, column j below `sizes[j]`; `structure` holds
    the sets of columns whose joint distribution a stress set is made to test.
    """

    name: str
    names: tuple[str, ...]
    sizes: tuple[int, ...]
    ordered: tuple[bool, ...]
    roles: tuple[Role, ...]
    train: Codes
    test: Codes
    structure: tuple[tuple[int, ...], ...] = ()

    @property
    def target(self) -> int:
        """The column that TSTR predicts: it has two codes."""
        return self.roles.index("target")

    @property
    def categorical(self) -> list[int]:
        """The columns without order, the target left out."""
        return [j for j in range(len(self.names)) if not self.ordered[j] and j != self.target]


def shared_data() -> Path:
    """The folder of the real data sets: PRIVSYNTH_SHARED_DATA, or beside the checkout."""
    beside = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    return Path(os.environ.get("PRIVSYNTH_SHARED_DATA", beside))


def _coded(name: str, domains: dict[str, Domain], train: pd.DataFrame, test: pd.DataFrame) -> Coded:
    kinds = list(domains.values())
    return Coded(
        name=name,
        names=tuple(domains),
        sizes=tuple(kind.size for kind in kinds),
        ordered=tuple(kind.ordered for kind in kinds),
        roles=tuple(kind.role for kind in kinds),
        train=code_matrix(train, domains),
        test=code_matrix(test, domains),
    )


def adult() -> Coded:
    """Adult on its published split: 32,561 train and 16,281 test rows, 15 columns."""
    import pandas as pd

    folder = shared_data() / "adult"
    train, test = (pd.read_parquet(folder / f"{part}.parquet") for part in ("train", "test"))
    return _coded("adult", ADULT, train, test)


def diabetes() -> Coded:
    """Diabetes 130, the first encounter of each patient: 57,214 train rows, 28 columns."""
    import pandas as pd

    frame = pd.read_parquet(shared_data() / "diabetes130" / "diabetes130.parquet")
    first = frame.sort_values("encounter_id").drop_duplicates("patient_nbr")
    rows = np.random.default_rng(SPLIT_SEED).permutation(len(first))
    n_test = round(TEST_SHARE * len(first))
    return _coded("diabetes", DIABETES, first.iloc[rows[n_test:]], first.iloc[rows[:n_test]])


def _made(name: str, n_rows: int | None) -> Coded:
    drawn = stress.SETS[name](n_rows)
    n_test = round(TEST_SHARE * len(drawn.codes))
    n_columns = len(drawn.sizes)
    ordinary: list[Role] = ["ordinary"] * (n_columns - 1)
    return Coded(
        name=name,
        names=(*(f"c{column}" for column in range(n_columns - 1)), "target"),
        sizes=drawn.sizes,
        ordered=drawn.ordered,
        roles=(*ordinary, "target"),
        train=drawn.codes[n_test:],
        test=drawn.codes[:n_test],
        structure=drawn.structure,
    )


REAL: dict[str, Callable[[], Coded]] = {"adult": adult, "diabetes": diabetes}
STRESS = tuple(stress.SETS)
NAMES = (*REAL, *STRESS)


def load(name: str, n_rows: int | None = None) -> Coded:
    """A data set by name; n_rows makes a stress set smaller."""
    return REAL[name]() if name in REAL else _made(name, n_rows)


def as_table(data: Coded, codes: Codes) -> Table:
    """A code matrix as a table whose categories are the codes, declared in its schema."""
    import pyarrow as pa

    from privsynth import Schema
    from privsynth.table import Table

    columns = {
        name: {
            "kind": "ordinal" if data.ordered[j] else "categorical",
            "categories": [str(code) for code in range(data.sizes[j])],
            "source": "declared",
            "role": data.roles[j],
        }
        for j, name in enumerate(data.names)
    }
    schema = Schema.parse({"dataset": {"id": f"benchmark-{data.name}"}, "columns": columns})
    labels = {
        name: pa.array(np.arange(data.sizes[j]).astype(str)[codes[:, j]])
        for j, name in enumerate(data.names)
    }
    return Table.from_arrow(pa.table(labels), schema)


def as_codes(data: Coded, table: Table) -> Codes:
    """The code matrix of a table made like `as_table`."""
    return np.stack([table.labels(name).astype(np.int64) for name in data.names], axis=1)
