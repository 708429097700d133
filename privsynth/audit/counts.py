"""Checks of measurements: noise on counts, what one person adds, thresholds, one answer each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from privsynth.audit.base import LEAST_P, Check, two_sided
from privsynth.errors import BudgetError
from privsynth.privacy import mechanisms
from privsynth.privacy.noise import SecretNoise, SeededNoise
from privsynth.privacy.spending import Measurement

_N_CELLS = 4_000
_WIDE, _MOST_AGAIN = 2.0**24, 40
_N_WORDS = 1 << 17  # two blocks of a key each


def noise_of_counts() -> tuple[bool, str]:
    """Chi-square of counts less what is known to be in the cells."""
    token = Measurement("probe", noise_multiplier=3.0)
    cells = np.zeros(50, dtype=np.int64)
    noisy = mechanisms.noisy_counts(cells, _N_CELLS, measurement=token, noise=SecretNoise())
    noisy[0] -= 50
    p = two_sided(float(((noisy / token.noise_multiplier) ** 2).sum()), _N_CELLS)
    return p > LEAST_P, f"p = {p:.2g} over {_N_CELLS} cells"


def noise_of_parts() -> tuple[bool, str]:
    """The parts of one charge hold its noise together: weighed, they are one vector."""
    weights = np.array([0.6, 0.48, 0.64])
    parts = Measurement("probe", noise_multiplier=3.0).split(weights.tolist())
    nobody = np.empty(0, dtype=np.int64)
    square = 0.0
    for weight, part in zip(weights, parts, strict=True):
        noisy = mechanisms.noisy_counts(nobody, _N_CELLS, measurement=part, noise=SecretNoise())
        square += float(((weight * noisy / 3.0) ** 2).sum())
    p = two_sided(square, 3 * _N_CELLS)
    return p > LEAST_P, f"p = {p:.2g} over {3 * _N_CELLS} cells"


def fresh_noise() -> tuple[bool, str]:
    """No noise of an answer comes again, in it or in another, wherever, and with whatever sign.

    Noise so wide takes a value twice by chance for a handful of these, and forty times never.
    """
    nobody = np.empty(0, dtype=np.int64)
    source = SecretNoise()
    answers = [
        mechanisms.noisy_counts(
            nobody, _N_CELLS, measurement=Measurement("probe", _WIDE), noise=source
        )
        for _ in range(4)
    ]
    met = np.abs(np.concatenate(answers))
    again = met.size - np.unique(met).size
    apart = np.subtract(*answers[:2]) / _WIDE
    p = two_sided(float((apart**2).sum() / 2), apart.size)
    figure = f"{again} of {met.size} values came again, p = {p:.2g} between two answers"
    return again <= _MOST_AGAIN and p > LEAST_P, figure


def keys_of_noise() -> tuple[bool, str]:
    """Secret words never come again: not in the next block, nor from another source."""
    first, second = SecretNoise(), SecretNoise()
    words = np.concatenate([first.words(_N_WORDS), second.words(_N_WORDS)])
    again = words.size - np.unique(words).size
    return again == 0, f"{again} of {words.size} words drawn twice"


def contribution_of_a_person() -> tuple[bool, str]:
    """A person with many rows moves all counts together by 1 at most."""
    largest = 0.0
    for n_rows in (1, 2, 3, 7):
        with_person = np.r_[np.zeros(5, dtype=np.int64), 1 + np.arange(n_rows) % 3]
        units = np.r_[np.arange(5), np.full(n_rows, 5)]
        answers = [
            _weighed(cells, who)
            for cells, who in ((with_person, units), (with_person[:5], units[:5]))
        ]
        largest = max(largest, float(np.linalg.norm(answers[0] - answers[1])))
    return largest <= 1 + 1e-6, f"largest move {largest:.4f}"


def _weighed(cells: NDArray[np.int64], units: NDArray[np.int64]) -> NDArray[np.float64]:
    return mechanisms.noisy_counts(
        cells,
        4,
        weights=mechanisms.unit_weights(units),
        max_rows=7,
        measurement=Measurement("probe", noise_multiplier=2.0),
        noise=SeededNoise(1),  # the same noise, so that it cancels
    )


def lone_labels() -> tuple[bool, str]:
    """A label that one person alone holds does not show."""
    labels = np.array(["common"] * 500 + ["lone"], dtype=object)
    shown = sum(
        "lone"
        in mechanisms.discover_categories(
            labels, measurement=Measurement("probe", 2.0, delta=1e-6), noise=SecretNoise()
        )
        for _ in range(20)
    )
    return shown == 0, f"shown in {shown} of 20 runs"


def lone_extremes() -> tuple[bool, str]:
    """A value that one person alone holds moves no bound."""
    values = np.append(np.full(500, 50.0), 1e12)
    found = [
        mechanisms.private_bounds(
            values, measurement=Measurement("probe", 2.0), noise=SecretNoise()
        )
        for _ in range(5)
    ]
    betrayed = sum(bounds is not None and bounds[1] > 1e11 for bounds in found)
    return betrayed <= 1, f"moved in {betrayed} of 5 runs"


def one_answer() -> tuple[bool, str]:
    """A measurement that was charged once answers once."""
    token, cells = Measurement("probe", 1.0), np.zeros(3, dtype=np.int64)
    mechanisms.noisy_counts(cells, 2, measurement=token, noise=SeededNoise(1))
    try:
        mechanisms.noisy_counts(cells, 2, measurement=token, noise=SeededNoise(1))
    except BudgetError:
        return True, "the second question was refused"
    return False, "a second answer was given"


CHECKS = (
    Check("noise of counts", "counts carry the noise that was charged", noise_of_counts),
    Check("noise of parts", "the parts of a charge hold its noise together", noise_of_parts),
    Check("fresh noise of counts", "no two counts share their noise", fresh_noise),
    Check("keys of noise", "each block of noise has a key of its own", keys_of_noise),
    Check("rows of a person", "one person moves counts by 1 at most", contribution_of_a_person),
    Check("lone labels", "a label of one person does not show", lone_labels),
    Check("lone extremes", "an extreme of one person moves no bound", lone_extremes),
    Check("one answer", "what was charged once answers once", one_answer),
)
