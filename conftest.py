"""What every test and doctest gets: one thread, a ledger of its own, the real data where it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # read once, when numpy and torch load

settings.register_profile(
    "privsynth", deadline=None, max_examples=25, derandomize="CI" in os.environ
)
settings.load_profile("privsynth")


@pytest.fixture(autouse=True)
def _own_ledger(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test writes into the ledger of the person who runs it."""
    folder = tmp_path_factory.mktemp("ledger")
    monkeypatch.setenv("PRIVSYNTH_LEDGER", str(folder / "ledger.sqlite"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets; the test skips where there is none."""
    folder = Path(os.environ.get("PRIVSYNTH_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no real data: ../shared/data is missing (or set PRIVSYNTH_SHARED_DATA)")
    return folder


class RealDataMustRun:
    """Turns the run red where the real-data tests were skipped, or where there was none."""

    def __init__(self) -> None:
        self.n_run = 0
        self.n_skipped = 0

    @property
    def fault(self) -> str:
        if self.n_run and not self.n_skipped:
            return ""
        return f"real-data tests are required: {self.n_run} ran, {self.n_skipped} were skipped"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if "real_data" in report.keywords:
            self.n_skipped += report.skipped
            self.n_run += report.when == "call" and not report.skipped

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.fault and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.fault:
            terminalreporter.write_line(self.fault, red=True)


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("PRIVSYNTH_REQUIRE_REAL_DATA"):
        config.pluginmanager.register(RealDataMustRun())
