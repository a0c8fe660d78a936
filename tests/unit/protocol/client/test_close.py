"""The ends of clients and of shared sessions, and what must not depend on them."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise

import pytest

from consul_lock._protocol.client import close as closing
from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.client.keeper import Keeper
from consul_lock._protocol.client.shared_session import SharedSession
from consul_lock._protocol.flow import Batch, Request, Wait
from consul_lock._protocol.hold.state import State
from consul_lock._protocol.lock.lock import LockCore
from consul_lock._protocol.session import timing as terms
from consul_lock.errors import LossReason, PermissionDenied, Unavailable
from tests.simulation.foreign_lock_client import operator
from tests.unit.protocol.fake_driver import NAME, NEVER, Hand, verbs

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


def keep(hand: Hand, client: ClientCore) -> None:
    """The keeper to its end, with what it lets others do."""
    flow, step = client.keeper.run(), None
    hand.spawned.clear()
    for _ in range(NEVER):
        step, _ = hand._drive(flow, lambda effect: isinstance(effect, Wait), step)
        if step is None:
            return
        while hand.spawned:
            hand.run(hand.spawned.pop())
    raise AssertionError("the keeper does not end")


def test_a_keeper_ends_with_the_last_session_and_the_next_one_has_its_own() -> None:
    """A client that is used no more has no thread."""
    hand = Hand()
    client = hand.client()
    lock = hand.lock(client)
    hand.acquire(lock)
    hand.release(lock)
    keeper = client.keeper
    keep(hand, client)
    assert hand.sessions() == set()
    assert client.keeper is None
    hand.acquire(lock)
    assert client.keeper not in (None, keeper)


def test_the_keeper_of_a_client_that_was_dropped_keeps_no_idle_session() -> None:
    """Nobody can use it any more."""
    hand = Hand()
    client = hand.client()
    lock = hand.lock(client)
    hand.acquire(lock)
    hand.release(lock)
    client.dropped, begun = True, hand.world.now
    keep(hand, client)
    assert hand.world.now - begun < 5.0
    assert hand.sessions() == set()


def test_the_keeper_begins_the_undo_of_calls_that_were_left() -> None:
    """A second Ctrl-C may end the main thread's last call before it could."""
    hand = Hand()
    client = hand.client()
    hand.acquire(hand.lock(client))
    caught_up: list[float] = []
    hand.catch_up = lambda: caught_up.append(hand.world.now)  # type: ignore[method-assign] # looked at
    keeper = client.keeper.run()
    hand.drive(keeper, 60)
    keeper.close()
    assert len(caught_up) > 1
    assert max(b - a for a, b in pairwise(caught_up)) <= 10.0


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


def test_a_shared_session_that_cannot_be_destroyed_now_is_destroyed_later() -> None:
    """Its locks are told at once."""
    hand = Hand()
    client = hand.client()
    shared = SharedSession(client, terms.session_options())
    lock = hand.lock(client, shared=shared)
    hand.acquire(lock)
    assert lock.hold is not None
    hand.failures.extend([Unavailable("reset")] * 2)
    hand.run(shared.close())
    assert lock.hold.lost.is_set()
    assert hand.sessions() == client.pool.to_destroy.keys()
    hand.run(client.pool.sweep(hand.world.now))
    assert hand.sessions() == set()


def test_a_shared_session_whose_opening_was_cut_off_is_nobodys() -> None:
    """So it ends as an idle one does, instead of living as long as the client."""
    hand = Hand()
    client = hand.client()
    lock = hand.lock(client, shared=SharedSession(client, terms.session_options()))
    job = lock.acquire(True, None, "me")
    hand.until(job.flow, lambda request: "/session/renew/" in request.path)
    job.flow.close()
    assert job.undo is not None
    hand.run(job.undo())
    (session,) = client.pool.live.values()
    assert session.borrower is None


def two_crowded(hand: Hand) -> tuple[LockCore, LockCore]:
    """Two locks of one client; somebody waits for the first, and the second has been deleted."""
    client = hand.client()
    first, second = hand.lock(client), hand.lock(client, "jobs/other")
    hand.acquire(first)
    hand.acquire(second)
    operator(hand.world, f"/v1/kv/{BASE}", body=b"somebody waits")
    operator(hand.world, "/v1/kv/jobs/other/.lock", "DELETE")
    hand.world.advance(5.0)
    return first, second


