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
    MultiLockDriver,
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
    driver = MultiLockDriver()
    client = driver.client()
    lock, plain = driver.multilock(client=client), driver.lock(client, B)
    driver.acquire(plain)
    with pytest.raises(AlreadyHeld):
        driver.acquire(lock)
    assert not driver.acquire(lock, timeout=0)
    driver.release(plain)
    driver.acquire(lock)
    for each in (lock, plain, driver.multilock(C, client=client)):
        with pytest.raises(AlreadyHeld):
            driver.acquire(each)
        assert not driver.acquire(each, timeout=0)


def test_those_who_want_the_same_names_queue_in_the_process() -> None:
    """Whatever order they name them in: one of them at a time asks Consul."""
    driver = MultiLockDriver()
    client = driver.client()
    lock, same = driver.multilock(A, B, client=client), driver.multilock(B, A, client=client)
    driver.acquire(lock)
    flow = same.acquire(True, None, "another").flow
    waiting, _ = driver.drive(flow, 0)
    assert isinstance(waiting, Wait)
    driver.release(lock)
    assert driver.run_after(flow, waiting)


def test_waiting_for_one_name_keeps_nobody_of_this_process_from_another() -> None:
    """Otherwise it would hold a place and wait for one, and those who nest locks would hang."""
    driver = MultiLockDriver()
    client = driver.client()
    driver.acquire(driver.lock(driver.client("b"), B))
    driver.queue_up(driver.multilock(client=client))
    assert driver.acquire(driver.lock(client, A), timeout=0, owner="another")
    assert driver.acquire(driver.multilock(C, client=client), timeout=0, owner="a third")


# -- losing one


@each_size
@each_reason
def test_the_keeper_sees_the_loss_of_any_of_them(
    names: tuple[str, ...], reason: LossReason
) -> None:
    """One is lost, so all are: the session ends, and with it the others."""
    driver = MultiLockDriver()
    told: list[LossReason] = []
    lock = driver.multilock(*names, on_lost=told.append)
    driver.acquire(lock)
    thief = lose(driver, lock, lock.keys[2], reason)
    driver.world.advance(4)
    driver.drive(Keeper(lock.client).run(), 40)
    assert told == [reason]
    assert hold_of(lock).state is State.LOST
    assert set(driver.held().values()) <= {thief, ""}
    with pytest.raises(LockLost) as caught:
        driver.release(lock)
    assert caught.value.reason is reason


@each_size
@each_reason
def test_the_release_finds_the_loss_of_any_of_them(
    names: tuple[str, ...], reason: LossReason
) -> None:
    """Nothing of others is deleted, and nothing of ours is left."""
    driver = MultiLockDriver()
    lock = driver.multilock(*names)
    driver.acquire(lock)
    thief = lose(driver, lock, lock.keys[-1], reason)
    with pytest.raises(LockLost) as caught:
        driver.release(lock)
    assert caught.value.reason is reason
    assert set(driver.held().values()) <= {thief, ""}
    assert (thief in driver.held().values()) is (thief is not None)


@each_size
def test_a_value_that_somebody_wrote_is_no_loss(names: tuple[str, ...]) -> None:
    """The key is still ours, and goes with the others."""
    driver = MultiLockDriver()
    lock = driver.multilock(*names)
    driver.acquire(lock)
    driver.put(KEYS[B], 0)
    driver.drive(Keeper(lock.client).run(), 40)
    assert hold_of(lock).state is State.HELD
    driver.release(lock)
    assert driver.held() == {}


def test_the_long_poll_is_about_the_first_key() -> None:
    """A read of it that shows us, or a read of all, is no loss."""
    driver = MultiLockDriver()
    lock = driver.multilock()
    driver.acquire(lock)
    hold = hold_of(lock)
    found = driver.run(lock.look(hold, 0, 0.0))
    assert driver.run(lock.examine(hold, found, None)) is None
    assert driver.run(lock.examine(hold, None, None)) is None
    driver.delete(KEYS[C])
    assert driver.run(lock.examine(hold, found, None)) is None
    assert driver.run(lock.examine(hold, None, None)) is LossReason.KEY_DELETED
    driver.delete(KEYS[A])
    found = driver.run(lock.look(hold, 0, 0.0))
    assert driver.run(lock.examine(hold, found, None)) is LossReason.KEY_DELETED
    driver.take(KEYS[A])
    found = driver.run(lock.look(hold, 0, 0.0))
    assert driver.run(lock.examine(hold, found, None)) is LossReason.STOLEN


def test_releasing_is_seen_by_everybody_at_one_moment() -> None:
    """There is one write that gives them back."""
    driver = MultiLockDriver()
    for names in (FEW, MANY):
        lock = driver.multilock(*names)
        driver.acquire(lock)
        driver.sent.clear()
        driver.release(lock)
        assert sum(map(releasing, driver.sent)) == 1


# -- a session that is shared with other locks


class Sharing:
    """Locks of one client and one session, which are one to Consul."""

    def __init__(self) -> None:
        self.driver = MultiLockDriver()
        self.client = self.driver.client()
        self.session = SharedSession(self.client, terms.session_options())
        self.several = self.driver.multilock(client=self.client, shared=self.session)
        self.overlapping = self.driver.multilock(C, B, client=self.client, shared=self.session)
        self.single = self.driver.lock(self.client, B, shared=self.session)
        self.beside = self.driver.lock(self.client, "beside", shared=self.session)


