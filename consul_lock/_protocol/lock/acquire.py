"""From having the turn inside the process to holding the key in Consul.

Look, judge, act, again: every turn of the loop in `contend` decides by what was read last and
does one thing.  First come, first served: an attempt that finds the lock taken joins the queue,
the first waiter watches the lock, all others only the entry before their own.
"""

from __future__ import annotations

from consul_lock._protocol.consul.models import base64_text
from consul_lock._protocol.consul.operations import (
    lock_operation,
    unchanged_operation,
    unlock_operation,
)
from consul_lock._protocol.consul.replies import TxnResult
from consul_lock._protocol.flow import Flow, Now, Request, Sleep, Wall
from consul_lock._protocol.hold.hold import Grant, may_wait
from consul_lock._protocol.hold.waiter import DeadWaiter, clear_queue, delete_dead, parse_queue
from consul_lock._protocol.keys import entry_key
from consul_lock._protocol.lock.base import LockAttempt, LockBase, complain
from consul_lock._protocol.lock.decision import LockState, decide, foreign
from consul_lock._protocol.lock.queue import accept, give_up, join, look, overdue, wait_for_turn
from consul_lock._protocol.primitive.acquire import not_for_oneself
from consul_lock._protocol.session.session import Session

# Seconds between tries while Consul imposes the lock-delay, whose end nothing announces.
_DELAY_RETRY = (0.25, 1.0)


def contend(lock: LockBase, attempt: LockAttempt) -> Flow[Grant | None]:
    """Get the lock.  None: it could not be acquired in time."""
    while True:
        session, verdict = yield from _where_we_stand(lock, attempt)
        if verdict is LockState.FOREIGN:
            raise foreign(attempt.seen.pair if attempt.seen else None)
        if verdict is LockState.STALE:
            yield from look(lock, attempt, certain=True)
        elif verdict is LockState.OURS:
            grant = yield from accept(lock, attempt)
            if grant is not None:
                return grant
        elif (verdict is LockState.FREE and (yield from _may_take(lock, attempt))) or (
            verdict is LockState.TAKEN and (yield from _may_take_over(lock, attempt))
        ):
            outcome = yield from _take(lock, attempt)
            if outcome.done:
                return Grant(session, outcome.raft_index, attempt.queued, None)
            yield from _refused(lock, attempt, outcome)
        elif not (yield from may_wait(attempt)):
            return (yield from give_up(lock, attempt))
        else:
            not_for_oneself(lock, attempt)
            yield from complain(attempt, attempt.seen.pair if attempt.seen else None)
            yield from wait_for_turn(lock, attempt)


def _where_we_stand(lock: LockBase, attempt: LockAttempt) -> Flow[tuple[Session, LockState]]:
    session = attempt.session
    if session is None or session.gone:
        session = yield from _new_session(lock, attempt)
    known = attempt.queued or session.in_doubt or lock.client.contended(lock.key)
    if attempt.seen is None and known:
        yield from look(lock, attempt, certain=attempt.queued)
    return session, decide(attempt.seen, session, certain=attempt.certain)


def _new_session(lock: LockBase, attempt: LockAttempt) -> Flow[Session]:
    attempt.queued = attempt.joined = attempt.may_hold = False
    attempt.unseen = attempt.idle = None
    attempt.forget_place()
    attempt.session = yield from lock.session_for(attempt)
    return attempt.session


def _take(lock: LockBase, attempt: LockAttempt) -> Flow[TxnResult]:
    """Lock the key, if it still is as it was read: nothing foreign is ever overwritten."""
    session, pair = attempt.session, attempt.seen.pair if attempt.seen else None
    assert session is not None
    since = yield Wall()
    if pair is None and not attempt.joined and attempt.deserted is None:
        # Whole seconds will do for people, and let the same request be sent again.
        since = float(int(since))
        request = session.prepared(
            ("lock", attempt.about, since), lambda: _taking(lock, attempt, session, since)
        )
    else:
        request = _taking(lock, attempt, session, since)
    attempt.may_hold = True
    outcome = yield from lock.client.write(session, request)
    return outcome


def _taking(lock: LockBase, attempt: LockAttempt, session: Session, since: float) -> Request:
    pair = attempt.seen.pair if attempt.seen else None
    operations = [unchanged_operation(lock.key, pair)]
    if pair is not None and pair.session:
        # It was handed over to somebody who has not confirmed it.
        operations.append(unlock_operation(lock.key, pair.session))
    if lock.fair and not attempt.queued:
        deserted = attempt.deserted
        if deserted is not None and deserted.sign:
            operations += clear_queue(lock.base, deserted)
        else:
            operations.append({"Verb": "check-not-exists", "Key": lock.base})
    value = base64_text(attempt.about.value(since))
    operations.append(lock_operation(lock.key, session.id, value))
    if attempt.joined:
        operations.append({"Verb": "delete", "Key": entry_key(lock.base, session.id)})
        # Earlier waiters that did not take it are gone, or will rejoin at the end of the queue.
        before = (
            DeadWaiter(entry_key(lock.base, e.session), e.modify_index) for e in attempt.before
        )
        operations += delete_dead([*before, *attempt.dead])
    return lock.client.api.transaction(operations, f"locking {lock.key!r}", lock.rule)


def _refused(lock: LockBase, attempt: LockAttempt, outcome: TxnResult) -> Flow[None]:
    """The lock could not be taken: find out the state of this attempt."""
    overtaking = lock.fair and not attempt.queued and outcome.says("exists", 1)
    looked, attempt.seen = attempt.seen is not None, None
    lock.client.note(lock.key, contended=True)
    if outcome.says("invalid session"):
        return  # which says nothing of the lock
    # One that had not looked may have found the key of a dead holder, which is free, and looks now.
    attempt.refused |= looked or outcome.delayed or overtaking
    if not (outcome.delayed or overtaking):
        return
    # Free, but in lock-delay, or there is a queue and this attempt is fair: join the queue.
    if not (yield from may_wait(attempt)):
        if overtaking and attempt.deserted is None:  # once: others may come and go for ever
            yield from _look_whether_anybody_waits(lock, attempt)
    elif not attempt.queued:
        yield from join(lock, attempt)
    elif attempt.first:
        yield Sleep(*_DELAY_RETRY)
    elif attempt.idle is not None and attempt.session is not None:
        # Its end is for the first waiter, which tries again and again, unless that is stuck.
        now, (index, since) = (yield Now()), attempt.idle
        attempt.idle = index, max(now, since + attempt.session.terms.lock_delay)


def _look_whether_anybody_waits(lock: LockBase, attempt: LockAttempt) -> Flow[None]:
    """All in a queue may have died: then there is nobody to overtake, and nobody else would clear
    it for those who never wait."""
    found = yield from lock.client.api.list_keys(lock.base)
    queue = parse_queue(lock.base, found.pairs)
    if not queue.entries:
        attempt.deserted, attempt.refused = queue, False


def _may_take(lock: LockBase, attempt: LockAttempt) -> Flow[bool]:
    """A free lock is for the first waiter, or for a newcomer; one who may not wait tries once."""
    if attempt.queued and not attempt.first and not (yield from overdue(lock, attempt)):
        return False
    return not attempt.refused or (yield from may_wait(attempt))


def _may_take_over(lock: LockBase, attempt: LockAttempt) -> Flow[bool]:
    """A lock handed to another waiter is left to the queue if it is not confirmed in time."""
    return attempt.queued and attempt.idle is not None and (yield from overdue(lock, attempt))
