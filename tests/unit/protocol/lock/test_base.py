"""A lock without its way in and out: what proves it, what it shows, what it leaves behind."""

from __future__ import annotations

import json

import pytest

from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.hold.hold import Hold
from consul_lock._protocol.hold.state import Event
from consul_lock._protocol.keys import LOCK_FLAG
from consul_lock._protocol.lock.base import complain
from consul_lock._protocol.lock.lock import LockCore
from consul_lock.errors import LossReason
from tests.support.world_operator import operator
from tests.unit.protocol.fake_driver import NAME, FakeDriver, verbs, waits

KEY, BASE = f"{NAME}/.lock", f"{NAME}/.queue"


def held(driver: FakeDriver) -> tuple[LockCore, Hold]:
    lock = driver.lock()
    driver.acquire(lock)
    assert lock.hold is not None
    return lock, lock.hold


def test_who_holds_a_lock_and_who_waits_in_which_order_is_shown() -> None:
    """Nobody, while there is no key, and none without a session."""
    driver = FakeDriver()
    lock, first, second = (driver.lock(driver.client(label)) for label in "abc")
    assert driver.run(lock.holder()) is None
    driver.acquire(lock)
    driver.queue_up(first)
    driver.queue_up(second)
    assert driver.run(lock.holder()).host == "a"
    assert [waiter.host for waiter in driver.run(lock.waiters())] == ["b", "c"]
    operator(driver.world, f"/v1/session/destroy/{lock.client.pool.live.popitem()[0]}")
    assert driver.run(lock.holder()) is None


def test_the_farewell_leaves_the_queue_before_it_frees_the_lock() -> None:
    """Else the lock could be handed to the session once more in between.  Each is carried out
    though the other is refused: the session may have the one and not the other."""
    driver = FakeDriver()
    lock, hold = held(driver)
    requests = lock.farewell(hold.session)
    keys = [[op["KV"]["Key"] for op in json.loads(request.body or b"")] for request in requests]
    assert keys == [[f"{BASE}/{hold.session.id}"], [KEY, KEY]]
    assert [verbs(request) for request in requests] == [["delete"], ["unlock", "delete"]]
    for request in requests:
        driver.perform(request)
    assert driver.held() == {}


@pytest.mark.parametrize(
    "path, method, reason",
    [
        (None, "", None),
        (f"/v1/kv/{KEY}", "DELETE", LossReason.KEY_DELETED),
        (f"/v1/kv/{KEY}?flags=0", "PUT", None),  # who writes there takes nothing
        (f"/v1/kv/{KEY}?release={{session}}", "PUT", LossReason.REVOKED),
        ("/v1/session/destroy/{session}", "PUT", LossReason.SESSION_INVALID),
    ],
)
def test_why_a_lock_is_lost(path: str | None, method: str, reason: LossReason | None) -> None:
    """By a read of its own, by that of a watch, and by the refusal of a proof: all the same."""
    driver = FakeDriver()
    lock, hold = held(driver)
    if path is not None:
        operator(driver.world, path.format(session=hold.session.id), method)
    assert driver.run(lock.examine(hold, None, None)) is reason
    seen = driver.run(lock.look(hold, 0, 0.0))
    assert driver.run(lock.examine(hold, seen, None)) is reason
    outcome = driver.run(lock.client.api.transact(lock.proof(hold), "proving it", lock.rule))
    assert outcome.done is (reason is None)
    if reason is not None:
        assert driver.run(lock.refuted(hold, outcome.errors[0][1], 1.0)) is reason


def test_the_keeper_learns_once_that_somebody_waits() -> None:
    """The hint is refused, the queue is read, and from then on it is no question any more."""
    driver = FakeDriver()
    lock, hold = held(driver)
    assert driver.run(lock.client.api.transact(lock.hints(hold), "looking", lock.rule)).done
    driver.queue_up(driver.lock(driver.client("b")))
    assert not driver.run(lock.client.api.transact(lock.hints(hold), "looking", lock.rule)).done
    driver.run(lock.learn(hold, 1.0))
    assert hold.contended
    assert hold.queue is not None
    assert len(hold.queue.entries) == 1
    assert lock.hints(hold) == []


def test_what_is_learnt_of_a_hold_that_is_over_by_then_changes_nothing() -> None:
    """Its release has begun meanwhile, and relies on what it knew."""
    driver = FakeDriver()
    lock, hold = held(driver)
    driver.queue_up(driver.lock(driver.client("b")))
    hold.advance(Event.RELEASE)
    driver.run(lock.learn(hold, 1.0))
    assert (hold.queue, hold.contended) == (None, False)


def test_a_waiter_warns_once_of_a_lock_that_was_written_over() -> None:
    """It waits for it all the same, as long as a session holds it."""
    driver = FakeDriver()
    attempt = driver.lock().attempt("me", True)
    for pair in (None, Pair(KEY, b"x", LOCK_FLAG, "s", 1, 2), *[Pair(KEY, b"x", 9, "s", 1, 2)] * 2):
        driver.run(complain(attempt, pair))
    assert len(driver.warned) == 1
    assert KEY in driver.warned[0]


def test_what_was_known_of_a_place_in_the_queue_is_forgotten_as_a_whole() -> None:
    """With an old neighbour, or an old look at the key, it would wait for what is past."""
    driver = FakeDriver()
    driver.acquire(driver.lock())
    waiters = [driver.lock(driver.client(label)) for label in "bc"]
    attempts = [LockCore.attempt(waiter, "me", True) for waiter in waiters]
    for waiter, attempt in zip(waiters, attempts, strict=True):
        driver.until(waiter.contend(attempt), waits)
    first, second = attempts
    assert (first.first, second.first) == (True, False)
    assert (first.ahead, second.ahead) == (None, second.before[0])
    for attempt in attempts:
        attempt.forget_place()
        assert (attempt.first, attempt.ahead, attempt.before, attempt.seen) == (
            False, None, (), None
        )  # fmt: skip
        assert attempt.in_queue
