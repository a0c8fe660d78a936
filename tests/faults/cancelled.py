"""Tasks that are cancelled at random moments while they acquire, wait or release.

``python -m tests.faults.cancelled ADDRESS 3000`` cancels so many, and says what is left.
"""

from __future__ import annotations

import asyncio
import sys
from random import Random

from consul_lock import aio

# Seconds after which a task is cancelled, at most: some ten steps of acquire and release.
LATEST = 0.012

# Seconds: less than the lock-delay of these locks, which an acquire left to itself would cost.
_SOON = 10.0


async def _use(lock: aio.Lock) -> None:
    while True:
        await lock.acquire()
        try:
            await asyncio.sleep(0)
        finally:
            await lock.release()


async def cancel(address: str, count: int, random: Random, name: str) -> int:
    """Cancel so many; returns after how many of them another client had to wait."""
    waited = 0
    async with aio.Client(address) as other, aio.Client(address) as client:
        theirs, ours = aio.Lock(name, client=other), aio.Lock(name, client=client)
        for number in range(count):
            contended = number % 4 == 3
            if contended:
                await theirs.acquire()
            task = asyncio.create_task(_use(ours))
            await asyncio.wait({task}, timeout=random.uniform(0.0, LATEST))
            task.cancel()
            if random.random() < 0.3:
                await asyncio.wait({task}, timeout=random.uniform(0.0, 0.001))
                task.cancel()
            await asyncio.wait({task})
            if contended:
                await theirs.release()
            if ours.held:
                # It was cancelled in the turn of the loop in which the lock was acquired.
                await ours.release()
            if await theirs.acquire(timeout=_SOON):
                await theirs.release()
            else:
                waited += 1
    return waited


def main(address: str, count: str) -> None:
    """Print what is left."""
    random = Random()
    name = f"cancelled/{random.getrandbits(40):x}"
    waited = asyncio.run(cancel(address, int(count), random, name))
    sys.stdout.write(f"{count} cancellations: {waited} left the lock not free\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
