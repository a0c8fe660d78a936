"""Waiting in Consul's queue: join, find the place, watch, leave.

The first waiter watches the lock, all others only the entry before their own, so that a
hand-over wakes two waiters however many there are.
"""

from __future__ import annotations

from consul_lock._protocol.client.base import believe
from consul_lock._protocol.client.confirm import confirm
from consul_lock._protocol.consul.models import ReadResult, base64_text
from consul_lock._protocol.consul.operations import unchanged_operation
from consul_lock._protocol.flow import Flow, Now, Wall
from consul_lock._protocol.hold.confirmation import (
    CONFIRM_AFTER,
    COUNTS,
    TAKE_OVER_AFTER,
    Unconfirmed,
    is_unconfirmed,
)
from consul_lock._protocol.hold.hold import Grant
from consul_lock._protocol.hold.waiter import (
    WaiterEntry,
    WaiterQueue,
    clear_queue,
    join_operations,
    leave_operations,
    parse_queue,
    told_waiters,
)
from consul_lock._protocol.holder import parse_holder
from consul_lock._protocol.keys import LOCK_FLAG, entry_key
from consul_lock._protocol.lock.base import LockAttempt, LockBase
from consul_lock._protocol.lock.decision import LockState, decide
from consul_lock._protocol.session.session import Session
from consul_lock.errors import Conflict

# Seconds of one blocking read of the first waiter: a hand-over to it counts without a further
# write only if it has looked a short time before.
_NEAR_POLL = 1.0

# The same of the others, which look at the lock that often, in case all before them are gone.
_FAR_POLL = 5.0

# Seconds that each earlier waiter has to take the lock.
_EACH_BEFORE = 0.5


def wait_for_turn(lock: LockBase, attempt: LockAttempt) -> Flow[None]:
    """Take the next step of this attempt."""
    if not attempt.queued:
        yield from join(lock, attempt)
    elif attempt.first and not _may_be_passed_over(attempt):
        yield from _watch_lock(lock, attempt)
    elif attempt.first or attempt.ahead is None:
        yield from _find_place(lock, attempt)
    else:
        yield from _watch_ahead(lock, attempt, attempt.ahead)


def look(lock: LockBase, attempt: LockAttempt, *, certain: bool = False) -> Flow[None]:
    """Read the lock's key, now; ``certain``: by a read that no deposed leader can answer."""
    found = yield from lock.client.api.get(lock.key, consistent=certain)
    yield from _saw(attempt, found, certain=certain)


def _saw(attempt: LockAttempt, found: ReadResult, *, certain: bool) -> Flow[None]:
    """The lock's key was read: remember it, and since when nobody has the lock for certain."""
    attempt.seen, attempt.certain = found, certain
    session, pair = attempt.session, found.pair
    ours = pair is not None and session is not None and pair.session == session.id
    if certain and not ours and attempt.unseen is not None:
        attempt.unseen = max(attempt.unseen, found.sent)
    if pair is not None and pair.session and not ours:
        attempt.held_by, attempt.held_here = pair, None
    if pair is not None and pair.session and not is_unconfirmed(pair):
        attempt.idle = None
        return
    index = pair.modify_index if pair is not None else 0
    if attempt.idle is None or attempt.idle[0] != index:
        now = yield Now()
        attempt.idle = index, now


def overdue(lock: LockBase, attempt: LockAttempt) -> Flow[bool]:
    """Whether the earlier waiters, and the one it was handed to, have not taken it for so long
    that they must be gone."""
    if attempt.idle is None or not (yield from _is_overdue(attempt)):
        return False
    if attempt.first:
        return True
    # Some may have left, and their keys are deleted with the same write.  Not as a deposed leader
    # remembers them: this waiter would take its own entry for gone, and leave it behind.
    found = yield from lock.client.api.list_keys(lock.base, consistent=True)
    _place(attempt, parse_queue(lock.base, found.pairs))
    return attempt.queued and (yield from _is_overdue(attempt))


def _is_overdue(attempt: LockAttempt) -> Flow[bool]:
    now = yield Now()
    return bool(now >= _overdue_at(attempt))


def _overdue_at(attempt: LockAttempt) -> float:
    """When a lock that is free, or was not confirmed, may be taken."""
    if attempt.idle is None:
        return float("inf")
    before = 0 if attempt.first else max(1, len(attempt.before))
    return attempt.idle[1] + TAKE_OVER_AFTER + before * _EACH_BEFORE


