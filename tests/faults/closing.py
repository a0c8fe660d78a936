"""A client that is closed at a random moment while others of its process use it.

``python -m tests.faults.closing ADDRESS 60`` closes so many of each face and kind, and counts what
the next client finds.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import consul_lock
from consul_lock import Unavailable, aio

USERS = 4
"""Threads or tasks that take and release it, each with an object of its own."""

LATEST = 0.06
"""Seconds until it is closed, at most."""

KINDS: dict[str, Callable[..., Any]] = {
    "lock": lambda api, name, client: api.Lock(name, client=client),
    "semaphore": lambda api, name, client: api.Semaphore(name, 2, client=client),
}


def close_threads(address: str, kind: str, name: str, seconds: float) -> None:
    """One client of threads."""
    client = consul_lock.Client(address)

    def use() -> None:
        lock = KINDS[kind](consul_lock, name, client)
        try:
            while True:
                lock.acquire()
                lock.release()
        except (Unavailable, consul_lock.LockLost):
            pass  # it is closed, before or after it was acquired

    users = [threading.Thread(target=use) for _ in range(USERS)]
    for user in users:
        user.start()
    threading.Event().wait(seconds)
    client.close()
    for user in users:
        user.join()


def close_asyncio(address: str, kind: str, name: str, seconds: float) -> None:
    """One client of asyncio."""

    async def use(client: aio.Client) -> None:
        lock = KINDS[kind](aio, name, client)
        try:
            while True:
                await lock.acquire()
                await lock.release()
        except (Unavailable, consul_lock.LockLost):
            pass  # it is closed, before or after it was acquired

    async def main() -> None:
        client = aio.Client(address)
        users = [asyncio.create_task(use(client)) for _ in range(USERS)]
        await asyncio.wait(users, timeout=seconds)
        await client.close()
        await asyncio.gather(*users)

    asyncio.run(main())


FACES = {"threads": close_threads, "asyncio": close_asyncio}


def closes(address: str, face: str, kind: str, count: int, random: Random) -> Counter[str]:
    """Close so many clients; what the next client finds after each."""
    found: Counter[str] = Counter()
    with consul_lock.Client(address) as client:
        for number in range(count):
            name = f"closing/{face}/{kind}/{random.getrandbits(40):x}/{number}"
            FACES[face](address, kind, name, random.uniform(0.0, LATEST))
            lock = KINDS[kind](consul_lock, name, client)
            if kind == "semaphore":
                free = lock.acquire(blocking=False, n=2)
            else:
                free = lock.acquire(blocking=False)
            found["free" if free else "not free"] += 1
            if free:
                lock.release()
    return found


def main(address: str, count: str) -> None:
    """Print what is found."""
    for face in FACES:
        for kind in KINDS:
            found = closes(address, face, kind, int(count), Random())
            sys.stdout.write(f"{face}, {kind}: {dict(found)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
