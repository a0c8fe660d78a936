"""The common part of the checks of all simulated runs, for every kind of lock."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from consul_lock._protocol.flow import Request
from consul_lock._protocol.hold.state import State
from tests.simulation.simulator import Host, Simulator, Violation

if TYPE_CHECKING:
    from consul_lock._protocol.hold.hold import Hold
    from tests.simulation.lock_client import Contender, Thread


# Seconds within which a loss is reported: what the threads of one process take for their turns.
_PROMPT = 0.05


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
        """After each event: what this kind of lock promises."""

    def check(self) -> None:
        """After each event: that, and what holds for all kinds."""
        self.check_kind()
        self.losses_are_reported()
        self.idle_sessions_do_nothing()

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

    def sessions(self) -> set[str]:
        """All sessions there are."""
        return {session.id for session in self._server.sessions.all()}

    def meet(self, host: Host | None, request: Request | None) -> None:
        """See whose the new sessions are, and that nobody meddles with those of others."""
        for session in self._server.sessions.all():
            if session.id not in self._owners and session.name.startswith("c"):
                # Contenders name their sessions after themselves.
                self._owners[session.id] = int(session.name[1:].split()[0])
        if host is None or request is None:
            return
        what, _, asked = request.path.removeprefix("/v1/session/").partition("/")
        if what in ("destroy", "renew") and self._owners.get(asked, host.number) != host.number:
            raise Violation(f"contender {host.number} would {what} a session that is not its own")

    def losses_are_reported(self) -> None:
        """A hold past its deadline is reported lost, unless its process is paused; and one whose
        loss was reported never counts again."""
        now = self._simulator.now
        for contender in self.contenders:
            if contender.crashed or now < contender.paused_until + _PROMPT:
                continue
            for hold in contender.core.holds:
                if hold.state is State.LOST:
                    continue  # reported, and still being released by the end of its client
                late = contender.clock() - hold.deadline()
                if late > _PROMPT:
                    raise Violation(f"the loss of {hold.key!r} is reported {late:.3f} s late")

    def anybody_wants(self, name: str) -> bool:
        """Whether anybody is willing to wait for this for as long as it takes."""
        threads = (thread for c in self.contenders if not c.crashed for thread in c.threads)
        return any(thread.wants and name in thread.weights for thread in threads)

    def idle_sessions_do_nothing(self) -> None:
        """A session that anybody may borrow next holds nothing and waits for nothing."""
        idle = [s.id for c in self.contenders if not c.crashed for s in c.idle_sessions()]
        if not idle:
            return
        # One that has died meanwhile does nothing any more, whatever is left of it.
        busy = {*self.holding(), *self.queued()} & self.sessions()
        for session in idle:
            if session in busy:
                raise Violation(f"session {session} is idle, but holds the lock or waits")

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
