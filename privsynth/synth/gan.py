"""A generator and a critic under privacy, on top of the marginals. Reads from top to bottom.

The generator refines (Shrivastava et al. 2017): it redraws columns of rows of the maximum-entropy
table for the noisy pairs. Before any learning it redraws them as the table would, so it begins as
good as the marginals are, and learns only what a critic still sees. A condition is a column and
its code in such a row, so it follows the noisy 1-ways and never records; that column is held.

The critic judges how the codes of a row go together: for each pair of columns, how much more often
than by chance the table has these two. Such features are public; a linear map of them, and a small
network beside it, are all that learns from records, little enough to survive the noise. Of its loss
only that real half is charged. The fake half's gradient is clipped row by row in the same way, so
that both balance where the tables agree, and is added without noise (logistic loss, Goodfellow et
al. 2014). What the generator leaves undone, the critic does at the end: draws are taken by its odds
that a row is a record (Azadi et al. 2019). How much of either is believed, records decide by a
histogram of the odds, which is charged too: see `trust`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from privsynth.encode import Codebook, learn_codebook
from privsynth.privacy.budget import PrivacyBudget
from privsynth.privacy.dpsgd import Trainer, clippable_layers, clipped_sum, make_trainer
from privsynth.privacy.plan import Request, TrainingRequest
from privsynth.schema import Schema
from privsynth.synth.base import SavedModel, Synthesizer, Work, fitted_synthesizers, synthesizers
from privsynth.synth.critic import Critic
from privsynth.synth.diffusion import UnitRows
from privsynth.synth.marginal import FittedMarginal, learn_table, teacher_requests
from privsynth.synth.maxent import MaxEntTable, Potentials, codes_of, one_hot
from privsynth.synth.pairs import column_of
from privsynth.synth.policy import sampling_rate
from privsynth.synth.project import Measured, Projection, project, projected, take
from privsynth.synth.trust import NO_TRUST, Trust, measured_trust, odds_request
from privsynth.table import Array, Table

TRAINING = "critic"
_TEACHER_ROWS, _TRIED_ROWS = 60_000, 20_000
_NUMBERS = 40_000_000  # of features that are held at once
_LEAST_CRITIC_SHARE = 0.01
_MAX_GRAD_NORM = 2.0
_NEVER, _PASSES, _NOISE_WIDTH = -1e9, 3, 16
_DECISIVE, _MOST_STEPS, _SETTLE = 0.7, 4, 0.5
_MEMORY, _LEAST_SHARE = 0.95, 1e-3
_CANDIDATES = 2


class Generator(nn.Module):
    """Residual MLP from a row, its condition and noise to how one column is redrawn.

    What it learns is added to the logits of the table given the row's other columns.
    """

    def __init__(self, table: Potentials, width: int) -> None:
        super().__init__()
        total, n_columns = sum(table.sizes), len(table.sizes)
        self.embed = nn.Linear(2 * total + n_columns + _NOISE_WIDTH, width)
        self.inner = nn.ModuleList(nn.Linear(width, width) for _ in range(3))
        self.head = nn.Linear(width, total)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.table = table

    def forward(
        self, rows: Tensor, held: Tensor, redrawn: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Log shares of the codes of `redrawn`, one column a row, now and before any learning."""
        h = self.embed(torch.cat([rows * (1 - redrawn), redrawn, held, noise], 1))
        for layer in self.inner:
            h = h + layer(functional.silu(functional.layer_norm(h, h.shape[-1:])))
        change = self.head(functional.silu(functional.layer_norm(h, h.shape[-1:])))
        before = (rows @ self.table.theta + self.table.bias).masked_fill(redrawn == 0, _NEVER)
        return (before + change).log_softmax(1), before.log_softmax(1)


