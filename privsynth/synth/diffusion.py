"""Masked discrete diffusion over code matrices, trained by DP-SGD. Reads from top to bottom.

A network sees a record with some columns hidden and names the distribution of each hidden one; a
record is drawn by revealing its columns one at a time in random order, each from the network's
softmax given those already drawn. Absorbing diffusion in the sense of Austin et al. (2021), which
is an any-order autoregressive model (Hoogeboom et al. 2022). Training hides a record several
times and averages before clipping: noise multiplicity (De et al. 2022; Dockhorn et al. 2023).

Output logits start from the noisy one-way marginals that the codebook has paid for, so that
the network begins as the independent table and the budget buys dependence only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from privsynth.encode import Codebook, codebook_requests, learn_codebook
from privsynth.privacy.dpsgd import make_trainer
from privsynth.privacy.plan import Request, TrainingRequest
from privsynth.progress import Progress
from privsynth.schema import Schema
from privsynth.synth.base import (
    FittedSynthesizer,
    SavedModel,
    Synthesizer,
    Work,
    fitted_synthesizers,
    synthesizers,
)
from privsynth.table import Array, Table

TRAINING = "denoiser"
_RATE_WHEN_ROWS_ARE_PRIVATE = 0.05
_BLOCK_ROWS = 1_024
_BALANCE_ROUNDS, _BALANCE_ORDERS, _BALANCE_ROWS = 6, 8, 512
_BALANCE_PACE, _LEAST_SHARE = 0.8, 1e-4
_GOLDEN = (5**0.5 - 1) / 2


class Denoiser(nn.Module):
    """Residual MLP from a partly hidden record to the logits of every code of every column.

    Layer normalisation has no parameters, so that all that trains is in linear layers.
    """

    log_shares: Tensor
    offsets: Tensor
    members: Tensor

    def __init__(self, shares: Sequence[Array], width: int, depth: int) -> None:
        super().__init__()
        sizes = [len(share) for share in shares]
        total, n_columns = sum(sizes), len(sizes)
        self.sizes = sizes
        self.embed = nn.Linear(total + n_columns, width)
        self.inner = nn.ModuleList(nn.Linear(width, width) for _ in range(2 * depth))
        self.head = nn.Linear(width, total)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        logs = torch.from_numpy(np.log(np.concatenate(shares) + 1e-6)).float()
        column_of = torch.repeat_interleave(torch.arange(n_columns), torch.tensor(sizes))
        self.register_buffer("log_shares", logs)  # (total,)
        self.register_buffer("offsets", torch.tensor([0, *np.cumsum(sizes)[:-1]]))  # (columns,)
        self.register_buffer(
            "members", functional.one_hot(column_of, n_columns).float()
        )  # (total, columns)

    def visible(self, codes: Tensor, hidden: Tensor) -> Tensor:
        """One-hot codes with hidden columns zeroed, and the mask: (rows, total + columns)."""
        rows, n_columns = codes.shape
        x = torch.zeros(rows, len(self.log_shares) + n_columns)
        x.scatter_(1, codes + self.offsets, (~hidden).float())
        x[:, len(self.log_shares) :] = hidden.float()
        return x

    def body(self, h: Tensor) -> Tensor:
        """The residual blocks and the last normalisation: (rows, width) to (rows, width)."""
        for first, second in zip(self.inner[::2], self.inner[1::2], strict=True):
            h = h + second(functional.silu(first(functional.layer_norm(h, h.shape[-1:]))))
        return functional.silu(functional.layer_norm(h, h.shape[-1:]))

    def forward(self, codes: Tensor, hidden: Tensor) -> Tensor:
        """Logits of every code, (rows, total)."""
        logits: Tensor = self.head(self.body(self.embed(self.visible(codes, hidden))))
        return logits + self.log_shares

    def loss(self, codes: Tensor, hidden: Tensor) -> Tensor:
        """Mean cross-entropy over the hidden columns of each row, (rows,)."""
        logits = self(codes, hidden)
        logits = logits - logits.amax(1, keepdim=True).detach()
        log_total = (logits.exp() @ self.members).clamp_min(1e-30).log()  # (rows, columns)
        log_true = logits.gather(1, codes + self.offsets)
        surprise: Tensor = (log_total - log_true) * hidden
        return surprise.sum(1) / hidden.sum(1)


def hide(rows: int, n_columns: int, views: int, generator: torch.Generator) -> Tensor:
    """Which columns to hide, (rows * views, columns): 1 to all of them, evenly over the views."""
    spread = (torch.rand(rows, 1, generator=generator) + torch.arange(views) / views) % 1.0
    n_hidden = 1 + (spread.reshape(-1, 1) * n_columns).long()
    ranks = torch.rand(rows * views, n_columns, generator=generator).argsort(1).argsort(1)
    return ranks < n_hidden


@synthesizers.register("diffusion")
@dataclass(frozen=True)
class Diffusion(Synthesizer):
    """Masked discrete diffusion; every setting is public.

    >>> Diffusion(steps=100).steps
    100
    """

    name: ClassVar[str] = "diffusion"

    steps: int = 1200
    batch_size: int = 512
    views: int = 4
    max_grad_norm: float = 1.0
    learning_rate: float = 2e-3
    width: int = 192
    depth: int = 1
    max_codes: int = 12
    measure_share: float = 0.15
    average_last: float = 0.5

    def requests(self, schema: Schema, n_units: int | None) -> Sequence[Request]:
        """The codebook's measurements, and DP-SGD with what they leave."""
        rate = _RATE_WHEN_ROWS_ARE_PRIVATE
        if n_units is not None:
            rate = min(1.0, self.batch_size / n_units)
        training = TrainingRequest(TRAINING, "gradients of the denoiser", rate, self.steps)
        return [*codebook_requests(schema, self.measure_share), training]

    def learn(self, train: Table, work: Work) -> FittedDiffusion:
        """Codebook, then denoiser."""
        work.progress.stage("learning bins and categories")
        codebook = learn_codebook(train, work.spending, work.noise, max_codes=self.max_codes)
        denoiser = self._train(train, codebook, work)
        work.progress.stage("restoring the private marginals", _BALANCE_ROUNDS)
        for _ in range(_BALANCE_ROUNDS):
            balance(denoiser, list(codebook.shares.values()), work.rng)
            work.progress.advance()
        return FittedDiffusion(
            asdict(self), codebook, work.guarantee, work.spending.entry_id, denoiser
        )

    def _train(self, train: Table, codebook: Codebook, work: Work) -> Denoiser:
        generator = torch.Generator().manual_seed(int(work.rng.integers(2**62)))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(work.rng.integers(2**62)))
            denoiser = Denoiser(list(codebook.shares.values()), self.width, self.depth)
        rows = UnitRows(torch.from_numpy(codebook.encode(train)), train.units())

        def loss_of_units(units: Tensor) -> Tensor:
            hidden = hide(len(units), rows.n_columns, self.views, generator)
            return denoiser.loss(rows.draw(units, self.views, generator), hidden)

        optimizer = torch.optim.Adam(denoiser.parameters(), lr=self.learning_rate)
        trainer = make_trainer(
            denoiser,
            optimizer,
            work.spending.training(TRAINING),
            rows.n_units,
            n_units_public=codebook.n_units,
            views=self.views,
            max_grad_norm=self.max_grad_norm,
            noise=work.noise,
        )
        average = Average(denoiser)
        work.progress.stage("training the denoiser", self.steps)
        while trainer.steps_left:
            done = 1 - trainer.steps_left / self.steps
            for group in optimizer.param_groups:
                group["lr"] = self.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
            trainer.step(loss_of_units)
            if done >= 1 - self.average_last:
                average.add(denoiser)
            work.progress.advance(note=work.budget_note)
        return average.into(denoiser)


