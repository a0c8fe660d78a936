"""Leaving the documents of a semaphore, a read/write lock or a tree lock.

A holder that leaves admits the next waiters in the same write, if they are of consul-lock: a Go
client does not check whether it was admitted, so it is left to enter by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from consul_lock._protocol.client.retry import QUICKER, TRIES_MAX, too_busy, until_let_go
from consul_lock._protocol.consul.operations import check_session
from consul_lock._protocol.flow import Flow, Sleep, Wall
from consul_lock._protocol.hold.hold import Grant, Hold
from consul_lock._protocol.hold.waiter import WaiterEntry
from consul_lock._protocol.keys import slot_key
from consul_lock._protocol.primitive.release import end_all
from consul_lock._protocol.session.session import Session
from consul_lock._protocol.weighted.access import accept, look
from consul_lock._protocol.weighted.attempt import WeightedAttempt
from consul_lock._protocol.weighted.base import WeightedBase, read_targets
from consul_lock._protocol.weighted.document import Document
from consul_lock._protocol.weighted.layout import Contender, Target
from consul_lock._protocol.weighted.operations import (
    delete_document,
    delete_if_unchanged,
    touch,
    write_document,
)
from consul_lock._protocol.weighted.snapshot import (
    Snapshot,
    add_holders,
    admit_waiters,
    parse_snapshot,
    remove_holders,
    snapshot_of,
)
from consul_lock.errors import Conflict, ConsulLockError, LossReason


def let_go(core: WeightedBase, hold: Hold, *, patient: bool = True) -> Flow[LossReason | None]:
    """Release what is held.  Returns why it was lost, if it turns out that it was."""
    return until_let_go(core.client, hold, lambda: _let_go(core, hold), patient=patient)


def _let_go(core: WeightedBase, hold: Hold) -> Flow[LossReason | None]:
    attempt = hold.attempt
    assert isinstance(attempt, WeightedAttempt)
    ids, refusals = [session.id for session in hold.sessions], 0
    let_in = list[Contender]()
    while True:
        in_doubt = any(session.in_doubt for session in hold.sessions)
        if not (hold.contended or in_doubt or refusals):
            # The documents were empty on entering, so they are as this client wrote them.
            seen = tuple(_as_entered(target, hold) for target in attempt.targets)
        else:
            try:
                certain = in_doubt or refusals > 3
                since = max(hold.token, attempt.slots.raft_index)
                seen = yield from _seen(core, attempt.targets, since, certain=certain)
            except Conflict:
                return LossReason.STOLEN
        if not all(p.holds(s) and p.contends(s) for p in seen for s in ids):
            if hold.unanswered and not any(p.holds(s) for p in seen for s in ids):
                return None  # an earlier try succeeded, and its answer was lost
            return (yield from core.why(hold, seen))
        outcome = yield from hold.leave(_depart(core, attempt.targets, hold.sessions, seen, let_in))
        if outcome.done:
            # The sessions of a group enter together: one speaks for them.
            hold.handed_to = tuple(
                WaiterEntry(each.session, each.about, 0, 0)
                for each in let_in
                if each.session == each.leader
            )
            return None
        refusals += 1
        if refusals >= TRIES_MAX:
            raise too_busy(core.key, "releasing")
        if refusals > 1:
            yield Sleep(*QUICKER)


def _as_entered(target: Target, hold: Hold) -> Snapshot:
    """A document with this holder alone, as its own write left it."""
    attempt = hold.attempt
    assert isinstance(attempt, WeightedAttempt)
    nothing = parse_snapshot(target.kind, target.name, (), target.limit, hold.token)
    ids = [session.id for session in hold.sessions]
    document = add_holders(nothing.document, ids, target.weight)
    return nothing._replace(
        document=document._replace(modify_index=hold.token),
        contenders=tuple(_contender(attempt, target, session, hold.token) for session in ids),
        slots=dict(zip(attempt.slots.numbers, ids, strict=False)),
    )


def _contender(attempt: WeightedAttempt, target: Target, session: str, index: int) -> Contender:
    asked = (attempt.leader, attempt.n, target.weight, len(attempt.targets))
    return Contender(session, index, index, True, *asked, "")


def _seen(
    core: WeightedBase, targets: tuple[Target, ...], since: int, *, certain: bool
) -> Flow[tuple[Snapshot, ...]]:
    found = yield from read_targets(core, targets, certain=certain)
    if found.raft_index < since:
        found = yield from read_targets(
            core, targets, certain=True
        )  # a stale read, from before the attempt
    return tuple(snapshot_of(target, found) for target in targets)


def _depart(
    core: WeightedBase,
    targets: tuple[Target, ...],
    sessions: Sequence[Session],
    seen: tuple[Snapshot, ...],
    let_in: list[Contender] | None = None,
) -> Flow[Any]:
    """Take sessions out of the documents and out of the queue, and let in the next waiters, who
    are in ``let_in`` then."""
    since = yield Wall()
    leaving = frozenset(session.id for session in sessions)
    operations = list[dict[str, Any]]()
    for target, snapshot in zip(targets, seen, strict=True):
        operations += [
            op for session in sorted(leaving) for op in _withdrawn(target, snapshot, session)
        ]
        document = remove_holders(snapshot, leaving)
        if len(targets) == 1:
            room = core.operations_max - len(operations) - 1
            document, entering = admit_waiters(snapshot, document, leaving, room // 2)
            for each in entering:
                operations += touch(target, each, since)
            if let_in is not None:
                let_in[:] = entering
        operations += _rewrite(target, snapshot, document, leaving)
    operations += litter(targets, seen, core.operations_max - len(operations), leaving)
    request = core.client.api.transaction(operations, f"leaving {core.key!r}", core.rule)
    first, *others = sessions
    return (yield from core.client.write(first, request, others))


def _withdrawn(target: Target, snapshot: Snapshot, session: str) -> list[dict[str, Any]]:
    """Delete a contender key.

    That of a waiter has to be as it was read: if it was let in meanwhile, the document needs
    another change.
    """
    key = target.contender_key(session)
    mine = next((c for c in snapshot.contenders if c.session == session), None)
    if mine is None:
        # Its session has ended: the key is nobody's, and lets nobody in.
        left = snapshot.left.get(session)
        return [delete_if_unchanged(key, left.modify_index)] if left else []
    if not snapshot.holds(session):
        return [delete_if_unchanged(key, mine.modify_index)]
    numbers = [number for number, holder in snapshot.slots.items() if holder == session]
    keys = [key, *(slot_key(target.name, number) for number in sorted(numbers))]
    return [
        operation
        for key in keys
        for operation in (check_session(key, session), {"Verb": "delete", "Key": key})
    ]


def _rewrite(
    target: Target, snapshot: Snapshot, document: Document, leaving: frozenset[str]
) -> list[dict[str, Any]]:
    """The change of a document, which is deleted with its last user."""
    if not snapshot.document.modify_index:
        return []
    others = any(contender.session not in leaving for contender in snapshot.contenders)
    if not document.holders and not others:
        return delete_document(target, snapshot)
    return [write_document(target, snapshot, document)] if document != snapshot.document else []


def litter(
    targets: Sequence[Target],
    seen: Sequence[Snapshot],
    room: int,
    leaving: frozenset[str] = frozenset(),
) -> list[dict[str, Any]]:
    """Operations that delete the leftovers of the dead, within a write that is made anyway.

    Keys of contenders that are in no document guard nothing and go at once.  Numbers of slots
    go when there is no holder and no waiter: a holder that has one is in the document until its
    lock-delay is over, and a later one finds the number in lock-delay, if it still is.
    """
    operations = list[dict[str, Any]]()
    for target, snapshot in zip(targets, seen, strict=True):
        guarded = leaving | snapshot.document.holders.keys()
        operations += [
            delete_if_unchanged(target.contender_key(session), contender.modify_index)
            for session, contender in sorted(snapshot.left.items())
            if session not in guarded
        ]
        others = {c.session for c in snapshot.contenders} | snapshot.document.holders.keys()
        if others <= leaving and snapshot.document.modify_index:
            operations += [
                delete_if_unchanged(slot_key(target.name, number), index)
                for number, index in sorted(snapshot.left_slots.items())
            ]
    return operations[: max(0, room)]


def settle(
    core: WeightedBase, targets: tuple[Target, ...], sessions: Sequence[Session]
) -> Flow[None]:
    """Take sessions that have lost what they held out of the documents."""
    for _ in range(TRIES_MAX):
        seen = yield from _seen(core, targets, 0, certain=True)
        there = [
            s
            for s in sessions
            if any(p.holds(s.id) or p.contends(s.id) or s.id in p.left for p in seen)
        ]
        if not there:
            return
        leaving = _at_once(core, targets, seen, there)
        outcome = yield from _depart(core, targets, leaving, seen)
        if not outcome.done:
            yield Sleep(*QUICKER)
        elif len(leaving) == len(there):
            return
    raise too_busy(core.key, "leaving")


def _at_once(
    core: WeightedBase,
    targets: tuple[Target, ...],
    seen: tuple[Snapshot, ...],
    sessions: Sequence[Session],
) -> Sequence[Session]:
    """As many of these as one transaction has room for: one attempt may have lost several groups,
    one after the other."""
    room = core.operations_max - 2 * len(targets)  # to delete the documents
    for number, session in enumerate(sessions):
        pairs = zip(targets, seen, strict=True)
        room -= sum(len(_withdrawn(target, snapshot, session.id)) for target, snapshot in pairs)
        if number and room < 0:
            return sessions[:number]
    return sessions


def give_up(core: WeightedBase, attempt: WeightedAttempt) -> Flow[Grant | None]:
    """Leave the queue.  If the attempt was admitted at that very moment, it is held: keep it."""
    if not attempt.asked:
        return None
    for tries in range(TRIES_MAX):
        if attempt.snapshots is None:
            yield from look(core, attempt, certain=True)
        seen = attempt.snapshots
        assert seen is not None
        ids = attempt.ids()
        if any(snapshot.holds(session) for snapshot in seen for session in ids):
            grant = yield from accept(core, attempt, seen)
            if grant is None:
                yield from start_anew(core, attempt)
            return grant
        operations = _going(core, attempt, seen)
        if not operations:
            break
        doing = f"leaving the queue of {core.key!r}"
        request = core.client.api.transaction(operations, doing, core.rule)
        outcome = yield from core.client.write(attempt.group[0], request, attempt.group[1:])
        if outcome.done:
            yield from _sweep(core, attempt.targets)
            break
        attempt.snapshots = None
        if tries:
            yield Sleep(*QUICKER)
    else:
        raise too_busy(core.key, "leaving the queue of")
    attempt.asked, attempt.joined, attempt.snapshots = False, False, None
    return None


def _going(
    core: WeightedBase, attempt: WeightedAttempt, seen: tuple[Snapshot, ...]
) -> list[dict[str, Any]]:
    """Delete the contender keys, and documents without other holders."""
    ids, operations = attempt.ids(), list[dict[str, Any]]()
    for target, snapshot in zip(attempt.targets, seen, strict=True):
        operations += [op for session in ids for op in _withdrawn(target, snapshot, session)]
        if not snapshot.document.holders:
            operations += _rewrite(target, snapshot, snapshot.document, frozenset(ids))
    room = core.operations_max - len(operations)
    return operations and operations + litter(attempt.targets, seen, room, frozenset(ids))


def start_anew(core: WeightedBase, attempt: WeightedAttempt) -> Flow[None]:
    """Give it up with these sessions: nobody has worked under it, so it is deleted at once."""
    yield from end_all(core, attempt, list(attempt.group), tidy=attempt.may_hold)
    attempt.forget_sessions()


def _sweep(core: WeightedBase, targets: tuple[Target, ...]) -> Flow[None]:
    """Delete documents without holders: the last one may have left that to this client."""
    found = yield from read_targets(core, targets)
    for target in targets:
        snapshot = snapshot_of(target, found)
        operations = _rewrite(target, snapshot, snapshot.document, frozenset())
        operations += litter([target], [snapshot], core.operations_max - len(operations))
        if operations:
            doing = f"tidying {core.key!r}"
            yield from core.client.api.transact(operations, doing, core.rule)


def withdraw(
    core: WeightedBase, attempt: WeightedAttempt, sessions: Sequence[Session]
) -> Flow[list[Session]]:
    """Leave the queue, or what was entered.  Returns the sessions that stay in doubt."""
    try:
        if sessions:
            yield from settle(core, attempt.targets, sessions)
    except ConsulLockError:
        return list(sessions)
    return [session for session in sessions if session.in_doubt]
