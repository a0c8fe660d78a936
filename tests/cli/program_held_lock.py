"""A program: `consul-lock run` with a lock that is made up, and TERM at a chosen moment.

`python held.py MOMENT COMMAND...`: TERM comes while the lock is being ACQUIRED, or when it was
GRANTED and the command does not run yet; with LOST, its time is over then.  With STUCK it comes
from elsewhere, and Consul never answers the release.  What is done with the lock goes to stdout,
and how it ended to stderr.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import SimpleNamespace
from typing import Any, ClassVar

from consul_lock_cli.base.console import Console
from consul_lock_cli.process.child import Child
from consul_lock_cli.process.interrupt import Interrupted
from consul_lock_cli.process.signals import die_by, take_over
from consul_lock_cli.run import locked_command
from consul_lock_cli.run.locked_command import LockedCommand
from consul_lock_cli.run.status_file import StatusFile
from consul_lock_cli.spec.lock import LockSpec
from consul_lock_cli.spec.process import ProcessPolicy
from consul_lock_cli.spec.run import RunSpec


class MadeUp:
    """A lock and its client in one."""

    token = 1
    lost_reason = None
    renewal_error = None
    # Of the connection that it is, too.
    settings: ClassVar[dict[str, float]] = {"retry_for": 1.0}
    lost = threading.Event()
    # Whose sessions are reported to a guardian, which is not there.
    _core = SimpleNamespace(pool=SimpleNamespace())

    def __init__(self, moment: str) -> None:
        self.held = False
        self._moment = moment

    def place(self) -> str:
        return ""

    def client(self, *_: Any, **__: Any) -> MadeUp:
        return self

    def probe(self, *_: Any, **__: Any) -> None:
        """Consul is there."""

    def remaining(self) -> float:
        return 0.0 if self._moment == "LOST" else 3600.0

    def acquire(self, **_: Any) -> bool:
        self._reached("ACQUIRED")
        self.held = True
        return True

    @property
    def session_id(self) -> str:
        self._reached("GRANTED")
        return "a-session"

    def release(self) -> None:
        self._reached("RELEASING")
        # As long as an answer of Consul may take.
        threading.Event().wait(3600 if self._moment == "STUCK" else 0.3)
        self.held = False
        self._reached("RELEASED")

    def close(self) -> None:
        self._reached("CLOSED")

    def _reached(self, moment: str) -> None:
        os.write(1, f"{moment}\n".encode())
        if moment == self._moment:
            os.kill(os.getpid(), signal.SIGTERM)


class MadeUpLockedCommand(LockedCommand):
    """Not even the library is needed."""

    def _lock(self, client: Any, lease: Any) -> Any:
        lease.watch(client)
        return client


def main(moment: str, *command: str) -> None:
    """As `consul_lock_cli.commands.run` and `main` do it."""
    run_spec = RunSpec(LockSpec(("k",)))
    if moment == "STUCK":
        locked_command.LEAVING = 0.1  # the least that shows it
    ours = take_over()
    child = Child(command, ours, policy=ProcessPolicy(guardian=False))
    made_up: Any = MadeUp(moment)
    try:
        done = MadeUpLockedCommand(
            run_spec, command, made_up, Console(), ours, StatusFile()
        ).around(child)
        child.abandon()
        sys.exit(done.code)
    except Interrupted as stop:
        child.abandon()
        die_by(stop.signum)


if __name__ == "__main__":
    main(*sys.argv[1:])
