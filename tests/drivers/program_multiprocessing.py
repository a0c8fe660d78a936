"""A process that holds a lock and has children of `multiprocessing`; run with ``-m``, "threads" or
"asyncio", a start method, and an address.

It prints what all of them saw, as JSON.  With "asyncio" its children begin while its loop runs.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from consul_lock import Client, Lock, aio

NAME = "drivers/multiprocessing"

held: Lock | aio.Lock | None = None
"""What the parent holds; a forked child has a copy."""

client: Client | None = None


def _sockets() -> set[str]:
    found = set[str]()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            found.add(str(descriptor.readlink()))
        except FileNotFoundError:
            continue  # that of the list itself
    return {target for target in found if target.startswith("socket:")}


def work(address: str, parents: set[str], name: str) -> dict[str, Any]:
    """What a child sees, and what it does with a lock of its own that all children want."""
    global client
    inherited = len(_sockets() & parents)
    own = client = client or Client(address)
    with Lock(f"{NAME}/{name}", client=own) as lock:
        holder = lock.holder()
    return {
        "held": held is not None and held.held,
        "own": holder is not None and holder.pid == os.getpid(),
        "token": lock.token,
        "inherited": inherited,
    }


def in_a_loop(*arguments: Any) -> dict[str, Any]:
    """The same, in a loop of the child's own."""

    async def main() -> dict[str, Any]:
        async with (
            aio.Client(arguments[0]) as own,
            aio.Lock(f"{NAME}/{arguments[2]}", client=own) as lock,
        ):
            holder = await lock.holder()
        return {"own": holder is not None and holder.pid == os.getpid(), "token": lock.token}

    return {**work(*arguments), **asyncio.run(main())}


def children(method: str, address: str, before: set[str]) -> list[dict[str, Any]]:
    """Several of a pool of each kind, and one alone."""
    context = multiprocessing.get_context(method)
    mine = _sockets() - before
    assert mine
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        futures = [executor.submit(work, address, mine, "executor") for _ in range(4)]
        seen = [future.result() for future in futures]
    with context.Pool(2) as pool:
        seen += pool.starmap(in_a_loop, [(address, mine, "pool")] * 4)
        pool.close()
        pool.join()
    process = context.Process(target=work, args=(address, mine, "process"))
    process.start()
    process.join()
    return [*seen, {"code": process.exitcode}]


def threads(method: str, address: str) -> dict[str, Any]:
    """With the API of threads."""
    global held
    before = _sockets()
    with Client(address) as own, Lock(NAME, client=own) as lock:
        held = lock
        seen = children(method, address, before)
        lock.ensure_held()
    return {"children": seen}


async def tasks(method: str, address: str) -> dict[str, Any]:
    """With that of asyncio."""
    global held
    before = _sockets()
    async with aio.Client(address) as own, aio.Lock(NAME, client=own) as lock:
        held = lock
        seen = children(method, address, before)
        lock.ensure_held()
    return {"children": seen}


if __name__ == "__main__":
    api, *rest = sys.argv[1:]
    result = threads(*rest) if api == "threads" else asyncio.run(tasks(*rest))
    json.dump(result, sys.stdout)
