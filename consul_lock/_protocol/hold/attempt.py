"""One try to get something: all that its undo has to know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from consul_lock._protocol.client.retry import Patience
    from consul_lock._protocol.consul.models import Found, Terms
    from consul_lock._protocol.flow import Signal
    from consul_lock._protocol.hold.claim import Claim
    from consul_lock._protocol.hold.hold import Grant, Hold
    from consul_lock._protocol.hold.waiter import Entry, Remnant
    from consul_lock._protocol.holder import About
    from consul_lock._protocol.session.session import Session


class Attempt:
    """What one call of acquire has done so far."""

    def __init__(
        self,
        claims: tuple[Claim, ...],
        about: About,
        bond: tuple[Terms, Any],
        owner: Any,
        blocking: bool,
    ) -> None:
        self.claims = claims
        """What it asks for: nobody waits for what it has claimed itself."""
        self.rooms = claims
        """What it queues for inside the process."""
        self.about = about
        self.bond = bond
        """The terms of the session, and the session shared on purpose, if any: two attempts of
        the same bond can pass a session on."""
        self.owner = owner
        """The thread or task that asks."""
        self.blocking = blocking
        self.deadline: float | None = None
        """Until when to wait (driver's clock); None: for ever."""
        self.admitted = False
        """It has its turn inside the process."""
        self.signal: Signal | None = None
        """Set when it becomes this attempt's turn; made only if it has to wait."""
        self.given: Grant | None = None
        """What it wanted, passed on by the one before us in this process."""
        self.session: Session | None = None
        self.exposed = False
        """We have asked for it with this session: it may be ours, or become ours."""
        self.hold: Hold | None = None
        """What came of it."""
        self.complained = False
        """It was said that somebody has written over a lock that is waited for."""
        self.patience: Patience | None = None
        """How long it goes on while Consul fails; made when it begins."""

    @property
    def placed(self) -> bool:
        """Whether it has a place in a queue of Consul's, which it would lose."""
        return False

    @property
    def sessions(self) -> Sequence[Session]:
        """What was borrowed for it."""
        return [] if self.session is None else [self.session]

    def forget_sessions(self) -> None:
        """What was borrowed is given back."""
        self.session, self.exposed = None, False

    def forget_what_was_seen(self) -> None:
        """What was read may not be true any more."""


class LockAttempt(Attempt):
    """One try to get a lock, which may lead into its line."""

    def __init__(
        self,
        claims: tuple[Claim, ...],
        about: About,
        bond: tuple[Terms, Any],
        owner: Any,
        blocking: bool,
    ) -> None:
        super().__init__(claims, about, bond, owner, blocking)
        self.joined = False
        """We have asked to enter Consul's line with this session, whatever came of it."""
        self.queued = False
        """Our entry is in the waiting line of Consul, as far as we know."""
        self.first = False
        """Nobody is before us in that line."""
        self.ahead: Entry | None = None
        """Who is directly before us; None and not ``first``: not known."""
        self.before: tuple[Entry, ...] = ()
        """All who were before us when we read the queue last."""
        self.unseen: float | None = None
        """A time (driver's clock) before which nothing that we hold now was handed to us; None: we
        have not joined the queue yet with this session.  See `confirmation`."""
        self.idle: tuple[int, float] | None = None
        """The lock is free, or was handed to somebody who has not confirmed it: the ModifyIndex
        of its key (0: there is none) and when we were first told (driver's clock)."""
        self.barred = -1
        """The same ModifyIndex, if the lock was in lock-delay when we tried to take it."""
        self.dead: tuple[Remnant, ...] = ()
        """Entries of dead waiters in that line, to be deleted by what we write to it next."""
        self.seen: Found | None = None
        """The last read of the lock's key; None: not looked yet, or too long ago."""
        self.certain = False
        """That read cannot have been an old picture."""
        self.refused = False
        """Consul has refused us the lock at least once."""

    @property
    def placed(self) -> bool:
        return self.queued

    def forget_what_was_seen(self) -> None:
        self.seen = None

    def forget_place(self) -> None:
        """What we knew of our place in Consul's line is not true any more."""
        self.first, self.ahead, self.before, self.seen = False, None, (), None
