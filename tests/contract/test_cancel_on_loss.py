"""A block in asyncio that is cancelled when its lock is lost, as `asyncio.timeout` does it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from consul_lock import LockLost, LossReason, NotHeld
from tests.contract.fixture import QUICK, Room
from tests.contract.lock_kinds import each_kind
from tests.support.apis import Asyncio
from tests.support.waiting import eventually

pytestmark = pytest.mark.parametrize("face", [Asyncio], indirect=True, ids=["asyncio"])

HUNG = 30.0
"""Seconds after which what should have happened counts as not coming."""


OF_THE_CLIENT = {f"consul-lock-{name}" for name in ("keeper", "watchdog", "sweep", "watch")}
"""Tasks that end with their client, or some time after there is nothing to look after."""


def lose(room: Room, lock: Any) -> Callable[[], None]:
    """Let the lock be lost, and known to be lost, while the loop runs on."""
    return lambda: room.operator.delete(lock.key)


async def in_thread(function: Callable[[], None]) -> None:
    await asyncio.to_thread(function)


def run(room: Room, scenario: Callable[[], Awaitable[Any]]) -> Any:
    """Run a scenario as a task; nothing of it goes on running."""
    result = room.main.do(lambda: asyncio.create_task(_run(scenario)))
    eventually(lambda: room.helpers() <= OF_THE_CLIENT)
    return result


async def _run(scenario: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(60):
        result = await scenario()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    return result


@each_kind
def test_the_task_is_cancelled_where_it_waits_and_the_block_raises_the_loss(room: Room) -> None:
    """And the lock can be used again."""
    lock = room.lock(cancel_on_loss=True, **QUICK).thing
    story: list[str] = []

    async def scenario() -> None:
        async def block() -> None:
            async with lock:
                try:
                    await in_thread(lose(room, lock))
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    story.append("cancelled")
                    raise
                story.append("went on")

        with pytest.raises(LockLost) as caught:
            await block()
        assert caught.value.reason is LossReason.KEY_DELETED
        assert caught.value.key == room.key
        assert isinstance(caught.value.__cause__, asyncio.CancelledError)
        assert not lock.held
        with pytest.raises(NotHeld):
            await lock.release()
        async with lock(timeout=30):
            await asyncio.sleep(0)

    run(room, scenario)
    assert story == ["cancelled"]


def test_without_it_the_block_runs_to_its_end_first(room: Room) -> None:
    """As in threads."""
    lock = room.lock(**QUICK).thing

    async def scenario() -> None:
        async def block() -> None:
            async with lock:
                await in_thread(lose(room, lock))
                await asyncio.wait_for(lock.lost.wait(), HUNG)
                await asyncio.sleep(0)
                ends.append(1)

        with pytest.raises(LockLost):
            await block()

    ends: list[int] = []
    run(room, scenario)
    assert ends == [1]


@each_kind
def test_a_block_that_is_well_leaves_nothing(room: Room) -> None:
    """With and without a moment in which it waits."""
    lock = room.lock(cancel_on_loss=True, **QUICK).thing

    async def scenario() -> None:
        for pauses in (0, 1, 3):
            async with lock:
                for _ in range(pauses):
                    await asyncio.sleep(0)

        async def block() -> None:
            async with lock:
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await block()

    run(room, scenario)


def test_a_loss_that_the_end_of_the_block_finds_is_raised_by_it(room: Room) -> None:
    """Nothing was cancelled."""
    lock = room.lock(cancel_on_loss=True, ttl=60, lock_delay=60).thing

    async def scenario() -> None:
        async def block() -> None:
            async with lock:
                await in_thread(lose(room, lock))

        with pytest.raises(LockLost) as caught:
            await block()
        assert caught.value.__cause__ is None

    run(room, scenario)


def test_an_error_of_the_clean_up_comes_before_the_loss(room: Room) -> None:
    """It is what the body raised in the end; the loss is a note of it."""
    lock = room.lock(cancel_on_loss=True, **QUICK).thing

    async def scenario() -> None:
        async def block() -> None:
            async with lock:
                await in_thread(lose(room, lock))
                try:
                    await asyncio.Event().wait()
                finally:
                    raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError) as caught:
            await block()
        assert any("was lost while it was held" in note for note in caught.value.__notes__)

    run(room, scenario)


def test_a_body_that_swallows_the_cancellation_gets_the_loss_at_its_end(room: Room) -> None:
    """And the task is not cancelled once more."""
    lock = room.lock(cancel_on_loss=True, **QUICK).thing

    async def scenario() -> None:
        async def block() -> None:
            async with lock:
                await in_thread(lose(room, lock))
                with pytest.raises(asyncio.CancelledError):
                    await asyncio.Event().wait()
                await asyncio.sleep(0)

        with pytest.raises(LockLost):
            await block()
        await asyncio.sleep(0)

    run(room, scenario)


@pytest.mark.parametrize("outside", [True, False], ids=["around the lock", "inside the lock"])
def test_a_timeout_that_is_not_up_changes_nothing(room: Room, outside: bool) -> None:
    """It lets the cancellation through."""
    lock = room.lock(cancel_on_loss=True, **QUICK).thing

    async def body() -> None:
        await in_thread(lose(room, lock))
        await asyncio.Event().wait()

    async def scenario() -> None:
        async def block() -> None:
            if outside:
                async with asyncio.timeout(HUNG), lock:
                    await body()
            else:
                async with lock, asyncio.timeout(HUNG):
                    await body()

        with pytest.raises(LockLost):
            await block()

    run(room, scenario)


@pytest.mark.parametrize("outside", [True, False], ids=["around the lock", "inside the lock"])
def test_a_timeout_that_is_up_is_a_timeout(room: Room, outside: bool) -> None:
    """It is not taken for a loss."""
    lock = room.lock(cancel_on_loss=True, **QUICK).thing

    async def scenario() -> None:
        async def block() -> None:
            if outside:
                async with asyncio.timeout(0.2), lock:
                    await asyncio.Event().wait()
            else:
                async with lock, asyncio.timeout(0.2):
                    await asyncio.Event().wait()

        with pytest.raises(TimeoutError) as caught:
            await block()
        assert not isinstance(caught.value, LockLost)

    run(room, scenario)


@pytest.mark.parametrize("outside", [True, False], ids=["around the lock", "inside the lock"])
def test_a_timeout_and_a_loss_at_once_end_in_the_outer_one(room: Room, outside: bool) -> None:
    """Each takes back what it has asked for, and nobody's cancellation is swallowed."""
    lock = room.lock(cancel_on_loss=True, **QUICK).thing

    async def both(timeout: asyncio.Timeout) -> None:
        core = lock._core
        timeout.reschedule(0)
        core.owners.own(lock._me()).lost.set()
        await asyncio.Event().wait()

    async def scenario() -> None:
        expected = TimeoutError if outside else LockLost

        async def block() -> None:
            if outside:
                async with asyncio.timeout(None) as timeout, lock:
                    await both(timeout)
            else:
                async with lock, asyncio.timeout(None) as timeout:
                    await both(timeout)

        with pytest.raises(expected):
            await block()

    run(room, scenario)


