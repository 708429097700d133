"""`privsynth report`: both editions once more, from the facts on disk."""

from __future__ import annotations

from privsynth.cli.options import Csv, Folder, Json


def report(folder: Folder, *, csv: Csv = False, as_json: Json = False) -> None:
    """Draw both editions of the report from its facts, and make the release folder."""
    from privsynth import pipeline
    from privsynth.cli.summary import show_report

    run = pipeline.RunFolder(folder)
    show_report(pipeline.report(run, csv), run, as_json)
