"""Cut off at every single point: a flow yields nothing more, and its undo leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from consul_lock._protocol.client.close import close_client
from consul_lock._protocol.client.keeper import Keeper
from consul_lock._protocol.client.shared_session import SharedSession
from consul_lock._protocol.consul.operations import Op
from consul_lock._protocol.flow import Job, Now, Request
from consul_lock._protocol.hold.hold import Hold
from consul_lock._protocol.hold.state import Event, State
from consul_lock._protocol.primitive.watch import watch
from consul_lock._protocol.session.timing import session_options
from consul_lock.errors import LossReason, NotHeld, Unavailable
from tests.simulation.flow_process import Cancelled
from tests.support.effort import scaled
from tests.support.world_operator import operator
from tests.unit.protocol.cut_points import (
    FATES,
    Scene,
    cut_off,
    cuts,
    strikes,
)
from tests.unit.protocol.fake_driver import NAME, FakeDriver, hold_of, verbs


def first_acquire() -> Scene:
    driver = FakeDriver()
    lock = driver.lock()
    return Scene(driver, lock, lock.acquire(True, None, "me"))


def acquire_with_a_session_at_hand() -> Scene:
    scene = first_acquire()
    driver, lock = scene.driver, scene.lock
    driver.run(scene.job)
    driver.release(lock)
    return Scene(driver, lock, lock.acquire(True, None, "me"))


def acquire_by_hand_over() -> Scene:
    driver = FakeDriver()
    mine, other = driver.lock(), driver.lock(driver.client("b"))
    driver.acquire(other)
    driver.when_blocked = lambda: driver.release(other)
    return Scene(driver, mine, mine.acquire(True, None, "me"))


def acquire_that_gives_up() -> Scene:
    driver = FakeDriver()
    mine, other = driver.lock(), driver.lock(driver.client("b"))
    driver.acquire(other)
    return Scene(driver, mine, mine.acquire(True, 3.0, "me"))


def acquire_with_a_watch() -> Scene:
    driver = FakeDriver()
    lock = driver.lock(watch=True)
    return Scene(driver, lock, lock.acquire(True, None, "me"))


def release() -> Scene:
    scene = first_acquire()
    scene.driver.run(scene.job)
    return scene._replace(job=scene.lock.release("me"))


def release_to_the_next_in_line() -> Scene:
    scene = acquire_by_hand_over()
    driver, lock = scene.driver, scene.lock
    driver.run(scene.job)
    other = driver.lock(driver.client("c"))
    driver.queue_up(other)
    assert ".queue/" in str(driver.held())
    return Scene(driver, lock, lock.release("me"))


def release_of_a_lost_lock() -> Scene:
    scene = release()
    assert not hold_of(scene.lock).lost.is_set()  # somebody waits for it
    for session in scene.driver.sessions():
        path = f"/v1/session/destroy/{session}"
        scene.driver.world.submit(Request("PUT", path, (), None, lambda reply: reply))
    return scene


UNDONE = (
    first_acquire,
    acquire_with_a_session_at_hand,
    acquire_by_hand_over,
    acquire_that_gives_up,
    acquire_with_a_watch,
    release,
    release_to_the_next_in_line,
    release_of_a_lost_lock,
)


def keeper() -> Scene:
    scene = release()
    return scene._replace(job=Job(Keeper(scene.lock.client).run()))


def watching() -> Scene:
    scene = release()
    assert scene.lock.hold is not None
    return scene._replace(job=Job(watch(scene.lock.client, scene.lock.hold)))


def closing() -> Scene:
    scene = release()
    return scene._replace(job=Job(close_client(scene.lock.client)))


def guarding() -> Scene:
    scene = release()
    return scene._replace(job=scene.lock.guard([Op.set("x", "1")], scene.driver.world.now, "me"))


@pytest.mark.parametrize("build", [*UNDONE, keeper, watching, closing, guarding])
@pytest.mark.parametrize("error", [GeneratorExit, Cancelled])
def test_a_flow_that_is_cut_off_yields_nothing_more(
    build: Callable[[], Scene], error: type[BaseException]
) -> None:
    """The driver may have stopped listening; so a flow never yields while it unwinds."""
    for scene, _ in cuts(build, endless=build is keeper):
        with pytest.raises(error):
            scene.job.flow.throw(error())


@pytest.mark.parametrize("build", UNDONE)
@pytest.mark.parametrize("fate", FATES)
def test_the_undo_leaves_nothing_behind(build: Callable[[], Scene], fate: str) -> None:
    """Wherever it was cut off: no lock, no entry in the queue, no session for a ghost to use."""
    for scene, effect in cuts(build):
        mine = set(scene.lock.client.pool.live)
        cut_off(scene, effect, fate)
        held_by_me = mine & set(scene.driver.held().values())
        assert not held_by_me, f"cut off at {effect}"


@pytest.mark.parametrize("build", UNDONE)
def test_after_the_undo_the_lock_can_be_acquired_again_at_once(build: Callable[[], Scene]) -> None:
    """Another client needs no patience, unless an answer is missing: then a lock-delay."""
    for scene, effect in cuts(build):
        cut_off(scene, effect)
        sessions = {s.id for s in scene.lock.client.pool.live.values() if s.borrower is not None}
        assert not sessions, f"cut off at {effect}"
        assert not scene.lock.client.local_queues._queues, f"cut off at {effect}"


@pytest.mark.parametrize("build", UNDONE)
def test_a_signal_between_two_effects_leaves_nothing_behind(build: Callable[[], Scene]) -> None:
    """Nor does the client take a hold that is over for one that its owner has."""
    for scene, where in strikes(build, scaled(150)):
        driver, lock, client = scene.driver, scene.lock, scene.lock.client
        cut_off(scene, None)
        hold = lock.current("me")
        assert hold is None or hold.state is not State.LOST or hold.lost.is_set(), where
        assert (len(client.holds), client.local_queues._queues) == (0, {}), where
        assert not [s for s in client.pool.live.values() if s.borrower is not None], where
        assert set(driver.held().values()).isdisjoint(client.pool.live), where


def test_a_try_without_an_answer_costs_the_session() -> None:
    """The write may still come true: only the end of its session makes that harmless."""
    driver = FakeDriver()
    lock = driver.lock()
    job = lock.acquire(False, None, "me")
    taking = driver.until(job.flow, lambda request: "lock" in verbs(request))
    (session,) = driver.sessions()
    with pytest.raises(Unavailable):
        driver.run_from(job.flow, Unavailable("no answer came"))
    assert job.undo is not None
    driver.run(job.undo())
    driver.world.submit(taking)
    assert session not in driver.sessions()
    assert driver.held() == {}


def test_a_late_entry_into_the_queue_leaves_no_sign_though_the_keeper_has_cleaned_up() -> None:
    """The keeper may take its turn while the undo ends the session, which can still write."""
    driver = FakeDriver()
    mine, other = driver.lock(), driver.lock(driver.client("b"))
    driver.acquire(other)
    job = mine.acquire(True, None, "me")
    joining = driver.until(job.flow, lambda request: "get-tree" in verbs(request))
    job.flow.close()
    assert job.undo is not None
    undoing = job.undo()
    leaving = driver.until(undoing, lambda request: verbs(request) == ["delete"])
    cleanups = mine.client.cleanups
    for attempt in cleanups.due(driver.world.now):
        driver.run(cleanups.clear(attempt))
    driver.world.submit(joining)
    assert len(driver.held()) == 3  # the lock, the entry, and the sign
    driver.run_after(undoing, leaving)
    assert (list(driver.held()), cleanups.times()) == ([f"{NAME}/.lock"], [])


def test_a_lock_that_was_passed_on_inside_the_process_is_not_taken_from_the_next() -> None:
    """The release was interrupted after it, before it could say that it was done."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    waiting = lock.acquire(True, None, "another thread").flow
    wait, _ = driver.drive(waiting, 0)
    hold, job = hold_of(lock), lock.release("me")

    def interrupted(event: Event) -> bool:
        if event is Event.CONFIRM:
            raise Cancelled
        return Hold.advance(hold, event)

    hold.advance = interrupted  # type: ignore[method-assign] # an exception between two effects
    with pytest.raises(Cancelled):
        driver.run(job)
    del hold.advance
    assert job.undo is not None
    driver.run(job.undo())
    assert driver.run_after(waiting, wait) is True
    assert hold_of(lock) is not hold
    assert driver.held() == {f"{NAME}/.lock": hold_of(lock).session.id}


