"""Several locks at once: inside the process, with a shared session, and when one is lost."""

from __future__ import annotations

import pytest

from consul_lock._protocol.client.keeper import Keeper
from consul_lock._protocol.client.shared_session import SharedSession
from consul_lock._protocol.flow import Wait
from consul_lock._protocol.hold.state import State
from consul_lock._protocol.session import timing as terms
from consul_lock.errors import AlreadyHeld, LockLost, LossReason, Unavailable
from tests.unit.protocol.multilock_driver import (
    FEW,
    KEYS,
    MANY,
    A,
    B,
    C,
    Several,
    hold_of,
    locking,
    lose,
    releasing,
)

each_size = pytest.mark.parametrize("names", [FEW, MANY], ids=["few", "many"])
each_reason = pytest.mark.parametrize("reason", list(LossReason)[1:5], ids=lambda r: r.value)


# -- inside the process


def test_nobody_waits_for_what_it_holds_itself() -> None:
    """Neither a single one of the names, nor all of them, in either order."""
    hand = Several()
    client = hand.client()
    lock, plain = hand.multilock(client=client), hand.lock(client, B)
    hand.acquire(plain)
    with pytest.raises(AlreadyHeld):
        hand.acquire(lock)
    assert not hand.acquire(lock, timeout=0)
    hand.release(plain)
    hand.acquire(lock)
    for each in (lock, plain, hand.multilock(C, client=client)):
        with pytest.raises(AlreadyHeld):
            hand.acquire(each)
        assert not hand.acquire(each, timeout=0)


def test_those_who_want_the_same_names_queue_in_the_process() -> None:
    """Whatever order they name them in: one of them at a time asks Consul."""
    hand = Several()
    client = hand.client()
    lock, same = hand.multilock(A, B, client=client), hand.multilock(B, A, client=client)
    hand.acquire(lock)
    flow = same.acquire(True, None, "another").flow
    waiting, _ = hand.drive(flow, 0)
    assert isinstance(waiting, Wait)
    hand.release(lock)
    assert hand.run_after(flow, waiting)


def test_waiting_for_one_name_keeps_nobody_of_this_process_from_another() -> None:
    """Otherwise it would hold a place and wait for one, and those who nest locks would hang."""
    hand = Several()
    client = hand.client()
    hand.acquire(hand.lock(hand.client("b"), B))
    hand.queue_up(hand.multilock(client=client))
    assert hand.acquire(hand.lock(client, A), timeout=0, owner="another")
    assert hand.acquire(hand.multilock(C, client=client), timeout=0, owner="a third")


# -- losing one


@each_size
@each_reason
def test_the_keeper_sees_the_loss_of_any_of_them(
    names: tuple[str, ...], reason: LossReason
) -> None:
    """One is lost, so all are: the session ends, and with it the others."""
    hand = Several()
    told: list[LossReason] = []
    lock = hand.multilock(*names, on_lost=told.append)
    hand.acquire(lock)
    thief = lose(hand, lock, lock.keys[2], reason)
    hand.world.advance(4)
    hand.drive(Keeper(lock.client).run(), 40)
    assert told == [reason]
    assert hold_of(lock).state is State.LOST
    assert set(hand.held().values()) <= {thief, ""}
    with pytest.raises(LockLost) as caught:
        hand.release(lock)
    assert caught.value.reason is reason


@each_size
@each_reason
def test_the_release_finds_the_loss_of_any_of_them(
    names: tuple[str, ...], reason: LossReason
) -> None:
    """Nothing of others is deleted, and nothing of ours is left."""
    hand = Several()
    lock = hand.multilock(*names)
    hand.acquire(lock)
    thief = lose(hand, lock, lock.keys[-1], reason)
    with pytest.raises(LockLost) as caught:
        hand.release(lock)
    assert caught.value.reason is reason
    assert set(hand.held().values()) <= {thief, ""}
    assert (thief in hand.held().values()) is (thief is not None)


