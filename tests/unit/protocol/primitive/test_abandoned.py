"""What a process that was killed held or waited for is released by one that outlived it."""

from __future__ import annotations

from collections.abc import Callable

from consul_lock._protocol.primitive.lockable import Lockable
from consul_lock.errors import Unavailable
from tests.unit.protocol.fake_driver import FakeDriver, waits
from tests.unit.protocol.lock_kinds import each_kind

Make = Callable[[FakeDriver], Lockable]


def sessions_of(lock: Lockable) -> list[str]:
    """What the guardian knows of them: the IDs."""
    return [session.id for session in lock.client.pool.live.values()]


@each_kind
def test_what_a_dead_process_held_is_free_at_once(make: Make) -> None:
    """Without lock-delay; its session has ended."""
    driver = FakeDriver()
    dead, survivor, next_one = make(driver), make(driver), make(driver)
    assert driver.run(dead.acquire(True, None, "me"))
    (session,) = sessions_of(dead)
    driver.run(survivor.release_abandoned([session]))
    assert session not in driver.sessions()
    assert driver.run(next_one.acquire(False, None, "me"))
    driver.run(next_one.release("me"))


@each_kind
def test_a_waiter_gets_what_a_dead_process_held(make: Make) -> None:
    """It is blocked in its read of the queue when that happens."""
    driver = FakeDriver()
    dead, survivor, waiter = make(driver), make(driver), make(driver)
    assert driver.run(dead.acquire(True, None, "me"))
    job = survivor.release_abandoned(sessions_of(dead))
    driver.when_blocked = lambda: driver.run(job)
    assert driver.run(waiter.acquire(True, 5.0, "me"))
    driver.run(waiter.release("me"))


@each_kind
def test_a_dead_waiter_leaves_the_queue(make: Make) -> None:
    """The holder releases to nobody, and the lock is free."""
    driver = FakeDriver()
    holder, dead, survivor = make(driver), make(driver), make(driver)
    assert driver.run(holder.acquire(True, None, "me"))
    found: list[str] = []

    def die() -> None:
        found.extend(sessions_of(dead))
        assert driver.run(survivor.release_abandoned(found)) is None

    driver.when_blocked = die
    driver.run(dead.acquire(True, 5.0, "me"))
    assert found
    assert not set(found) & driver.sessions()
    assert driver.run(holder.queue()) == []
    assert not [key for key in driver.held() if any(session in key for session in found)]


def test_the_release_is_a_hand_over() -> None:
    """The first waiter has the lock before it does anything: no newcomer can come in between."""
    driver = FakeDriver()
    dead, survivor, waiter = (driver.lock(driver.client(each)) for each in "abc")
    driver.acquire(dead)
    driver.until(waiter.acquire(True, None, "me").flow, waits)
    driver.run(survivor.release_abandoned(sessions_of(dead)))
    assert driver.held()[waiter.key] == sessions_of(waiter)[0]


def test_a_lock_that_was_handed_over_to_a_dead_waiter_goes_on_to_the_next() -> None:
    """It was killed in the instant in which it became the holder."""
    driver = FakeDriver()
    holder, dead, survivor, behind = (driver.lock(driver.client(each)) for each in "abcd")
    driver.acquire(holder)
    driver.until(dead.acquire(True, None, "me").flow, waits)
    # It is killed here: it sends nothing more.
    found = sessions_of(dead)
    driver.release(holder)
    held = driver.run(survivor.holder())
    assert held is not None
    assert held.session == found[0]
    driver.run(survivor.release_abandoned(found))
    assert driver.acquire(behind, 0)


def test_a_consul_that_fails_meanwhile_costs_the_lock_delay_and_no_exception() -> None:
    """What could not be released is left to the end of its session."""
    driver = FakeDriver()
    dead, survivor = driver.lock(), driver.lock(driver.client("b"))
    driver.acquire(dead)
    found = sessions_of(dead)
    driver.failures.extend([Unavailable("no answer came")] * 2)
    driver.run(survivor.release_abandoned(found))
    assert not set(found) & driver.sessions()


@each_kind
def test_a_session_that_has_ended_already_is_passed_over(make: Make) -> None:
    """Of several that were reported one may have been replaced long ago: a semaphore need not have
    as many slots."""
    driver = FakeDriver()
    dead, survivor = make(driver), make(driver)
    assert driver.run(dead.acquire(True, None, "me"))
    ended = "11111111-2222-3333-4444-555555555555"
    driver.run(survivor.release_abandoned([ended, *sessions_of(dead)]))
    assert driver.run(survivor.acquire(False, None, "me"))
