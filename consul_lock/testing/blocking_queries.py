"""Blocking queries that wait for a change."""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import NamedTuple

from consul_lock.testing.radix_tree import LeafWatch, Watch
from consul_lock.testing.responses import Answer
from consul_lock.testing.virtual_time import Event


class Reading(NamedTuple):
    """What a query found: at which index, the answer, and what would change it."""

    at: int
    answer: Answer
    watch: Callable[[], Watch]
    missing: bool = False
    """There is nothing of what was asked for."""


class Query(NamedTuple):
    """A read that may wait: until the index is above ``minimum``, at most ``wait`` seconds."""

    read: Callable[[], Reading]
    watchers: Watchers
    minimum: int = 0
    wait: float = 0.0
    stale: bool = False
    """Any server may answer, so it needs no leader."""


class Waiting:
    """A query that waits."""

    __slots__ = ("deadline", "finish", "minimum", "missed", "query", "reading", "watch")

    def __init__(self, query: Query, reading: Reading, finish: Callable[[Answer], None]) -> None:
        self.query = query
        self.reading = reading
        self.finish = finish
        self.minimum = query.minimum
        self.missed = False
        """It has read already that there is nothing."""
        self.watch = reading.watch()
        self.deadline: Event | None = None


class Watchers:
    """The waiting queries of one table, in the order in which they came."""

    def __init__(self) -> None:
        self._leaves: dict[str, dict[Waiting, None]] = {}
        self._others: dict[Waiting, None] = {}

    def add(self, waiting: Waiting) -> None:
        """Let it wait for its watch."""
        watch = waiting.watch
        if isinstance(watch, LeafWatch):
            self._leaves.setdefault(watch.key, {})[waiting] = None
        else:
            self._others[waiting] = None

    def remove(self, waiting: Waiting) -> None:
        """Let it wait no longer; nothing happens if it does not."""
        watch = waiting.watch
        if not isinstance(watch, LeafWatch):
            self._others.pop(waiting, None)
        elif (leaves := self._leaves.get(watch.key)) is not None:
            leaves.pop(waiting, None)
            if not leaves:
                del self._leaves[watch.key]

    def all(self) -> list[Waiting]:
        """Everything that waits."""
        return [w for leaves in self._leaves.values() for w in leaves] + list(self._others)

    def woken(self, changed: Set[str]) -> list[Waiting]:
        """What a write to these keys wakes.  It stays in the list until it is removed."""
        woken = [waiting for key in sorted(changed) for waiting in self._leaves.get(key, ())]
        if self._others:
            woken += [waiting for waiting in self._others if waiting.watch.woken(changed)]
        return woken