def test_a_cancellation_from_outside_as_well_is_obeyed(room: Room) -> None:
    """A cancellation from outside is not turned into a loss."""
    lock = room.lock(cancel_on_loss=True, **QUICK).thing

    async def work(ready: asyncio.Event) -> None:
        async with lock:
            ready.set()
            await asyncio.Event().wait()

    async def scenario() -> None:
        for lost in (False, True):
            ready = asyncio.Event()
            task = asyncio.create_task(work(ready))
            await ready.wait()
            if lost:
                lock._core.owners.oldest().lost.set()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert task.cancelled()

    run(room, scenario)


def test_a_task_group_inside_the_block_ends_with_it(room: Room) -> None:
    """Its tasks are cancelled, and the block raises one LockLost, no group of errors."""
    lock = room.lock(cancel_on_loss=True, **QUICK).thing
    story: list[str] = []

    async def child() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            story.append("cancelled")
            raise

    async def scenario() -> None:
        async def block() -> None:
            async with lock, asyncio.TaskGroup() as group:
                group.create_task(child())
                group.create_task(child())
                await in_thread(lose(room, lock))
                await asyncio.Event().wait()

        with pytest.raises(LockLost):
            await block()

    run(room, scenario)
    assert story == ["cancelled"] * 2


def test_a_block_in_a_task_of_a_group_fails_the_group(room: Room) -> None:
    """As any error of a task does; the others are cancelled."""
    lock = room.lock(cancel_on_loss=True, **QUICK).thing
    story: list[str] = []

    async def holder() -> None:
        async with lock:
            await in_thread(lose(room, lock))
            await asyncio.Event().wait()

    async def other() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            story.append("ended")

    async def scenario() -> None:
        async def block() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(holder())
                group.create_task(other())

        with pytest.raises(ExceptionGroup) as caught:
            # A task of its own: Python 3.11 leaves the one that had the group counted as cancelled.
            await asyncio.create_task(block())
        (error,) = caught.value.exceptions
        assert isinstance(error, LockLost)

    run(room, scenario)
    assert story == ["ended"]


