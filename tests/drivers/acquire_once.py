"""One acquire by each face, for what only shows on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import consul_lock
from consul_lock import aio

# The keeper sends nothing meanwhile, however long it takes.
_SELDOM = {"ttl": 600, "lock_delay": 0}


def _threads(address: str, rounds: int = 1, **options: Any) -> None:
    with consul_lock.Client(address, **{"retry_for": 0, **options}) as client:
        lock = consul_lock.Lock("drivers/attempt", client=client, **_SELDOM)
        for _ in range(rounds):
            assert lock.acquire(timeout=0)
            lock.release()


def _asyncio(address: str, rounds: int = 1, **options: Any) -> None:
    async def attempt() -> None:
        async with aio.Client(address, **{"retry_for": 0, **options}) as client:
            lock = aio.Lock("drivers/attempt", client=client, **_SELDOM)
            for _ in range(rounds):
                assert await lock.acquire(timeout=0)
                await lock.release()

    asyncio.run(attempt())


Attempt = Callable[..., None]
"""``attempt(address, rounds=1, **options)``: acquire and release, with a client of its own."""

each_face = pytest.mark.parametrize("attempt", [_threads, _asyncio], ids=["threads", "asyncio"])
