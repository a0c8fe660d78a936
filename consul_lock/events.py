"""What happens to locks, for listeners: ``Client(on_event=...)``, or ``on_event=`` of one lock.

    def listen(event: Event) -> None:
        if isinstance(event, Lost):
            alert(f"{event.name} was lost: {event.reason.value}")

    client = Client(on_event=listen)

Each event is a small object that never changes.  Its ``event`` is a name that stays the same, for
those who sort by names: so `Acquired` is "acquired", as the command line has it in its log.

An acquire is `Waiting` (if it has to wait), then `Acquired` or `GaveUp`.  What was acquired ends in
one `Released` or one `Lost`, and in nothing else.  All of them have the same ``attempt``, a number
that is unique in this process, by which they can be matched.  An election says `Elected` and
`Resigned` for `Acquired` and `Released`, which are their base classes, so that a listener for all
kinds of locks need not know elections.  The run lock of a `CronGuard` is a lock of kind "cron",
which each host also acquires for a moment to look whether there is anything to be run; what became
of a slot is said by the events that begin with ``Slot``.

``Client(meta=...)`` is what all locks of a client say of themselves to others, beside their own
``meta=``: strings by names, or a function that returns them.  It is called at each acquire, by the
thread or task that acquires, so that a tracer can put its ``traceparent`` there.  It comes back in
``meta`` of the events of that acquire, and in ``holder.meta`` of the events of others.

Listeners are called in order, by a thread of their own, some time after the event (``at`` says
when it was): an ``async def`` one, in asyncio alone, by a task.  Up to 1000 events wait for them;
after that the oldest are dropped, which ``Client.events_dropped`` counts.  What a listener raises
changes nothing: it is logged once, and counted by ``Client.listener_errors``.

No event has an ACL token in it; ``token`` is the fencing token.  This module loads nothing heavy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from consul_lock.errors import ConsulLockError, LossReason

if TYPE_CHECKING:
    from consul_lock._protocol.holder import Holder

__all__ = [
    "Acquired",
    "Elected",
    "Event",
    "GaveUp",
    "HandedOver",
    "Lost",
    "Released",
    "RenewalFailing",
    "RenewalWorks",
    "Resigned",
    "Retrying",
    "SlotEnded",
    "SlotEvent",
    "SlotMissed",
    "SlotSkipped",
    "SlotStarted",
    "SlotTaken",
    "Waiting",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What all events have.  Durations are in seconds."""

    event: ClassVar[str] = ""
    """The name of the event."""
    name: str = ""
    """The name of the lock; "" if it is about all locks of the client."""
    kind: str = ""
    """"lock", "semaphore", "read-write" (a tree lock as well), "multilock", "election", "cron", or
    "client": it is about all its locks."""
    key: str = ""
    """The key in Consul that is the lock."""
    session: str = ""
    """Id of the Consul session; "": there is none (yet)."""
    token: int | None = None
    """The fencing token; None: it is not held (yet)."""
    holder: Holder | None = None
    """The other one, if it is known: see each event.  Its ``meta`` is what that one says of itself,
    such as a ``traceparent``."""
    attempt: int = 0
    """The number of the acquire, unique in this process; 0: it is about none."""
    meta: Mapping[str, str] = field(default_factory=dict)
    """What this lock says of itself to others, by ``meta=`` of the lock and of the client."""
    at: float = 0.0
    """When it happened: seconds since the epoch, by the clock of this host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting(Event):
    """An acquire has to wait; ``holder`` is who holds it, as far as is known at that moment.

    One that gets it at once says nothing of the kind, and `Acquired` has ``waited`` for both.
    """

    event = "waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquired(Event):
    """It was acquired; ``holder`` is who was seen to hold it before, None if nobody was."""

    event = "acquired"
    waited: float = 0.0
    """Seconds since the acquire began."""
    handed_over: bool = False
    """The holder before has handed it over; else it was free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Elected(Acquired):
    """This candidate leads."""

    event = "elected"


@dataclass(frozen=True, slots=True, kw_only=True)
class GaveUp(Event):
    """An acquire has ended without the lock; ``holder`` is who was in the way, if it is known."""

    event = "gave-up"
    waited: float = 0.0
    """Seconds since the acquire began."""
    why: str = "timeout"
    """"timeout" (also of one that does not wait at all), "error", or "cut-off": by Ctrl-C, a
    cancellation, or any other exception that is not Consul's."""
    error: ConsulLockError | None = None
    """The error that it was given up for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Released(Event):
    """It was released."""

    event = "released"
    held: float = 0.0
    """Seconds for which it was held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resigned(Released):
    """This candidate has resigned."""

    event = "resigned"


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOver(Event):
    """It went to the next in the queue; ``holder`` is that one.  Comes just before `Released`."""

    event = "handed-over"
    held: float = 0.0
    """Seconds for which it was held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost(Event):
    """It was lost while it was held: somebody else may hold it by now."""

    event = "lost"
    reason: LossReason
    error: ConsulLockError | None = None
    """The last error of its renewals, if they failed when it was lost."""
    held: float = 0.0
    """Seconds for which it was held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrying(Event):
    """A request for it has failed, and is tried again after a pause."""

    event = "retrying"
    error: ConsulLockError | None = None
    pause: float = 0.0
    """Seconds of the pause, at most."""
    failing: float = 0.0
    """Seconds since the first request without a good answer was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalFailing(Event):
    """Renewals of sessions, or verifications of what is held, have begun to fail.

    An error is no loss: it is tried again until the deadline.  The listener of a client gets one
    event for all its locks, of kind "client"; the listener of a lock gets one about that.
    """

    event = "renewal-failing"
    error: ConsulLockError | None = None
    locks: int = 0
    """How many locks the client holds."""
    left: float = 0.0
    """Seconds for which they count, at least, if no more renewals succeed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalWorks(Event):
    """Renewals work again: the end of a `RenewalFailing`."""

    event = "renewal-works"
    failing: float = 0.0
    """Seconds for which they have failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotEvent(Event):
    """What became of a slot of a cron job; ``name`` is that of the job."""

    slot: str = ""
    """The slot: a time in UTC, as in RFC 3339, or an ID."""
    epoch: float | None = None
    """Its time in seconds since the epoch; None for an ID."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotTaken(SlotEvent):
    """Another host has the slot: it runs it, or has run it."""

    event = "taken"
    host: str = ""
    """That host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotSkipped(SlotEvent):
    """This host does not run the slot, for another reason than that another host does."""

    event = "skipped"
    why: str = ""
    """"passed", "paused", "overlap" or "late": the value of a `CronOutcome`."""
    first: bool = False
    """This host is the first to skip it for this overlap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotStarted(SlotEvent):
    """This host has the slot, and runs the job now."""

    event = "started"
    run: int = 1
    """The number of this try to run the slot, from 1 on: `CronRun.attempt`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotEnded(SlotEvent):
    """The run of this host has ended."""

    event = "ended"
    run: int = 1
    """The number of the try, from 1 on."""
    state: str = ""
    """"done", "failed", "lost" or "timeout": the value of a `CronState`."""
    exit: int | None = None
    """The exit code, if there was one."""
    runtime: float = 0.0
    """Seconds from the claim to the end."""
    recorded: bool = False
    """Whether the end was written into the record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotMissed(SlotEvent):
    """No host has claimed the slots between the last one and this one; ``slot`` is the first of
    them.  Said by the host that claims the first slot after them, and by no other."""

    event = "missed"
    slots: int = 1
    """How many."""
