"""`privsynth inspect`: a first schema, drafted from the records for the steward to correct."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from privsynth.cli.console import grid, print_json, show
from privsynth.cli.options import Data, Json

if TYPE_CHECKING:
    from privsynth.schema.draft import Draft


def inspect(
    data: Data,
    *,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Where the draft goes, as TOML."),
    ] = None,
    epsilon: Annotated[
        float, typer.Option(metavar="E", help="What you mean to spend: are there enough records?")
    ] = 1.0,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    as_json: Json = False,
) -> None:
    """Draft a schema: kinds, ranges, identifiers, roles, and whether the records suffice."""
    from privsynth.errors import OutputError
    from privsynth.io import read_raw
    from privsynth.pipeline.folder import write_text
    from privsynth.schema.draft import draft_schema

    if output is not None and output.exists() and not force:
        raise OutputError(f"{output} exists; name another file, or overwrite it with --force")
    draft = draft_schema(read_raw(data), data.name.split(".")[0], epsilon=epsilon)
    if output is not None:
        write_text(output, draft.to_toml())
    if as_json:
        print_json(_document(draft) | {"file": None if output is None else str(output)})
    else:
        _print(draft, output)


def _print(draft: Draft, output: Path | None) -> None:
    from privsynth.privacy.budget import PrivacyUnit

    header = ("column", "kind", "role", "missing", "source", "to look at")
    rows = [
        (each["name"], each["kind"], each["role"], *_flags(each), "; ".join(each["notes"]))
        for each in _columns(draft)
    ]
    general = [str(note) for note in draft.notes if note.column not in draft.schema.columns]
    last = (
        "Nothing was written; -o FILE writes the draft."
        if output is None
        else f"Draft in {output}: read it, and declare what is public. "
        'A private run refuses source = "data".'
    )
    unit = f"Unit of privacy: {PrivacyUnit.of(draft.schema).describe()}"
    show(grid(header, rows), "", unit, *general, draft.viability.line, "", last)


def _flags(column: dict[str, Any]) -> tuple[str, str]:
    return ("yes" if column["missing"] else "", column["source"] or "")


def _columns(draft: Draft) -> list[dict[str, Any]]:
    """Each column as the draft describes it; its range or categories stay in the file."""
    return [
        {
            "name": name,
            "kind": column.kind,
            "role": column.role,
            "missing": column.missing,
            "source": getattr(column, "source", None),
            "notes": [_note(note) for note in draft.notes if note.column == name],
        }
        for name, column in draft.schema.columns.items()
    ]


def _note(note: Any) -> str:
    return f"{note.what} ({note.why})" if note.why else str(note.what)


def _document(draft: Draft) -> dict[str, Any]:
    return {
        "dataset": draft.schema.dataset.id,
        "unit": draft.schema.privacy.unit,
        "max_rows_per_unit": draft.schema.privacy.max_rows_per_unit,
        "columns": _columns(draft),
        "viability": {"verdict": draft.viability.verdict, "line": draft.viability.line},
    }
