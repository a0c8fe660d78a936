"""Waiting in Consul's line: join, find the place, watch, leave.

The first in line watches the lock, everybody else only the entry before their own, so that a
hand-over wakes two waiters however many there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from consul_lock._protocol import line as lines
from consul_lock._protocol.attempt import LockAttempt
from consul_lock._protocol.flow import Flow, Now, Wall
from consul_lock._protocol.hold import Grant
from consul_lock._protocol.holder import inherited
from consul_lock._protocol.persist import believe
from consul_lock._protocol.records import encode
from consul_lock._protocol.session import Session
from consul_lock._protocol.verdict import LOCK_FLAG, Verdict, judge, unchanged_operation
from consul_lock.errors import Conflict

if TYPE_CHECKING:
    from consul_lock._protocol.lock import LockCore

# Seconds of one blocking read.  Long enough to be cheap; short enough for proxies that cut
# long polls, and for seeing soon that our own entry has gone.
_POLL = 10.0


def wait_for_turn(lock: LockCore, attempt: LockAttempt) -> Flow[None]:
    """Do the one thing that brings us nearer to our turn."""
    if not attempt.queued:
        yield from join(lock, attempt)
    elif attempt.first:
        yield from _watch_lock(lock, attempt)
    elif attempt.ahead is None:
        yield from _find_place(lock, attempt)
    else:
        yield from _watch_ahead(lock, attempt, attempt.ahead)


def look(lock: LockCore, attempt: LockAttempt, *, certain: bool = False) -> Flow[None]:
    """Read the lock's key, now; ``certain``: by a read that no deposed leader can answer."""
    attempt.seen = yield from lock.client.wire.get(lock.key, consistent=certain)
    attempt.certain = certain


def accept(lock: LockCore, attempt: LockAttempt) -> Flow[Grant | None]:
    """The key shows our session: it was handed to us, or an earlier try of ours came through.

    It counts only with a session renewed of late: a process that was paused while it waited
    must not wake up believing.
    """
    session, seen = attempt.session, attempt.seen
    assert session is not None
    assert seen is not None
    assert seen.pair is not None
    if not (yield from believe(lock.client, session)):
        return None
    line = inherited(seen.pair)
    return Grant(session, seen.pair.modify_index, True, line if line.entries else None)


def join(lock: LockCore, attempt: LockAttempt) -> Flow[None]:
    """Enter the waiting line, and see who is before us."""
    session = attempt.session
    assert session is not None
    since = yield Wall()
    about = encode(attempt.about.value(since))
    sign = lock.client.sign(session)
    operations = lines.join(lock.base, session.id, LOCK_FLAG, about, sign)
    again = attempt.joined or session.doubtful
    if again:
        if (yield from _holds(lock, attempt, session)):
            return
        pair = attempt.seen.pair if attempt.seen else None
        operations.append(unchanged_operation(lock.key, pair))
    request = lock.client.wire.transaction(
        operations, f"joining the line of {lock.key!r}", lock.rule
    )
    attempt.joined = attempt.exposed = True
    outcome = yield from lock.client.write(session, request)
    if outcome.done:
        attempt.queued = True
        _place(attempt, lines.read(lock.base, outcome.pairs))
        # What was read before we were in line may be old: a release in between saw nobody.
        attempt.seen = None if attempt.first else attempt.seen
    elif outcome.delayed:
        # Nobody but our session ever locks our entry: it has died, which Consul says later.
        yield from lock.client.lose_session(session)
    elif again and not session.gone:
        attempt.seen = None  # the lock has changed hands just now
    elif not session.gone:
        raise Conflict(
            f"cannot join the waiting line below {lock.base!r}: {outcome.reasons}", key=lock.base
        )


def _holds(lock: LockCore, attempt: LockAttempt, session: Session) -> Flow[bool]:
    """Whether we, who may have been in line before, have been handed the lock since.

    Its holder must not join: nobody would ever answer to that entry.
    """
    yield from look(lock, attempt, certain=True)
    return judge(attempt.seen, session, certain=True) is Verdict.OURS