class UnitRows:
    """The code matrix by privacy unit: a view of a unit is one of its rows, drawn at random."""

    def __init__(self, codes: Tensor, units: Array) -> None:
        order = np.argsort(units, kind="stable")
        self._codes = codes[torch.from_numpy(order)]
        counts = torch.from_numpy(np.bincount(units))
        self._first = torch.cumsum(counts, 0) - counts
        self._counts = counts
        self.n_units = len(counts)
        self.n_columns = codes.shape[1]

    def draw(self, units: Tensor, views: int, generator: torch.Generator) -> Tensor:
        """The rows of `views` draws a unit, adjacent: (len(units) * views, columns)."""
        chosen = units.repeat_interleave(views)
        u = torch.rand(len(chosen), generator=generator)
        return self._codes[self._first[chosen] + (u * self._counts[chosen]).long()]


class Average:
    """The running mean of the weights: it takes out noise that single steps put in."""

    def __init__(self, denoiser: Denoiser) -> None:
        self._sums = [torch.zeros_like(parameter) for parameter in denoiser.parameters()]
        self._n = 0

    @torch.no_grad()
    def add(self, denoiser: Denoiser) -> None:
        """Take the weights as they are now into the mean."""
        self._n += 1
        for mean, parameter in zip(self._sums, denoiser.parameters(), strict=True):
            mean.add_(parameter - mean, alpha=1 / self._n)

    @torch.no_grad()
    def into(self, denoiser: Denoiser) -> Denoiser:
        """The denoiser with the mean as its weights."""
        for mean, parameter in zip(self._sums, denoiser.parameters(), strict=True):
            parameter.copy_(mean)
        return denoiser


