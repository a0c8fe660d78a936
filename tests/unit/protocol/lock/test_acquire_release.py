"""The flows of the lock, played by hand: what is sent, how often, and what follows from it."""

from __future__ import annotations

import json

import pytest

from consul_lock.errors import AlreadyHeld, Conflict, LockLost, LossReason, NotHeld
from tests.simulation.foreign_lock_client import operator
from tests.unit.protocol.fake_driver import NAME, FakeDriver

KEY, BASE = f"{NAME}/.lock", f"{NAME}/.queue"


def destroy(driver: FakeDriver, session: str) -> None:
    operator(driver.world, f"/v1/session/destroy/{session}")


# -- requests are counted


def test_the_first_acquire_makes_a_session_sees_what_it_got_and_locks() -> None:
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
    """What does not change is not built again."""
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


def test_a_hand_over_is_one_read_and_one_write() -> None:
    """The lock goes from session to session, is free at no time, and no sign is left."""
    driver = FakeDriver()
    mine, other = driver.lock(), driver.lock(driver.client("b"))
    driver.acquire(other)
    releases: list[str] = []

    def release() -> None:
        driver.requests()
        driver.release(other)
        releases.extend(driver.requests())

    driver.when_blocked = release
    assert driver.acquire(mine) is True
    # It was not known that somebody waits: the first, simple try is refused.
    assert releases == ["PUT txn", "GET kv/jobs/nightly/.queue", "PUT txn"]
    assert mine.hold is not None
    assert driver.held() == {KEY: mine.hold.session.id}


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


def test_the_next_waiters_are_handed_down_with_the_lock() -> None:
    """So that the line is not read again at each hand-over."""
    driver = FakeDriver()
    first, second, third = (driver.lock(driver.client(label)) for label in "abc")
    driver.acquire(first)
    driver.queue_up(second)
    driver.queue_up(third)
    waiting = [key for key in driver.held() if key.startswith(f"{BASE}/")]
    assert len(waiting) == 2
    driver.release(first)
    value = json.loads(driver.world._server.kv.entries[KEY].value)
    assert [f"{BASE}/{session}" for session, _, _ in value["next"]] == waiting[1:]


# -- losing


def test_a_stolen_lock_is_not_released_and_the_loss_is_told() -> None:
    """Whoever holds it now keeps it."""
    driver = FakeDriver()
    lock, other = driver.lock(), driver.lock(driver.client("b"))
    driver.acquire(lock)
    operator(driver.world, f"/v1/kv/{KEY}", "DELETE")
    driver.acquire(other)
    with pytest.raises(LockLost) as caught:
        driver.release(lock)
    assert caught.value.reason is LossReason.STOLEN
    assert other.hold is not None
    assert driver.held() == {KEY: other.hold.session.id}


def test_a_dead_session_is_told_as_the_reason_even_if_somebody_else_holds_the_lock() -> None:
    """The end of the session came first."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    assert lock.hold is not None
    destroy(driver, lock.hold.session.id)
    with pytest.raises(LockLost) as caught:
        driver.release(lock)
    assert caught.value.reason is LossReason.SESSION_INVALID
    with pytest.raises(NotHeld):
        driver.release(lock)


def test_a_key_that_is_used_for_something_else_is_left_alone() -> None:
    """The error shows the flags that were found."""
    driver = FakeDriver()
    operator(driver.world, f"/v1/kv/{KEY}?flags=7", body=b"precious")
    with pytest.raises(Conflict) as caught:
        driver.acquire(driver.lock())
    assert caught.value.flags == 7
    assert driver.world._server.kv.entries[KEY].value == b"precious"


def test_the_same_thread_does_not_wait_for_itself() -> None:
    """That is an error, told at once; without waiting it is an answer."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    with pytest.raises(AlreadyHeld):
        driver.acquire(lock)
    assert driver.acquire(lock, timeout=0.0) is False
