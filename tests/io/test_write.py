import datetime as dt
import errno
import os

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from privsynth.errors import OutputError
from privsynth.io import read_table, write_csv, write_parquet
from privsynth.schema import Schema
from privsynth.table import Table

SCHEMA = Schema.parse(
    {
        "dataset": {"id": "d"},
        "columns": {
            "age": {"kind": "integer", "lower": 0, "upper": 120, "missing": True},
            "zip": {"kind": "categorical", "categories": ["02139", "1"]},
            "note": {"kind": "categorical", "source": "private", "missing": True},
            "cost": {"kind": "numeric", "lower": 0, "upper": 9, "granularity": 0.01},
            "day": {"kind": "date", "lower": dt.date(2020, 1, 1), "upper": dt.date(2030, 1, 1)},
            "seen": {
                "kind": "datetime",
                "lower": dt.datetime(2020, 1, 1),
                "upper": dt.datetime(2030, 1, 1),
            },
            "well": {"kind": "boolean"},
        },
    }
)
TABLE = Table.from_arrow(
    pa.table(
        {
            "age": pa.array([40, None], pa.int16()),
            "zip": ["02139", "1"],
            "note": ['a, "b"\nc', None],
            "cost": pa.array([1.25, 3.0], pa.float32()),
            "day": [dt.date(2024, 2, 29), dt.date(2024, 1, 1)],
            "seen": [dt.datetime(2024, 1, 1, 3, 4, 5), dt.datetime(2024, 1, 1)],
            "well": [True, False],
        }
    ),
    SCHEMA,
)


def test_parquet_comes_back_in_the_types_of_the_table(tmp_path):
    write_parquet(TABLE, tmp_path / "t.parquet")
    back = pq.read_table(tmp_path / "t.parquet")
    assert back.equals(TABLE.to_arrow())
    assert back.column("cost").type == pa.float32()


def test_parquet_says_of_itself_and_of_each_column_that_it_is_synthetic(tmp_path):
    write_parquet(TABLE, tmp_path / "t.parquet", {"epsilon": "1"}, {"age": {"unit": "years"}})
    schema = pq.read_schema(tmp_path / "t.parquet")
    origin = {b"synthetic": b"true", b"generator": b"privsynth"}
    assert schema.metadata == {b"epsilon": b"1", **origin}
    for field in schema:
        own = {b"unit": b"years"} if field.name == "age" else {}
        assert field.metadata == {**own, **origin}


def test_metadata_cannot_hide_the_origin(tmp_path):
    write_parquet(TABLE, tmp_path / "t.parquet", {"synthetic": "false"})
    assert pq.read_schema(tmp_path / "t.parquet").metadata[b"synthetic"] == b"true"


def test_csv_is_read_back_as_the_same_table(tmp_path):
    write_csv(TABLE, tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv", SCHEMA).data.equals(TABLE.data)


def test_csv_keeps_leading_zeros_and_leaves_missing_fields_empty(tmp_path):
    write_csv(TABLE, tmp_path / "t.csv")
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert lines[0] == '"age","zip","note","cost","day","seen","well"'
    assert lines[1].startswith('40,"02139",')
    assert lines[3].startswith(',"1",,')


def test_pandas_reads_what_is_written(tmp_path):
    write_parquet(TABLE, tmp_path / "t.parquet")
    frame = pd.read_parquet(tmp_path / "t.parquet")
    assert list(frame["zip"]) == ["02139", "1"]


@pytest.mark.parametrize("write", [write_parquet, write_csv])
def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch, write):
    def half(table, file, **kwargs):
        file.write(b"half of it")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(pq, "write_table", half)
    monkeypatch.setattr(pyarrow.csv, "write_csv", half)
    (tmp_path / "t.out").write_bytes(b"old")
    with pytest.raises(OutputError) as caught:
        write(TABLE, tmp_path / "t.out")
    assert str(caught.value) == (f"{tmp_path / 't.out'} cannot be written: No space left on device")
    assert [path.name for path in tmp_path.iterdir()] == ["t.out"]
    assert (tmp_path / "t.out").read_bytes() == b"old"


@pytest.mark.parametrize("write", [write_parquet, write_csv])
def test_an_interruption_leaves_nothing_behind(tmp_path, monkeypatch, write):
    def interrupted(table, file, **kwargs):
        file.write(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(pq, "write_table", interrupted)
    monkeypatch.setattr(pyarrow.csv, "write_csv", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(TABLE, tmp_path / "t.out")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="cannot be written: No such file or directory"):
        write_csv(TABLE, tmp_path / "none" / "t.csv")
