"""One object, several threads or tasks: whose hold an answer, a release or a block is about."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from consul_lock import AlreadyHeld, LockLost, LossReason, NotHeld, Op
from tests.contract.fixture import QUICK, Room, Told, waiting_in_the_process
from tests.contract.lock_kinds import KINDS, each_kind
from tests.support.apis import Sync
from tests.support.waiting import eventually

each_kind_that_is_handed_on = pytest.mark.parametrize(
    "kind",
    [kind for kind in KINDS if not kind.reentrant],
    indirect=True,
    ids=lambda kind: kind.name,
)
"""All but the re-entrant lock, which belongs to a thread or task."""


def semaphore(room: Room, limit: int) -> Sync:
    client = room.client()
    made = client.actor.do(room.api.Semaphore, room.name, limit, client=client.thing)
    return Sync(made, client.actor)


# -- answers


@each_kind
def test_after_a_loss_the_owner_never_sees_the_hold_of_the_next_one(room: Room) -> None:
    """Not `held`, not its token, no `guard` and no `ensure_held`, until it acquires again."""
    lock = room.holding(**QUICK)
    token = lock.ask("token")
    other = lock.by(room.actor())
    waiting = other.start("acquire", timeout=60)
    room.operator.destroy(lock.ask("session_id"))
    assert waiting.result(120) is True
    assert (other.ask("held"), other.ask("token") > token) == (True, True)
    assert (lock.ask("held"), lock.ask("token")) == (False, token)
    assert (lock.ask("session_id"), lock.remaining()) == (None, 0.0)
    assert lock.ask("lost_reason") is LossReason.SESSION_INVALID
    assert lock.ask("lost").is_set()
    assert not other.ask("lost").is_set()
    with pytest.raises(LockLost):
        lock.ensure_held()
    with pytest.raises(LockLost):
        lock.guard([Op.set(f"{room.name}/data", "without the lock")])
    with pytest.raises(LockLost):
        lock.release()
    assert (lock.ask("held"), lock.ask("token"), other.ask("held")) == (False, token, True)
    with pytest.raises(NotHeld):
        lock.guard([Op.set(f"{room.name}/data", "without the lock")])
    assert room.operator.value(f"{room.name}/data") is None
    other.ensure_held()
    other.release()
    assert lock.acquire(timeout=30)
    assert (lock.ask("held"), lock.ask("token") > token) == (True, True)
    lock.release()


@each_kind
def test_a_user_that_released_does_not_hold_what_another_one_acquires(room: Room) -> None:
    """Its answers are about its own last hold."""
    lock = room.holding()
    token = lock.ask("token")
    lock.release()
    other = lock.by(room.actor())
    assert other.acquire(timeout=30)
    assert (lock.ask("held"), lock.ask("token")) == (False, token)
    with pytest.raises(NotHeld):
        lock.ensure_held()
    other.release()


@each_kind
def test_a_user_that_never_held_it_gets_answers_about_the_present_hold(room: Room) -> None:
    """A thread that monitors, or that was handed the lock to work with."""
    lock = room.holding(**QUICK)
    monitor = lock.by(room.actor())
    assert (monitor.ask("held"), monitor.ask("token")) == (True, lock.ask("token"))
    monitor.ensure_held()
    room.operator.delete(room.key)
    eventually(lambda: monitor.ask("lost").is_set())
    assert monitor.ask("lost_reason") is LossReason.KEY_DELETED


# -- blocks


@each_kind
def test_a_block_that_released_early_does_not_release_what_another_one_holds(room: Room) -> None:
    """The end of a block gives back its own hold, or says that there is none."""
    lock = room.lock()
    other = lock.by(room.actor())

    def body() -> None:
        lock.release()
        assert other.acquire(timeout=30)

    with pytest.raises(NotHeld), lock:
        body()
    assert other.ask("held")
    assert room.owner() == other.ask("session_id")
    other.release()


@each_kind
def test_a_block_may_release_and_acquire_again(room: Room) -> None:
    """To let somebody else in for a moment; its end releases what it holds then."""
    lock, other = room.lock(), room.others_lock()
    with lock:
        lock.release()
        assert other.acquire(timeout=30)
        other.release()
        assert lock.acquire(timeout=30)
    assert not lock.locked()


@each_kind_that_is_handed_on
def test_a_block_may_end_in_another_thread_or_task(room: Room) -> None:
    """As generators of web frameworks and fixtures do: it is the same block."""
    lock = room.lock()
    entered = lock.by(room.actor())
    entered.__enter__()
    ending = lock.by(room.actor())
    ending.__exit__(None, None, None)
    assert not lock.locked()
    with pytest.raises(NotHeld):
        entered.__exit__(None, None, None)


@each_kind
def test_an_exception_of_the_body_says_that_the_lock_was_lost_too(room: Room) -> None:
    """The body's own error is the story; the loss is a note of it."""
    lock = room.lock(**QUICK)

    def body() -> None:
        room.operator.delete(room.key)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught, lock:
        body()
    (note,) = caught.value.__notes__
    assert "was lost while it was held" in note
    assert str(lock.ask("token")) in note
    with pytest.raises(ZeroDivisionError) as caught, lock:
        raise ZeroDivisionError
    assert not hasattr(caught.value, "__notes__")


