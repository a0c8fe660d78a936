"""What a caller can do with something that can be held: acquire it, release it, ask about it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from consul_lock._protocol.arguments import waiting_time
from consul_lock._protocol.consul.error_budget import GRACE, ErrorBudget
from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.consul.operations import Op
from consul_lock._protocol.flow import Flow, Job, Now
from consul_lock._protocol.hold.hold import Attempt, Hold
from consul_lock._protocol.holder import Holder
from consul_lock._protocol.primitive.abandoned import release_abandoned
from consul_lock._protocol.primitive.acquire import acquire
from consul_lock._protocol.primitive.guard import guard
from consul_lock._protocol.primitive.primitive import Primitive
from consul_lock._protocol.primitive.release import Release, release, suppress_lock_errors
from consul_lock._protocol.primitive.undo import finish_release, undo_acquire
from consul_lock._protocol.session.session import Session
from consul_lock.errors import ConsulLockError, LockTimeout


class Lockable(Primitive):
    """Something that can be held, with all that a caller can do: each as a `Job`."""

    unheld = "it is free just now, or in lock-delay"
    """How it stands if nobody is shown as its holder."""

    # -- acquiring -----------------------------------------------------------------------

    def acquire(self, blocking: bool, timeout: float | None, owner: Any, n: int = 1) -> Job[bool]:
        """Acquire.  The result is whether it was acquired."""
        wait = waiting_time(blocking, timeout)
        return self.acquiring(self.attempt(owner, wait != 0, n), wait)

    def acquiring(self, attempt: Attempt, wait: float | None) -> Job[bool]:
        """Acquire with an attempt that was made before."""
        return Job(
            acquire(self, attempt, wait),
            lambda: undo_acquire(self, attempt),
            lambda: attempt.patience.limit if attempt.patience else None,
        )

    def enter(self, timeout: float | None, owner: Any, n: int = 1) -> Job[None]:
        """Acquire, or raise `LockTimeout`."""
        job = self.acquire(True, timeout, owner, n)
        return Job(self._enter(job, timeout, owner), job.undo, job.limit)

    def _enter(self, job: Job[bool], timeout: float | None, owner: Any) -> Flow[None]:
        yield from self.had(job, timeout)
        self.entered_by(owner)

    def had(self, job: Job[bool], timeout: float | None) -> Flow[None]:
        """Acquire, or raise `LockTimeout`, which says who is in the way."""
        if (yield from job.flow):
            return
        now = yield Now()
        limit = job.limit()
        asking = ErrorBudget(self.client, within=0.0 if limit is None else limit - GRACE - now)
        try:
            error = yield from asking.bound(self.not_had(timeout))
        except ConsulLockError:
            error = LockTimeout(
                f"{self.name!r} could not be acquired within {timeout:g} s, and Consul did not say"
                " in time who holds it",
                kind="unknown-holder",
                key=self.key,
            )
        raise error

    def not_had(self, timeout: float | None) -> Flow[LockTimeout]:
        """The error for what could not be acquired in time."""
        found = yield from self.who()
        held = f"it is held by {found}" if found else self.unheld
        return LockTimeout(
            f"{self.name!r} could not be acquired within {timeout:g} s: {held}",
            hint="wait longer, or see who waits with waiters()",
            kind="held" if found else "free",
            key=self.key,
            holder=found,
        )

    def session_for(self, attempt: Attempt) -> Flow[Session]:
        """The session to contend with: the shared one, or one of its own."""
        if self.shared is not None:
            return self.shared.open(attempt)
        return self.client.borrow(self.terms, attempt)

    # -- whose it is -----------------------------------------------------------------------

    def released_by(self, owner: Any) -> Hold | None:
        """What a caller's release gives back."""
        return self.owners.released_by(owner)

    def left_by(self, owner: Any) -> Hold | None:
        """What the end of a caller's block gives back."""
        return self.owners.leave(owner)

    def entered_by(self, owner: Any) -> None:
        """A caller begins a block with what it has just acquired."""
        self.owners.enter(owner)

    # -- releasing -----------------------------------------------------------------------

    def release(self, owner: Any) -> Job[None]:
        """Release.  Raises `NotHeld`, or `LockLost` if it was lost before."""
        return self.give_back(Release(owner, lambda: self.released_by(owner)))

    def release_own(self, owner: Any) -> Job[None]:
        """The same, but nothing that anybody else has acquired."""
        return self.give_back(Release(owner, lambda: self.owners.last(owner)))

    def give_back(self, call: Release) -> Job[None]:
        """Release what the call finds."""
        return Job(release(self, call), lambda: finish_release(self, call))

    def leave(self, owner: Any, error: BaseException | None) -> Job[None]:
        """The end of a ``with`` block; if an exception ended it, that is the story."""
        job = self.give_back(Release(owner, lambda: self.left_by(owner), ends_block=True))
        return job if error is None else self.after(error, job)

    def after(self, error: BaseException, job: Job[None]) -> Job[None]:
        """Give it back after a body that failed with this exception, which goes on; that the
        lock was lost as well is a note of it."""
        return Job(suppress_lock_errors(job, error), job.undo)

    def release_abandoned(self, session_ids: Iterable[str]) -> Job[None]:
        """Release it for a process that has died, whose sessions these are."""
        return Job(release_abandoned(self, tuple(session_ids)))

    # -- questions -----------------------------------------------------------------------

    def guard(self, operations: Iterable[Op], now: float, owner: Any) -> Job[list[Pair]]:
        """Write to Consul in a transaction that is refused without the lock."""
        return Job(guard(self, self.ensure(now, owner), tuple(operations)))

    def holder(self) -> Job[Holder | None]:
        """Who holds it by Consul's word; None: nobody."""
        return Job(self.who())

    def waiters(self) -> Job[list[Holder]]:
        """Who is in the queue, in order."""
        return Job(self.queue())
