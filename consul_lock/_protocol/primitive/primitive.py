"""What everything that can be held has in common: its life, its questions, its errors.

A primitive says in a few flows how it is acquired from Consul, released, and verified; the
rest (the queue inside the process, deadlines, losses, clean-up) is the same for all of them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.client.shared_session import SharedSession
from consul_lock._protocol.consul.error_budget import ErrorBudget
from consul_lock._protocol.consul.models import SessionOptions
from consul_lock._protocol.flow import Flow, Signal
from consul_lock._protocol.hold.hold import Attempt, Grant, Held, Hold
from consul_lock._protocol.hold.owners import Owners
from consul_lock._protocol.holder import Holder, Meta, OwnerInfo, merged_meta
from consul_lock._protocol.reporter import Listener
from consul_lock._protocol.session.session import Session
from consul_lock.errors import LockLost, LossReason, NotHeld


class Settings(NamedTuple):
    """What something that can be held is asked to be."""

    terms: SessionOptions
    shared: SharedSession | None = None
    fair: bool = False
    watch: bool = False
    meta: Meta = None
    command: str | None = None
    on_lost: Callable[[LossReason], Any] | None = None
    listeners: tuple[Listener, ...] = ()


class Primitive(Held):
    """Something that can be held, without its I/O: the flows behind both faces.

    One object may be shared by threads or tasks.
    """

    def __init__(self, client: ClientCore, name: str, key: str, settings: Settings) -> None:
        self.client = client
        self.name, self.key = name, key
        self.shared = settings.shared
        self.terms = settings.shared.terms if settings.shared else settings.terms
        self._metas = client.meta, settings.meta
        self._asks = any(callable(meta) for meta in self._metas)
        meta = merged_meta(*self._metas, asks=False)
        self._about = OwnerInfo(client.identity.about, self.terms, meta, settings.command)
        self.owners = Owners()
        self.watched = settings.watch
        self.on_lost = settings.on_lost
        self.reporter, self.listeners = client.reporter, settings.listeners
        self.listened = self.reporter.listens or bool(self.listeners)
        self._no_hold = client.new_signal()

    @property
    def about(self) -> OwnerInfo:
        """How this process describes itself."""
        found, identity = self._about, self.client.identity.about
        if found.identity is not identity:
            found = self._about = found.of(identity)
        return found

    @about.setter
    def about(self, about: OwnerInfo) -> None:
        self._about = about

    def about_now(self) -> OwnerInfo:
        """The same for an acquire that begins now: what it says of itself may be asked for.

        Raises `ConfigError`, and whatever a function raises that is asked.
        """
        if not self._asks:
            return self.about
        return self.about.saying(merged_meta(*self._metas, asks=True))

    def new_signal(self) -> Signal:
        return self.client.new_signal()

    # -- what each kind does in its own way ----------------------------------------------------

    @abstractmethod
    def attempt(self, owner: Any, blocking: bool, n: int = 1) -> Attempt:
        """A new attempt, for so much of it."""

    def refresh(self, attempt: Any) -> None:
        """What can be acquired may have changed since the attempt was made."""

    @abstractmethod
    def contend(self, attempt: Any) -> Flow[Grant | None]:
        """Get it from Consul.  None: it could not be acquired in time."""

    @abstractmethod
    def withdraw(self, attempt: Any, sessions: Sequence[Session]) -> Flow[list[Session]]:
        """Leave the queue, and release what was acquired.  Returns the sessions to destroy."""

    handed_on = False
    """It is common that one thread or task acquires it and another one releases it."""

    @abstractmethod
    def guarded(self, hold: Hold) -> Flow[list[dict[str, Any]] | None]:
        """Operations that refuse a transaction if it is not held.  None: it is not held."""

    @abstractmethod
    def who(self) -> Flow[Holder | None]:
        """Who holds it by Consul's word; None: nobody."""

    @abstractmethod
    def queue(self) -> Flow[list[Holder]]:
        """Who is in the queue, in order."""

    def patience_of(self, attempt: Attempt, wait: float | None) -> ErrorBudget:
        """How long an acquire goes on while Consul fails, and how long its requests may take.

        One that may not wait has the time in which a connection is made at the latest.
        """
        return ErrorBudget(
            self.client,
            within=wait if attempt.blocking else self.client.connect_timeout,
            retries=attempt.blocking,
            endless=lambda: attempt.in_queue,
            name=self.name,
        )

    @property
    def hold(self) -> Hold | None:
        """The latest acquisition of any owner, whatever its outcome."""
        return self.owners.latest

    def current(self, owner: Any) -> Hold | None:
        """The hold that a caller's questions are about."""
        return self.owners.asked(owner)

    def lost_error(self, hold: Hold) -> LockLost:
        """The error that says why a hold was lost."""
        reason, error = hold.reason or LossReason.DEADLINE, hold.renewal_error
        limited = reason is LossReason.REQUEST_LIMIT
        failed = "were refused by the server's request limit" if limited else "failed"
        why = "" if error is None else f"; its renewals {failed}: {error}"
        bound = (*self.terms.checks, *self.terms.service_checks)
        if reason is LossReason.SESSION_INVALID and bound:
            named = ", ".join(map(repr, bound))
            why += f"; its session was bound to the health checks {named}, and one may have failed"
        return LockLost(
            f"{self.name!r} was lost while it was held ({reason.value}{why}): somebody else may"
            " have held it since",
            hint=f"check with the fencing token {hold.token} what was written"
            + (", and use a longer ttl, or raise the limit" if limited else ""),
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
