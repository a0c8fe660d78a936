"""Acquiring a lock: what is sent, how often, and what is found in the way."""

from __future__ import annotations

import pytest

from consul_lock._protocol.keys import LOCK_FLAG
from consul_lock.errors import AlreadyHeld, Conflict, Unavailable
from tests.support.world_operator import operator
from tests.unit.protocol.fake_driver import NAME, FakeDriver, verbs

KEY, BASE = f"{NAME}/.lock", f"{NAME}/.queue"


def test_the_first_acquire_makes_a_session_verifies_it_and_locks() -> None:
    """Three requests, once in the life of a client."""
    driver = FakeDriver()
    assert driver.acquire(driver.lock()) is True
    assert driver.requests() == ["PUT session/create", "PUT session/renew", "PUT txn"]


def test_an_uncontended_acquire_is_one_request_and_so_is_its_release() -> None:
    """As long as the session is at hand."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    driver.release(lock)
    driver.requests()
    driver.acquire(lock)
    assert driver.requests() == ["PUT txn"]
    driver.release(lock)
    assert driver.requests() == ["PUT txn"]
    assert driver.held() == {}


def test_the_next_uncontended_acquire_sends_the_same_request_object() -> None:
    """A request that does not change is not built again."""
    driver = FakeDriver()
    lock = driver.lock()
    sent = []
    for _ in range(3):
        driver.acquire(lock)
        driver.release(lock)
        sent.append([request for request in driver.sent if request.path == "/v1/txn"])
        driver.requests()
    assert sent[1][0] is sent[2][0]
    assert sent[1][1] is sent[2][1]


def test_a_try_that_may_not_wait_is_one_request_and_leaves_nothing() -> None:
    """It does not even look at the line."""
    driver = FakeDriver()
    mine, other = driver.lock(), driver.lock(driver.client("b"))
    driver.acquire(other)
    driver.acquire(mine, timeout=0.0)
    driver.requests()
    before = driver.held()
    assert driver.acquire(mine, timeout=0.0) is False
    assert driver.requests() == ["GET kv/jobs/nightly/.lock"]
    assert driver.held() == before


def test_the_token_is_the_index_of_the_write_that_gave_the_lock() -> None:
    """By an acquire and by a hand-over; LockIndex would begin anew with each key."""
    driver = FakeDriver()
    mine, other = driver.lock(), driver.lock(driver.client("b"))
    driver.acquire(other)
    driver.when_blocked = lambda: driver.release(other)
    driver.acquire(mine)
    assert mine.hold is not None
    assert other.hold is not None
    entry = driver.world._server.kv.entries[KEY]
    assert mine.hold.token == entry.modify_index > other.hold.token


def test_a_key_that_is_used_for_something_else_is_left_alone() -> None:
    """The error shows the flags that were found."""
    driver = FakeDriver()
    operator(driver.world, f"/v1/kv/{KEY}?flags=7", body=b"precious")
    with pytest.raises(Conflict) as caught:
        driver.acquire(driver.lock())
    assert caught.value.flags == 7
    assert driver.world._server.kv.entries[KEY].value == b"precious"


def test_the_same_thread_does_not_wait_for_itself() -> None:
    """That is an error, raised at once; without waiting it is an answer."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    with pytest.raises(AlreadyHeld):
        driver.acquire(lock)
    assert driver.acquire(lock, timeout=0.0) is False


def test_a_session_that_could_not_be_verified_is_given_up() -> None:
    """Else it would stay lent to the attempt, and alive, for as long as the client."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.failures.extend([None, Unavailable("reset", uncertain=True)])
    driver.acquire(lock)
    pool = lock.client.pool
    assert len(driver.sessions()) == 2
    assert len(pool.live) == 1
    assert len(pool.to_destroy) == 1


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_caller_waits_for_its_own_clean_up(place: int) -> None:
    """It got the error that it holds the lock already."""
    driver = FakeDriver()
    lock = driver.lock(watch=True)
    job = lock.acquire(True, None, "me")
    taking = driver.until(job.flow, lambda request: "lock" in verbs(request))
    effect = job.flow.send(driver.perform(taking))
    for _ in range(place):  # the clock, the watchdog, and the watch
        effect = job.flow.send(driver.perform(effect))
    job.flow.close()
    assert job.undo is not None
    undo = job.undo()
    driver.drive(undo, 0)
    effect, _ = driver.drive(lock.acquire(True, None, "me").flow, 0)
    assert type(effect).__name__ == "Wait"


def test_one_who_may_not_wait_tries_a_lock_in_lock_delay_once() -> None:
    """It looks free each time it is read, and each refused write is one too many."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    assert lock.hold is not None
    operator(driver.world, f"/v1/session/destroy/{lock.hold.session.id}")
    other = driver.lock(driver.client("b"))
    assert driver.acquire(other, timeout=0.0) is False
    assert sum("lock" in verbs(request) for request in driver.sent if request.body) == 2


@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("alive", [False, True])
def test_one_who_may_not_wait_does_not_overtake_the_living(alive: bool, released: bool) -> None:
    """A fair one is behind a waiter; where all that waited have died, it takes the lock, and the
    queue is gone with the same write, whether its last holder has died or has released it."""
    driver = FakeDriver()
    other = driver.lock(driver.client("b"), "elsewhere")
    driver.acquire(other)
    assert other.hold is not None
    session = other.hold.session.id
    entry = f"{BASE}/{session}"
    for key in (BASE, entry) if released else (KEY, BASE, entry):
        acquired = f"&acquire={session}" if alive and key == entry else ""
        operator(driver.world, f"/v1/kv/{key}?flags={LOCK_FLAG}{acquired}", body=b"{}")
    lock = driver.lock(fair=True)
    assert driver.acquire(lock, timeout=0.0) is not alive
    left = {key for key in driver.world._server.kv.entries if key.startswith(BASE)}
    assert left == ({BASE, entry} if alive else set())


def test_one_who_may_not_wait_gets_a_free_lock_though_its_idle_session_has_died() -> None:
    """The refusal is about the session, not about the lock: it tries with another one."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    assert lock.hold is not None
    driver.release(lock)
    operator(driver.world, f"/v1/session/destroy/{lock.hold.session.id}")
    lock.client.note(KEY, contended=True)  # as after waiting for it
    assert driver.acquire(lock, timeout=0.0) is True
