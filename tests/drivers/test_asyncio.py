"""The asyncio driver: cancelled tasks, ending loops, second loops."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable

import pytest

from consul_lock import ConfigError, LossReason
from consul_lock._async.client import _default
from consul_lock.aio import Client, Lock
from consul_lock.testing import ServedWorld
from tests.contract.operator import Operator
from tests.support.waiting import eventually, eventually_async

NAME = "drivers/asyncio"


async def _waiting(operator: Operator, lock: Lock) -> asyncio.Task[bool]:
    """A task in the line, behind somebody who holds the lock."""
    task = asyncio.create_task(lock.acquire())
    await eventually_async(lambda: operator.keys(f"{NAME}/.queue/"))
    return task


async def _cancel(task: asyncio.Task[bool]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def _cancel_twice(task: asyncio.Task[bool]) -> None:
    task.cancel()
    asyncio.get_running_loop().call_soon(lambda: asyncio.get_running_loop().call_soon(task.cancel))
    with pytest.raises(asyncio.CancelledError):
        await task


async def _time_out(task: asyncio.Task[bool]) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await task


@pytest.mark.parametrize("cut", [_cancel, _cancel_twice, _time_out])
def test_a_waiting_task_that_is_cut_off_leaves_nothing(
    served: ServedWorld, operator: Operator, cut: Callable[[asyncio.Task[bool]], Awaitable[None]]
) -> None:
    """Not in the line, no sign that somebody waits, and the next one gets the lock."""

    async def main() -> None:
        async with Client(served.address) as holder, Client(served.address) as client:
            lock, waiter = Lock(NAME, client=holder), Lock(NAME, client=client)
            await lock.acquire()
            task = await _waiting(operator, waiter)
            await cut(task)
            await eventually_async(lambda: set(operator.keys(NAME)) == {lock.key})
            await lock.release()
            assert not await waiter.locked()
            assert await waiter.acquire(timeout=0)
            await waiter.release()

    asyncio.run(main())
    assert operator.keys(NAME) == {}
    assert operator.sessions() == set()


def test_a_task_cut_off_behind_another_of_its_client_leaves_nothing(
    served: ServedWorld, operator: Operator
) -> None:
    """It waited inside the process: its place there is free again."""

    async def main() -> None:
        async with Client(served.address) as client:
            lock = Lock(NAME, client=client)
            await lock.acquire()
            tasks = [asyncio.create_task(lock.acquire()) for _ in range(3)]
            await asyncio.sleep(0)
            await _cancel(tasks[1])
            await lock.release()
            assert await tasks[0]
            assert not tasks[2].done()
            await lock.release()
            assert await tasks[2]
            await lock.release()

    asyncio.run(main())
    assert operator.sessions() == set()


def test_no_task_is_left_after_close(served: ServedWorld, operator: Operator) -> None:
    """Keeper and watches end; what was held is released, and its holder gets the loss."""

    async def main() -> None:
        client = Client(served.address)
        lock = Lock(NAME, client=client, watch=True)
        await lock.acquire()
        assert len(asyncio.all_tasks()) > 1
        await client.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert lock.lost_reason is LossReason.REVOKED
        await client.close()

    asyncio.run(main())
    assert operator.keys(NAME) == {}
    assert operator.sessions() == set()


@pytest.mark.parametrize("held", [True, False], ids=["held", "released"])
def test_a_loop_that_ends_without_close_leaves_nothing(
    served: ServedWorld, operator: Operator, held: bool
) -> None:
    """`asyncio.run` cancels what is left: the keeper ends in order, and destroys sessions."""
    told: list[LossReason] = []

    async def main() -> Lock:
        client = Client(served.address)
        lock = Lock(NAME, client=client, on_lost=told.append)
        await lock.acquire()
        if not held:
            await lock.release()
        return lock

    lock = asyncio.run(main())
    assert not lock.held
    eventually(lambda: operator.sessions() == set())
    assert operator.keys(NAME) == {}
    assert told == ([LossReason.REVOKED] if held else [])


def test_a_client_belongs_to_the_loop_of_its_first_use(served: ServedWorld) -> None:
    """On a second loop it would wait for ever on things of the first: ConfigError."""
    client = Client(served.address)
    lock = Lock(NAME, client=client)

    async def use() -> bool:
        return await lock.locked()

    async def main() -> None:
        assert not await use()
        with pytest.raises(ConfigError, match="loop"):
            await asyncio.to_thread(asyncio.run, use())
        with pytest.raises(ConfigError, match="loop"):
            await asyncio.to_thread(asyncio.run, client.close())
        await client.close()

    asyncio.run(main())


def test_a_client_of_a_loop_that_has_ended_says_what_to_do(
    served: ServedWorld, operator: Operator
) -> None:
    """A module-level client, used by one `asyncio.run` after the other: no hang, and no word of
    its being closed, which nobody has done."""
    client = Client(served.address)
    lock = Lock(NAME, client=client)

    async def use() -> None:
        async with lock:
            pass

    asyncio.run(use())
    for _ in range(2):
        with pytest.raises(ConfigError, match="one client for each loop"):
            asyncio.run(asyncio.wait_for(use(), 20))
    assert operator.sessions() == set()


def test_a_client_that_is_dropped_gives_a_warning_and_keeps_no_task(
    served: ServedWorld, operator: Operator
) -> None:
    """Its keeper ends with its last session; there is nobody to close it any more."""

    async def use() -> None:
        lock = Lock(NAME, client=Client(served.address))
        async with lock:
            pass
        del lock
        gc.collect()

    def tasks() -> list[str]:
        return [t.get_name() for t in asyncio.all_tasks() if "consul-lock" in t.get_name()]

    async def main() -> None:
        with pytest.warns(ResourceWarning, match="dropped without close"):
            await use()
        await eventually_async(lambda: "consul-lock-keeper" not in tasks())

    asyncio.run(main())
    assert operator.sessions() == set()


def test_a_keeper_with_nothing_to_keep_ends_and_comes_again(
    served: ServedWorld, operator: Operator
) -> None:
    """The next session has one of its own."""

    async def main() -> None:
        async with Client(served.address) as client:
            for _ in range(2):
                lock = Lock(NAME, client=client)
                async with lock:
                    await eventually_async(lambda: client._core.keeper is not None)
                for session in operator.sessions():
                    operator.destroy(session)  # instead of waiting for its idle time
                client._core.pool.retire(float("inf"))
                client._core.wake.set()
                await eventually_async(lambda: client._core.keeper is None)

    asyncio.run(main())


def test_a_lock_without_client_needs_a_running_loop() -> None:
    """At the top of a module there is none yet: the error says what to do."""
    with pytest.raises(ConfigError, match="client="):
        Lock(NAME)


def test_an_async_on_lost_runs_on_the_loop(served: ServedWorld, operator: Operator) -> None:
    """It is awaited in a task of its own."""

    async def main() -> None:
        told: list[tuple[LossReason, asyncio.AbstractEventLoop]] = []

        async def on_lost(reason: LossReason) -> None:
            await asyncio.sleep(0)
            told.append((reason, asyncio.get_running_loop()))

        async with Client(served.address) as client:
            lock = Lock(NAME, client=client, watch=True, on_lost=on_lost)
            await lock.acquire()
            await asyncio.to_thread(operator.destroy, lock.session_id)
            await asyncio.wait_for(lock.lost.wait(), 120)
            await eventually_async(lambda: told)
            assert told == [(LossReason.SESSION_INVALID, asyncio.get_running_loop())]

    asyncio.run(main())


def test_clients_of_ended_loops_are_forgotten(
    served: ServedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program may run many loops, one after the other, with locks that have no client."""
    monkeypatch.setenv("CONSUL_HTTP_ADDR", served.address)

    async def main() -> None:
        async with Lock("loops"):
            pass

    # Those of other tests, whose loops may go on.
    before = set(_default._clients)
    for _ in range(4):
        asyncio.run(main())
    assert len(set(_default._clients) - before) == 1
