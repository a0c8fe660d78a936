"""Sees everything in a simulated run, and says when a promise is broken."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from consul_lock._protocol.flow import Request
from consul_lock._protocol.hold.confirmation import CONFIRM_AFTER, COUNTS
from consul_lock._protocol.holder import parse_holder
from consul_lock._protocol.keys import LockKeys
from consul_lock._protocol.lock.base import LockAttempt
from tests.simulation.common_invariants import Inspector, Resource
from tests.simulation.scenario import Plan, Trouble
from tests.simulation.simulator import Host, Simulator, Violation
from tests.unit.protocol.fake_driver import verbs

if TYPE_CHECKING:
    from consul_lock._protocol.hold.hold import Hold
    from tests.simulation.lock_client import Thread

# Seconds after all is well again in which requests from before may still be waited for: a long
# poll that was lost takes 10 s, and 10 s more to be given up.
_STRAGGLERS = 25.0

# Seconds for which a lock may be left alone while somebody wants it, if it is free or was handed
# to somebody who is dead: a long poll of one who is not the first, and the time left to whom it
# was handed; more for each that is dead before one who lives; and ways of messages.
_SERVED_WITHIN, _DEAD_BEFORE, _SERVED_WAYS = 10.5, 0.5, 6


# Seconds, and ways of a message, until a waiter has noticed that it was handed the lock: the
# answer that shows it, and two questions that it may ask first.
_NOTICED_WITHIN, _NOTICED_WAYS = 1.5, 7


# Seconds that a message may take if everything is to be in time.
_QUICK = 0.1


class LockSeen(NamedTuple):
    """The lock's key at one moment."""

    session: str
    flags: int
    at: int
    """ModifyIndex; 0 if there is no key."""
    queue: tuple[str, ...]
    """Sessions in the queue, the first one first."""
    confirmed: bool = True
    """False: it was handed over, and its new holder has not said yet that it is there."""
    told: int | None = None
    """The fencing token by its value, which its ModifyIndex is not if it was confirmed."""
    value: str = ""
    """What its holder says."""


