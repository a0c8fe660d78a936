"""Acquiring several locks, once it is the caller's turn in the process: all of them, or none.

Read, decide, act, repeat.  One transaction takes them all; while one of them is taken nothing is
held and no queue is joined: that one is watched, and then all is tried again.  So those who want
the same locks in another order never wait for each other.  The price is that a lock which is
handed over within its queue, and so is never free, makes this one wait for the whole queue.
"""

from __future__ import annotations

from collections.abc import Sequence

from consul_lock._protocol.client.base import believe
from consul_lock._protocol.consul.models import Pair, base64_text
from consul_lock._protocol.consul.replies import TxnResult
from consul_lock._protocol.flow import Flow, Now, Sleep, Wall
from consul_lock._protocol.hold.hold import Grant, may_wait
from consul_lock._protocol.lock.base import complain
from consul_lock._protocol.lock.decision import LockState, foreign
from consul_lock._protocol.multilock.attempt import (
    KeysState,
    MultiLockAttempt,
    guarded,
    locking,
    read_keys,
    refused_keys,
    stand,
    step_in,
    step_out,
    undisturbed,
)
from consul_lock._protocol.multilock.base import MultiLockBase
from consul_lock._protocol.multilock.release import withdraw
from consul_lock._protocol.primitive.acquire import not_for_oneself
from consul_lock._protocol.session.session import Session

# Seconds of one blocking read, as for the queue of a lock.
_POLL = 10.0

# Seconds between tries while Consul imposes the lock-delay, or while somebody else of this
# process is about to take one of the locks with the same session: nothing announces their ends.
_RETRY = (0.25, 1.0)

# Seconds before yet another try, if all locks looked free and one was taken in that moment: each
# refusal is a Raft write, and a random pause does not lose to the same client again.
_OUTRUN = (0.01, 0.1)


def contend(lock: MultiLockBase, attempt: MultiLockAttempt) -> Flow[Grant | None]:
    """Get all of them.  None: they could not be acquired in time."""
    while True:
        session, where = yield from _where_we_stand(lock, attempt)
        if where.verdict is LockState.FOREIGN:
            raise foreign(where.pair)
        if where.verdict is LockState.OURS:
            grant = yield from _accept(lock, attempt, session)
            if grant is not None:
                return grant
        elif where.verdict is LockState.FREE and (yield from _may_take(lock, attempt)):
            outcome = yield from _take(lock, attempt, session)
            if not outcome.done:
                yield from _refused(lock, attempt, outcome)
            elif (yield from _is_right(lock, attempt, session, outcome.pairs)):
                return _grant(lock, session, outcome.raft_index)
        elif not (yield from may_wait(attempt)):
            return None
        else:
            step_out(lock.client, attempt)
            not_for_oneself(lock, attempt)
            yield from complain(attempt, where.pair)
            yield from _wait(lock, attempt, session, where.pair)


def _where_we_stand(
    lock: MultiLockBase, attempt: MultiLockAttempt
) -> Flow[tuple[Session, KeysState]]:
    session = attempt.session
    if session is None or session.gone:
        attempt.may_hold = False
        session = attempt.session = yield from lock.session_for(attempt)
    if attempt.pairs is None:
        attempt.pairs = yield from _look(lock, attempt, session)
    return session, stand(lock.keys, attempt.pairs, session, alone=attempt.alone)


def _look(
    lock: MultiLockBase, attempt: MultiLockAttempt, session: Session
) -> Flow[dict[str, Pair]]:
    """Read the keys, unless they look free, and the try itself would show if they are not."""
    noted = [key for key in lock.keys if lock.client.contended(key)]
    if guarded(lock.keys) and not (noted or attempt.warned or session.in_doubt):
        return {}
    found = yield from read_keys(lock.client, lock.keys, attempt.known or frozenset(noted))
    attempt.known = frozenset(found)
    return found


def _may_take(lock: MultiLockBase, attempt: MultiLockAttempt) -> Flow[bool]:
    """A call that may not wait tries once."""
    if attempt.refused and not (yield from may_wait(attempt)):
        return False
    return step_in(lock.client, attempt)


