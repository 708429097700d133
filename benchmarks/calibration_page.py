"""The page of the calibration: docs/calibration.md from results/calibration.csv.

python benchmarks/calibration_page.py
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

HERE = Path(__file__).resolve().parent
RED, GREEN = "not supported", "supported"
LEVEL = 0.05
LEAKY = ("copies-10", "copies-1", "copies-0.1", "jitter")
CLEAN = ("clean", "control")
TITLES = {
    "copies-10": "10 % of train copied",
    "copies-1": "1 % of train copied",
    "copies-0.1": "0.1 % of train copied",
    "jitter": "train records, jittered",
    "clean": "drawn at epsilon 1",
    "control": "control records",
    "no-noise": "canaries, build without noise",
    "with-noise": "canaries, build as it is",
}
HEAD = """# Calibration: what the attacks catch, and how often they cry wolf

Made by `python benchmarks/calibration_page.py` from `benchmarks/results/calibration.csv`; do not
edit by hand. `python benchmarks/calibration.py ../shared/data/adult` and the same with `--audit`
fill the CSV, a maker and seed at a time, and go on where they stopped; the script says what each
maker does. The split, the table and the attacks are drawn anew for each seed. A result is *red*
where it speaks against its claim at the default limit of 0.10, all results of the suite together.

A fifth of the records is the control. The default of `privsynth run` is a tenth, which leaves more
to train on and sees less: 0.1 % of train are then 29 records, and that none of 29 should lie in a
tenth has a chance of 0.9^29 = .05 without any leak, too much for a verdict among so many attacks.
Who fears single copies keeps `--control 0.2`. The attack on the fitted model is not among these:
a maker has none. Two worlds and canaries of the audit (`privsynth audit`) judge what trains it.
"""

Row = Mapping[str, str]


def read(path: Path) -> list[Row]:
    """The rows of the CSV."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def by_maker(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows of each maker, in the order of `TITLES`."""
    order = list(TITLES)
    ranked = sorted(rows, key=lambda row: order.index(row["maker"]))
    return {maker: list(found) for maker, found in groupby(ranked, key=lambda row: row["maker"])}


def seeds(rows: Sequence[Row], verdict: str | None = None) -> int:
    """In how many seeds there is a result, or one with that verdict."""
    return len({row["seed"] for row in rows if verdict in (None, row["verdict"])})


def summary(makers: Mapping[str, Sequence[Row]]) -> Iterator[str]:
    """A line a maker: in how many seeds anything is red, and how long the suite took."""
    yield "\n## In how many seeds something is red\n"
    yield "| maker | leaks | seeds | red in | median seconds |"
    yield "| --- | --- | ---: | ---: | ---: |"
    for maker, rows in makers.items():
        times = sorted({row["seed"]: float(row["suite_seconds"]) for row in rows}.values())
        leaks = "no" if maker in {*CLEAN, "with-noise"} else "yes"
        middle = times[len(times) // 2]
        yield (f"| {TITLES[maker]} | {leaks} | {seeds(rows)} | {seeds(rows, RED)} | {middle:.0f} |")


def checks(makers: Mapping[str, Sequence[Row]]) -> Iterator[str]:
    """Each check on each maker: in how many seeds it is red, and how large the excess is."""
    shown = [maker for maker in (*LEAKY, *CLEAN) if maker in makers]
    yield "\n## Which checks catch which maker\n"
    yield "Seeds in which the check is red, and its mean excess in brackets. A dash: no result.\n"
    yield "| check | " + " | ".join(TITLES[maker] for maker in shown) + " |"
    yield "| --- |" + " ---: |" * len(shown)
    names = dict.fromkeys(row["check"] for maker in shown for row in makers[maker])
    for name in names:
        cells = (cell([row for row in makers[maker] if row["check"] == name]) for maker in shown)
        yield f"| {name} | " + " | ".join(cells) + " |"


def cell(rows: Sequence[Row]) -> str:
    """Seeds in red of seeds with a result, and the mean excess.

    Not as a fraction: of ten seeds, a page would seem to give a score out of ten.
    """
    values = [float(row["excess"]) for row in rows if row["excess"]]
    if not values:
        return "–"
    return f"{seeds(rows, RED)} of {len(values)} ({sum(values) / len(values):+.3f})"


def alarms(makers: Mapping[str, Sequence[Row]]) -> Iterator[str]:
    """How often a check's own p-value is below the level where nothing leaks."""
    yield "\n## False alarms of each check by itself\n"
    yield (
        f"Share of results whose own p-value is below {LEVEL:g} where nothing leaks, before the "
        "correction for there being many. For a control table train is the side that is not in "
        "it, so that a one-sided check stays silent.\n"
    )
    yield "| check | drawn at epsilon 1 | control records |"
    yield "| --- | ---: | ---: |"
    there = [makers.get(maker, []) for maker in CLEAN]
    for name in dict.fromkeys(row["check"] for rows in there for row in rows if row["p"]):
        shares = []
        for rows in there:
            values = [float(row["p"]) for row in rows if row["check"] == name and row["p"]]
            low = sum(value < LEVEL for value in values)
            shares.append(f"{low} of {len(values)}" if values else "–")
        yield f"| {name} | " + " | ".join(shares) + " |"


def page(rows: Sequence[Row]) -> str:
    """The whole page."""
    makers = by_maker(rows)
    parts = [HEAD, *summary(makers)]
    if any(maker in makers for maker in (*LEAKY, *CLEAN)):
        parts += [*checks(makers), *alarms(makers)]
    return "\n".join(parts) + "\n"


def main() -> None:
    made = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    made.add_argument("--csv", type=Path, default=HERE / "results" / "calibration.csv")
    made.add_argument("--out", type=Path, default=HERE.parent / "docs" / "calibration.md")
    asked = made.parse_args()
    asked.out.write_text(page(read(asked.csv)), encoding="utf-8")
    print(asked.out)


if __name__ == "__main__":
    main()
