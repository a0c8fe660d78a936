"""The guardian: a process that stops the command if we are killed and cannot do it ourselves.

It has a pipe to us and waits at its other end.  The pipe ends when we do, however that is.
Without a goodbye it sends the command the first signal, and SIGKILL when its time is over.
If we have sent the first signal ourselves, it sees to it that SIGKILL comes in time, whether
we have ended or hang, such as on a stderr that nobody reads.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import struct
import sys
import time
from pathlib import Path
from typing import NoReturn

from consul_lock_cli import libc
from consul_lock_cli.group import Group, Target, target
from consul_lock_cli.manner import Manner
from consul_lock_cli.timing import now

NAME = "lock-guardian"
"""What ps -o comm and top call it."""

# A message is the moment at which SIGKILL is due.  Eight bytes are written at once or not at all.
_MOMENT = struct.Struct("d")
_GOODBYE = math.inf

# Seconds.  How often the guardian looks whether the command has ended.
_POLL = 0.05
# How long it tries to kill: what is left then is out of its reach, or dead but for the name.
_KILLING = 10.0
# How long it waits for us to kill, as long as we live: not to be the first.
_OURS = 0.1
# The end of the pipe comes a moment before the end of the process that had it.
_DYING = 1.0

# Who takes on other rights gets no signal from the kernel when its parent dies.
_RIGHTS = (b"Uid:", b"Gid:", b"CapPrm:")


class Guardian:
    """Watches over the command whose first process is ``pid``, from now to `dismiss`.

    To be made by whoever started the command, before it has any threads.
    """

    def __init__(self, pid: int, manner: Manner) -> None:
        listen, self._pipe = os.pipe()
        us = os.getpid()
        try:
            self.pid = os.fork()
        except OSError:
            os.close(listen)
            os.close(self._pipe)
            raise
        if self.pid == 0:
            _guard(pid, manner, us, listen)
        os.close(listen)

    def expect(self, kill_at: float) -> None:
        """Tell it that the command has been sent the first signal, and when SIGKILL is due."""
        if self._pipe >= 0:
            # If it was killed itself, there is nothing to be done about it.
            with contextlib.suppress(BrokenPipeError):
                os.write(self._pipe, _MOMENT.pack(kill_at))

    def dismiss(self) -> None:
        """The command has ended, or will not start: so does the guardian."""
        if self._pipe >= 0:
            self.expect(_GOODBYE)
            os.close(self._pipe)
            self._pipe = -1


# -- its own process ----------------------------------------------------------------------


def _guard(pid: int, manner: Manner, parent: int, pipe: int) -> NoReturn:
    try:
        # No key at the terminal is meant for it, and nobody waits for the end of its stdout.
        os.setpgid(0, 0)
        _close_all_but(pipe)
        libc.name_process(NAME)
        # Now, as its pid may be somebody else's when we come to act.
        command = target(pid, foreground=manner.foreground)
        kill_at = _listen(pipe)
        if kill_at != _GOODBYE:
            _stop(command, pid, manner, parent, kill_at)
    except BaseException:  # noqa: BLE001 - nobody is left to be told
        os._exit(1)
    os._exit(0)


def _close_all_but(pipe: int) -> None:
    try:
        opened = [int(name) for name in os.listdir("/dev/fd")]  # noqa: PTH208 - names are all
    except OSError:
        opened = list(range(256))
    for descriptor in opened:
        if descriptor != pipe:
            # The one that listed them is closed already.
            with contextlib.suppress(OSError):
                os.close(descriptor)


def _listen(pipe: int) -> float | None:
    """The last moment that was told before the pipe ended, or was over; None: there was none."""
    told = None
    heard = select.poll()
    heard.register(pipe, select.POLLIN)
    while told is None or now() < told + _OURS:
        if heard.poll(None if told is None else 1000 * (told + _OURS - now())):
            message = os.read(pipe, _MOMENT.size)
            if not message:
                break
            (told,) = _MOMENT.unpack(message)
            if told == _GOODBYE:
                break
    return told


def _stop(command: Target, leader: int, manner: Manner, parent: int, kill_at: float | None) -> None:
    if kill_at is None:
        kill_at = now() + manner.kill_after
        _wait_for_the_end_of(parent)
        _tell(command, leader, manner.stop_signal)
    end = max(kill_at, now()) + _KILLING
    while not command.empty() and now() < end:
        if now() >= kill_at:
            command.signal(signal.SIGKILL)
        time.sleep(_POLL)


def _wait_for_the_end_of(parent: int) -> None:
    end = now() + _DYING
    while os.getppid() == parent and now() < end:
        time.sleep(0.001)


def _tell(command: Target, leader: int, signum: int) -> None:
    """Send the first signal to each who has not got it from the kernel.

    To many a program a second one says: never mind the tidying up.
    """
    if sys.platform != "linux":
        command.signal(signum)
    elif isinstance(command, Group):
        told = {leader} if _told_by_kernel(leader) else set()
        # A member may fork just now, so we look until nobody is new.
        while new := set(command.members()) - told:
            for pid in new:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signum)
            told |= new
    elif not _told_by_kernel(leader):
        command.signal(signum)
    # What is stopped must run to see it.
    command.signal(signal.SIGCONT)


def _told_by_kernel(leader: int) -> bool:
    return _rights(leader) == _rights(os.getpid())


def _rights(pid: int) -> list[bytes]:
    try:
        lines = Path(f"/proc/{pid}/status").read_bytes().splitlines()
    except OSError:
        return []
    return [line for line in lines if line.startswith(_RIGHTS)]
