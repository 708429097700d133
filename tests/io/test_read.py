import datetime as dt
import gzip
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from privsynth.errors import BudgetError, DataError, SchemaError
from privsynth.io import read_raw, read_table, require_rows
from privsynth.privacy.budget import PrivacyBudget
from privsynth.schema import Schema
from privsynth.synth.base import require_fit_possible

SECRET = "Zaphod7391"
"""Planted in the records; no message may hold it."""

SCHEMA = Schema.parse(
    {
        "dataset": {"id": "d"},
        "columns": {
            "age": {"kind": "integer", "lower": 0, "upper": 120},
            "code": {"kind": "categorical", "source": "private", "missing": True},
        },
    }
)


def refused(path, schema=SCHEMA, error=DataError):
    """The message with which a file is refused: one line, and nothing of the records in it."""
    with pytest.raises(error) as caught:
        read_table(path, schema)
    message = str(caught.value)
    assert "\n" not in message
    assert SECRET not in message
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return message


def write(folder, content, name="t.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "t.csv: it is empty"),
        (" \n\n", "t.csv: it is empty"),
        ("age,code\n", "t.csv: it has column names and no rows"),
        ("age,code", "t.csv: it has column names and no rows"),
        (f"age,code\n1,{SECRET}é\n".encode("latin-1"), "t.csv: it is not UTF-8; save it as UTF-8"),
        (
            f"age,code\n1,{SECRET}\n".encode("utf-16"),
            "t.csv: it is UTF-16 text; save it as UTF-8",
        ),
        (
            b"\x89PNG\r\n\x1a\n\0\0\0" + SECRET.encode(),
            "t.csv: it is binary, not text; export it as CSV in UTF-8",
        ),
        (
            f"age,code,age\n1,{SECRET},2\n",
            "t.csv: columns 1 and 3 of the header have the same name",
        ),
        (
            f"{SECRET},{SECRET}\n1,2\n",
            "t.csv: columns 1 and 2 of the header have the same name",
        ),
        (f",age,code\n0,1,{SECRET}\n", "t.csv: column 1 has no name in the header"),
        (",,\n1,2,3\n", "t.csv: it has no header"),
        (
            f"age:code\n1:{SECRET}\n2:{SECRET}\n",
            "t.csv: it has a single column where the schema has 2; "
            "the delimiter must be a comma, semicolon, tab or bar (|)",
        ),
        (
            f"age,code\n1,a\n2\n3,b\n4,{SECRET},5\n",
            "t.csv: 2 rows have another number of fields than the header's 2; the first is row 2",
        ),
        (
            f"age,code\n1,a\n2,{SECRET},7\n",
            "t.csv: 1 row has another number of fields than the header's 2; the first is row 2",
        ),
        (
            f'age,code\n1,a\n2,"{SECRET}\n3,b\n',
            "t.csv: from row 2 on, a quotation mark is never closed, "
            "or stands inside a quoted field without being doubled",
        ),
        (
            f'age,code\n1,"{SECRET}"x\n',
            "t.csv: from row 1 on, a quotation mark is never closed, "
            "or stands inside a quoted field without being doubled",
        ),
        (f'"age,code\n1,{SECRET}\n', "t.csv: its header has a quotation mark out of place"),
    ],
)
def test_a_bad_csv_is_refused_in_one_line(tmp_path, content, message):
    assert refused(write(tmp_path, content)) == message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            f"age,code,extra\n1,a,{SECRET}\n",
            "column 'extra': in the table, but not in the schema; "
            "describe it there or leave it out of the file",
        ),
        (f"1,{SECRET}\n2,b\n", "column 'age': in the schema, but not in the table (and 1 more)"),
        (f"age,code\n{SECRET},a\n1,b\n", "column 'age': 1 value is not a whole number"),
        ("age,code\n7391,a\n1,b\n", "column 'age': 1 value lies outside its domain [0, 120]"),
        (
            f"age,code\n,{SECRET}\n1,b\n",
            "column 'age': 1 value is missing, and the schema does not say missing = true",
        ),
    ],
)
def test_records_that_break_the_schema_are_refused_in_one_line(tmp_path, content, message):
    assert refused(write(tmp_path, content), error=SchemaError) == message


def test_a_missing_file_is_named(tmp_path):
    assert refused(tmp_path / "none.csv") == f"{tmp_path / 'none.csv'} does not exist"


def test_a_folder_without_parquet_is_refused(tmp_path):
    write(tmp_path, "age,code\n1,a\n")
    assert refused(tmp_path) == f"{tmp_path} is a folder without any .parquet file"


