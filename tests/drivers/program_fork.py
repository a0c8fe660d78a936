"""A process that forks while it holds a lock; run with ``-m`` and an address.

It prints what child and parent saw, as JSON.  With "default" in place of an address it forks
while another thread makes the default client; with "unheard" after the address, the library does
not hear of the fork, as of one that C makes.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import sys
import threading
import time
import warnings
from typing import Any

if sys.argv[2:] == ["unheard"]:
    os.register_at_fork = lambda **_: None

from consul_lock import Client, ConsulLockError, Lock
from consul_lock._blocking.client import _default

NAME = "drivers/fork"


def seen_by_child(client: Client, lock: Lock, before: Lock) -> dict[str, Any]:
    """What the lock of the parent is here, and whether others can be acquired: one made here,
    and one made before."""
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
    seen["own"] = []
    for own in (before, Lock(f"{NAME}/other", client=client)):
        with own:
            holder = own.holder()
            seen["own"].append(holder is not None and holder.pid == os.getpid())
    seen["parents"] = Lock(NAME, client=client).acquire(timeout=0)
    client.close()
    return seen


def main(address: str) -> None:
    """Fork, wait for the children, and go on as if nothing had been."""
    reader, writer = os.pipe()
    client = Client(address)
    with client:
        lock, before = Lock(NAME, client=client), Lock(f"{NAME}/before", client=client)
        lock.acquire()
        if os.fork() == 0:
            with os.fdopen(writer, "w") as out:
                json.dump(seen_by_child(client, lock, before), out)
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as said:
            child = json.loads(said.read())
        os.wait()
        if os.fork() == 0:
            # Ends as a program does, with all that is called then, and has asked for nothing.
            atexit._run_exitfuncs()
            os._exit(0)
        os.wait()
        lock.ensure_held()
        parent = {"held": lock.held, "holder": lock.holder() is not None}
        lock.release()
        parent["locked"] = lock.locked()
    json.dump({"child": child, "parent": parent}, sys.stdout)


def default() -> None:
    """Fork while another thread makes the default client."""
    inside, go_on = threading.Event(), threading.Event()
    make = _default._make

    def slowly() -> Client:
        inside.set()
        go_on.wait()
        return make()

    _default._make = slowly  # for as long as it takes
    thread = threading.Thread(target=_default.get)
    thread.start()
    inside.wait()
    child = os.fork()
    if child == 0:
        _default._make = make
        _default.get()
        os._exit(0)
    ended = [(0, 0)]
    deadline = time.monotonic() + 60
    while ended[-1][0] == 0 and time.monotonic() < deadline:
        ended.append(os.waitpid(child, os.WNOHANG))
        threading.Event().wait(0.01)
    if ended[-1][0] == 0:
        os.kill(child, signal.SIGKILL)
    go_on.set()
    thread.join()
    json.dump({"child": "made its own" if ended[-1] == (child, 0) else "hangs"}, sys.stdout)


if __name__ == "__main__":
    if sys.argv[1] == "default":
        default()
    else:
        main(sys.argv[1])
