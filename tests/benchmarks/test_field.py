"""The field can be stopped and gone on with, and its page shows whatever the results hold."""

from __future__ import annotations

import doctest
import json
import math
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import field
import numpy as np
import pytest
from arena import cells, datasets, domains, own_run, plots, results, summary
from arena.cells import Cache, Cell
from arena.page import page
from arena.summary import groups, matches

MST = Cell("dpmm-mst", "parity3", 1.0, 0)
AIM = Cell("dpmm-aim", "parity3", 1.0, 0)
OURS = Cell("diffusion", "parity3", 1.0, 0)


def values(tvd2: float, tstr: float, **more: Any) -> dict[str, Any]:
    shape = {"n_train": 800, "n_columns": 13, "date": "2026-01-02", "machine": "1 × abacus"}
    figures = {"tvd1": 0.01, "tvd2": tvd2, "tvd3": 0.1, "tstr_gb": tstr, "fit_cpu_s": 12.0}
    return {"status": "done", "package": "it 1.0", "python": "3.11", **shape, **figures, **more}


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    """Ours, leading in one figure and not in another, a peer, and a peer that did not finish."""
    path = tmp_path / "field.csv"
    results.put(path, OURS, values(0.0311, 0.81))
    results.put(path, MST, values(0.0222, 0.71))
    results.put(path, Cell("dpmm-mst", "parity3", 1.0, 1), values(0.0242, 0.73))
    unfinished = {"status": "unfinished after 60 minutes", "date": "2026-01-03"}
    results.put(path, AIM, {**unfinished, "n_train": 800, "n_columns": 13})
    return path


def asked(csv: Path, *options: str) -> Any:
    return field.parser().parse_args(["--csv", str(csv), "--cache", str(csv.parent), *options])


# Resuming


def test_a_cell_with_a_row_is_not_run_again_even_unfinished(csv: Path) -> None:
    options = ("--datasets", "parity3", "--epsilons", "1", "--seeds", "2")
    names = ("--generators", "dpmm-mst", "dpmm-aim", "diffusion")
    left = field.missing(asked(csv, *options, *names))
    assert left == [Cell("dpmm-aim", "parity3", 1.0, 1), Cell("diffusion", "parity3", 1.0, 1)]


def test_a_plan_is_followed_in_its_order(csv: Path, tmp_path: Path) -> None:
    new = Cell("dpmm-mst", "adult", math.inf, 4)
    plan = tmp_path / "plan.txt"
    plan.write_text(f"# first\n{new}\n{MST}\n\n{Cell('real', 'adult', math.inf, 0)}\n")
    left = field.missing(asked(csv, "--plan", str(plan)))
    assert left == [new, Cell("real", "adult", math.inf, 0)]


def test_what_has_no_privacy_is_asked_for_without_it_alone(csv: Path) -> None:
    names = ("real", "sdv-ctgan", "diffusion-no-privacy")
    left = field.missing(asked(csv, "--datasets", "adult", "--generators", *names))
    assert {cell.epsilon for cell in left} == {math.inf}
    assert [cell.seed for cell in left if cell.generator == "real"] == [0]


def test_a_row_takes_the_place_of_an_older_one(csv: Path) -> None:
    n_rows = len(results.read(csv))
    results.put(csv, AIM, values(0.0123, 0.9))
    rows = results.read(csv)
    assert len(rows) == n_rows
    assert [row["tvd2"] for row in rows if results.cell_of(row) == AIM] == ["0.0123"]


def test_a_figure_that_the_results_do_not_know_is_refused(csv: Path) -> None:
    with pytest.raises(ValueError, match="beauty"):
        results.put(csv, AIM, {"beauty": 1.0})


def test_what_was_drawn_is_scored_without_running_it_again(
    csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = asked(csv)
    cache, data = Cache(options.cache), datasets.load("parity3", n_rows=1_000)
    cache.drawn(AIM).parent.mkdir(parents=True)
    np.savez_compressed(cache.drawn(AIM), codes=data.train.astype(np.uint8))
    facts = {"status": "done", "ended": "2026-01-04", "fit_s": 3.0}
    cache.facts(AIM).write_text(json.dumps(facts), encoding="utf-8")
    monkeypatch.setattr(cells, "run", lambda *_: pytest.fail("the cell was run again"))
    row = field.measured(AIM, data, options)
    assert (row["status"], row["tvd2"], row["fit_s"]) == ("done", 0.0, 3.0)


@pytest.mark.parametrize(
    ("package", "options", "runs"),
    [("privsynth 0", [], 1), ("privsynth 0", ["--rescore"], 0), (own_run.package(), [], 0)],
)
def test_what_another_commit_of_ours_drew_is_no_run_of_this_one(
    csv: Path, monkeypatch: pytest.MonkeyPatch, package: str, options: list[str], runs: int
) -> None:
    cell, found, ran = Cell("marginal", "adult", 1.0, 0), asked(csv, *options), []
    path = Cache(found.cache).facts(cell)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"status": "failed", "ended": "2026-01-04", "package": package}))
    data = datasets.load("parity3", n_rows=100)
    monkeypatch.setattr(
        cells, "run", lambda *_: ran.append(1) or {"status": "failed", "ended": "2026-01-05"}
    )
    field.measured(cell, data, found)
    assert len(ran) == runs


# Running