def test_a_kind_of_file_that_is_not_read_is_named(tmp_path):
    path = write(tmp_path, "x", "t.xlsx")
    assert refused(path).startswith("t.xlsx: this kind of file is not read; give .csv")


def test_an_unreadable_file_is_named(tmp_path, monkeypatch):
    path = write(tmp_path, "age,code\n1,a\n")

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", refuse)
    assert refused(path) == f"{path} cannot be read"


def test_a_damaged_gzip_is_refused(tmp_path):
    whole = gzip.compress(f"age,code\n1,{SECRET}\n".encode() * 99)
    assert "damaged" in refused(write(tmp_path, whole[:-20], "t.csv.gz"))
    assert "damaged" in refused(write(tmp_path, b"age,code\n1,a\n", "t.csv.gz"))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"rubbish" * 100])
def test_a_damaged_parquet_is_refused(tmp_path, content):
    path = write(tmp_path, content, "t.parquet")
    assert refused(path) == "t.parquet: it is damaged, or no Parquet file"


def test_a_truncated_parquet_is_refused(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"age": [1], "code": [SECRET]}), path)
    path.write_bytes(path.read_bytes()[:-9])
    assert refused(path) == "t.parquet: it is damaged, or no Parquet file"


def test_a_parquet_without_rows_is_refused(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"age": pa.array([], pa.int64())}), path)
    assert refused(path) == "t.parquet: it has column names and no rows"


def test_everything_in_a_csv_stays_as_it_is_written(tmp_path):
    path = write(tmp_path, 'zip,code,note\n02139,None,"a, ""b""\nc"\n00501,NA,\n1,null, x \n')
    assert read_raw(path).to_pydict() == {
        "zip": ["02139", "00501", "1"],
        "code": ["None", "NA", "null"],
        "note": ['a, "b"\nc', None, " x "],
    }


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"\xef\xbb\xbfage,code\n1,\xc3\xa9\n2,b\n", "bom.csv"),
        (b"age,code\r\n1,\xc3\xa9\r\n2,b\r\n", "crlf.csv"),
        (b"age,code\r1,\xc3\xa9\r2,b", "cr.csv"),
        (b"age,code\n1,\xc3\xa9\r\n2,b\n", "mixed.csv"),
        (b"age;code\n1;\xc3\xa9\n2;b\n", "semicolon.csv"),
        (b"age\tcode\n1\t\xc3\xa9\n2\tb\n", "tab.tsv"),
        (b"age|code\n1|\xc3\xa9\n2|b\n", "bar.txt"),
        (b"age,code\n\n1,\xc3\xa9\n\n2,b\n\n", "blank.CSV"),
        (b" age , code\n1,\xc3\xa9\n2,b\n", "spaces in it[1]*?.csv"),
        (gzip.compress(b"age,code\n1,\xc3\xa9\n2,b\n"), "zipped.csv.gz"),
    ],
)
def test_the_common_forms_of_csv_are_read(tmp_path, content, name):
    path = write(tmp_path, content, name)
    assert read_raw(path).to_pydict() == {"age": ["1", "2"], "code": ["é", "b"]}


def test_a_file_name_is_never_a_pattern(tmp_path):
    write(tmp_path, "age,code\n1,a\n", "t1.csv")
    path = write(tmp_path, "age,code\n2,b\n", "t[1].csv")
    assert read_raw(path).column("age").to_pylist() == ["2"]


def test_names_may_differ_by_case_alone(tmp_path):
    path = write(tmp_path, "Age,age\n1,2\n")
    assert read_raw(path).to_pydict() == {"Age": ["1"], "age": ["2"]}


def test_the_delimiter_is_the_one_by_which_the_records_agree(tmp_path):
    path = write(tmp_path, "name, first;age\nAda;1\nBo, Jr;2\n")
    assert read_raw(path).column_names == ["name, first", "age"]


def test_quoted_newlines_survive_in_a_large_file(tmp_path):
    rows = [f'{i % 100},"line {i}\nand ""more"""' for i in range(30_000)]
    path = write(tmp_path, "age,code\n" + "\n".join(rows) + "\n")
    raw = read_raw(path)
    assert raw.num_rows == 30_000
    assert raw.column("code")[29_999].as_py() == 'line 29999\nand "more"'


def test_rows_keep_their_order(tmp_path):
    numbers = np.random.default_rng(0).permutation(200_000)
    path = write(tmp_path, "x,y\n" + "\n".join(f"{i},{'z' * 20}" for i in numbers))
    np.testing.assert_array_equal(read_raw(path).column("x").cast(pa.int64()), numbers)