def test_a_shared_session_lives_on_when_an_acquire_with_it_is_undone() -> None:
    """The lock is released, whatever became of the request."""
    driver = FakeDriver()
    client = driver.client()
    shared = SharedSession(client, session_options())
    lock, beside = (driver.lock(client, name, shared=shared) for name in (NAME, "beside"))
    driver.acquire(beside)
    job = lock.acquire(True, None, "me")
    taking = driver.until(job.flow, lambda request: "lock" in verbs(request))
    assert driver.perform(taking).done
    job.flow.close()
    assert job.undo is not None
    driver.run(job.undo())
    assert f"{NAME}/.lock" not in driver.held()


def test_a_loss_that_the_undo_of_a_release_finds_is_not_raised_again() -> None:
    """The owner has got the exception that cut it off."""
    driver, reasons = FakeDriver(), list[LossReason]()
    lock = driver.lock(on_lost=reasons.append)
    driver.acquire(lock)
    job = lock.release("me")
    assert isinstance(next(job.flow), Now)
    operator(driver.world, f"/v1/kv/{NAME}/.lock", "DELETE")
    job.flow.close()
    assert job.undo is not None
    driver.run(job.undo())
    assert reasons == [LossReason.KEY_DELETED]
    with pytest.raises(NotHeld):
        driver.release(lock)


def test_a_hold_that_was_cut_off_on_entering_leaves_no_block() -> None:
    """The next block of the same owner is the only one there is."""
    driver = FakeDriver()
    lock = driver.lock()
    job = lock.enter(None, "me")
    driver.run(job.flow)
    assert job.undo is not None
    driver.run(job.undo())
    driver.run(lock.enter(None, "me"))
    driver.run(lock.leave("me", None))
    assert (driver.held(), lock.owners._blocks) == ({}, [])
