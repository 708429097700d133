"""What balanced halves save: one fit's pool, and tables taken from it in three ways.

    python benchmarks/balance.py --datasets adult diabetes --epsilons 1 10

`pool` is all of it; `independent` takes rows of it by chance, `spread` every k-th of the sorted
pool, `blocks` is what a fitted generator does (`privsynth/synth/halves.py`, ADR 15). Distances are
to the train rows, so that the privacy noise is in all of them. Noise and choices are seeded.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from arena import datasets, metrics
from lines import append

import privsynth as ps
from privsynth.privacy.noise import SeededNoise
from privsynth.synth import halves
from privsynth.synth.preset import load_preset
from privsynth.synth.project import ProjectedSynthesizer

Taken = Callable[[torch.Tensor, int, np.random.Generator], torch.Tensor]
WAYS: dict[str, Taken] = {
    "pool": lambda pool, n, rng: pool,
    "independent": lambda pool, n, rng: pool[torch.from_numpy(rng.integers(0, len(pool), n))],
    "spread": lambda pool, n, rng: pool[torch.from_numpy(halves.spread(pool.numpy(), n, rng))],
    "blocks": halves.from_blocks,
}


def fitted_on(data: datasets.Coded, epsilon: float, seed: int) -> ProjectedSynthesizer:
    """The maximum-entropy table of a data set, with its pool."""
    with tempfile.TemporaryDirectory() as folder:
        fitted = load_preset("marginal").fit(
            datasets.as_table(data, data.train),
            ps.PrivacyBudget(epsilon, 1e-5),
            ledger=ps.Ledger(Path(folder) / "ledger.sqlite"),
            noise=SeededNoise(seed),
            rng=np.random.default_rng(seed),
        )
    assert isinstance(fitted, ProjectedSynthesizer)
    return fitted


def distances(
    data: datasets.Coded, fitted: ProjectedSynthesizer, way: str, n_rows: int
) -> dict[str, float]:
    """The mean distances of tables that were taken in that way, over five draws."""
    found = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        codes = WAYS[way](fitted.pool, n_rows, rng).long().numpy()
        drawn = datasets.as_codes(data, fitted.codebook.decode(codes, rng))
        found.append(metrics.distances(data, drawn))
    names = ("tvd1", "tvd2", "tvd3")
    return {name: round(float(np.mean([each[name] or 0.0 for each in found])), 5) for name in names}


def main() -> None:
    made = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    made.add_argument("--datasets", nargs="+", default=["adult"], choices=datasets.NAMES)
    made.add_argument("--epsilons", nargs="+", type=float, default=[1.0, 10.0])
    made.add_argument("--csv", type=Path)
    asked = made.parse_args()
    for name, epsilon in itertools.product(asked.datasets, asked.epsilons):
        data = datasets.load(name)
        fitted = fitted_on(data, epsilon, seed=0)
        for part, way in itertools.product((1, 8), WAYS):
            n_rows = len(data.train) // part
            line = {"dataset": name, "epsilon": epsilon, "rows": n_rows, "way": way}
            line |= distances(data, fitted, way, n_rows)
            line |= {"date": datetime.now(UTC).date().isoformat()}
            print(line, flush=True)
            if asked.csv:
                append(asked.csv, line)


if __name__ == "__main__":
    main()
