"""The critic of `gan`: how the codes of a row go together, in features that are public."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from privsynth.synth.maxent import one_hot, starts_of
from privsynth.synth.pairs import column_of

_CHANCE, _LIFT, _LOW, _LOWEST = 1e-6, 3.0, 2.0, 4.0
_GAIN = 4.0


class Critic(nn.Module):
    """From rows as indicators, soft or hard, to the log odds that they are records.

    A pair of columns has two features: the log lift of its codes among the teacher's rows, whose
    pair shares are given, (total, total), and how far that is below what is ever seen; both are
    standardised over these rows. The network sees the codes too.
    """

    tables: Tensor
    members: Tensor
    single: Tensor

    def __init__(self, sizes: Sequence[int], shares: Tensor, width: int) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        members = functional.one_hot(column_of(sizes)).float()  # (total, columns)
        self.register_buffer("members", members, persistent=False)
        self.register_buffer("single", shares.diagonal().clone())
        self.register_buffer("tables", self._tables(shares))  # (2, total, total)
        self.n_pairs = len(sizes) * (len(sizes) - 1)
        self.wide = nn.Linear(self.n_pairs, 1)
        self.embed = nn.Linear(self.n_pairs + sum(sizes), width)
        self.inner = nn.Linear(width, width)
        self.head = nn.Linear(width, 1)
        nn.init.normal_(self.embed.weight)
        for layer in (self.wide, self.head):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def _tables(self, shares: Tensor) -> Tensor:
        """What each pair of codes adds to the two features of its columns."""
        expected = self.single[:, None] * self.single[None, :]
        lift = ((shares + _CHANCE) / (expected + _CHANCE)).log()
        found, members = [], self.members
        for table in (lift.clamp(-_LIFT, _LIFT), (-_LOW - lift).clamp(0.0, _LOWEST)):
            mean = members.T @ (shares * table) @ members  # (columns, columns)
            variance = members.T @ (shares * table.square()) @ members - mean.square()
            deviation = variance.clamp_min(1e-6).sqrt()
            gap = table - members @ mean @ members.T
            found.append((gap / (members @ deviation @ members.T)).clamp(-_LIFT, _LIFT))
        return torch.stack(found)

    def of_codes(self, codes: Tensor) -> Tensor:
        """The log odds of rows of codes, (rows, columns): (rows,)."""
        logits: Tensor = self(self.features_of_codes(codes))
        return logits

    def features_of_codes(self, codes: Tensor) -> Tensor:
        """The same as `features` of indicators, looked up instead of multiplied."""
        at, found = codes + starts_of(self.sizes), []
        for column in range(len(self.sizes) - 1):
            for table in self.tables:
                met = table[at[:, column, None], at[:, column + 1 :]]
                found.append(met / math.sqrt(self.n_pairs))
        rows = one_hot(codes, self.sizes)
        return torch.cat([*found, (rows - self.single) / math.sqrt(len(self.sizes))], 1)

    def features(self, rows: Tensor) -> Tensor:
        """Pair features, then codes, each of length near 1: (rows, n_pairs + total)."""
        found, start = [], 0
        for column, size in enumerate(self.sizes[:-1]):
            block, start = rows[:, start : start + size], start + size
            for table in self.tables:
                met = (block @ table[start - size : start, start:]) * rows[:, start:]
                found.append(met @ self.members[start:, column + 1 :] / math.sqrt(self.n_pairs))
        return torch.cat([*found, (rows - self.single) / math.sqrt(len(self.sizes))], 1)

    def forward(self, features: Tensor) -> Tensor:
        """The log odds, (rows,)."""
        x = features * _GAIN
        h = functional.silu(functional.layer_norm(self.embed(x), (self.embed.out_features,)))
        h = functional.silu(functional.layer_norm(self.inner(h), (self.inner.out_features,)))
        h = h * (2.0 / math.sqrt(h.shape[1]))  # its gradients are then about as long as the others'
        logits: Tensor = self.wide(x[:, : self.n_pairs]) + self.head(h)
        return logits.squeeze(1)
