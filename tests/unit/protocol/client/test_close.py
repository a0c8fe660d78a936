"""The ends of clients and of shared sessions, and what must not depend on them."""

from __future__ import annotations

from collections import Counter

import pytest

from consul_lock._protocol.client import close as closing
from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.flow import Batch, Request, Wait
from consul_lock.errors import LossReason, Unavailable
from tests.unit.protocol.fake_driver import NAME, FakeDriver

KEY, BASE = f"{NAME}/.lock", f"{NAME}/.queue"


def test_a_closed_client_hands_its_lock_to_none_of_its_own_waiters() -> None:
    """The next waiter's session would end with the client, and cost others a lock-delay."""
    driver = FakeDriver()
    client = driver.client()
    driver.acquire(driver.lock(client))
    waiting = driver.lock(client).acquire(True, None, "another thread").flow
    driver.drive(waiting, 0)
    driver.run(closing.close_client(client))
    assert driver.held() == {}
    assert driver.acquire(driver.lock(driver.client("b")), timeout=0)


def test_closing_while_an_agent_answers_nothing_ends_in_time() -> None:
    """Each request ends in a timeout of seconds; with many locks that would be minutes."""
    driver = FakeDriver()
    client = driver.client()
    for number in range(20):
        driver.acquire(driver.lock(client, f"{NAME}/{number}"))
    begun, driver.frozen_for = driver.world.now, 3.0
    driver.run(closing.close_client(client))
    assert driver.world.now - begun < 20.0
    assert client.pool.live == {}
    assert not client.holds


def test_closing_with_an_agent_that_is_only_slow_releases_everything() -> None:
    """Others would wait for the TTL and the lock-delay of each lock that is left."""
    driver = FakeDriver()
    client = driver.client()
    for number in range(20):
        driver.acquire(driver.lock(client, f"{NAME}/{number}"))
    begun, driver.slow_by = driver.world.now, 6.0
    driver.run(closing.close_client(client))
    assert driver.world.now - begun > 10.0
    assert driver.sessions() == set()


def test_the_watchdog_is_woken_when_nothing_is_held_any_more() -> None:
    """It has looked when the holders heard of the end, and would look again after 2 s, for which
    the closing of a client waited."""
    driver = FakeDriver()
    client = driver.client()
    wake = client.watchdog.wake
    driver.acquire(driver.lock(client, on_lost=lambda reason: wake.clear()))
    driver.run(closing.close_client(client))
    assert wake.is_set()


def many_held(driver: FakeDriver, most: int) -> tuple[ClientCore, list[LossReason]]:
    """A client that holds many locks, and the reasons that their holders get."""
    client, told = driver.client(), list[LossReason]()
    for number in range(most):
        driver.acquire(driver.lock(client, f"{NAME}/{number}", on_lost=told.append))
    return client, told


def test_holders_get_revoked_and_not_deadlines_that_pass_during_the_close() -> None:
    """One after the other, with slow answers, would take longer than any of them counts as held."""
    driver = FakeDriver()
    client, told = many_held(driver, 100)

    def watch(request: Request) -> None:
        for hold in client.holds.late(driver.world.now):
            driver.run(client.lose(hold, LossReason.DEADLINE))

    driver.slow_by, driver.instead = 0.5, watch
    driver.run(closing.close_client(client))
    assert Counter(told) == {LossReason.REVOKED: 100}
    assert driver.held() == {}


def test_all_holders_are_notified_of_the_close_before_anything_is_released() -> None:
    """The user of a lock is to stop before somebody else can have it."""
    driver = FakeDriver()
    client, told = many_held(driver, 10)
    told_before = list[int]()
    driver.instead = lambda request: told_before.append(len(told))
    driver.run(closing.close_client(client))
    assert set(told_before) == {10}


def test_closing_releases_many_locks_at_a_time() -> None:
    """One after the other, 1,000 of them take 25 s if an answer takes 25 ms."""
    driver = FakeDriver()
    client, _ = many_held(driver, 200)
    driver.sent.clear()
    flow, trips, step = closing.close_client(client), 0, None
    while True:
        step, _ = driver._drive(flow, lambda effect: isinstance(effect, Request | Batch), step)
        if step is None:
            break
        trips += 1
        assert trips < 20
    assert len(driver.sent) >= 400
    assert driver.held() == {}
    assert driver.sessions() == set()


