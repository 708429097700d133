"""run.json: what was asked, and a commitment to the split made before anything was fitted."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from privsynth.errors import AssessmentError, ModelError
from privsynth.pipeline.job import Job
from privsynth.synth.policy import Choice
from privsynth.table import Table

FORMAT = "privsynth/run/1"


@dataclass(frozen=True)
class Split:
    """How train and control were drawn, with salted hashes of both.

    The hashes commit to who is in the control before a model exists; the salt keeps them from
    being searched for a known record, should the file get out.
    """

    seed: str
    salt: str
    train: str
    control: str

    @classmethod
    def draw(cls, table: Table, share: float) -> tuple[Table, Table, Split]:
        """Train, control and the commitment to them."""
        seed, salt = secrets.token_hex(16), secrets.token_hex(32)
        train, control = table.split(share, _rng(seed))
        return train, control, cls(seed, salt, _digest(train, salt), _digest(control, salt))

    def lots(self) -> np.random.Generator:
        """The chance of the attacks, which is that of the split: to repeat them changes nothing."""
        return np.random.default_rng([int(self.seed, 16), 1])

    def again(self, table: Table, share: float) -> tuple[Table, Table]:
        """The same train and control from the same records; AssessmentError for others."""
        train, control = table.split(share, _rng(self.seed))
        if (_digest(train, self.salt), _digest(control, self.salt)) != (self.train, self.control):
            raise AssessmentError(
                "the data are not the records of this run: the split does not match the "
                "commitment in run.json"
            )
        return train, control


@dataclass(frozen=True)
class RunRecord:
    """What run.json holds; it stays with the controller.

    `tests` commits to the attacks and limits by which the table will be judged; `build` is the
    hash of the code that fitted it.
    """

    run_id: str
    created: str
    version: str
    data: str
    job: Job
    choice: Choice
    split: Split
    rows: int | None
    tests: str = ""
    build: str = ""

    def save(self, path: Path) -> None:
        """Write the record as JSON."""
        document = {"format": FORMAT, **asdict(self), "job": self.job.to_dict()}
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> RunRecord:
        """The record in a file; ModelError for a file that is not one."""
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            if document.pop("format") != FORMAT:
                raise ModelError(f"{path} is not of the form {FORMAT}")
            parts: dict[str, Any] = {
                "job": Job.from_dict(document.pop("job")),
                "choice": Choice(**document.pop("choice")),
                "split": Split(**document.pop("split")),
            }
            return cls(**document, **parts)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise ModelError(f"{path} is not the record of a run") from None


def _rng(seed: str) -> np.random.Generator:
    return np.random.default_rng(int(seed, 16))


def _digest(table: Table, salt: str) -> str:
    """A salted SHA-256 of the records, in order, the same whatever the file they came in."""
    digest = hashlib.sha256(salt.encode())
    for batch in table.data.to_batches(max_chunksize=50_000):
        sink = pa.BufferOutputStream()
        pa_csv.write_csv(batch, sink, pa_csv.WriteOptions(include_header=False))
        digest.update(sink.getvalue())
    return digest.hexdigest()
