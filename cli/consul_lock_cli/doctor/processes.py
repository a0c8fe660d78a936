"""Checks whether processes end with consul-lock: a command must not outlive its lock."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.doctor.context import DoctorContext
from consul_lock_cli.doctor.finding import Finding, Trouble, ok, skip, warn
from consul_lock_cli.process import libc
from consul_lock_cli.process.child import Child
from consul_lock_cli.process.signals import Signals
from consul_lock_cli.spec.process import ProcessPolicy

# Seconds for the end of a process: milliseconds do, unless it never comes.
_DEATH = 5.0

# Seconds.  The guardian's KILL comes so late, as a command has some time to stop.
_GRACE = 0.1


def processes(context: DoctorContext) -> Finding:
    """The kernel ends a process with its parent, if that was asked for."""
    if sys.platform != "linux":
        return skip("only Linux can end a process with its parent")
    if _ends(_with_a_child_that_asks):
        return ok("a process ends with its parent")
    return warn(
        "a process does not end with its parent (PR_SET_PDEATHSIG has no effect)",
        "is this an emulated or sandboxed kernel? its command may outlive a killed consul-lock",
    )


def guardian(context: DoctorContext) -> Finding:
    """The guardian of a wrapper that was killed stops a command with the default signals."""
    if _ends(_with_a_guarded_child):
        return ok("a guardian stops the command when consul-lock is killed")
    return warn(
        "a guardian does not stop the command that it guards",
        "can processes here send signals? its command may outlive a killed consul-lock",
    )


def _with_a_child_that_asks(leash: int, tell: int) -> None:
    parent = os.getpid()
    if os.fork() == 0:
        libc.die_with_parent(signal.SIGKILL)
        if os.getppid() == parent:
            os.write(tell, b"ready")
    else:
        os.close(tell)
    os.read(leash, 1)


def _with_a_guarded_child(leash: int, tell: int) -> None:
    for descriptor in (leash, tell):
        os.set_inheritable(descriptor, True)
    # The command says that it runs: one that does not yet would end with its parent in any case.
    script = f"import os; os.write({tell}, b'ready'); os.read({leash}, 1)"
    waiting = [sys.executable or "python3", "-S", "-c", script]
    nothing = Signals(frozenset(), frozenset())
    Child(waiting, nothing, policy=ProcessPolicy(kill_after=_GRACE)).go({})
    os.close(tell)
    os.read(leash, 1)


def _ends(family: Callable[[int, int], None]) -> bool:
    """Whether the child of a process ends when that is killed.

    ``family`` becomes both, says "ready" into its second pipe, which only the child then has,
    and waits at the first one.
    """
    # This process reaps all descendants: no other may.
    libc.adopt_orphans()
    try:
        told, tell = os.pipe()
        leash, hold = os.pipe()
        parent = os.fork()
    except OSError as error:
        raise Trouble(
            f"no process can be started: {error.strerror}",
            "see 'ulimit -a', and the limits of the container or the service",
            ExitCode.CONFIG,
        ) from error
    if parent == 0:
        os.close(told)
        os.close(hold)
        _become(family, leash, tell)
    os.close(leash)
    os.close(tell)
    try:
        ready = select.select([told], [], [], _DEATH)[0] and os.read(told, 5)
        os.kill(parent, signal.SIGKILL)
        return bool(ready) and bool(select.select([told], [], [], _DEATH)[0])
    finally:
        # A process that still lives sees this, and ends.
        os.close(hold)
        os.close(told)
        _reap()


def _become(family: Callable[[int, int], None], leash: int, tell: int) -> NoReturn:
    with contextlib.suppress(BaseException):
        family(leash, tell)
    os._exit(0)


def _reap() -> None:
    """All were asked to end: take their status, so that no zombie is left."""
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
