"""What is to be locked, and the object of the library that it stands for."""

from __future__ import annotations

import enum
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from consul_lock.limits import HEARTBEAT_MAX, HEARTBEAT_MIN
from consul_lock_cli.base.durations import show_duration
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.text import shown

if TYPE_CHECKING:
    from consul_lock import (
        Client,
        Election,
        Holder,
        Lock,
        LossReason,
        MultiLock,
        ReadLock,
        Semaphore,
        WriteLock,
    )

    Lockable: TypeAlias = Lock | Semaphore | ReadLock | WriteLock | MultiLock | Election


# Characters of a command with its arguments: with the rest that is said of a holder it has to fit
# into its record, beside that of each waiter.
_PUBLISHED_MAX = 500


class LockKind(enum.StrEnum):
    """The kinds of locks.  The command finds its own in CONSUL_LOCK_MODE."""

    LOCK = "lock"
    SEMAPHORE = "semaphore"
    SHARED = "shared"
    EXCLUSIVE = "exclusive"
    MULTI = "multi"
    TREE = "tree"
    LEADER = "leader"


class Place(NamedTuple):
    """A name that is taken, and how."""

    key: str
    shared: bool = False


class LockSpec(NamedTuple):
    """What is to be locked, and what its session is to be.  Times are seconds."""

    keys: tuple[str, ...]
    mode: LockKind = LockKind.LOCK
    limit: int | None = 1
    """How many may hold it at once; None: as many as come."""
    ttl: float = 10.0
    lock_delay: float = 30.0
    heartbeat: float | None = None
    checks: tuple[str, ...] = ()
    service_checks: tuple[str, ...] = ()
    meta: Mapping[str, str] = {}
    value: str = ""
    """What a leader has to say."""
    publish_command: bool = False
    """Whether others see the arguments of the command: there may be secrets among them."""

    @property
    def title(self) -> str:
        """Its name, for people."""
        return ", ".join(shown(key) for key in self.keys)

    @property
    def one_of_it(self) -> str:
        """The same, where one of its names is meant."""
        return self.title if len(self.keys) == 1 else f"one of {self.title}"

    @property
    def tree(self) -> bool:
        """Whether nodes above its own are held with it."""
        return self.mode is LockKind.TREE

    @property
    def frees_after(self) -> float:
        """Seconds after which Consul gives away what a dead host held."""
        dead = 2 * (self.ttl if self.heartbeat is None else self.heartbeat)
        return dead + self.lock_delay

    def places(self) -> Iterator[Place]:
        """Every name that it takes; a tree lock shares those above its own."""
        if self.mode is LockKind.TREE:
            parts = self.keys[0].split("/")
            yield from (Place("/".join(parts[:n]), True) for n in range(1, len(parts)))
        yield from (Place(key, self.mode is LockKind.SHARED) for key in self.keys)

    @property
    def rule(self) -> str:
        """All that a token needs for it, as rules of Consul's ACLs."""
        tree = self.mode is LockKind.TREE
        tops = dict.fromkeys(key.partition("/")[0] if tree else key for key in self.keys)
        rules = [('session_prefix ""'), *(f'key_prefix "{top}/"' for top in tops)]
        if self.heartbeat is not None:
            rules.append('service "consul-lock"')
        return " ".join(f'{rule} {{ policy = "write" }}' for rule in rules)

    def check(self) -> None:
        """Raise `Misuse` for what cannot be locked."""
        if not self.keys:
            raise Misuse("no --key: which lock?", "consul-lock run --key NAME -- COMMAND")
        for key in self.keys:
            if self.keys.count(key) > 1:
                raise Misuse(f'--key "{shown(key)}" is given twice', "name each lock once")
            above = next((k for k in self.keys if key.startswith(f"{k}/")), None)
            if above is not None:
                raise Misuse(
                    f'of two keys, "{shown(above)}" is above "{shown(key)}"',
                    "these locks do not exclude each other: leave one out",
                )
        beat = self.heartbeat
        if beat is not None and not HEARTBEAT_MIN <= beat <= HEARTBEAT_MAX:
            raise Misuse(f"--heartbeat {show_duration(beat)} is out of range", "use 500ms to 60s")

    def published(self, command: Sequence[str]) -> str:
        """What others see of the command."""
        if not command:
            return ""
        return shown(shlex.join(command), _PUBLISHED_MAX) if self.publish_command else command[0]

    def make(
        self, client: Client, *, program: str, on_lost: Callable[[LossReason], Any] | None = None
    ) -> Lockable:
        """The object to acquire; nothing is sent yet.  Raises `Misuse` for bad settings."""
        import consul_lock

        options = {"client": client, **self.options(program, on_lost)}
        try:
            return self._made(consul_lock, options)
        except consul_lock.ConfigError as error:
            # It is about what was typed, as nothing else goes into it.
            raise Misuse(str(error)) from error

    def options(
        self, program: str, on_lost: Callable[[LossReason], Any] | None = None
    ) -> dict[str, Any]:
        """The options of the library for the session, and the description of this process."""
        return {
            "ttl": self.ttl,
            "lock_delay": self.lock_delay,
            "heartbeat": self.heartbeat,
            "checks": self.checks,
            "service_checks": self.service_checks,
            "meta": dict(self.meta) or None,
            "watch": True,
            "command": shown(program, _PUBLISHED_MAX if self.publish_command else 200),
            "on_lost": on_lost,
        }

    def _made(self, library: Any, options: dict[str, Any]) -> Lockable:
        name = self.keys[0]
        makers: dict[LockKind, Callable[[], Lockable]] = {
            LockKind.LOCK: lambda: library.Lock(name, **options),
            LockKind.TREE: lambda: library.Lock(name, tree=True, **options),
            LockKind.SEMAPHORE: lambda: library.Semaphore(name, self.limit, **options),
            LockKind.SHARED: lambda: library.ReadWriteLock(name, **options).read(),
            LockKind.EXCLUSIVE: lambda: library.ReadWriteLock(name, **options).write(),
            LockKind.MULTI: lambda: library.MultiLock(self.keys, **options),
            LockKind.LEADER: lambda: library.Election(name, **options),
        }
        return makers[self.mode]()

    def acquire(self, lock: Lockable, timeout: float | None) -> bool:
        """Whether it was acquired within so many seconds; None: wait for ever."""
        if self.mode is not LockKind.LEADER:
            return lock.acquire(timeout=timeout)
        from consul_lock import LockTimeout

        election: Any = lock
        try:
            election.campaign(self.value, timeout)
        except LockTimeout:
            return False
        return True


def slot_of(lock: Lockable) -> int:
    """The index of the semaphore slot that is held.  Consul is asked for it."""
    semaphore: Any = lock
    (number,) = semaphore.slots()
    return int(number)


def who_holds(lock: Lockable) -> list[Holder]:
    """Everybody who holds it, or a part of it, by Consul's word."""
    everybody = getattr(lock, "holders", None)
    if everybody is None:
        holder = lock.holder()
        return [] if holder is None else [holder]
    found = everybody()
    return list(found.values()) if isinstance(found, dict) else list(found)