@fitted_synthesizers.register("diffusion")
@dataclass(frozen=True, repr=False)
class FittedDiffusion(FittedSynthesizer):
    """A trained denoiser with its codebook and guarantee."""

    name: ClassVar[str] = "diffusion"

    denoiser: Denoiser

    def sample_codes(
        self, n_rows: int, given: Mapping[int, int], rng: np.random.Generator, progress: Progress
    ) -> Array:
        """Codes drawn column by column, in an order of its own for each block of rows."""
        blocks = []
        for start in range(0, n_rows, _BLOCK_ROWS):
            rows = min(_BLOCK_ROWS, n_rows - start)
            blocks.append(reveal(self.denoiser, rows, given, rng)[0])
            progress.advance(rows)
        return torch.cat(blocks).numpy()

    def tensors(self) -> dict[str, Array]:
        """The denoiser's parameters and buffers."""
        return {name: value.numpy().copy() for name, value in self.denoiser.state_dict().items()}

    @classmethod
    def restored(cls, saved: SavedModel) -> FittedDiffusion:
        """The denoiser of the saved sizes with the saved weights."""
        settings = saved.settings
        denoiser = Denoiser(
            list(saved.codebook.shares.values()), int(settings["width"]), int(settings["depth"])
        )
        denoiser.load_state_dict({k: torch.from_numpy(v) for k, v in saved.tensors.items()})
        return cls(settings, saved.codebook, saved.guarantee, saved.entry_id, denoiser)


@torch.no_grad()
def reveal(
    denoiser: Denoiser, rows: int, given: Mapping[int, int], rng: np.random.Generator
) -> tuple[Tensor, dict[int, Tensor]]:
    """Codes of `rows` records, (rows, columns), drawn in one random order of the columns.

    Also the mean distribution from which each column was drawn: its marginal, with less variance
    than counts of the draws. The first layer is linear in what is visible, so revealing a column
    only adds to it, and only that column's logits are computed.
    """
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    n_columns, total = len(denoiser.sizes), len(denoiser.log_shares)
    table = denoiser.embed.weight.T.contiguous()  # (total + columns, width)
    h = (denoiser.embed.bias + table[total:].sum(0)).repeat(rows, 1)
    codes = torch.zeros(rows, n_columns, dtype=torch.long)
    marginals, drawn = {}, list[int]()
    free = [j for j in rng.permutation(n_columns).tolist() if j not in given]
    for j in [*given, *free]:
        start = int(denoiser.offsets[j])
        if j in given:
            codes[:, j] = given[j]
        else:
            one = slice(start, start + denoiser.sizes[j])
            body = denoiser.body(h[:1] if j == free[0] else h)  # rows are alike until then
            logits = functional.linear(body, denoiser.head.weight[one], denoiser.head.bias[one])
            shares = (logits + denoiser.log_shares[one]).softmax(1).expand(rows, -1)
            key = codes[:, drawn[int(rng.integers(len(drawn)))]] if drawn else codes[:, j]
            codes[:, j] = draw_codes(shares, spread(key, generator))
            marginals[j] = shares.mean(0)
        drawn.append(j)
        h += table[start + codes[:, j]] - table[total + j]
    return codes, marginals


def draw_codes(shares: Tensor, u: Tensor) -> Tensor:
    """One code a row from its distribution, (rows,), by inverting the cumulative one at u."""
    cumulative = shares.cumsum(1)
    return (cumulative < u[:, None] * cumulative[:, -1:]).sum(1).clamp_max(shares.shape[1] - 1)


def spread(key: Tensor, generator: torch.Generator) -> Tensor:
    """Uniform numbers, (rows,), that lie evenly over [0, 1) among the rows of each key.

    Each is uniform by itself; rows of one key get neighbouring terms of a golden-ratio sequence,
    so that counts of codes given the key vary less from draw to draw than independent ones.
    """
    order = (key + torch.rand(len(key), generator=generator)).argsort()
    u = torch.empty(len(key), dtype=torch.float64)
    start = torch.rand(1, generator=generator, dtype=torch.float64)
    u[order] = (start + torch.arange(len(key), dtype=torch.float64) * _GOLDEN) % 1.0
    return u.float()


@torch.no_grad()
def balance(denoiser: Denoiser, shares: Sequence[Array], rng: np.random.Generator) -> None:
    """Move the output biases so that draws come nearer to the noisy one-way marginals.

    Noise in the gradients washes these out; they were paid for, so restoring them is free.
    """
    drawn = torch.stack([mean_shares(denoiser, rng) for _ in range(_BALANCE_ORDERS)]).mean(0)
    wanted = torch.from_numpy(np.concatenate(shares)).float()
    step = ((wanted + _LEAST_SHARE) / (drawn + _LEAST_SHARE)).log().clamp(-1.0, 1.0)
    denoiser.head.bias.add_(step, alpha=_BALANCE_PACE)


def mean_shares(denoiser: Denoiser, rng: np.random.Generator) -> Tensor:
    """The marginals of every column, (total,), for one random order of the columns."""
    _, marginals = reveal(denoiser, _BALANCE_ROWS, {}, rng)
    return torch.cat([marginals[j] for j in range(len(denoiser.sizes))])
