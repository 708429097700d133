"""One fit of one peer, inside the peer's own environment: only it, numpy and pandas are there.

    python peer_run.py METHOD in.npz out.npz EPSILON DELTA SEED

Reads codes and sizes, writes the codes that were drawn, and prints one JSON line of timings. The
numbers of seconds are those of fit and draw alone, without imports.
"""

# mypy: disable-error-code="import-not-found, import-untyped, no-any-return"
from __future__ import annotations

import json
import math
import platform
import resource
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

NO_PRIVACY = 10_000.0
"""The epsilon that stands for infinity in MST and AIM, whose public mode cannot draw."""

Draw = Callable[[int], Any]


def dpmm(method: str, frame: pd.DataFrame, sizes: list[int], epsilon: float, delta: float) -> Draw:
    """MST or AIM of dpmm: the declared domain, and all of epsilon in the model.

    `aim-triples` is AIM with a workload of all triples of columns in place of all pairs.
    """
    from dpmm.pipelines import AIMPipeline, MSTPipeline

    is_mst = method == "mst"
    pipeline = (MSTPipeline if is_mst else AIMPipeline)(
        epsilon=min(epsilon, NO_PRIVACY),
        delta=delta,
        max_model_size=None if is_mst else 80,  # MB, as in the papers
        gen_kwargs={"degree": 3} if method == "aim-triples" else None,
        proc_epsilon=None,
        disable_processing=True,
        n_jobs=1,
    )
    domain = dict(zip(frame.columns, sizes, strict=True))
    pipeline.fit(frame, domain)
    return lambda n_rows: pipeline.generate(n_records=n_rows)


def domain_transformer(frame: pd.DataFrame, sizes: list[int], style: str) -> Any:
    """smartnoise's encoding, told every code of the public domain instead of reading the rows."""
    from snsynth.transform.table import TableTransformer

    codes = np.arange(max(sizes))
    public = pd.DataFrame(
        {name: codes % size for name, size in zip(frame.columns, sizes, strict=True)}
    )
    names = list(frame.columns)
    transformer = TableTransformer.create(public, style=style, categorical_columns=names)
    transformer.fit(public)
    return transformer


def dpctgan(frame: pd.DataFrame, sizes: list[int], epsilon: float, delta: float) -> Draw:
    """DP-CTGAN of smartnoise with its default settings."""
    from snsynth.pytorch.nn.dpctgan import DPCTGAN

    model = DPCTGAN(
        epsilon=epsilon, delta=delta, verbose=False, cuda=False, disabled_dp=math.isinf(epsilon)
    )
    model.fit(frame, transformer=domain_transformer(frame, sizes, "gan"))
    return model.sample


def smartnoise(
    method: str, frame: pd.DataFrame, sizes: list[int], epsilon: float, delta: float
) -> Draw:
    """MST or AIM of smartnoise, drawing rows by sampling: its default makes pairs independent."""
    from mbi import MarkovRandomField
    from snsynth.aim import AIMSynthesizer
    from snsynth.mst import MSTSynthesizer

    shipped = MarkovRandomField.synthetic_data
    MarkovRandomField.synthetic_data = lambda self, rows=None, method="sample": shipped(
        self, rows, "sample"
    )
    model = {"mst": MSTSynthesizer, "aim": AIMSynthesizer}[method](
        epsilon=min(epsilon, NO_PRIVACY), delta=delta
    )
    model.fit(frame, transformer=domain_transformer(frame, sizes, "cube"))
    return model.sample


def sdv(method: str, frame: pd.DataFrame, epsilon: float) -> Draw:
    """CTGAN or TVAE of SDV with their default settings; neither has privacy."""
    from ctgan import CTGAN, TVAE

    if not math.isinf(epsilon):
        raise SystemExit(f"{method} of SDV has no privacy: it runs at an infinite epsilon alone")
    model = {"ctgan": CTGAN, "tvae": TVAE}[method](enable_gpu=False)
    model.fit(frame, discrete_columns=list(frame.columns))
    return model.sample


PACKAGES = {"dpmm": "dpmm", "smartnoise": "smartnoise-synth", "sdv": "sdv"}


def fitted(
    name: str, frame: pd.DataFrame, sizes: list[int], epsilon: float, delta: float
) -> tuple[Draw, str]:
    """How to draw from the fitted peer, and its package and version."""
    package, _, method = name.partition("-")
    label = f"{PACKAGES[package]} {version(PACKAGES[package])}"
    if package == "dpmm":
        return dpmm(method, frame, sizes, epsilon, delta), label
    if package == "sdv":
        return sdv(method, frame, epsilon), label
    if method == "dpctgan":
        return dpctgan(frame, sizes, epsilon, delta), label
    return smartnoise(method, frame, sizes, epsilon, delta), label


def threads(n_threads: int) -> None:
    """Hold torch to so many threads, where the peer brings it."""
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(n_threads)


def main() -> None:
    name, source, target, *numbers = sys.argv[1:]
    epsilon, delta, seed = float(numbers[0]), float(numbers[1]), int(numbers[2])
    given = np.load(source)
    sizes = [int(size) for size in given["sizes"]]
    names = [f"c{column}" for column in range(len(sizes))]
    frame = pd.DataFrame(given["codes"].astype(np.int64), columns=names)
    np.random.seed(seed)
    threads(1)
    started, cpu = time.perf_counter(), time.process_time()
    draw, package = fitted(name, frame, sizes, epsilon, delta)
    fit_s, fit_cpu_s = time.perf_counter() - started, time.process_time() - cpu
    started = time.perf_counter()
    drawn = np.asarray(pd.DataFrame(draw(len(frame)))).astype(np.int64)
    sample_s = time.perf_counter() - started
    np.savez_compressed(target, codes=drawn.astype(np.uint8))
    facts = {
        "fit_s": fit_s,
        "fit_cpu_s": fit_cpu_s,
        "sample_rows_s": len(drawn) / sample_s,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "package": package,
        "python": platform.python_version(),
    }
    print("RESULT " + json.dumps(facts))


if __name__ == "__main__":
    main()
