"""How badly a record fits a fitted generator: what an attacker computes who holds the model."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from privsynth.synth.base import FittedSynthesizer
from privsynth.synth.denoiser import Denoiser, hide
from privsynth.synth.diffusion import FittedDiffusion
from privsynth.synth.gan import FittedGan, Players
from privsynth.synth.marginal import FittedMarginal
from privsynth.synth.maxent import Potentials, one_hot
from privsynth.table import Array, Table

Loss: TypeAlias = Callable[[Tensor], Tensor]

_VIEWS, _BLOCK_ROWS = 16, 20_000


def losses_of(fitted: FittedSynthesizer) -> Callable[[Table], Array] | None:
    """A function from a table to the loss of each record, (n_rows,), lower for one that fits.

    `diffusion`: the denoising loss, the mean over 16 fixed masks (Matsumoto, Miura and Yanai
    2023). `gan`: the critic's log odds of a fake (Hayes, Melis, Danezis and De Cristofaro 2019).
    `marginal`, and a gan without a critic: the pseudo-likelihood, each column given all others.
    None for another generator.
    """
    loss = _loss(fitted)
    if loss is None:
        return None

    @torch.no_grad()
    def losses(table: Table) -> Array:
        codes = torch.from_numpy(fitted.codebook.encode(table))
        parts = [loss(block) for block in torch.split(codes, _BLOCK_ROWS) if len(block)]
        return torch.cat(parts).double().numpy() if parts else np.empty(0)

    return losses


def _loss(fitted: FittedSynthesizer) -> Loss | None:
    """What gives the losses of a block of codes."""
    if isinstance(fitted, FittedDiffusion):
        return partial(_denoising, fitted.denoiser)
    if isinstance(fitted, FittedGan) and fitted.players is not None:
        return partial(_odds_of_a_fake, fitted.players)
    if isinstance(fitted, FittedMarginal):
        return partial(_surprise, fitted.table.potentials)
    return None


def _denoising(denoiser: Denoiser, codes: Tensor) -> Tensor:
    """The mean loss over masks that are the same for every row."""
    masks = hide(1, codes.shape[1], _VIEWS, torch.Generator().manual_seed(0))
    losses = [denoiser.loss(codes, mask.expand(codes.shape)) for mask in masks]
    return torch.stack(losses).mean(0)


def _odds_of_a_fake(players: Players, codes: Tensor) -> Tensor:
    return -players.critic.of_codes(codes)


def _surprise(potentials: Potentials, codes: Tensor) -> Tensor:
    """Minus the log of what the table gives each code given the row's other columns, summed."""
    logits = one_hot(codes, potentials.sizes) @ potentials.theta + potentials.bias
    parts = torch.split(logits, list(potentials.sizes), 1)
    found = [
        functional.cross_entropy(part, codes[:, j].long(), reduction="none")
        for j, part in enumerate(parts)
    ]
    return torch.stack(found).sum(0)
