"""The folder of a run: where each thing lies, built beside its place and moved there whole."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from privsynth.errors import OutputError


@dataclass(frozen=True)
class RunFolder:
    """Where each thing of a run lies; the border between its two folders is the product.

    >>> RunFolder(Path("out")).model.as_posix()
    'out/controller/model'
    """

    path: Path

    @property
    def release(self) -> Path:
        """What may be handed over."""
        return self.path / "release"

    @property
    def controller(self) -> Path:
        """What stays with the controller."""
        return self.path / "controller"

    @property
    def model(self) -> Path:
        """The fitted model."""
        return self.controller / "model"

    @property
    def schema(self) -> Path:
        """The schema of the run."""
        return self.controller / "schema.toml"

    @property
    def ledger(self) -> Path:
        """The extract of the ledger."""
        return self.controller / "ledger.json"

    @property
    def record(self) -> Path:
        """What was asked, and how the records were split."""
        return self.controller / "run.json"

    @property
    def certificate(self) -> Path:
        """The certificate of the build that fitted the model, where there is one."""
        return self.controller / "certificate.json"

    @property
    def synthetic(self) -> Path:
        """The synthetic table while it waits for its assessment and release."""
        return self.controller / "synthetic.parquet"

    @property
    def report(self) -> Path:
        """The controller's edition of the report."""
        return self.controller / "report"

    def require_run(self) -> None:
        """Refuse a folder that holds no run."""
        if not self.record.is_file():
            raise OutputError(f"folder {self.path} holds no run: {self.record} is not there")


@contextmanager
def new_run(out: Path) -> Iterator[RunFolder]:
    """The folder of a run under construction; see `new_folder`."""
    with new_folder(out) as folder:
        run = RunFolder(folder)
        run.controller.mkdir()
        yield run


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder under construction, which becomes `out` at the end or vanishes.

    OutputError when `out` is taken or cannot be written; a killed process leaves
    `.NAME.partial-…` beside it, and never `out`.
    """
    out = Path(os.path.abspath(out))
    _require_free(out)
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.partial-", dir=out.parent))
    try:
        with writing(out):
            partial.chmod(0o777 & ~_umask())
            yield partial
            partial.rename(out)
    except OutputError as error:
        raise OutputError(str(error).replace(str(partial), str(out))) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _require_free(out: Path) -> None:
    if out.is_file():
        raise OutputError(f"{out} is a file; choose another folder")
    if RunFolder(out).record.exists() or RunFolder(out).release.exists():
        raise OutputError(f"folder {out} already holds a run; choose another")
    with writing(out):
        if out.is_dir() and any(out.iterdir()):
            raise OutputError(f"folder {out} is not empty; choose another")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failure of the file system into an OutputError that names `path`."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise OutputError(f"no space left on the device while writing {path}") from error
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        raise OutputError(f"{path} cannot be written: {reason.lower()}") from error


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """A folder under construction that takes the place of `folder` at the end, or vanishes."""
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.partial-", dir=folder.parent) as room:
        yield Path(room) / "new"
        if folder.exists():
            folder.rename(Path(room) / "old")
        (Path(room) / "new").rename(folder)


def write_text(path: Path, text: str) -> None:
    """Write a whole file or nothing; OutputError where it cannot be written."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        try:
            partial.write_text(text, encoding="utf-8")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def _umask() -> int:
    """The mask of the process, which can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
