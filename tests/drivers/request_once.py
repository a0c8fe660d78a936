"""One question by each face, which is one request: for what happens to a request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import consul_lock
from consul_lock import aio


def on_threads(address: str, **options: Any) -> bool:
    with consul_lock.Client(address, **{"retry_for": 0, **options}) as client:
        return consul_lock.Lock("drivers/ask", client=client).locked()


def on_loop(address: str, **options: Any) -> bool:
    async def ask() -> bool:
        async with aio.Client(address, **{"retry_for": 0, **options}) as client:
            return await aio.Lock("drivers/ask", client=client).locked()

    return asyncio.run(ask())


Ask = Callable[..., bool]
"""``ask(address, **options)``: whether a lock is held, with a client of its own."""

each_asks = pytest.mark.parametrize("ask", [on_threads, on_loop], ids=["threads", "asyncio"])