def last_turn(hand: Hand, lock: LockCore) -> None:
    """One turn of the keeper."""
    keeper = Keeper(lock.client).run()
    hand.until(keeper, lambda request: request.path == f"/v1/kv/{BASE}")
    lock.client.begin_to_close()
    hand.run_from(keeper, Unavailable("reset"))


def test_a_line_that_cannot_be_read_leaves_no_other_lock_unjudged() -> None:
    """The keeper looks at many locks in one request, and reads their lines one by one."""
    hand = Hand()
    first, second = two_crowded(hand)
    last_turn(hand, first)
    assert first.hold is not None
    assert first.hold.state is State.HELD
    assert second.hold is not None
    assert second.hold.lost.is_set()


def test_one_time_out_is_all_that_reading_lines_costs_a_turn() -> None:
    """With many locks the renewals would come too late: each waits for its time-out."""
    hand = Hand()
    client = hand.client()
    locks = [hand.lock(client, f"{NAME}/{number}") for number in range(10)]
    for lock in locks:
        hand.acquire(lock)
        operator(hand.world, f"/v1/kv/{NAME}/{locks.index(lock)}/.queue", body=b"waits")
    hand.world.advance(5.0)
    keeper = Keeper(client).run()
    hand.until(keeper, lambda request: request.path.endswith("/.queue"))
    hand.sent.clear()
    hand.frozen_for = 3.0
    client.begin_to_close()
    hand.run_from(keeper, Unavailable("no answer came"))
    assert [request.path for request in hand.sent] == []


def test_a_token_for_the_keys_alone_is_enough_to_verify_them() -> None:
    """It may not read who waits; the loss of a key is seen all the same."""
    hand = Hand()
    first, second = two_crowded(hand)
    keeper = Keeper(first.client).run()
    verifying = hand.until(keeper, lambda request: "check-session" in verbs(request))
    first.client.begin_to_close()
    hand.run_failed(keeper, verifying, PermissionDenied("no"))
    assert second.hold is not None
    assert second.hold.lost.is_set()


@pytest.mark.parametrize("contended", [False, True])
def test_a_token_that_may_not_read_one_key_any_more_keeps_the_locks_on_others(
    contended: bool,
) -> None:
    """Consul denies a transaction as a whole, and all of a client are verified in one."""
    hand = Hand()
    client = hand.client()
    locks = [hand.lock(client, f"{NAME}/{number}") for number in range(3)]
    for lock in locks:
        hand.acquire(lock)
        assert lock.hold is not None
        lock.hold.contended = contended

    def denying(request: Request) -> tuple[int, bytes] | None:
        keys = [op["KV"]["Key"] for op in json.loads(request.body)] if verbs(request) else []
        denials = [
            {"OpIndex": place, "What": "Permission denied"}
            for place, key in enumerate(keys)
            if key.startswith(f"{NAME}/1/")
        ]
        return (409, json.dumps({"Results": None, "Errors": denials}).encode()) if denials else None

    before = [lock.hold.deadline() for lock in locks if lock.hold is not None]
    hand.instead = denying
    hand.world.advance(5.0)
    keeper = Keeper(client).run()
    begun = hand.until(keeper, lambda request: "check-session" in verbs(request))
    client.begin_to_close()
    hand.run_after(keeper, begun)
    after = [lock.hold.deadline() for lock in locks if lock.hold is not None]
    assert [new > old for new, old in zip(after, before, strict=True)] == [True, False, True]
    assert locks[0].hold is not None
    assert locks[0].hold.renewal_error is None
    assert locks[1].hold is not None
    assert isinstance(locks[1].hold.renewal_error, PermissionDenied)


def test_a_session_cut_off_while_created_is_found_though_the_borrower_has_another() -> None:
    """Two openings of a shared session at once: the second one's is known by its name alone."""
    hand = Hand()
    client = hand.client()
    shared = SharedSession(client, terms.session_options())
    late = shared.opened()
    hand.until(late.flow, lambda request: request.path == "/v1/session/create")
    hand.run(shared.opened())
    late.flow.close()
    assert len(client.pool.orphans) == 1
