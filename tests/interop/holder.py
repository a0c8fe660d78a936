"""A process that holds a lock until it is killed; run with ``-m``, an address and a name."""

from __future__ import annotations

import signal
import sys

from consul_lock import Client, Lock


def main(address: str, name: str) -> None:
    """Acquire, say so, and wait to be killed."""
    lock = Lock(name, client=Client(address), ttl=10, lock_delay=1)
    lock.acquire()
    sys.stdout.write(f"{lock.session_id}\n")
    sys.stdout.flush()
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
