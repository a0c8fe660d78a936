"""What dead waiters leave in the queue, and what cannot be handed over."""

from __future__ import annotations

import pytest

from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.hold import waiter as lines
from consul_lock._protocol.keys import LOCK_FLAG
from consul_lock.errors import Refused
from tests.simulation.foreign_lock_client import operator
from tests.unit.protocol.fake_driver import NAME, FakeDriver, verbs

KEY, BASE = f"{NAME}/.lock", f"{NAME}/.queue"

DEAD = "01234567-89ab-cdef-0123-456789abcdef"


def leave_dead(driver: FakeDriver, count: int = 1) -> list[str]:
    """Entries as waiters leave them who have died, with the sign that somebody waits."""
    keys = [f"{BASE}/{DEAD[:-2]}{number:02x}" for number in range(count)]
    for key in keys:
        operator(driver.world, f"/v1/kv/{key}?flags={LOCK_FLAG}", body=b"{}")
    operator(driver.world, f"/v1/kv/{BASE}?flags={LOCK_FLAG}", body=b"sign")
    return keys


def below(driver: FakeDriver) -> set[str]:
    return {key for key in driver.held() if key.startswith(BASE)}


def test_only_what_dead_waiters_left_counts_as_that() -> None:
    """An entry without its session; nothing else below the queue is touched."""
    pairs = [
        Pair(BASE, b"", LOCK_FLAG, "", 1, 40),
        Pair(f"{BASE}/{DEAD}", b"1", LOCK_FLAG, "", 30, 31),
        Pair(f"{BASE}/{DEAD}", b"1", 0, "", 30, 32),
        Pair(f"{BASE}/notes", b"1", LOCK_FLAG, "", 30, 33),
        Pair(f"{BASE}/more/{DEAD}", b"1", LOCK_FLAG, "", 30, 34),
        Pair(f"{BASE}/{DEAD}", b"1", LOCK_FLAG, DEAD, 30, 35),
    ]
    line = lines.parse_queue(BASE, pairs)
    assert line.dead == (lines.DeadWaiter(f"{BASE}/{DEAD}", 31),)
    assert [entry.session for entry in line.entries] == [DEAD]


@pytest.mark.parametrize("count", [1, lines.DEAD_MAX, lines.DEAD_MAX + 1, 60])
def test_a_release_takes_away_what_dead_waiters_left(count: int) -> None:
    """With the sign, which they do not keep there; of many, the next release takes the rest."""
    driver = FakeDriver()
    lock = driver.lock()
    left = leave_dead(driver, count)
    for _ in range(0, count, lines.DEAD_MAX):
        assert below(driver) == {BASE, *left}
        driver.acquire(lock)
        driver.release(lock)
        left = left[lines.DEAD_MAX :]
    assert driver.held() == {}


def test_dead_waiters_are_not_among_those_who_wait() -> None:
    """Nobody is, though their entries are there."""
    driver = FakeDriver()
    lock = driver.lock()
    leave_dead(driver)
    assert driver.run(lock.waiters()) == []


@pytest.mark.parametrize("way", ["handed over", "given up", "taken"])
def test_a_waiter_takes_away_the_dead_with_what_it_writes_anyway(way: str) -> None:
    """In no request of its own, until nobody waits any more."""
    driver = FakeDriver()
    holder, waiter = driver.lock(), driver.lock(driver.client("b"))
    driver.acquire(holder)
    leave_dead(driver)
    match way:
        case "handed over":
            driver.when_blocked = lambda: driver.release(holder)
            assert driver.acquire(waiter)
        case "given up":
            assert not driver.acquire(waiter, timeout=3.0)
            driver.release(holder)
        case "taken":
            driver.when_blocked = lambda: operator(driver.world, f"/v1/kv/{KEY}", "DELETE")
            assert driver.acquire(waiter)
    assert below(driver) <= {BASE}
    if waiter.hold is not None:
        driver.release(waiter)
    assert below(driver) == set()


def test_a_lock_that_may_be_given_to_nobody_is_set_free() -> None:
    """Consul refuses to give it to the next waiter, as a lock-delay is on it though it is held:
    the holder before died while the request of the present one was on its way."""
    driver = FakeDriver()
    holder, waiter = driver.lock(), driver.lock(driver.client("b"))
    driver.acquire(holder)
    flow, watching = driver.queue_up(waiter)
    driver.world._server._close(KEY, 15.0)
    driver.release(holder)
    assert KEY not in driver.held()
    assert driver.run_after(flow, watching) is True


def test_it_is_not_passed_on_in_the_process_either() -> None:
    """That would be refused for the same reason."""
    driver = FakeDriver()
    holder = driver.lock()
    driver.acquire(holder)
    driver.drive(holder.acquire(True, None, "another thread").flow, 0)
    driver.world._server._close(KEY, 15.0)
    driver.release(holder)
    assert KEY not in driver.held()


def test_what_no_server_carries_out_is_tried_without_the_next_one() -> None:
    """A rule that nobody knows here forbids to lock a key for another session."""
    driver = FakeDriver()
    holder, waiter = driver.lock(), driver.lock(driver.client("b"))
    driver.acquire(holder)
    driver.queue_up(waiter)
    flow = holder.release("me").flow
    driver.until(flow, lambda request: "lock" in verbs(request))
    driver.run_from(flow, Refused("not here"))
    assert KEY not in driver.held()
