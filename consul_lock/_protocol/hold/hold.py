"""A lock that is held: what was granted, and how its loss is detected and reported, once."""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from inspect import signature
from itertools import count
from typing import Any, NamedTuple

from consul_lock._protocol.consul.error_budget import ErrorBudget
from consul_lock._protocol.consul.models import Pair, ReadResult, SessionOptions
from consul_lock._protocol.consul.replies import TxnResult
from consul_lock._protocol.flow import Call, Flow, Now, Request, Signal
from consul_lock._protocol.hold.confirmation import Unconfirmed, ahead_in_a_crowd
from consul_lock._protocol.hold.state import Event, State, advance
from consul_lock._protocol.hold.waiter import WaiterEntry, WaiterQueue
from consul_lock._protocol.holder import Holder, OwnerInfo, parse_holder
from consul_lock._protocol.reporter import INFO, Listener, Reporter
from consul_lock._protocol.session.session import Session
from consul_lock.errors import (
    ConsulLockError,
    LockLost,
    LossReason,
    PermissionDenied,
    Refused,
    Unavailable,
)


class Grant(NamedTuple):
    """The result of an attempt that succeeded."""

    session: Session
    token: int
    """ModifyIndex of the write that granted it."""
    contended: bool
    """There may be waiters in Consul: look at the queue before the release."""
    queue: WaiterQueue | None
    """Who waits, as far as is known."""
    others: tuple[Session, ...] = ()
    """More sessions that it is held with."""
    unconfirmed: Unconfirmed | None = None
    """It was handed over, and is not confirmed yet."""


class Held(ABC):
    """The thing that is held, as far as keeper, watch and close have to know it.

    A kind of lock says here how it is released, what proves that it is still held, and what it
    leaves behind; the keeper, the watch and the end of a client work with this alone.
    """

    key: str
    name: str
    rule: str
    """The ACL rule that is needed to write its keys."""
    on_lost: Callable[[LossReason], Any] | None
    reporter: Reporter
    """Takes what is reported of it."""
    listeners: Sequence[Listener] = ()
    """Who listens to its events, beside those who listen to all of the client."""
    listened = False
    """Whether any of the two do."""
    kind = "lock"
    """What it is, in events."""
    event_acquired, event_released = "acquired", "released"
    level = INFO
    """Of the records of these two."""

    def is_heard(self, level: int) -> bool:
        """Whether anybody wants to hear of its events, or the log has records of this level."""
        return self.listened or self.reporter.logs(level)

    @abstractmethod
    def new_signal(self) -> Signal:
        """A new signal to wait for."""

    @abstractmethod
    def lost_error(self, hold: Hold) -> LockLost:
        """The error that says why a hold was lost."""

    @abstractmethod
    def let_go(self, hold: Hold, *, patient: bool = True) -> Flow[LossReason | None]:
        """Give it back.  Returns why it was lost, if it turns out that it was."""

    @abstractmethod
    def tidy(self, attempt: Any, sessions: Sequence[Session]) -> Flow[None]:
        """Take away what an attempt or its hold left in Consul, now that its sessions ended."""

    def farewell(self, session: Session) -> list[Request]:
        """The request that releases it, if this session, which is about to end, holds it though
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
        """Operations that are refused if something else has changed: hints."""
        return []

    def learn(self, hold: Hold, timeout: float) -> Flow[None]:
        """A hint was refused: find out what has changed."""
        yield from ()

    def disproved(self, hold: Hold, pairs: Sequence[Pair]) -> bool:
        """Whether Consul's answer to a proof that it did not refuse shows it lost."""
        return False

    def refuted(self, hold: Hold, refusal: str, timeout: float) -> Flow[LossReason | None]:
        """Why it is lost, now that Consul has refused a proof with this text."""
        return self.examine(hold, None, timeout)

    @abstractmethod
    def examine(self, hold: Hold, found: ReadResult | None, timeout: float | None) -> Flow[Any]:
        """Why it is lost (a `LossReason`); None: it is held.  By a read that its ``look`` gave,
        else by one of its own."""

    @abstractmethod
    def look(self, hold: Hold, index: int, wait: float) -> Flow[ReadResult]:
        """A blocking read that sees the loss."""


