"""Getting into the documents of a semaphore, a read/write lock or a tree lock.

Look, judge, act, again, as for a lock: enter if there are enough slots, by check-and-set in a
transaction that is refused if the session is dead; else queue, and watch the waiter before.  Only
the first waiter watches everything: it is the one to notice that a holder is gone.
"""

from __future__ import annotations

from typing import Any

from consul_lock._protocol.consul.operations import check_session
from consul_lock._protocol.consul.replies import TxnResult
from consul_lock._protocol.flow import Flow, Wall
from consul_lock._protocol.hold.hold import Grant, may_wait
from consul_lock._protocol.primitive.acquire import has_part, not_for_oneself
from consul_lock._protocol.weighted.access import (
    Position,
    accept,
    check_visible,
    grant,
    look,
    position,
    refused,
    write,
)
from consul_lock._protocol.weighted.attempt import WeightedAttempt
from consul_lock._protocol.weighted.base import WeightedBase
from consul_lock._protocol.weighted.document import SEMAPHORE, limit_conflict
from consul_lock._protocol.weighted.layout import Contender, Target
from consul_lock._protocol.weighted.operations import (
    admit,
    contend_operation,
    touch,
    write_document,
)
from consul_lock._protocol.weighted.pruning import prune
from consul_lock._protocol.weighted.queue import wait_for_turn
from consul_lock._protocol.weighted.release import give_up, litter, start_anew
from consul_lock._protocol.weighted.snapshot import Snapshot, admit_waiters

# Tries of one who may not wait, when there is room but others are quicker each time.
_TRIES = 5


def contend(core: WeightedBase, attempt: WeightedAttempt) -> Flow[Grant | None]:
    """Get in.  None: it could not be acquired in time."""
    while True:
        yield from _gather(core, attempt)
        seen = yield from _read(core, attempt)
        if not (yield from _agree(core, attempt, seen)):
            continue
        attempt.overtaking = has_part(core, attempt)
        where = position(attempt, seen)
        grant = None
        if where is Position.IN:
            grant = yield from accept(core, attempt, seen)
        elif where is Position.ADMITTED and (yield from _may_take(attempt)):
            grant = yield from _take(core, attempt, seen)
        elif where in (Position.OLD, Position.GONE, Position.TORN):
            yield from _start_over(core, attempt, where)
        elif (yield from _may_take(attempt)) and (yield from prune(core, attempt, seen)):
            attempt.snapshots = None
        elif not (yield from may_wait(attempt)):
            return (yield from give_up(core, attempt))
        else:
            not_for_oneself(core, attempt)
            attempt.behind = seen[-1]
            yield from wait_for_turn(core, attempt, seen)
        if grant is not None:
            return grant


def _start_over(core: WeightedBase, attempt: WeightedAttempt, where: Position) -> Flow[None]:
    """What was read cannot be relied on."""
    if where is Position.OLD:
        yield from look(core, attempt, certain=True)
    elif where is Position.GONE:
        attempt.joined, attempt.snapshots = False, None
    else:
        yield from start_anew(core, attempt)


def _gather(core: WeightedBase, attempt: WeightedAttempt) -> Flow[None]:
    """A session for each slot; if one has died, all are given up, as they enter together."""
    if attempt.group and any(session.gone for session in attempt.group):
        yield from start_anew(core, attempt)
    while len(attempt.group) < attempt.n:
        session = yield from core.session_for(attempt)
        attempt.group.append(session)
        attempt.session = attempt.group[0]


def _read(core: WeightedBase, attempt: WeightedAttempt) -> Flow[tuple[Snapshot, ...]]:
    """What is known of the documents, or a look at them."""
    if not attempt.joined:
        attempt.targets = core.targets()  # of a semaphore, the limit may be another one by now
    if attempt.snapshots is None:
        attempt.limit_changes = core.limit_changes
        yield from look(core, attempt, certain=any(s.in_doubt for s in attempt.group))
    assert attempt.snapshots is not None
    return attempt.snapshots


def _agree(core: WeightedBase, attempt: WeightedAttempt, seen: tuple[Snapshot, ...]) -> Flow[bool]:
    """Check the limit.  A waiter that is in the queue already follows a change of it.

    False: look again, as this object has got another limit meanwhile.
    """
    check_visible(attempt, seen, core.rule)
    found = seen[-1].document
    if attempt.targets[-1].kind is not SEMAPHORE:
        return True
    limit = found.limit if found.modify_index else core.limit
    if attempt.n > limit or not (core.agrees(limit) or attempt.joined):
        if core.limit_changes != attempt.limit_changes:
            attempt.snapshots = None
            return False
        local = core.limit
        yield from give_up(core, attempt)
        raise limit_conflict(core.name, limit, local)
    core.adopt(limit)
    return True


def _may_take(attempt: WeightedAttempt) -> Flow[bool]:
    """A call that may not wait does not try for ever: it is as if it had come a moment later."""
    return attempt.refusals < _TRIES or (yield from may_wait(attempt))


def _take(
    core: WeightedBase, attempt: WeightedAttempt, seen: tuple[Snapshot, ...]
) -> Flow[Grant | None]:
    """Enter, and admit in the same write the later waiters for which there are slots, too."""
    if not core.begin_to_enter(attempt, seen[-1].document):
        attempt.targets, attempt.snapshots = core.targets(), None
        return None
    try:
        outcome, contended = yield from _enter(core, attempt, seen)
    finally:
        core.end_of_entering(attempt)
    if outcome.done:
        return grant(attempt, outcome.raft_index, contended=contended)
    yield from refused(core, attempt, outcome)
    return None


def _enter(
    core: WeightedBase, attempt: WeightedAttempt, seen: tuple[Snapshot, ...]
) -> Flow[tuple[TxnResult, bool]]:
    """What came of it, and whether others hold or wait, too."""
    since = yield Wall()
    operations, contended = list[dict[str, Any]](), attempt.joined
    for target, snapshot in zip(attempt.targets, seen, strict=True):
        operations += _own(attempt, target, since)
        document = admit(snapshot.document, attempt, target)
        beside: tuple[Contender, ...] = ()
        if len(attempt.targets) == 1:
            room = core.operations_max - len(operations) - 1
            document, beside = admit_waiters(
                snapshot, document, frozenset(attempt.ids()), room // 2
            )
        operations += [operation for each in beside for operation in touch(target, each, since)]
        operations.append(write_document(target, snapshot, document))
        others = snapshot.contenders or snapshot.left or snapshot.left_slots
        contended = contended or len(document.holders) > attempt.n or bool(others)
    operations += litter(attempt.targets, seen, core.operations_max - len(operations))
    outcome = yield from write(core, attempt, operations, f"entering {core.key!r}")
    return outcome, contended


def _own(attempt: WeightedAttempt, target: Target, since: float) -> list[dict[str, Any]]:
    """The contender keys: created on entering, or shown to be there still and written anew,
    so that the waiters that watch them see the change."""
    operations = []
    for session in attempt.ids():
        key = target.contender_key(session)
        if attempt.joined:
            operations.append(check_session(key, session))
        operations.append(
            contend_operation(target, session, attempt.value(target, since, inside=True))
        )
    return operations
