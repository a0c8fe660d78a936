"""The lock: one holder, first come, first served, with a fencing token."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from consul_lock._protocol.acquire import acquire
from consul_lock._protocol.asking import holder, waiters
from consul_lock._protocol.attempt import Attempt
from consul_lock._protocol.client import ClientCore
from consul_lock._protocol.flow import Flow, Job, Signal
from consul_lock._protocol.guard import Op, guard
from consul_lock._protocol.hold import Hold
from consul_lock._protocol.holder import About
from consul_lock._protocol.names import LockKeys
from consul_lock._protocol.records import Terms, key_rule
from consul_lock._protocol.release import Release, release
from consul_lock._protocol.session import Session
from consul_lock._protocol.shared import SharedSession
from consul_lock._protocol.state import State
from consul_lock._protocol.undo import undo_acquire, undo_release
from consul_lock._protocol.waiting import waiting_time
from consul_lock.errors import (
    ConsulLockError,
    LockLost,
    LockTimeout,
    LossReason,
    NotHeld,
)


class Settings(NamedTuple):
    """What a lock is asked to be."""

    terms: Terms
    shared: SharedSession | None = None
    fair: bool = False
    watch: bool = False
    meta: Mapping[str, str] | None = None
    command: str | None = None
    on_lost: Callable[[LossReason], Any] | None = None


class LockCore:
    """A lock without its I/O: the flows behind both faces.

    One object may be shared by threads or tasks; at most one of them holds it at a time.
    """

    def __init__(self, client: ClientCore, keys: LockKeys, settings: Settings) -> None:
        self.client = client
        self.name, self.key, self.base = keys
        self.fair = settings.fair
        self.shared = settings.shared
        self.terms = settings.shared.terms if settings.shared else settings.terms
        self.about = About(client.identity.about, self.terms, settings.meta, settings.command)
        self.write_rule = key_rule(self.key.removesuffix(".lock"))
        self.where = (self.key, self.base, self.write_rule)
        self.hold: Hold | None = None
        """The latest acquisition, whatever became of it."""
        self.watched = settings.watch
        self.on_lost = settings.on_lost
        self._no_hold = client.new_signal()
        self._untold: dict[Any, Hold] = {}
        """Holds that were lost, by owners who have not been told, as others came after them."""

    # -- acquiring -----------------------------------------------------------------------

    def acquire(self, blocking: bool, timeout: float | None, owner: Any) -> Job:
        """Acquire.  The result is whether it was had."""
        wait = waiting_time(blocking, timeout)
        attempt = Attempt(self.key, self.about, (self.terms, self.shared), owner, wait != 0)
        return Job(acquire(self, attempt, wait), lambda: undo_acquire(self, attempt))

    def enter(self, timeout: float | None, owner: Any) -> Job:
        """Acquire, or raise `LockTimeout`."""
        job = self.acquire(True, timeout, owner)
        return Job(self._enter(job.flow, timeout), job.undo)

    def _enter(self, acquiring: Flow[bool], timeout: float | None) -> Flow[None]:
        if (yield from acquiring):
            return
        found = yield from holder(self.client, self.key)
        held = f"it is held by {found}" if found else "it is free just now, or in lock-delay"
        raise LockTimeout(
            f"{self.name!r} was not to be had in {timeout:g} s: {held}; wait longer, or see who"
            " waits with waiters()",
            key=self.key,
            holder=found,
        )

    def session_for(self, attempt: Attempt) -> Flow[Session]:
        """The session to contend with: the shared one, or one of our own."""
        if self.shared is not None:
            return self.shared.open(attempt)
        return self.client.borrow(self.terms, attempt)

    def supersede(self, hold: Hold) -> None:
        """Remember the new hold, and the old one too if its loss was not told to its owner."""
        before = self.hold
        if before is not None and before.state is State.LOST and not before.told:
            self._untold[before.owner] = before
        self._untold.pop(hold.owner, None)
        self.hold = hold

    def hold_of(self, owner: Any) -> Hold | None:
        """What this caller releases: its own lost hold, else whatever is held.

        Any thread may release a lock, as it is a handle; but one whose lock was lost must not
        release the lock of whoever of this process came after it.
        """
        return self._untold.pop(owner, None) or self.hold

    # -- releasing -----------------------------------------------------------------------

    def release(self, owner: Any) -> Job:
        """Release.  Raises `NotHeld`, or `LockLost` if it was lost before."""
        call = Release(owner)
        return Job(release(self, call), lambda: undo_release(self, call.hold))

    def leave(self, owner: Any, failed: bool) -> Job:
        """The end of a ``with`` block; if that failed, its own exception is the story."""
        job = self.release(owner)
        return Job(_quietly(job), job.undo) if failed else job

    def lost_error(self, hold: Hold) -> LockLost:
        """The error that says why a hold was lost."""
        reason = hold.reason or LossReason.DEADLINE
        return LockLost(
            f"{self.name!r} was lost while it was held ({reason.value}): somebody else may have"
            f" held it since; check with the fencing token {hold.token} what was written",
            reason=reason,
            key=self.key,
            session=hold.session.id,
        )

    # -- questions -----------------------------------------------------------------------

    @property
    def lost(self) -> Signal:
        """Set when the latest hold is lost."""
        return self.hold.lost if self.hold else self._no_hold

    def ensure(self, now: float) -> Hold:
        """The hold, if it counts at this time; else `LockLost` or `NotHeld`."""
        hold = self.hold
        if hold is None or hold.over:
            raise NotHeld(f"{self.name!r} is not held", key=self.key)
        if not hold.counts(now):
            raise self.lost_error(hold)
        return hold

    def guard(self, operations: Iterable[Op], now: float) -> Job:
        """Write to Consul in a transaction that is refused without the lock."""
        return Job(guard(self, self.ensure(now), tuple(operations)))

    def holder(self) -> Job:
        """Who holds it by Consul's word; None: nobody."""
        return Job(holder(self.client, self.key))

    def waiters(self) -> Job:
        """Who is in line, in order."""
        return Job(waiters(self.client, self.base))


def _quietly(job: Job) -> Flow[None]:
    """Run a job whose errors would hide a better exception."""
    try:
        yield from job.flow
    except ConsulLockError:
        failed = True
    else:
        failed = False
    if failed and job.undo is not None:
        yield from job.undo()
