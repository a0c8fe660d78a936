"""Many tasks, one lock: they take turns, and Consul sees one waiter at a time."""

from __future__ import annotations

import asyncio

from consul_lock.aio import Client, Lock


async def work(client: Client, number: int) -> None:
    async with Lock("examples/asyncio", client=client) as lock:
        print(f"task {number} has the lock, token {lock.token}")


async def main() -> None:
    async with Client() as client:
        await asyncio.gather(*(work(client, number) for number in range(10)))


asyncio.run(main())
