"""What happens when a lock is lost: here its session is destroyed, as an operator might."""

from __future__ import annotations

import queue
import urllib.request

from consul_lock import Client, Lock, LockLost, LossReason

# A thread of the client calls on_lost: it hands the news over, and the main thread prints them.
losses: queue.Queue[LossReason] = queue.Queue()

with Client() as client:
    lock = Lock("examples/loss", client=client, watch=True, on_lost=losses.put)
    try:
        with lock:
            url = f"{client.config.origin}/v1/session/destroy/{lock.session_id}"
            urllib.request.urlopen(urllib.request.Request(url, method="PUT"), timeout=10).close()
            print("lost:", losses.get(timeout=10).value)
            print("held:", lock.held)
    except LockLost as error:
        print("the block ended with:", error.reason.value)
