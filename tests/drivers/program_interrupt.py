"""A process that waits for a lock until Ctrl-C; run with ``-m``, an address and a way to wait.

"line" waits in Consul's line; "process" behind another thread of this very process; "handler" in
Consul's line, with a handler of SIGTERM that closes the client and leaves.
"""

from __future__ import annotations

import signal
import sys
import threading

from consul_lock import Client, Lock
from tests.support.waiting import eventually

NAME = "drivers/interrupted"


def hold(lock: Lock, held: threading.Event, enough: threading.Event) -> None:
    """Another thread of this process that has the lock."""
    with lock:
        held.set()
        enough.wait()


def closing(client: Client) -> None:
    """What a careful handler does."""
    client.close()
    sys.stdout.write("closed\n")
    sys.exit(7)


def say_waiting(client: Client, way: str) -> None:
    """Tell the test, when it is in the local queue behind the other thread."""
    queues = client._core.local_queues._queues
    eventually(lambda: way != "process" or any(queue.waiting for queue in [*queues.values()]))
    sys.stdout.write("waiting\n")
    sys.stdout.flush()


def main(address: str, way: str) -> None:
    """Wait, be interrupted, and say what is left."""
    held, enough = threading.Event(), threading.Event()
    with Client(address) as client:
        lock = Lock(NAME, client=client)
        if way == "handler":
            signal.signal(signal.SIGTERM, lambda *_: closing(client))
        holder = threading.Thread(target=hold, args=(lock, held, enough))
        if way == "process":
            holder.start()
            held.wait()
        tell = threading.Thread(target=say_waiting, args=(client, way))
        try:
            tell.start()
            lock.acquire()
        except KeyboardInterrupt:
            sys.stdout.write(f"interrupted held={lock.held and way != 'process'}\n")
            sys.stdout.flush()
        sys.stdin.readline()
        enough.set()
        if way == "process":
            holder.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
