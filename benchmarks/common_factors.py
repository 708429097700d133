"""What the common factors of all pairs save: `marginal` with and without them, same noise.

    python benchmarks/common_factors.py --datasets diabetes diabetes:20 adult --epsilons 0.5 1

Distances are those of the fit's pool to the train rows (`privsynth/synth/factors.py`, ADR 16).
Noise and choices are seeded. `diabetes:20` is its first 20 columns.
"""

from __future__ import annotations

import argparse
import itertools
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

import numpy as np
from arena import datasets, metrics
from balance import fitted_on
from lines import append

from privsynth.synth import factors

ALWAYS, NEVER = 2, 10_000  # columns


def first_columns(name: str) -> datasets.Coded:
    """A data set; of "diabetes:20" the first 19 columns and the target."""
    name, _, number = name.partition(":")
    data = datasets.load(name)
    others = [column for column in range(len(data.names)) if column != data.target]
    kept = [*others[: int(number or len(others) + 1) - 1], data.target]
    return replace(
        data,
        names=tuple(data.names[column] for column in kept),
        sizes=tuple(data.sizes[column] for column in kept),
        ordered=tuple(data.ordered[column] for column in kept),
        roles=tuple(data.roles[column] for column in kept),
        train=data.train[:, kept],
        test=data.test[:, kept],
        structure=(),
    )


def main() -> None:
    made = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    made.add_argument("--datasets", nargs="+", default=["diabetes"])
    made.add_argument("--epsilons", nargs="+", type=float, default=[1.0])
    made.add_argument("--seeds", type=int, default=1)
    made.add_argument("--csv", type=Path)
    asked = made.parse_args()
    for name, epsilon, seed in itertools.product(
        asked.datasets, asked.epsilons, range(asked.seeds)
    ):
        data = first_columns(name)
        for way, fewest in (("without", NEVER), ("with", ALWAYS)):
            with mock.patch.object(factors, "FEWEST_COLUMNS", fewest):
                fitted = fitted_on(data, epsilon, seed)
            codes = fitted.pool.long().numpy()
            table = fitted.codebook.decode(codes, np.random.default_rng(seed))
            found = metrics.distances(data, datasets.as_codes(data, table))
            line = {"dataset": name, "columns": len(data.names), "epsilon": epsilon, "seed": seed}
            line |= {"factors": way}
            line |= {each: round(found[each] or 0.0, 5) for each in ("tvd1", "tvd2", "tvd3")}
            line |= {"date": datetime.now(UTC).date().isoformat()}
            print(line, flush=True)
            if asked.csv:
                append(asked.csv, line)


if __name__ == "__main__":
    main()