# -- handing on


@pytest.mark.parametrize("timeout", [None, 60], ids=["no timeout", "timeout"])
def test_one_acquires_the_slots_of_a_semaphore_and_its_workers_release_them(
    room: Room, timeout: float | None
) -> None:
    """The classic use of `threading.BoundedSemaphore`: it waits for them as long as it takes."""
    dispatcher = semaphore(room, 2)
    workers = [dispatcher.by(room.actor()) for _ in range(5)]
    assert dispatcher.acquire()
    assert dispatcher.acquire()
    for worker in workers[:3]:
        waiting = dispatcher.start("acquire", timeout=timeout)
        eventually(lambda: waiting_in_the_process(dispatcher), message="the dispatcher waits")
        assert len(worker.holders()) == 2
        worker.release()
        assert waiting.result(120) is True
    for worker in workers[3:]:
        worker.release()
    assert dispatcher.holders() == []
    with pytest.raises(NotHeld):
        workers[0].release()


@each_kind_that_is_handed_on
def test_with_a_timeout_its_holder_waits_for_another_thread_or_task_to_release_it(
    room: Room,
) -> None:
    """Such as a timer that ends a hold: what it waits for does come."""
    lock = room.holding()
    token = lock.ask("token")
    waiting = lock.start("acquire", timeout=60)
    eventually(lambda: waiting_in_the_process(lock), message="its holder waits")
    lock.by(room.actor()).release()
    assert waiting.result(120) is True
    assert lock.ask("token") > token
    lock.release()
    assert not lock.locked()


@each_kind
def test_without_a_timeout_waiting_for_oneself_is_an_error_that_says_what_to_do(
    room: Room,
) -> None:
    """Only a deadline could end the wait, and nobody gave one; a semaphore waits all the same."""
    lock, double = room.holding(), room.lock()
    if room.kind.name != "semaphore":
        for same in [double] if room.kind.reentrant else [lock, double]:
            with pytest.raises(AlreadyHeld, match="with a timeout"):
                same.acquire()
    assert double.acquire(timeout=0) is False
    assert double.acquire(timeout=0.2) is False
    assert lock.held
    lock.release()
    assert not lock.locked()


def test_the_release_of_one_that_holds_nothing_gives_back_the_oldest_hold(room: Room) -> None:
    """And not that of a block, which will give back its own."""
    lock = semaphore(room, 3)
    first, second, inside = lock, lock.by(room.actor()), lock.by(room.actor())
    worker = lock.by(room.actor())
    with inside:
        assert first.acquire()
        assert second.acquire()
        worker.release()
        assert [each.ask("held") for each in (inside, first, second)] == [True, False, True]
        worker.release()
        assert [each.ask("held") for each in (inside, first, second)] == [True, False, False]
    assert lock.holders() == []


@each_kind_that_is_handed_on
def test_a_timer_that_releases_a_lost_lock_hears_of_the_loss_and_so_does_its_owner(
    room: Room,
) -> None:
    """The release that finds it raises, and the owner's own release is not silent for that."""
    lock = room.holding(**QUICK)
    room.operator.delete(room.key)
    eventually(lock.lost.is_set)
    with pytest.raises(LockLost):
        lock.by(room.actor()).release()
    with pytest.raises(LockLost):
        lock.release()
    with pytest.raises(NotHeld):
        lock.release()


# -- losses that a release finds


@each_kind
def test_a_loss_that_the_release_finds_is_reported_in_all_ways(room: Room) -> None:
    """`lost` is set and `on_lost` called, once, as when the keeper finds it."""
    told = Told()
    lock = room.holding(on_lost=told, ttl=60, lock_delay=60)  # the keeper looks in 9 s or later
    lost = lock.lost
    room.operator.delete(room.key)
    with pytest.raises(LockLost) as caught:
        lock.release()
    assert caught.value.reason is LossReason.KEY_DELETED
    assert lost.is_set()
    eventually(lambda: told.reasons == [LossReason.KEY_DELETED])


@each_kind
def test_a_release_after_the_deadline_is_a_loss_though_nobody_has_noticed_yet(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a machine was asleep: the keeper has not come to it, and others may have it."""
    told = Told()
    lock = room.holding(on_lost=told, lock_delay=60, ttl=60)
    lost = lock.lost
    for module in (
        "consul_lock._api.lock_state",
        "consul_lock._drivers.threads",
        "consul_lock._drivers.asyncio",
    ):
        monkeypatch.setattr(f"{module}.clock", _later(module))
    assert not lock.held
    with pytest.raises(LockLost) as caught:
        lock.release()
    assert caught.value.reason is LossReason.DEADLINE
    assert lost.is_set()
    eventually(lambda: told.reasons == [LossReason.DEADLINE])
    assert lock.lost_reason is LossReason.DEADLINE


def _later(module: str) -> Any:
    """The clock of a module, a minute and a half ahead."""
    clock = importlib.import_module(module).clock
    return lambda: clock() + 90.0
