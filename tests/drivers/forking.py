"""A process that forks while it holds a lock; run with ``-m`` and an address.

It prints what child and parent saw, as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import warnings
from typing import Any

from consul_lock import Client, ConsulLockError, Lock

NAME = "drivers/fork"


def seen_by_child(client: Client, lock: Lock) -> dict[str, Any]:
    """What the lock of the parent is here, and whether one of our own can be had."""
    seen: dict[str, Any] = {
        "held": lock.held,
        "remaining": lock.remaining(),
        "lost": lock.lost.is_set(),
        "reason": lock.lost_reason and lock.lost_reason.name,
        "threads": threading.active_count(),
    }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        lock.release()
    seen["warnings"] = [(w.category.__name__, w.filename, str(w.message)) for w in caught]
    try:
        lock.ensure_held()
    except ConsulLockError as error:
        seen["ensure_held"] = type(error).__name__
    other = Lock(f"{NAME}/other", client=client)
    with other:
        holder = other.holder()
        seen["own"] = holder is not None and holder.pid == os.getpid()
    seen["parents"] = Lock(NAME, client=client).acquire(timeout=0)
    client.close()
    return seen


def main(address: str) -> None:
    """Fork, wait for the child, and go on as if nothing had been."""
    reader, writer = os.pipe()
    with Client(address) as client:
        lock = Lock(NAME, client=client)
        lock.acquire()
        if os.fork() == 0:
            with os.fdopen(writer, "w") as out:
                json.dump(seen_by_child(client, lock), out)
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as said:
            child = json.loads(said.read())
        os.wait()
        lock.ensure_held()
        parent = {"held": lock.held, "holder": lock.holder() is not None}
        lock.release()
        parent["locked"] = lock.locked()
    json.dump({"child": child, "parent": parent}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