def test_nested_blocks_of_two_locks_end_in_the_loss_of_the_outermost_lost_one(room: Room) -> None:
    """Lost alone, each raises its own; lost together, the outer one."""
    client = room.client()
    outer = room.lock(client, name=f"{room.name}/outer", cancel_on_loss=True).thing
    inner = room.lock(client, cancel_on_loss=True).thing

    async def scenario(lost: list[Any]) -> None:
        expected = outer if outer in lost else inner

        async def block() -> None:
            async with outer, inner:
                for lock in lost:
                    lock._core.owners.own(lock._me()).lost.set()
                await asyncio.Event().wait()

        with pytest.raises(LockLost) as caught:
            await block()
        assert caught.value.key == expected.key

    for lost in ([inner], [outer], [outer, inner], [inner, outer]):
        run(room, lambda lost=lost: scenario(lost))


def test_nested_blocks_of_a_re_entrant_lock_raise_one_loss(room: Room) -> None:
    """Each of them watches; the outermost raises."""
    client = room.client()
    lock = client.actor.do(room.api.RLock, room.name, client=client.thing, cancel_on_loss=True)

    async def scenario() -> None:
        async def block() -> None:
            async with lock, lock, lock:
                await in_thread(lose(room, lock))
                await asyncio.Event().wait()

        with pytest.raises(LockLost):
            await block()
        assert lock.count == 0

    run(room, scenario)


def test_tasks_that_share_an_object_are_cancelled_each_for_its_own_hold(room: Room) -> None:
    """The slots of a semaphore: one session ends, one task."""
    client = room.client()
    made = {"client": client.thing, "cancel_on_loss": True, "lock_delay": 6}
    slots = client.actor.do(room.api.Semaphore, room.name, 2, **made)
    sessions: asyncio.Queue[str] = asyncio.Queue()

    async def work(go_on: asyncio.Event) -> str:
        try:
            async with slots:
                sessions.put_nowait(slots.session_id)
                await go_on.wait()
        except LockLost:
            return "lost"
        return "well"

    async def scenario() -> list[str]:
        go_on = asyncio.Event()
        tasks = [asyncio.create_task(work(go_on)) for _ in range(2)]
        first, _ = await sessions.get(), await sessions.get()
        await in_thread(lambda: room.operator.destroy(first))
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert len(done) == 1
        go_on.set()
        return sorted([await task for task in tasks])

    assert run(room, scenario) == ["lost", "well"]


