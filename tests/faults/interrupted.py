"""A process that takes and releases a lock until Ctrl-C; for each line of its input once more.

Run with ``-m``, an address and a name.
"""

from __future__ import annotations

import signal
import sys

from consul_lock import Client, Lock


def say(word: str) -> None:
    """Tell the test."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def interrupted(lock: Lock) -> None:
    """Until a KeyboardInterrupt, wherever it strikes."""
    try:
        say("begun")
        while True:
            lock.acquire()
            lock.release()
    except KeyboardInterrupt:
        pass  # what this process is for
    if lock.held:
        # It struck after acquire had done its work, on its way back to us.
        lock.release()


def main(address: str, name: str) -> None:
    """One round for each line."""
    # Whoever is started in the background by a shell ignores it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with Client(address) as client:
        # One for all rounds: an exception that strikes in a __del__ is swallowed by Python.
        lock = Lock(name, client=client, lock_delay=1)
        say("ready")
        while sys.stdin.readline():
            interrupted(lock)
            say("cut")


if __name__ == "__main__":
    main(*sys.argv[1:])
