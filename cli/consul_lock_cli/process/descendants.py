"""The processes that come from one process, by the word of /proc: whom a signal can reach.

What a command starts may leave its process group (`timeout`, ``set -m``) and its session
(`setsid`, `su -c`), but not its ancestors: whose own parent ends is given to the nearest ancestor
that adopts orphans, which is the guardian or consul-lock itself.  So everything that a command
has started is found by going from parent to child.

/proc is read process by process while they fork and end, so a look may miss one: a child
that was read before its parent ended, whose new parent it does not name.  Nor does it show all
of them to everybody (``hidepid``).  So it only says whom to signal, and is read again; whether
anybody is left is decided by waitpid, see `consul_lock_cli.process.parent`.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import NamedTuple

LINUX = sys.platform == "linux"

# Dead but for the name: they cannot do anything.
_DEAD = frozenset("ZX")

# Runs, or waits for something that a signal can interrupt.
_ACTIVE = frozenset("RS")

# The signals that stop a process, as /proc shows those that are pending.
_STOPPING = sum(
    1 << (signum - 1) for signum in (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
)


class Process(NamedTuple):
    """One process, as it was when it was looked at."""

    pid: int
    state: str
    """The letter of /proc: R, S, D, T, Z ...; empty: it is hidden from this user.  It is that of
    the first thread, or of another one if that has ended."""
    parent: int = 0
    group: int = 0
    session: int = 0
    start: str | None = None
    """When it was started, in ticks of the kernel: no two processes that have the same pid one
    after the other have the same start.  None: unknown."""

    @property
    def dead(self) -> bool:
        """It has ended, and its parent has not asked for its status."""
        return self.state in _DEAD

    @property
    def hidden(self) -> bool:
        """It is there, and nothing else is known of it."""
        return not self.state

    def works(self) -> bool:
        """Whether it does something now, or waits for something: it has not been stopped.

        Uninterruptible (D), it may be about to stop: then the signal is pending.  If it is not,
        the process was continued, such as a shell between fork and exec: it waits there as long
        as its child has not begun.
        """
        states = _states_of_threads(self.pid) - _DEAD
        return bool(states & _ACTIVE) or (states == {"D"} and not _is_about_to_stop(self.pid))

    def send(self, signum: int) -> None:
        """Send it a signal, unless it has ended.  Raises PermissionError if that is not allowed."""
        handle = None
        with suppress(OSError, AttributeError):
            # From here on the pid cannot become that of another process unnoticed.
            handle = os.pidfd_open(self.pid)
        try:
            if self.start is not None and start_of(self.pid) != self.start:
                return
            if handle is None:
                os.kill(self.pid, signum)
            else:
                signal.pidfd_send_signal(handle, signum)
        except ProcessLookupError:
            pass
        finally:
            if handle is not None:
                os.close(handle)

    def command_line(self) -> str:
        """What it runs, for people: the arguments, or the short name of one that has none."""
        for name in ("cmdline", "comm"):
            with suppress(OSError):
                text = _read(f"/proc/{self.pid}/{name}").replace(b"\0", b" ").strip()
                if text:
                    return text.decode(errors="replace")
        return "?"

    def user(self) -> str:
        """Whose it is, for people."""
        import pwd  # for a message that is rare

        try:
            owner = os.stat(f"/proc/{self.pid}").st_uid  # noqa: PTH116 - as everything here
            return pwd.getpwuid(owner).pw_name
        except OSError:
            return "another user"
        except KeyError:
            return f"uid {owner}"


def process_of(pid: int) -> Process | None:
    """What is known of it; None: it is not there, is hidden, or there is no /proc."""
    try:
        # "pid (name) state parent group session ...", and the name may hold anything.
        fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].decode().split()
        state, parent, group, session = fields[0], *map(int, fields[1:4])
        if state in _DEAD and int(fields[17]) > 1:
            # The first thread has ended, and others work on.
            state = min(_states_of_threads(pid) - _DEAD, default=state)
        return Process(pid, state, parent, group, session, fields[19])
    except (OSError, IndexError, ValueError):
        return None


def _states_of_threads(pid: int) -> frozenset[str]:
    """The letters of all of them; none if the process is not there, or hidden."""
    found: set[str] = set()
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - names are all
            with suppress(OSError):
                stat = _read(f"/proc/{pid}/task/{task}/stat")
                found.add(stat.rpartition(b")")[2].split()[0].decode())
    return frozenset(found)


def _is_about_to_stop(pid: int) -> bool:
    """Whether a signal is pending that stops it."""
    pending = 0
    with suppress(OSError, ValueError):
        for line in _read(f"/proc/{pid}/status").splitlines():
            if line.startswith((b"SigPnd:", b"ShdPnd:")):
                pending |= int(line.split()[1], 16)
    return bool(pending & _STOPPING)


def start_of(pid: int) -> str | None:
    """When it was started, in ticks of the kernel; None: it is not there, or not Linux."""
    found = process_of(pid)
    return found.start if found is not None else None


def has_our_rights(pid: int) -> bool:
    """Whether its effective user and group are those of this process, as far as it is known."""
    ours = {b"Uid:": os.geteuid(), b"Gid:": os.getegid()}
    with suppress(OSError, IndexError, ValueError):
        lines = [line.split() for line in _read(f"/proc/{pid}/status").splitlines()]
        return ours == {
            words[0]: int(words[2]) for words in lines if words[:1] and words[0] in ours
        }
    return True


def everybody() -> Iterator[Process]:
    """All processes that can be seen; none where there is no /proc."""
    try:
        names = os.listdir("/proc") if LINUX else []  # noqa: PTH208 - names are all
    except OSError:
        return
    for name in names:
        if name.isdecimal():
            found = process_of(int(name))
            if found is not None:
                yield found


def children_of(pid: int) -> frozenset[int]:
    """The pids of its children, also of those that ``hidepid`` hides; empty if it is not known."""
    found: set[int] = set()
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - names are all
            found.update(map(int, _read(f"/proc/{pid}/task/{task}/children").split()))
    return frozenset(found)


def descendants(root: int, without: Collection[int] = ()) -> list[Process]:
    """Those below ``root`` that can still do something, without these and what is below them."""
    seen = {process.pid: process for process in everybody()}
    below: dict[int, list[Process]] = {}
    for process in seen.values():
        below.setdefault(process.parent, []).append(process)
    unseen = children_of(root) - set(seen) - set(without)
    found = [process for process in map(_hidden, unseen) if process is not None]
    ahead = [root, *(process.pid for process in found)]
    while ahead:
        for process in below.pop(ahead.pop(), ()):
            if process.pid not in without:
                ahead.append(process.pid)
                if not process.dead:
                    found.append(process)
    return found


def send(process: Process, signum: int) -> bool:
    """Send it a signal; whether this user may."""
    try:
        process.send(signum)
    except PermissionError:
        return False
    return True


def _hidden(pid: int) -> Process | None:
    """A child that /proc did not show: it is of somebody else, or keeps its memory private, as a
    consul-lock does; None: it has ended, or had not begun."""
    try:
        os.kill(pid, 0)
        if process_of(pid) is None:
            return Process(pid, "", 0, os.getpgid(pid), os.getsid(pid))
    except PermissionError:
        return Process(pid, "")
    except ProcessLookupError:
        pass
    return None


def _read(path: str) -> bytes:
    """A file of /proc, which is read at once or not at all."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        text = b""
        while part := os.read(descriptor, 65536):
            text += part
        return text
    finally:
        os.close(descriptor)
