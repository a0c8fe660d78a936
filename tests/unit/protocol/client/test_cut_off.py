"""What a call leaves of its client, and to the others of the process, when the exception of a
signal handler strikes between any two of its lines."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import pytest

from consul_lock._protocol.client.keeper import Keeper
from consul_lock._protocol.client.shared_session import SharedSession
from consul_lock._protocol.consul.operations import Op
from consul_lock._protocol.flow import Flow, Job, Wait
from consul_lock._protocol.hold.state import State
from consul_lock._protocol.keys import keys_of_name
from consul_lock._protocol.lock.lock import LockCore
from consul_lock._protocol.lock.rlock import RLockCore
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.session.timing import session_options
from consul_lock.errors import LockLost, LossReason, NotHeld
from tests.support.effort import scaled
from tests.support.world_operator import operator
from tests.unit.protocol.cut_points import strikes
from tests.unit.protocol.fake_driver import NAME, FakeDriver, hold_of


class Scene(NamedTuple):
    """A driver, a flow about to be performed by it, and somebody else of the process."""

    driver: FakeDriver
    lock: LockCore
    job: Job
    other: LockCore
    heard: list[LossReason]
    """What the other's ``on_lost`` was called with."""
    waiting: tuple[Flow[Any], Wait] | None = None
    """An acquire of another owner that waits in the local queue."""


def _undo(scene: Scene) -> None:
    scene.job.flow.close()
    if scene.job.undo is not None:
        scene.driver.run(scene.job.undo())


def _keep(scene: Scene) -> None:
    """A few turns of the keeper, long before any deadline."""
    keeper = Keeper(scene.lock.client)
    begun = scene.driver.world.now
    scene.lock.client.keeper = keeper
    flow = keeper.run()
    with suppress(StopIteration):
        effect = next(flow)
        while scene.driver.world.now < begun + 5.0:
            effect = flow.send(scene.driver.perform(effect))
    flow.close()


# -- others that share the session ----------------------------------------------------------------


def _two_of_one_session() -> Scene:
    """This caller and another one hold a lock each, with one session."""
    driver, heard = FakeDriver(), list[LossReason]()
    client = driver.client()
    session = SharedSession(client, session_options())
    lock = driver.lock(client, shared=session)
    other = driver.lock(client, "beside", shared=session, on_lost=heard.append)
    driver.acquire(lock)
    driver.acquire(other, owner="you")
    assert not hold_of(other).lost.is_set()  # somebody waits for it
    return Scene(driver, lock, lock.release("me"), other, heard)


def _destroy(scene: Scene) -> Scene:
    for session in scene.driver.sessions():
        operator(scene.driver.world, f"/v1/session/destroy/{session}")
    return scene


def release_as_the_session_is_dead() -> Scene:
    return _destroy(_two_of_one_session())


def acquire_as_the_session_is_dead() -> Scene:
    scene = release_as_the_session_is_dead()
    third = scene.driver.lock(scene.lock.client, "third", shared=scene.lock.shared)
    return scene._replace(job=third.acquire(True, None, "me"))


def guard_as_the_session_is_dead() -> Scene:
    """This call has no undo."""
    scene = release_as_the_session_is_dead()
    now, owner = scene.driver.world.now, "you"
    return scene._replace(job=scene.other.guard([Op.set("x", "1")], now, owner))


def end_of_the_session() -> Scene:
    scene = _two_of_one_session()
    assert scene.lock.shared is not None
    return scene._replace(job=scene.lock.shared.close())


@pytest.mark.parametrize(
    "build",
    [
        release_as_the_session_is_dead,
        acquire_as_the_session_is_dead,
        guard_as_the_session_is_dead,
        end_of_the_session,
    ],
)
def test_a_loss_that_a_call_was_about_to_report_is_reported(build: Callable[[], Scene]) -> None:
    """To the holders of other locks of a shared session: by the keeper, a second later."""
    for scene, where in strikes(build, scaled(150)):
        _undo(scene)
        _keep(scene)
        hold = hold_of(scene.other)
        if build is end_of_the_session and hold.session.id in scene.driver.sessions():
            assert hold.counts(scene.driver.world.now), where  # it was struck at its very beginning
            continue
        assert hold.lost.is_set(), where
        assert hold.reason is LossReason.SESSION_INVALID, where
        assert scene.heard == [hold.reason], where
        assert not [each for each in scene.lock.client.holds if each is hold], where
        assert "beside/.lock" not in scene.lock.client.local_queues._queues, where
        assert hold.session.id not in scene.driver.sessions(), where


# -- others in the local queue ---------------------------------------------------------------------


def release_before_another_owner() -> Scene:
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    flow = lock.acquire(True, None, "you").flow
    effect, _ = driver._drive(flow, lambda effect: isinstance(effect, Wait))
    return Scene(driver, lock, lock.release("me"), lock, [], (flow, effect))


def test_who_waits_behind_a_release_that_was_struck_is_admitted() -> None:
    """Its signal is set, and it gets the lock."""
    for scene, where in strikes(release_before_another_owner, scaled(150)):
        _undo(scene)
        assert scene.waiting is not None
        flow, wait = scene.waiting
        assert wait.signal.is_set(), where
        assert scene.driver.run_after(flow, wait), where
        scene.driver.release(scene.lock, "you")
        assert (len(scene.lock.client.holds), scene.lock.client.local_queues._queues) == (0, {})