@each_size
def test_a_value_that_somebody_wrote_is_no_loss(names: tuple[str, ...]) -> None:
    """The key is still ours, and goes with the others."""
    hand = Several()
    lock = hand.multilock(*names)
    hand.acquire(lock)
    hand.put(KEYS[B], 0)
    hand.drive(Keeper(lock.client).run(), 40)
    assert hold_of(lock).state is State.HELD
    hand.release(lock)
    assert hand.held() == {}


def test_the_long_poll_is_about_the_first_key() -> None:
    """A read of it that shows us, or a read of all, is no loss."""
    hand = Several()
    lock = hand.multilock()
    hand.acquire(lock)
    hold = hold_of(lock)
    found = hand.run(lock.look(hold, 0, 0.0))
    assert hand.run(lock.examine(hold, found, None)) is None
    assert hand.run(lock.examine(hold, None, None)) is None
    hand.delete(KEYS[C])
    assert hand.run(lock.examine(hold, found, None)) is None
    assert hand.run(lock.examine(hold, None, None)) is LossReason.KEY_DELETED
    hand.delete(KEYS[A])
    found = hand.run(lock.look(hold, 0, 0.0))
    assert hand.run(lock.examine(hold, found, None)) is LossReason.KEY_DELETED
    hand.take(KEYS[A])
    found = hand.run(lock.look(hold, 0, 0.0))
    assert hand.run(lock.examine(hold, found, None)) is LossReason.STOLEN


def test_releasing_is_seen_by_everybody_at_one_moment() -> None:
    """There is one write that gives them back."""
    hand = Several()
    for names in (FEW, MANY):
        lock = hand.multilock(*names)
        hand.acquire(lock)
        hand.sent.clear()
        hand.release(lock)
        assert sum(map(releasing, hand.sent)) == 1


# -- a session that is shared with other locks


class Sharing:
    """Locks of one client and one session, which are one to Consul."""

    def __init__(self) -> None:
        self.hand = Several()
        self.client = self.hand.client()
        self.session = SharedSession(self.client, terms.session_options())
        self.several = self.hand.multilock(client=self.client, shared=self.session)
        self.overlapping = self.hand.multilock(C, B, client=self.client, shared=self.session)
        self.single = self.hand.lock(self.client, B, shared=self.session)
        self.beside = self.hand.lock(self.client, "beside", shared=self.session)


@pytest.mark.parametrize("first, second", [("several", "single"), ("several", "overlapping")])
@pytest.mark.parametrize("swapped", [False, True])
def test_those_who_share_a_session_exclude_each_other(
    first: str, second: str, swapped: bool
) -> None:
    """Consul would give the key to both, and one would release it for the other."""
    shared = Sharing()
    hand = shared.hand
    one, two = getattr(shared, first), getattr(shared, second)
    if swapped:
        one, two = two, one
    assert hand.acquire(one, owner="one")
    assert not hand.acquire(two, timeout=0, owner="two")
    assert not hand.acquire(two, timeout=3, owner="two")
    for key in one.keys if hasattr(one, "keys") else [one.key]:
        assert hand.held()[key] == hold_of(one).session.id
    hand.release(one, owner="one")
    assert hand.held() == {}
    assert hand.acquire(two, timeout=0, owner="two")
    hand.release(two, owner="two")
    assert hand.held() == {}
    assert not shared.client.local_queues._queues


def test_one_who_shares_the_session_waits_for_the_others_to_let_go() -> None:
    """It sees its own session on the key, and knows that this is somebody else's lock."""
    shared = Sharing()
    hand = shared.hand
    hand.acquire(shared.single, owner="one")
    flow, watching = hand.queue_up(shared.several)
    assert watching.path == f"/v1/kv/{KEYS[B]}"
    hand.when_blocked = lambda: hand.release(shared.single, owner="one")
    assert hand.run_after(flow, watching)
    assert hand.owned(shared.several)


