"""Mistakes of the flows that the simulation found, one test each."""

from __future__ import annotations

import pytest

from consul_lock.errors import Unavailable
from tests.simulation.foreign_lock_client import operator
from tests.unit.protocol.fake_driver import NAME, FakeDriver, verbs

KEY, BASE = f"{NAME}/.lock", f"{NAME}/.queue"


def destroy(driver: FakeDriver, session: str) -> None:
    operator(driver.world, f"/v1/session/destroy/{session}")


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


def test_a_heir_that_has_died_is_not_taken_for_the_end_of_our_own_session() -> None:
    """Consul says "invalid session" of the waiter's; ours lives, and so do its other locks."""
    driver = FakeDriver()
    lock, other = driver.lock(), driver.lock(driver.client("b"))
    driver.acquire(lock)
    driver.queue_up(other)
    flow = lock.release("me").flow
    effect = driver.until(flow, lambda request: "check-index" in verbs(request))
    destroy(driver, other.client.pool.live.popitem()[0])
    driver.go_on(flow, effect)
    assert lock.hold is not None
    assert not lock.hold.session.gone


def test_lock_delay_on_our_own_entry_means_that_our_session_has_died() -> None:
    """Consul checks the lock-delay before the session; it was taken for a conflict."""
    driver = FakeDriver()
    holder, first, second = (driver.lock(driver.client(label)) for label in "abc")
    driver.acquire(holder)
    driver.queue_up(first)
    flow, watching = driver.queue_up(second)
    (session,) = second.client.pool.live
    destroy(driver, session)
    driver.until(flow, lambda request: request.path == "/v1/session/create", after=watching)
    assert session not in second.client.pool.live


def test_who_left_the_line_and_came_back_is_behind_us() -> None:
    """With the same session and another entry.  Each waited for the other, for ever."""
    driver = FakeDriver()
    holder, first, second = (driver.lock(driver.client(label)) for label in "abc")
    driver.acquire(holder)
    driver.queue_up(first)
    flow, watching = driver.queue_up(second)
    (session,) = first.client.pool.live
    entry = f"/v1/kv/{BASE}/{session}"
    assert watching.path == entry
    operator(driver.world, entry, "DELETE")
    operator(driver.world, f"{entry}?acquire={session}")
    assert driver.go_on(flow, watching).path == f"/v1/kv/{KEY}"


def test_an_entry_that_is_written_anew_is_watched_from_there() -> None:
    """With the index of before, the blocking read would never block again."""
    driver = FakeDriver()
    holder, first, second = (driver.lock(driver.client(label)) for label in "abc")
    driver.acquire(holder)
    driver.queue_up(first)
    flow, watching = driver.queue_up(second)
    (session,) = first.client.pool.live
    operator(driver.world, f"{watching.path}?acquire={session}", body=b"anew")
    again = driver.until(flow, lambda request: request.wait > 0, after=watching)
    index = driver.world._server.kv.entries[f"{BASE}/{session}"].modify_index
    assert again.path == watching.path
    assert dict(again.params)["index"] == str(index)


def test_whoever_may_hold_the_lock_does_not_join_the_line_again() -> None:
    """It was handed the lock while it believed an old picture; the entry was left for ever."""
    driver = FakeDriver()
    holder, mine = driver.lock(), driver.lock(driver.client("b"))
    driver.acquire(holder)
    flow = mine.acquire(True, None, "me").flow
    joining = driver.until(flow, lambda request: "get-tree" in verbs(request))
    driver.world.submit(joining)
    pause = flow.throw(Unavailable("no answer came"))
    looking = driver.until(flow, lambda request: request.path == f"/v1/kv/{KEY}", after=pause)
    old = driver.perform(looking)
    driver.release(holder)
    following = flow.send(old)
    driver.sent.clear()
    assert driver.run_after(flow, following) is True
    assert not [request for request in driver.sent if "get-tree" in verbs(request)]


def test_a_release_cut_off_while_it_tells_a_loss_gives_the_turn_back() -> None:
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


@pytest.mark.parametrize("place", [0, 1, 2])
def test_whoever_wants_the_lock_during_its_own_clean_up_waits_for_that(place: int) -> None:
    """It was told that it holds the lock already."""
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