def _take(lock: MultiLockBase, attempt: MultiLockAttempt, session: Session) -> Flow[TxnResult]:
    since = yield Wall()
    value = base64_text(attempt.about.value(since))
    operations = locking(lock.keys, attempt.pairs or {}, session, value)
    request = lock.client.api.transaction(operations, f"locking {lock.named}", lock.rule)
    attempt.may_hold = True
    in_doubt = attempt.unanswered is session
    if not in_doubt:  # else that earlier write may be the one that comes through
        attempt.locked = {key: pair.lock_index for key, pair in (attempt.pairs or {}).items()}
    attempt.unanswered = session
    outcome = yield from lock.client.write(session, request)
    attempt.unanswered = session if in_doubt else None
    return outcome


def _is_right(
    lock: MultiLockBase, attempt: MultiLockAttempt, session: Session, pairs: Sequence[Pair]
) -> Flow[bool]:
    """Whether they were taken when they were free; if not, they are given back at once."""
    if guarded(lock.keys) or undisturbed(attempt, pairs):
        return True
    attempt.pairs, attempt.refused, attempt.warned = None, True, True
    for left in (yield from withdraw(lock, attempt, [session])):
        yield from lock.client.end(left)
    yield from _pause(lock, attempt, _RETRY)
    return False


def _refused(lock: MultiLockBase, attempt: MultiLockAttempt, outcome: TxnResult) -> Flow[None]:
    """One of them could not be taken, so none was: find out the state of the attempt."""
    attempt.pairs = None
    if outcome.says("invalid session"):
        return
    why = refused_keys(lock.keys, outcome)
    for key in why:
        lock.client.note(key, contended=True)
    attempt.known = frozenset() if outcome.delayed else frozenset(why)
    # One that had not looked may have found keys of dead holders, which are free, and looks now.
    attempt.refused |= attempt.warned or outcome.delayed
    attempt.warned = True
    attempt.refusals += 1
    if outcome.delayed:
        yield from _pause(lock, attempt, _RETRY)
    elif attempt.refusals > 1:
        yield from _pause(lock, attempt, _OUTRUN)


def _pause(
    lock: MultiLockBase, attempt: MultiLockAttempt, seconds: tuple[float, float]
) -> Flow[None]:
    attempt.pairs = None
    if (yield from may_wait(attempt)):
        step_out(lock.client, attempt)
        left = yield from _time_left(attempt, seconds[1])
        yield Sleep(min(seconds[0], left), left)


def _time_left(attempt: MultiLockAttempt, most: float) -> Flow[float]:
    if attempt.deadline is None:
        return most
    now = yield Now()
    remaining: float = attempt.deadline - now
    return max(0.001, min(most, remaining))


def _wait(
    lock: MultiLockBase, attempt: MultiLockAttempt, session: Session, pair: Pair | None
) -> Flow[None]:
    """Wait until the lock that is in the way changes."""
    attempt.warned, attempt.refusals = True, 0
    if pair is not None and pair.session:
        attempt.held_by, attempt.held_here = pair, None
    if pair is None:
        yield from _pause(lock, attempt, _RETRY)
        return
    wait = yield from _time_left(attempt, _POLL)
    found = yield from lock.client.api.get(pair.key, pair.modify_index, wait)
    seen = found.pair
    # An index that went backwards (a restored snapshot) proves nothing.
    if seen is not None and seen.modify_index >= pair.modify_index:
        where = stand([seen.key], {seen.key: seen}, session, alone=attempt.alone)
        if where.verdict is LockState.TAKEN:
            attempt.pairs = {seen.key: seen}  # still, or by the next holder: that is enough to know
            return
    attempt.pairs = None


def _accept(lock: MultiLockBase, attempt: MultiLockAttempt, session: Session) -> Flow[Grant | None]:
    """The keys show this session: an earlier try of the attempt succeeded."""
    pairs = [pair for pair in (attempt.pairs or {}).values() if pair.session == session.id]
    attempt.pairs = None
    if len(pairs) < len(lock.keys):
        # They were locked together, so somebody has taken one away by hand: the others are
        # useless, and nobody would ever release them.
        yield from lock.client.end(session)
        return None
    if not (yield from _is_right(lock, attempt, session, pairs)):
        return None
    if not (yield from believe(lock.client, session)):
        return None
    return _grant(lock, session, max(pair.modify_index for pair in pairs))


def _grant(lock: MultiLockBase, session: Session, token: int) -> Grant:
    for key in lock.keys:
        lock.client.note(key, contended=False)
    return Grant(session, token, False, None)
