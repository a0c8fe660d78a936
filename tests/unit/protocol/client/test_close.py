"""The ends of clients and of shared sessions, and what must not depend on them."""

from __future__ import annotations

from collections import Counter

import pytest

from consul_lock._protocol.client import close as closing
from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.flow import Batch, Request, Wait
from consul_lock.errors import LossReason, Unavailable
from tests.unit.protocol.fake_driver import NAME, Hand

KEY, BASE = f"{NAME}/.lock", f"{NAME}/.queue"


def test_a_client_that_is_closed_passes_its_lock_to_nobody_of_its_own() -> None:
    """The heir's session would be destroyed with the client: others would sit out a lock-delay."""
    hand = Hand()
    client = hand.client()
    hand.acquire(hand.lock(client))
    waiting = hand.lock(client).acquire(True, None, "another thread").flow
    hand.drive(waiting, 0)
    hand.run(closing.close_client(client))
    assert hand.held() == {}
    assert hand.acquire(hand.lock(hand.client("b")), timeout=0)


def test_closing_while_an_agent_answers_nothing_ends_in_time() -> None:
    """Each request ends in a time-out of seconds; with many locks that would be minutes."""
    hand = Hand()
    client = hand.client()
    for number in range(20):
        hand.acquire(hand.lock(client, f"{NAME}/{number}"))
    begun, hand.frozen_for = hand.world.now, 3.0
    hand.run(closing.close_client(client))
    assert hand.world.now - begun < 20.0
    assert client.pool.live == {}
    assert not client.holds


def test_closing_with_an_agent_that_is_only_slow_lets_go_of_everything() -> None:
    """Others would wait for the TTL and the lock-delay of each lock that is left."""
    hand = Hand()
    client = hand.client()
    for number in range(20):
        hand.acquire(hand.lock(client, f"{NAME}/{number}"))
    begun, hand.slow_by = hand.world.now, 6.0
    hand.run(closing.close_client(client))
    assert hand.world.now - begun > 10.0
    assert hand.sessions() == set()


def many_held(hand: Hand, most: int) -> tuple[ClientCore, list[LossReason]]:
    """A client that holds many locks, and the reasons that their holders are told."""
    client, told = hand.client(), list[LossReason]()
    for number in range(most):
        hand.acquire(hand.lock(client, f"{NAME}/{number}", on_lost=told.append))
    return client, told


def test_holders_are_told_of_the_close_and_not_of_deadlines_that_pass_during_it() -> None:
    """One after the other, with slow answers, would take longer than any of them counts as held."""
    hand = Hand()
    client, told = many_held(hand, 100)

    def watch(request: Request) -> None:
        for hold in client.holds.late(hand.world.now):
            hand.run(client.lose(hold, LossReason.DEADLINE))

    hand.slow_by, hand.instead = 0.5, watch
    hand.run(closing.close_client(client))
    assert Counter(told) == {LossReason.REVOKED: 100}
    assert hand.held() == {}


def test_all_holders_are_told_of_the_close_before_anything_is_let_go_of() -> None:
    """Whoever works under a lock is to stop before somebody else can have it."""
    hand = Hand()
    client, told = many_held(hand, 10)
    told_before = list[int]()
    hand.instead = lambda request: told_before.append(len(told))
    hand.run(closing.close_client(client))
    assert set(told_before) == {10}


def test_closing_lets_go_of_many_locks_at_a_time() -> None:
    """One after the other, 1,000 of them take 25 s if an answer takes 25 ms."""
    hand = Hand()
    client, _ = many_held(hand, 200)
    hand.sent.clear()
    flow, trips, step = closing.close_client(client), 0, None
    while True:
        step, _ = hand._drive(flow, lambda effect: isinstance(effect, Request | Batch), step)
        if step is None:
            break
        trips += 1
        assert trips < 20
    assert len(hand.sent) >= 400
    assert hand.held() == {}
    assert hand.sessions() == set()


