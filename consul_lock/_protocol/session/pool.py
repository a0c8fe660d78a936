"""The sessions of one client: borrowed, kept alive, reused, destroyed.

After a clean end (the server said yes) a session goes back to the pool.  After anything
uncertain it is destroyed: a late write of this client is then refused by Consul, as its session is
invalid.  That is what makes ghost writes harmless.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import count
from typing import Any

from consul_lock._protocol.consul.api import ConsulApi
from consul_lock._protocol.consul.durations import parse_duration
from consul_lock._protocol.consul.models import SessionInfo, SessionOptions
from consul_lock._protocol.consul.request_limit import is_limit
from consul_lock._protocol.flow import Batch, Flow, Now, Signal, Sleep
from consul_lock._protocol.session.heartbeat import Heartbeats
from consul_lock._protocol.session.session import Session
from consul_lock._protocol.session.timing import renew_interval_of, spread_renew_interval
from consul_lock.errors import ConsulLockError, PermissionDenied, Refused, Unavailable

# Seconds for one try to destroy a session while somebody waits for the clean-up.
_DESTROY_TIMEOUT = 3.0

# Seconds after which a request that was cut off can no longer be carried out: an agent holds
# one for up to 7.4 s while there is no leader (measured); doubled.
_GHOST = 15.0


# Seconds of the pause after a limit of requests has refused the verification of a new session;
# doubled after each.
_LIMITED_FIRST = 1.0

# Sessions that are destroyed at once.
_SWEPT_AT_ONCE = 32


class SessionPool:
    """The sessions of one client."""

    def __init__(
        self,
        api: ConsulApi,
        mutex: AbstractContextManager[Any],
        random: Callable[[], float],
        label: str,
        new_signal: Callable[[], Signal],
    ) -> None:
        self._wire = api
        self._mutex = mutex
        self.random = random
        self._label = f"{label} {int(random() * 2**48):012x}"
        self._made = 0
        self.live: dict[str, Session] = {}
        """Those to be renewed, by id: in use, or idle."""
        self._renewals: list[tuple[float, int, Session]] = []
        """Heap of those to be renewed, by time.  An entry counts if it has the session's time."""
        self._order = count()
        self._idle: dict[SessionOptions, dict[Session, None]] = {}
        """By terms; the one used last is at the end, and is used first."""
        self.bereft: dict[Session, float | None] = {}
        """Those that have ended, and with which something was held: its loss is being reported.
        With the time when the keeper first saw that (driver's clock)."""
        self.to_destroy: dict[str, Session] = {}
        """Those to be destroyed, as soon as Consul can be reached."""
        self.orphans: dict[str, float] = {}
        """Names of sessions whose creation was sent and not answered, with the time."""
        self.on_created: Callable[[str], object] = lambda session_id: None
        """Called with the ID of each session that was made: a guardian ends it in order, should
        this process be killed."""
        self.pulses = Heartbeats(api, mutex, new_signal, self._label, self._beats_for)

    def borrow(self, terms: SessionOptions, borrower: Any) -> Flow[Session]:
        """A session nobody else uses: an idle one, or a new one."""
        with self._mutex:
            idle = self._idle.get(terms)
            session = next(reversed(idle)) if idle else None
            if session is not None:
                # In this order: an exception of a signal handler between the two loses nothing.
                session.borrower = borrower
                self._forget_idle(session)
        if session is None:
            session = yield from self._create(terms, borrower)
        return session

    def adopt(self, session_id: str, terms: SessionOptions, borrower: Any) -> Session:
        """The session of a process that has died; it is not renewed."""
        session = Session(session_id, terms, borrower)
        with self._mutex:
            self.live[session_id] = session
        return session

    def give_back(self, session: Session, now: float) -> None:
        """Return a session after a clean end; one in doubt is condemned instead."""
        with self._mutex:
            if session.shared or session.gone:
                return
            if session.in_doubt or session.new:
                self._condemn(session)
                return
            session.idle_since = now
            self._idle.setdefault(session.terms, {})[session] = None
            session.borrower = None

    def destroy_later(self, session: Session) -> None:
        """Never renew it again; the keeper destroys it."""
        with self._mutex:
            self._condemn(session)

    def _condemn(self, session: Session) -> None:
        # Cut off between any two of these, it is in one of the two, and can be condemned again.
        if session.holds:
            self.bereft.setdefault(session)
        session.gone = True
        if session.id in self.live:
            self.to_destroy[session.id] = session
            self.live.pop(session.id, None)
        self._forget_idle(session)

    def ended(self, session: Session) -> bool:
        """Whether it is dead, and nothing is left to do for it."""
        known = session.id in self.live or session.id in self.to_destroy
        return session.gone and not known

    def mark_gone(self, session: Session) -> None:
        """Consul says that it is dead: nothing is left to destroy."""
        with self._mutex:
            if session.holds:
                self.bereft.setdefault(session)
            session.gone = True
            self.live.pop(session.id, None)
            self.to_destroy.pop(session.id, None)
            self._forget_idle(session)

    def _forget_idle(self, session: Session) -> None:
        idle = self._idle.get(session.terms, {})
        idle.pop(session, None)
        if not idle:
            self._idle.pop(session.terms, None)

    def retire(self, now: float) -> None:
        """Condemn the sessions that have been idle for one TTL."""
        with self._mutex:
            for terms, idle in list(self._idle.items()):
                while idle and now - (session := next(iter(idle))).idle_since > terms.ttl:
                    self._condemn(session)

    def plan(self, session: Session, when: float) -> None:
        """It is to be renewed at this time (driver's clock)."""
        with self._mutex:
            if session.next_renewal == when:
                return  # a second entry would count, too
            session.next_renewal = when
            heapq.heappush(self._renewals, (when, next(self._order), session))

    def next_renewal(self) -> float:
        """Before this time nothing has to be renewed."""
        with self._mutex:
            while self._renewals and self._is_void(self._renewals[0]):
                heapq.heappop(self._renewals)
            return self._renewals[0][0] if self._renewals else float("inf")

    def due(self, now: float, most: int, ahead: float) -> list[Session]:
        """If any is to be renewed by now: those to be renewed within ``ahead`` seconds, at most
        so many.  Each is planned again, should nobody do it after that."""
        if self.next_renewal() > now:
            return []
        found = list[Session]()
        with self._mutex:
            while self._renewals and self._renewals[0][0] <= now + ahead and len(found) < most:
                entry = heapq.heappop(self._renewals)
                if not self._is_void(entry):
                    found.append(entry[2])
            for session in found:
                self.plan(session, now + renew_interval_of(session.terms))
        return found

    def _is_void(self, entry: tuple[float, int, Session]) -> bool:
        when, _, session = entry
        return session.gone or session.next_renewal != when

    def borrowed_by(self, borrower: Any) -> list[Session]:
        """What a call has borrowed, even if it was cut off before it got it."""
        with self._mutex:
            return [s for s in self.live.values() if s.borrower is borrower]

    def _beats_for(self, heartbeat: float) -> bool:
        return any(s.terms.heartbeat == heartbeat for s in list(self.live.values()))

    def _create(self, terms: SessionOptions, borrower: Any) -> Flow[Session]:
        pulse = yield from self.pulses.of(terms)
        asked = pulse.bind(terms) if pulse else terms
        now = yield Now()
        with self._mutex:
            self._made += 1
            name = terms.name or f"{self._label}-{self._made}"
        made = ""
        try:
            made, sent = yield from (pulse or self._wire).create_session(asked, name)
            session = Session(made, terms, borrower)
            session.new = True
            session.mark_alive(sent)
            session.renewed = sent
            with self._mutex:
                self.live[made] = session
                self.plan(session, sent + spread_renew_interval(terms, self.random()))
            self.on_created(made)
        except BaseException as error:
            unknown = not isinstance(error, ConsulLockError) or getattr(error, "uncertain", False)
            if unknown and terms.name is None and made not in self.live:
                # It may exist, or come to exist: its name is unique, so it can be found.
                self.orphans[name] = now
            raise
        try:
            yield from self._verify_patiently(session, asked)
        except Unavailable:
            # The call that asked for it will ask for another one: nobody would give this one back.
            self.destroy_later(session)
            raise
        session.new = False
        return session

    def _verify_patiently(self, session: Session, asked: SessionOptions) -> Flow[None]:
        """Not given up if it is refused by a limit of requests: to create another session, and to
        destroy this one, would be two writes more."""
        pause = _LIMITED_FIRST
        while True:
            try:
                yield from self._verify(session, asked)
            except Unavailable as error:
                now = yield Now()
                if not is_limit(error) or session.gone or now >= session.renewed + asked.ttl:
                    raise
            else:
                return
            yield Sleep(pause / 2, pause)
            pause *= 2

    def _verify(self, session: Session, asked: SessionOptions) -> Flow[None]:
        """Check that the session is as it was asked for: a proxy that drops the body, or an older
        server, would make one that never expires or protects nothing."""
        info = yield from self._wire.renew(session.id)
        if info is None:
            self.mark_gone(session)
            raise Unavailable(
                "the new session was dead at once: is its node leaving, or one of its"
                " checks failing?",
                kind="session-dead",
                uncertain=False,
                session=session.id,
            )
        if difference := _difference(asked, info):
            self.destroy_later(session)
            problem = f"the server made a session with {difference}; it was destroyed"
            hint = "Is there a proxy that drops bodies in front of Consul?"
            raise Refused(
                f"{problem}. {hint}",
                problem=problem,
                hint=hint,
                kind="session-altered",
                session=session.id,
            )

    def destroy(self, session: Session) -> Flow[None]:
        """Destroy it now, if Consul can be reached; else the keeper goes on trying."""
        self.destroy_later(session)
        for _ in range(2):
            try:
                yield from _say_farewell(session)
                yield from self._wire.destroy(session.id, _DESTROY_TIMEOUT)
            except ConsulLockError as error:
                if is_limit(error):
                    return
                continue
            self.mark_gone(session)
            return

    def sweep(self, now: float, timeout: float = _DESTROY_TIMEOUT) -> Flow[None]:
        """Destroy what is condemned, and sessions of this client that no call got."""
        # However old they are: an election restarts the time of every session, so age proves
        # nothing, and a lock that one holds stays taken until Consul says that it is gone.
        to_destroy = list(self.to_destroy.values())
        for first in range(0, len(to_destroy), _SWEPT_AT_ONCE):
            sessions = to_destroy[first : first + _SWEPT_AT_ONCE]
            try:
                for session in sessions:
                    yield from _say_farewell(session)
            except ConsulLockError:
                return
            answers = yield Batch(tuple(self._wire.destruction(s.id, timeout) for s in sessions))
            for session, answer in zip(sessions, answers, strict=True):
                if not isinstance(answer, Exception):
                    self.mark_gone(session)
            if any(isinstance(answer, Exception) for answer in answers):
                return  # Consul is away: the next sweep goes on
        if self.orphans:
            yield from self._sweep_orphans(now, timeout)

    def _sweep_orphans(self, now: float, timeout: float) -> Flow[None]:
        try:
            sessions = yield from self._wire.sessions(timeout)
            for info in sessions:
                if info.name in self.orphans:
                    yield from self._wire.destroy(info.id, timeout)
                    self.orphans.pop(info.name, None)
        except ConsulLockError:
            return
        # A session that has not come by now never comes: no request waits that long in Consul.
        for name, since in list(self.orphans.items()):
            if now - since > _GHOST:
                self.orphans.pop(name, None)


