"""The data path in order: read, split, fit, sample, assess, report, release.

`run` is the whole path. `fit`, `sample`, `assess_run` and `report` are its stages on one folder,
made of the same steps.
"""

from privsynth.pipeline.folder import RunFolder, new_folder
from privsynth.pipeline.job import Job
from privsynth.pipeline.path import (
    Outcome,
    assess_run,
    fit,
    keep,
    read_synthetic,
    report,
    run,
    sample,
    targeted,
)
from privsynth.pipeline.record import RunRecord
from privsynth.pipeline.steps import Tools, assess

__all__ = [
    "Job",
    "Outcome",
    "RunFolder",
    "RunRecord",
    "Tools",
    "assess",
    "assess_run",
    "fit",
    "keep",
    "new_folder",
    "read_synthetic",
    "report",
    "run",
    "sample",
    "targeted",
]
