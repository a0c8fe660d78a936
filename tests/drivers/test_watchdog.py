"""A loss is reported at its deadline, whatever the keeper hangs in; both APIs, a real clock."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import consul_lock
from consul_lock import LockLost, LossReason, PermissionDenied, aio
from consul_lock._drivers.clock import clock
from consul_lock._drivers.loop_transport import LoopTransport
from consul_lock._drivers.thread_transport import ThreadTransport
from consul_lock.limits import safety_margin
from consul_lock.testing import World, serve
from tests.support.waiting import eventually, eventually_async

# Seconds by which a busy machine may be late.  The keeper hangs for longer than that and the
# lock-delay, so it is never the keeper that tells.
LATE = 10.0

LOCK_DELAY = 2.0


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Set: whatever keepers send hangs, and no timeout ends it."""
    hang, leave = threading.Event(), threading.Event()
    send_all, exchange_all = ThreadTransport.send_all, LoopTransport.exchange_all

    def of_threads(transport: ThreadTransport, requests: Any) -> Any:
        if hang.is_set():
            leave.wait(60)
        return send_all(transport, requests)

    async def of_tasks(transport: LoopTransport, requests: Any) -> Any:
        if hang.is_set():
            await asyncio.Event().wait()  # until it is cancelled
        return await exchange_all(transport, requests)

    monkeypatch.setattr(ThreadTransport, "send_all", of_threads)
    monkeypatch.setattr(LoopTransport, "exchange_all", of_tasks)
    yield hang
    hang.clear()
    leave.set()


# Seconds for which a lock counts after a good answer.
COUNTS = LOCK_DELAY - safety_margin(10, LOCK_DELAY)


def judge(told: list[tuple[LossReason, float]], asked: float, held: float) -> None:
    """Reported once, at the deadline and not before.

    That is between those of an acquire whose answer comes at once, and whose answer comes late.
    """
    [(reason, at)] = told
    assert reason is LossReason.DEADLINE
    assert asked + COUNTS - 0.001 <= at <= held + COUNTS + LATE


def test_a_hanging_keeper_of_threads_delays_no_loss(hanging: threading.Event) -> None:
    """``lost`` is set and ``on_lost`` called, each beside others that take their time."""
    told = list[tuple[LossReason, float]]()
    slow = threading.Event()
    with serve(World()) as served:
        client = consul_lock.Client(served.address)
        first = consul_lock.Lock(
            "first", client=client, lock_delay=LOCK_DELAY, on_lost=lambda _: slow.wait(60)
        )
        second = consul_lock.Lock(
            "second",
            client=client,
            lock_delay=LOCK_DELAY,
            on_lost=lambda reason: told.append((reason, clock())),
        )
        hanging.set()
        assert first.acquire()
        asked = clock()
        assert second.acquire()
        held = clock()
        assert first.lost.wait(LOCK_DELAY + LATE)
        assert second.lost.wait(LOCK_DELAY + LATE)
        eventually(lambda: told)
        judge(told, asked, held)
        assert not second.held
        slow.set()
        hanging.clear()
        client.close()


def test_a_hanging_keeper_of_tasks_delays_no_loss(hanging: threading.Event) -> None:
    """The same on a loop."""
    told = list[tuple[LossReason, float]]()

    async def main(address: str) -> None:
        async with aio.Client(address) as client:
            lock = aio.Lock(
                "lock",
                client=client,
                lock_delay=LOCK_DELAY,
                on_lost=lambda reason: told.append((reason, clock())),
            )
            hanging.set()
            asked = clock()
            assert await lock.acquire()
            held = clock()
            async with asyncio.timeout(LOCK_DELAY + LATE):
                await lock.lost.wait()
            await eventually_async(lambda: told)
            judge(told, asked, held)
            assert not lock.held
            hanging.clear()

    with serve(World()) as served:
        asyncio.run(main(served.address))


def test_the_loss_says_what_renewals_failed_with(caplog: pytest.LogCaptureFixture) -> None:
    """In its text and as a field; one warning says when they began to fail."""
    told = list[LockLost]()

    def on_lost(reason: LossReason, error: LockLost) -> None:
        told.append(error)

    with serve(World()) as served, caplog.at_level(logging.WARNING, "consul_lock"):
        client = consul_lock.Client(served.address)
        lock = consul_lock.Lock("lock", client=client, lock_delay=LOCK_DELAY, on_lost=on_lost)
        assert lock.acquire()
        served.world.fault(10_000, 403, b"ACL not found")
        assert lock.lost.wait(LOCK_DELAY + LATE)
        eventually(lambda: told)
        with pytest.raises(LockLost, match="ACL not found") as caught:
            lock.ensure_held()
        for error in (told[0], caught.value):
            assert isinstance(error.last_error, PermissionDenied)
        assert isinstance(lock.renewal_error, PermissionDenied)
        failing = [r for r in caplog.records if getattr(r, "event", "") == "renewal-failing"]
        assert len(failing) == 1
        served.world._faults.clear()
        client.close()
