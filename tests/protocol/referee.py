"""Sees everything in a simulated run, and says when a promise is broken."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from consul_lock._protocol.flow import Request
from consul_lock._protocol.names import LockKeys
from tests.protocol.simulator import Host, Simulator, Violation

if TYPE_CHECKING:
    from consul_lock._protocol.hold import Hold
    from tests.protocol.contender import Contender, Thread

# Seconds after all is well again in which requests from before may still be waited for: a long
# poll that was lost takes 10 s, and 10 s more to be given up.
_AFTERMATH = 25.0

# Seconds for which a free lock may be left alone while somebody wants it: a long poll, and a
# try after that.
_SERVED_WITHIN = 12.0


class _Lock(NamedTuple):
    """The lock's key at one moment."""

    session: str
    flags: int
    at: int
    """ModifyIndex; 0 if there is no key."""
    line: tuple[str, ...]
    """Sessions in line, the first one first."""


class Referee:
    """Checks after each event."""

    def __init__(self, simulator: Simulator, keys: LockKeys, *, orderly: bool) -> None:
        self.contenders: list[Contender] = []
        self.strangers: set[str] = set()
        self.healed: float | None = None
        self._simulator = simulator
        self._server = simulator.world._server
        self._keys = keys
        self._orderly = orderly
        self.exclusive = True
        """Two at a time are a violation.  Not promised any more once the key was deleted by hand:
        Consul imposes no lock-delay then."""
        self._owners: dict[str, int] = {}
        self._grants: dict[int, str] = {}
        self._token = 0
        self._free_since = 0.0
        self._before = self.lock()

    # -- what there is

    def lock(self) -> _Lock:
        """The lock and its line."""
        entries, base = self._server.kv.entries, self._keys.base + "/"
        found = entries.get(self._keys.key)
        line = [e for key, e in entries.items() if key.startswith(base) and e.session]
        line.sort(key=lambda entry: entry.create_index)
        sessions = tuple(entry.session for entry in line)
        if found is None:
            return _Lock("", 0, 0, sessions)
        return _Lock(found.session, found.flags, found.modify_index, sessions)

    def owner(self, session: str) -> int | None:
        """Number of the contender whose session it is."""
        return self._owners.get(session)

    def keys(self) -> list[str]:
        """All keys of the lock and its line."""
        return [key for key in self._server.kv.entries if key.startswith(self._keys.name + "/")]

    def sessions(self) -> set[str]:
        """All sessions there are."""
        return {session.id for session in self._server.sessions.all()}

    # -- before and after a change

    def before(self) -> None:
        """Something is about to happen in the world."""
        self._before = self.lock()

    def after(self, host: Host | None, request: Request | None) -> None:
        """It has happened."""
        for session in self._server.sessions.all():
            if session.id not in self._owners and session.name.startswith("c"):
                # Contenders name their sessions after themselves.
                self._owners[session.id] = int(session.name[1:].split()[0])
        if host is not None and request is not None:
            self._mind_own_sessions(host, request)
        then, now = self._before, self.lock()
        if now == then:
            return
        if now.session != then.session:
            self._held_by_another(then, now, host, request)
        elif now.session and now.at != then.at:
            if set(then.line) - {then.session}:
                raise Violation(f"the lock stayed in a client while {then.line} waited in line")
            self._grants[now.at] = now.session
            self._simulator.counts["passed on inside a client"] += 1
        if request is not None and then.at and not then.session and then.flags != now.flags:
            raise Violation("a key that is used for something else was overwritten")

    def _mind_own_sessions(self, host: Host, request: Request) -> None:
        what, _, session = request.path.removeprefix("/v1/session/").partition("/")
        if what in ("destroy", "renew") and self._owners.get(session, host.number) != host.number:
            raise Violation(f"contender {host.number} would {what} a session that is not its own")

    def _held_by_another(
        self, then: _Lock, now: _Lock, host: Host | None, request: Request | None
    ) -> None:
        counts = self._simulator.counts
        if request is not None and request.path == "/v1/txn" and host is not None:
            if then.session and self._owners.get(then.session) != host.number:
                raise Violation(f"contender {host.number} released a lock that is not its own")
            self._given_to_who_wants_it(then, now, host)
        if not now.session:
            counts["freed"] += 1
            return
        self._grants[now.at] = now.session
        if now.session not in then.line:
            counts["taken by a newcomer"] += 1
        elif then.session:
            counts["handed over"] += 1
        else:
            counts["taken by the first in line"] += 1
        if self._orderly:
            self._in_order(then, now)

    def _given_to_who_wants_it(self, then: _Lock, now: _Lock, host: Host) -> None:
        if not now.session:
            # The holder itself is in line if it was not told that it had joined.
            if set(then.line) - {then.session}:
                raise Violation(f"the lock was set free while {then.line} waited in line")
        elif self._owners.get(now.session) != host.number and now.session not in then.line:
            raise Violation(f"the lock was given to {now.session}, which did not wait for it")

    def _in_order(self, then: _Lock, now: _Lock) -> None:
        if now.session in then.line:
            if then.line[0] != now.session:
                raise Violation(f"the lock went to {now.session}, but the line was {then.line}")
        elif then.line and then.session:
            raise Violation("the lock was given past those in line")

    # -- what contenders believe

    def granted(self, thread: Thread, hold: Hold) -> None:
        """A call of acquire has returned with the lock."""
        self._simulator.counts["granted"] += 1
        if not hold.counts(thread.host.clock()):
            self._simulator.counts["granted, and lost at once"] += 1
        if hold.token <= self._token and self.exclusive:
            raise Violation(f"the token {hold.token} came after {self._token}")
        if self._grants.get(hold.token) != hold.session.id:
            raise Violation(f"the token {hold.token} is not the index of the write that locked")
        self._token = hold.token

    def check(self) -> None:
        """After each event."""
        self._one_holder()
        self._idle_sessions_do_nothing()
        if self.healed is not None:
            self._nobody_waits_for_nothing(self.healed)

    def _one_holder(self) -> None:
        believing = [
            (contender.number, hold.session.id)
            for contender in self.contenders
            if not contender.crashed
            for hold in contender.core.holds
            if hold.counts(contender.clock())
        ]
        if len(believing) > 1 and self.exclusive:
            raise Violation(f"more than one believe that they hold the lock: {believing}")
        if believing and self.exclusive and self.lock().session in self.strangers:
            raise Violation(f"{believing} believes to hold the lock that a stranger holds")

    def _idle_sessions_do_nothing(self) -> None:
        found = self.lock()
        for contender in self.contenders:
            for session in contender.idle_sessions():
                if session.id == found.session or session.id in found.line:
                    raise Violation(f"session {session.id} is idle, but holds the lock or waits")

    def _nobody_waits_for_nothing(self, healed: float) -> None:
        now, found = self._simulator.now, self.lock()
        if found.session or self._keys.key in self._server.delays or not self._anybody_wants():
            self._free_since = now
        elif now - max(self._free_since, healed + _AFTERMATH) > _SERVED_WITHIN:
            raise Violation(f"the lock is free since {self._free_since}, and {found.line} wait")

    def _anybody_wants(self) -> bool:
        return any(thread.wants for c in self.contenders if not c.crashed for thread in c.threads)

    # -- at the end

    def nothing_left(self) -> None:
        """Everybody has released and the line is empty."""
        keys = self.keys()
        lost = any(what.startswith("lost: ") for what in self._simulator.counts)
        if lost or any(contender.crashed or contender.closed for contender in self.contenders):
            # Who waits and dies leaves the sign behind; the next release takes it away.
            keys = [key for key in keys if key != self._keys.base]
        if keys:
            raise Violation(f"left behind: {keys}")

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
            if s.id not in known | self.strangers and s.name not in hidden
        ]
        crashed = {c.number for c in self.contenders if c.crashed}
        if extra := [s for s in extra if self._owners.get(s) not in crashed]:
            raise Violation(f"sessions left behind: {extra}")

    def no_sessions(self) -> None:
        """Everybody has closed."""
        if extra := self.sessions() - self.strangers:
            whose = json.dumps({s: self._owners.get(s) for s in extra})
            raise Violation(f"sessions left behind: {whose}")
