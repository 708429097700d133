"""The README of a release: a data card for those who will work with the table."""

from __future__ import annotations

import json
from collections.abc import Iterable

from privsynth.report.format import number, percent, percent_at_most
from privsynth.report.report import RiskReport
from privsynth.report.subject import domain
from privsynth.schema import Schema

_NAMED_CATEGORIES = 12
_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)

_CONCLUSIONS = """\
## What the table can be used for

- Looking at the shape of the data: ranges, shares, associations between columns.
- Writing and testing code, queries and models before they run on real records.
- Teaching, and planning a study.

## What it cannot be used for

- Conclusions about an individual person. No row is a person.
- Standard errors, confidence intervals and p-values as if the rows were real: they come out too
  small. Correct them, or confirm the finding on real records.
- Rare groups and rare combinations of values: noise may have removed or invented them.
- Decisions, clinical or financial, that were not confirmed on real records.
"""


def card(schema: Schema, report: RiskReport, n_rows: int, data: str) -> str:
    """The card as Markdown with the front matter that data set libraries read."""
    title = report.subject["title"] or report.subject["dataset"]
    parts = [
        _front_matter(title, n_rows, data),
        f"# {_plain(title)} (synthetic)\n",
        _warning(report),
        f"{number(n_rows)} rows, {len(schema.released)} columns, made by "
        f"privsynth {report.provenance['versions'].get('privsynth', '')}, run "
        f"`{report.provenance['run_id']}`. Every row is synthetic.\n",
        _size(report),
        _privacy(report),
        _CONCLUSIONS,
        _columns(schema),
        _loading(data),
        "## Conditions\n\n" + _listed(report.decision["conditions"]),
        _files(report, data),
    ]
    return "\n".join(part for part in parts if part)


def _front_matter(title: str, n_rows: int, data: str) -> str:
    size = next((name for limit, name in _SIZES if n_rows < limit), "n>10M")
    return (
        "---\n"
        f"pretty_name: {json.dumps(f'{title} (synthetic)', ensure_ascii=False)}\n"
        "license: other\n"
        "tags:\n- synthetic\n- tabular\n"
        f"size_categories:\n- {json.dumps(size)}\n"
        "configs:\n- config_name: default\n  data_files:\n  - split: train\n"
        f"    path: {json.dumps(data)}\n"
        "---\n"
    )


def _warning(report: RiskReport) -> str:
    if report.dp is None or not report.dp["is_private"]:
        return (
            "> **No differential privacy.** The table was made without noise: nothing is proved "
            "about any person in the data. Handle it like the real records.\n"
        )
    if report.dp["void"]:
        reasons = "; ".join(map(_plain, report.dp["void"]))
        return f"> **The claim of differential privacy is void:** {reasons}.\n"
    return ""


def _size(report: RiskReport) -> str:
    """A warning where the records were few for the epsilon."""
    size = report.provenance["records"]
    if size is None or size["verdict"] == "ample":
        return ""
    return f"> **Few records for this ε ({size['verdict']}):** {_plain(size['line'])}.\n"


def _privacy(report: RiskReport) -> str:
    claim, lines = report.claims[0], []
    if report.dp is not None and report.dp["meaning"]:
        steps = ", ".join(
            f"{percent(each['before'])} to at most {percent_at_most(each['after_at_most'])}"
            for each in report.dp["meaning"]
        )
        lines = [
            "What that means: a suspicion that a person is in the records may grow from "
            f"{steps}. What is suspected of the value in a person's record may grow further, as "
            "the report says.\n"
        ]
    return "\n".join(
        [
            "## Privacy statement\n",
            f"{_plain(claim.statement)} {_plain(claim.finding)}\n",
            *lines,
            "The public edition of the risk report, `report/report.html`, lists every mechanism "
            "with its spend, and what was taken as public.\n",
        ]
    )


def _columns(schema: Schema) -> str:
    """The released columns with their public ranges; what was learned is not listed."""
    rows = [
        f"| {_plain(name)} | {column.kind} | {_plain(domain(column, _NAMED_CATEGORIES))} | "
        f"{'yes' if column.missing else 'no'} | {_plain(column.description)} |"
        for name, column in schema.columns.items()
        if name in schema.released
    ]
    head = "| column | kind | public range or categories | may be missing | description |"
    return "\n".join(["## Columns\n", head, "| --- | --- | --- | --- | --- |", *rows, ""])


def _loading(data: str) -> str:
    return f"""\
## How to load it

```python
import privsynth

table = privsynth.load_release("path/to/this/folder")   # checks every hash first
table.attrs["privsynth"]["statement"]
```

Without privsynth: `pandas.read_parquet("{data}")`, or
`datasets.load_dataset("path/to/this/folder")`.
"""


def _files(report: RiskReport, data: str) -> str:
    audit = "- `certificate.json`: what an audit of the build found that made the table\n"
    return f"""
## Files

- `{data}`: the table
- `report/report.html`, `report/report.json`: public edition of the risk report
{audit if report.provenance["verification"] else ""}- `manifest.json`: SHA-256 of every file
"""


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(f"- {_plain(line)}" for line in lines)


def _plain(text: str) -> str:
    """Text that Markdown takes for text, on one line: names of columns come from users.

    >>> _plain("a|b <script>")
    'a\\\\|b &lt;script>'
    """
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    for sign in "\\`|*[]":
        text = text.replace(sign, f"\\{sign}")
    return text