@pytest.mark.parametrize("first, second", [("several", "single"), ("several", "overlapping")])
@pytest.mark.parametrize("swapped", [False, True])
def test_those_who_share_a_session_exclude_each_other(
    first: str, second: str, swapped: bool
) -> None:
    """Consul would give the key to both, and one would release it for the other."""
    shared = Sharing()
    driver = shared.driver
    one, two = getattr(shared, first), getattr(shared, second)
    if swapped:
        one, two = two, one
    assert driver.acquire(one, owner="one")
    assert not driver.acquire(two, timeout=0, owner="two")
    assert not driver.acquire(two, timeout=3, owner="two")
    for key in one.keys if hasattr(one, "keys") else [one.key]:
        assert driver.held()[key] == hold_of(one).session.id
    driver.release(one, owner="one")
    assert driver.held() == {}
    assert driver.acquire(two, timeout=0, owner="two")
    driver.release(two, owner="two")
    assert driver.held() == {}
    assert not shared.client.local_queues._queues


def test_one_who_shares_the_session_waits_for_the_others_to_let_go() -> None:
    """It sees its own session on the key, and knows that this is somebody else's lock."""
    shared = Sharing()
    driver = shared.driver
    driver.acquire(shared.single, owner="one")
    flow, watching = driver.queue_up(shared.several)
    assert watching.path == f"/v1/kv/{KEYS[B]}"
    driver.when_blocked = lambda: driver.release(shared.single, owner="one")
    assert driver.run_after(flow, watching)
    assert driver.owned(shared.several)


def test_who_waits_with_a_shared_session_keeps_nobody_from_a_single_lock() -> None:
    """It is in the rooms of the single locks only while it writes, and when it has them."""
    shared = Sharing()
    driver = shared.driver
    other = driver.lock(driver.client("b"), C)
    driver.acquire(other)
    flow, watching = driver.queue_up(shared.several)
    assert driver.acquire(shared.single, timeout=0, owner="one")
    driver.when_blocked = lambda: driver.release(other)
    again = driver.until(flow, lambda request: request.wait > 0, after=watching)
    assert again.path == f"/v1/kv/{KEYS[B]}"
    driver.when_blocked = lambda: driver.release(shared.single, owner="one")
    assert driver.run_after(flow, again)


def test_who_shares_a_session_does_not_line_up_behind_those_who_wait_in_the_process() -> None:
    """The lock looks free in Consul: somebody of this process is about to take it."""
    shared = Sharing()
    driver = shared.driver
    contending = shared.single.acquire(True, None, "one").flow
    taking = driver.until(contending, lambda request: request.path == "/v1/txn")
    before = driver.world.now
    flow = shared.several.acquire(True, None, "me").flow
    driver.drive(flow, 6)
    assert driver.world.now > before
    assert not shared.several.client.local_queues._queues[KEYS[B]].waiting
    assert driver.run_after(contending, taking)
    assert not driver.acquire(shared.several, timeout=3, owner="another")
    driver.release(shared.single, owner="one")
    assert driver.acquire(shared.several, timeout=0, owner="another")


def test_after_an_unanswered_try_it_keeps_the_others_of_its_session_out() -> None:
    """A ghost of that try may come at any time, and would look like theirs."""
    shared = Sharing()
    driver = shared.driver
    flow = shared.several.acquire(True, None, "me").flow
    ghost = driver.until(flow, locking)
    other = driver.lock(driver.client("b"), C)
    driver.acquire(other)
    effect = flow.throw(Unavailable("no answer came"))
    watching = driver.until(flow, lambda request: request.wait > 0, after=effect)
    assert not driver.acquire(shared.single, timeout=0, owner="one")
    driver.release(other)
    driver.world.submit(ghost)
    assert driver.run_after(flow, watching)
    assert driver.owned(shared.several)
    driver.release(shared.several)
    assert driver.held() == {}


def test_who_is_cut_off_takes_nothing_from_those_who_share_its_session() -> None:
    """It has asked for all once, in vain; by now they are another lock's of this process."""
    shared = Sharing()
    driver = shared.driver
    other = driver.lock(driver.client("b"), C)
    driver.acquire(other)
    job = shared.several.acquire(True, None, "me")
    watching = driver.until(job.flow, lambda request: request.wait > 0)
    driver.release(other)
    same = driver.multilock(client=shared.client, shared=shared.session)
    assert driver.acquire(same, timeout=0, owner="another")
    again = driver.until(job.flow, lambda request: request.wait > 0, after=watching)
    assert again.path == f"/v1/kv/{KEYS[C]}"
    job.flow.close()
    assert job.undo is not None
    driver.run(job.undo())
    assert driver.owned(same)
    assert hold_of(same).counts(driver.world.now)


@each_reason
@pytest.mark.parametrize("found_by", ["keeper", "release"])
def test_a_loss_with_a_shared_session_leaves_no_key_behind(
    found_by: str, reason: LossReason
) -> None:
    """The other keys would stay with the session for as long as that lives."""
    shared = Sharing()
    driver = shared.driver
    driver.acquire(shared.several)
    driver.acquire(shared.beside)
    thief = lose(driver, shared.several, KEYS[B], reason)
    driver.world.advance(4)
    if found_by == "keeper":
        driver.drive(Keeper(shared.client).run(), 40)
    with pytest.raises(LockLost) as caught:
        driver.release(shared.several)
    assert caught.value.reason is reason
    driver.run(shared.client.pool.sweep(driver.world.now))
    assert set(driver.held().values()) <= {thief, ""}
    assert hold_of(shared.beside).reason is LossReason.SESSION_INVALID
    if thief:
        driver.destroy(thief)
    driver.delete(KEYS[B])
    assert driver.acquire(shared.several, timeout=60)
