"""A process that takes and releases a lock until Ctrl-C; for each line of its input once more.

Run with ``-m``, an address, a name, and how many interrupts come in a burst.  With "end" it ends
like a script that was interrupted, instead of saying so: nothing of it closes the client.
"""

from __future__ import annotations

import signal
import sys
from time import monotonic
from types import FrameType

from consul_lock import Client, Lock, NotHeld

# Seconds after which no more of a burst comes: two signals that are pending at once are one.
_ALL = 0.05


class Interrupts:
    """As Python's own handler, and counts."""

    def __init__(self, burst: int) -> None:
        self.burst = burst
        self.came = 0
        self.first = 0.0
        signal.signal(signal.SIGINT, self._struck)

    def _struck(self, number: int, frame: FrameType | None) -> None:
        if self.over:
            return  # of a machine that is busy: it comes when all is over
        self.came += 1
        self.first = self.first or monotonic()
        raise KeyboardInterrupt

    @property
    def over(self) -> bool:
        """All of this burst have struck."""
        return self.came >= self.burst or 0.0 < self.first < monotonic() - _ALL


def say(word: str) -> None:
    """Tell the test."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def let_go(lock: Lock) -> None:
    """It may have struck after acquire had done its work, before its result arrived here."""
    if lock.held:
        try:
            lock.release()
        except NotHeld:
            pass  # the second one ended the wait for the clean-up, which was quicker


def use(lock: Lock, interrupts: Interrupts) -> None:
    """Take and release it until all have struck, wherever they do."""
    while not interrupts.over:
        let_go(lock)
        if lock.acquire(timeout=_ALL if interrupts.came else None):
            lock.release()


def interrupted(lock: Lock, interrupts: Interrupts) -> None:
    """One round."""
    interrupts.came, interrupts.first = 0, 0.0
    try:
        _until_over(lock, interrupts)
    except KeyboardInterrupt:
        pass  # the last one struck between two tries
    let_go(lock)


def _until_over(lock: Lock, interrupts: Interrupts) -> None:
    said = False
    while not interrupts.over:
        try:
            if not said:
                said = True
                say("begun")
            use(lock, interrupts)
        except KeyboardInterrupt:
            pass  # what this process is for


def rounds(address: str, name: str, burst: int) -> None:
    """One for each line."""
    interrupts = Interrupts(burst)
    with Client(address) as client:
        # One for all rounds: an exception that strikes in a __del__ is swallowed by Python.
        lock = Lock(name, client=client, lock_delay=10)
        say("ready")
        while sys.stdin.readline():
            interrupted(lock, interrupts)
            say("cut")


def script(address: str, name: str) -> None:
    """Ends with the first interrupt, as a script does that nobody has prepared for it."""
    # A process that a shell starts in the background ignores it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    lock = Lock(name, client=Client(address), lock_delay=30)
    lock.acquire()
    lock.release()
    say("ready")
    sys.stdin.readline()
    say("begun")
    while True:
        lock.acquire()
        lock.release()


if __name__ == "__main__":
    if sys.argv[3:] == ["end"]:
        script(*sys.argv[1:3])
    else:
        rounds(*sys.argv[1:3], burst=int(sys.argv[3]))
