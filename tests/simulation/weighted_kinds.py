"""Locks with several holders, or in several places: each kind with the wishes of its users."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from consul_lock._protocol import keys as names
from consul_lock._protocol.flow import Job
from consul_lock._protocol.lock.lock import LockCore
from consul_lock._protocol.multilock.multilock import MultiLockCore
from consul_lock._protocol.primitive.lockable import Lockable
from consul_lock._protocol.weighted.rwlock import ReadWriteCore
from consul_lock._protocol.weighted.semaphore import SemaphoreCore
from consul_lock._protocol.weighted.tree import TreeCore
from consul_lock.errors import Conflict
from tests.simulation.consul_state import LOCKS, READ_WRITE, SEMAPHORE, WHOLE, Layout
from tests.simulation.lock_client import Contender, Thread, Wish, Wishes

_ROOM, _PAGE = "jobs/room", "jobs/page"
_NODES = ("jobs", "jobs/a", "jobs/a/b", "jobs/c")
_KEYS = ("jobs/x", "jobs/y", "jobs/z")

# Seconds to wait for more while one has something: two may wait for each other.
_HASTE = 0.4

MENU = 6
"""So many things there are to want, of each kind; some of them twice."""


class Kind(NamedTuple):
    """One kind of what can be held."""

    names: tuple[str, ...]
    layout: Layout
    menu: Callable[[Contender, int], Menu]
    """What one client may want; the number is the limit in the beginning."""
    documents: bool = True
    """It is in documents.  Else in keys that sessions lock, which Consul itself frees."""


class Menu:
    """What one client may want, and the objects that its threads share."""

    def __init__(self, contender: Contender, limit: int) -> None:
        self.contender = contender
        self.counts = contender.simulator.counts
        self.limit = limit
        self._made: dict[Any, Lockable] = {}

    def wish(self, number: int) -> Wish:
        """One of the things to want."""
        raise NotImplementedError

    def everything(self) -> tuple[Wish, ...]:
        """A user that has had these, one after the other, has met every part."""
        raise NotImplementedError

    def wishes(self, rounds: int) -> Wishes:
        """What the threads of this client want, as the plan has it."""
        asked = self.contender.asked.wishes

        def next_wish(thread: Thread, turn: int) -> Wish:
            wish = self.wish((asked[turn % len(asked)] + thread.place) % MENU)
            # In good weather at the end nobody changes how much there is.
            wish = wish._replace(first=None) if turn >= rounds else wish
            return wish._replace(refused=self.refused)

        return next_wish

    def refused(self, error: Conflict) -> bool:
        """Whether a conflict was to be expected."""
        return self.counts["trouble: foreign key"] > 0

    def make(self, what: Any, make: Callable[[], Lockable]) -> Any:
        """The object of this client for something."""
        if what not in self._made:
            self._made[what] = make()
        return self._made[what]


class SemaphoreMenu(Menu):
    """One slot, or several, or first another limit."""

    def __init__(self, contender: Contender, limit: int) -> None:
        super().__init__(contender, limit)
        self._first_limit = limit
        self.core = self._core(limit)

    def _core(self, limit: int) -> SemaphoreCore:
        return SemaphoreCore(self.contender.core, _ROOM, limit, self.contender.settings)

    def wish(self, number: int) -> Wish:
        core = self.core
        n = min((1, 2, 2, 1, 3, 1)[number], core.limit)
        inner = Wish(core, 1, {_ROOM: 1}, patience=_HASTE) if number == 3 else None
        wish = Wish(core, n, {_ROOM: n}, first=self._resize if number == 5 else None, inner=inner)
        if number == 4 or not self.contender.asked.numbers:
            return wish
        return wish._replace(ask=partial(self._number, core))

    def _number(self, core: SemaphoreCore, owner: Thread) -> Job:
        self.counts["asked for numbers"] += 1
        return core.slots(self.contender.clock(), owner)

    def _resize(self, owner: Thread) -> Job:
        self.counts["resizes"] += 1
        limit = self._first_limit + (0 if self.core.limit > self._first_limit else 1)
        self.contender.simulator.history.resizes(owner, _ROOM, limit)
        return self.core.resize(limit)

    def refused(self, error: Conflict) -> bool:
        if error.limit is None or not self.counts["resizes"]:
            return super().refused(error)
        self.counts["limit conflicts"] += 1
        self.core = self._core(error.limit)
        return True

    def everything(self) -> tuple[Wish, ...]:
        return (Wish(self.core, self.core.limit, {_ROOM: self.core.limit}, refused=self.refused),)


class ReadWriteMenu(Menu):
    """To read, to write, or to write first and read then."""

    def __init__(self, contender: Contender, limit: int) -> None:
        super().__init__(contender, limit)
        self._core = ReadWriteCore(contender.core, _PAGE, contender.settings)

    def wish(self, number: int) -> Wish:
        if number in (0, 1, 4):
            # A reader need not wait behind a writer that waits for it.
            read = Wish(self._core.reader, 1, {_PAGE: 1})
            return read._replace(inner=read) if number == 4 else read
        write = Wish(self._core.writer, 1, {_PAGE: WHOLE})
        if number == 5:
            return write._replace(then=self._downgrade, less={_PAGE: 1})
        return write

    def _downgrade(self, owner: Thread) -> Job:
        self.counts["downgrades"] += 1
        return self._core.writer.downgrade(self.contender.clock(), owner)

    def everything(self) -> tuple[Wish, ...]:
        return (self.wish(2),)


class TreeMenu(Menu):
    """A place in a tree: nobody else may have anything below it then, or above."""

    def wish(self, number: int) -> Wish:
        name = (*_NODES, "jobs/a/b", "jobs/c")[number]
        core = self.make(
            name,
            lambda: TreeCore(
                self.contender.core, names.keys_of_name(name), self.contender.settings
            ),
        )
        inner = self.wish(3)._replace(patience=_HASTE) if number == 4 else None
        above = {node: 1 for node in _NODES if name.startswith(node + "/")}
        return Wish(core, 1, {**above, name: WHOLE}, inner=inner)

    def everything(self) -> tuple[Wish, ...]:
        return tuple(self.wish(number) for number in range(len(_NODES)))


class MultiMenu(Menu):
    """Several locks at once, or one of them as a plain lock."""

    def wish(self, number: int) -> Wish:
        x, y, z = _KEYS
        wanted = ((x, y), (x, y, z), (z, y), (x,), (z, x), (y,))[number]
        wish = self._of(wanted, plain=number in (3, 5))
        if number == 3:
            wish = wish._replace(inner=self._of((y,), plain=True)._replace(patience=_HASTE))
        return wish

    def _of(self, wanted: tuple[str, ...], *, plain: bool) -> Wish:
        client, settings = self.contender.core, self.contender.settings
        core = self.make(
            wanted,
            lambda: (
                LockCore(client, names.keys_of_name(wanted[0]), settings)
                if plain
                else MultiLockCore(client, tuple(map(names.keys_of_name, wanted)), settings)
            ),
        )
        return Wish(core, 1, dict.fromkeys(wanted, 1))

    def everything(self) -> tuple[Wish, ...]:
        return tuple(self._of((name,), plain=True) for name in _KEYS)


KINDS = {
    "semaphore": Kind((_ROOM,), SEMAPHORE, SemaphoreMenu),
    "read/write": Kind((_PAGE,), READ_WRITE, ReadWriteMenu),
    "tree": Kind(_NODES, READ_WRITE, TreeMenu),
    "multi": Kind(_KEYS, LOCKS, MultiMenu, documents=False),
}
