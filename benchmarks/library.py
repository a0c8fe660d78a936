"""`consul_lock.Lock`, for threads and for asyncio, with a client of its own."""

from __future__ import annotations

from typing import Any


class ThreadLock:
    def __init__(self, address: str, name: str) -> None:
        import consul_lock

        self._client = consul_lock.Client(address)
        lock = consul_lock.Lock(name, client=self._client)
        self.acquire = lock.acquire
        self.release = lock.release

    def close(self) -> None:
        self._client.close()


class TaskLock:
    """Made, used and closed on a running loop."""

    def __init__(self, address: str, name: str) -> None:
        import consul_lock.aio

        self._client: Any = consul_lock.aio.Client(address)
        lock: Any = consul_lock.aio.Lock(name, client=self._client)
        self.acquire = lock.acquire
        self.release = lock.release

    async def close(self) -> None:
        await self._client.close()