def _place(attempt: LockAttempt, line: lines.Line) -> None:
    session = attempt.session
    assert session is not None
    attempt.dead = line.dead
    try:
        attempt.ahead = line.before(session.id)
    except KeyError:
        # Handed the lock, or our entry was deleted: the lock's key tells which.
        attempt.queued = False
        attempt.forget_place()
    else:
        attempt.first = attempt.ahead is None


def _find_place(lock: LockCore, attempt: LockAttempt) -> Flow[None]:
    """Read the whole line to see who is before us."""
    found = yield from lock.client.wire.tree(lock.base)
    _place(attempt, lines.read(lock.base, found.pairs))
    yield from look(lock, attempt)


def _watch_lock(lock: LockCore, attempt: LockAttempt) -> Flow[None]:
    """We are first: wait for the lock itself to change."""
    wait = yield from _poll_time(attempt)
    index = attempt.seen.raft_index if attempt.seen else 0
    found = yield from lock.client.wire.get(lock.key, index, wait)
    # An index that went backwards (a restored snapshot) must not be waited for.
    attempt.seen = found if found.raft_index >= index else None
    attempt.certain = False


def _watch_ahead(lock: LockCore, attempt: LockAttempt, ahead: lines.Entry) -> Flow[None]:
    """Wait for the one before us to leave; then we are first if it got the lock.

    It may come back at once with the same session, behind us: its entry is another one then.
    """
    session = attempt.session
    assert session is not None
    wait = yield from _poll_time(attempt)
    key = lines.entry_key(lock.base, ahead.session)
    found = yield from lock.client.wire.get(key, ahead.modify_index, wait)
    seen = found.pair
    # The entry of one who died stays, without its session.
    if seen is not None and seen.session and seen.create_index == ahead.create_index:
        # Written anew by its waiter, perhaps: with the old index we would never block again.
        attempt.ahead = ahead._replace(modify_index=seen.modify_index)
        own = yield from lock.client.wire.get(lines.entry_key(lock.base, session.id))
        if own.pair is None:
            attempt.forget_place()
        return
    attempt.forget_place()
    yield from look(lock, attempt)
    pair = attempt.seen.pair if attempt.seen else None
    # Hand-overs go to the first: if it got the lock, nobody is left before us.
    attempt.first = pair is not None and pair.session == ahead.session


def _poll_time(attempt: LockAttempt) -> Flow[float]:
    if attempt.deadline is None:
        return _POLL
    now = yield Now()
    remaining: float = attempt.deadline - now
    return max(0.001, min(_POLL, remaining))


def give_up(lock: LockCore, attempt: LockAttempt) -> Flow[Grant | None]:
    """Leave the line.  If the lock was handed to us at that very moment, we hold it: keep it."""
    session = attempt.session
    if not attempt.queued or session is None:
        return None
    request = lock.client.wire.transaction(
        lines.leave(lock.base, session.id, attempt.dead),
        f"leaving the line of {lock.key!r}",
        lock.rule,
    )
    outcome = yield from lock.client.write(session, request)
    attempt.queued = False
    attempt.forget_place()
    if outcome.done:
        yield from tidy(lock)
        return None
    yield from look(lock, attempt, certain=True)
    if not session.gone and judge(attempt.seen, session, certain=True) is Verdict.OURS:
        return (yield from accept(lock, attempt))
    return None


def tidy(lock: LockCore) -> Flow[None]:
    """Take the sign away if nobody is in line any more, and what the dead have left."""
    found = yield from lock.client.wire.tree(lock.base)
    line = lines.read(lock.base, found.pairs)
    operations = lines.clear(lock.base, line)
    if operations and not line.entries:
        yield from lock.client.wire.transact(operations, f"tidying {lock.base!r}", lock.rule)
