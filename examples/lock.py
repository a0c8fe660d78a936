"""Hold a lock while something is done; see who has it if it is taken."""

from __future__ import annotations

from consul_lock import Client, Lock, LockTimeout

with Client() as client:
    lock = Lock("examples/lock", client=client, meta={"why": "an example"})
    try:
        with lock(timeout=30):
            print("mine, with the token", lock.token)
            print("others see:", lock.holder())
    except LockTimeout as error:
        print("not in 30 seconds; it is held by", error.holder)