def accept(lock: LockBase, attempt: LockAttempt) -> Flow[Grant | None]:
    """The key shows this session: it was handed over, or an earlier try of it succeeded.

    None: it is to be looked at once more.
    """
    session, seen, unseen = attempt.session, attempt.seen, attempt.unseen
    assert session is not None
    assert seen is not None
    pair = seen.pair
    assert pair is not None
    holder = parse_holder(pair.session, pair.value, pair.modify_index)
    token = holder.token or pair.modify_index
    queue = told_waiters(pair)
    grant = Grant(session, token, True, queue if queue.entries else None)
    if not attempt.certain:
        # A deposed leader may show a hand-over that was taken over long ago.
        yield from look(lock, attempt, certain=True)
        return None
    attempt.handed_over = attempt.handed_over or not holder.confirmed
    if holder.confirmed:
        return grant if (yield from believe(lock.client, session)) else None
    if unseen is not None:
        # It lived when it was handed the lock.
        session.mark_alive(unseen)
        now = yield Now()
        if now < unseen + CONFIRM_AFTER and not lock.watched:
            handed = Unconfirmed(pair.modify_index, holder.since, unseen + COUNTS)
            return grant._replace(unconfirmed=handed)
    if (yield from _confirm(lock, attempt, (pair.modify_index, holder.since, token))):
        return grant
    return None


def _confirm(lock: LockBase, attempt: LockAttempt, handed: tuple[int, float, int]) -> Flow[bool]:
    """False: somebody has taken over, or written there."""
    session = attempt.session
    assert session is not None
    outcome = yield from confirm(lock.client, lock, session, attempt.about, handed)
    if not outcome.done:
        yield from look(lock, attempt, certain=True)
    return outcome.done


def join(lock: LockBase, attempt: LockAttempt) -> Flow[None]:
    """Join the queue, and find out which waiters are before this one."""
    session = attempt.session
    assert session is not None
    since = yield Wall()
    about = base64_text(attempt.about.value(since))
    sign = lock.client.sign(session)
    operations = join_operations(lock.base, session.id, LOCK_FLAG, about, sign)
    again = attempt.joined or session.in_doubt
    if again:
        if (yield from _holds(lock, attempt, session)):
            return
        pair = attempt.seen.pair if attempt.seen else None
        operations.append(unchanged_operation(lock.key, pair))
    request = lock.client.api.transaction(
        operations, f"joining the queue of {lock.key!r}", lock.rule
    )
    if attempt.unseen is None:
        attempt.unseen = yield Now()
    attempt.joined = attempt.may_hold = True
    outcome = yield from lock.client.write(session, request)
    if outcome.done:
        attempt.queued = True
        attempt.behind, attempt.placed_at = "", outcome.raft_index
        _place(attempt, parse_queue(lock.base, outcome.pairs))
        # A read before joining may be stale: a release in between saw an empty queue.
        attempt.seen = None if attempt.first else attempt.seen
    elif outcome.delayed:
        # Only this session ever locks its entry: it has died, which Consul reports later.
        yield from lock.client.lose_session(session)
    elif again and not session.gone:
        attempt.seen = None  # the lock has changed hands just now
    elif not session.gone:
        raise Conflict(
            f"cannot join the queue below {lock.base!r}: {outcome.reasons}",
            kind="queue",
            key=lock.base,
        )


def _holds(lock: LockBase, attempt: LockAttempt, session: Session) -> Flow[bool]:
    """Whether this waiter, if it was in the queue before, was handed the lock since.

    Its holder must not join: nobody would ever answer to that entry.
    """
    yield from look(lock, attempt, certain=True)
    return decide(attempt.seen, session, certain=True) is LockState.OURS


def _place(attempt: LockAttempt, queue: WaiterQueue) -> None:
    session = attempt.session
    assert session is not None
    attempt.dead = queue.dead
    try:
        attempt.before = queue.before(session.id)
    except KeyError:
        # It was handed the lock, or its entry was deleted: the lock's key shows which.
        attempt.queued = False
        attempt.forget_place()
    else:
        attempt.ahead = attempt.before[-1] if attempt.before else None
        attempt.first = attempt.ahead is None


def _find_place(lock: LockBase, attempt: LockAttempt) -> Flow[None]:
    """Read the whole queue to find the waiters before this one."""
    found = yield from lock.client.api.list_keys(lock.base, consistent=True)
    _place(attempt, parse_queue(lock.base, found.pairs))
    yield from look(lock, attempt, certain=True)


