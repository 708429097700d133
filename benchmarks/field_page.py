"""The page of the benchmark: docs/benchmark.md and its pictures, from field.csv and untold.csv.

python benchmarks/field_page.py
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from arena import plots, results
from arena.page import page
from arena.summary import Group, groups

HERE = Path(__file__).resolve().parent
REAL_SETS = ("adult", "diabetes")


def pictures(found: Sequence[Group]) -> dict[str, tuple[str, str]]:
    """Title and SVG of each picture, by file name; none where nothing was measured."""
    there = {group.dataset for group in found if not group.is_baseline and group.done}
    if not there:
        return {}
    names = [name for name in REAL_SETS if name in there]
    drawn = {
        "tvd2": ("2-way distance against epsilon (lower is better)", "tvd2", plots.by_epsilon),
        "tstr": ("TSTR AUC against epsilon (higher is better)", "tstr_gb", plots.by_epsilon),
        "cost": ("2-way distance against the cost of the fit", "tvd2", plots.by_cost),
    }
    axes = {"tvd2": "mean 2-way TVD", "tstr_gb": "TSTR AUC, gradient boosting"}
    return {
        f"{name}.svg": (
            title,
            plots.picture(title, [panel(found, data, figure, axes[figure]) for data in names]),
        )
        for name, (title, figure, panel) in drawn.items()
        if names
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--csv", type=Path, default=HERE / "results" / "field.csv")
    parser.add_argument("--untold", type=Path, default=HERE / "results" / "untold.csv")
    parser.add_argument("--out", type=Path, default=HERE.parent / "docs" / "benchmark.md")
    asked = parser.parse_args()
    rows = results.read(asked.csv)
    folder = asked.out.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    listed = []
    for name, (title, drawn) in pictures(groups(rows)).items():
        (folder / name).write_text(drawn, encoding="utf-8")
        listed.append((title, f"{folder.name}/{name}"))
    asked.out.write_text(page(rows, listed, results.read(asked.untold)), encoding="utf-8")
    print(asked.out)


if __name__ == "__main__":
    main()
