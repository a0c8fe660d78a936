"""What semaphores, read/write locks and tree locks share: documents that list their holders.

Whoever wants something makes a contender key, locked by its session, and enters a document by
check-and-set, in a transaction in which Consul checks the contender key too.  The kinds differ
in what they claim (see `Claim`), and in nothing else.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.consul.models import Found, Pair, key_rule
from consul_lock._protocol.consul.operations import check_session
from consul_lock._protocol.consul.replies import TRANSACTION_MOST
from consul_lock._protocol.flow import Flow
from consul_lock._protocol.hold.hold import Hold
from consul_lock._protocol.holder import Holder, parse
from consul_lock._protocol.keys import slot_key
from consul_lock._protocol.primitive.lockable import Lockable
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.weighted.attempt import Bid
from consul_lock._protocol.weighted.document import decode
from consul_lock._protocol.weighted.layout import Spot
from consul_lock._protocol.weighted.snapshot import Place, understood
from consul_lock.errors import Conflict, ConsulLockError, LossReason


class WeightedBase(Lockable):
    """Something with a document of its holders.  One object can be held several times over."""

    operations_most = TRANSACTION_MOST

    def __init__(self, client: ClientCore, name: str, settings: Settings) -> None:
        super().__init__(client, name, f"{name}/.lock", settings)
        self.rule = key_rule(f"{name}/")
        self.limit = 1

    @abstractmethod
    def spots(self) -> tuple[Spot, ...]:
        """The documents to enter."""

    def adopt(self, limit: int) -> None:
        """Others have changed the limit."""

    # -- getting and letting go ------------------------------------------------------------------

    def attempt(self, owner: Any, blocking: bool, n: int = 1) -> Bid:
        return Bid(self.spots(), n, self.about, (self.terms, self.shared), owner, blocking)

    def refresh(self, attempt: Bid) -> None:
        attempt.want(self.spots())

    ends_session = leaves_traces = True

    # -- looking after it ------------------------------------------------------------------------

    def proof(self, hold: Hold) -> list[dict[str, Any]]:
        return [*_alive(hold), *({"Verb": "get", "Key": s.document_key} for s in _spots(hold))]

    def disproved(self, hold: Hold, pairs: Sequence[Pair]) -> bool:
        for spot in _spots(hold):
            pair = next((p for p in reversed(pairs) if p.key == spot.document_key), None)
            try:
                document = decode(spot.kind, spot.name, pair, spot.limit)
            except Conflict:
                return True
            if any(session.id not in document.holders for session in hold.sessions):
                return True
        return False

    def examine(self, hold: Hold, found: Found | None, timeout: float | None) -> Flow[Any]:
        spots, given = _spots(hold), found is not None
        if found is not None:
            spots = spots[-1:]
        else:
            found = yield from read(self, spots, certain=True, timeout=timeout)
        try:
            seen = tuple(understood(spot, found) for spot in spots)
        except Conflict:
            return LossReason.STOLEN
        ids = [session.id for session in hold.sessions]
        # An answer to a question from before our slots had numbers does not show those.
        old = [place.raft_index < _bid(hold).slots.raft_index for place in seen] if given else []
        numbered = any(old) or all(_numbered(hold, place) for place in seen)
        if numbered and all(place.holds(s) and place.contends(s) for place in seen for s in ids):
            return None
        return (yield from self.why(hold, seen, timeout))

    def why(
        self, hold: Hold, seen: tuple[Place, ...], timeout: float | None = None
    ) -> Flow[LossReason]:
        """Why it is lost, given what was read."""
        try:
            for session in hold.sessions:
                if (yield from self.client.wire.renew(session.id, timeout)) is None:
                    return LossReason.SESSION_INVALID
        except ConsulLockError:
            pass  # not known: judge by the keys alone
        ids = [session.id for session in hold.sessions]
        there = all(place.contends(session) for place in seen for session in ids)
        there = there and all(_numbered(hold, place) for place in seen)
        if not there or any(not place.document.modify_index for place in seen):
            return LossReason.KEY_DELETED
        weights = [(spot, len(ids) * spot.weight) for spot in _spots(hold)]
        full = [
            place.document.used + weight > place.document.limit
            for spot, weight in weights
            for place in seen
            if place.name == spot.name and not all(place.holds(session) for session in ids)
        ]
        return LossReason.STOLEN if any(full) else LossReason.REVOKED

    def look(self, hold: Hold, index: int, wait: float) -> Flow[Found]:
        prefix = _spots(hold)[-1].prefix
        return self.client.wire.tree(prefix, index=index, wait=wait, consistent=True)

    def guarded(self, hold: Hold) -> Flow[list[dict[str, Any]] | None]:
        spots = _spots(hold)
        found = yield from read(self, spots, certain=True)
        if self.disproved(hold, found.pairs):
            return None
        # Our contender keys and our entries go together, unless somebody writes by hand; and
        # the index of a document moves with everybody who comes and goes.
        return _alive(hold)

    # -- questions -------------------------------------------------------------------------------

    def who(self) -> Flow[Holder | None]:
        holders = yield from self.everybody()
        return holders[0] if holders else None

    def everybody(self) -> Flow[list[Holder]]:
        """Who is in, in the order of their coming; those who vanished last."""
        (place,) = yield from self._place()
        inside = [c for c in place.contenders if place.holds(c.session)]
        there = [parse(c.session, c.about, c.modify_index) for c in inside]
        return there + [place.holder(session) for session in sorted(place.vanished())]

    def line(self) -> Flow[list[Holder]]:
        (place,) = yield from self._place()
        waiting = [c for c in place.contenders if not place.holds(c.session)]
        return [parse(c.session, c.about) for c in waiting if c.session == c.leader]

    def _place(self) -> Flow[tuple[Place]]:
        spot = self.spots()[-1]
        found = yield from read(self, (spot,))
        return (understood(spot, found),)


def _bid(hold: Hold) -> Bid:
    assert isinstance(hold.attempt, Bid)
    return hold.attempt


def _spots(hold: Hold) -> tuple[Spot, ...]:
    return _bid(hold).spots


def _numbered(hold: Hold, place: Place) -> bool:
    """Whether the numbers of its slots are its own."""
    return all(place.slots.get(number) == session for number, session in _numbers(hold))


def _numbers(hold: Hold) -> list[tuple[int, str]]:
    ids = [session.id for session in hold.sessions]
    return list(zip(_bid(hold).slots.numbers, ids, strict=False))


def _alive(hold: Hold) -> list[dict[str, Any]]:
    contending = [
        check_session(spot.contender_key(session.id), session.id)
        for spot in _spots(hold)
        for session in hold.sessions
    ]
    slots = [(slot_key(hold.lock.name, number), session) for number, session in _numbers(hold)]
    return contending + [check_session(key, session) for key, session in slots]


def read(
    core: WeightedBase,
    spots: tuple[Spot, ...],
    *,
    certain: bool = False,
    timeout: float | None = None,
) -> Flow[Found]:
    """Read the names, as one moment's picture; ``certain``: which cannot be an old one."""
    wire = core.client.wire
    if len(spots) == 1:
        return (yield from wire.tree(spots[0].prefix, timeout, consistent=certain))
    operations = [{"Verb": "get-tree", "Key": spot.prefix} for spot in spots]
    doing = f"reading {core.key!r}"
    outcome = yield from wire.transact(operations, doing, core.rule, timeout=timeout)
    # Its pairs are the whole picture: no change that is not in it has a lower index.
    return Found(outcome.sent, max(1, outcome.raft_index), outcome.pairs)