class OwnerHere(NamedTuple):
    """Another owner of this process, as far as others want to know: not its attempt, which would
    keep those before it in memory, too."""

    about: OwnerInfo
    session: str


class Hold:
    """One acquisition, from the grant to its end."""

    def __init__(self, lock: Held, grant: Grant, attempt: Attempt) -> None:
        self.lock = lock
        self.key = lock.key
        self.session, self.others = grant.session, grant.others
        self.sessions = (grant.session, *grant.others)
        """All that it is held with: if one of them ends, so does it."""
        self.token = grant.token
        self.contended = grant.contended
        self.queue = grant.queue
        self.unconfirmed = grant.unconfirmed
        """It counts for a few seconds only, until it is confirmed."""
        self.look_at: float | None = None
        """When the keeper reads the queue, so that the release need not (driver's clock)."""
        self.attempt = attempt
        self.owner = attempt.owner
        self.state = State.HELD
        self.expired = False
        """Its deadline was seen to pass: it never counts again, whatever comes later."""
        self.reason: LossReason | None = None
        self.cause: ConsulLockError | None = None
        """The last error of its renewals, if they failed when it was lost."""
        self._lost: Signal | None = None
        self.told = False
        self.unanswered = False
        """A release of it was sent and not answered: it may have been carried out."""
        self.on_lost: Callable[[LossReason], Any] | None = lock.on_lost

    since = 0.0
    """When it began to count (driver's clock)."""
    handed_to: Sequence[WaiterEntry | OwnerHere] = ()
    """Who got it from this hold: waiters in Consul's queue, or the next of this process."""
    release_reported = False
    """Its release was reported, if anybody wants to know."""

    @property
    def lost(self) -> Signal:
        """Set when it is lost; made when somebody asks for it, as most never do."""
        if self._lost is None:
            self._lost = self.lock.new_signal()
            if self.state is State.LOST:
                self._lost.set()
        return self._lost

    @property
    def over(self) -> bool:
        """It was released, or its loss was reported to the caller that tried to release it."""
        state = self.state
        return self.told or state is State.RELEASING or state is State.RELEASED

    def forked(self) -> None:
        """In a forked child it is lost; its old signal may be in use by a thread of the parent."""
        self.advance(Event.LOSE)
        self.reason = LossReason.FORKED
        self._lost = None

    def advance(self, event: Event) -> bool:
        """Change state by the table; False if the event means nothing in this state.

        Call it under the client's mutex: several detectors race for the one transition.
        """
        after = advance(self.state, event)
        if after is None:
            return False
        self.state = after
        return True

    def deadline(self) -> float:
        """Until when (driver's clock) it counts as held, if no more renewals succeed.

        It only ever moves away, which `Holds` relies on.
        """
        end = self.session.deadline()
        for session in self.others:
            end = min(end, session.deadline())
        if self.unconfirmed is None or self.state is not State.HELD:
            # A caller that is releasing it does not work under it, and may try as long as any.
            return end
        return min(end, self.unconfirmed.until)

    def counts(self, now: float) -> bool:
        """Whether it is held at this time, as far as anybody can know without asking Consul."""
        if self.state is not State.HELD:
            return False
        for session in self.sessions:
            if session.gone:
                return False
        if now >= self.deadline():
            self.expired = True  # see `late`
        return not self.expired

    def late(self, now: float) -> bool:
        """Whether its deadline has passed.

        This is remembered: an answer that was on its way then may move the deadline away, when the
        holder knows already that it does not hold any more.
        """
        if now >= self.deadline():
            self.expired = True
        return self.expired

    @property
    def renewal_error(self) -> ConsulLockError | None:
        """The error of its renewals, now or when it was lost; None if they do not fail."""
        if self.reason is not None:
            return self.cause
        return next((s.failure for s in self.sessions if s.failure is not None), None)

    def telling(self, reason: LossReason) -> Call | None:
        """How its loss is reported to the user; None: not at all."""
        function: Callable[..., Any] | None = self.on_lost
        if function is None:
            return None
        if _takes_error(function):
            function = partial(function, error=self.lock.lost_error(self))
        return Call(function, (reason,))

    def leave(self, write: Flow[TxnResult]) -> Flow[TxnResult]:
        """Send a release of it.  An earlier request without an answer stays in doubt.

        An answer that says for certain that nothing was carried out leaves no doubt either, or
        the next try would take a lock that was lost meanwhile for one that it has released.
        """
        before, self.unanswered = self.unanswered, True
        try:
            outcome = yield from write
        except (PermissionDenied, Refused):
            self.unanswered = before
            raise
        except Unavailable as error:
            self.unanswered = before or error.uncertain
            raise
        self.unanswered = before
        return outcome

    def mark_alive(self, sent: float, index: int = 0) -> None:
        """A request that needed all of its sessions was answered well."""
        for session in self.sessions:
            session.mark_alive(sent, index)

    def remaining(self, now: float) -> float:
        """Seconds until it no longer counts if no more renewals succeed; 0.0 if not held."""
        return max(0.0, self.deadline() - now) if self.counts(now) else 0.0