# -- what runs beside the callers ------------------------------------------------------------------


def first_acquire() -> Scene:
    driver = FakeDriver()
    lock = driver.lock()
    return Scene(driver, lock, lock.acquire(True, None, "me"), lock, [])


def first_acquire_with_a_heartbeat() -> Scene:
    driver = FakeDriver()
    client = driver.client()
    lock = LockCore(client, keys_of_name(NAME), Settings(session_options(heartbeat=3.0)))
    return Scene(driver, lock, lock.acquire(True, None, "me"), lock, [])


@pytest.mark.parametrize("build", [first_acquire, first_acquire_with_a_heartbeat])
def test_what_a_client_needs_runs_after_an_acquire_that_was_struck(
    build: Callable[[], Scene],
) -> None:
    """A keeper that knows of the session, a watchdog, and a heartbeat if it has one."""
    needed = {"Keeper.run", "Watchdog.run"}
    if build is first_acquire_with_a_heartbeat:
        needed.add("Heartbeats._live")
    for scene, where in strikes(build, scaled(150)):
        _undo(scene)
        assert scene.driver.acquire(scene.lock), where
        run = {flow.__qualname__ for flow in scene.driver.spawned}
        assert needed <= run, where
        session = hold_of(scene.lock).session
        planned = [entry for entry in scene.lock.client.pool._renewals if entry[2] is session]
        assert [entry for entry in planned if entry[0] == session.next_renewal], where


# -- blocks, and who enters again ------------------------------------------------------------------


def leaving_a_block() -> Scene:
    scene = first_acquire()
    scene.driver.run(scene.lock.enter(None, "me"))
    return scene._replace(job=scene.lock.leave("me", None))


def leaving_a_block_with_an_exception() -> Scene:
    scene = first_acquire()
    scene.driver.run(scene.lock.enter(None, "me"))
    return scene._replace(job=scene.lock.leave("me", ValueError()))


def entering_a_block() -> Scene:
    scene = first_acquire()
    return scene._replace(job=scene.lock.enter(None, "me"))


def giving_back() -> Scene:
    scene = first_acquire()
    scene.driver.acquire(scene.lock)
    return scene._replace(job=scene.lock.release("me"))


def rlock() -> Scene:
    driver = FakeDriver()
    lock = RLockCore(driver.client(), keys_of_name(NAME), Settings(session_options()))
    return Scene(driver, lock, lock.enter(None, "me"), lock, [])


def leaving_the_block_of_an_rlock() -> Scene:
    scene = rlock()
    scene.driver.run(scene.job)
    return scene._replace(job=scene.lock.leave("me", None))


@pytest.mark.parametrize(
    "build",
    [
        leaving_a_block,
        leaving_a_block_with_an_exception,
        entering_a_block,
        giving_back,
        rlock,
        leaving_the_block_of_an_rlock,
    ],
)
def test_a_block_that_was_struck_at_its_end_holds_nothing_any_more(
    build: Callable[[], Scene],
) -> None:
    """Nobody would release it once more: neither a ``with``, nor a ``finally``."""
    for scene, where in strikes(build, scaled(150)):
        driver, lock, client = scene.driver, scene.lock, scene.lock.client
        _undo(scene)
        with pytest.raises(NotHeld):
            driver.release(lock)
        assert (len(client.holds), client.local_queues._queues) == (0, {}), where
        assert lock.owners._blocks == [], where
        assert not driver.held(), where
        assert not [s for s in client.pool.live.values() if s.borrower is not None], where


def entering_an_rlock_again() -> Scene:
    scene = rlock()
    scene.driver.run(scene.job)
    return scene._replace(job=scene.lock.enter(None, "me"))


def leaving_an_inner_block_of_an_rlock() -> Scene:
    scene = entering_an_rlock_again()
    scene.driver.run(scene.job)
    return scene._replace(job=scene.lock.leave("me", None))


@pytest.mark.parametrize("build", [entering_an_rlock_again, leaving_an_inner_block_of_an_rlock])
def test_an_inner_block_that_was_struck_leaves_the_outer_one_alone(
    build: Callable[[], Scene],
) -> None:
    """It is held as often as before, or once less."""
    for scene, where in strikes(build, scaled(150)):
        _undo(scene)
        assert isinstance(scene.lock, RLockCore)
        assert scene.lock.count("me") == 1, where
        scene.driver.run(scene.lock.leave("me", None))
        assert not scene.driver.held(), where


def test_a_release_that_was_refused_releases_nothing_that_others_have_acquired_since() -> None:
    """Its caller has heard that nothing is held: its clean-up does not look once more."""
    scene = first_acquire()
    job = scene.lock.release("me")
    with pytest.raises(NotHeld):
        scene.driver.run(job)
    scene.driver.acquire(scene.lock, owner="you")
    assert job.undo is not None
    scene.driver.run(job.undo())
    assert hold_of(scene.lock).state is State.HELD


def test_the_release_of_a_lost_lock_releases_nothing_that_others_have_acquired_since() -> None:
    """Its caller has heard of the loss, and that is all there is to it."""
    scene = _destroy(giving_back())
    with pytest.raises(LockLost):
        scene.driver.run(scene.job)
    scene.driver.world.advance(60.0)
    scene.driver.acquire(scene.lock, owner="you")
    assert scene.job.undo is not None
    scene.driver.run(scene.job.undo())
    assert hold_of(scene.lock).state is State.HELD