@synthesizers.register("gan")
@dataclass(frozen=True)
class Gan(Synthesizer):
    """Adversarial refinement of the maximum-entropy table; every setting is public.

    `critic_share` of the budget goes to the critic at epsilon 1 and below, and less above, down to
    a hundredth: the noise of its steps stays about the same. A `critic_weight` of 0 leaves it out,
    asks nothing for it and gives the table of the marginals; what it adds is the difference.

    >>> Gan(critic_weight=0.0).critic_weight
    0.0
    """

    name: ClassVar[str] = "gan"

    critic_weight: float = 1.0
    critic_share: float = 0.08
    steps: int = 400
    batch_size: int = 1024
    learning_rate: float = 3e-3
    width: int = 128
    marginal_weight: float = 1.0
    max_codes: int = 32
    codebook_share: float = 0.12

    def requests(
        self, schema: Schema, n_units: int | None, budget: PrivacyBudget
    ) -> Sequence[Request]:
        """The teacher's measurements, and DP-SGD for the critic with what they leave."""
        if not self._has_critic(len(schema.modelled)):
            return teacher_requests(schema, self.codebook_share, 1.0)
        share = self.critic_share
        if budget.epsilon > 1 and budget.is_private:
            share = max(share / budget.epsilon, min(share, _LEAST_CRITIC_SHARE))
        rate = sampling_rate(self.batch_size, n_units)
        asked = TrainingRequest(TRAINING, "gradients of the critic on records", rate, self.steps)
        teacher = teacher_requests(schema, self.codebook_share, 1 - share)
        return [*teacher, odds_request(share), asked]

    def learn(self, train: Table, work: Work) -> FittedGan:
        """Codebook, the table of the marginals, generator against critic, projection."""
        work.progress.stage("learning bins and categories")
        codebook = learn_codebook(train, work.spending, work.noise, max_codes=self.max_codes)
        table, measured = learn_table(train, codebook, work)
        plays = self._has_critic(len(codebook.sizes))
        players = self._play(train, codebook, table, measured, work) if plays else None
        trust = _trusted(players, table, train, codebook, work) if players else NO_TRUST
        public = asdict(self), codebook, work.guarantee, work.spending.entry_id
        unprojected = torch.empty(0), Projection(Potentials.zero(codebook.sizes), 1.0)
        fitted = FittedGan(*public, *unprojected, table, players, trust)
        return projected(fitted, measured, work.rng, work.progress)

    def _has_critic(self, n_columns: int) -> bool:
        return self.critic_weight > 0 and n_columns > 1

    def _play(
        self, train: Table, codebook: Codebook, table: MaxEntTable, measured: Measured, work: Work
    ) -> Players:
        """The adversarial training; nothing here but the trainer's batches meets a record."""
        seeds = work.rng.integers(2**62, size=2).tolist()
        chance, choice = (torch.Generator().manual_seed(seed) for seed in seeds)
        draws = table.draw(_TEACHER_ROWS, {}, work.rng)
        weights = project(draws, measured).weights(draws)
        teacher = one_hot(take(draws, weights, len(draws), work.rng), codebook.sizes)
        pair_shares = teacher.T @ teacher / len(teacher)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(work.rng.integers(2**62)))
            players = Players(table.potentials, pair_shares, self.width)
        game = Game(self, players, teacher, chance)
        records = UnitRows(torch.from_numpy(codebook.encode(train)), train.units())

        def loss_of_units(units: Tensor) -> Tensor:
            return functional.softplus(-players.critic.of_codes(records.draw(units, 1, choice)))

        training = work.spending.training(TRAINING)
        trainer = make_trainer(
            players.critic,
            game.critic_optimizer,
            training,
            records.n_units,
            n_units_public=codebook.n_units,
            views=1,
            max_grad_norm=_MAX_GRAD_NORM,
            noise=work.noise,
            public_loss=lambda: game.fake_loss(clip=training.is_private),
        )
        work.progress.stage("training generator against critic", self.steps)
        for _ in game.rounds(trainer):
            trainer.step(loss_of_units)
            work.progress.advance(note=work.budget_note)
        return game.averages


