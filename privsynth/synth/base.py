"""What every generator is: something that is fitted once, and draws valid tables ever after."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from privsynth.encode import Codebook, require_visible_bounds
from privsynth.errors import ModelError, SchemaError, UsageError
from privsynth.io import require_rows
from privsynth.privacy.budget import PrivacyBudget, PrivacyUnit
from privsynth.privacy.calibrate import calibrate
from privsynth.privacy.guarantee import Guarantee
from privsynth.privacy.ledger import Ledger
from privsynth.privacy.noise import NoiseSource, SecretNoise
from privsynth.privacy.plan import Request
from privsynth.privacy.spending import Spending
from privsynth.progress import SILENT, Progress
from privsynth.registry import Registry
from privsynth.schema import IdColumn, Schema, TextColumn
from privsynth.synth.constraints import derived, require_constraints, satisfied
from privsynth.table import Array, Table

_MODEL_FORMAT = "privsynth/model/1"
_LARGEST_MODEL_FILE = 2**30  # bytes
_BUILT_IN = ("privsynth.synth.marginal", "privsynth.synth.diffusion", "privsynth.synth.gan")
_CHUNK_ROWS = 50_000


@dataclass(frozen=True, repr=False)
class FittedSynthesizer(ABC):
    """A generator after its fit: parameters, codebook and guarantee, nothing of the records.

    Drawing from it is post-processing: free, as often as wanted.
    """

    name: ClassVar[str]

    settings: Mapping[str, Any]
    codebook: Codebook
    guarantee: Guarantee
    entry_id: str

    @property
    def schema(self) -> Schema:
        """The schema of every table that is drawn."""
        return self.codebook.schema

    @property
    def n_units(self) -> float:
        """The number of privacy units that it was fitted to: public, or the private estimate."""
        return self.codebook.n_units

    @property
    def effective_share(self) -> float | None:
        """Effective sample size over draws, where draws are weighed; None where they are not."""
        return None

    def projected_to(
        self,
        *,
        balance: Mapping[str, Mapping[Any, float]] | None = None,
        independent: Sequence[tuple[str, str]] = (),
        rng: np.random.Generator | None = None,
    ) -> FittedSynthesizer:
        """A generator whose tables meet targets that the records do not: post-processing.

        `balance` gives shares to values of columns (class balance); what they leave goes to the
        column's other values. `independent` are pairs of columns that are not to depend on each
        other: for a sensitive column and an outcome that is demographic parity. The further the
        targets are from the records, the smaller the effective sample. UsageError where the
        generator takes none.
        """
        raise UsageError(f"a {self.name} generator takes no targets")

    def without_training(self) -> FittedSynthesizer | None:
        """The same fit with what its training on records added left out; None if it cannot be."""
        return None

    @abstractmethod
    def sample_codes(
        self, n_rows: int, given: Mapping[int, int], rng: np.random.Generator, progress: Progress
    ) -> Array:
        """Codes of n_rows records, (n_rows, n_columns), with the `given` columns held fixed."""

    @abstractmethod
    def tensors(self) -> dict[str, Array]:
        """The parameters by name, as saved."""

    @classmethod
    @abstractmethod
    def restored(cls, saved: SavedModel) -> FittedSynthesizer:
        """The generator from what `save` wrote."""

    def sample(
        self,
        n_rows: int,
        *,
        where: Mapping[str, Any] | None = None,
        rng: np.random.Generator | None = None,
        progress: Progress = SILENT,
    ) -> Table:
        """A synthetic table of n_rows records, valid under the schema and its constraints.

        `where` fixes the values of some columns; the others are drawn given these.
        """
        if not isinstance(n_rows, Integral) or n_rows < 1:
            raise UsageError("a sample needs a whole number of rows, at least 1")
        rng = rng or np.random.default_rng()
        names = list(self.codebook.columns)
        held = {name: self.codebook.held(name, value) for name, value in (where or {}).items()}
        given = {names.index(name): code for name, (code, _) in held.items()}
        where = {name: value for name, (_, value) in held.items()}
        progress.stage("drawing synthetic records", n_rows)
        kept: list[pa.Table] = []
        n_kept, n_drawn = 0, 0
        while n_kept < n_rows:
            _refuse_hopeless(n_kept, n_drawn, n_rows, where)
            wanted = _draws_needed(n_rows - n_kept, n_kept, n_drawn)
            wanted = min(_CHUNK_ROWS, wanted) if given else wanted  # a pool is taken from at once
            drawn = self.sample_codes(wanted, given, rng, SILENT)
            for start in range(0, wanted, _CHUNK_ROWS):
                valid = self._valid(drawn[start : start + _CHUNK_ROWS], where, rng)
                valid = valid.take(np.arange(min(valid.n_rows, n_rows - n_kept)))
                kept.append(valid.data)
                n_kept += valid.n_rows
                progress.advance(valid.n_rows)
            n_drawn += wanted
        return completed(pa.concat_tables(kept), self.codebook, rng)

    def _valid(self, codes: Array, where: Mapping[str, Any], rng: np.random.Generator) -> Table:
        """The rows of codes as records, those that keep to the constraints."""
        table = self.codebook.decode(codes, rng)
        data = table.data
        for name, value in where.items():
            kind = data.schema.field(name).type
            held = pa.array([value] * len(codes), kind)
            data = data.set_column(data.column_names.index(name), name, held)
        drawn = derived(Table(table.schema, data, table.storage), where)
        return drawn.take(satisfied(drawn))

    def save(self, folder: Path) -> None:
        """Write model.json and weights.safetensors; loading them never executes anything."""
        from safetensors.numpy import save

        folder.mkdir(parents=True, exist_ok=True)
        document = {
            "format": _MODEL_FORMAT,
            "synthesizer": self.name,
            "settings": dict(self.settings),
            "schema": self.schema.to_dict(),
            "codebook": self.codebook.to_dict(),
            "guarantee": self.guarantee.to_dict(),
            "entry_id": self.entry_id,
        }
        text = json.dumps(document, indent=1, default=str, ensure_ascii=False)
        (folder / "model.json").write_text(text, encoding="utf-8")
        (folder / "weights.safetensors").write_bytes(save(self.tensors()))

    def __repr__(self) -> str:
        spent = self.guarantee.epsilon_spent
        return f"{type(self).__name__}({self.schema.dataset.id!r}, epsilon spent {spent:.3g})"


@dataclass(frozen=True)
class SavedModel:
    """What a model folder holds, checked before anything is built from it."""

    settings: Mapping[str, Any]
    codebook: Codebook
    guarantee: Guarantee
    entry_id: str
    tensors: Mapping[str, Array]


@dataclass(frozen=True)
class Synthesizer(ABC):
    """A generator before its fit: its settings, which are public and can be logged."""

    name: ClassVar[str]

    @abstractmethod
    def requests(
        self, schema: Schema, n_units: int | None, budget: PrivacyBudget
    ) -> Sequence[Request]:
        """What a fit will ask of the records; n_units is None where the row count is private."""

    @abstractmethod
    def learn(self, train: Table, work: Work) -> FittedSynthesizer:
        """The fit itself, with nothing but the charged mechanisms between it and the records."""

    def fit(
        self,
        train: Table,
        budget: PrivacyBudget,
        *,
        ledger: Ledger | None = None,
        noise: NoiseSource | None = None,
        rng: np.random.Generator | None = None,
        progress: Progress = SILENT,
        note: str = "",
    ) -> FittedSynthesizer:
        """A fitted generator; the charge is in the ledger before the first record is read.

        BudgetError or SchemaError refuse a job whose claim could not hold. A fit that fails or is
        interrupted stays charged. `rng` is for tests and for fits without privacy: under a finite
        epsilon and secret noise all chance comes from the source of the noise.
        """
        require_fit_possible(train, budget)
        schema = train.schema
        progress.stage("planning the privacy budget")
        plan = calibrate(
            self.requests(schema, train.n_public_units, budget), budget, PrivacyUnit.of(schema)
        )
        require_visible_bounds(plan, train.n_public_units)
        noise = noise or SecretNoise()
        rng = _chance(budget, noise, rng)
        spending = (ledger or Ledger()).charge(plan, schema.dataset.id, note=note)
        guarantee = Guarantee.of(plan, noise, schema)
        try:
            fitted = self.learn(train.bounded(rng), Work(spending, guarantee, noise, rng, progress))
        except KeyboardInterrupt:
            spending.close("aborted")
            raise
        except BaseException:
            spending.close("failed")
            raise
        spending.close("done")
        return fitted


@dataclass(frozen=True)
class Work:
    """What a fit works with: the right to spend, the proof of it, noise, chance and an audience."""

    spending: Spending
    guarantee: Guarantee
    noise: NoiseSource
    rng: np.random.Generator
    progress: Progress

    @property
    def budget_note(self) -> str:
        """What the ledger holds for this fit, for those who watch it."""
        if not self.guarantee.is_private:
            return "no privacy"
        return f"epsilon {self.guarantee.epsilon_spent:.2f} charged"


synthesizers: Registry[type[Synthesizer]] = Registry("synthesizer")
fitted_synthesizers: Registry[type[FittedSynthesizer]] = Registry("fitted_synthesizer")


def _chance(
    budget: PrivacyBudget, noise: NoiseSource, rng: np.random.Generator | None
) -> np.random.Generator:
    """What a fit draws masks, rows of a person and all else from that is no noise.

    These are drawn record by record from one stream, so that one unit more shifts those of others.
    They stay independent of each other, and one unit moves a step by its clipped gradient alone, as
    long as nobody knows the stream: under a claim it is keyed by the secret source.
    """
    if budget.is_private and noise.is_secret:
        return np.random.default_rng(noise.words(4))
    return rng or np.random.default_rng()


def require_fit_possible(train: Table, budget: PrivacyBudget) -> None:
    """Refuse what would make the claim void, before anything is charged."""
    train.schema.require_learnable(budget.is_private)
    require_rows(train)
    require_constraints(train)
    if budget.is_private:
        budget.require_rows(train.n_units, public=train.n_public_units is not None)


def register_built_in() -> None:
    """Import the generators that come with the package, which registers them."""
    for module in _BUILT_IN:
        import_module(module)


def load_fitted(folder: str | Path) -> FittedSynthesizer:
    """The generator that was saved in a folder; ModelError if the files are not one."""
    from safetensors.numpy import load_file

    folder = Path(folder)
    _refuse_oversized(folder)
    try:
        document = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        tensors = load_file(folder / "weights.safetensors")
    except FileNotFoundError:
        raise ModelError(
            f"{folder} holds no model: model.json or weights.safetensors is missing"
        ) from None
    except Exception as error:
        raise ModelError(f"{folder}: the model cannot be read ({type(error).__name__})") from None
    if not isinstance(document, dict) or document.get("format") != _MODEL_FORMAT:
        raise ModelError(f"{folder}: not a model of the format {_MODEL_FORMAT}")
    try:
        schema = Schema.parse(document["schema"])
        saved = SavedModel(
            document["settings"],
            Codebook.from_dict(document["codebook"], schema),
            Guarantee.from_dict(document["guarantee"]),
            str(document["entry_id"]),
            tensors,
        )
        register_built_in()
        return fitted_synthesizers.get(document["synthesizer"]).restored(saved)
    except (LookupError, TypeError, ValueError, RuntimeError):
        raise ModelError(
            f"{folder}: the model file is damaged, or of an earlier version of privsynth; fit again"
        ) from None


def _refuse_oversized(folder: Path) -> None:
    """Refuse a model folder that would fill the memory of who opens it."""
    for name in ("model.json", "weights.safetensors"):
        file = folder / name
        if file.is_file() and file.stat().st_size > _LARGEST_MODEL_FILE:
            raise ModelError(f"{folder}: {name} is larger than a model of this package can be")


def completed(drawn: pa.Table, codebook: Codebook, rng: np.random.Generator) -> Table:
    """The drawn columns with fresh keys and fake text beside them, in the schema's order."""
    columns = {}
    for name in codebook.schema.released:
        column = codebook.schema.columns[name]
        if isinstance(column, IdColumn):
            columns[name] = _surrogates(drawn.num_rows, codebook.storage.get(name))
        elif isinstance(column, TextColumn):
            columns[name] = _fake_text(drawn.num_rows, str(column.provider), name, rng)
        else:
            columns[name] = drawn.column(name)
    return Table(codebook.schema, pa.table(columns), codebook.storage)


