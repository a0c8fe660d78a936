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
from tests.unit.protocol.fake_driver import FakeDriver, hold_of, verbs, waits
from tests.unit.protocol.hand_over import KEY, handed_over, said


def read_of_lock(request: Request) -> bool:
    return request.method == "GET" and request.path.endswith(KEY)


def test_it_counts_for_a_few_seconds_from_the_last_read_that_did_not_show_it() -> None:
    """Not from the one that did, which may have been sent after it."""
    driver = FakeDriver()
    lock, asked = handed_over(driver)
    hold = hold_of(lock)
    assert hold.deadline() <= asked + COUNTS
    assert hold.counts(asked + COUNTS - 0.01)
    assert not said(driver).confirmed
    assert not hold.counts(asked + COUNTS)


def test_each_read_that_it_is_built_on_is_consistent() -> None:
    """A deposed leader answers others, with what was before."""
    driver = FakeDriver()
    handed_over(driver)
    joined = next(place for place, r in enumerate(driver.sent) if "get-tree" in verbs(r))
    reads = [dict(request.params) for request in driver.sent[joined:] if read_of_lock(request)]
    assert len(reads) > 1
    assert all("consistent" in params for params in reads)


def test_a_hand_over_costs_one_write_however_long_its_waiter_has_waited() -> None:
    """The first waiter asks so often that it may believe the answer."""
    driver = FakeDriver()
    holder, waiter = driver.lock(), driver.lock(driver.client("b"))
    driver.acquire(holder)
    flow, watching = driver.queue_up(waiter)
    for _ in range(12):
        watching = driver.until(flow, waits, after=watching)
    driver.when_blocked = lambda: driver.release(holder)
    driver.sent.clear()
    assert driver.run_after(flow, watching) is True
    assert len([request for request in driver.sent if "lock" in verbs(request)]) == 1


def test_a_watched_hold_is_confirmed_before_it_begins() -> None:
    """A command, an election: what is watched."""
    driver = FakeDriver()
    lock, asked = handed_over(driver, watch=True)
    assert said(driver).confirmed
    assert said(driver).token == hold_of(lock).token
    assert hold_of(lock).deadline() > asked + 2 * COUNTS


def test_the_next_waiter_takes_over_what_is_not_confirmed_in_time() -> None:
    """From when it was answered, which is after it was asked: never before the holder has ended."""
    driver = FakeDriver()
    holder, dead, next_one = (driver.lock(driver.client(label)) for label in "abc")
    driver.acquire(holder)
    driver.queue_up(dead)
    flow, watching = driver.queue_up(next_one)
    driver.slow_by = 0.7
    driver.release(holder)
    released = driver.world.now
    assert driver.run_after(flow, watching) is True
    taken = driver.world.now - released
    assert TAKE_OVER_AFTER + driver.slow_by <= taken <= TAKE_OVER_AFTER + 6 * driver.slow_by
    assert said(driver).confirmed


def test_a_waiter_that_was_passed_over_joins_the_queue_again() -> None:
    """It was paused for so long that the next waiter took over: its entry went with the hand-over.
    It went on as the first waiter, where no releaser saw it."""
    driver = FakeDriver()
    holder, paused, next_one = (driver.lock(driver.client(label)) for label in "abc")
    driver.acquire(holder)
    asleep, watching_lock = driver.queue_up(paused)
    flow, watching = driver.queue_up(next_one)
    driver.release(holder)
    assert driver.run_after(flow, watching) is True
    joined = driver.until(asleep, lambda request: "get-tree" in verbs(request), after=watching_lock)
    again = driver.until(asleep, waits, after=joined)
    assert [waiter.host for waiter in driver.run(next_one.waiters())] == ["b"]
    driver.release(next_one)
    assert driver.run_after(asleep, again) is True


def test_waiters_behind_several_dead_ones_delete_their_entries() -> None:
    """Past the dead, whose sessions are not over yet."""
    driver = FakeDriver()
    holder = driver.lock(driver.client("a"))
    driver.acquire(holder)
    for number in range(6):
        driver.queue_up(driver.lock(driver.client(f"dead {number}")))
    last = driver.lock(driver.client("z"))
    flow, watching = driver.queue_up(last)
    driver.release(holder)
    released = driver.world.now
    assert driver.run_after(flow, watching) is True
    assert driver.world.now - released < 15.0
    driver.release(last)
    assert driver.held() == {}


def test_a_free_lock_with_a_dead_head_is_taken_by_the_one_behind() -> None:
    """As a client that knows of no queue has released it."""
    driver = FakeDriver()
    holder = driver.lock(driver.client("a"))
    driver.acquire(holder)
    driver.queue_up(driver.lock(driver.client("dead")))
    last = driver.lock(driver.client("z"))
    flow, watching = driver.queue_up(last)
    driver.world._server.kv.delete(KEY, driver.world._server.apply())
    freed = driver.world.now
    assert driver.run_after(flow, watching) is True
    assert driver.world.now - freed < 15.0


