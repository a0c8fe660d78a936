"""Several locks at once, cut off at every single point: nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from consul_lock._protocol.client.shared_session import SharedSession
from consul_lock._protocol.flow import Job, Request
from consul_lock._protocol.multilock.multilock import MultiLockCore
from consul_lock._protocol.primitive.undo import undo_acquire
from consul_lock._protocol.session import timing as terms
from consul_lock.errors import LossReason
from tests.simulation.flow_process import Cancelled
from tests.support.effort import scaled
from tests.unit.protocol.cut_points import (
    FATES,
    cut_off,
    cuts,
    resumed,
    strikes,
)
from tests.unit.protocol.multilock_driver import (
    KEYS,
    MANY,
    NO_ANSWER,
    A,
    B,
    C,
    MultiLockDriver,
    locking,
    lose,
    releasing,
)


def test_holds_are_released_before_their_loss_is_reported() -> None:
    """The caller may be cut off between the answer and the next step, where nothing is yielded."""
    driver = MultiLockDriver()
    lock = driver.multilock()
    attempt = lock.attempt("me", blocking=True)
    driver.run(lock.contend(attempt))
    assert set(driver.held()) == set(lock.keys)
    driver.run(undo_acquire(lock, attempt))
    assert driver.held() == {}
    assert lock.client.pool.live.keys() == driver.sessions()


class Scene(NamedTuple):
    """A driver, and a flow about to be performed by it."""

    driver: MultiLockDriver
    lock: MultiLockCore
    job: Job


def acquire(*names: str) -> Scene:
    driver = MultiLockDriver()
    lock = driver.multilock(*names)
    return Scene(driver, lock, lock.acquire(True, None, "me"))


def acquire_many() -> Scene:
    return acquire(*MANY)


def acquire_with_a_session_at_hand() -> Scene:
    scene = acquire()
    driver, lock = scene.driver, scene.lock
    driver.acquire(lock)
    driver.release(lock)
    return scene._replace(job=lock.acquire(True, None, "me"))


def acquire_with_a_shared_session() -> Scene:
    driver = MultiLockDriver()
    client = driver.client()
    shared = SharedSession(client, terms.session_options())
    driver.acquire(driver.lock(client, "beside", shared=shared))
    lock = driver.multilock(client=client, shared=shared)
    return Scene(driver, lock, lock.acquire(True, None, "me"))


def after_waiting(scene: Scene) -> Scene:
    """Somebody else has one of them, until this one waits."""
    other = scene.driver.lock(scene.driver.client("b"), B)
    scene.driver.acquire(other)
    scene.driver.when_blocked = lambda: scene.driver.release(other)
    return scene


def acquire_with_a_shared_session_after_waiting() -> Scene:
    return after_waiting(acquire_with_a_shared_session())


def acquire_after_waiting() -> Scene:
    return after_waiting(acquire())


def acquire_that_gives_up() -> Scene:
    scene = acquire()
    scene.driver.acquire(scene.driver.lock(scene.driver.client("b"), C))
    return scene._replace(job=scene.lock.acquire(True, 3.0, "me"))


def acquire_after_no_answer() -> Scene:
    scene = acquire()
    driver, flow = scene.driver, scene.job.flow
    driver.world.submit(driver.until(flow, locking))
    return scene._replace(job=Job(resumed(flow, flow.throw(NO_ANSWER)), scene.job.undo))


def release(*names: str) -> Scene:
    scene = acquire(*names)
    scene.driver.run(scene.job)
    return scene._replace(job=scene.lock.release("me"))


def release_many() -> Scene:
    return release(*MANY)


def release_with_a_shared_session() -> Scene:
    scene = acquire_with_a_shared_session()
    scene.driver.run(scene.job)
    return scene._replace(job=scene.lock.release("me"))


def release_of_lost_locks() -> Scene:
    scene = release()
    lose(scene.driver, scene.lock, KEYS[A], LossReason.KEY_DELETED)
    return scene


UNDONE = (
    acquire,
    acquire_many,
    acquire_with_a_session_at_hand,
    acquire_with_a_shared_session,
    acquire_with_a_shared_session_after_waiting,
    acquire_after_waiting,
    acquire_that_gives_up,
    acquire_after_no_answer,
    release,
    release_many,
    release_with_a_shared_session,
    release_of_lost_locks,
)
each_scene = pytest.mark.parametrize("build", UNDONE, ids=lambda build: build.__name__)


@each_scene
@pytest.mark.parametrize("error", [GeneratorExit, Cancelled])
def test_a_flow_that_is_cut_off_yields_nothing_more(
    build: Callable[[], Scene], error: type[BaseException]
) -> None:
    """The driver may have stopped listening; so a flow never yields while it unwinds."""
    for scene, _ in cuts(build):
        with pytest.raises(error):
            scene.job.flow.throw(error())


@each_scene
@pytest.mark.parametrize("fate", FATES)
def test_the_undo_leaves_nothing_behind(build: Callable[[], Scene], fate: str) -> None:
    """It has no key, and somebody else gets all at once, or after a lock-delay."""
    for scene, effect in cuts(build):
        mine = set(scene.lock.client.pool.live)
        cut_off(scene, effect, fate)
        _see_nothing_left(scene, mine, f"cut off at {effect}", build is acquire_that_gives_up)


@each_scene
def test_a_signal_between_two_effects_leaves_nothing_behind(build: Callable[[], Scene]) -> None:
    """Nor does the client take a hold that is over for one that its owner has."""
    for scene, where in strikes(build, scaled(12)):
        mine = set(scene.lock.client.pool.live)
        cut_off(scene, None)
        assert {hold.key for hold in scene.lock.client.holds} <= {"beside/.lock"}, where
        _see_nothing_left(scene, mine, where, build is acquire_that_gives_up)


def _see_nothing_left(scene: Scene, mine: set[str], where: str, gave_up: bool) -> None:
    driver, lock = scene.driver, scene.lock
    held = {key for key, owner in driver.held().items() if owner in mine}
    assert held <= {"beside/.lock"}, where
    assert not driver.borrowed(), where
    assert not {key for key in lock.client.local_queues._queues if key != "beside/.lock"}
    others = driver.multilock(*lock.names, client=driver.client("c"))
    if gave_up:
        driver.delete(KEYS[C])
    assert driver.acquire(others, timeout=31.5), where


@each_scene
def test_nobody_sits_out_a_lock_delay_where_it_is_known_how_things_stand(
    build: Callable[[], Scene],
) -> None:
    """A read comes first, and what it holds is released in order."""
    for scene, effect in cuts(build):
        if isinstance(effect, Request) and (locking(effect) or releasing(effect)):
            continue  # of which nobody knows what became
        driver, lock = scene.driver, scene.lock
        cut_off(scene, effect)
        for key in (KEYS[B], KEYS[C]):
            driver.delete(key)  # of the holder that was in the way
        if build in (acquire_after_no_answer, release_of_lost_locks):
            continue  # in doubt from the beginning, or lost
        others = driver.multilock(*lock.names, client=driver.client("c"))
        assert driver.acquire(others, timeout=0), f"cut off at {effect}"
