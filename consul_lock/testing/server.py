"""The leader: what is in Raft, what is only in its memory, and the timers it runs."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from random import Random

from consul_lock.testing.blocking_queries import Query, Waiting, Watchers
from consul_lock.testing.health_checks import CRITICAL, Checks
from consul_lock.testing.release import Release
from consul_lock.testing.responses import Answer, refusal
from consul_lock.testing.session_table import SessionTable
from consul_lock.testing.sessions import Session
from consul_lock.testing.store import Store
from consul_lock.testing.tombstones import GRANULARITY
from consul_lock.testing.tombstones import TTL as GRAVE_TTL
from consul_lock.testing.virtual_time import Event, Timeline

TTL_MULTIPLIER = 2.0
"""A real server lets a session live twice its TTL."""
JITTER_FRACTION = 16
"""A blocking query waits up to this fraction longer than asked."""


class Server:
    """State and time.  Every write is one Raft entry: `apply`, the change, then `settle`."""

    def __init__(self, seed: int, session_ttl_min: float, node: str, release: Release) -> None:
        self.release = release
        self.random = Random(seed)
        self.session_ttl_min = session_ttl_min
        self.node = node
        self.time = Timeline()
        self.index = 10  # About where a new agent is when it has registered itself.
        self.kv = Store()
        self.kv_watchers = Watchers()
        self.sessions = SessionTable(any_id=release.any_session_id)
        self.session_watchers = Watchers()
        self.delays: dict[str, Event] = {}
        """The end of the lock-delay of each key that is in one."""
        self._closed: dict[str, float] = {}
        """When each of them began."""
        self._unseen_since, self._caught_up = 0.0, 0.0
        """A new leader has not applied what was written from then on, until this time."""
        self.raft: float | Callable[[], float] = 0.0
        self._log: dict[Event, Callable[[], None] | None] = {}
        """Entries that are appended and not applied, and who hears it if one is lost."""
        self._applied = 0.0
        """When the last of them is applied."""
        self.checks = Checks()
        self.expiry_factor: float | Callable[[str], float] = TTL_MULTIPLIER
        self.leaderless = False
        self._timers: dict[str, Event] = {}
        self._reaping: dict[float, int] = {}

    # -- Raft

    def apply(self) -> int:
        """Append an entry to the log; return its index."""
        self.index += 1
        return self.index

    def append(self, apply: Callable[[], None], lost: Callable[[], None] | None = None) -> None:
        """Append an entry to the log, to be applied after those before it."""
        takes = self.raft if isinstance(self.raft, int | float) else self.raft()
        if not takes:
            apply()
            return

        def due() -> None:
            self._log.pop(event, None)
            apply()

        # One after the other, so that a reader in between sees each of them.
        self._applied = max(self._applied + 1e-6, self.time.now + takes)
        event = self.time.at(self._applied, due)
        self._log[event] = lost

    def _leave_log(self) -> None:
        """The leader is gone: the next one has each of its last entries, or not."""
        for event, lost in list(self._log.items()):
            if lost is not None:
                lost()
            if self.random.random() < 0.5:
                event.cancel()
                del self._log[event]

    def settle(self) -> None:
        """The change of an entry is complete: wake those who waited for it."""
        if self.kv.commit():
            self._plan_reaping()
        for table, watchers in (
            (self.kv, self.kv_watchers),
            (self.sessions, self.session_watchers),
        ):
            if table.changed:
                changed, table.changed = table.changed, set()
                for waiting in watchers.woken(changed):
                    self._look_again(waiting)

    def _plan_reaping(self) -> None:
        due = (self.time.now + GRAVE_TTL) // GRANULARITY * GRANULARITY + GRANULARITY
        if due not in self._reaping:
            self.time.at(due, lambda: self._reap(due))
        self._reaping[due] = self.index

    def _reap(self, due: float) -> None:
        if (index := self._reaping.pop(due, None)) is not None:
            self.apply()
            self.kv.graves.reap(index)

    # -- blocking queries

    def ask(self, query: Query, finish: Callable[[Answer], None]) -> Callable[[], None] | None:
        """Answer a query now or later.  Returns how to give it up, None if it is answered."""
        reading = query.read()
        if not query.minimum or reading.at > query.minimum:
            finish(reading.answer)
            return None
        waiting = Waiting(query, reading, finish)
        waiting.missed = reading.missing
        wait = query.wait + self.random.uniform(0.0, query.wait / JITTER_FRACTION)
        waiting.deadline = self.time.at(self.time.now + wait, lambda: self._end(waiting))
        query.watchers.add(waiting)
        return lambda: self._forget(waiting)

    def _look_again(self, waiting: Waiting) -> None:
        query = waiting.query
        query.watchers.remove(waiting)
        reading = waiting.reading = query.read()
        if reading.missing:
            if waiting.missed and self.release.missing_waits:
                waiting.minimum = reading.at  # What is still missing has not changed.
            waiting.missed = True
        if reading.at > waiting.minimum:
            self._end(waiting)
            return
        waiting.watch = waiting.reading.watch()
        query.watchers.add(waiting)

    def _end(self, waiting: Waiting) -> None:
        # With what it saw when it was last woken, which is not always what is there now.
        self._forget(waiting)
        waiting.finish(waiting.reading.answer)

    def _forget(self, waiting: Waiting) -> None:
        waiting.query.watchers.remove(waiting)
        if waiting.deadline is not None:
            waiting.deadline.cancel()

    def drop_queries(self, answer: Answer) -> None:
        """End all blocking queries with ``answer``: the connection to the leader broke."""
        for waiting in self.kv_watchers.all() + self.session_watchers.all():
            self._forget(waiting)
            waiting.finish(answer)

    # -- sessions

    def create_session(self, session: Session) -> None:
        """Add a session that was found valid; a Refusal (500) if its node or checks are not."""
        session.id = str(uuid.UUID(int=self.random.getrandbits(128)))
        index = self.apply()
        # Consul starts the timer before it looks whether the session was accepted.
        self.start_timer(session)
        problem = self.checks.refusal(session.check_ids())
        if session.node.lower() != self.node.lower():
            problem = "Missing node registration"
        if problem:
            raise refusal(500, self.release.session_refused + problem)
        self.sessions.add(session, index)
        self.settle()

    def destroy_session(self, session_id: str) -> None:
        """Invalidate a session, by request or as its time is over; unknown ones are fine."""
        if self.release.destroys_known and self.sessions.get(session_id) is None:
            return
        index = self.apply()
        self.stop_timer(session_id)
        if (session := self.sessions.get(session_id)) is not None:
            self._invalidate(session, index)
            self.settle()

    def start_timer(self, session: Session) -> None:
        """(Re-)start the time after which it expires."""
        self.stop_timer(session.id)
        ttl = session.ttl_seconds()
        if ttl:
            factor = self.expiry_factor
            times = factor if isinstance(factor, int | float) else factor(session.id)
            due = self.time.now + ttl * times
            self._timers[session.id] = self.time.at(due, lambda: self._expire(session.id))

    def stop_timer(self, session_id: str) -> None:
        """A session that was destroyed expires no more."""
        if (timer := self._timers.pop(session_id, None)) is not None:
            timer.cancel()

    def _expire(self, session_id: str) -> None:
        self._timers.pop(session_id, None)
        self.append(lambda: self.destroy_session(session_id))

    def _invalidate(self, session: Session, index: int) -> None:
        self.sessions.remove(session, index)
        delay = session.delay_seconds()
        for key in self.kv.held_by(session.id):
            held = self.kv.entries[key]
            if session.behavior == "delete":
                self.kv.delete(key, index)
            else:
                self.kv.unlock(key, held.value, held.flags, session.id, index)
            if delay > 0:
                self._close(key, delay)

    def _close(self, key: str, delay: float) -> None:
        if (earlier := self.delays.get(key)) is not None:
            earlier.cancel()
        end = self.time.now + delay
        self.delays[key] = self.time.at(end, lambda: self._open(key))
        self._closed[key] = self.time.now

    def _open(self, key: str) -> None:
        del self.delays[key], self._closed[key]

    def in_delay(self, key: str) -> bool:
        """Whether the leader, as far as it has come in the log, knows of a lock-delay."""
        if key not in self.delays:
            return False
        unseen = self._closed[key] >= self._unseen_since and self.time.now < self._caught_up
        return not unseen

    def invalidate_bound(self, check: str | None) -> None:
        """Invalidate the sessions bound to a check (None: all of the node) in one entry."""
        doomed = self.sessions.all() if check is None else self.sessions.bound_to(check)
        index = self.apply()
        for session in doomed:
            self._invalidate(session, index)
        self.settle()

    # -- leaders

    def step_down(self) -> None:
        """No leader: the timers of sessions run only in a leader's memory."""
        self.leaderless = True
        self._leave_log()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._reaping.clear()

    def elect(self, behind: float = 0.0, catching_up: float = 0.0) -> None:
        """A new leader: every session has its whole time again."""
        self.step_down()
        self._unseen_since = self.time.now - behind
        self._caught_up = self.time.now + catching_up
        self.leaderless = False
        self.index += 2  # A leader begins with a no-op and a barrier.
        self._plan_reaping()
        for session in self.sessions.all():
            self.start_timer(session)
        for check, status in self.checks.status.items():
            if status == CRITICAL and self.sessions.bound_to(check):
                self.invalidate_bound(check)