def outcome(code: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    data = datasets.load("parity3", n_rows=100)
    monkeypatch.setattr(cells, "command", lambda *_: [sys.executable, "-c", code])
    return cells.run(MST, data, Cache(tmp_path), limit_s=1)


def test_a_fit_beyond_the_limit_is_stopped_and_said_to_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = outcome("while True: pass", monkeypatch, tmp_path)
    assert found["status"] == "unfinished after 1 minutes"
    assert 0.9 < found["fit_cpu_s"] < 5
    assert Cache(tmp_path).outcome(MST) == found


def test_a_crash_is_a_fact_with_its_message(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = outcome("raise SystemExit('no such column')", monkeypatch, tmp_path)
    assert found["status"] == "failed: no such column"


def test_the_facts_that_a_fit_prints_are_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code = """print('noise'); print('RESULT {"fit_s": 2.5, "package": "it 1.0"}')"""
    found = outcome(code, monkeypatch, tmp_path)
    assert (found["status"], found["fit_s"], found["package"]) == ("done", 2.5, "it 1.0")


@pytest.mark.parametrize("epsilon", [0.5, 1.0, math.inf])
def test_a_cell_is_what_its_name_says(epsilon: float) -> None:
    cell = Cell("dpmm-mst", "adult", epsilon, 3)
    assert Cell.parse(str(cell)) == cell


def test_a_delta_is_below_one_rows_share() -> None:
    sizes = {name: 1 / cells.delta_for(n) for name, n in (("adult", 32_561), ("long", 240_000))}
    assert sizes["adult"] > 32_561
    assert sizes["long"] > 240_000


# The page


def test_the_page_shows_losses_wins_and_what_did_not_finish(csv: Path) -> None:
    text = page(results.read(csv), [("A picture", "benchmark/a.svg")])
    assert "| 1 | dpmm-mst | 2 | **.0100 ± .0000** | **.0232 ± .0014** |" in text
    assert "| 1 | diffusion | 1 | **.0100** | .0311 |" in text
    assert "| 1 | dpmm-aim | 1 | unfinished after 60 minutes |" in text
    behind, ahead = text.split("### Level or ahead")
    assert "| parity3 | 1 | TVD 2 | .0311 | diffusion | .0232 ± .0014 | dpmm-mst |" in behind
    assert "| parity3 | 1 | TSTR boost | .810 | diffusion | .720 ± .014 | dpmm-mst |" in ahead
    assert "![A picture](benchmark/a.svg)" in text
    assert "it 1.0" in text


def test_each_of_ours_stands_beside_the_best_peer_and_our_own_marginal(csv: Path) -> None:
    results.put(csv, Cell("marginal", "parity3", 1.0, 0), values(0.05, 0.82, detection=0.4))
    text = page(results.read(csv), [])
    peers, own = text.split("## What the others add")
    head = "| parity3 | 1 | diffusion | "
    assert f"{head}.0311 (1) | .0232 ± .0014 (2) dpmm-mst | " in peers
    assert "| **.810 (1)** | .720 ± .014 (2) dpmm-mst |" in peers
    assert f"{head}.1000 (1) | .1000 (1) marginal | – | – | .810 (1) | .820 (1) marginal |" in own


def test_a_baseline_leads_nowhere(csv: Path) -> None:
    results.put(csv, Cell("real", "parity3", math.inf, 0), values(0.001, 0.99))
    text = page(results.read(csv), [])
    assert "| – | real | 1 | .0100 | .0010 |" in text
    assert {m.peer.generator for m in matches(groups(results.read(csv)))} == {"dpmm-mst"}


def test_ours_without_the_hint_of_a_target_stands_beside_the_best_peer(csv: Path) -> None:
    def fitted(seed: str, tstr: str) -> dict[str, str]:
        cell = {"generator": "diffusion", "dataset": "parity3", "epsilon": "1.0", "seed": seed}
        return {**cell, "tstr_gb": tstr, "package": "it 1.0", "date": "2026-01-02"}

    ahead = page(results.read(csv), [], [fitted("0", "0.7300"), fitted("1", "0.7500")])
    behind = page(results.read(csv), [], [fitted("0", "0.7000")])
    row = "| parity3 | 1 | diffusion | .810 |"
    assert f"{row} **.740 ± .014 (2)** | .720 ± .014 (2) dpmm-mst |" in ahead
    assert f"{row} .700 (1) | .720 ± .014 (2) dpmm-mst |" in behind
    assert "hint of a target" not in page(results.read(csv), [])


def test_a_page_without_results_says_so(tmp_path: Path) -> None:
    text = page(results.read(tmp_path / "none.csv"), [])
    assert "Nothing has run yet" in text


def test_a_picture_has_a_mark_for_each_point_and_a_name_for_each_line(csv: Path) -> None:
    results.put(csv, Cell("dpmm-mst", "parity3", 3.0, 0), values(0.01, 0.8))
    panel = plots.by_epsilon(groups(results.read(csv)), "parity3", "tvd2", "distance")
    drawn = plots.picture("Distances", [panel])
    n_entries = 2
    assert drawn.count("<circle") == 3 + n_entries
    assert drawn.count(">dpmm-mst</text>") == drawn.count(">diffusion</text>") == 1
    assert [label for _, label in panel.ticks] == ["1", "3"]


def test_the_page_of_the_repository_names_all_that_its_results_hold() -> None:
    root = Path(__file__).parents[2]
    text = (root / "docs" / "benchmark.md").read_text(encoding="utf-8")
    for row in results.read(root / "benchmarks" / "results" / "field.csv"):
        assert row["generator"] in text
        assert row["dataset"] in text


@pytest.mark.parametrize("module", [cells, datasets, domains, plots, summary])
def test_the_examples_of_a_module_run(module: ModuleType) -> None:
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0
