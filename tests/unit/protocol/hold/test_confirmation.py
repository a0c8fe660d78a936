"""A lock that was handed over: until when it counts, how it is confirmed, who takes over."""

from __future__ import annotations

import pytest

from consul_lock._protocol.client.shared_session import SharedSession
from consul_lock._protocol.flow import Request
from consul_lock._protocol.hold.confirmation import COUNTS, TAKE_OVER_AFTER
from consul_lock._protocol.hold.state import State
from consul_lock._protocol.lock.base import LockAttempt
from consul_lock._protocol.lock.lock import LockCore
from consul_lock._protocol.lock.queue import accept, look
from consul_lock._protocol.session import timing as terms
from consul_lock.errors import LockLost, LossReason, Unavailable
from tests.unit.protocol.fake_driver import Hand, hold_of, verbs
from tests.unit.protocol.hand_over import KEY, handed_over, said


def read_of_lock(request: Request) -> bool:
    return request.method == "GET" and request.path.endswith(KEY)


def test_it_counts_for_a_few_seconds_from_the_last_read_that_did_not_show_it() -> None:
    """Not from the one that did, which may have been sent after it."""
    hand = Hand()
    lock, asked = handed_over(hand)
    hold = hold_of(lock)
    assert hold.deadline() <= asked + COUNTS
    assert hold.counts(asked + COUNTS - 0.01)
    assert not said(hand).confirmed
    assert not hold.counts(asked + COUNTS)


def test_each_read_that_it_is_built_on_is_consistent() -> None:
    """A deposed leader answers others, with what was before."""
    hand = Hand()
    handed_over(hand)
    joined = next(place for place, r in enumerate(hand.sent) if "get-tree" in verbs(r))
    reads = [dict(request.params) for request in hand.sent[joined:] if read_of_lock(request)]
    assert len(reads) > 1
    assert all("consistent" in params for params in reads)


def test_a_hand_over_costs_one_write_however_long_its_waiter_has_waited() -> None:
    """The first in line asks so often that it may believe what it is told."""
    hand = Hand()
    holder, waiter = hand.lock(), hand.lock(hand.client("b"))
    hand.acquire(holder)
    flow, watching = hand.queue_up(waiter)
    for _ in range(12):
        watching = hand.until(flow, lambda request: request.wait > 0, after=watching)
    hand.when_blocked = lambda: hand.release(holder)
    hand.sent.clear()
    assert hand.run_after(flow, watching) is True
    assert len([request for request in hand.sent if "lock" in verbs(request)]) == 1


def test_what_cannot_be_stopped_confirms_before_it_begins() -> None:
    """A command, an election: what is watched."""
    hand = Hand()
    lock, asked = handed_over(hand, watch=True)
    assert said(hand).confirmed
    assert said(hand).token == hold_of(lock).token
    assert hold_of(lock).deadline() > asked + 2 * COUNTS


def test_the_next_waiter_takes_over_what_is_not_confirmed_in_time() -> None:
    """From when it was answered, which is after it was asked: never before the holder has ended."""
    hand = Hand()
    holder, dead, next_one = (hand.lock(hand.client(label)) for label in "abc")
    hand.acquire(holder)
    hand.queue_up(dead)
    flow, watching = hand.queue_up(next_one)
    hand.slow_by = 0.7
    hand.release(holder)
    released = hand.world.now
    assert hand.run_after(flow, watching) is True
    taken = hand.world.now - released
    assert TAKE_OVER_AFTER + hand.slow_by <= taken <= TAKE_OVER_AFTER + 6 * hand.slow_by
    assert said(hand).confirmed


def test_those_behind_several_dead_waiters_take_their_places_away() -> None:
    """Past the dead, whose sessions are not over yet."""
    hand = Hand()
    holder = hand.lock(hand.client("a"))
    hand.acquire(holder)
    for number in range(6):
        hand.queue_up(hand.lock(hand.client(f"dead {number}")))
    last = hand.lock(hand.client("z"))
    flow, watching = hand.queue_up(last)
    hand.release(holder)
    released = hand.world.now
    assert hand.run_after(flow, watching) is True
    assert hand.world.now - released < 15.0
    hand.release(last)
    assert hand.held() == {}


def test_a_free_lock_with_a_dead_head_is_taken_by_the_one_behind() -> None:
    """As a client that knows of no queue has let go of it."""
    hand = Hand()
    holder = hand.lock(hand.client("a"))
    hand.acquire(holder)
    hand.queue_up(hand.lock(hand.client("dead")))
    last = hand.lock(hand.client("z"))
    flow, watching = hand.queue_up(last)
    hand.world._server.kv.delete(KEY, hand.world._server.apply())
    freed = hand.world.now
    assert hand.run_after(flow, watching) is True
    assert hand.world.now - freed < 15.0


