"""Waiting in the queue of a lock: joining, the waiter before, and what dead waiters leave."""

from __future__ import annotations

from typing import Any

import pytest

from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.flow import Request
from consul_lock._protocol.hold import waiter as queues
from consul_lock._protocol.keys import LOCK_FLAG
from consul_lock.errors import Unavailable
from tests.support.world_operator import operator
from tests.unit.protocol.fake_driver import NAME, FakeDriver, hold_of, verbs, waits

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
    queue = queues.parse_queue(BASE, pairs)
    assert queue.dead == (queues.DeadWaiter(f"{BASE}/{DEAD}", 31),)
    assert [entry.session for entry in queue.entries] == [DEAD]


@pytest.mark.parametrize("count", [1, queues.DEAD_MAX, queues.DEAD_MAX + 1, 60])
def test_a_release_takes_away_what_dead_waiters_left(count: int) -> None:
    """With the sign, which they do not keep there; of many, the next release takes the rest."""
    driver = FakeDriver()
    lock = driver.lock()
    left = leave_dead(driver, count)
    for _ in range(0, count, queues.DEAD_MAX):
        assert below(driver) == {BASE, *left}
        driver.acquire(lock)
        driver.release(lock)
        left = left[queues.DEAD_MAX :]
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


def test_lock_delay_on_its_own_entry_means_that_a_waiters_session_has_died() -> None:
    """Consul checks the lock-delay before the session; it was taken for a conflict."""
    driver = FakeDriver()
    holder, first, second = (driver.lock(driver.client(label)) for label in "abc")
    driver.acquire(holder)
    driver.queue_up(first)
    flow, watching = driver.queue_up(second)
    (session,) = second.client.pool.live
    operator(driver.world, f"/v1/session/destroy/{session}")
    driver.until(flow, lambda request: request.path == "/v1/session/create", after=watching)
    assert session not in second.client.pool.live


def test_a_waiter_that_left_the_queue_and_came_back_is_behind_the_others() -> None:
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
    again = driver.until(flow, waits, after=watching)
    index = driver.world._server.kv.entries[f"{BASE}/{session}"].modify_index
    assert again.path == watching.path
    assert dict(again.params)["index"] == str(index)


def test_a_possible_holder_does_not_join_the_queue_again() -> None:
    """It was handed the lock while it believed a stale read; the entry was left for ever."""
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


def test_a_waiter_that_wakes_up_as_the_holder_confirms_before_it_counts() -> None:
    """It was paused while it waited: its session may have died in the meantime."""
    driver = FakeDriver()
    holder, mine = driver.lock(), driver.lock(driver.client("b"))
    driver.acquire(holder)
    flow, watching = driver.queue_up(mine)
    driver.when_blocked = lambda: driver.release(holder)
    seen = driver.perform(watching)
    driver.world.advance(60.0)
    driver.sent.clear()
    effect = flow.send(seen)
    confirming = driver.until(flow, lambda request: verbs(request) != [], after=effect)
    assert verbs(confirming) == ["check-index", "lock"]
    assert driver.sent == []
    made = driver.until(flow, lambda request: "/session/create" in request.path, after=confirming)
    assert made
    assert mine.hold is None


def test_a_waiter_that_gives_up_leaves_the_queue_whatever_a_deposed_leader_has_shown() -> None:
    """A list from before it joined does not show its entry, which is there all the same: left
    behind, it would be handed the lock."""
    driver = FakeDriver()
    holder, waiter = driver.lock(), driver.lock(driver.client("d"))
    driver.acquire(holder)
    for label in ("b", "c"):
        driver.queue_up(driver.lock(driver.client(label)))  # these two are never heard of again

    def old_list(request: Request) -> tuple[int, bytes] | None:
        params = dict(request.params)
        if "recurse" not in params or "consistent" in params:
            return None
        driver.world.advance(10.0)  # it takes until the waiter has waited for long enough
        return 200, b"[]"

    def release() -> None:
        driver.release(holder)
        driver.instead = old_list

    driver.when_blocked = release
    driver.acquire(waiter, timeout=12.0)
    sessions = {session.id for session in waiter.client.pool.live.values()}
    assert not sessions & {key.rpartition("/")[2] for key in below(driver)}


class KeepingDriver(FakeDriver):
    """No session ends by its TTL."""

    def perform(self, effect: Any) -> Any:
        for session in self.sessions():
            operator(self.world, f"/v1/session/renew/{session}")
        return super().perform(effect)


@pytest.mark.parametrize("deleted", [False, True], ids=["free", "no-key"])
def test_a_waiter_behind_a_stuck_one_takes_a_lock_whose_lock_delay_is_over(deleted: bool) -> None:
    """The keeper of the stuck one lives, so its session does not end.  The lock-delay is left to
    it: the other has tried once before, and tries again 5 s later."""
    driver = KeepingDriver()
    holder, stuck, waiter = (driver.lock(driver.client(label)) for label in "abc")
    driver.acquire(holder)
    driver.queue_up(stuck)
    flow, effect = driver.queue_up(waiter)
    begun = driver.world.now
    operator(driver.world, f"/v1/session/destroy/{hold_of(holder).session.id}")
    if deleted:
        operator(driver.world, f"/v1/kv/{KEY}", "DELETE")
    driver.sent.clear()
    driver.run_after(flow, effect)
    assert [verbs(request)[-2:] for request in driver.sent].count(["delete", "delete-cas"]) == 2
    assert driver.world.now < begun + 30.0 + 5.0 + 5.5
    assert driver.held() == {KEY: hold_of(waiter).session.id, BASE: ""}
