import json
import shutil

import pandas as pd
import pytest

from privsynth.errors import DataError
from privsynth.release.load import load_release
from privsynth.release.release import write_release


@pytest.fixture(scope="module")
def released(tmp_path_factory, synthetic, report):
    place = tmp_path_factory.mktemp("run") / "release"
    write_release(place, synthetic, report)
    return place


@pytest.fixture
def folder(released, tmp_path):
    return shutil.copytree(released, tmp_path / "release")


def refused(folder):
    with pytest.raises(DataError) as caught:
        load_release(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_table_comes_back_as_it_was(folder, synthetic):
    frame = load_release(folder)
    pd.testing.assert_frame_equal(frame, synthetic.to_pandas())


def test_the_folder_of_a_run_will_do(folder, synthetic):
    assert len(load_release(folder.parent)) == synthetic.n_rows


def test_the_statement_and_the_conditions_travel_with_the_frame(folder):
    about = load_release(folder).attrs["privsynth"]
    assert "differentially private" in about["statement"]
    assert about["privacy"]["epsilon"] == 0.987
    assert about["privacy"]["holds"] is True
    assert any("single out" in condition for condition in about["conditions"])
    assert json.dumps(about)  # so that pandas can write the frame again


@pytest.mark.parametrize(
    "name", ["data/clinic-stays.parquet", "README.md", "report/report.json", "report/report.html"]
)
def test_a_changed_file_is_refused(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(bytes(content))
    assert name in refused(folder)


@pytest.mark.parametrize("name", ["data/clinic-stays.parquet", "README.md"])
def test_a_missing_file_is_refused(folder, name):
    (folder / name).unlink()
    assert f"{name} is missing" in refused(folder)


def test_a_folder_without_a_manifest_is_no_release(folder):
    (folder / "manifest.json").unlink()
    assert "holds no release" in refused(folder)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"schema": "other", "synthetic": true}'])
def test_a_damaged_manifest_is_refused(folder, text):
    (folder / "manifest.json").write_text(text)
    assert "manifest.json" in refused(folder)


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "data/../../secret", "..\\secret"])
def test_a_manifest_that_points_outside_is_refused(folder, path):
    document = json.loads((folder / "manifest.json").read_text())
    document["files"].append({"path": path, "n_bytes": 1, "sha256": "0" * 64})
    (folder / "manifest.json").write_text(json.dumps(document))
    assert "outside the release" in refused(folder)


def test_a_table_that_the_manifest_does_not_list_is_refused(folder):
    document = json.loads((folder / "manifest.json").read_text())
    document["files"] = [f for f in document["files"] if not f["path"].endswith(".parquet")]
    (folder / "manifest.json").write_text(json.dumps(document))
    assert "is not listed" in refused(folder)
