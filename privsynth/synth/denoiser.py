"""The denoiser: a network that names the distribution of each hidden column of a record."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from privsynth.synth.draw import Layer
from privsynth.synth.maxent import Potentials
from privsynth.synth.pairs import column_of
from privsynth.table import Array

_AIMED = 4


class Denoiser(nn.Module):
    """Residual MLP from a partly hidden record to the logits of every code of every column.

    Its logits are added to those of `base`, a denoiser that stays as it is, or else to the logs
    of the noisy 1-ways; before any training they are 0. Layer normalisation has no parameters, so
    that all that trains is in linear layers. `targets` are the columns that the table is for: they
    are drawn last.
    """

    log_shares: Tensor
    offsets: Tensor
    members: Tensor
    bias: Tensor | None
    theta: Tensor | None

    def __init__(
        self,
        shares: Sequence[Array],
        width: int,
        depth: int,
        base: Denoiser | None = None,
        targets: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.targets = tuple(targets)
        self.base = None if base is None else base.requires_grad_(False)
        sizes = [len(share) for share in shares]
        total, n_columns = sum(sizes), len(sizes)
        self.sizes = sizes
        self.embed = nn.Linear(total + n_columns, width)
        self.inner = nn.ModuleList(nn.Linear(width, width) for _ in range(2 * depth))
        self.head = nn.Linear(width, total)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        logs = torch.from_numpy(np.log(np.concatenate(shares) + 1e-6)).float()
        self.register_buffer("log_shares", logs)  # (total,)
        self.register_buffer("offsets", torch.tensor([0, *np.cumsum(sizes)[:-1]]))  # (columns,)
        self.register_buffer(
            "members", functional.one_hot(column_of(sizes), n_columns).float()
        )  # (total, columns)
        self.register_buffer("bias", None)
        self.register_buffer("theta", None)

    def rely_on(self, potentials: Potentials) -> None:
        """Where one column alone is hidden, say what this pairwise model says, exact there.

        `forward` does so, and the corrector step of a draw; `reveal` asks the network alone.
        """
        self.bias, self.theta = potentials.bias.float(), potentials.theta.float()

    def visible(self, codes: Tensor, hidden: Tensor) -> Tensor:
        """One-hot codes with hidden columns zeroed, and the mask: (rows, total + columns)."""
        rows, n_columns = codes.shape
        x = torch.zeros(rows, len(self.log_shares) + n_columns)
        x.scatter_(1, codes + self.offsets, (~hidden).float())
        x[:, len(self.log_shares) :] = hidden.float()
        return x

    def embedding(self) -> Tensor:
        """What each visible code and each hidden column adds to the first layer's output,
        (total + columns, width).
        """
        return self.embed.weight.T.contiguous()

    def body(self, h: Tensor, inner: Sequence[Layer] | None = None) -> Tensor:
        """The residual blocks and the last normalisation: (rows, width) to (rows, width).

        `inner` are the layers of the blocks in another form, for speed.
        """
        inner = inner or list(self.inner)
        for first, second in zip(inner[::2], inner[1::2], strict=True):
            h = h + second(functional.silu(first(functional.layer_norm(h, h.shape[-1:]))))
        return functional.silu(functional.layer_norm(h, h.shape[-1:]))

    def forward(self, codes: Tensor, hidden: Tensor) -> Tensor:
        """Logits of every code, (rows, total)."""
        seen = self.visible(codes, hidden)
        logits: Tensor = self.head(self.body(self.embed(seen)))
        logits = logits + (self.log_shares if self.base is None else self.base(codes, hidden))
        if self.base is None and self.bias is not None and self.theta is not None:
            alone = hidden.sum(1) == 1
            logits[alone] = self.bias + seen[alone, : len(self.bias)] @ self.theta
        return logits

    def loss(self, codes: Tensor, hidden: Tensor) -> Tensor:
        """Mean cross-entropy over the hidden columns of each row, (rows,)."""
        logits = self(codes, hidden)
        logits = logits - logits.amax(1, keepdim=True).detach()
        log_total = (logits.exp() @ self.members).clamp_min(1e-30).log()  # (rows, columns)
        log_true = logits.gather(1, codes + self.offsets)
        surprise: Tensor = (log_total - log_true) * hidden
        return surprise.sum(1) / hidden.sum(1)


def hide(
    rows: int,
    n_columns: int,
    views: int,
    generator: torch.Generator,
    targets: Sequence[int] | None = None,
) -> Tensor:
    """Which columns to hide, (rows * views, columns): 1 to all of them, evenly over the views.

    Where `targets` are given, a fourth of the masks of each row hides nothing but these, one to all
    of them, and a fourth any one column; with () both hide any one column. What many columns say
    together of one is seen best from there. What is hidden in a row is drawn independently of all
    other rows, for whoever does not know the generator.
    """
    spread = (torch.rand(rows, 1, generator=generator) + torch.arange(views) / views) % 1.0
    n_hidden = 1 + (spread.reshape(-1, 1) * n_columns).long()
    ranks = torch.rand(rows * views, n_columns, generator=generator).argsort(1).argsort(1)
    hidden = ranks < n_hidden
    if targets is None:
        return hidden
    first = torch.randint(_AIMED, (rows, 1), generator=generator)
    kind = ((torch.arange(views) + first) % _AIMED).reshape(-1, 1)
    every = list(range(n_columns))
    aimed = _only(targets or every, max(1, len(targets)), hidden, generator)
    single = _only(every, 1, hidden, generator)
    return torch.where(kind == 0, aimed, torch.where(kind == _AIMED // 2, single, hidden))


def _only(columns: Sequence[int], most: int, like: Tensor, generator: torch.Generator) -> Tensor:
    """Masks of the shape of `like` that hide one to `most` of the columns and nothing else."""
    ranks = torch.rand(len(like), len(columns), generator=generator).argsort(1).argsort(1)
    hidden = torch.zeros_like(like)
    hidden[:, list(columns)] = ranks < torch.randint(
        1, most + 1, (len(like), 1), generator=generator
    )
    return hidden


class Average:
    """The running mean of the weights: it takes out noise that single steps put in."""

    def __init__(self, denoiser: Denoiser) -> None:
        self._sums = [torch.zeros_like(parameter) for parameter in _trainable(denoiser)]
        self._n = 0

    @torch.no_grad()
    def add(self, denoiser: Denoiser) -> None:
        """Take the weights as they are now into the mean."""
        self._n += 1
        for mean, parameter in zip(self._sums, _trainable(denoiser), strict=True):
            mean.add_(parameter - mean, alpha=1 / self._n)

    @torch.no_grad()
    def into(self, denoiser: Denoiser) -> Denoiser:
        """The denoiser with the mean as its weights."""
        for mean, parameter in zip(self._sums, _trainable(denoiser), strict=True):
            parameter.copy_(mean)
        return denoiser


def _trainable(denoiser: Denoiser) -> list[nn.Parameter]:
    return [parameter for parameter in denoiser.parameters() if parameter.requires_grad]


def cooling(optimizer: torch.optim.Optimizer, steps: int, learning_rate: float) -> Iterator[float]:
    """The share of the steps done, before each step, while the rate falls along a half cosine."""
    for number in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * 0.5 * (1 + math.cos(math.pi * number / steps))
        yield number / steps