def _may_be_passed_over(attempt: LockAttempt) -> bool:
    """The lock has a new holder, though this waiter is the first: it may have been handed the lock
    while it was paused, and the next waiter took over.

    Its entry went with the hand-over, so no releaser would ever see it: it has to read the queue,
    and to join it again.
    """
    pair = attempt.seen.pair if attempt.seen else None
    if pair is None or not pair.session:
        return False
    changed = pair.session != attempt.behind and pair.modify_index > attempt.placed_at
    attempt.behind, attempt.placed_at = pair.session, pair.modify_index
    return changed


def _watch_lock(lock: LockBase, attempt: LockAttempt) -> Flow[None]:
    """First in the queue: wait for the lock itself to change."""
    wait = yield from _poll_time(attempt, _NEAR_POLL)
    index = attempt.seen.raft_index if attempt.seen else 0
    found = yield from lock.client.api.get(lock.key, index, wait, consistent=True)
    yield from _saw(attempt, found, certain=True)
    # The read must not wait for an index that went backwards (a restored snapshot).
    if found.raft_index < index:
        attempt.seen = None


def _watch_ahead(lock: LockBase, attempt: LockAttempt, ahead: WaiterEntry) -> Flow[None]:
    """Wait for the waiter before this one to leave; if it got the lock, this one is first.

    It may come back at once with the same session, further back: its entry is another one then.
    """
    session = attempt.session
    assert session is not None
    wait = yield from _poll_time(attempt, _FAR_POLL)
    key = entry_key(lock.base, ahead.session)
    found = yield from lock.client.api.get(key, ahead.modify_index, wait)
    seen = found.pair
    # The entry of a dead waiter stays, without its session.
    if seen is not None and seen.session and seen.create_index == ahead.create_index:
        # Perhaps rewritten by its waiter: with the old index the read would never block again.
        attempt.ahead = ahead._replace(modify_index=seen.modify_index)
        own = yield from lock.client.api.get(entry_key(lock.base, session.id))
        if own.pair is None:
            attempt.forget_place()
        yield from look(lock, attempt, certain=True)
        return
    attempt.forget_place()
    # A consistent read: if it does not show that the lock was handed over already, because the
    # earlier waiters were quick, it is proof enough without a write.
    yield from look(lock, attempt, certain=True)
    pair = attempt.seen.pair if attempt.seen else None
    # Hand-overs go to the first: if it got the lock, no waiter is left before this one.
    if pair is not None and pair.session == ahead.session:
        attempt.first, attempt.behind, attempt.placed_at = True, pair.session, pair.modify_index


def _poll_time(attempt: LockAttempt, most: float) -> Flow[float]:
    """The time until this attempt gives up, or takes what the earlier waiters do not take."""
    ends = [end for end in (attempt.deadline, _overdue_at(attempt)) if end is not None]
    if not ends:
        return most
    now = yield Now()
    remaining: float = min(ends) - now
    return max(0.001, min(most, remaining))


def give_up(lock: LockBase, attempt: LockAttempt) -> Flow[Grant | None]:
    """Leave the queue.  If the lock was handed over at that very moment, it is held: keep it."""
    ours = yield from leave(lock, attempt)
    while ours:
        grant = yield from accept(lock, attempt)
        if grant is not None:
            return grant
        ours = is_ours(attempt)
    return None


def leave(lock: LockBase, attempt: LockAttempt) -> Flow[bool]:
    """Leave the queue.  True: the lock was handed over at that very moment."""
    session = attempt.session
    if not attempt.queued or session is None:
        return False
    request = lock.client.api.transaction(
        leave_operations(lock.base, session.id, attempt.dead),
        f"leaving the queue of {lock.key!r}",
        lock.rule,
    )
    outcome = yield from lock.client.write(session, request)
    attempt.queued = False
    attempt.forget_place()
    if outcome.done:
        yield from tidy(lock)
        return False
    yield from look(lock, attempt, certain=True)
    return is_ours(attempt)


def is_ours(attempt: LockAttempt) -> bool:
    """Whether a consistent read has shown that this session holds the lock."""
    session = attempt.session
    if session is None or session.gone:
        return False
    return decide(attempt.seen, session, certain=attempt.certain) is LockState.OURS


def tidy(lock: LockBase) -> Flow[None]:
    """Delete the sign if the queue is empty, and the keys of dead waiters."""
    found = yield from lock.client.api.list_keys(lock.base)
    queue = parse_queue(lock.base, found.pairs)
    operations = clear_queue(lock.base, queue)
    if operations and not queue.entries:
        yield from lock.client.api.transact(operations, f"tidying {lock.base!r}", lock.rule)
