"""What DP-SGD earns in `diffusion`: the same fit with several shares of the budget for it.

    python benchmarks/training_share.py --datasets adult diabetes --epsilons 3 10 --shares 0 0.14
    python benchmarks/training_share.py --datasets parity3 mixture --epsilons 3 --csv shares.csv

The policy gives DP-SGD a share by units for each code times epsilon (`privsynth/synth/policy.py`,
ADR 11); this says what another share would have given. Noise and choices are seeded.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from arena import datasets, metrics
from lines import append

import privsynth as ps
from privsynth.privacy.noise import SeededNoise
from privsynth.synth import diffusion
from privsynth.synth.policy import density
from privsynth.synth.preset import load_preset
from privsynth.synth.project import ProjectedSynthesizer


def measured(dataset: str, epsilon: float, share: float, seed: int) -> dict[str, Any]:
    """One line: the fit's figures with that share."""
    data = datasets.load(dataset)
    table = datasets.as_table(data, data.train)
    started = time.process_time()
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(diffusion, "training_share", return_value=share),
    ):
        fitted = load_preset("diffusion").fit(
            table,
            ps.PrivacyBudget(epsilon, 1e-5),
            ledger=ps.Ledger(Path(folder) / "ledger.sqlite"),
            noise=SeededNoise(seed),
            rng=np.random.default_rng(seed),
        )
    seconds = time.process_time() - started
    assert isinstance(fitted, ProjectedSynthesizer)
    drawn = fitted.sample(len(data.train), rng=np.random.default_rng(seed))
    figures = metrics.judge(data, datasets.as_codes(data, drawn))
    return {
        "dataset": dataset,
        "units_a_code": round(density(table.schema, len(data.train), 32)),
        "epsilon": epsilon,
        "share": share,
        "seed": seed,
        "effective_share": round(fitted.projection.effective_share, 3),
        **{name: value if value is None else round(value, 4) for name, value in figures.items()},
        "fit_cpu_s": round(seconds, 1),
        "date": datetime.now(UTC).date().isoformat(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", required=True)
    parser.add_argument("--epsilons", nargs="+", type=float, default=[3.0])
    parser.add_argument("--shares", nargs="+", type=float, default=[0.0, 0.14])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--csv", type=Path)
    asked = parser.parse_args()
    cells = itertools.product(asked.datasets, asked.epsilons, asked.shares, range(asked.seeds))
    for cell in cells:
        line = measured(*cell)
        print(line, flush=True)
        if asked.csv:
            append(asked.csv, line)


if __name__ == "__main__":
    main()