def test_who_waits_with_a_shared_session_keeps_nobody_from_a_single_lock() -> None:
    """It is in the rooms of the single locks only while it writes, and when it has them."""
    shared = Sharing()
    hand = shared.hand
    other = hand.lock(hand.client("b"), C)
    hand.acquire(other)
    flow, watching = hand.queue_up(shared.several)
    assert hand.acquire(shared.single, timeout=0, owner="one")
    hand.when_blocked = lambda: hand.release(other)
    again = hand.until(flow, lambda request: request.wait > 0, after=watching)
    assert again.path == f"/v1/kv/{KEYS[B]}"
    hand.when_blocked = lambda: hand.release(shared.single, owner="one")
    assert hand.run_after(flow, again)


def test_who_shares_a_session_does_not_line_up_behind_those_who_wait_in_the_process() -> None:
    """The lock looks free in Consul: somebody of this process is about to take it."""
    shared = Sharing()
    hand = shared.hand
    contending = shared.single.acquire(True, None, "one").flow
    taking = hand.until(contending, lambda request: request.path == "/v1/txn")
    before = hand.world.now
    flow = shared.several.acquire(True, None, "me").flow
    hand.drive(flow, 6)
    assert hand.world.now > before
    assert not shared.several.client.local_queues._queues[KEYS[B]].waiting
    assert hand.run_after(contending, taking)
    assert not hand.acquire(shared.several, timeout=3, owner="another")
    hand.release(shared.single, owner="one")
    assert hand.acquire(shared.several, timeout=0, owner="another")


def test_after_an_unanswered_try_it_keeps_the_others_of_its_session_out() -> None:
    """A ghost of that try may come at any time, and would look like theirs."""
    shared = Sharing()
    hand = shared.hand
    flow = shared.several.acquire(True, None, "me").flow
    ghost = hand.until(flow, locking)
    other = hand.lock(hand.client("b"), C)
    hand.acquire(other)
    effect = flow.throw(Unavailable("no answer came"))
    watching = hand.until(flow, lambda request: request.wait > 0, after=effect)
    assert not hand.acquire(shared.single, timeout=0, owner="one")
    hand.release(other)
    hand.world.submit(ghost)
    assert hand.run_after(flow, watching)
    assert hand.owned(shared.several)
    hand.release(shared.several)
    assert hand.held() == {}


def test_who_is_cut_off_takes_nothing_from_those_who_share_its_session() -> None:
    """It has asked for all once, in vain; by now they are another lock's of this process."""
    shared = Sharing()
    hand = shared.hand
    other = hand.lock(hand.client("b"), C)
    hand.acquire(other)
    job = shared.several.acquire(True, None, "me")
    watching = hand.until(job.flow, lambda request: request.wait > 0)
    hand.release(other)
    same = hand.multilock(client=shared.client, shared=shared.session)
    assert hand.acquire(same, timeout=0, owner="another")
    again = hand.until(job.flow, lambda request: request.wait > 0, after=watching)
    assert again.path == f"/v1/kv/{KEYS[C]}"
    job.flow.close()
    assert job.undo is not None
    hand.run(job.undo())
    assert hand.owned(same)
    assert hold_of(same).counts(hand.world.now)


@each_reason
@pytest.mark.parametrize("found_by", ["keeper", "release"])
def test_a_loss_with_a_shared_session_leaves_no_key_behind(
    found_by: str, reason: LossReason
) -> None:
    """The other keys would stay with the session for as long as that lives."""
    shared = Sharing()
    hand = shared.hand
    hand.acquire(shared.several)
    hand.acquire(shared.beside)
    thief = lose(hand, shared.several, KEYS[B], reason)
    hand.world.advance(4)
    if found_by == "keeper":
        hand.drive(Keeper(shared.client).run(), 40)
    with pytest.raises(LockLost) as caught:
        hand.release(shared.several)
    assert caught.value.reason is reason
    hand.run(shared.client.pool.sweep(hand.world.now))
    assert set(hand.held().values()) <= {thief, ""}
    assert hold_of(shared.beside).reason is LossReason.SESSION_INVALID
    if thief:
        hand.destroy(thief)
    hand.delete(KEYS[B])
    assert hand.acquire(shared.several, timeout=60)
