"""What everything that can be held has in common: its life, its questions, its errors.

A primitive says in a few flows how it is got from Consul, let go of, and looked after; the
rest (the queue inside the process, deadlines, losses, clean-up) is the same for all of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from consul_lock._protocol.arguments import waiting_time
from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.client.retry import GRACE, Patience
from consul_lock._protocol.client.shared_session import SharedSession
from consul_lock._protocol.consul.models import Found, Pair, Terms
from consul_lock._protocol.flow import Flow, Job, Now, Request, Signal
from consul_lock._protocol.hold.attempt import Attempt
from consul_lock._protocol.hold.hold import Grant, Hold
from consul_lock._protocol.hold.owners import Owners
from consul_lock._protocol.holder import About, Holder
from consul_lock._protocol.primitive.acquire import acquire
from consul_lock._protocol.primitive.guard import Op, guard
from consul_lock._protocol.primitive.release import Release, quietly, release
from consul_lock._protocol.primitive.undo import undo_acquire, undo_release
from consul_lock._protocol.session.session import Session
from consul_lock.errors import ConsulLockError, LockLost, LockTimeout, LossReason, NotHeld


class Settings(NamedTuple):
    """What something that can be held is asked to be."""

    terms: Terms
    shared: SharedSession | None = None
    fair: bool = False
    watch: bool = False
    meta: Mapping[str, str] | None = None
    command: str | None = None
    on_lost: Callable[[LossReason], Any] | None = None


class Primitive(ABC):
    """Something that can be held, without its I/O: the flows behind both faces.

    One object may be shared by threads or tasks.
    """

    rule: str
    """The ACL rule that is needed to write its keys."""

    def __init__(self, client: ClientCore, name: str, key: str, settings: Settings) -> None:
        self.client = client
        self.name, self.key = name, key
        self.shared = settings.shared
        self.terms = settings.shared.terms if settings.shared else settings.terms
        self.about = About(client.identity.about, self.terms, settings.meta, settings.command)
        self.owners = Owners()
        self.watched = settings.watch
        self.on_lost = settings.on_lost
        self._no_hold = client.new_signal()

    # -- what each kind does in its own way ----------------------------------------------------

    @abstractmethod
    def attempt(self, owner: Any, blocking: bool, n: int = 1) -> Attempt:
        """A new attempt, for so much of it."""

    def refresh(self, attempt: Any) -> None:  # noqa: B027 - most have nothing that changes
        """What there is to be had may have changed since the attempt was made."""

    @abstractmethod
    def contend(self, attempt: Any) -> Flow[Grant | None]:
        """Get it from Consul.  None: it was not to be had in time."""

    @abstractmethod
    def let_go(self, hold: Hold, *, patient: bool = True) -> Flow[LossReason | None]:
        """Give it back.  Returns why it was lost, if it turns out that it was."""

    @abstractmethod
    def withdraw(self, attempt: Any, sessions: Sequence[Session]) -> Flow[list[Session]]:
        """Leave the line, and let go of what was had.  Returns the sessions that must be ended."""

    @abstractmethod
    def tidy(self, attempt: Any, sessions: Sequence[Session]) -> Flow[None]:
        """Take away what an attempt or its hold left in Consul, now that its sessions ended."""

    handed_on = False
    """It is common that one thread or task acquires it and another one releases it."""

    def farewell(self, session: Session) -> list[Request]:
        """What lets go of it, should this session, which is about to be ended, hold it though
        nobody works under it."""
        return []

    ends_session = False
    """Its loss is the end of a session shared with others, too: that would go on holding what
    is left of it, for nobody."""

    leaves_traces = False
    """A hold that was lost leaves something in Consul, which `tidy` takes away."""

    @abstractmethod
    def proof(self, hold: Hold) -> list[dict[str, Any]]:
        """Operations that Consul refuses if it is not held any more."""

    def hints(self, hold: Hold) -> list[dict[str, Any]]:
        """Operations that are refused if there is something to be learnt beside that."""
        return []

    def learn(self, hold: Hold, timeout: float) -> Flow[None]:
        """A hint was refused: see what there is to be learnt."""
        yield from ()

    def disproved(self, hold: Hold, pairs: Sequence[Pair]) -> bool:
        """Whether what Consul answered to a proof that it did not refuse shows it lost."""
        return False

    def refuted(self, hold: Hold, refusal: str, timeout: float) -> Flow[LossReason | None]:
        """Why it is lost, now that Consul has refused a proof with this text."""
        return self.examine(hold, None, timeout)

    @abstractmethod
    def examine(self, hold: Hold, found: Found | None, timeout: float | None) -> Flow[Any]:
        """Why it is lost (a `LossReason`); None: it is held.  By a read that its ``look`` gave,
        else by one of its own."""

    @abstractmethod
    def look(self, hold: Hold, index: int, wait: float) -> Flow[Found]:
        """A blocking read that sees the loss."""

    @abstractmethod
    def guarded(self, hold: Hold) -> Flow[list[dict[str, Any]] | None]:
        """Operations that refuse a transaction if it is not held.  None: it is not held."""

    @abstractmethod
    def who(self) -> Flow[Holder | None]:
        """Who holds it by Consul's word; None: nobody."""

    @abstractmethod
    def line(self) -> Flow[list[Holder]]:
        """Who is in line, in order."""

    # -- acquiring -----------------------------------------------------------------------

    def acquire(self, blocking: bool, timeout: float | None, owner: Any, n: int = 1) -> Job[bool]:
        """Acquire.  The result is whether it was had."""
        wait = waiting_time(blocking, timeout)
        return self.acquiring(self.attempt(owner, wait != 0, n), wait)

    def acquiring(self, attempt: Attempt, wait: float | None) -> Job[bool]:
        """Acquire with an attempt that was made before."""
        return Job(
            acquire(self, attempt, wait),
            lambda: undo_acquire(self, attempt),
            lambda: attempt.patience.limit if attempt.patience else None,
        )

    def patience_of(self, attempt: Attempt, wait: float | None) -> Patience:
        """How long an acquire goes on while Consul fails, and how long its requests may take.

        One that may not wait has the time in which a connection is made at the latest.
        """
        return Patience(
            self.client,
            within=wait if attempt.blocking else self.client.connect_timeout,
            retries=attempt.blocking,
            endless=lambda: attempt.placed,
            name=self.name,
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
        asking = Patience(self.client, within=0.0 if limit is None else limit - GRACE - now)
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
        held = f"it is held by {found}" if found else "it is free just now, or in lock-delay"
        return LockTimeout(
            f"{self.name!r} was not to be had in {timeout:g} s: {held}",
            hint="wait longer, or see who waits with waiters()",
            kind="held" if found else "free",
            key=self.key,
            holder=found,
        )

    def session_for(self, attempt: Attempt) -> Flow[Session]:
        """The session to contend with: the shared one, or one of our own."""
        if self.shared is not None:
            return self.shared.open(attempt)
        return self.client.borrow(self.terms, attempt)

    @property
    def hold(self) -> Hold | None:
        """The latest acquisition, whatever became of it and whoever made it."""
        return self.owners.latest

    def current(self, owner: Any) -> Hold | None:
        """The hold that a caller's questions are about."""
        return self.owners.asked(owner)

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
        return Job(release(self, call), lambda: undo_release(self, call.hold))

    def leave(self, owner: Any, error: BaseException | None) -> Job[None]:
        """The end of a ``with`` block; if an exception ended it, that is the story."""
        job = self.give_back(Release(owner, lambda: self.left_by(owner), ends_block=True))
        return job if error is None else self.after(error, job)

    def after(self, error: BaseException, job: Job[None]) -> Job[None]:
        """Give it back after a body that failed with this exception, which goes on; that the
        lock was lost as well is a note of it."""
        return Job(quietly(job, error), job.undo)

    def lost_error(self, hold: Hold) -> LockLost:
        """The error that says why a hold was lost."""
        reason, error = hold.reason or LossReason.DEADLINE, hold.renewal_error
        why = "" if error is None else f"; its renewals failed: {error}"
        bound = (*self.terms.checks, *self.terms.service_checks)
        if reason is LossReason.SESSION_INVALID and bound:
            named = ", ".join(map(repr, bound))
            why += f"; its session was bound to the health checks {named}, and one may have failed"
        return LockLost(
            f"{self.name!r} was lost while it was held ({reason.value}{why}): somebody else may"
            " have held it since",
            hint=f"check with the fencing token {hold.token} what was written",
            reason=reason,
            last_error=error,
            key=self.key,
            session=hold.session.id,
        )

    # -- questions -----------------------------------------------------------------------

    def lost(self, owner: Any) -> Signal:
        """Set when the caller's latest hold is lost."""
        hold = self.current(owner)
        return hold.lost if hold else self._no_hold

    def ensure(self, now: float, owner: Any) -> Hold:
        """The hold, if it counts at this time; else `LockLost` or `NotHeld`."""
        hold = self.current(owner)
        if hold is None or hold.over:
            raise NotHeld(f"{self.name!r} is not held", kind="not-held", key=self.key)
        if not hold.counts(now):
            raise self.lost_error(hold)
        return hold

    def guard(self, operations: Iterable[Op], now: float, owner: Any) -> Job[list[Pair]]:
        """Write to Consul in a transaction that is refused without the lock."""
        return Job(guard(self, self.ensure(now, owner), tuple(operations)))

    def holder(self) -> Job[Holder | None]:
        """Who holds it by Consul's word; None: nobody."""
        return Job(self.who())

    def waiters(self) -> Job[list[Holder]]:
        """Who is in line, in order."""
        return Job(self.line())
