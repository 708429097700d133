import errno
import json
import re
from dataclasses import replace

import pandas as pd
import pyarrow.parquet as pq
import pytest

from privsynth.errors import OutputError, ReleaseRefused
from privsynth.release import release as module
from privsynth.release.card import card
from privsynth.release.release import write_release, write_report
from privsynth.report.report import RiskReport
from privsynth.report.wording import forbidden_words
from privsynth.schema import Schema


@pytest.fixture(scope="module")
def folder(tmp_path_factory, synthetic, report):
    place = tmp_path_factory.mktemp("run") / "release"
    write_release(place, synthetic, report, csv=True)
    return place


def names(folder):
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def test_the_folder_holds_what_it_should_and_nothing_else(folder):
    assert names(folder) == [
        "README.md",
        "data/clinic-stays.csv",
        "data/clinic-stays.parquet",
        "manifest.json",
        "report/report.html",
        "report/report.json",
    ]
    assert names(folder.parent) == [f"release/{name}" for name in names(folder)]


def test_csv_comes_only_when_it_is_asked_for(tmp_path, synthetic, report):
    write_release(tmp_path / "release", synthetic, report)
    assert not list((tmp_path / "release").rglob("*.csv"))


@pytest.mark.parametrize("status", ["not supported", "inconclusive"])
def test_a_claim_that_an_attack_contradicts_is_not_released(status, tmp_path, synthetic, report):
    claims = (replace(report.claims[0], status=status), *report.claims[1:])
    for each in (replace(report, claims=claims), replace(report, claims=claims).public()):
        with pytest.raises(ReleaseRefused, match="further than the claim"):
            write_release(tmp_path / "release", synthetic, each)
    assert not list(tmp_path.iterdir())


def test_the_report_is_the_public_edition(folder):
    report = RiskReport.from_json((folder / "report" / "report.json").read_text())
    assert report.edition == "public"
    assert report.to_json() == report.public().to_json()
    assert "Do not pass on" not in (folder / "report" / "report.html").read_text()


def test_nothing_that_was_measured_on_real_rows_is_in_any_file(tmp_path, example, synthetic):
    figure, word = 0.83173, "PLANTEDWORD"
    attack = example.attack(
        "linkability", f"Linkability {word}", "linkability", example.LINKER, prior=figure
    )
    score = example.score("tvd_1way", word, "marginals", figure, figure)
    report = example.example_report(attacks=(attack,), scores=(score,), n_train=83173)
    assert word in report.to_json()
    write_release(tmp_path / "release", synthetic, report, csv=True)
    for path in (tmp_path / "release").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert word.encode() not in content, path.name
            assert b"83173" not in content, path.name


def test_the_table_comes_back_in_its_types_without_privsynth(folder, synthetic):
    plain = pd.read_parquet(folder / "data" / "clinic-stays.parquet")
    pd.testing.assert_frame_equal(plain, synthetic.to_pandas())
    assert plain["age"].dtype.itemsize == 2
    assert plain["zip3"].iloc[0] in {"021", "100"}


def test_the_file_and_each_column_say_that_they_are_synthetic(folder):
    schema = pq.read_schema(folder / "data" / "clinic-stays.parquet")
    assert all(field.metadata[b"synthetic"] == b"true" for field in schema)
    assert json.loads(schema.metadata[b"privsynth"])["run_id"] == "2026-02-11-7f3a9c"


def test_the_card_has_front_matter_that_finds_the_table(folder):
    card = (folder / "README.md").read_text()
    front = card.split("---\n")[1]
    assert json.loads(re.search(r"path: (.*)", front).group(1)) == "data/clinic-stays.parquet"
    assert '"10K<n<100K"' not in front
    assert '"n<1K"' in front
    assert "pretty_name" in front


def test_the_card_says_what_was_proved_and_what_was_not(folder):
    card = (folder / "README.md").read_text()
    assert "differentially private" in card
    assert "**Few records for this ε (thin):** 18,204 persons" in card
    assert "50 % to at most 72.9 %" in card
    assert "| sex | categorical | female, male | no |" in card
    assert "| zip3 | categorical | learned from the records by a charged mechanism | no |" in card
    assert "notes" not in card
    assert "they come out too\n  small" in card
    assert forbidden_words(card) == ()


def test_a_card_without_noise_begins_with_a_warning(tmp_path, example, synthetic):
    write_release(tmp_path / "release", synthetic, example.example_report(private=False))
    card = (tmp_path / "release" / "README.md").read_text()
    assert "> **No differential privacy.**" in card.split("## ")[0]
    assert forbidden_words(card) == ()
    manifest = json.loads((tmp_path / "release" / "manifest.json").read_text())
    assert manifest["privacy"]["holds"] is False
    assert manifest["privacy"]["epsilon"] is None


def test_a_void_claim_does_not_hold(tmp_path, example, synthetic):
    report = example.example_report(void=("the noise came from a known seed",))
    write_release(tmp_path / "release", synthetic, report)
    manifest = json.loads((tmp_path / "release" / "manifest.json").read_text())
    assert manifest["privacy"]["is_private"] is True
    assert manifest["privacy"]["holds"] is False
    card = (tmp_path / "release" / "README.md").read_text()
    assert "is void:** the noise came from a known seed" in card


def test_a_folder_that_is_taken_is_left_as_it_is(tmp_path, synthetic, report):
    taken = tmp_path / "release"
    taken.mkdir()
    (taken / "precious.txt").write_text("keep")
    with pytest.raises(OutputError, match="exists already"):
        write_release(taken, synthetic, report)
    assert names(tmp_path) == ["release/precious.txt"]


@pytest.mark.parametrize("step", ["write_parquet", "write_csv", "render_html", "_flush"])
def test_a_full_disk_leaves_nothing_behind(tmp_path, synthetic, report, monkeypatch, step):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, step, full)
    with pytest.raises(OutputError, match="No space left on device") as caught:
        write_release(tmp_path / "release", synthetic, report, csv=True)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_nothing_behind(tmp_path, synthetic, report, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "render_html", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_release(tmp_path / "release", synthetic, report)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_parent_is_one_line(tmp_path, synthetic, report):
    with pytest.raises(OutputError, match="cannot be written: No such file"):
        write_release(tmp_path / "nowhere" / "release", synthetic, report)


def test_the_controllers_report_is_written_as_it_is(tmp_path, report):
    write_report(tmp_path / "report", report)
    again = RiskReport.from_json((tmp_path / "report" / "report.json").read_text())
    assert again.edition == "controller"
    assert "Do not pass on" in (tmp_path / "report" / "report.html").read_text()


def test_names_from_users_do_not_break_the_card(report):
    evil = 'a|b <script>alert(1)</script>\n# "x'
    schema = Schema.parse(
        {"dataset": {"id": "d", "title": evil}, "columns": {evil: {"kind": "boolean"}}}
    )
    named = report.public().subject | {"title": evil}
    text = card(schema, replace(report.public(), subject=named), 10, "data/d.parquet")
    text = text.split("---\n", 2)[2]  # the front matter is YAML, and quoted
    assert "<script" not in text
    assert "\n# &" not in text
    rows = [line for line in text.splitlines() if line.startswith("| a")]
    assert len(rows) == 1
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == 6
