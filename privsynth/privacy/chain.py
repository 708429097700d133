"""An append-only, hash-chained list of texts in one SQLite file: what the ledger stands on.

Each link holds the hash of the one before it, so that a changed, inserted or removed link shows.
Triggers refuse changes; the chain shows those that were made in spite of them. Links cut off the
end show in the number that SQLite remembers, and in any head that was noted down elsewhere.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from privsynth.errors import LedgerError

GENESIS = "0" * 64
"""What the first link holds in place of a hash before it."""

_APPLICATION_ID = 0x70727673  # "prvs", by which a file is known to be a ledger
_BUSY_SECONDS = 60.0

_STATEMENTS = (
    """CREATE TABLE links (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        body TEXT NOT NULL,
        previous TEXT NOT NULL,
        hash TEXT NOT NULL UNIQUE
    )""",
    """CREATE TRIGGER links_stay_as_they_are BEFORE UPDATE ON links
        BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
    """CREATE TRIGGER links_stay BEFORE DELETE ON links
        BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
    """CREATE TRIGGER links_come_last BEFORE INSERT ON links
        WHEN EXISTS (SELECT 1 FROM links WHERE number = NEW.number OR hash = NEW.hash)
        BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
    f"PRAGMA application_id = {_APPLICATION_ID}",
)

_FAULTS = {
    "SQLITE_BUSY": "is held by another job; try again when that has ended",
    "SQLITE_FULL": "cannot be written: the disk is full",
    "SQLITE_IOERR": "cannot be read or written: the disk fails or is full",
    "SQLITE_READONLY": "cannot be written: it is read-only",
    "SQLITE_CANTOPEN": "cannot be opened; check its folder and permissions",
    "SQLITE_NOTADB": "is not a ledger",
    "SQLITE_CORRUPT": "is damaged; restore it from a backup",
}


@dataclass(frozen=True)
class Link:
    """One text of the chain, with the hash of the link before it and its own."""

    number: int
    body: str
    previous: str
    hash: str


class Writer:
    """The chain inside one transaction: what it holds, and the right to append.

    `writing` makes it; what it appends is on disk when the `with` block has ended, or not at all.
    """

    def __init__(self, connection: sqlite3.Connection, links: tuple[Link, ...]) -> None:
        self.links = links
        self._connection = connection

    def append(self, body: str) -> None:
        """Add a text to the end of the chain."""
        previous = head_of(self.links)
        self._connection.execute(
            "INSERT INTO links (body, previous, hash) VALUES (?, ?, ?)",
            (body, previous, link_hash(previous, body)),
        )
        self.links = _links(self._connection)


def link_hash(previous: str, body: str) -> str:
    """The hash of a link: SHA-256 of the hash before it and its own text.

    >>> link_hash(GENESIS, "first")[:8]
    'cdb8c87e'
    """
    return hashlib.sha256(f"{previous}\n{body}".encode()).hexdigest()


def head_of(links: tuple[Link, ...]) -> str:
    """The hash of the last link: it stands for the whole chain."""
    return links[-1].hash if links else GENESIS


def read(path: Path) -> tuple[Link, ...]:
    """Every link, after the chain was checked; none where there is no file yet."""
    if not path.exists():
        return ()
    with _connection(path) as connection:
        _require_ledger(connection, path)
        return () if _is_new(connection) else _checked(connection, path)


@contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """The chain, held alone: no other process can read and append in between.

    LedgerError if it cannot be written or is broken; an exception in the block undoes it.
    """
    _make_file(path)
    with _connection(path) as connection:
        _require_ledger(connection, path)
        with suppress(sqlite3.OperationalError):
            # needs the file for itself; if another job has it open, that job has set it or the
            # next will, and durability does not depend on it
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        try:
            if _is_new(connection):
                _make_table(connection)
            yield Writer(connection, _checked(connection, path))
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


@contextmanager
def _connection(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection whose commits are on disk when they return, and whose faults are one line."""
    try:
        with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)) as opened:
            opened.execute("PRAGMA synchronous = FULL")
            yield opened
    except sqlite3.Error as error:
        raise LedgerError(f"the ledger {path} {_fault(error)}") from None


def _fault(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorname", "unknown fault")
    for known, words in _FAULTS.items():
        if code.startswith(known):
            return words
    return f"cannot be used ({code})"


def _make_file(path: Path) -> None:
    """An empty file that its owner alone may read, unless there is one already."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise LedgerError(
            f"the ledger {path} cannot be written ({error.strerror}); choose another with --ledger"
        ) from None


def _is_new(connection: sqlite3.Connection) -> bool:
    """Whether the file is still empty."""
    return not connection.execute("SELECT name FROM sqlite_master").fetchall()


def _require_ledger(connection: sqlite3.Connection, path: Path) -> None:
    """Leave a file alone that is something else."""
    known = connection.execute("PRAGMA application_id").fetchone() == (_APPLICATION_ID,)
    if not (known or _is_new(connection)):
        raise LedgerError(f"the file {path} is not a ledger")


def _make_table(connection: sqlite3.Connection) -> None:
    for statement in _STATEMENTS:
        connection.execute(statement)


def _links(connection: sqlite3.Connection) -> tuple[Link, ...]:
    rows = connection.execute("SELECT number, body, previous, hash FROM links ORDER BY number")
    return tuple(Link(*row) for row in rows)


def _checked(connection: sqlite3.Connection, path: Path) -> tuple[Link, ...]:
    """The links, or LedgerError that names the first one at which the chain is broken."""
    links = _links(connection)
    previous = GENESIS
    for number, link in enumerate(links, start=1):
        expected = link_hash(previous, link.body)
        if (link.number, link.previous, link.hash) != (number, previous, expected):
            raise LedgerError(f"the ledger {path} is broken at entry {number}: it was altered")
        previous = link.hash
    last = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'links'").fetchone()
    if last is not None and last[0] != len(links):
        raise LedgerError(f"the ledger {path} is broken after entry {len(links)}: entries are gone")
    return links