def _surrogates(n_rows: int, storage: pa.DataType | None) -> pa.Array:
    """Keys from a counter, never from real values; as text, since ids are text inside."""
    numeric = storage is not None and pa.types.is_integer(storage)
    pattern = "{}" if numeric else "S{:07d}"
    return pa.array([pattern.format(number) for number in range(1, n_rows + 1)], pa.string())


def _fake_text(n_rows: int, provider: str, name: str, rng: np.random.Generator) -> pa.Array:
    from faker import Faker

    fake = Faker()
    fake.seed_instance(int(rng.integers(2**62)))
    make = getattr(fake, provider, None)
    if not callable(make):
        raise SchemaError(f"column {name!r}: Faker has no provider {provider!r}")
    return pa.array([str(make()) for _ in range(n_rows)], pa.string())


def _draws_needed(n_missing: int, n_kept: int, n_drawn: int) -> int:
    """How many draws will give n_missing valid rows, at the rate seen so far."""
    rate = max(n_kept / n_drawn, 0.02) if n_drawn else 1.0
    return math.ceil(n_missing / rate * (1.05 if rate < 1 else 1.0)) + (8 if rate < 1 else 0)


def _refuse_hopeless(n_kept: int, n_drawn: int, n_rows: int, where: Collection[str]) -> None:
    """Stop when the constraints reject nearly every draw."""
    if n_drawn >= 20 * n_rows + 20_000 and n_kept < n_drawn // 100:
        with_values = f" with the values asked for {', '.join(where)}" if where else ""
        to_do = "ask for others" if where else "check that they hold in the records"
        raise ModelError(
            f"only {n_kept} of {n_drawn} draws{with_values} keep to the schema's constraints; "
            f"{to_do}, or relax the constraints"
        )
