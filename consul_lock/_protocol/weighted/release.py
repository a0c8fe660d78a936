"""Leaving the documents of a semaphore, a read/write lock or a tree lock.

Whoever leaves lets in who comes next, in the same write, as far as they are ours: a Go client
does not look whether it was let in, so it is left to enter by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from consul_lock._protocol.client.retry import QUICKER, TRIES_MOST, too_busy, until_let_go
from consul_lock._protocol.consul.operations import check_session
from consul_lock._protocol.flow import Flow, Sleep, Wall
from consul_lock._protocol.hold.hold import Grant, Hold
from consul_lock._protocol.keys import slot_key
from consul_lock._protocol.primitive.release import end_all
from consul_lock._protocol.session.session import Session
from consul_lock._protocol.weighted import snapshot as places
from consul_lock._protocol.weighted.access import accept, look
from consul_lock._protocol.weighted.attempt import Bid
from consul_lock._protocol.weighted.base import WeightedBase, read
from consul_lock._protocol.weighted.document import Document
from consul_lock._protocol.weighted.layout import Contender, Spot
from consul_lock._protocol.weighted.operations import change, forget, remove, touch
from consul_lock._protocol.weighted.snapshot import Place, understood
from consul_lock.errors import Conflict, ConsulLockError, LossReason


def let_go(core: WeightedBase, hold: Hold, *, patient: bool = True) -> Flow[LossReason | None]:
    """Give back what we hold.  Returns why it was lost, if it turns out that it was."""
    return until_let_go(core.client, hold, lambda: _let_go(core, hold), patient=patient)


def _let_go(core: WeightedBase, hold: Hold) -> Flow[LossReason | None]:
    bid = hold.attempt
    assert isinstance(bid, Bid)
    ids, refusals = [session.id for session in hold.sessions], 0
    while True:
        doubtful = any(session.doubtful for session in hold.sessions)
        if not (hold.crowded or doubtful or refusals):
            # Nobody was there when we entered: then the documents are as we wrote them.
            seen = tuple(_as_entered(spot, hold) for spot in bid.spots)
        else:
            try:
                certain = doubtful or refusals > 3
                since = max(hold.token, bid.slots.raft_index)
                seen = yield from _seen(core, bid.spots, since, certain=certain)
            except Conflict:
                return LossReason.STOLEN
        if not all(p.holds(s) and p.contends(s) for p in seen for s in ids):
            if hold.unanswered and not any(p.holds(s) for p in seen for s in ids):
                return None  # an earlier try came through without our being told
            return (yield from core.why(hold, seen))
        outcome = yield from hold.leave(_depart(core, bid.spots, hold.sessions, seen))
        if outcome.done:
            return None
        refusals += 1
        if refusals >= TRIES_MOST:
            raise too_busy(core.key, "releasing")
        if refusals > 1:
            yield Sleep(*QUICKER)


def _as_entered(spot: Spot, hold: Hold) -> Place:
    """A document that holds nobody but us, as our own write left it."""
    bid = hold.attempt
    assert isinstance(bid, Bid)
    nothing = places.read(spot.kind, spot.name, (), spot.limit, hold.token)
    ids = [session.id for session in hold.sessions]
    document = places.enter(nothing.document, ids, spot.weight)
    return nothing._replace(
        document=document._replace(modify_index=hold.token),
        contenders=tuple(_contender(bid, spot, session, hold.token) for session in ids),
        slots=dict(zip(bid.slots.numbers, ids, strict=False)),
    )


def _contender(bid: Bid, spot: Spot, session: str, index: int) -> Contender:
    asked = (bid.leader, bid.n, spot.weight, len(bid.spots))
    return Contender(session, index, index, True, *asked, "")


def _seen(
    core: WeightedBase, spots: tuple[Spot, ...], since: int, *, certain: bool
) -> Flow[tuple[Place, ...]]:
    found = yield from read(core, spots, certain=certain)
    if found.raft_index < since:
        found = yield from read(core, spots, certain=True)  # an old picture, from before we came
    return tuple(understood(spot, found) for spot in spots)


def _depart(
    core: WeightedBase,
    spots: tuple[Spot, ...],
    sessions: Sequence[Session],
    seen: tuple[Place, ...],
) -> Flow[Any]:
    """Take sessions out of the documents and out of the line, and let in who comes next."""
    since = yield Wall()
    leaving = frozenset(session.id for session in sessions)
    operations = list[dict[str, Any]]()
    for spot, place in zip(spots, seen, strict=True):
        operations += [op for session in sorted(leaving) for op in _withdrawn(spot, place, session)]
        document = places.leave(place, leaving)
        if len(spots) == 1:
            room = core.operations_most - len(operations) - 1
            document, entering = places.grants(place, document, leaving, room // 2)
            for each in entering:
                operations += touch(spot, each, since)
        operations += _rewrite(spot, place, document, leaving)
    operations += litter(spots, seen, core.operations_most - len(operations), leaving)
    request = core.client.wire.transaction(operations, f"leaving {core.key!r}", core.rule)
    first, *others = sessions
    return (yield from core.client.write(first, request, others))


def _withdrawn(spot: Spot, place: Place, session: str) -> list[dict[str, Any]]:
    """Delete a contender key.

    Of one who waits it has to be as it was read: if it was let in meanwhile, the document needs
    another change.
    """
    key = spot.contender_key(session)
    mine = next((c for c in place.contenders if c.session == session), None)
    if mine is None:
        # Its session has ended: the key is nobody's, and lets nobody in.
        left = place.left.get(session)
        return [forget(key, left.modify_index)] if left else []
    if not place.holds(session):
        return [forget(key, mine.modify_index)]
    numbers = [number for number, holder in place.slots.items() if holder == session]
    keys = [key, *(slot_key(spot.name, number) for number in sorted(numbers))]
    return [
        operation
        for key in keys
        for operation in (check_session(key, session), {"Verb": "delete", "Key": key})
    ]


def _rewrite(
    spot: Spot, place: Place, document: Document, leaving: frozenset[str]
) -> list[dict[str, Any]]:
    """The change of a document; it goes with the last who cares for it."""
    if not place.document.modify_index:
        return []
    others = any(contender.session not in leaving for contender in place.contenders)
    if not document.holders and not others:
        return remove(spot, place)
    return [change(spot, place, document)] if document != place.document else []


def litter(
    spots: Sequence[Spot],
    seen: Sequence[Place],
    room: int,
    leaving: frozenset[str] = frozenset(),
) -> list[dict[str, Any]]:
    """Operations that take away what the dead have left, with something that is written anyway.

    Keys of contenders that are in no document guard nothing: they go at once.  Numbers of slots
    go when nobody is in or waits: whoever believes in one is in the document until its lock-delay
    is over, and who comes later finds the number in lock-delay, if it still is.
    """
    operations = list[dict[str, Any]]()
    for spot, place in zip(spots, seen, strict=True):
        guarded = leaving | place.document.holders.keys()
        operations += [
            forget(spot.contender_key(session), contender.modify_index)
            for session, contender in sorted(place.left.items())
            if session not in guarded
        ]
        others = {c.session for c in place.contenders} | place.document.holders.keys()
        if others <= leaving and place.document.modify_index:
            operations += [
                forget(slot_key(spot.name, number), index)
                for number, index in sorted(place.left_slots.items())
            ]
    return operations[: max(0, room)]


def settle(core: WeightedBase, spots: tuple[Spot, ...], sessions: Sequence[Session]) -> Flow[None]:
    """Take sessions that have lost what they held out of the documents."""
    for _ in range(TRIES_MOST):
        seen = yield from _seen(core, spots, 0, certain=True)
        ids = [session.id for session in sessions]
        if not any(p.holds(s) or p.contends(s) or s in p.left for p in seen for s in ids):
            return
        outcome = yield from _depart(core, spots, sessions, seen)
        if outcome.done:
            return
        yield Sleep(*QUICKER)
    raise too_busy(core.key, "leaving")


def give_up(core: WeightedBase, bid: Bid) -> Flow[Grant | None]:
    """Leave the line.  If we were let in at that very moment, we hold it: keep it."""
    if not bid.asked:
        return None
    for tries in range(TRIES_MOST):
        if bid.places is None:
            yield from look(core, bid, certain=True)
        seen = bid.places
        assert seen is not None
        ids = bid.ids()
        if any(place.holds(session) for place in seen for session in ids):
            grant = yield from accept(core, bid, seen)
            if grant is None:
                yield from start_anew(core, bid)
            return grant
        operations = _going(core, bid, seen)
        if not operations:
            break
        doing = f"leaving the line of {core.key!r}"
        request = core.client.wire.transaction(operations, doing, core.rule)
        outcome = yield from core.client.write(bid.group[0], request, bid.group[1:])
        if outcome.done:
            yield from _sweep(core, bid.spots)
            break
        bid.places = None
        if tries:
            yield Sleep(*QUICKER)
    else:
        raise too_busy(core.key, "leaving the line of")
    bid.asked, bid.joined, bid.places = False, False, None
    return None


def _going(core: WeightedBase, bid: Bid, seen: tuple[Place, ...]) -> list[dict[str, Any]]:
    """Delete our contender keys, and documents that nobody else cares for."""
    ids, operations = bid.ids(), list[dict[str, Any]]()
    for spot, place in zip(bid.spots, seen, strict=True):
        operations += [op for session in ids for op in _withdrawn(spot, place, session)]
        if not place.document.holders:
            operations += _rewrite(spot, place, place.document, frozenset(ids))
    room = core.operations_most - len(operations)
    return operations and operations + litter(bid.spots, seen, room, frozenset(ids))


def start_anew(core: WeightedBase, bid: Bid) -> Flow[None]:
    """Not with these sessions: nobody has worked under what they have got, so it goes at once."""
    yield from end_all(core, bid, list(bid.group), tidy=bid.exposed)
    bid.forget_sessions()


def _sweep(core: WeightedBase, spots: tuple[Spot, ...]) -> Flow[None]:
    """Take away documents that nobody is left in: whoever left last may have left it to us."""
    found = yield from read(core, spots)
    for spot in spots:
        place = understood(spot, found)
        operations = _rewrite(spot, place, place.document, frozenset())
        operations += litter([spot], [place], core.operations_most - len(operations))
        if operations:
            doing = f"tidying {core.key!r}"
            yield from core.client.wire.transact(operations, doing, core.rule)


def withdraw(core: WeightedBase, bid: Bid, sessions: Sequence[Session]) -> Flow[list[Session]]:
    """Leave the line, or what was entered.  Returns the sessions that stay in doubt."""
    try:
        if sessions:
            yield from settle(core, bid.spots, sessions)
    except ConsulLockError:
        return list(sessions)
    return [session for session in sessions if session.doubtful]