class Loss:
    """The loss of a hold, until everybody has heard of it.

    The exception of a signal handler may strike while a call reports it, also one that has lost the
    lock of another thread; then the keeper does the rest.
    """

    def __init__(self, hold: Hold, reason: LossReason, since: float) -> None:
        self.reason = reason
        """As it was found, see `Hold.reason`."""
        self.since = since
        """Since when it is being reported (driver's clock)."""
        self.reported = False
        call = hold.telling(hold.reason or reason)
        self.told = None if call is None else Call(_Once(call.function), call.args)
        """How it is reported to the user; None: not at all."""


class _Once:
    """A function of the user that is not called a second time."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._called = False

    def __call__(self, *args: Any) -> Any:
        if self._called:
            return None
        self._called = True
        return self._function(*args)  # no signal strikes before this line

    def __repr__(self) -> str:
        return repr(self._function)


def _takes_error(function: Callable[..., Any]) -> bool:
    """Whether it has a parameter of that name; a callable without a signature has none."""
    try:
        return "error" in signature(function).parameters
    except (TypeError, ValueError):
        return False


# Entries of ended holds that a heap may have, beside as many of live ones.
_STALE_MAX = 64


class Holds:
    """The holds of one client, with the deadlines in order.

    An uncontended lock is acquired and released thousands of times a second, while deadlines
    are half a minute away.  So an entry of the heap stays when its hold ends, until its time
    comes or too many such have gathered; and it is not moved when a renewal moves the deadline
    away, but looked at once its old time has come.
    """

    def __init__(self) -> None:
        self._all: dict[Hold, None] = {}
        self._heap: list[tuple[float, int, Hold]] = []
        self._order = count()
        self.unconfirmed: dict[Hold, None] = {}
        """Those that are to be confirmed, if they do not end before."""

    def __iter__(self) -> Iterator[Hold]:
        return iter(list(self._all))

    def __len__(self) -> int:
        return len(self._all)

    def add(self, hold: Hold) -> float:
        """It is held from now on: until when (driver's clock), if no more renewals succeed.

        Call this, and `drop`, under the client's mutex.
        """
        if len(self._heap) > 2 * len(self._all) + _STALE_MAX:
            living = [(each.deadline(), next(self._order), each) for each in self._all]
            heapq.heapify(living)
            self._heap = living
        self._all[hold] = None
        for session in hold.sessions:
            session.holds[hold] = None
        if hold.unconfirmed is not None:
            self.unconfirmed[hold] = None
        deadline = hold.deadline()
        heapq.heappush(self._heap, (deadline, next(self._order), hold))
        return deadline

    def drop(self, hold: Hold) -> None:
        """It is held no longer, whatever the reason.  Can be repeated."""
        self._all.pop(hold, None)
        self.unconfirmed.pop(hold, None)
        for session in hold.sessions:
            session.holds.pop(hold, None)

    def late(self, now: float) -> list[Hold]:
        """Those whose deadline has passed.  Each is returned once: report its loss."""
        found, heap = [], self._heap
        while heap and heap[0][0] <= now:
            _, order, hold = heapq.heappop(heap)
            if hold not in self._all:
                continue
            if hold.late(now):
                found.append(hold)
            else:
                heapq.heappush(heap, (hold.deadline(), order, hold))
        return found

    def next_deadline(self) -> float:
        """Before this time no deadline passes."""
        heap = self._heap
        while heap and heap[0][2] not in self._all:
            heapq.heappop(heap)
        return heap[0][0] if heap else float("inf")

    def to_confirm(self, now: float) -> list[Hold]:
        """Those that are to be confirmed by now.  Each is returned once."""
        due = self._confirmations()
        by = now + ahead_in_a_crowd(len(due))
        found = [hold for hold, at in due.items() if at <= by]
        for hold in found:
            del self.unconfirmed[hold]
        return found

    def next_confirmation(self) -> float:
        """Before this time nothing is to be confirmed."""
        due = self._confirmations()
        return min(due.values(), default=float("inf")) - ahead_in_a_crowd(len(due))

    def _confirmations(self) -> dict[Hold, float]:
        return {hold: hold.unconfirmed.due for hold in self.unconfirmed if hold.unconfirmed}


def may_wait(attempt: Attempt) -> Flow[bool]:
    """Whether the caller is willing to wait any longer."""
    if not attempt.blocking:
        return False
    now = yield Now()
    return attempt.deadline is None or now < attempt.deadline


class Claim(NamedTuple):
    """So much of one resource: what an acquire asks for, as a weight.

    Everything is a semaphore of some limit.  A lock weighs 1 of 1, a slot of a semaphore 1 of its
    limit, a reader 1 of `ALL`, a writer all of it.  The one rule, for the queue inside the process
    as well as for the documents in Consul: the weights of those before and the own one together
    may not exceed the limit.
    """

    resource: str
    weight: int = 1
    limit: int = 1


# The numbers of attempts, for those who listen.
_numbers = count(1)


class Attempt:
    """State of one call of acquire."""

    def __init__(
        self,
        claims: tuple[Claim, ...],
        about: OwnerInfo,
        session_key: tuple[SessionOptions, Any],
        owner: Any,
        blocking: bool,
    ) -> None:
        self.claims = claims
        """Its claims: no attempt waits for a claim of its own."""
        self.queues = claims
        """The resources that it queues for inside the process."""
        self.about = about
        self.session_key = session_key
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
        """The grant, handed over by the previous holder in this process."""
        self.session: Session | None = None
        self.may_hold = False
        """The lock was requested with this session, which may hold it, now or later."""
        self.hold: Hold | None = None
        """What came of it."""
        self.complained = False
        """A warning was given that somebody has written over a lock that is waited for."""
        self.patience: ErrorBudget | None = None
        """How long it goes on while Consul fails; made when it begins."""

    # What is reported of it, see `reports`; most have nobody who listens.
    _number = 0
    held_by: Pair | None = None
    """The key of the lock as it was seen last while another session held it."""
    held_here: OwnerHere | None = None
    """The owner in this process who holds it, or has held it before; None: see ``held_by``."""
    handed_over = False
    """The holder before has handed it over."""
    error: ConsulLockError | None = None
    """The error that it ended in."""
    heard = False
    """Somebody wants to hear that it acquires; asked when it begins."""
    waiting_told = gave_up_told = False

    @property
    def number(self) -> int:
        """Unique in this process; given when it is first asked for."""
        if not self._number:
            self._number = next(_numbers)
        return self._number

    def in_the_way(self) -> Holder | None:
        """Who holds what it wants, or was seen to do so before."""
        if self.held_here is not None:
            return self.held_here.about.holder(self.held_here.session)
        pair = self.held_by
        if pair is None:
            return None
        return parse_holder(pair.session, pair.value, pair.modify_index)

    @property
    def in_queue(self) -> bool:
        """Whether it has a place in a queue of Consul's, which it would lose."""
        return False

    @property
    def sessions(self) -> Sequence[Session]:
        """The sessions that were borrowed for it."""
        return [] if self.session is None else [self.session]

    def assume_all(self) -> None:
        """Nothing is known of what it has done: it may have joined a queue, and hold something."""
        self.admitted = self.may_hold = True

    def forget_sessions(self) -> None:
        """The borrowed sessions are given back."""
        self.session, self.may_hold = None, False

    def forget_what_was_seen(self) -> None:
        """The last read may not be true any more."""