def _say_farewell(session: Session) -> Flow[None]:
    """Send what is to be sent before it is ended.  Raises `Unavailable`."""
    for request in list(session.farewell):
        try:
            yield request._replace(timeout=_DESTROY_TIMEOUT)
        except (PermissionDenied, Refused):
            pass  # then the end of the session has to do
        if request in session.farewell:  # the keeper may be at it, too
            session.farewell.remove(request)


def _difference(asked: SessionOptions, got: SessionInfo) -> str:
    """How the server's session differs from what was asked; empty if it does not."""
    # In milliseconds, as they were sent: a third of a minute has more digits than that.
    wanted = {
        "TTL": f"{_milliseconds(asked.ttl)}ms",
        "LockDelay": f"{_milliseconds(asked.lock_delay)}ms",
        "Behavior": asked.behavior,
        "NodeChecks": set(asked.checks),
        "ServiceChecks": set(asked.service_checks),
    }
    found = {
        "TTL": f"{_milliseconds(parse_duration(got.ttl))}ms",
        "LockDelay": f"{_milliseconds(got.lock_delay)}ms",
        "Behavior": got.behavior,
        "NodeChecks": set(got.checks),
        "ServiceChecks": set(got.service_checks),
    }
    wrong = [f"{k} {found[k]!r} instead of {wanted[k]!r}" for k in wanted if found[k] != wanted[k]]
    return ", ".join(wrong)


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
