"""A process that ends in the middle of something; run with ``-m``, a way and an address.

It prints what it could do, and ends as a program does, with all that the interpreter says then.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


def last() -> None:
    """Called after everything that the library does at the end, as it was registered before."""
    try:
        consul_lock.Lock(f"{NAME}/last", client=CLIENTS[0]).acquire()
    except consul_lock.Unavailable:
        say("closed")


atexit.register(lambda: CLIENTS and last())

import consul_lock  # noqa: E402 - after what is called after it
from consul_lock import aio  # noqa: E402 - the same
from tests.support.waiting import eventually  # noqa: E402 - the same

NAME = "drivers/exit"

CLIENTS: list[consul_lock.Client] = []
"""Of the first of which `last` wants something."""

KEPT: list[object] = []
"""What a program has in its module: it lives until the end."""


def kept_client(address: str) -> consul_lock.Client:
    """A client that nobody closes."""
    KEPT.append(client := consul_lock.Client(address))
    return client


def kept_lock(client: consul_lock.Client) -> consul_lock.Lock:
    """A lock that is held, and that nobody releases."""
    KEPT.append(lock := consul_lock.Lock(NAME, client=client))
    lock.acquire()
    return lock


def say(word: str) -> None:
    """Tell the test."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def start(target: Callable[[], None], *, daemon: bool) -> threading.Thread:
    """A thread."""
    thread = threading.Thread(target=target, daemon=daemon)
    thread.start()
    return thread


def daemons(address: str) -> None:
    """Daemon threads wait for what this thread holds, and others take and release."""
    client = kept_client(address)
    kept_lock(client)
    rounds = list[int]()

    def wait() -> None:
        with consul_lock.Lock(NAME, client=client):
            say("never")

    def work() -> None:
        while True:
            with consul_lock.Lock(f"{NAME}/busy", client=client):
                rounds.append(1)

    for each in (wait, wait, work, work):
        start(_quiet(each), daemon=True)
    eventually(lambda: len(rounds) > 20)  # in the middle of it, wherever that is


def _quiet(work: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        try:
            work()
        except consul_lock.ConsulLockError:
            pass  # the client is closed

    return run


def thread(address: str) -> None:
    """A thread that is no daemon works on under its lock, and it counts until it is done."""
    client = kept_client(address)
    main = threading.main_thread()

    def work() -> None:
        with consul_lock.Lock(NAME, client=client) as lock:
            began.set()
            main.join()
            lock.ensure_held()
            say(f"held={lock.held}")

    began = threading.Event()
    start(work, daemon=False)
    began.wait()


def at_exit(address: str) -> None:
    """A function that is called at the end takes a lock, before clients are closed; so does one
    that is called after that, in vain."""
    client = kept_client(address)
    CLIENTS.append(client)

    def finish() -> None:
        with consul_lock.Lock(NAME, client=client) as lock:
            say(f"held={lock.held}")

    atexit.register(finish)


def finalizer(address: str) -> None:
    """A finalizer releases, at the end."""
    lock = kept_lock(kept_client(address))
    holder = threading.current_thread()
    weakref.finalize(holder, lock.release)


def pool(address: str) -> None:
    """The threads of a pool that nobody shuts down have work left."""
    client = kept_client(address)

    def work(number: int) -> None:
        with consul_lock.Lock(NAME, client=client):
            say(str(number))

    executor = ThreadPoolExecutor(4)
    for number in range(12):
        executor.submit(work, number)


def program(address: str) -> None:
    """Another program is started while it holds, with everything that can be inherited."""
    client = kept_client(address)
    with consul_lock.Lock(NAME, client=client):
        look = "import os; print(sum(os.readlink(f'/proc/self/fd/{d}').startswith('socket:')"
        look += " for d in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{d}')))"
        run = subprocess.run(
            [sys.executable, "-c", look],
            close_fds=False, capture_output=True, text=True, check=True,
        )  # fmt: skip
        say(run.stdout.strip())


def _loop(address: str) -> None:
    async def hold(name: str, client: aio.Client) -> None:
        async with aio.Lock(name, client=client):
            await asyncio.Event().wait()

    async def main() -> None:
        KEPT.append(client := aio.Client(address))
        tasks = [
            asyncio.create_task(hold(name, client), name=name) for name in (NAME, NAME, f"{NAME}/2")
        ]
        KEPT.append(looker := aio.Lock(NAME, client=client))
        while not await looker.locked():
            pass
        await asyncio.wait(tasks, timeout=0.01)

    asyncio.run(main())


def loop(address: str) -> None:
    """A loop ends while its tasks hold and wait."""
    _loop(address)


def uvloop(address: str) -> None:
    """One of uvloop."""
    import uvloop as other

    asyncio.set_event_loop_policy(other.EventLoopPolicy())
    _loop(address)


def child(address: str) -> None:
    """A forked child ends first, as a program does; and one that holds something of its own."""
    lock = kept_lock(kept_client(address))
    for own in (False, True):
        pid = os.fork()
        if pid == 0:
            if own:
                KEPT.append(other := consul_lock.Lock(f"{NAME}/own", client=lock._client))
                other.acquire()
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    eventually(lambda: lock.held)
    say(f"held={lock.held} locked={lock.locked()}")


WAYS = {
    "daemons": daemons,
    "thread": thread,
    "at_exit": at_exit,
    "finalizer": finalizer,
    "pool": pool,
    "program": program,
    "loop": loop,
    "uvloop": uvloop,
    "child": child,
}

if __name__ == "__main__":
    WAYS[sys.argv[1]](sys.argv[2])
