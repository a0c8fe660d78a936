"""What becomes of a slot when its holder vanishes: nobody gets it before the hold-off is over.

Consul imposes a lock-delay on the key of a lock, but none on the slot of a semaphore.  A holder
that was only cut off from Consul believes in its slot until its deadline, which is its
lock-delay at most; so whoever waits here waits for as long.
"""

from __future__ import annotations

import urllib.request

from consul_lock import Client, LockLost, Semaphore

LOCK_DELAY = 3.0


def vanish(client: Client, semaphore: Semaphore) -> None:
    """End its session, as a lost machine or an operator would."""
    url = f"{client.config.origin}/v1/session/destroy/{semaphore.session_id}"
    urllib.request.urlopen(urllib.request.Request(url, method="PUT"), timeout=10).close()


with Client() as one, Client() as other:
    holder = Semaphore("examples/hold-off", 1, client=one, lock_delay=LOCK_DELAY)
    waiter = Semaphore("examples/hold-off", 1, client=other, lock_delay=LOCK_DELAY)

    holder.acquire()
    vanish(one, holder)
    print("its slot is free at once:", waiter.acquire(timeout=0.5))
    print("and when the hold-off is over:", waiter.acquire())
    waiter.release()
    try:
        holder.release()
    except LockLost as error:
        print("the one that vanished was told:", error.reason.value)

    # Whoever knows that a vanished holder does no harm need not wait a minute for it.
    slow = Semaphore("examples/hold-off", 1, client=one, lock_delay=60)
    impatient = Semaphore("examples/hold-off", 1, client=other, lock_delay=60, hold_off=0)
    slow.acquire()
    vanish(one, slow)
    print("without a hold-off it is there within half of it:", impatient.acquire(timeout=30))
    impatient.release()
