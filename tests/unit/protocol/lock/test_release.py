"""Releasing a lock: to the next waiter in Consul, to the next in this process, or to nobody."""

from __future__ import annotations

import json

import pytest

from consul_lock._protocol import keys as names
from consul_lock._protocol.keys import LOCK_FLAG
from consul_lock._protocol.lock.lock import LockCore
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.session import timing as terms
from consul_lock.errors import LockLost, LossReason, NotHeld, Refused
from tests.support.world_operator import operator
from tests.unit.protocol.fake_driver import NAME, FakeDriver, verbs

KEY, BASE = f"{NAME}/.lock", f"{NAME}/.queue"


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


def test_a_lock_that_cannot_be_handed_over_is_released() -> None:
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


def test_a_hand_over_that_no_server_carries_out_is_tried_without_the_next_waiter() -> None:
    """A rule that nobody knows here forbids to lock a key for another session."""
    driver = FakeDriver()
    holder, waiter = driver.lock(), driver.lock(driver.client("b"))
    driver.acquire(holder)
    driver.queue_up(waiter)
    flow = holder.release("me").flow
    driver.until(flow, lambda request: "lock" in verbs(request))
    driver.run_from(flow, Refused("not here"))
    assert KEY not in driver.held()


def test_a_dead_next_waiter_is_not_taken_for_the_end_of_the_holders_session() -> None:
    """Consul says "invalid session" of the waiter's; the holder's lives, with its other locks."""
    driver = FakeDriver()
    lock, other = driver.lock(), driver.lock(driver.client("b"))
    driver.acquire(lock)
    driver.queue_up(other)
    flow = lock.release("me").flow
    effect = driver.until(flow, lambda request: "check-index" in verbs(request))
    operator(driver.world, f"/v1/session/destroy/{other.client.pool.live.popitem()[0]}")
    driver.go_on(flow, effect)
    assert lock.hold is not None
    assert not lock.hold.session.gone


def test_a_stolen_lock_is_not_released_and_the_loss_is_reported() -> None:
    """The new holder keeps it."""
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


def test_a_dead_session_is_the_reason_even_if_somebody_else_holds_the_lock() -> None:
    """The end of the session came first."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    assert lock.hold is not None
    operator(driver.world, f"/v1/session/destroy/{lock.hold.session.id}")
    with pytest.raises(LockLost) as caught:
        driver.release(lock)
    assert caught.value.reason is LossReason.SESSION_INVALID
    with pytest.raises(NotHeld):
        driver.release(lock)


def test_a_release_cut_off_while_it_reports_a_loss_wakes_the_next_local_waiter() -> None:
    """Else the threads of this process would wait for ever."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    operator(driver.world, f"/v1/kv/{KEY}", "DELETE")
    job = lock.release("me")
    driver.until(job.flow, lambda request: "/session/destroy/" in request.path)
    job.flow.close()
    assert job.undo is not None
    driver.run(job.undo())
    assert driver.acquire(lock) is True


def test_a_session_in_doubt_is_not_passed_on_inside_the_process() -> None:
    """Its late writes would be passed on with it."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    driver.drive(lock.acquire(True, None, "another thread").flow, 0)
    assert lock.hold is not None
    lock.hold.session.uncertain = True
    flow = lock.release("me").flow
    letting = driver.until(flow, lambda request: "unlock" in verbs(request))
    assert "lock" not in verbs(letting)


def test_a_session_that_is_known_well_is_passed_on_inside_the_process() -> None:
    """In one transaction, which gives the next holder a token of its own."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    driver.drive(lock.acquire(True, None, "another thread").flow, 0)
    flow = lock.release("me").flow
    letting = driver.until(flow, lambda request: "unlock" in verbs(request))
    assert "lock" in verbs(letting)


def test_the_holder_does_not_hand_the_lock_over_to_itself() -> None:
    """Its own entry may be in the queue, if the answer to its joining was lost."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    assert lock.hold is not None
    session = lock.hold.session.id
    operator(driver.world, f"/v1/kv/{BASE}", body=b"sign")
    operator(driver.world, f"/v1/kv/{BASE}/{session}?acquire={session}&flags={LOCK_FLAG}")
    driver.release(lock)
    assert KEY not in driver.held()


def test_a_lock_may_have_any_word_for_its_key() -> None:
    """What a session keeps ready is distinguished by its purpose: a renewal is no release."""
    driver = FakeDriver()
    asked = Settings(terms.session_options())
    lock = LockCore(driver.client(), names.keys_of_key("renewal"), asked)
    driver.acquire(lock)
    driver.release(lock)
    driver.acquire(lock)
    assert lock.hold is not None
    renewals = driver.until(driver.spawned[0], lambda request: request.urgent)
    driver.perform(renewals)
    assert driver.held() == {"renewal": lock.hold.session.id}