def test_a_hold_that_was_not_confirmed_in_time_is_lost_and_released_without_a_lock_delay() -> None:
    """Nobody took over, as nobody waits: the next one that comes gets it at once."""
    driver = FakeDriver()
    lock, asked = handed_over(driver)
    hold = hold_of(lock)
    driver.world.advance(asked + COUNTS - driver.world.now)
    driver.run(lock.client.lose(hold, LossReason.DEADLINE))
    assert hold.state is State.LOST
    driver.run(lock.client.pool.sweep(driver.world.now))
    assert driver.acquire(driver.lock(driver.client("c")), timeout=0)


def test_a_waiter_in_doubt_releases_what_it_may_have_been_handed() -> None:
    """It was cut off, and Consul hiccuped: nobody worked under the lock, so nobody waits for a
    lock-delay."""
    driver = FakeDriver()
    holder, waiter = driver.lock(), driver.lock(driver.client("b"))
    driver.acquire(holder)
    job = waiter.acquire(True, None, "me")
    driver.until(job.flow, waits)
    driver.release(holder)
    job.flow.close()
    assert job.undo is not None
    driver.failures.extend([Unavailable("a hiccup")])
    driver.run(job.undo())
    assert KEY not in driver.held()
    assert driver.acquire(driver.lock(driver.client("c")), timeout=0)


def test_a_release_goes_on_after_the_time_in_which_it_had_to_be_confirmed() -> None:
    """As through an election: the leader that releases does not work under it, so it is no loss."""
    driver = FakeDriver()
    lock, _ = handed_over(driver)
    driver.failures.extend([Unavailable("no leader", uncertain=False) for _ in range(12)])
    driver.slow_by = 0.0
    started = driver.world.now
    driver.release(lock)
    assert driver.world.now - started > COUNTS
    assert KEY not in driver.held()


def test_a_release_that_begins_after_that_time_raises_the_loss() -> None:
    """Its process was stopped in the body, the next waiter took over, and the release comes before
    the watchdog: otherwise the body would never learn of it."""
    driver = FakeDriver()
    lock, _ = handed_over(driver)
    behind = driver.lock(driver.client("c"))
    flow, watching = driver.queue_up(behind)
    assert driver.run_after(flow, watching) is True
    with pytest.raises(LockLost) as caught:
        driver.release(lock)
    assert caught.value.reason is LossReason.DEADLINE
    assert hold_of(behind).counts(driver.world.now)
    assert driver.held()[KEY] == hold_of(behind).session.id


def shown_as_ours(driver: FakeDriver, *, certain: bool) -> tuple[LockCore, LockAttempt]:
    """A lock, and an attempt whose read shows that it was handed to its session."""
    holder, waiter = driver.lock(), driver.lock(driver.client("b"))
    driver.acquire(holder)
    driver.queue_up(waiter)
    driver.release(holder)
    attempt = waiter.attempt("me", True)
    (attempt.session,) = waiter.client.pool.live.values()
    driver.run(look(waiter, attempt, certain=certain))
    return waiter, attempt


def test_a_hand_over_that_an_ordinary_read_shows_is_not_believed() -> None:
    """A deposed leader shows one that was taken over since; what was read before that said truly
    that another client held it, and would let it count from then on."""
    driver = FakeDriver()
    lock, attempt = shown_as_ours(driver, certain=False)
    attempt.unseen = driver.world.now
    driver.sent.clear()
    assert driver.run(accept(lock, attempt)) is None
    assert [("consistent", "1") in request.params for request in driver.sent] == [True]
    assert attempt.certain


def test_a_hand_over_is_confirmed_whatever_is_known_of_its_time() -> None:
    """Else the next waiter would take it over from a holder who believes in it."""
    driver = FakeDriver()
    lock, attempt = shown_as_ours(driver, certain=True)
    attempt.unseen = None
    grant = driver.run(accept(lock, attempt))
    assert grant.unconfirmed is None
    assert said(driver).confirmed


def two_of_one_session(driver: FakeDriver) -> list[LockCore]:
    """Locks that were handed over, neither of them confirmed."""
    client = driver.client("b")
    shared = SharedSession(client, terms.session_options())
    locks = []
    for name in ("x", "y"):
        holder, waiter = driver.lock(name=name), driver.lock(client, name, shared=shared)
        driver.acquire(holder)
        flow, watching = driver.queue_up(waiter)
        watching = driver.until(flow, waits, after=watching)
        driver.release(holder)
        assert driver.run_after(flow, watching) is True
        assert hold_of(waiter).unconfirmed is not None
        locks.append(waiter)
    return locks


def test_a_hold_that_ends_in_its_time_with_its_session_leaves_the_lock_delay() -> None:
    """Its user gets the loss only now, and needs that time to stop."""
    driver = FakeDriver()
    for lock in two_of_one_session(driver):
        driver.run(lock.client.end(hold_of(lock).session))
        assert hold_of(lock).reason is LossReason.SESSION_INVALID
        assert not driver.acquire(driver.lock(driver.client("c"), lock.name), timeout=0)
