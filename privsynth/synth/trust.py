"""How far a critic and its generator are believed: records decide, by one noisy histogram.

A critic that was trained under noise may see what is not there, and a generator that follows it
then leads rows astray. So the critic's odds on records are counted, once, in a few bins, with noise
and charged. Rows of the table, as they are and as the generator redraws them, have odds of their
own; the mixture of both, weighed by a power of the odds, is taken that has the records' histogram.
Where the histogram is not clearly better met so, nothing is refined and nothing weighed: where the
critic has learned nothing, records score as rows of the table do, and the table stays as it was.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privsynth.encode.histogram import onto_simplex
from privsynth.privacy.mechanisms import noisy_counts, unit_weights
from privsynth.privacy.plan import MeasurementRequest
from privsynth.synth.base import Work
from privsynth.table import Table

Floats = NDArray[np.float64]

ODDS = "critic's odds"
_PART = 0.1  # of what the critic gets
_BINS = 12
_LARGEST = (-4.0, 2.0)  # log weights of rows, so that none is taken much more often than others
_REFINED = np.linspace(0.0, 1.0, 11)
_SLOPES = np.linspace(0.0, 1.5, 16)
_CLEARLY = 6.0  # two settings that mean nothing gain less than this in 95 of 100 fits (chi-squared)


def odds_request(critic_share: float) -> MeasurementRequest:
    """The measurement of the odds, a tenth of what the critic gets."""
    purpose = "histogram of the critic's odds on records"
    return MeasurementRequest(ODDS, purpose, _PART * critic_share)


@dataclass(frozen=True)
class Trust:
    """What part of the draws the generator refines, and the power of the odds by which all count.

    >>> Trust(refined=0.5, slope=1.0).weights(np.array([0.0, 1.0])).round(2)
    array([1.  , 2.72])
    """

    refined: float
    slope: float

    def __post_init__(self) -> None:
        if not (0 <= self.refined <= 1 and 0 <= self.slope <= _SLOPES[-1]):
            raise ValueError("trust lies between 0 and 1, and its power between 0 and 1.5")

    def weights(self, odds: Floats) -> Floats:
        """How often rows of these log odds, (rows,), are taken beside each other."""
        return np.exp(np.clip(self.slope * odds, *_LARGEST))

    def to_array(self) -> Floats:
        """As saved."""
        return np.array([self.refined, self.slope])


NO_TRUST = Trust(refined=0.0, slope=0.0)
"""Draws stay as they are."""


def measured_trust(
    odds: tuple[Floats, Floats], on_records: Floats, train: Table, n_units: float, work: Work
) -> Trust:
    """The trust by which draws have the records' histogram of odds, as near as noise tells.

    `odds` are those of rows of the table and of the same rows refined; their quantiles are the
    bins, so that no record is read for these.
    """
    edges = np.quantile(np.concatenate(odds), np.arange(1, _BINS) / _BINS)
    by_person = train.schema.privacy.unit != "row"
    measurement = work.spending.measurement(ODDS)
    counts = noisy_counts(
        np.searchsorted(edges, on_records),
        _BINS,
        weights=unit_weights(train.units()) if by_person else None,
        max_rows=train.schema.privacy.max_rows_per_unit,
        measurement=measurement,
        noise=work.noise,
    )
    shares = onto_simplex(counts / n_units, 1.0)
    chance = (shares + 1 / n_units) * (1 / n_units + 1 / len(odds[0]))
    error = chance + (measurement.noise_multiplier / n_units) ** 2
    return nearest(odds, edges, shares, error)


def nearest(odds: tuple[Floats, Floats], edges: Floats, shares: Floats, error: Floats) -> Trust:
    """The trust whose draws have these shares of the bins, (bins,), with least squared error.

    It is none where the draws without any have them as nearly, within the chance of noise. `odds`
    are those of plain and of refined rows; `error` is the variance of each share.
    """
    bins = [np.searchsorted(edges, each) for each in odds]
    best, least, without = NO_TRUST, np.inf, np.inf
    for slope in _SLOPES.tolist():
        found = [
            np.bincount(at, Trust(0.0, slope).weights(each), len(shares)) / len(at)
            for at, each in zip(bins, odds, strict=True)
        ]
        for part in _REFINED.tolist():
            mixed = (1 - part) * found[0] + part * found[1]
            distance = float(((mixed / mixed.sum() - shares) ** 2 / error).sum())
            if Trust(part, slope) == NO_TRUST:
                without = distance
            if distance < least:
                best, least = Trust(part, slope), distance
    return best if least < without - _CLEARLY else NO_TRUST