def test_a_close_that_was_cut_off_while_it_let_go_lets_go_of_the_rest_when_done_again() -> None:
    """Their holders have been told already, and are not told again."""
    hand = Hand()
    client, told = many_held(hand, 200)
    flow = closing.close_client(client)
    batch = hand.until(flow, lambda request: request.path == "/v1/txn")
    hand.until(flow, lambda request: request.path == "/v1/txn", after=batch)
    flow.close()
    assert 0 < len(hand.held()) < 200
    hand.run(closing.close_client(client))
    assert hand.held() == {}
    assert hand.acquire(hand.lock(hand.client("b"), f"{NAME}/199"), timeout=0)
    assert Counter(told) == {LossReason.REVOKED: 200}


def test_closing_waits_for_a_call_that_gets_the_lock_meanwhile() -> None:
    """Destroyed while it gets the lock, its session would impose a lock-delay on everybody."""
    hand = Hand()
    client = hand.client()
    lock = hand.lock(client)
    flow = lock.acquire(True, None, "another thread").flow
    request = hand.until(flow, lambda request: request.path == "/v1/txn")
    looks: list[bool] = []

    def under_way() -> bool:
        if len(looks) == 1:
            assert hand.run_after(flow, request) is True
        looks.append(len(looks) == 0)
        return looks[-1]

    hand.calls_under_way = under_way
    hand.run(closing.close_client(client))
    assert looks[:2] == [True, False]
    assert lock.hold is not None
    assert lock.hold.reason is LossReason.REVOKED
    assert hand.acquire(hand.lock(hand.client("b")), timeout=0)


def test_closing_waits_for_the_end_of_a_release_that_began_meanwhile() -> None:
    """It was too late to revoke that hold, and too early to destroy its session."""
    hand = Hand()
    client = hand.client()
    lock = hand.lock(client)
    hand.acquire(lock)
    flow = lock.release("me").flow
    request = hand.until(flow, lambda request: request.path == "/v1/txn")
    rounds: list[int] = []

    def under_way() -> bool:
        rounds.append(len(rounds))
        if len(rounds) == 3:
            hand.run_after(flow, request)
        return len(rounds) == 2

    hand.calls_under_way = under_way
    hand.run(closing.close_client(client))
    assert hand.held() == {}
    assert hand.acquire(hand.lock(hand.client("b")), timeout=0)


def test_closing_does_not_wait_for_ever_for_calls_that_do_not_end() -> None:
    """They may be waiting for an agent that answers nothing."""
    hand = Hand()
    client = hand.client()
    hand.acquire(hand.lock(client))
    hand.calls_under_way = lambda: True
    begun = hand.world.now
    hand.run(closing.close_client(client))
    assert hand.world.now - begun < 20.0
    assert hand.sessions() == set()


def test_a_closed_client_refuses_to_begin_and_wakes_those_who_wait_behind_another() -> None:
    """They fail for the close, and not for their time-out, and have nothing to undo in Consul."""
    hand = Hand()
    client = hand.client()
    hand.acquire(hand.lock(hand.client("b")))
    hand.queue_up(hand.lock(client))
    waiting = hand.lock(client).acquire(True, None, "another thread").flow
    wait, _ = hand._drive(waiting, lambda effect: isinstance(effect, Wait))
    hand.run(closing.close_client(client))
    with pytest.raises(Unavailable, match="closed"):
        hand.run_after(waiting, wait)
    hand.sent.clear()
    with pytest.raises(Unavailable, match="closed"):
        hand.acquire(hand.lock(client))
    assert hand.sent == []


def test_closing_can_be_cut_off_and_done_again() -> None:
    """The clean-up of a close is a close."""
    hand = Hand()
    client = hand.client()
    hand.acquire(hand.lock(client))
    flow = closing.close_client(client)
    hand.until(flow, lambda request: request.path == "/v1/txn")
    flow.close()
    hand.run(closing.close_client(client))
    assert hand.sessions() == set()
