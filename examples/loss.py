"""What happens when a lock is lost: here its session is destroyed, as an operator might."""

from __future__ import annotations

import urllib.request

from consul_lock import Client, Lock, LockLost

with Client() as client:
    lock = Lock(
        "examples/loss",
        client=client,
        watch=True,
        on_lost=lambda reason: print("told at once:", reason.value),
    )
    try:
        with lock:
            url = f"{client.config.origin}/v1/session/destroy/{lock.session_id}"
            urllib.request.urlopen(urllib.request.Request(url, method="PUT"), timeout=10).close()
            lock.lost.wait(timeout=10)
            print("held:", lock.held)
    except LockLost as error:
        print("the block ended with:", error.reason.value)
