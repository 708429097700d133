"""The data behind the charts of the fidelity section, real beside synthetic or synthetic alone."""

from __future__ import annotations

from collections.abc import Iterable

from privsynth.fidelity.dependence import Associations, Matrix
from privsynth.fidelity.profiles import ColumnProfile
from privsynth.report.assessment import Assessment
from privsynth.report.facts import Figure, Sensitivity, Series

_RANGES = ("integer", "numeric", "date", "datetime")


def figures(assessment: Assessment) -> tuple[Figure, ...]:
    """Charts of each column and of the associations, once for each edition."""
    return (
        *_matrices(assessment.associations, "controller"),
        *_matrices(assessment.synthetic_associations, "public"),
        *(_shares(profile, "controller") for profile in assessment.profiles),
        *(_shares(profile, "public") for profile in assessment.synthetic_profiles),
    )


def _shares(profile: ColumnProfile, sensitivity: Sensitivity) -> Figure:
    """The shares of a column; the public figure was computed on synthetic rows alone."""
    real = (Series("real", _rounded(profile.real)),) if sensitivity == "controller" else ()
    name = "overlay" if real else "synthetic"
    return Figure(
        id=f"fidelity.{name}.{profile.column}",
        section="fidelity",
        kind="histogram" if profile.kind in _RANGES else "shares",
        title=profile.column,
        labels=profile.labels,
        series=(*real, Series("synthetic", _rounded(profile.synthetic))),
        sensitivity=sensitivity,
    )


def _matrices(found: Associations | None, sensitivity: Sensitivity) -> Iterable[Figure]:
    if found is None:
        return
    real = (Series("real", _matrix(found.real)),) if sensitivity == "controller" else ()
    yield Figure(
        id=f"fidelity.associations.{'both' if real else 'synthetic'}",
        section="fidelity",
        kind="matrix",
        title="Association between columns (Cramér's V)",
        labels=found.columns,
        series=(*real, Series("synthetic", _matrix(found.synthetic))),
        sensitivity=sensitivity,
    )


def _rounded(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(round(value, 5) for value in values)


def _matrix(values: Matrix) -> tuple[tuple[float | None, ...], ...]:
    return tuple(
        tuple(None if value is None else round(value, 3) for value in row) for row in values
    )
