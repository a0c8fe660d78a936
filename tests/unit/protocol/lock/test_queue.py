"""What dead waiters leave in the queue, and what cannot be handed over."""

from __future__ import annotations

import pytest

from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.hold import waiter as lines
from consul_lock._protocol.keys import LOCK_FLAG
from consul_lock.errors import Refused
from tests.simulation.foreign_lock_client import operator
from tests.unit.protocol.fake_driver import NAME, Hand, verbs

KEY, BASE = f"{NAME}/.lock", f"{NAME}/.queue"

DEAD = "01234567-89ab-cdef-0123-456789abcdef"


def leave_dead(hand: Hand, count: int = 1) -> list[str]:
    """Entries as waiters leave them who have died, with the sign that somebody waits."""
    keys = [f"{BASE}/{DEAD[:-2]}{number:02x}" for number in range(count)]
    for key in keys:
        operator(hand.world, f"/v1/kv/{key}?flags={LOCK_FLAG}", body=b"{}")
    operator(hand.world, f"/v1/kv/{BASE}?flags={LOCK_FLAG}", body=b"sign")
    return keys


def below(hand: Hand) -> set[str]:
    return {key for key in hand.held() if key.startswith(BASE)}


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
    hand = Hand()
    lock = hand.lock()
    left = leave_dead(hand, count)
    for _ in range(0, count, lines.DEAD_MAX):
        assert below(hand) == {BASE, *left}
        hand.acquire(lock)
        hand.release(lock)
        left = left[lines.DEAD_MAX :]
    assert hand.held() == {}


def test_dead_waiters_are_not_among_those_who_wait() -> None:
    """Nobody is, though their entries are there."""
    hand = Hand()
    lock = hand.lock()
    leave_dead(hand)
    assert hand.run(lock.waiters()) == []


@pytest.mark.parametrize("way", ["handed over", "given up", "taken"])
def test_a_waiter_takes_away_the_dead_with_what_it_writes_anyway(way: str) -> None:
    """In no request of its own, until nobody waits any more."""
    hand = Hand()
    holder, waiter = hand.lock(), hand.lock(hand.client("b"))
    hand.acquire(holder)
    leave_dead(hand)
    match way:
        case "handed over":
            hand.when_blocked = lambda: hand.release(holder)
            assert hand.acquire(waiter)
        case "given up":
            assert not hand.acquire(waiter, timeout=3.0)
            hand.release(holder)
        case "taken":
            hand.when_blocked = lambda: operator(hand.world, f"/v1/kv/{KEY}", "DELETE")
            assert hand.acquire(waiter)
    assert below(hand) <= {BASE}
    if waiter.hold is not None:
        hand.release(waiter)
    assert below(hand) == set()


def test_a_lock_that_may_be_given_to_nobody_is_set_free() -> None:
    """Consul refuses to give it to the next waiter, as a lock-delay is on it though it is held:
    the holder before died while the request of the present one was on its way."""
    hand = Hand()
    holder, waiter = hand.lock(), hand.lock(hand.client("b"))
    hand.acquire(holder)
    flow, watching = hand.queue_up(waiter)
    hand.world._server._close(KEY, 15.0)
    hand.release(holder)
    assert KEY not in hand.held()
    assert hand.run_after(flow, watching) is True


def test_it_is_not_passed_on_in_the_process_either() -> None:
    """That would be refused for the same reason."""
    hand = Hand()
    holder = hand.lock()
    hand.acquire(holder)
    hand.drive(holder.acquire(True, None, "another thread").flow, 0)
    hand.world._server._close(KEY, 15.0)
    hand.release(holder)
    assert KEY not in hand.held()


def test_what_no_server_carries_out_is_tried_without_the_next_one() -> None:
    """A rule that nobody knows here forbids to lock a key for another session."""
    hand = Hand()
    holder, waiter = hand.lock(), hand.lock(hand.client("b"))
    hand.acquire(holder)
    hand.queue_up(waiter)
    flow = holder.release("me").flow
    hand.until(flow, lambda request: "lock" in verbs(request))
    hand.run_from(flow, Refused("not here"))
    assert KEY not in hand.held()