class Referee(Inspector):
    """Checks after each event."""

    def __init__(self, simulator: Simulator, keys: LockKeys, plan: Plan) -> None:
        super().__init__(simulator, orderly=plan.orderly)
        self._calm = plan.calm
        self._only_crashes = {fault.trouble for fault in plan.faults} <= {Trouble.CRASH}
        # What was handed over is confirmed by a write, which has the rest of its short deadline.
        confirmed_within = 2 * plan.slowest + max(plan.raft)
        self._quick = plan.slowest <= _QUICK and confirmed_within < COUNTS - CONFIRM_AFTER
        # Its place in the queue and the lock are two writes, each of which is applied that late.
        self._served_ways = _SERVED_WAYS * plan.slowest + 2 * max(plan.raft)
        # Who gives up just as it is given the lock learns of it by the writes with which it leaves.
        self._noticed_within = _NOTICED_WITHIN + _NOTICED_WAYS * plan.slowest + 2 * max(plan.raft)
        self._unnoticed = (0, 0.0)
        """The write that gave the lock to a waiter who does not know it yet, and since when."""
        self._keys = keys
        self._ended_on_it = False
        """The session of a holder has ended, and so set the lock free."""
        self._grants: dict[int, str] = {}
        self._token = 0
        self._free_since = 0.0
        self._lock: LockSeen | None = None
        self._lock_at = -1
        self._before = self.lock()

    # -- what there is

    def lock(self) -> LockSeen:
        """The lock and its queue."""
        index = self._server.kv.index
        if self._lock is None or index != self._lock_at:
            self._lock, self._lock_at = self._read(), index
        return self._lock

    def _read(self) -> LockSeen:
        entries, base = self._server.kv.entries, self._keys.base + "/"
        found = entries.get(self._keys.key)
        queue = [e for key, e in entries.items() if key.startswith(base) and e.session]
        queue.sort(key=lambda entry: entry.create_index)
        sessions = tuple(entry.session for entry in queue)
        if found is None:
            return LockSeen("", 0, 0, sessions)
        holder = parse_holder(found.session, found.value, found.modify_index)
        return LockSeen(
            found.session,
            found.flags,
            found.modify_index,
            sessions,
            holder.confirmed,
            holder.token,
            holder.value,
        )

    def holding(self) -> list[str]:
        return [session] if (session := self.lock().session) else []

    def queued(self) -> tuple[str, ...]:
        return self.lock().queue

    def keys(self) -> list[str]:
        """All keys of the lock and its queue."""
        return [key for key in self._server.kv.entries if key.startswith(self._keys.name + "/")]

    # -- before and after a change

    def before(self) -> None:
        self._before = self.lock()

    def after(self, host: Host | None, request: Request | None) -> None:
        self.meet(host, request)
        then, now = self._before, self.lock()
        if now == then:
            return
        if now.session != then.session:
            self._held_by_another(then, now, host, request)
        elif now.session and now.at != then.at:
            if same := self.rewritten(then, now):
                self._simulator.counts[same] += 1
                return
            if set(then.queue) - {then.session}:
                raise Violation(f"the lock stayed in a client while {then.queue} waited")
            self._grants[now.at] = now.session
            self._simulator.counts["passed on inside a client"] += 1
        if request is not None and then.at and not then.session and then.flags != now.flags:
            raise Violation("a key that is used for something else was overwritten")

    def rewritten(self, then: LockSeen, now: LockSeen) -> str:
        """What was done by a write of a holder that keeps the lock; "": it is another one."""
        return "confirmed" if not then.confirmed and now.told == then.at else ""

    def _held_by_another(
        self, then: LockSeen, now: LockSeen, host: Host | None, request: Request | None
    ) -> None:
        counts = self._simulator.counts
        taken_over = False
        if request is not None and request.path == "/v1/txn" and host is not None:
            if then.session and self._owners.get(then.session) != host.number:
                taken_over = not then.confirmed and "check-index" in verbs(request)
                if not taken_over:
                    raise Violation(f"contender {host.number} released a lock that is not its own")
            if verbs(request) == ["unlock", "delete"]:
                counts["set free without a look"] += 1
            else:
                self._given_to_who_wants_it(then, now, host)
        if not now.session:
            counts["freed"] += 1
            alive = self._server.sessions.get(then.session) is not None
            self._ended_on_it = self._ended_on_it or not alive
            return
        self._grants[now.at] = now.session
        if now.session not in then.queue:
            counts["taken by a newcomer"] += 1
        elif taken_over:
            counts["taken over"] += 1
        elif then.session:
            counts["handed over"] += 1
        else:
            counts["taken by the first in the queue"] += 1
        if self._orderly:
            self._in_order(then, now)

    def _given_to_who_wants_it(self, then: LockSeen, now: LockSeen, host: Host) -> None:
        if not now.session:
            # The holder itself is in the queue if the answer to its joining was lost.
            if set(then.queue) - {then.session}:
                raise Violation(f"the lock was set free while {then.queue} waited")
        elif self._owners.get(now.session) != host.number and now.session not in then.queue:
            raise Violation(f"the lock was given to {now.session}, which did not wait for it")

    def _in_order(self, then: LockSeen, now: LockSeen) -> None:
        if now.session in then.queue:
            if then.queue[0] != now.session:
                raise Violation(f"the lock went to {now.session}, but the queue was {then.queue}")
        elif then.queue and then.session:
            raise Violation("the lock was given past those in the queue")

    # -- what contenders believe

    def granted(self, thread: Thread, hold: Hold) -> None:
        self._simulator.counts["granted"] += 1
        if not hold.counts(thread.host.clock()):
            self._simulator.counts["granted, and lost at once"] += 1
        if hold.token <= self._token and self.exclusive:
            raise Violation(f"the token {hold.token} came after {self._token}")
        if self._grants.get(hold.token) != hold.session.id:
            raise Violation(f"the token {hold.token} is not the index of the write that locked")
        self._token = hold.token

    def check_kind(self) -> None:
        self._one_holder()

    def check_time(self) -> None:
        if self.healed is not None:
            self._nobody_waits_for_nothing(self.healed)
        elif self._only_crashes:
            self._nobody_waits_for_nothing(-_STRAGGLERS)
        if self._calm:
            self._new_holder_notices()
        if self._calm and self._quick:
            self._nobody_loses_it()

    def _one_holder(self) -> None:
        if not self.believing:
            return
        key = self._keys.key
        believing = [
            (hold.owner.host.number, hold.session.id) for hold in self.believing if hold.key == key
        ]
        if len(believing) > 1 and self.exclusive:
            raise Violation(f"more than one believe that they hold the lock: {believing}")
        if believing and self.exclusive and self.lock().session in self.foreign_sessions:
            raise Violation(f"{believing} believes to hold the lock that a foreign client holds")

    def _nobody_waits_for_nothing(self, healed: float) -> None:
        now, found = self._simulator.now, self.lock()
        idle = not found.session or (not found.confirmed and not self._lives(found.session))
        if not idle or self._keys.key in self._server.delays:
            self._free_since = now
            return
        alive = [session for session in found.queue if self._lives(session)]
        if not (alive if found.session else self.anybody_wants(self._keys.name)):
            self._free_since = now
            return
        dead_before = found.queue.index(alive[0]) if alive else 0
        within = _SERVED_WITHIN + dead_before * _DEAD_BEFORE + self._served_ways
        if now - max(self._free_since, healed + _STRAGGLERS) > within:
            raise Violation(f"the lock is free since {self._free_since}, and {found.queue} wait")

    def _lives(self, session: str) -> bool:
        owner = self._owners.get(session)
        return owner is not None and not self.contenders[owner].crashed

    def _nobody_loses_it(self) -> None:
        if lost := [what for what in self._simulator.counts if what.startswith("lost: ")]:
            raise Violation(f"without any trouble: {lost}")

    def _new_holder_notices(self) -> None:
        """At once, however long it would have waited otherwise."""
        now, found = self._simulator.now, self.lock()
        if found.session not in self._waiting_for_it():
            self._unnoticed = (0, now)
        elif self._unnoticed[0] != found.at:
            self._unnoticed = (found.at, now)
        elif now - self._unnoticed[1] > self._noticed_within:
            raise Violation(
                f"{found.session} was given the lock at {self._unnoticed[1]}, and waits for it"
            )

    def _waiting_for_it(self) -> set[str]:
        """Sessions with which somebody waits in the queue, as far as it knows itself."""
        return {
            attempt.session.id
            for contender in self.contenders
            for room in contender.core.local_queues._queues.values()
            for attempt in room.occupants
            if isinstance(attempt, LockAttempt) and attempt.queued and attempt.session is not None
            if attempt.hold is None
        }

    @property
    def lock_key(self) -> str:
        """The key of the lock."""
        return self._keys.key

    def resources(self) -> list[Resource]:
        return [Resource(frozenset({self._keys.name}), 1)] if self.exclusive else []

    # -- at the end

    def nothing_left(self) -> None:
        entries = self._server.kv.entries
        # The entry of a waiter who died stays until somebody meets it.
        queued = f"{self._keys.base}/"
        keys = [k for k in self.keys() if entries[k].session or not k.startswith(queued)]
        # One whose session ends while it releases has nothing to lose any more.
        died = self._ended_on_it or any(what[:6] == "lost: " for what in self._simulator.counts)
        if died or any(contender.crashed or contender.closed for contender in self.contenders):
            # A waiter that dies leaves the sign behind, and a holder that dies the lock's key;
            # the next release takes them away.
            keys = [key for key in keys if entries[key].session]
        if keys:
            raise Violation(f"left behind: {keys}")
