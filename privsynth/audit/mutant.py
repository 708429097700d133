"""What a defect planted on purpose is: a patch that is in force while the checks run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias
from unittest import mock

Patch: TypeAlias = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Mutant:
    """A defect by name, and the patch that plants it; `generators` are those that it can break.

    >>> Mutant("nothing", "no defect at all", contextmanager(lambda: iter([None]))).generators
    ()
    """

    name: str
    title: str
    patch: Patch
    generators: tuple[str, ...] = ()


MUTANTS: list[Mutant] = []
"""Every defect that can be planted; `mutants` fills it."""

ALL = ("marginal", "diffusion", "gan")
TRAINED = ("diffusion", "gan")


def mutant(name: str, title: str, *generators: str) -> Callable[[Callable[[], Any]], Patch]:
    """Keep the patch that a function returns as a mutant."""

    def keep(make: Callable[[], Any]) -> Patch:
        MUTANTS.append(Mutant(name, title, make, generators))
        return make

    return keep


def in_place_of(owner: Any, name: str, broken: Callable[..., Any]) -> Any:
    """`broken` gets what it replaces as its first argument."""
    right = getattr(owner, name)

    def call(*given: Any, **named: Any) -> Any:
        return broken(right, *given, **named)

    return mock.patch.object(owner, name, call)


def bound(right: Any, broken: Callable[..., Any]) -> Callable[..., Any]:
    """`broken` with what it replaces as its first argument."""

    def call(*given: Any) -> Any:
        return broken(right, *given)

    return call


@contextmanager
def both(one: Any, other: Any) -> Iterator[None]:
    """Two patches in force together."""
    with one, other:
        yield
