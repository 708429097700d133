"""The ledger in the hands of several processes, and of processes that are killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from privsynth.errors import LedgerError
from privsynth.privacy.budget import PrivacyBudget, PrivacyUnit
from privsynth.privacy.ledger import Ledger
from privsynth.privacy.plan import GaussianEvent, Mechanism, PrivacyPlan

PREPARE = """
import os, sys, time, signal, resource
from pathlib import Path
from privsynth.errors import LedgerError
from privsynth.privacy import chain
from privsynth.privacy.accountant import epsilon_of
from privsynth.privacy.budget import PrivacyBudget
from privsynth.privacy.ledger import Ledger
from privsynth.privacy.plan import GaussianEvent, Mechanism, PrivacyPlan

path = Path(sys.argv[1])
plan = PrivacyPlan(
    (Mechanism("counts", "cells", GaussianEvent(8.0)),), PrivacyBudget(1.0, 1e-5)
)
ledger = Ledger(path)
"""

PLAN = PrivacyPlan((Mechanism("counts", "cells", GaussianEvent(8.0)),), PrivacyBudget(1.0, 1e-5))


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PREPARE + script, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    return process.returncode, out.strip()


CHARGE_WHEN_TOLD = """
epsilon_of(plan.mechanisms, 1e-5)   # load what takes long first
Path(sys.argv[2]).touch()
while not Path(sys.argv[3]).exists():
    time.sleep(0.002)
try:
    ledger.charge(plan, "clinic")
    print("charged")
except LedgerError as error:
    print("refused" if "cap" in str(error) else error)
"""


def together(path: Path, folder: Path, n: int) -> list[str]:
    """What n processes say that charge at the same moment."""
    go = folder / "go"
    ready = [folder / f"ready{number}" for number in range(n)]
    jobs = [start(CHARGE_WHEN_TOLD, str(path), str(flag), str(go)) for flag in ready]
    deadline = time.monotonic() + 120
    while not all(flag.exists() for flag in ready):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    go.touch()
    return sorted(finish(job)[1] for job in jobs)


def test_of_two_jobs_at_once_a_cap_lets_one_pass(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.set_cap("clinic", PrivacyUnit(), PrivacyBudget(0.5, 1e-5))
    assert together(ledger.path, tmp_path, 2) == ["charged", "refused"]
    assert [entry.kind for entry in ledger.entries()] == ["cap", "charge"]


def test_jobs_that_make_the_ledger_at_once_are_all_charged(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "new" / "ledger.sqlite")
    assert together(ledger.path, tmp_path, 3) == ["charged"] * 3
    assert len(ledger.entries()) == 3


def test_a_job_killed_after_its_charge_stays_charged(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    script = """
ledger.charge(plan, "clinic")
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert finish(start(script, str(path)))[0] == -signal.SIGKILL
    ledger = Ledger(path)
    ledger.verify()
    (entry,) = ledger.entries()
    assert (entry.kind, entry.status, entry.plan) == ("charge", "open", PLAN)
    ledger.charge(PLAN, "clinic")
    assert ledger.balance("clinic")[0].n_entries == 2


def test_a_job_killed_while_it_writes_leaves_a_whole_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    Ledger(path).charge(PLAN, "clinic")
    script = """
with chain.writing(path) as writer:
    writer.append("half a charge")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert finish(start(script, str(path)))[0] == -signal.SIGKILL
    ledger = Ledger(path)
    assert len(ledger.entries()) == 1
    ledger.charge(PLAN, "clinic")
    assert len(ledger.entries()) == 2


def test_a_disk_that_is_full_gives_no_right_to_spend(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    Ledger(path).charge(PLAN, "clinic")
    script = """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))
try:
    ledger.charge(plan, "clinic")
    print("charged")
except LedgerError as error:
    print(error)
"""
    code, said = finish(start(script, str(path)))
    assert code == 0
    assert "full" in said
    assert "\n" not in said
    assert len(Ledger(path).entries()) == 1


@pytest.mark.parametrize("status", ["failed", "aborted"])
def test_failed_and_aborted_jobs_count_towards_the_cap(tmp_path: Path, status: str) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.set_cap("clinic", PrivacyUnit(), PrivacyBudget(0.5, 1e-5))
    ledger.charge(PLAN, "clinic").close(status)  # type: ignore[arg-type]
    with pytest.raises(LedgerError, match="cap"):
        ledger.charge(PLAN, "clinic")
