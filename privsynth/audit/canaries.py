"""A one-run audit of DP-SGD: a thousand planted gradients, each in or out by a coin's toss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from privsynth.errors import BudgetError
from privsynth.privacy import dpsgd
from privsynth.privacy.accountant import epsilon_of
from privsynth.privacy.noise import NoiseSource, SecretNoise
from privsynth.privacy.plan import DpSgdEvent, Mechanism
from privsynth.privacy.spending import Training
from privsynth.risk.base import Rate
from privsynth.risk.statistics import epsilon_lower

N_CANARIES = 1_000
GUESS_SHARES = (0.05, 0.1, 0.2, 0.4)
DELTA = 1e-5
EVENT = DpSgdEvent(sample_rate=0.2, noise_multiplier=6.0, steps=60)
"""About epsilon 1: a thousand canaries of a build without noise refute more than 4."""


@dataclass(frozen=True)
class CanaryAudit:
    """What a run betrays of its canaries: the epsilon it refutes, beside the one it was charged.

    >>> CanaryAudit(charged=3.9, lower=1.2, hits=90, n_guesses=100, n_canaries=1000).passed
    True
    """

    charged: float
    lower: float
    hits: int
    n_guesses: int
    n_canaries: int

    @property
    def passed(self) -> bool:
        """Whether the run refutes no more than it was charged."""
        return self.lower <= self.charged


def canary_audit(
    rng: np.random.Generator, noise: NoiseSource | None = None, event: DpSgdEvent = EVENT
) -> CanaryAudit:
    """Train on canaries that each pull at a coordinate of their own, and guess which were in.

    Each canary's gradient is as long as clipping allows and meets no other, which is the worst
    that a record can be (Nasr et al. 2023). The best of four numbers of guesses counts, at a
    confidence that is adjusted for having four (Bonferroni).
    """
    was_in = rng.random(N_CANARIES) < 0.5
    scores = _pulled(was_in, event, noise or SecretNoise())
    order = np.argsort(scores)
    best = CanaryAudit(_charged(event), 0.0, 0, 0, N_CANARIES)
    for share in GUESS_SHARES:
        each = round(share * N_CANARIES / 2)  # as many guesses of "in" as of "out"
        right = int(was_in[order[-each:]].sum() + (~was_in[order[:each]]).sum())
        hits = Rate(right, 2 * each)
        lower = epsilon_lower(hits, N_CANARIES, DELTA, 1 - 0.05 / len(GUESS_SHARES))
        if lower > best.lower or not best.n_guesses:
            best = CanaryAudit(best.charged, lower, right, 2 * each, N_CANARIES)
    return best


def _charged(event: DpSgdEvent) -> float:
    return epsilon_of([Mechanism("canaries", "audit", event)], DELTA)


def _pulled(
    was_in: NDArray[np.bool_], event: DpSgdEvent, noise: NoiseSource
) -> NDArray[np.float64]:
    """How far each canary's coordinate has moved its way, (n_canaries,)."""
    rows = torch.eye(len(was_in))[torch.from_numpy(np.flatnonzero(was_in))]
    model = nn.Linear(len(was_in), 1, bias=False)
    start = model.weight.detach().clone()
    trainer = dpsgd.make_trainer(
        model,
        torch.optim.SGD(model.parameters(), lr=1.0),
        Training(event, "canaries"),
        len(rows),
        views=1,
        max_grad_norm=1.0,
        noise=noise,
        n_units_public=len(was_in) / 2,
    )

    def losses(units: Tensor) -> Tensor:
        pulled: Tensor = 10 * model(rows[units])
        return pulled.flatten()

    if not len(rows):
        raise BudgetError("no canary is in: draw again")
    while trainer.steps_left:
        trainer.step(losses)
    return (start - model.weight.detach())[0].double().numpy()