def test_parquet_keeps_its_types_and_loses_the_index(tmp_path):
    frame = pd.DataFrame(
        {"day": [dt.date(2024, 1, 1)], "n": np.array([1], dtype=np.int16), "x": [0.5]}, index=[7]
    )
    frame.to_parquet(tmp_path / "t.parquet")
    raw = read_raw(tmp_path / "t.parquet")
    assert raw.column_names == ["day", "n", "x"]
    assert raw.schema.types == [pa.date32(), pa.int16(), pa.float64()]


def test_a_folder_of_parquet_is_one_table(tmp_path):
    for name, ages in (("b.parquet", [3]), ("a.parquet", [1, 2]), (".hidden.parquet", [9])):
        pq.write_table(pa.table({"age": ages}), tmp_path / name)
    write(tmp_path, "not data", "README.txt")
    assert read_raw(tmp_path).column("age").to_pylist() == [1, 2, 3]


def test_a_folder_of_unlike_tables_is_refused(tmp_path):
    pq.write_table(pa.table({"age": [1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"age": [SECRET]}), tmp_path / "b.parquet")
    assert refused(tmp_path) == "b.parquet: its columns or types are not those of a.parquet"


def test_frames_and_arrow_tables_are_read_too():
    columns = {"age": [1, 2], "code": ["a", None]}
    for source in (pd.DataFrame(columns), pa.table(columns)):
        table = read_table(source, SCHEMA)
        assert table.numbers("age").tolist() == [1, 2]
        assert table.labels("code").tolist() == ["a", None]


def test_csv_and_parquet_of_the_same_records_are_the_same_table(tmp_path):
    csv = write(tmp_path, "age,code\n40,02139\n7,x\n")
    pq.write_table(pa.table({"age": [40, 7], "code": ["02139", "x"]}), tmp_path / "t.parquet")
    assert read_table(csv, SCHEMA).data.equals(read_table(tmp_path / "t.parquet", SCHEMA).data)


def test_too_few_rows_are_refused_with_the_rule():
    table = read_table(pd.DataFrame({"age": [1], "code": [SECRET]}), SCHEMA)
    with pytest.raises(DataError, match=r"^the table holds 1 row; at least 10 are needed$"):
        require_rows(table)
    require_rows(read_table(pd.DataFrame({"age": range(10), "code": ["a"] * 10}), SCHEMA))


def test_too_few_persons_are_refused_however_many_rows_they_have():
    schema = Schema.parse(
        {
            "dataset": {"id": "d"},
            "privacy": {"unit": "who", "max_rows_per_unit": 9},
            "columns": {"who": {"kind": "id"}, "well": {"kind": "boolean"}},
        }
    )
    table = read_table(pd.DataFrame({"who": [1, 2] * 20, "well": [True] * 40}), schema)
    with pytest.raises(DataError, match=re.escape("holds 2 persons; at least 10")):
        require_rows(table)


def test_how_many_there_are_is_not_told_where_that_is_private():
    document = SCHEMA.to_dict() | {"privacy": {"row_count": "private"}}
    table = read_table(pd.DataFrame({"age": [1], "code": ["x"]}), Schema.parse(document))
    with pytest.raises(DataError, match=r"^the table holds too few rows; at least 10 are needed$"):
        require_rows(table)
    many = Schema.parse(document | {"columns": {"age": document["columns"]["age"]}})
    table = read_table(pd.DataFrame({"age": range(113)}), many)
    with pytest.raises(BudgetError, match=r"delta 0\.1 is too large") as told:
        require_fit_possible(table, PrivacyBudget(1.0, 0.1))
    assert "113" not in str(told.value)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("adult", "train.parquet"),
        ("heart_disease", "heart_disease.parquet"),
        ("diabetes130", "diabetes130.parquet"),
    ],
)
def test_real_records_come_out_as_they_came_in(shared_data, name, file):
    raw = pq.read_table(shared_data / name / file)
    schema = Schema.load(shared_data / name / "schema.toml")
    out = read_table(shared_data / name / file, schema).to_arrow()
    changed = [column for column in raw.column_names if out[column].type != raw[column].type]
    # Codes that are learned privately, or may be "(other)", cannot stay numbers.
    for column in changed:
        kind = schema.columns[column]
        assert kind.source == "private" or kind.other, column
    kept = [column for column in raw.column_names if column not in changed]
    assert out.select(kept).equals(raw.select(kept).replace_schema_metadata(None))
