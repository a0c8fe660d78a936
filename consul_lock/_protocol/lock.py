"""The lock: one holder, first come, first served, with a fencing token."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from consul_lock._protocol import line as lines
from consul_lock._protocol import terms as rules
from consul_lock._protocol.attempt import Attempt
from consul_lock._protocol.client import ClientCore
from consul_lock._protocol.contend import contend
from consul_lock._protocol.flow import Flow, Job, Now, Signal, Spawn, Wait
from consul_lock._protocol.guard import Op, guard
from consul_lock._protocol.handover import let_go
from consul_lock._protocol.hold import Grant, Hold
from consul_lock._protocol.holder import About, Holder, parse
from consul_lock._protocol.names import LockKeys
from consul_lock._protocol.records import Pair, Terms, key_rule
from consul_lock._protocol.session import Session
from consul_lock._protocol.shared import SharedSession
from consul_lock._protocol.state import Event, State
from consul_lock._protocol.undo import undo_acquire, undo_release
from consul_lock._protocol.watch import watch
from consul_lock.errors import (
    AlreadyHeld,
    ConfigError,
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
        self._watched = settings.watch
        self._on_lost = settings.on_lost
        self._no_hold = client.new_signal()
        self._untold: dict[Any, Hold] = {}
        """Holds that were lost, by owners who have not been told, as others came after them."""

    # -- acquiring -----------------------------------------------------------------------

    def acquire(self, blocking: bool, timeout: float | None, owner: Any) -> Job:
        """Acquire.  The result is whether it was had."""
        wait = waiting_time(blocking, timeout)
        attempt = Attempt(self.key, self.about, (self.terms, self.shared), owner, wait != 0)
        return Job(self._acquire(attempt, wait), lambda: undo_acquire(self, attempt))

    def enter(self, timeout: float | None, owner: Any) -> Job:
        """Acquire, or raise `LockTimeout`."""
        job = self.acquire(True, timeout, owner)
        return Job(self._enter(job.flow, timeout), job.undo)

    def _enter(self, acquiring: Flow[bool], timeout: float | None) -> Flow[None]:
        if (yield from acquiring):
            return
        holder = yield from self._holder()
        held = f"it is held by {holder}" if holder else "it is free just now, or in lock-delay"
        raise LockTimeout(
            f"{self.name!r} was not to be had in {timeout:g} s: {held}; wait longer, or see who"
            " waits with waiters()",
            key=self.key,
            holder=holder,
        )

    def _acquire(self, attempt: Attempt, wait: float | None) -> Flow[bool]:
        if wait:
            now = yield Now()
            attempt.deadline = now + wait
        if not (yield from self._turn(attempt)):
            return False
        while True:
            grant = attempt.given
            attempt.given = None
            if grant is None or grant.session.gone:
                grant = yield from contend(self, attempt)
            if grant is None:
                yield from self.abandon(attempt)
                return False
            if (yield from self.begin(attempt, grant)):
                return True

    def _turn(self, attempt: Attempt) -> Flow[bool]:
        """Wait until nobody of this process is before us."""
        turns = self.client.turns
        occupant = turns.enter(attempt)
        if occupant is None:
            return True
        if not attempt.blocking:
            return False
        if occupant.owner == attempt.owner:
            raise AlreadyHeld(
                f"{self.name!r} is held by this very thread or task, which would wait for itself"
                " for ever; release it first, or use blocking=False",
                key=self.key,
            )
        while not turns.has(attempt):
            remaining = None
            if attempt.deadline is not None:
                now = yield Now()
                remaining = attempt.deadline - now
                if remaining <= 0:
                    turns.leave(attempt)
                    return False
            assert attempt.signal is not None
            yield Wait(attempt.signal, remaining)
        return True

    def session_for(self, attempt: Attempt) -> Flow[Session]:
        """The session to contend with: the shared one, or one of our own."""
        if self.shared is not None:
            return self.shared.open()
        return self.client.borrow(self.terms, attempt)

    def begin(self, attempt: Attempt, grant: Grant) -> Flow[bool]:
        """It is granted: from now on it counts.  False if its time is over already."""
        hold = Hold(self.where, grant, attempt, self.client.new_signal, self._on_lost)
        now = yield Now()
        if not hold.counts(now):
            # We were paused for so long that somebody else may hold it by now.
            yield from self.client.pool.destroy(grant.session)
            return False
        with self.client.mutex:
            attempt.hold = hold
            self._supersede(hold)
            self.client.holds[hold] = None
        self.client.note(self.key, crowded=grant.crowded)
        if self._watched:
            yield Spawn(watch(self.client, hold), "consul-lock-watch")
        return True

    def _supersede(self, hold: Hold) -> None:
        before = self.hold
        if before is not None and before.state is State.LOST:
            self._untold[before.owner] = before
        self._untold.pop(hold.owner, None)
        self.hold = hold

    def abandon(self, attempt: Attempt) -> Flow[None]:
        """It was not to be had: give back what was borrowed for it."""
        session = attempt.session
        if session is not None:
            if session.doubtful and not session.shared:
                yield from self.client.pool.destroy(session)
            now = yield Now()
            self.client.pool.give_back(session, now)
        self.client.turns.leave(attempt)

    # -- releasing -----------------------------------------------------------------------

    def release(self, owner: Any) -> Job:
        """Release.  Raises `NotHeld`, or `LockLost` if it was lost before."""
        hold = self._released_by(owner)
        if hold is None:
            return Job(_nothing())
        return Job(self.end(hold), lambda: undo_release(self, hold))

    def leave(self, owner: Any, failed: bool) -> Job:
        """The end of a ``with`` block; if that failed, its own exception is the story."""
        try:
            job = self.release(owner)
        except (LockLost, NotHeld):
            if failed:
                return Job(_nothing())
            raise
        return Job(_quietly(job.flow), job.undo) if failed else job

    def _released_by(self, owner: Any) -> Hold | None:
        with self.client.mutex:
            untold = self._untold.pop(owner, None)
            hold = untold or self.hold
            if hold is None or hold.over:
                raise NotHeld(f"{self.name!r} is not held, so it cannot be released", key=self.key)
            if hold.reason is LossReason.FORKED:
                warnings.warn(
                    f"{self.name!r} is held by the parent of this process; releasing it here does"
                    " nothing",
                    RuntimeWarning,
                    stacklevel=5,
                )
                return None
            if hold is self.hold and hold.state is State.LOST:
                hold.told = True
            if hold.advance(Event.RELEASE):
                self.client.holds.pop(hold, None)
                return hold
        raise self.lost_error(hold)

    def end(self, hold: Hold) -> Flow[None]:
        """Let go of a hold that is being released."""
        reason = yield from let_go(self.client, hold)
        with self.client.mutex:
            hold.advance(Event.CONFIRM if reason is None else Event.TOO_LATE)
            hold.reason = reason
        if reason is not None:
            yield from self.client.pool.destroy(hold.session)
            self.client.turns.leave(hold.attempt)
            raise self.lost_error(hold)
        now = yield Now()
        self.finish(hold, now)

    def finish(self, hold: Hold, now: float) -> None:
        """The server said yes: session and turn go to whoever wants them next."""
        if hold.session.borrower is hold.attempt:
            self.client.pool.give_back(hold.session, now)
            if hold.session.gone:
                self.client.wake.set()
        self.client.turns.leave(hold.attempt)
        self.client.note(self.key, crowded=hold.crowded)

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
        return Job(self._holder())

    def _holder(self) -> Flow[Holder | None]:
        found = yield from self.client.wire.get(self.key)
        pair = found.pair
        if pair is None or not pair.session:
            return None
        return parse(pair.session, pair.value, pair.modify_index)

    def waiters(self) -> Job:
        """Who is in line, in order."""
        return Job(self._waiters())

    def _waiters(self) -> Flow[list[Holder]]:
        found = yield from self.client.wire.tree(self.base)
        entries = lines.read(self.base, found.pairs).entries
        return [parse(entry.session, entry.about) for entry in entries]


def waiting_time(blocking: bool, timeout: float | None) -> float | None:
    """Seconds to wait for a lock: None for ever, 0.0 not at all.  As `threading.Lock` has it."""
    if not blocking:
        if timeout is not None and timeout != -1:
            raise ConfigError(f"timeout={timeout!r} makes no sense with blocking=False")
        return 0.0
    if timeout is None or timeout == -1:
        return None
    seconds = rules.number("timeout", timeout)
    if seconds < 0:
        raise ConfigError(f"timeout={timeout!r} is negative; None waits for ever")
    return seconds


def _nothing() -> Flow[None]:
    yield from ()


def _quietly(flow: Flow[None]) -> Flow[None]:
    try:
        yield from flow
    except ConsulLockError:
        return  # the block's own exception is under way, and says more
