"""The calibration: makers leak what they say they leak, and the page counts as it should."""

import calibration
import calibration_page
import numpy as np
import pandas as pd
import pytest

from privsynth.report.wording import forbidden_words
from privsynth.schema import Schema
from privsynth.table import Table


def table(n: int, offset: int) -> Table:
    schema = Schema.parse(
        {
            "dataset": {"id": "d"},
            "columns": {
                "number": {"kind": "integer", "lower": 0, "upper": 10_000},
                "ward": {"kind": "categorical", "categories": ["A", "B"]},
            },
        }
    )
    frame = pd.DataFrame({"number": np.arange(n) + offset, "ward": ["A", "B"] * (n // 2)})
    return Table.from_pandas(frame, schema)


TRAIN, CONTROL, CLEAN = table(1_000, 0), table(200, 2_000), table(1_000, 5_000)


def made(maker: str) -> pd.DataFrame:
    return calibration.MAKERS[maker](TRAIN, CONTROL, CLEAN, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("maker", "n_copied"), [("clean", 0), ("copies-1", 10), ("copies-10", 100)]
)
def test_a_maker_copies_as_many_records_as_it_says(maker, n_copied):
    frame = made(maker)
    assert len(frame) == 1_000
    assert (frame["number"] < 1_000).sum() == n_copied


def test_jitter_stays_near_to_train_and_the_control_leaks_nobody_of_it():
    jittered = made("jitter")
    assert (jittered["number"] - np.arange(1_000)).abs().median() < 20
    assert (jittered["number"].to_numpy() != np.arange(1_000)).mean() > 0.8
    assert set(made("control")["number"]) == set(range(2_000, 2_200))


def rows(maker: str, verdicts: list[str], p: str = "0.01") -> list[dict[str, str]]:
    return [
        {
            "maker": maker,
            "seed": str(seed),
            "suite_seconds": "50",
            "check": "copies_exact",
            "verdict": verdict,
            "p": p,
            "excess": "0.02",
        }
        for seed, verdict in enumerate(verdicts)
    ]


def test_the_page_counts_seeds_in_red():
    found = calibration_page.page(
        [
            *rows("copies-1", ["not supported"] * 3 + ["supported"]),
            *rows("clean", ["supported"], "0.5"),
        ]
    )
    assert "| 1 % of train copied | yes | 4 | 3 | 50 |" in found
    assert "| copies_exact | 3 of 4 (+0.020) | 0 of 1 (+0.020) |" in found
    assert "| copies_exact | 0 of 1 | – |" in found


def test_ten_seeds_do_not_read_like_a_score_out_of_ten():
    found = calibration_page.page(rows("copies-1", ["not supported"] * 10))
    assert "10 of 10" in found
    assert list(forbidden_words(found)) == []


def test_what_stands_in_the_file_is_not_run_again(tmp_path):
    path = tmp_path / "c.csv"
    assert calibration.done(path) == set()
    pd.DataFrame(rows("clean", ["supported"])).to_csv(path, index=False)
    assert calibration.done(path) == {("clean", 0)}


def test_a_build_without_noise_is_red_and_one_with_noise_is_not():
    without, with_noise = (
        next(calibration.audited(maker, 0)) for maker in ("no-noise", "with-noise")
    )
    assert without["verdict"] == "not supported"
    assert with_noise["verdict"] == "supported"
