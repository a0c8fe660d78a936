"""The re-entrant lock: its holder gets it again at once, and releases it as many times."""

from __future__ import annotations

from typing import Any
from weakref import ReferenceType

from consul_lock._protocol.arguments import waiting_time
from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.flow import Flow, Job, Now
from consul_lock._protocol.hold.hold import Hold
from consul_lock._protocol.keys import LockKeys
from consul_lock._protocol.lock.lock import LockCore
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.primitive.release import Release
from consul_lock.errors import LossReason, NotHeld


class RLockCore(LockCore):
    """A lock that is counted for the thread or task that holds it.

    Only the first acquire and the last release concern Consul.  Once it is lost, every acquire
    and every release of its owner says so, until it was released as many times as it was
    acquired: whichever of them the caller listens to, none pretends that all is well.
    """

    def __init__(self, client: ClientCore, keys: LockKeys, settings: Settings) -> None:
        super().__init__(client, keys, settings)
        self._levels: dict[Hold, list[object]] = {}
        """For each acquire after the first a mark of its own: taking away one that has gone
        already does nothing, so a release that was cut off can be finished."""

    def count(self, owner: Any) -> int:
        """How many times the caller has to release it."""
        hold = self._own(owner)
        return 0 if hold is None else 1 + len(self._levels.get(hold, ()))

    def _own(self, owner: Any) -> Hold | None:
        """What the caller has acquired and not released: it may be lost by now."""
        hold = self.owners.own(owner)
        # In a forked child it is the parent's, and the child waits for it like others.
        return None if hold is None or hold.reason is LossReason.FORKED else hold

    def acquire(self, blocking: bool, timeout: float | None, owner: Any, n: int = 1) -> Job[bool]:
        hold = self._own(owner)
        if hold is None:
            return super().acquire(blocking, timeout, owner, n)
        waiting_time(blocking, timeout)  # nonsense is refused, though nobody waits
        level = object()
        return Job(self._again(hold, level), lambda: self._back(hold, level))

    def _again(self, hold: Hold, level: object) -> Flow[bool]:
        now = yield Now()
        if not hold.counts(now):
            raise self.lost_error(hold)
        self._levels.setdefault(hold, []).append(level)
        return True

    def give_back(self, call: Release) -> Job[None]:
        hold = self._own(call.owner)
        levels = self._levels.get(hold) if hold else None
        if hold is None or not levels:
            return super().give_back(call)
        level = levels[-1]
        return Job(self._one_less(hold, level), lambda: self._back(hold, level))

    def _one_less(self, hold: Hold, level: object) -> Flow[None]:
        now = yield Now()
        yield from self._back(hold, level)
        if not hold.counts(now):
            raise self.lost_error(hold)

    def _back(self, hold: Hold, level: object) -> Flow[None]:
        """One level less, if that has not been done yet."""
        yield from ()
        levels = self._levels.get(hold, [])
        if level in levels:
            levels.remove(level)
        if not levels:
            self._levels.pop(hold, None)

    def released_by(self, owner: Any) -> Hold | None:
        hold = self.owners.last(owner)
        found = hold if hold is not None and not hold.over else self.owners.released_by(owner)
        if found is None or found.over or found.owner == owner:
            return found
        raise NotHeld(
            f"{self.name!r} was acquired by {_named(found.owner)}, another thread or task:"
            " nobody else can release it",
            kind="other-holder",
            key=self.key,
        )

    def entered_by(self, owner: Any) -> None:
        """No other thread or task can end its blocks: they are counted, and that is all."""

    left_by = released_by


def _named(owner: Any) -> str:
    """A task, which has a method for its name, or a thread."""
    alive = owner() if isinstance(owner, ReferenceType) else owner
    if alive is None:
        return "one that has ended"
    get_name = getattr(alive, "get_name", None)
    return repr(get_name() if get_name else getattr(alive, "name", alive))
