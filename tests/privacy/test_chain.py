from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from privsynth.errors import LedgerError
from privsynth.privacy.chain import GENESIS, Writer, head_of, link_hash, read, writing


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A chain of three links."""
    path = tmp_path / "chain.sqlite"
    for body in ("one", "two", "three"):
        with writing(path) as writer:
            writer.append(body)
    return path


def tamper(path: Path, *statements: str) -> None:
    """Change the file as its owner can: triggers first."""
    connection = sqlite3.connect(path)
    for name in ("links_stay_as_they_are", "links_stay", "links_come_last"):
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_it_gives_back_what_was_appended_each_hashed_with_the_one_before(path: Path) -> None:
    links = read(path)
    assert [link.body for link in links] == ["one", "two", "three"]
    assert links[0].previous == GENESIS
    assert links[1].previous == links[0].hash == link_hash(GENESIS, "one")
    assert head_of(links) == links[2].hash


def test_where_there_is_no_file_there_are_no_links_and_reading_makes_none(tmp_path: Path) -> None:
    path = tmp_path / "none.sqlite"
    assert read(path) == ()
    assert head_of(()) == GENESIS
    assert not path.exists()


def test_a_file_that_was_made_and_then_left_is_an_empty_chain(tmp_path: Path) -> None:
    path = tmp_path / "left.sqlite"
    path.touch()
    assert read(path) == ()
    with writing(path) as writer:
        writer.append("one")
    assert len(read(path)) == 1


def test_the_file_is_its_owner_s_and_its_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "state" / "privsynth" / "chain.sqlite"
    with writing(path) as writer:
        writer.append("one")
    assert path.stat().st_mode & 0o777 == 0o600


def append_and_fail(writer: Writer) -> None:
    writer.append("four")
    raise ZeroDivisionError


def test_what_was_appended_before_an_exception_is_undone(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), writing(path) as writer:
        append_and_fail(writer)
    assert len(read(path)) == 3


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE links SET body = 'x' WHERE number = 2",
        "DELETE FROM links WHERE number = 3",
        "DELETE FROM links",
        "INSERT OR REPLACE INTO links VALUES (2, 'x', 'y', 'z')",
        "REPLACE INTO links SELECT 9, body, previous, hash FROM links WHERE number = 2",
    ],
)
def test_changes_are_refused(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)
    connection.close()
    assert len(read(path)) == 3


@pytest.mark.parametrize(
    ("statement", "where"),
    [
        ("UPDATE links SET body = 'x' WHERE number = 2", "at entry 2"),
        ("UPDATE links SET body = 'x', hash = 'y' WHERE number = 3", "at entry 3"),
        ("DELETE FROM links WHERE number = 1", "at entry 1"),
        ("DELETE FROM links WHERE number = 2", "at entry 2"),
        ("DELETE FROM links WHERE number = 3", "after entry 2"),
        ("DELETE FROM links", "after entry 0"),
        ("INSERT INTO links (body, previous, hash) VALUES ('x', 'y', 'z')", "at entry 4"),
    ],
)
def test_changes_made_all_the_same_are_found(path: Path, statement: str, where: str) -> None:
    tamper(path, statement)
    with pytest.raises(LedgerError, match=where):
        read(path)
    with pytest.raises(LedgerError, match=where), writing(path) as writer:
        writer.append("four")


def text_file(path: Path) -> None:
    path.write_text("not a ledger at all, but long enough to have a header" * 20)


def other_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE patients (name TEXT)")
    connection.close()


@pytest.mark.parametrize("make", [text_file, other_database])
def test_a_file_of_something_else_is_left_alone(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    path = tmp_path / "something"
    make(path)
    before = path.read_bytes()
    with pytest.raises(LedgerError, match="is not a ledger") as error:
        read(path)
    assert "\n" not in str(error.value)
    with pytest.raises(LedgerError, match="is not a ledger"), writing(path):
        pass
    assert path.read_bytes() == before


def test_a_damaged_file_is_one_line(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[200:4000] = os.urandom(3800)
    path.write_bytes(content)
    with pytest.raises(LedgerError) as error:
        read(path)
    assert "\n" not in str(error.value)


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "chain.sqlite"):
        with pytest.raises(LedgerError, match="cannot be written") as error, writing(path):
            pass
        assert "\n" not in str(error.value)


def test_a_chain_that_another_holds_is_waited_for_and_then_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("privsynth.privacy.chain._BUSY_SECONDS", 0.05)
    with writing(path) as writer:
        writer.append("four")
        with pytest.raises(LedgerError, match="held by another job"), writing(path):
            pass
        assert len(read(path)) == 3  # readers are not held up, and see what is on disk
    assert len(read(path)) == 4
