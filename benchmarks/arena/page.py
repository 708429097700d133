"""docs/benchmark.md from the rows of results/field.csv: every figure, whoever leads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from arena.metrics import FIGURES
from arena.results import COSTS, DONE, Row
from arena.summary import (
    TITLES,
    Group,
    Match,
    best,
    cell_text,
    epsilon_text,
    groups,
    leader,
    matches,
)

DESCRIPTIONS = {
    "adult": "Census records on their published split. Target: income over 50,000 dollars.",
    "diabetes": "First hospital encounter of each patient. Target: readmitted within 30 days.",
    "parity3": "Groups of three binary columns with an even sum, 2 % of the rows flipped: no pair "
    "of columns shows anything. Structure: 3-way distance over the groups.",
    "parity4": "The same with groups of four: no triple of columns shows anything.",
    "mixture": "Two latents of 25 clusters, six columns each, arranged so that pairs are weak. "
    "Structure: triples of one latent's columns.",
    "gaussians": "Fifteen dense correlated Gaussians in 16 bins. Structure: triples.",
    "wide60": "Latent factors seen through 60 columns. Structure: triples.",
    "wide150": "Latent factors seen through 150 columns. Structure: triples.",
    "long300k": "Latent factors, 30 columns and 300 000 rows; delta 1e-6, as a delta of one row's "
    "share or more protects nobody. Structure: triples.",
}

HERE = Path(__file__).resolve().parent


def page(
    rows: Sequence[Row],
    pictures: Sequence[tuple[str, str]],
    untold: Sequence[Row] = (),
    limit_minutes: int = 60,
) -> str:
    """The whole page; `pictures` are titles and paths, `untold` are ours without a target."""
    found = groups(rows)
    parts = [
        words("head").format(limit=limit_minutes),
        scoreboard(matches(found)),
        duels(found, "## Each of ours against the best peer of each figure\n", AGAINST_PEERS),
        duels(found, "## What the others add to our own marginal\n", AGAINST_MARGINAL),
        *(f"![{title}]({path})\n" for title, path in pictures),
        *(dataset_section(name, list(there)) for name, there in _by_dataset(found)),
        words("notes"),
        hints(found, untold),
        provenance(rows),
    ]
    return "\n".join(parts)


def duels(found: Sequence[Group], title: str, against: Against) -> str:
    """Generators of ours one by one, each figure beside that of whoever they are held against."""
    heads = " | ".join(f"{TITLES[figure]} | beside" for figure in against.figures)
    lines = [
        title,
        "In bold where the mean of ours is better; the number of seeds stands in brackets. A lead "
        "that is smaller than the spreads is no lead.\n",
        f"| data | epsilon | generator | {heads} |",
        f"| --- | --- | --- |{' ---: | --- |' * len(against.figures)}",
    ]
    for ours in found:
        there = [g for g in found if (g.dataset, g.epsilon) == (ours.dataset, ours.epsilon)]
        rivals = [other for other in there if against.is_rival(other)]
        if against.is_judged(ours) and ours.done and any(rival.done for rival in rivals):
            cells = [_duel(ours, rivals, figure) for figure in against.figures]
            where = f"{ours.dataset} | {epsilon_text(ours.epsilon)} | {ours.generator}"
            lines.append(f"| {where} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Against:
    """Who is judged, against whom, and by which figures."""

    figures: tuple[str, ...]
    is_judged: Callable[[Group], bool]
    is_rival: Callable[[Group], bool]


AGAINST_PEERS = Against(
    ("tvd2", "tvd3", "tstr_gb", "fit_cpu_s"),
    lambda group: group.is_ours,
    lambda group: not group.is_ours and not group.is_baseline,
)
AGAINST_MARGINAL = Against(
    ("tvd3", "detection", "tstr_gb"),
    lambda group: group.generator in ("diffusion", "gan"),
    lambda group: group.generator == "marginal",
)


def hints(found: Sequence[Group], untold: Sequence[Row]) -> str:
    """Ours with and without a word about the target, beside the best peer, which gets none."""
    if not untold:
        return ""
    lines = [
        "## Ours without the hint of a target\n",
        "TSTR by gradient boosting; the number of seeds stands in brackets. In bold where ours is "
        "ahead of the best peer without the hint. Run as "
        + ", ".join(sorted({f"{row['package']}, {row['date']}" for row in untold}))
        + ".\n",
        "| data | epsilon | generator | with it | without it | best peer |",
        "| --- | --- | --- | ---: | ---: | --- |",
    ]
    for without in groups({**row, "status": DONE} for row in untold):
        place = (without.dataset, without.epsilon)
        there = [group for group in found if (group.dataset, group.epsilon) == place]
        told = next((g for g in there if g.generator == without.generator), None)
        told_spread = told.spread("tstr_gb") if told else None
        with_it = told_spread.text("tstr_gb") if told_spread else "–"
        rivals = [group for group in there if AGAINST_PEERS.is_rival(group)]
        where = f"{without.dataset} | {epsilon_text(without.epsilon)} | {without.generator}"
        lines.append(f"| {where} | {with_it} | {_duel(without, rivals, 'tstr_gb')} |")
    return "\n".join(lines) + "\n"


def _duel(ours: Group, rivals: Sequence[Group], figure: str) -> str:
    """A figure of ours, and that of the best rival: bold where ours is better."""
    rival, mine = leader(figure, rivals), ours.spread(figure)
    theirs = rival.spread(figure) if rival else None
    if rival is None or mine is None or theirs is None:
        return "– | –"
    text = f"{mine.text(figure)} ({len(mine.values)})"
    if Match(ours.dataset, ours.epsilon, figure, ours, rival).margin > 0:
        text = f"**{text}**"
    return f"{text} | {theirs.text(figure)} ({len(theirs.values)}) {rival.generator}"


def words(name: str) -> str:
    """The part of the page that does not come from the results."""
    return (HERE / f"page_{name}.md").read_text(encoding="utf-8")


def _by_dataset(found: Sequence[Group]) -> Iterable[tuple[str, Iterable[Group]]]:
    return groupby(found, key=lambda group: group.dataset)


def scoreboard(found: Sequence[Match]) -> str:
    """The best of ours against the best peer, losses first."""
    if not found:
        return "## Ours against the peers\n\nNo cell has both yet.\n"
    lost = sorted((m for m in found if m.margin < 0), key=_rank)
    held = sorted((m for m in found if m.margin >= 0), key=_rank)
    head = (
        "## Ours against the peers\n\n"
        "The best of ours beside the best peer that finished, figure by figure: "
        f"ours is behind in {len(lost)} and level or ahead in {len(held)}. The best of several is "
        "flattered by having several tries; the tables below give each generator on its own.\n"
    )
    return "\n".join([head, _board("Behind", lost), _board("Level or ahead", held)])


def _rank(match: Match) -> tuple[str, float, int]:
    return match.dataset, match.epsilon, FIGURES.index(match.figure)


def _board(title: str, found: Sequence[Match]) -> str:
    lines = [
        f"### {title}: {len(found)}\n",
        "| data | epsilon | figure | best of ours | | best peer | | ours better by |",
        "| --- | --- | --- | ---: | --- | ---: | --- | ---: |",
    ]
    for match in found:
        ours, peer = (group.spread(match.figure) for group in (match.ours, match.peer))
        assert ours is not None
        assert peer is not None
        cells = (
            match.dataset,
            epsilon_text(match.epsilon),
            TITLES[match.figure],
            ours.text(match.figure),
            match.ours.generator,
            peer.text(match.figure),
            match.peer.generator,
            f"{match.margin:+.4f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def dataset_section(name: str, there: Sequence[Group]) -> str:
    """The two tables of a data set: quality, then cost."""
    first = there[0].rows[0]
    shape = f"{int(first['n_train']):,} train rows, {first['n_columns']} columns".replace(",", " ")
    rivals = [group for group in there if not group.is_baseline]
    kept = [figure for figure in FIGURES if any(group.spread(figure) for group in there)]
    return "\n".join(
        [
            f"## {name}\n",
            f"{DESCRIPTIONS[name]} {shape}.\n".replace(" train rows  ", " train rows, "),
            _table(there, kept),
            *([_table(rivals, COSTS)] if rivals else []),
        ]
    )


def _table(there: Sequence[Group], names: Sequence[str]) -> str:
    lines = [
        f"| epsilon | generator | seeds | {' | '.join(TITLES[name] for name in names)} |",
        f"| --- | --- | --- | {' | '.join('---:' for _ in names)} |",
    ]
    for _, same in groupby(there, key=lambda group: (group.is_baseline, group.epsilon)):
        rivals = list(same)
        leading = {name: best(name, rivals) for name in names}
        lines.extend(line for group in rivals for line in _lines(group, names, leading))
    return "\n".join(lines) + "\n"


def _lines(group: Group, names: Sequence[str], leading: dict[str, float | None]) -> Iterable[str]:
    """The line of a group's finished seeds, and one for each way in which others ended."""
    epsilon = "–" if group.is_baseline else epsilon_text(group.epsilon)
    head = f"| {epsilon} | {group.generator}"
    if group.done:
        texts = (cell_text(group, name, leading) for name in names)
        yield f"{head} | {len(group.done)} | {' | '.join(texts)} |"
    for status, n_seeds in group.unfinished.items():
        yield f"{head} | {n_seeds} | {status.replace('|', '/')}{' |' * len(names)}"


def provenance(rows: Sequence[Row]) -> str:
    """What was run, where and when."""
    seen = sorted(
        {
            (row["generator"], row["package"] or "–", row["python"] or "–", row["machine"])
            for row in rows
            if row["status"] == DONE and row["package"]
        }
    )
    dates = sorted({row["date"] for row in rows if row["date"]})
    lines = [
        "## Versions, machine, dates\n",
        f"Run from {dates[0]} to {dates[-1]}." if dates else "Nothing has run yet.",
        "A plus sign after a commit: the package or the presets differed from it.\n",
        "| generator | package | Python | machine |",
        "| --- | --- | --- | --- |",
        *(f"| {' | '.join(line)} |" for line in seen),
    ]
    return "\n".join(lines) + "\n"