def test_a_hold_that_was_not_confirmed_in_time_is_lost_and_let_go_of_without_a_lock_delay() -> None:
    """Nobody took over, as nobody waits: the next one that comes gets it at once."""
    hand = Hand()
    lock, asked = handed_over(hand)
    hold = hold_of(lock)
    hand.world.advance(asked + COUNTS - hand.world.now)
    hand.run(lock.client.lose(hold, LossReason.DEADLINE))
    assert hold.state is State.LOST
    hand.run(lock.client.pool.sweep(hand.world.now))
    assert hand.acquire(hand.lock(hand.client("c")), timeout=0)


def test_a_waiter_in_doubt_lets_go_of_what_it_may_have_been_handed() -> None:
    """It was cut off, and Consul hiccuped: nobody worked under the lock, so nobody waits for a
    lock-delay."""
    hand = Hand()
    holder, waiter = hand.lock(), hand.lock(hand.client("b"))
    hand.acquire(holder)
    job = waiter.acquire(True, None, "me")
    hand.until(job.flow, lambda request: request.wait > 0)
    hand.release(holder)
    job.flow.close()
    assert job.undo is not None
    hand.failures.extend([Unavailable("a hiccup")])
    hand.run(job.undo())
    assert KEY not in hand.held()
    assert hand.acquire(hand.lock(hand.client("c")), timeout=0)


def test_a_release_goes_on_after_the_time_in_which_it_had_to_be_confirmed() -> None:
    """As through an election: whoever releases works under it no longer, and is told no loss."""
    hand = Hand()
    lock, _ = handed_over(hand)
    hand.failures.extend([Unavailable("no leader", uncertain=False) for _ in range(12)])
    hand.slow_by = 0.0
    started = hand.world.now
    hand.release(lock)
    assert hand.world.now - started > COUNTS
    assert KEY not in hand.held()


def test_a_release_that_begins_after_that_time_tells_the_loss() -> None:
    """Its process was stopped in the body, the next waiter took over, and the release comes before
    the watchdog: in silence the body would never be told."""
    hand = Hand()
    lock, _ = handed_over(hand)
    behind = hand.lock(hand.client("c"))
    flow, watching = hand.queue_up(behind)
    assert hand.run_after(flow, watching) is True
    with pytest.raises(LockLost) as caught:
        hand.release(lock)
    assert caught.value.reason is LossReason.DEADLINE
    assert hold_of(behind).counts(hand.world.now)
    assert hand.held()[KEY] == hold_of(behind).session.id


def shown_as_ours(hand: Hand, *, certain: bool) -> tuple[LockCore, LockAttempt]:
    """A lock, and an attempt whose read shows that it was handed to its session."""
    holder, waiter = hand.lock(), hand.lock(hand.client("b"))
    hand.acquire(holder)
    hand.queue_up(waiter)
    hand.release(holder)
    attempt = waiter.attempt("me", True)
    (attempt.session,) = waiter.client.pool.live.values()
    hand.run(look(waiter, attempt, certain=certain))
    return waiter, attempt


def test_a_hand_over_that_an_ordinary_read_shows_is_not_believed() -> None:
    """A deposed leader shows one that was taken over since; what was read before that said truly
    that it was not ours, and would let it count from then on."""
    hand = Hand()
    lock, attempt = shown_as_ours(hand, certain=False)
    attempt.unseen = hand.world.now
    hand.sent.clear()
    assert hand.run(accept(lock, attempt)) is None
    assert [("consistent", "1") in request.params for request in hand.sent] == [True]
    assert attempt.certain


def test_what_was_handed_over_is_confirmed_whatever_is_known_of_its_time() -> None:
    """Else the next waiter would take it over from a holder who believes in it."""
    hand = Hand()
    lock, attempt = shown_as_ours(hand, certain=True)
    attempt.unseen = None
    grant = hand.run(accept(lock, attempt))
    assert grant.unconfirmed is None
    assert said(hand).confirmed


def two_of_one_session(hand: Hand) -> list[LockCore]:
    """Locks that were handed over, neither of them confirmed."""
    client = hand.client("b")
    shared = SharedSession(client, terms.session_options())
    locks = []
    for name in ("x", "y"):
        holder, waiter = hand.lock(name=name), hand.lock(client, name, shared=shared)
        hand.acquire(holder)
        flow, watching = hand.queue_up(waiter)
        watching = hand.until(flow, lambda request: request.wait > 0, after=watching)
        hand.release(holder)
        assert hand.run_after(flow, watching) is True
        assert hold_of(waiter).unconfirmed is not None
        locks.append(waiter)
    return locks


def test_a_hold_that_ends_in_its_time_with_its_session_leaves_the_lock_delay() -> None:
    """Whoever works under it has just been told, and needs that time to stop."""
    hand = Hand()
    for lock in two_of_one_session(hand):
        hand.run(lock.client.end(hold_of(lock).session))
        assert hold_of(lock).reason is LossReason.SESSION_INVALID
        assert not hand.acquire(hand.lock(hand.client("c"), lock.name), timeout=0)
