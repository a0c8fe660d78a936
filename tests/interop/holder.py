"""A process that holds a lock, or slots, until it is ended.

Run with ``-m``: an address and a name; for slots also a limit, how many, and "threads" or
"asyncio".  TERM ends it in order, with 143; it prints its session as soon as it holds.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any

import consul_lock
from consul_lock import aio

TTL, LOCK_DELAY = 10.0, 6.0

ENDED = 128 + signal.SIGTERM


def main(address: str, name: str, limit: str = "", n: str = "1", face: str = "threads") -> None:
    """Acquire, say so, and wait for a KILL or a TERM."""
    if face == "asyncio":
        asyncio.run(_in_a_task(address, name, int(limit), int(n)))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(ENDED))
    times: dict[str, Any] = {"ttl": TTL, "lock_delay": LOCK_DELAY}
    with consul_lock.Client(address) as client:
        if limit:
            slots = consul_lock.Semaphore(name, int(limit), client=client, **times)
            slots.acquire(n=int(n))
            _say(slots.session_id)
        else:
            lock = consul_lock.Lock(name, client=client, **times)
            lock.acquire()
            _say(lock.session_id)
        signal.pause()


async def _in_a_task(address: str, name: str, limit: int, n: int) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        async with aio.Client(address) as client:
            slots = aio.Semaphore(name, limit, client=client, ttl=TTL, lock_delay=LOCK_DELAY)
            await slots.acquire(n=n)
            _say(slots.session_id)
            await asyncio.Event().wait()
    except asyncio.CancelledError:
        sys.exit(ENDED)


def _say(session: str | None) -> None:
    sys.stdout.write(f"{session}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
