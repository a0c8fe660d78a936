"""The keeper: what a renewal and a verification prove, what it reports, when it ends."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.client.keeper import Keeper
from consul_lock._protocol.flow import Batch, Flow, Request, Wait
from consul_lock._protocol.hold.state import State
from consul_lock._protocol.keys import keys_of_name
from consul_lock._protocol.lock.lock import LockCore
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.session.timing import session_options
from consul_lock.errors import LockLost, LossReason, PermissionDenied, Unavailable
from tests.simulation.foreign_lock_client import operator
from tests.unit.protocol.fake_driver import NAME, NEVER, Hand, hold_of, verbs

BASE = f"{NAME}/.queue"


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


def kept(hand: Hand) -> tuple[LockCore, Flow[None], Batch]:
    """A lock that is held, and its keeper about to renew."""
    lock = hand.lock()
    hand.acquire(lock)
    flow = Keeper(lock.client).run()
    return lock, flow, hand.until(flow, lambda request: "/session/renew/" in request.path)


def renew(hand: Hand, flow: Flow[None], asking: Batch, answer: Exception | None) -> Batch:
    """All of a batch is answered with an error, or well; the next batch."""
    if answer is None:
        effect = hand.go_on(flow, asking)
    else:
        effect = flow.send((answer,) * len(asking.requests))
    if isinstance(effect, Request | Batch):
        return effect  # type: ignore[return-value] # the keeper sends batches
    return hand.until(flow, lambda request: "/session/renew/" in request.path, after=effect)


def test_the_keeper_goes_on_after_what_nobody_foresaw() -> None:
    """Whether it comes with an answer, or out of the keeper itself."""
    hand = Hand()
    lock, flow, asking = kept(hand)
    asking = renew(hand, flow, asking, ValueError("1, 1"))
    asking = hand.until(
        flow,
        lambda request: "/session/renew/" in request.path,
        after=flow.throw(ZeroDivisionError()),
    )
    renew(hand, flow, asking, None)
    assert hold_of(lock).state is State.HELD
    assert hold_of(lock).deadline() > 30.0
    events = [(warning.event, type(warning.error)) for warning in hand.warnings]
    assert ("keeper-error", ValueError) in events
    assert ("keeper-error", ZeroDivisionError) in events


def test_one_warning_when_renewals_begin_to_fail_and_one_when_they_work_again() -> None:
    """However often they are tried meanwhile."""
    hand = Hand()
    lock, flow, asking = kept(hand)
    for error in (Unavailable("refused"), PermissionDenied("ACL not found"), Unavailable("no")):
        asking = renew(hand, flow, asking, error)
    assert hold_of(lock).renewal_error is not None
    asking = renew(hand, flow, asking, None)
    assert hold_of(lock).renewal_error is None
    renew(hand, flow, asking, None)
    assert [warning.event for warning in hand.warnings] == ["renewal-failing", "renewal-works"]
    assert "refused" in hand.warnings[0].text


def test_the_loss_says_what_renewals_failed_with() -> None:
    """In its text, as a field, and to those functions that want it."""
    told = list[tuple[LossReason, LockLost]]()

    def on_lost(reason: LossReason, error: LockLost) -> None:
        told.append((reason, error))

    hand = Hand()
    lock = hand.lock(on_lost=on_lost)
    hand.acquire(lock)
    flow = Keeper(lock.client).run()
    asking = hand.until(flow, lambda request: "/session/renew/" in request.path)
    renew(hand, flow, asking, PermissionDenied("403 ACL not found"))
    hand.run(lock.client.lose(hold_of(lock), LossReason.DEADLINE))
    [(reason, error)] = told
    assert reason is LossReason.DEADLINE
    assert isinstance(error.last_error, PermissionDenied)
    assert "403 ACL not found" in str(error)
    assert str(lock.lost_error(hold_of(lock))) == str(error)


def test_while_consul_is_away_one_renewal_a_try_is_sent_and_then_all() -> None:
    """Two thousand sessions would be eight thousand connections a second."""
    hand = Hand()
    client = hand.client()
    locks = [hand.lock(client, f"{NAME}/{number}") for number in range(20)]
    for lock in locks:
        hand.acquire(lock)
    flow = Keeper(client).run()
    asking = hand.until(flow, lambda request: "/session/renew/" in request.path)
    assert len(asking.requests) > 20
    for _ in range(5):
        asking = renew(hand, flow, asking, Unavailable("refused"))
        assert len(asking.requests) == 2
    asking = renew(hand, flow, asking, None)
    assert len(asking.requests) > 19


def test_many_renewals_and_verifications_are_few_requests() -> None:
    """A renewal each, and a verification for 32 locks: a proof and a look at the queue each."""
    hand = Hand()
    client = hand.client()
    for number in range(100):
        hand.acquire(hand.lock(client, f"{NAME}/{number}"))
    flow = Keeper(client).run()
    asking = hand.until(flow, lambda request: "/session/renew/" in request.path)
    renewals = [r for r in asking.requests if "/session/renew/" in r.path]
    assert len(renewals) == 100
    assert len(asking.requests) - len(renewals) == 4


def keeping(hand: Hand, **asked: float) -> tuple[LockCore, float, Flow[None], Batch]:
    """A lock that is held, its deadline, and the keeper about to renew and to verify."""
    lock = LockCore(hand.client(), keys_of_name(NAME), Settings(session_options(**asked)))
    hand.acquire(lock)
    assert lock.hold is not None
    flow = Keeper(lock.client).run()
    asking = hand.until(flow, lambda request: "/session/renew/" in request.path)
    _, proof = asking.requests
    assert verbs(proof)[0] == "check-session"
    assert ("consistent", "") in proof.params
    return lock, lock.hold.deadline(), flow, asking


def end_turn(hand: Hand, flow: Flow[None], effect: Any) -> None:
    """Let the keeper go on until it waits."""
    while not isinstance(effect, Wait):
        effect = hand.go_on(flow, effect)


def test_a_renewal_is_no_proof() -> None:
    """A leader that was deposed without knowing it yet answers one with 200."""
    for lock_delay in (30.0, 0.0):
        hand = Hand()
        lock, before, flow, asking = keeping(hand, lock_delay=lock_delay)
        hand.failures.extend([None, Unavailable("no answer")])
        end_turn(hand, flow, hand.go_on(flow, asking))
        assert lock.hold is not None
        assert lock.hold.deadline() == before


def test_a_verification_proves_life_at_its_sending_not_at_its_answer() -> None:
    """The session may have died while the answer was on its way."""
    hand = Hand()
    lock, _, flow, asking = keeping(hand)
    sent = hand.world.now
    answers = hand.perform(asking)
    hand.world.advance(3.0)
    end_turn(hand, flow, flow.send(answers))
    assert lock.hold is not None
    assert lock.hold.deadline() == pytest.approx(sent + 30.0 - 1.5)


def test_without_a_lock_delay_the_renewal_counts_that_a_verification_confirms() -> None:
    """From its sending."""
    hand = Hand()
    lock, _, flow, asking = keeping(hand, lock_delay=0.0)
    sent = hand.world.now
    end_turn(hand, flow, hand.go_on(flow, asking))
    assert lock.hold is not None
    assert lock.hold.deadline() == pytest.approx(sent + 10.0 - 0.5)