def test_a_decorated_function_is_cancelled(room: Room) -> None:
    """`@locked(..., cancel_on_loss=True)`."""
    client = room.client()

    @room.api.locked(room.name, client=client.thing, lock_delay=3.6, cancel_on_loss=True)
    async def work() -> None:
        await in_thread(lambda: room.operator.delete(room.key))
        await asyncio.Event().wait()

    async def scenario() -> None:
        with pytest.raises(LockLost) as caught:
            await work()
        assert caught.value.result is None

    run(room, scenario)


# -- an election beside a block


@pytest.fixture
def election(room: Room) -> Any:
    client = room.client()
    return client.actor.do(room.api.Election, room.name, client=client.thing, lock_delay=3.6)


def test_a_candidate_works_beside_a_block_and_resigns_at_its_end(room: Room, election: Any) -> None:
    """The block does not wait for the lead."""
    story: list[str] = []

    async def lead(own: Any) -> None:
        story.append("leads")
        leading.set()
        try:
            await asyncio.Event().wait()
        finally:
            assert own.is_leader
            story.append("ends")

    async def scenario() -> None:
        async with election.running(lead, value="web1") as task:
            await leading.wait()
            assert (await election.leader()).value == "web1"
            assert not task.done()
        assert task.cancelled()
        assert await election.leader() is None

    leading = asyncio.Event()
    run(room, scenario)
    assert story == ["leads", "ends"]


def test_after_a_loss_the_candidate_campaigns_again_and_the_block_goes_on(
    room: Room, election: Any
) -> None:
    """The loss of the lead is no error; the function is cancelled and called again."""
    tokens: list[int] = []

    async def lead(own: Any) -> str:
        tokens.append(own.token)
        if len(tokens) == 1:
            await in_thread(lambda: room.operator.delete(room.key))
            await asyncio.Event().wait()
        return "done"

    async def scenario() -> None:
        async with election.running(lead) as task:
            assert await task == "done"
            await asyncio.sleep(0)
        assert tokens == sorted(set(tokens))

    run(room, scenario)
    assert len(tokens) == 2


def test_an_error_of_the_candidate_ends_the_block(room: Room, election: Any) -> None:
    """As it is, not as a cancellation; a body's own error comes first."""

    async def fail(own: Any) -> None:
        raise ZeroDivisionError

    async def scenario() -> None:
        async def block() -> None:
            async with election.running(fail):
                await asyncio.Event().wait()

        with pytest.raises(ZeroDivisionError):
            await block()

        async def block() -> None:
            async with election.running(fail):
                try:
                    await asyncio.Event().wait()
                finally:
                    raise KeyError

        with pytest.raises(KeyError) as caught:
            await block()
        assert "ZeroDivisionError" in caught.value.__notes__[0]

    run(room, scenario)


def test_to_cancel_the_block_is_not_taken_for_an_error_of_the_candidate(
    room: Room, election: Any
) -> None:
    """Also while the candidate fails, and in a timeout that is up."""

    async def lead(own: Any) -> None:
        await asyncio.Event().wait()

    async def scenario() -> None:
        async def block() -> None:
            async with asyncio.timeout(0.3), election.running(lead):
                await asyncio.Event().wait()

        with pytest.raises(TimeoutError):
            await block()
        assert await election.leader() is None

    run(room, scenario)


def test_the_block_of_an_election_can_be_cancelled_itself(room: Room) -> None:
    """`async with election`, as of any lock."""
    client = room.client()
    made = {"client": client.thing, "cancel_on_loss": True, "lock_delay": 3.6}
    election = client.actor.do(room.api.Election, room.name, **made)

    async def scenario() -> None:
        async def block() -> None:
            async with election:
                await in_thread(lambda: room.operator.delete(room.key))
                await asyncio.Event().wait()

        with pytest.raises(LockLost):
            await block()

    run(room, scenario)
