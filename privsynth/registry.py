"""A named, typed collection for each open extension point."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from privsynth.errors import UsageError

T = TypeVar("T")


class Registry(Generic[T]):
    """Things of one kind by name: built in by decorator, installed by entry point.

    >>> attacks = Registry[type]("attack")
    >>> @attacks.register("copies")
    ... class Copies: ...
    >>> attacks.names()
    ('copies',)
    """

    def __init__(self, noun: str, group: str | None = None) -> None:
        self.noun = noun
        self.group = group or f"privsynth.{noun}s"
        self._items: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """A decorator that adds what it decorates; a name can be taken once."""

        def add(item: T) -> T:
            if name in self._items:
                raise ValueError(f"{self.noun} {name!r} is registered twice")
            self._items[name] = item
            return item

        return add

    def get(self, name: str) -> T:
        """The item of that name; UsageError names the nearest known one otherwise."""
        if name in self._items:
            return self._items[name]
        for point in entry_points(group=self.group):
            if point.name == name:
                item: T = point.load()
                return item
        near = difflib.get_close_matches(name, self.names(), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(self.names())}"
        raise UsageError(f"no {self.noun} is called {name!r}{hint}")

    def names(self) -> tuple[str, ...]:
        """Every name, built in and installed, sorted."""
        installed = {point.name for point in entry_points(group=self.group)}
        return tuple(sorted(installed | set(self._items)))

    def items(self) -> Iterator[tuple[str, T]]:
        """Name and item, sorted by name."""
        return ((name, self.get(name)) for name in self.names())
