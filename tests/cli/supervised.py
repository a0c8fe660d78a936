"""A program: supervise a command under a lease that is made up.

`python supervised.py LEFT LOST_AFTER KILL_AFTER COMMAND...`: the lease has LEFT seconds, is
never renewed, and is known to be lost after LOST_AFTER seconds.  The last line of stderr says
how it ended.
"""

from __future__ import annotations

import signal
import sys
import threading
import time

from consul_lock_cli.child import Child
from consul_lock_cli.ending import pass_on
from consul_lock_cli.signals import WAKE, take_over
from consul_lock_cli.supervise import Supervisor
from consul_lock_cli.talk import Talk


class MadeUp:
    """A lease that ends when it is told to."""

    def __init__(self, left: float, lost_after: float) -> None:
        start = time.monotonic()
        self._end, self._lost = start + left, start + lost_after
        if lost_after < left:
            main = threading.get_ident()
            wake = threading.Timer(lost_after, lambda: signal.pthread_kill(main, WAKE))
            wake.daemon = True
            wake.start()

    def remaining(self) -> float:
        return max(0.0, self._end - time.monotonic())

    def lost(self) -> bool:
        return time.monotonic() >= self._lost


def main(left: str, lost_after: str, kill_after: str, *command: str) -> int:
    """Supervise, tell, and pass on."""
    ours = take_over()
    child = Child(command, ours)
    lease = MadeUp(float(left), float(lost_after))
    supervisor = Supervisor(child, lease, ours, kill_after=float(kill_after))
    ended = supervisor.run({"SUPERVISED": "yes"})
    print(f"{ended.code} lost={ended.lost}", file=sys.stderr, flush=True)  # noqa: T201 - a program
    return pass_on(ended, command[0], Talk())


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