def test_a_close_that_was_cut_off_releases_the_rest_when_done_again() -> None:
    """Their holders have been notified already, and are not notified again."""
    driver = FakeDriver()
    client, told = many_held(driver, 200)
    flow = closing.close_client(client)
    batch = driver.until(flow, lambda request: request.path == "/v1/txn")
    driver.until(flow, lambda request: request.path == "/v1/txn", after=batch)
    flow.close()
    assert 0 < len(driver.held()) < 200
    driver.run(closing.close_client(client))
    assert driver.held() == {}
    assert driver.acquire(driver.lock(driver.client("b"), f"{NAME}/199"), timeout=0)
    assert Counter(told) == {LossReason.REVOKED: 200}


def test_closing_waits_for_a_call_that_gets_the_lock_meanwhile() -> None:
    """Destroyed while it gets the lock, its session would impose a lock-delay on everybody."""
    driver = FakeDriver()
    client = driver.client()
    lock = driver.lock(client)
    flow = lock.acquire(True, None, "another thread").flow
    request = driver.until(flow, lambda request: request.path == "/v1/txn")
    looks: list[bool] = []

    def under_way() -> bool:
        if len(looks) == 1:
            assert driver.run_after(flow, request) is True
        looks.append(len(looks) == 0)
        return looks[-1]

    driver.calls_under_way = under_way
    driver.run(closing.close_client(client))
    assert looks[:2] == [True, False]
    assert lock.hold is not None
    assert lock.hold.reason is LossReason.REVOKED
    assert driver.acquire(driver.lock(driver.client("b")), timeout=0)


def test_closing_waits_for_the_end_of_a_release_that_began_meanwhile() -> None:
    """It was too late to revoke that hold, and too early to destroy its session."""
    driver = FakeDriver()
    client = driver.client()
    lock = driver.lock(client)
    driver.acquire(lock)
    flow = lock.release("me").flow
    request = driver.until(flow, lambda request: request.path == "/v1/txn")
    rounds: list[int] = []

    def under_way() -> bool:
        rounds.append(len(rounds))
        if len(rounds) == 3:
            driver.run_after(flow, request)
        return len(rounds) == 2

    driver.calls_under_way = under_way
    driver.run(closing.close_client(client))
    assert driver.held() == {}
    assert driver.acquire(driver.lock(driver.client("b")), timeout=0)


def test_closing_does_not_wait_for_ever_for_calls_that_do_not_end() -> None:
    """They may be waiting for an agent that answers nothing."""
    driver = FakeDriver()
    client = driver.client()
    driver.acquire(driver.lock(client))
    driver.calls_under_way = lambda: True
    begun = driver.world.now
    driver.run(closing.close_client(client))
    assert driver.world.now - begun < 20.0
    assert driver.sessions() == set()


def test_a_closed_client_refuses_new_calls_and_wakes_local_waiters() -> None:
    """They fail for the close, and not for their timeout, and have nothing to undo in Consul."""
    driver = FakeDriver()
    client = driver.client()
    driver.acquire(driver.lock(driver.client("b")))
    driver.queue_up(driver.lock(client))
    waiting = driver.lock(client).acquire(True, None, "another thread").flow
    wait, _ = driver._drive(waiting, lambda effect: isinstance(effect, Wait))
    driver.run(closing.close_client(client))
    with pytest.raises(Unavailable, match="closed"):
        driver.run_after(waiting, wait)
    driver.sent.clear()
    with pytest.raises(Unavailable, match="closed"):
        driver.acquire(driver.lock(client))
    assert driver.sent == []


def test_closing_can_be_cut_off_and_done_again() -> None:
    """The clean-up of a close is a close."""
    driver = FakeDriver()
    client = driver.client()
    driver.acquire(driver.lock(client))
    flow = closing.close_client(client)
    driver.until(flow, lambda request: request.path == "/v1/txn")
    flow.close()
    driver.run(closing.close_client(client))
    assert driver.sessions() == set()
