"""Sees everything that happens to what several can hold, and says when a promise is broken."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from consul_lock._protocol.flow import Request
from consul_lock._protocol.hold.hold import Attempt
from consul_lock._protocol.weighted.attempt import WeightedAttempt
from tests.simulation.common_invariants import Inspector, Resource
from tests.simulation.consul_state import LOCKS, SEMAPHORE, WHOLE, Seen, look
from tests.simulation.expiry_invariants import Dead
from tests.simulation.liveness_invariants import fitting, let_in
from tests.simulation.scenario import Plan
from tests.simulation.simulator import DELAYS, Host, Simulator, Violation
from tests.simulation.weighted_kinds import Kind
from tests.simulation.write_invariants import Judge

if TYPE_CHECKING:
    from consul_lock._protocol.hold.hold import Hold
    from tests.simulation.lock_client import Thread

# Seconds after all is well again in which requests from before may still be waited for.
_STRAGGLERS = 25.0

# Seconds for which there may be room for somebody who waits: a long poll, and a try after that;
# and the messages of those who have to move before it does.
_SERVED_WITHIN, _MESSAGES = 12.0, 40


class CrowdReferee(Inspector):
    """Checks after each event."""

    def __init__(
        self, simulator: Simulator, kind: Kind, plan: Plan, *, orderly: bool, limit: int
    ) -> None:
        super().__init__(simulator, orderly=orderly)
        self._first_limit = {SEMAPHORE: limit, LOCKS: 1}.get(kind.layout, WHOLE)
        self.kind, self._names = kind, frozenset(kind.names)
        self.swept = False
        """Somebody has had everything after the last trouble, so the dead are gone, too."""
        self._at, self._now = -1, look(kind.layout, kind.names, {})
        self._before = self._now
        self.dead = Dead(self)
        self.judge = Judge(self)
        self._told: dict[str, dict[int, int]] = defaultdict(dict)
        """By resource and weight, the highest token that was granted."""
        self._found_right: object = None
        """Who believed in what, beside what there was in Consul, when that was last compared."""
        self._weights: list[Mapping[str, int]] = []
        """What they weighed, kept so that no new mapping has the ``id`` of one of them."""
        self._room_since: dict[str, float] = {}
        self._in_since: dict[str, float] = {}
        slowest = max(DELAYS[each] for each in plan.delays) + max(plan.raft)
        # To hear that one was let in: an answer, a try in vain, a look, a renewal, and no more.
        self._told_within = 12 * slowest + 1.0
        self.on_the_way = 2 * slowest + 0.1
        """Seconds from a look to the write that is decided by it, at most."""
        self._served_within = _SERVED_WITHIN + _MESSAGES * slowest

    @property
    def counts(self) -> Counter[str]:
        return self._simulator.counts

    @property
    def now(self) -> float:
        return self._simulator.now

    @property
    def orderly(self) -> bool:
        return self._orderly

    # -- what there is

    def seen(self) -> Seen:
        """What is in Consul now."""
        index = self._server.kv.index
        if index != self._at:
            self._at = index
            self._now = look(self.kind.layout, self.kind.names, self._server.kv.entries)
        return self._now

    def holding(self) -> list[str]:
        seen = self.seen()
        return [session for name in self.kind.names for session in seen.holders(name)]

    def queued(self) -> list[str]:
        seen = self.seen()
        return [w.session for name in self.kind.names for w in seen.waiting(name)]

    def all_keys(self) -> list[str]:
        """All keys there are of it."""
        layout = self.kind.layout
        below = tuple(f"{name}/{part}" for name in self.kind.names for part in (".", layout.folder))
        return [key for key in self._server.kv.entries if key.startswith(below)]

    def attempt_of(self, session: str) -> Attempt | None:
        """The call of acquire that uses a session; it may have been given up."""
        number = self.owner(session)
        if number is None:
            return None
        known = self.contenders[number].core.pool.live.get(session)
        borrower = known.borrower if known is not None else None
        return borrower if isinstance(borrower, Attempt) else None

    def thread_of(self, session: str) -> Thread | None:
        """Who uses a session just now."""
        attempt = self.attempt_of(session)
        thread: Thread | None = attempt.owner if attempt is not None else None
        return thread

    # -- before and after a change

    def before(self) -> None:
        self._before = self.seen()

    def after(self, host: Host | None, request: Request | None) -> None:
        self.meet(host, request)
        then, now = self._before, self.seen()
        if now is not then:
            self.judge.changed(then, now, host)
            self._note_room(now)

    # -- what contenders believe

    def granted(self, thread: Thread, hold: Hold) -> None:
        self.counts["granted"] += 1
        self.counts["granted several"] += len(hold.sessions) > 1
        if not hold.counts(thread.host.clock()):
            self.counts["granted, and lost at once"] += 1
        if not self.judge.is_token(hold.token, hold.session.id):
            raise Violation(f"the token {hold.token} is not the index of the write that let it in")
        wanted = thread.weights_of(hold)
        self.judge.whole.granted(frozenset(wanted), hold.session.id)
        for name, weight in wanted.items():
            told = self._told[name]
            for other, token in told.items():
                beside = other + weight <= self.judge.most(name)
                if token >= hold.token and self.exclusive and not beside:
                    raise Violation(f"the token {hold.token} came after {token} for {name}")
            told[weight] = max(hold.token, told.get(weight, 0))

    def concerns(self, weights: Mapping[str, int]) -> bool:
        """Whether this is of its kind."""
        return not self._names.isdisjoint(weights)

    def reduced(self, thread: Thread, hold: Hold) -> None:
        """Somebody has less now than it was granted."""
        for name, weight in thread.weights_of(hold).items():
            found = self.seen().holders(name).get(hold.session.id, weight)
            if found != weight and hold.counts(thread.host.clock()):
                raise Violation(f"{hold.session.id} has {found} of {name} still, not {weight}")

    def check_kind(self) -> None:
        if self.believing:
            self._no_more_than_the_limit()

    def check_time(self) -> None:
        if self.healed is not None:
            self._nobody_waits_for_nothing(max(self.healed + _STRAGGLERS, 0.0))
        if self._orderly:
            self._everybody_is_told()

    def _no_more_than_the_limit(self) -> None:
        believing: list[Hold] = []
        weights: list[Mapping[str, int]] = []
        for hold in self.believing:
            if self.concerns(weighs := hold.owner.weights_of(hold)):
                believing.append(hold)
                weights.append(weighs)
        if not believing:
            return
        self.counts["moments of several holders"] += len(believing) > 1
        if not self.counts["trouble: delete"]:
            self._numbers_are_apart(believing)
        what = (self.seen(), believing, list(map(id, weights)))
        if self.exclusive and self._found_right != what:
            self._there_is_room_for(believing, weights)
            self._found_right, self._weights = what, weights

    def _there_is_room_for(self, believing: list[Hold], weights: list[Mapping[str, int]]) -> None:
        totals = Counter[str]()
        for each in weights:
            for name, weight in each.items():
                totals[name] += weight
        seen, since = self.seen(), min(hold.token for hold in believing)
        for name, total in totals.items():
            others = sum(1 for session in seen.holders(name) if session in self.foreign_sessions)
            if total + others > self.judge.limit(name, since):
                raise Violation(f"too many believe that they hold {name}: {self._who(believing)}")
        if self.kind.documents:
            for hold in believing:
                self._is_in(hold, seen)

    def _numbers_are_apart(self, believing: list[Hold]) -> None:
        """No two have a slot of the same number, also beside those of Go, who prune at once."""
        numbers = list[int]()
        for hold in believing:
            if isinstance(hold.attempt, WeightedAttempt):
                numbers += hold.attempt.slots.numbers
        if not numbers:
            return
        self.counts["moments of several numbers"] += len(numbers) > 1
        if len(set(numbers)) < len(numbers):
            raise Violation(f"two have the same number: {numbers} of {self._who(believing)}")

    def _is_in(self, hold: Hold, seen: Seen) -> None:
        for name, weight in hold.owner.weights_of(hold).items():
            holders = seen.holders(name)
            inside = [s.id for s in hold.sessions if s.id in holders]
            if len(inside) != len(hold.sessions) or holders[inside[0]] * len(inside) < weight:
                raise Violation(f"{self._who([hold])} believe in {name}, and are not in")

    def _who(self, holds: list[Hold]) -> list[tuple[int, str, dict[str, int]]]:
        return [(h.owner.host.number, h.session.id, dict(h.owner.weights_of(h))) for h in holds]

    # -- nobody waits for nothing

    def _note_room(self, seen: Seen) -> None:
        """For whom there is room, and who was let in and should hear of it."""
        for since, whom in (
            (self._room_since, fitting(self, seen)),
            (self._in_since, let_in(self, seen)),
        ):
            for session in since.keys() - whom:
                del since[session]
            for session in whom:
                since.setdefault(session, self.now)

    def _nobody_waits_for_nothing(self, healed: float) -> None:
        if not self._room_since:
            return
        if self.dead.sessions:
            self._note_room(self.seen())  # time alone makes room where somebody has died
        for session, since in self._room_since.items():
            if self.now - max(since, healed) > self._served_within and self._is_there(session):
                raise Violation(f"there is room for {session} since {since}, and it waits")

    def _is_there(self, session: str) -> bool:
        number = self.owner(session)
        contender = self.contenders[number] if number is not None else None
        return contender is not None and not contender.crashed and not contender.closed

    def _everybody_is_told(self) -> None:
        if not self._in_since:
            return
        known = {s.id for c in self.contenders for h in c.core.holds for s in h.sessions}
        for session in known & self._in_since.keys():
            self._in_since[session] = float("inf")  # from now on it knows how things stand
        for session, since in self._in_since.items():
            if self.now - since > self._told_within and self._is_there(session):
                raise Violation(f"{session} was let in at {since}, and does not know it")

    def resources(self) -> list[Resource]:
        names = frozenset(self.kind.names)
        return [Resource(names, self._first_limit)] if self.exclusive else []

    # -- at the end

    def nothing_left(self) -> None:
        seen = self.seen()
        dead = self.dead.sessions
        for name in self.kind.names:
            left = [waiter.session for waiter in seen.contenders[name]]
            document = seen.documents.get(name)
            if document is not None:
                left += [s for s in document.holders if self.swept or s not in dead]
                excused = self.dead.any or self.dead.crossed
                if not document.holders and (self.swept or not excused):
                    # One that waited alone and died leaves it to the next client.
                    left.append("an empty document")
            if left:
                raise Violation(f"left behind of {name}: {left}")
        if not self.swept:
            return
        keys, entries = self.all_keys(), self._server.kv.entries
        if not self.kind.documents:
            # What somebody who died has left stays until it is met.
            keys = [k for k in keys if entries[k].session or k.endswith("/.lock")]
        if keys:
            raise Violation(f"left behind: {keys}")
