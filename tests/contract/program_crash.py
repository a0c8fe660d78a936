"""A process that holds a lock until it is killed; run with ``-m``.

It is given an address, a name, the face, and the seconds of its heartbeat, lock-delay and TTL; it
prints its session when it holds the lock, and the reason when it has lost it.
"""

from __future__ import annotations

import asyncio
import sys

import consul_lock
from consul_lock import aio


def say(what: str | None) -> None:
    """A line for the test."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def in_a_thread(address: str, name: str, options: dict[str, float]) -> None:
    """Hold it with the blocking face, and leave the client to the end of the interpreter."""
    client = consul_lock.Client(address)
    lock = consul_lock.Lock(name, client=client, **options)
    lock.acquire()
    say(lock.session_id)
    lock.lost.wait()
    say(lock.lost_reason and lock.lost_reason.name)


async def in_a_task(address: str, name: str, options: dict[str, float]) -> None:
    """Hold it with the face for asyncio, and leave the client to the end of the loop."""
    client = aio.Client(address)
    lock = aio.Lock(name, client=client, **options)
    await lock.acquire()
    say(lock.session_id)
    await lock.lost.wait()
    say(lock.lost_reason and lock.lost_reason.name)


def main(address: str, name: str, face: str, heartbeat: str, lock_delay: str, ttl: str) -> None:
    """Hold it."""
    options = {"heartbeat": float(heartbeat), "lock_delay": float(lock_delay), "ttl": float(ttl)}
    if face == "asyncio":
        asyncio.run(in_a_task(address, name, options))
    else:
        in_a_thread(address, name, options)


if __name__ == "__main__":
    main(*sys.argv[1:])
