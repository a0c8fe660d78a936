"""The map of owners: whose hold is whose, and what is forgotten when."""

from __future__ import annotations

import weakref
from typing import Any, cast

import pytest

from consul_lock._protocol.flow import Wait
from consul_lock._protocol.hold.hold import Hold
from consul_lock._protocol.hold.owners import Owners
from consul_lock._protocol.hold.state import State
from consul_lock.errors import LockLost, LossReason, NotHeld
from tests.support.world_operator import operator
from tests.unit.protocol.fake_driver import FakeDriver
from tests.unit.protocol.weighted_driver import WeightedDriver


class Thread:
    """Something that can be referred to weakly, as threads and tasks can."""


class Stub:
    """A hold, as far as the map is concerned."""

    def __init__(self, owner: Any, state: State = State.HELD) -> None:
        self.owner, self.state, self.reason, self.told = owner, state, None, False

    @property
    def over(self) -> bool:
        return self.told or self.state in (State.RELEASING, State.RELEASED)


def granted(owners: Owners, owner: Any) -> Hold:
    made = cast("Hold", Stub(owner))
    owners.add(made)
    return made


def test_owners_that_have_ended_and_holds_that_are_over_are_forgotten() -> None:
    """A lock of a module, used by a hundred thousand tasks of a server, does not grow."""
    owners, sizes, lasting = Owners(), list[int](), Thread()
    kept = granted(owners, weakref.ref(lasting))
    for _ in range(20_000):
        task = Thread()
        granted(owners, weakref.ref(task)).state = State.RELEASED
        sizes.append(len(owners._of) + len(owners._granted))
    assert max(sizes) < 100
    assert owners.own(weakref.ref(lasting)) is kept
    assert owners.oldest() is kept


def test_an_owner_that_never_asks_for_its_losses_does_not_grow() -> None:
    """It acquires again and again, and releases nothing."""
    owners, task = Owners(), Thread()
    for _ in range(1_000):
        granted(owners, weakref.ref(task)).state = State.LOST
    (holds,) = owners._of.values()
    assert len(holds) < 200
    assert len(owners._granted) < 500


def test_the_map_keeps_no_owner_alive() -> None:
    """Not even one that holds something: a thread may end, and another one release it."""
    owners, task = Owners(), Thread()
    reference = weakref.ref(task)
    hold = granted(owners, reference)
    del task
    assert reference() is None
    for _ in range(200):
        other = Thread()
        granted(owners, weakref.ref(other)).state = State.RELEASED
    assert owners.released_by("anybody") is hold


def test_the_loss_of_one_is_not_the_hold_of_the_next_in_the_same_object() -> None:
    """Neither by the keeper's finding it, nor before anybody has noticed."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    assert lock.hold is not None
    token = lock.hold.token
    operator(driver.world, f"/v1/session/destroy/{lock.hold.session.id}")
    driver.run(lock.client.lose_session(lock.hold.session))
    driver.world.advance(31.0)
    assert driver.acquire(lock, owner="you")
    now = driver.world.now
    assert lock.ensure(now, "you").token > token
    with pytest.raises(LockLost):
        lock.ensure(now, "me")
    with pytest.raises(LockLost):
        lock.guard([], now, "me")
    with pytest.raises(LockLost):
        driver.release(lock)
    with pytest.raises(NotHeld):
        lock.ensure(now, "me")
    driver.run(lock.client.lose(lock.ensure(now, "you"), LossReason.STOLEN))


def test_the_dispatcher_of_a_semaphore_waits_for_its_workers() -> None:
    """Inside the process: what it holds itself is released by somebody else."""
    driver = WeightedDriver()
    slots = driver.semaphore()
    for _ in range(2):
        assert driver.run(slots.acquire(True, None, "dispatcher"))
    job = slots.acquire(True, None, "dispatcher")
    effect, _ = driver.drive(job.flow, 0)
    assert isinstance(effect, Wait)
    driver.run(slots.release("worker"))
    assert driver.run_after(job.flow, effect) is True
    for _ in range(2):
        driver.run(slots.release("worker"))
    with pytest.raises(NotHeld):
        driver.run(slots.release("worker"))
    assert driver.documents() == {} or driver.holders_in_documents() == {"slots/.lock": set()}
