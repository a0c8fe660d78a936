"""The common part of the checks of all simulated runs, for every kind of lock."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from consul_lock._protocol.flow import Request
from consul_lock._protocol.hold.state import State
from tests.simulation.simulator import Host, Simulator, Violation

if TYPE_CHECKING:
    from consul_lock._protocol.hold.hold import Hold
    from tests.simulation.lock_client import Contender, Thread


# Seconds within which a loss is reported: what the threads of one process take for their turns.
_PROMPT = 0.05

_NOTHING: list[Hold] = []


class Resource(NamedTuple):
    """What the second judge looks at together: these names, and how much of each there is."""

    names: frozenset[str]
    limit: int


class Inspector(ABC):
    """Knows whose sessions there are, and says when one is in the wrong hands."""

    def __init__(self, simulator: Simulator, *, orderly: bool) -> None:
        self.contenders: list[Contender] = []
        self.foreign_sessions: set[str] = set()
        """Sessions of clients that are not of the library."""
        self.healed: float | None = None
        self.exclusive = True
        """Too many at a time are a violation.  Not promised any more once somebody deleted a key
        by hand."""
        self._simulator = simulator
        self._server = simulator.world._server
        self._orderly = orderly
        self._owners: dict[str, int] = {}
        self.believing: Sequence[Hold] = ()
        """What somebody has by its own account: after the last event of each contender."""
        self._stale = True
        """Anybody may have changed."""
        self._beliefs: dict[Contender, list[Hold]] = {}
        self._losses_due: dict[Contender, float] = {}
        self._next_loss = 0.0
        """Before this time no loss has to be reported."""
        self._seen_at = self._busy_at = (-1, -1)
        self._busy = frozenset[str]()
        self._met = -1
        self._known_at, self._sessions = -1, frozenset[str]()

    # -- what each of them sees in its own way

    @abstractmethod
    def holding(self) -> Sequence[str]:
        """Sessions that hold something by Consul's word."""

    @abstractmethod
    def queued(self) -> Sequence[str]:
        """Sessions that wait, the first one first."""

    @abstractmethod
    def before(self) -> None:
        """Something is about to happen in the world."""

    @abstractmethod
    def after(self, host: Host | None, request: Request | None) -> None:
        """It has happened."""

    @abstractmethod
    def granted(self, thread: Thread, hold: Hold) -> None:
        """A call of acquire has returned with what was asked for."""

    @abstractmethod
    def check_kind(self) -> None:
        """After each event in which anything happened: what this kind of lock promises."""

    @abstractmethod
    def check_time(self) -> None:
        """After each event: what this kind of lock promises to happen within some time."""

    def check(self) -> None:
        """After each event: that, and what holds for all kinds.

        Who has done nothing has got nothing: what it believed before it believes still, or not any
        more.  So only what it was before that is looked at, and all anew if that seems wrong.
        """
        simulator, seen_at = self._simulator, self.seen_at()
        if self._stale:
            self._look_at(self.contenders)
            self._check_all(seen_at)
        elif simulator.acted is not None:
            self._look_at((simulator.acted,))  # type: ignore[arg-type] # all hosts are contenders
            self._check_all(seen_at)
        elif seen_at != self._seen_at:
            self._check_all(seen_at)
        self.check_time()
        if simulator.time.now > self._next_loss:
            self.losses_are_reported()
            self._plan_losses(self.contenders)

    def seen_at(self) -> tuple[int, int]:
        """The indexes of what there is: another one whenever anything was written."""
        return self._server.kv.index, self._server.sessions.index

    def all_is_stale(self) -> None:
        """Something was done to contenders from outside."""
        self._stale = True

    def _check_all(self, seen_at: tuple[int, int]) -> None:
        whose = self.contenders
        if self._seen_at == seen_at and not self._stale:
            whose = [self._simulator.acted]  # type: ignore[list-item] # as above
        self._seen_at = seen_at
        try:
            self.check_kind()
        except Violation:
            # Perhaps of those who have not done anything, and do not believe in it any more.
            self._look_at(self.contenders)
            self.check_kind()
        self.idle_sessions_do_nothing(whose)
        self._stale = False

    def _look_at(self, contenders: Sequence[Contender]) -> None:
        """See what these have by their own account."""
        changed = False
        for contender in contenders:
            found: list[Hold] = []
            if contender.core.holds._all and not contender.crashed:
                clock = contender.clock()
                found = [hold for hold in contender.core.holds._all if believed(hold, clock)]
            if found != self._beliefs.get(contender, _NOTHING):
                self._beliefs[contender] = found
                changed = True
        if changed:
            self.believing = [hold for found in self._beliefs.values() for hold in found]
        self._plan_losses(contenders)

    def _plan_losses(self, contenders: Sequence[Contender]) -> None:
        """See when losses of these have to be reported, if nothing happens.

        Deadlines only move away, but for those of new holds.
        """
        losses_due = self._losses_due
        for contender in contenders:
            holds = contender.core.holds._all
            if contender.crashed or not holds:
                losses_due.pop(contender, None)
                continue
            first = inf
            for hold in holds:
                if hold.state is not State.LOST and (deadline := hold.deadline()) < first:
                    first = deadline
            due = self._simulator.time.now + (first - contender.clock()) / contender.rate
            # A little earlier, for what is lost in these sums.
            losses_due[contender] = max(due, contender.paused_until) + _PROMPT - 0.001
        self._next_loss = min(losses_due.values()) if losses_due else inf

    @abstractmethod
    def nothing_left(self) -> None:
        """Everybody has released and nobody waits."""

    @abstractmethod
    def resources(self) -> list[Resource]:
        """What has to be linearizable."""

    # -- whose is what

    def owner(self, session: str) -> int | None:
        """Number of the contender whose session it is."""
        return self._owners.get(session)

    def sessions(self) -> frozenset[str]:
        """All sessions there are."""
        table = self._server.sessions
        if self._known_at != table.index:
            self._known_at = table.index
            self._sessions = frozenset(session.id for session in table.all())
        return self._sessions

    def meet(self, host: Host | None, request: Request | None) -> None:
        """See whose the new sessions are, and that nobody meddles with those of others."""
        if self._met != self._server.sessions.index:
            self._met = self._server.sessions.index
            for session in self._server.sessions.all():
                if session.id not in self._owners and session.name.startswith("c"):
                    # Contenders name their sessions after themselves.
                    self._owners[session.id] = int(session.name[1:].split()[0])
        if host is None or request is None or not request.path.startswith("/v1/session/"):
            return
        what, _, asked = request.path.removeprefix("/v1/session/").partition("/")
        if what in ("destroy", "renew") and self._owners.get(asked, host.number) != host.number:
            raise Violation(f"contender {host.number} would {what} a session that is not its own")

    def losses_are_reported(self) -> None:
        """A hold past its deadline is reported lost, unless its process is paused; and one whose
        loss was reported never counts again."""
        now = self._simulator.now
        for contender in self.contenders:
            if not contender.core.holds._all or contender.crashed:
                continue
            if now < contender.paused_until + _PROMPT:
                continue
            for hold in contender.core.holds._all:
                if hold.state is State.LOST:
                    continue  # reported, and still being released by the end of its client
                late = contender.clock() - hold.deadline()
                if late > _PROMPT:
                    raise Violation(f"the loss of {hold.key!r} is reported {late:.3f} s late")

    def anybody_wants(self, name: str) -> bool:
        """Whether anybody is willing to wait for this for as long as it takes."""
        for contender in self.contenders:
            if not contender.crashed:
                for thread in contender.threads:
                    if thread.wants and name in thread.weights:
                        return True
        return False

    def idle_sessions_do_nothing(self, contenders: Sequence[Contender]) -> None:
        """A session that anybody may borrow next holds nothing and waits for nothing."""
        if self._busy_at != self._seen_at:
            # One that has died meanwhile does nothing any more, whatever is left of it.
            self._busy_at = self._seen_at
            self._busy = self.sessions().intersection((*self.holding(), *self.queued()))
        if not self._busy:
            return
        for contender in contenders:
            if contender.crashed or not contender.core.pool._idle:
                continue
            for session in contender.idle_sessions():
                if session.id in self._busy:
                    raise Violation(f"session {session.id} is idle, but holds the lock or waits")

    # -- at the end

    def only_idle_sessions(self) -> None:
        """Living clients keep what they may reuse, or still have to destroy."""
        known: set[str] = set()
        for contender in self.contenders:
            pool = contender.core.pool
            for session in pool.live.values():
                if session.borrower is not None and not contender.crashed:
                    raise Violation(f"session {session.id} is still lent to {session.borrower}")
            known |= set(contender.sessions())
        # What is left of a request that was cut off is found again by its name.
        hidden = {n for c in self.contenders for n in c.core.pool.orphans}
        extra = [
            s.id
            for s in self._server.sessions.all()
            if s.id not in known | self.foreign_sessions and s.name not in hidden
        ]
        crashed = {c.number for c in self.contenders if c.crashed}
        if extra := [s for s in extra if self._owners.get(s) not in crashed]:
            raise Violation(f"sessions left behind: {extra}")

    def no_sessions(self) -> None:
        """Everybody has closed."""
        if extra := self.sessions() - self.foreign_sessions:
            whose = json.dumps({s: self._owners.get(s) for s in extra})
            raise Violation(f"sessions left behind: {whose}")


def believed(hold: Hold, now: float) -> bool:
    """What its owner would get to know, if it asked now whether it holds.

    It has not asked: an answer is remembered by the hold, and this one is not.
    """
    expired = hold.expired
    counts = hold.counts(now)
    hold.expired = expired
    return counts