class Players(nn.Module):
    """Generator and critic: before any step rows stay the table's and none is told apart."""

    def __init__(self, table: Potentials, pair_shares: Tensor, width: int) -> None:
        super().__init__()
        self.generator = Generator(table, width)
        self.critic = Critic(table.sizes, pair_shares, width)

    def refine(self, rows: Tensor, held: Tensor, chance: torch.Generator) -> tuple[Tensor, Tensor]:
        """Rows with some columns redrawn, and its mean relative entropy to the table's own way."""
        columns = column_of(self.critic.sizes)
        for number in range(_PASSES):
            with torch.set_grad_enabled(torch.is_grad_enabled() and number == _PASSES - 1):
                last = (torch.rand(held.shape, generator=chance) - 2 * held).argmax(1)
                redrawn = (functional.one_hot(last, held.shape[1]) * (1 - held))[:, columns]
                noise = torch.randn(len(rows), _NOISE_WIDTH, generator=chance)
                now, before = self.generator(rows, held, redrawn, noise)
                gumbel = -torch.empty(now.shape).exponential_(generator=chance).log()
                drawn = functional.one_hot((now.detach() + gumbel).argmax(1), now.shape[1])
                shares = now.exp()  # straight through: drawn codes have the gradient of shares
                rows = rows * (1 - redrawn) + (drawn + shares - shares.detach()) * redrawn
        return rows, (shares * (now - before)).sum(1).mean()

    @torch.no_grad()
    def refined(self, codes: Tensor, held: Tensor, chance: torch.Generator) -> Tensor:
        """Codes, (rows, columns), as the generator redraws them; held: (columns,)."""
        found = [codes[:0]]
        for part in torch.split(codes, self._block_rows) if len(codes) else ():
            rows, _ = self.refine(one_hot(part, self.critic.sizes), held.expand(part.shape), chance)
            found.append(codes_of(rows, self.critic.sizes))
        return torch.cat(found)

    @torch.no_grad()
    def odds(self, codes: Tensor) -> Tensor:
        """The critic's log odds that rows of codes, (rows, columns), are records: (rows,)."""
        parts = torch.split(codes, self._block_rows)
        return torch.cat([self.critic.of_codes(part) for part in parts])

    @property
    def _block_rows(self) -> int:
        return max(1, _NUMBERS // self.critic.embed.in_features)


class Game:
    """The moves of generator and critic that read no record, and when each has its turn."""

    def __init__(
        self, settings: Gan, players: Players, teacher: Tensor, chance: torch.Generator
    ) -> None:
        self._settings, self._players, self._teacher = settings, players, teacher
        self._chance, self._accuracy = chance, 0.5
        rate, generator, critic = settings.learning_rate, players.generator, players.critic
        self.critic_optimizer = torch.optim.Adam(critic.parameters(), lr=rate)
        self._optimizer = torch.optim.Adam(generator.parameters(), lr=rate, betas=(0.5, 0.999))
        self.averages, self._n_averaged = deepcopy(players), 0
        self._target = self._shares = teacher.T @ teacher / len(teacher)  # (total, total)

    def fakes(self) -> tuple[Tensor, Tensor]:
        """A batch of the teacher's rows, each held to a column, refined: see `Players.refine`."""
        n_rows, n_columns = self._settings.batch_size, len(self._players.critic.sizes)
        rows = torch.randint(len(self._teacher), (n_rows,), generator=self._chance)
        column = torch.randint(n_columns, (n_rows,), generator=self._chance)
        held = functional.one_hot(column, n_columns).float()
        return self._players.refine(self._teacher[rows], held, self._chance)

    def rounds(self, trainer: Trainer) -> Iterator[None]:
        """One turn for each charged step; between them the generator has its own.

        It waits for more steps of the critic while that is at a loss on fakes, where its accuracy
        is free to look at. At last it stands still: the critic comes to judge what will be drawn.
        """
        wanted, made = 1, 0
        while trainer.steps_left:
            left = trainer.steps_left / self._settings.steps
            for group in self.critic_optimizer.param_groups:
                group["lr"] = self._settings.learning_rate * min(1.0, 2 * left)
            made += 1
            yield
            if left <= _SETTLE:
                self._settle(left)
            elif made >= wanted:
                self._move()
                wanted = min(wanted + 1, _MOST_STEPS) if self._accuracy < _DECISIVE else 1
                made = 0

    def fake_loss(self, *, clip: bool) -> Tensor:
        """A loss on fakes for the critic, whose gradient is clipped row by row as on records."""
        critic = self._players.critic
        with torch.no_grad():
            features = critic.features_of_codes(codes_of(self.fakes()[0], critic.sizes))
            right = float((critic(features) < 0).float().mean())
        self._accuracy = _MEMORY * self._accuracy + (1 - _MEMORY) * right

        def loss_of_rows(chosen: Tensor) -> Tensor:
            return functional.softplus(critic(features[chosen]))

        everyone = torch.arange(len(features))
        if not clip:
            return loss_of_rows(everyone).mean()
        layers = clippable_layers(critic, list(critic.parameters()))
        total = clipped_sum(layers, loss_of_rows, everyone, views=1, max_grad_norm=_MAX_GRAD_NORM)
        return torch.stack([(w * slope).sum() for w, slope in total.items()]).sum() / len(features)

    def _move(self) -> None:
        """One step of the generator: to please the critic, near the table, at its marginals."""
        critic, settings = self._players.critic, self._settings
        fakes, change = self.fakes()
        shares = fakes.T @ fakes / len(fakes)
        self._shares = torch.lerp(shares.detach(), self._shares, _MEMORY)
        astray = (self._shares - self._target) / self._target.clamp_min(_LEAST_SHARE)
        loss = change - settings.critic_weight * critic(critic.features(fakes)).mean()
        loss = loss + settings.marginal_weight * (astray * shares).sum() / len(critic.sizes)
        weights = list(self._players.generator.parameters())
        for weight, slope in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            weight.grad = slope
        self._optimizer.step()
        follow(self.averages.generator, self._players.generator, 1 - _MEMORY)

    def _settle(self, left: float) -> None:
        """Put the generator at its average, and average the critic over its last steps."""
        self._players.generator.load_state_dict(self.averages.generator.state_dict())
        if left <= _SETTLE / 2:
            self._n_averaged += 1
            follow(self.averages.critic, self._players.critic, 1 / self._n_averaged)


@torch.no_grad()
def follow(average: nn.Module, model: nn.Module, part: float) -> None:
    """Move an average of weights that part of the way to a model's."""
    for mean, weight in zip(average.parameters(), model.parameters(), strict=True):
        mean.lerp_(weight, part)


def _trusted(
    players: Players, table: MaxEntTable, train: Table, codebook: Codebook, work: Work
) -> Trust:
    """What the records say of the players: a histogram of the critic's odds on them, charged."""
    plain = table.draw(_TRIED_ROWS, {}, work.rng)
    chance = torch.Generator().manual_seed(int(work.rng.integers(2**62)))
    refined = players.refined(plain, torch.zeros(plain.shape[1]), chance)
    records = torch.from_numpy(codebook.encode(train))
    of_plain, of_refined, of_records = (
        players.odds(each).double().numpy() for each in (plain, refined, records)
    )
    return measured_trust((of_plain, of_refined), of_records, train, codebook.n_units, work)


@fitted_synthesizers.register("gan")
@dataclass(frozen=True, repr=False)
class FittedGan(FittedMarginal):
    """The table of the marginals with the players that refine its rows, where there are any."""

    name: ClassVar[str] = "gan"

    players: Players | None = None
    trust: Trust = NO_TRUST

    def without_training(self) -> FittedGan | None:
        """The table that the players refine, projected as theirs is; None where there are none.

        Targets that this generator was given are left out too, and so is what is told of them.
        """
        if self.players is None or self.measured is None:
            return None
        settings = {name: value for name, value in self.settings.items() if name != "targets"}
        plain = replace(self, settings=settings, players=None)
        return projected(plain, self.measured, np.random.default_rng())

    def draw(self, n_rows: int, given: Mapping[int, int], rng: np.random.Generator) -> Tensor:
        """Rows of the table, some refined, taken as often as the critic holds them for records."""
        if self.players is None:
            return super().draw(n_rows, given, rng)
        codes = super().draw(_CANDIDATES * n_rows, given, rng)
        chance = torch.Generator().manual_seed(int(rng.integers(2**62)))
        held = torch.tensor([float(column in given) for column in range(codes.shape[1])])
        n_refined = round(self.trust.refined * len(codes))  # the table's rows are in no order
        refined = self.players.refined(codes[:n_refined], held, chance)
        codes = torch.cat([refined, codes[n_refined:]])
        weights = torch.from_numpy(self.trust.weights(self.players.odds(codes).double().numpy()))
        return take(codes, weights, n_rows, rng)

    def tensors(self) -> dict[str, Array]:
        """What the table needs, and the weights of both players."""
        weights = self.players.state_dict() if self.players is not None else {}
        found = {f"players.{name}": value.numpy().copy() for name, value in weights.items()}
        return super().tensors() | found | {"trust": self.trust.to_array()}

    @classmethod
    def restored(cls, saved: SavedModel) -> FittedGan:
        """The table and the players of the saved sizes with the saved weights."""
        plain = FittedMarginal.restored(saved)
        names = [name for name in saved.tensors if name.startswith("players.")]
        if not names:
            return cls(**vars(plain))
        blank = torch.zeros_like(plain.table.potentials.theta)
        players = Players(plain.table.potentials, blank, int(saved.settings["width"]))
        players.load_state_dict({n[8:]: torch.from_numpy(saved.tensors[n].copy()) for n in names})
        return cls(**vars(plain), players=players, trust=Trust(*saved.tensors["trust"].tolist()))
