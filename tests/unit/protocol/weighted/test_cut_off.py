"""Semaphores, read/write and tree locks, cut off at every single point: nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from consul_lock._protocol.flow import Request
from consul_lock._protocol.weighted.engine import WeightedCore
from consul_lock._protocol.weighted.rwlock import SideCore
from consul_lock._protocol.weighted.semaphore import SemaphoreCore
from tests.simulation.flow_process import Cancelled
from tests.support.effort import scaled
from tests.support.world_operator import operator
from tests.unit.protocol.cut_points import FATES, cuts, strikes
from tests.unit.protocol.fake_driver import waits
from tests.unit.protocol.weighted_driver import (
    BESIDE,
    Scene,
    WeightedDriver,
    acquire,
    acquire_after_a_dead_one,
    acquire_after_no_answer,
    acquire_after_waiting,
    acquire_again,
    acquire_that_gives_up,
    release,
    release_of_what_is_lost,
    release_of_what_was_lost,
    release_to_the_next,
    shared,
)


def acquire_as_its_session_dies(
    kind: Callable[[WeightedDriver], WeightedCore], n: int = 1
) -> Scene:
    """It is let in, and dies before it knows."""
    scene = acquire(kind, n)
    driver = scene.driver
    driver.acquire_all(driver.rival(scene.lock))

    def when_blocked() -> None:
        driver.world.advance(6.0)  # its last renewal is too long ago to believe in
        driver.rivals_leave()
        for session in driver.sessions_of(scene.lock.client):
            operator(driver.world, f"/v1/session/destroy/{session}")

    driver.when_blocked = when_blocked
    return scene


def try_behind_a_dead_one(kind: Callable[[WeightedDriver], WeightedCore], n: int = 1) -> Scene:
    """Its lock-delay is not over, so it gives up."""
    scene = acquire_after_a_dead_one(kind, n)
    return scene._replace(job=scene.lock.acquire(False, None, "me", n))


def try_long_after_a_dead_one(kind: Callable[[WeightedDriver], WeightedCore], n: int = 1) -> Scene:
    """It is over, and nobody was there meanwhile."""
    scene = try_behind_a_dead_one(kind, n)
    assert not scene.driver.acquire_all(scene.driver.rival(scene.lock), timeout=0)
    scene.driver.world.advance(3.0)
    return scene._replace(job=scene.lock.acquire(False, None, "me", n))


SCENES = (
    acquire,
    acquire_again,
    acquire_after_waiting,
    acquire_after_a_dead_one,
    acquire_that_gives_up,
    acquire_after_no_answer,
    acquire_as_its_session_dies,
    try_behind_a_dead_one,
    try_long_after_a_dead_one,
    release,
    release_to_the_next,
    release_of_what_is_lost,
    release_of_what_was_lost,
)
KINDS: dict[str, tuple[Callable[[WeightedDriver], WeightedCore], int]] = {
    "one-slot": (WeightedDriver.semaphore, 1),
    "shared": (shared, 1),
    "two-slots": (WeightedDriver.semaphore, 2),
    "writer": (WeightedDriver.writer, 1),
    "reader": (WeightedDriver.reader, 1),
    "tree": (WeightedDriver.tree, 1),
}
each_scene = pytest.mark.parametrize("build", SCENES, ids=lambda build: build.__name__)
each_kind = pytest.mark.parametrize("kind, n", KINDS.values(), ids=KINDS)


def cut_off(scene: Scene, effect: Any, fate: str) -> None:
    """End the flow at this effect, and clean up."""
    driver = scene.driver
    if isinstance(effect, Request) and fate == "is carried out":
        driver.world.submit(effect)
    scene.job.flow.close()
    driver.when_blocked = lambda: None
    if scene.job.undo is not None:
        driver.run(scene.job.undo())
    # What is condemned is left to the keeper.
    driver.run(scene.lock.client.pool.sweep(driver.world.now))
    if isinstance(effect, Request) and fate == "comes as a ghost":
        driver.world.submit(effect)


@each_kind
@each_scene
@pytest.mark.parametrize("error", [GeneratorExit, Cancelled])
def test_a_flow_that_is_cut_off_yields_nothing_more(
    build: Any, kind: Any, n: int, error: type[BaseException]
) -> None:
    """The driver may have stopped listening; so a flow never yields while it unwinds."""
    for scene, _ in cuts(lambda: build(kind, n)):
        with pytest.raises(error):
            scene.job.flow.throw(error())


@each_kind
@each_scene
@pytest.mark.parametrize("fate", FATES)
def test_the_undo_leaves_nothing_behind(build: Any, kind: Any, n: int, fate: str) -> None:
    """No session in a document or a line; somebody else gets it all, and no ghost shakes that."""
    for scene, effect in cuts(lambda: build(kind, n), clocks=fate == FATES[0]):
        mine = scene.driver.sessions_of(scene.lock.client)
        cut_off(scene, effect, fate)
        ghost = effect if isinstance(effect, Request) and fate == "comes as a ghost" else None
        _see_nothing_left(scene, mine, ghost, f"cut off at {effect}")


@each_kind
@each_scene
def test_a_signal_between_two_effects_leaves_nothing_behind(build: Any, kind: Any, n: int) -> None:
    """Nor does the client take a hold that is over for one that its owner has."""
    for scene, where in strikes(lambda: build(kind, n), scaled(6)):
        mine = scene.driver.sessions_of(scene.lock.client)
        cut_off(scene, None, FATES[0])
        _see_nothing_left(scene, mine, None, where)
        if isinstance(scene.lock, SemaphoreCore):
            scene.driver.run(scene.lock.resize(3))  # which waits for the calls that enter it


def downgrade() -> Scene:
    scene = release(WeightedDriver.writer)
    assert isinstance(scene.lock, SideCore)
    return scene._replace(job=scene.lock.downgrade(scene.driver.world.now, "me"))


def test_a_downgrade_that_was_struck_can_be_done_again() -> None:
    """Another reader of the process gets in then, and nothing is left at the end."""
    for scene, where in strikes(downgrade, scaled(50)):
        driver, lock, client = scene.driver, scene.lock, scene.lock.client
        scene.job.flow.close()
        assert isinstance(lock, SideCore)
        driver.run(lock.downgrade(driver.world.now, "me"))
        reader = driver.reader(client)
        assert driver.run(reader.acquire(False, None, "you")), where
        driver.run(reader.release("you"))
        mine = driver.sessions_of(client)
        driver.run(lock.release("me"))
        for _ in range(2):
            driver.keep(client)  # a session in doubt is destroyed, and what it leaves is deleted
        _see_nothing_left(scene, mine, None, where)


def resize() -> Scene:
    scene = release(WeightedDriver.semaphore)
    assert isinstance(scene.lock, SemaphoreCore)
    return scene._replace(job=scene.lock.resize(3))


def test_a_resize_that_was_struck_can_be_done_again() -> None:
    """Also with another limit, which all others see."""
    for scene, where in strikes(resize, scaled(50)):
        driver, lock = scene.driver, scene.lock
        scene.job.flow.close()
        assert scene.job.undo is not None
        driver.run(scene.job.undo())
        assert isinstance(lock, SemaphoreCore)
        driver.run(lock.resize(1))
        assert not lock.agrees(3), where
        driver.run(lock.release("me"))
        assert not driver.traces(), where


def _see_nothing_left(scene: Scene, mine: set[str], ghost: Request | None, where: str) -> None:
    driver, lock, client = scene.driver, scene.lock, scene.lock.client
    if scene.lost:
        driver.keep(client)  # it may be left to the keeper
    assert not mine & driver.traces(), where
    assert not [s for s in client.pool.live.values() if s.borrower and not s.shared], where
    assert set(client.local_queues._queues) <= {BESIDE}, where
    assert {hold.key for hold in client.holds} <= {BESIDE}, where
    assert not client.cleanups.times(), where
    driver.rivals_leave()
    rival = driver.rival(lock)
    assert driver.acquire_all(rival, timeout=0), where
    if ghost is not None:
        driver.world.submit(ghost)
    assert rival.hold is not None
    holders = {session.id for session in rival.hold.sessions}
    assert set().union(*driver.holders_in_documents().values()) == holders, where
    driver.rivals_leave()
    assert set(driver.held()) <= {BESIDE}, where


# -- what has no undo, as it can be done again


def resizing() -> Scene:
    """There is a waiter that fits in then."""
    driver = WeightedDriver()
    lock = driver.semaphore()
    driver.acquire_all(driver.rival(lock))
    waiting = driver.semaphore(driver.client("waiter"))
    driver.until(waiting.acquire(True, None, "me").flow, waits)
    return Scene(driver, lock, lock.resize(3))


def downgrading() -> Scene:
    """Two readers wait that fit in then."""
    driver = WeightedDriver()
    lock = driver.writer()
    driver.run(lock.acquire(True, None, "me"))
    for label in ("one", "another"):
        waiting = driver.reader(driver.client(label))
        driver.until(waiting.acquire(True, None, "me").flow, waits)
    return Scene(driver, lock, lock.downgrade(driver.world.now, "me"))


@pytest.mark.parametrize("fate", FATES)
@pytest.mark.parametrize("build", [resizing, downgrading])
def test_it_can_be_done_again(build: Callable[[], Scene], fate: str) -> None:
    """Whatever became of the first time: those who wait are in, and a ghost changes nothing."""
    for scene, effect in cuts(build, clocks=fate == FATES[0]):
        driver, lock = scene.driver, scene.lock
        cut_off(scene, effect, fate)
        if isinstance(lock, SemaphoreCore):
            driver.run(lock.resize(3))
        else:
            assert isinstance(lock, SideCore)
            driver.run(lock.downgrade(driver.world.now, "me"))
        documents = driver.documents()
        assert len(*driver.holders_in_documents().values()) == 3, f"cut off at {effect}"
        if isinstance(effect, Request):
            driver.world.submit(effect)
        assert driver.documents() == documents, f"cut off at {effect}"


@pytest.mark.parametrize("fate", FATES)
def test_a_lock_during_its_downgrade_can_be_released(fate: str) -> None:
    """As what it is by then, which only Consul knows."""
    for scene, effect in cuts(downgrading):
        driver, lock = scene.driver, scene.lock
        cut_off(scene, effect, fate)
        assert lock.hold is not None
        mine = {session.id for session in lock.hold.sessions}
        driver.run(lock.release("me"))
        if isinstance(effect, Request):
            driver.world.submit(effect)
        assert driver.run(driver.reader().acquire(False, None, "me")), f"cut off at {effect}"
        assert not mine & driver.traces(), f"cut off at {effect}"
        driver.keep(lock.client)
        assert mine & driver.sessions() <= set(lock.client.pool.live), f"cut off at {effect}"
