"""The flows of the lock, played by hand: what is sent, how often, and what follows from it."""

from __future__ import annotations

import json

import pytest

from consul_lock.errors import AlreadyHeld, Conflict, LockLost, LossReason, NotHeld
from tests.simulation.foreign_lock_client import operator
from tests.unit.protocol.fake_driver import NAME, Hand

KEY, BASE = f"{NAME}/.lock", f"{NAME}/.queue"


def destroy(hand: Hand, session: str) -> None:
    operator(hand.world, f"/v1/session/destroy/{session}")


# -- requests are counted


def test_the_first_acquire_makes_a_session_sees_what_it_got_and_locks() -> None:
    """Three requests, once in the life of a client."""
    hand = Hand()
    assert hand.acquire(hand.lock()) is True
    assert hand.requests() == ["PUT session/create", "PUT session/renew", "PUT txn"]


def test_an_uncontended_acquire_is_one_request_and_so_is_its_release() -> None:
    """As long as the session is at hand."""
    hand = Hand()
    lock = hand.lock()
    hand.acquire(lock)
    hand.release(lock)
    hand.requests()
    hand.acquire(lock)
    assert hand.requests() == ["PUT txn"]
    hand.release(lock)
    assert hand.requests() == ["PUT txn"]
    assert hand.held() == {}


def test_the_next_uncontended_acquire_sends_the_same_request_object() -> None:
    """What does not change is not built again."""
    hand = Hand()
    lock = hand.lock()
    sent = []
    for _ in range(3):
        hand.acquire(lock)
        hand.release(lock)
        sent.append([request for request in hand.sent if request.path == "/v1/txn"])
        hand.requests()
    assert sent[1][0] is sent[2][0]
    assert sent[1][1] is sent[2][1]


def test_a_try_that_may_not_wait_is_one_request_and_leaves_nothing() -> None:
    """It does not even look at the line."""
    hand = Hand()
    mine, other = hand.lock(), hand.lock(hand.client("b"))
    hand.acquire(other)
    hand.acquire(mine, timeout=0.0)
    hand.requests()
    before = hand.held()
    assert hand.acquire(mine, timeout=0.0) is False
    assert hand.requests() == ["GET kv/jobs/nightly/.lock"]
    assert hand.held() == before


def test_a_hand_over_is_one_read_and_one_write() -> None:
    """The lock goes from session to session, is free at no time, and no sign is left."""
    hand = Hand()
    mine, other = hand.lock(), hand.lock(hand.client("b"))
    hand.acquire(other)
    releases: list[str] = []

    def release() -> None:
        hand.requests()
        hand.release(other)
        releases.extend(hand.requests())

    hand.when_blocked = release
    assert hand.acquire(mine) is True
    # It was not known that somebody waits: the first, simple try is refused.
    assert releases == ["PUT txn", "GET kv/jobs/nightly/.queue", "PUT txn"]
    assert mine.hold is not None
    assert hand.held() == {KEY: mine.hold.session.id}


def test_the_token_is_the_index_of_the_write_that_gave_the_lock() -> None:
    """By an acquire and by a hand-over; LockIndex would begin anew with each key."""
    hand = Hand()
    mine, other = hand.lock(), hand.lock(hand.client("b"))
    hand.acquire(other)
    hand.when_blocked = lambda: hand.release(other)
    hand.acquire(mine)
    assert mine.hold is not None
    assert other.hold is not None
    entry = hand.world._server.kv.entries[KEY]
    assert mine.hold.token == entry.modify_index > other.hold.token


def test_the_next_waiters_are_handed_down_with_the_lock() -> None:
    """So that the line is not read again at each hand-over."""
    hand = Hand()
    first, second, third = (hand.lock(hand.client(label)) for label in "abc")
    hand.acquire(first)
    hand.queue_up(second)
    hand.queue_up(third)
    waiting = [key for key in hand.held() if key.startswith(f"{BASE}/")]
    assert len(waiting) == 2
    hand.release(first)
    value = json.loads(hand.world._server.kv.entries[KEY].value)
    assert [f"{BASE}/{session}" for session, _, _ in value["next"]] == waiting[1:]


# -- losing


def test_a_stolen_lock_is_not_released_and_the_loss_is_told() -> None:
    """Whoever holds it now keeps it."""
    hand = Hand()
    lock, other = hand.lock(), hand.lock(hand.client("b"))
    hand.acquire(lock)
    operator(hand.world, f"/v1/kv/{KEY}", "DELETE")
    hand.acquire(other)
    with pytest.raises(LockLost) as caught:
        hand.release(lock)
    assert caught.value.reason is LossReason.STOLEN
    assert other.hold is not None
    assert hand.held() == {KEY: other.hold.session.id}


def test_a_dead_session_is_told_as_the_reason_even_if_somebody_else_holds_the_lock() -> None:
    """The end of the session came first."""
    hand = Hand()
    lock = hand.lock()
    hand.acquire(lock)
    assert lock.hold is not None
    destroy(hand, lock.hold.session.id)
    with pytest.raises(LockLost) as caught:
        hand.release(lock)
    assert caught.value.reason is LossReason.SESSION_INVALID
    with pytest.raises(NotHeld):
        hand.release(lock)


def test_a_key_that_is_used_for_something_else_is_left_alone() -> None:
    """The error shows the flags that were found."""
    hand = Hand()
    operator(hand.world, f"/v1/kv/{KEY}?flags=7", body=b"precious")
    with pytest.raises(Conflict) as caught:
        hand.acquire(hand.lock())
    assert caught.value.flags == 7
    assert hand.world._server.kv.entries[KEY].value == b"precious"


def test_the_same_thread_does_not_wait_for_itself() -> None:
    """That is an error, told at once; without waiting it is an answer."""
    hand = Hand()
    lock = hand.lock()
    hand.acquire(lock)
    with pytest.raises(AlreadyHeld):
        hand.acquire(lock)
    assert hand.acquire(lock, timeout=0.0) is False
