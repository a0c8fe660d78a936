"""Releasing: to the next waiter, to the next in this process, or to nobody.

A release hands the lock to the first waiter in the very transaction that unlocks it,
so it is never free while there is a queue: first come, first served, one Raft write, no race.

The obvious way, to unlock the key and let the waiters race for it, costs a Raft write for each of
them, is not fair, and leaves the key free in between.  Writing "you are next" first and unlocking
afterwards leaves a gap in which either may die.  Here there is no such moment:

    holder   [unlock KEY, check-index ENTRY, lock KEY with the waiter's session, delete ENTRY]
    Raft     carries it out: the waiter holds KEY, and has left the queue
    waiter   its blocking read of KEY ends: it holds

Consul lets a transaction lock a key with the session of somebody else, and refuses all of it if
that session has ended.  The holder then reads the queue and tries the next waiter.  Consul
cannot know whether the waiter's process still lives, as its session outlives it: so a hand-over
has to be confirmed, see `consul_lock._protocol.hold.confirmation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from consul_lock._protocol.client.retry import until_let_go
from consul_lock._protocol.consul.models import base64_text
from consul_lock._protocol.consul.operations import lock_operation, unlock_operation
from consul_lock._protocol.consul.replies import TxnResult
from consul_lock._protocol.flow import Flow, Now, Request, Wall
from consul_lock._protocol.hold.hold import Attempt, Grant, Hold, OwnerHere
from consul_lock._protocol.hold.state import Event
from consul_lock._protocol.hold.waiter import (
    WaiterEntry,
    WaiterQueue,
    clear_queue,
    delete_dead,
    handed_over_value,
    parse_queue,
)
from consul_lock._protocol.keys import entry_key
from consul_lock._protocol.lock.base import LockAttempt, LockBase
from consul_lock._protocol.lock.queue import is_ours, leave, look
from consul_lock._protocol.session.session import Session
from consul_lock.errors import ConsulLockError, LossReason, PermissionDenied, Refused

# Unexplained refusals of a hand-over, before the lock is released without one.
_REFUSALS_MAX = 5


class ReleaseAttempt:
    """One release under way."""

    def __init__(self, lock: LockBase, hold: Hold) -> None:
        self.lock = lock
        self.hold = hold
        self.fresh = False
        """The queue was read since the last refusal, so nothing newer can be known of it."""
        self.refusals = 0
        self.blind = False
        """Do not read the queue: this is not allowed, or it could not be followed."""
        self.next_waiter: Attempt | None = None
        """The attempt of this process that got it."""


def let_go(lock: LockBase, hold: Hold, *, patient: bool = True) -> Flow[LossReason | None]:
    """Release a lock that is held.  Returns why it was lost, if it turns out that it was."""
    letting = ReleaseAttempt(lock, hold)
    return until_let_go(lock.client, hold, lambda: _allowed(letting), patient=patient)


def _allowed(letting: ReleaseAttempt) -> Flow[LossReason | None]:
    letting.fresh = False
    try:
        return (yield from _let_go(letting))
    except (PermissionDenied, Refused):
        if letting.blind:
            raise
    # A token for the lock's key alone, as `consul lock` needs it, or a server that knows why: do
    # as `consul lock` does.
    letting.blind = True
    return (yield from _let_go(letting))


def _let_go(letting: ReleaseAttempt) -> Flow[LossReason | None]:
    lock = letting.lock
    client = lock.client
    hold = letting.hold
    while True:
        in_doubt = hold.session.in_doubt
        queue = yield from _known_queue(letting)
        if queue is not None and queue.entries:
            letting.next_waiter = None
            outcome = yield from hold.leave(_hand_over(lock, hold, queue, letting.fresh))
        else:
            # A session in doubt is not passed on, as its late writes would be, too.  Nor is
            # one that the end of its client destroys.  And a lock that must be released is
            # not handed over, as that could be refused.
            alone = in_doubt or client.closed or letting.blind
            letting.next_waiter = None if alone else client.local_queues.next_waiter(hold.attempt)
            outcome = yield from hold.leave(_plain(letting, queue))
        if outcome.done:
            if queue is not None and queue.entries:
                hold.handed_to = queue.entries[:1]
            if letting.next_waiter is None or _pass_on(letting, outcome):
                return None
        elif outcome.says("isn't held", 0) or outcome.says("doesn't exist", 0):
            # An earlier try of this release may have succeeded with its answer lost; or it
            # took so long that the next waiter took over, after this session had ended.
            gone = hold.unanswered or (yield from _is_out_of_time(hold))
            return None if gone else (yield from lock.why_lost(hold))
        elif letting.blind:
            raise Refused(
                f"cannot release {hold.key!r}: {outcome.reasons}",
                kind="release",
                answer=outcome.reasons,
                key=hold.key,
            )
        else:
            _refused(letting, outcome)


def _is_out_of_time(hold: Hold) -> Flow[bool]:
    now = yield Now()
    return hold.unconfirmed is not None and now >= hold.unconfirmed.until


def _known_queue(letting: ReleaseAttempt) -> Flow[WaiterQueue | None]:
    """Who waits in Consul; None: nobody, as far as is known."""
    lock, hold = letting.lock, letting.hold
    if letting.blind or not hold.contended:
        return None
    known = hold.queue
    if not letting.fresh and (known is None or not known.entries):
        found = yield from lock.client.api.list_keys(lock.base)
        known = hold.queue = parse_queue(lock.base, found.pairs).behind(hold.session.id)
        letting.fresh = True
    return known


def _refused(letting: ReleaseAttempt, outcome: TxnResult) -> None:
    """The queue has changed since it was read: read it again.  A lock that cannot be handed over,
    because of a lock-delay or for an unknown reason, is set free: the first waiter takes it
    then."""
    letting.hold.contended, letting.hold.queue, letting.fresh = True, None, False
    letting.refusals += 1
    if outcome.delayed or letting.refusals >= _REFUSALS_MAX:
        letting.blind = True


def _hand_over(lock: LockBase, hold: Hold, queue: WaiterQueue, fresh: bool) -> Flow[TxnResult]:
    """Give the lock to the first waiter, if it is alive and still there."""
    next_waiter = queue.entries[0]
    rest = queue.behind(next_waiter.session)
    since = yield Wall()
    operations = _hand_over_operations(
        lock, hold, next_waiter, base64_text(handed_over_value(next_waiter, rest, since))
    )
    if not rest.entries and queue.sign and fresh:
        # If the queue was read earlier, the index of the sign is too often wrong, and a refusal
        # costs a Raft write.  Then the sign is left to the next release, which finds nobody.
        operations += clear_queue(lock.base, queue)
    else:
        operations += delete_dead(queue.dead)
    request = lock.client.api.transaction(operations, f"handing over {hold.key!r}", lock.rule)
    return (yield from lock.client.write(hold.session, request))


def _hand_over_operations(
    lock: LockBase, hold: Hold, next_waiter: WaiterEntry, value: str
) -> list[dict[str, Any]]:
    entry = entry_key(lock.base, next_waiter.session)
    return [
        unlock_operation(hold.key, hold.session.id),
        # By its index, as a waiter that gave up and came back has another entry with the same
        # key, behind others: it does not expect the lock yet, and would notice it late.
        {"Verb": "check-index", "Key": entry, "Index": next_waiter.modify_index},
        lock_operation(hold.key, next_waiter.session, value),
        {"Verb": "delete", "Key": entry},
    ]


def _plain(letting: ReleaseAttempt, queue: WaiterQueue | None) -> Flow[TxnResult]:
    """Nobody waits in Consul: pass the lock on inside the process, or leave no key behind."""
    hold, since = letting.hold, 0.0
    if letting.next_waiter is not None:
        since = yield Wall()
    elif not letting.blind and (queue is None or not queue.sign):
        request = hold.session.prepared(
            ("release", hold.key), lambda: _releasing(letting, queue, since)
        )
        return (yield from letting.lock.client.write(hold.session, request))
    request = _releasing(letting, queue, since)
    return (yield from letting.lock.client.write(hold.session, request))


def _releasing(letting: ReleaseAttempt, queue: WaiterQueue | None, since: float) -> Request:
    lock, hold = letting.lock, letting.hold
    # The first of all, so that its refusal, which means that it is not held, can be recognised.
    operations = [unlock_operation(hold.key, hold.session.id)]
    if queue is not None:
        operations += clear_queue(lock.base, queue)
    if not letting.blind and (queue is None or not queue.sign):
        operations.append({"Verb": "check-not-exists", "Key": lock.base})
    if letting.next_waiter is not None:
        value = base64_text(letting.next_waiter.about.value(since))
        operations.append(lock_operation(hold.key, hold.session.id, value))
    else:
        operations.append({"Verb": "delete", "Key": hold.key})
    return lock.client.api.transaction(operations, f"releasing {hold.key!r}", lock.rule)


def _pass_on(letting: ReleaseAttempt, outcome: TxnResult) -> bool:
    """Give it to the next one of this process.  False if that has left: release it then."""
    hold, next_waiter, letting.next_waiter = letting.hold, letting.next_waiter, None
    assert next_waiter is not None
    grant = Grant(hold.session, outcome.raft_index, False, None)
    if letting.lock.client.local_queues.give(hold.attempt, next_waiter, grant):
        hold.handed_to = (OwnerHere(next_waiter.about, hold.session.id),)
        return True
    hold.contended, hold.queue = False, None
    return False


def withdraw(
    lock: LockBase, attempt: LockAttempt, sessions: Sequence[Session]
) -> Flow[list[Session]]:
    """Returns the sessions that stay in doubt, and must be ended."""
    in_doubt = []
    for session in sessions:
        attempt.session = session
        if not (yield from _let_go_of_all(lock, attempt, session)):
            in_doubt.append(session)
    return in_doubt


def _let_go_of_all(lock: LockBase, attempt: LockAttempt, session: Session) -> Flow[bool]:
    """Leave the queue, and release the lock if held.  False: the session must be destroyed."""
    grant = attempt.given
    try:
        if attempt.joined:
            # It may have been cut off before it had noted that it is in the queue.
            attempt.queued = True
            yield from leave(lock, attempt)
        elif grant is None:
            yield from look(lock, attempt, certain=True)
        if grant is None and is_ours(attempt):
            # Nobody works under it, so it need not be confirmed.
            grant = Grant(session, 0, True, None)
        if grant is not None:
            hold = Hold(lock, grant, attempt)
            hold.advance(Event.RELEASE)
            yield from lock.let_go(hold, patient=False)
    except ConsulLockError:
        return False
    return not session.in_doubt
