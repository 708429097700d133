"""`privsynth report`: both editions once more, from the facts on disk."""

from __future__ import annotations

from privsynth.cli.options import CertificateFile, Csv, Folder, Json


def report(
    folder: Folder,
    *,
    csv: Csv = False,
    certificate: CertificateFile = None,
    as_json: Json = False,
) -> None:
    """Draw both editions of the report from its facts, and make the release folder."""
    from privsynth import pipeline
    from privsynth.cli.summary import show_report
    from privsynth.report.verification import load_certificate

    run = pipeline.RunFolder(folder)
    audited = load_certificate(certificate) if certificate else None
    show_report(pipeline.report(run, csv, audited), run, as_json)
