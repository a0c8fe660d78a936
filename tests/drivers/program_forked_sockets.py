"""A process that forks while its client uses connections in every way.

Run with ``-m``, "threads" or "asyncio", an address and perhaps the file of a CA.  Its child ends
as a program ends, with all that the interpreter says then; what both saw is printed as JSON.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import math
import os
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from consul_lock import Client, ConsulLockError, Lock, aio
from tests.support.waiting import eventually, eventually_async

# That some of its servers do not answer is said in the log, and is no matter of a fork.
logging.getLogger("consul_lock").addHandler(logging.NullHandler())

NAME = "drivers/forked-sockets"

SOCKETS = 4
"""At least: one of the holder, a long poll, one that is being made and one without an answer."""


def sockets() -> set[str]:
    """Every socket of this process."""
    found = set[str]()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # that of the list itself
            found.add(str(descriptor.readlink()))
    return {target for target in found if target.startswith("socket:")}


def deaf(stack: ExitStack, *, full: bool) -> str:
    """Where nobody answers; ``full``: nor is a connection made."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    while full:
        filler = stack.enter_context(socket.socket())
        filler.settimeout(0.2)
        try:
            filler.connect(listener.getsockname())
        except TimeoutError:
            break
    return f"127.0.0.1:{listener.getsockname()[1]}"


def fork(look: Callable[[], set[str]]) -> dict[str, Any]:
    """What a child has left of the sockets, and how it ended."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        gc.collect()
        with os.fdopen(writer, "w") as out:
            json.dump(sorted(look()), out)
        sys.exit(0)
    os.close(writer)
    with os.fdopen(reader) as said:
        left = json.loads(said.read())
    return {"left": left, "status": os.waitpid(child, 0)[1]}


def threads(
    options: list[dict[str, Any]], before: set[str], hang_up: Callable[[], None]
) -> dict[str, Any]:
    """With the API of threads."""

    def look() -> set[str]:
        return sockets() - before

    clients = [Client(**each) for each in options]
    holder, waiter = clients[:2]
    holds = [Lock(NAME, client=holder), Lock(f"{NAME}/idle", client=waiter)]
    for lock in holds:
        lock.acquire()
    calls = list[threading.Thread]()
    for client in clients[1:]:

        def call(client: Client = client) -> None:
            try:
                with Lock(NAME, client=client):
                    pass
            except ConsulLockError:
                pass  # nobody answers there

        calls.append(threading.Thread(target=call))
        calls[-1].start()
    eventually(lambda: len(look()) >= SOCKETS and holds[0].waiters())
    open_before = look()
    seen = fork(look)
    seen["parent"] = [lock.locked() for lock in holds], open_before <= look()
    for lock in holds:
        lock.release()
    calls[0].join()
    hang_up()
    for client in clients:
        client.close()
    return seen


def on_a_loop(
    options: list[dict[str, Any]], before: set[str], hang_up: Callable[[], None]
) -> dict[str, Any]:
    """With the API of asyncio; the loop does not run while its process forks."""

    def look() -> set[str]:
        return sockets() - before

    async def call(client: aio.Client) -> None:
        try:
            async with aio.Lock(NAME, client=client):
                pass
        except ConsulLockError:
            pass  # nobody answers there

    clients = [aio.Client(**each) for each in options]
    holds = [aio.Lock(NAME, client=clients[0]), aio.Lock(f"{NAME}/idle", client=clients[1])]
    calls = list[asyncio.Task[None]]()

    async def begin() -> None:
        for lock in holds:
            await lock.acquire()
        calls.extend(asyncio.create_task(call(client)) for client in clients[1:])
        await eventually_async(lambda: len(look()) >= SOCKETS)
        while not await holds[0].waiters():
            pass

    async def end() -> tuple[list[bool], bool]:
        parent = [await lock.locked() for lock in holds], open_before <= look()
        for lock in holds:
            await lock.release()
        await calls[0]
        hang_up()
        for client in clients:
            await client.close()
        await asyncio.gather(*calls)
        return parent

    loop = asyncio.new_event_loop()
    loop.slow_callback_duration = math.inf  # of no interest on a busy machine
    before |= sockets()
    loop.run_until_complete(begin())
    open_before = look()
    seen = fork(look)
    seen["parent"] = loop.run_until_complete(end())
    loop.close()
    return seen


def main(api: str, address: str, ca: str | None = None) -> None:
    """Fork, wait for the child, and go on as if nothing had been."""
    scheme = address.partition(":")[0]
    with ExitStack() as stack:
        deaf_ones = [f"{scheme}://{deaf(stack, full=full)}" for full in (False, True)]
        options: list[dict[str, Any]] = [
            {"address": each, "ca_cert": ca, "connect_timeout": 60.0}
            for each in (address, address, *deaf_ones)
        ]
        play = threads if api == "threads" else on_a_loop
        # Those that do not answer are gone before the end, which would wait for them.
        json.dump(play(options, sockets(), stack.close), sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
