"""The status file: one JSON object at the end, where somebody asked for it.

An exit code alone cannot tell the command's 75 from that of consul-lock; the status file can.  A
file says from the start that this run is under way: otherwise, if consul-lock is killed, that of
the run before would be taken for its outcome.  A descriptor or pipe gets one object, at the end.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from consul_lock_cli.base.clock import now, rfc3339
from consul_lock_cli.base.console import Console
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.base.file_replacement import followed, replace_file
from consul_lock_cli.base.headings import headed
from consul_lock_cli.options.types import FILE, WholeNumber
from consul_lock_cli.process.outcome import ProcessResult


class EndKind(enum.StrEnum):
    """How it ended."""

    RUNNING = "running"
    """It has not: it waits, or the command runs; or it was killed."""

    EXIT = "exit"
    """The command ended by itself."""
    SIGNAL = "signal"
    """The command died of a signal."""
    LOST = "lost"
    """The lock was lost while the command ran."""
    TIMEOUT = "timeout"
    """The command ran for longer than --max-runtime."""
    CONFLICT = "conflict"
    """Somebody else holds the lock, so the command was not started."""
    UNAVAILABLE = "unavailable"
    """Consul could not be reached, so the command was not started."""
    SKIP = "skip"
    """Another host has the cron slot, or it is not to be run now; the command was not started."""
    INTERRUPTED = "interrupted"
    """A signal ended consul-lock while no command ran; with --hold, that is a success."""
    FAILED = "failed"
    """Something else; the command was not started."""


# What an exit code of consul-lock means if no command has run.
_OF_CODES = {
    0: EndKind.INTERRUPTED,
    ExitCode.HELD: EndKind.CONFLICT,
    ExitCode.UNAVAILABLE: EndKind.UNAVAILABLE,
    ExitCode.LOST: EndKind.LOST,
}


class StatusFile:
    """What is known of this run, and where it is to be written in the end, if anywhere."""

    def __init__(self, path: str | None = None, descriptor: int | None = None) -> None:
        self._path = None if path is None else Path(path)
        self._descriptor = descriptor
        self._known: dict[str, Any] = {
            "v": 1, "acquired": False, "waited_s": None, "exit": None, "exit_code": None,
            "key": None, "keys": [], "mode": None, "session": None, "token": None,
            "lost": False, "loss": None, "pid": os.getpid(), "started": None, "runtime_s": None,
        }  # fmt: skip

    def begin(self, console: Console) -> None:
        """Say in the file that this run is under way.  Trouble is reported, and ignored."""
        self.know(started=rfc3339(time.time()))
        path = self._path
        if path is None or not _is_file(path):
            return
        exit_ = {"kind": EndKind.RUNNING, "code": None, "signal": None}
        _reported(console, lambda: _put(path, _line({**self._known, "exit": exit_})))

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        """The command runs in this block: how long is reported."""
        begun = now()
        try:
            yield
        finally:
            self.know(runtime_s=round(now() - begun, 3))

    def survive(self) -> None:
        """The process is about to become another program, which will report."""
        if self._descriptor is not None:
            os.set_inheritable(self._descriptor, True)

    def know(self, **more: Any) -> None:
        """Remember some of it."""
        self._known.update(more)

    def ended(self, ended: ProcessResult) -> None:
        """How the command ended: this is reported, whatever the exit code of consul-lock is."""
        if ended.failure is not None:
            return  # it was never run: the exit code of consul-lock says why
        died = ended.code < 0
        kind = EndKind.SIGNAL if died else EndKind.EXIT
        if ended.stopped is not None:
            kind = EndKind(ended.stopped.value)
        self.know(lost=ended.lost)
        self._exit(kind, None if died else ended.code, -ended.code if died else None)

    def lost(self) -> None:
        """When the command had ended, the lock turned out to have been lost before."""
        self.know(lost=True)
        self._known["exit"]["kind"] = EndKind.LOST

    def refused(self, why: ExitCode, code: int) -> None:
        """The command was not started; ``code`` is the exit code."""
        self._exit(_OF_CODES.get(why, EndKind.FAILED), int(code), None)

    def skipped(self, code: int) -> None:
        """There was no slot to run; ``code`` is the exit code."""
        self._exit(EndKind.SKIP, int(code), None)

    def write(self, code: int, console: Console) -> None:
        """Write it: consul-lock is about to end with ``code``.  Trouble is reported, and
        ignored."""
        if self._known["exit"] is None:
            self.know(lost=code == ExitCode.LOST)
            self._exit(_OF_CODES.get(code, EndKind.FAILED), int(code), None)
        self._finish(code, console)

    def write_interrupted(self, signum: int, console: Console) -> None:
        """Write it: consul-lock is about to die of a signal."""
        if self._known["exit"] is None:
            self._exit(EndKind.INTERRUPTED, None, signum)
        self._finish(128 + signum, console)

    def _exit(self, kind: EndKind, code: int | None, signum: int | None) -> None:
        self.know(exit={"kind": kind, "code": code, "signal": signum})

    def _finish(self, code: int, console: Console) -> None:
        self.know(exit_code=int(code))
        text = _line(self._known)
        if self._descriptor is not None:
            descriptor = self._descriptor
            _reported(console, lambda: os.write(descriptor, text.encode()))
        if self._path is not None:
            path = self._path
            _reported(console, lambda: _put(path, text))


def _line(known: Mapping[str, Any]) -> str:
    return json.dumps(known) + "\n"


def _reported(console: Console, write: Callable[[], object]) -> None:
    try:
        write()
    except OSError as error:
        console.warn(f"the status could not be written: {error}")


def _is_file(path: Path) -> bool:
    """A file, or none yet: no pipe and no standard stream."""
    return _stream(path) is None and (path.is_file() or not path.exists())


def _put(path: Path, text: str) -> None:
    """Replace a file as a whole, following a link; a device or pipe is only written to."""
    target = followed(path)
    stream = _stream(path)
    if stream is not None:
        os.write(stream, text.encode())
    elif path.exists() and not path.is_file():
        # The reader of a pipe is there already: do not wait for one.
        device = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            os.write(device, text.encode())
        finally:
            os.close(device)
    else:
        replace_file(target, text)


def _stream(path: Path) -> int | None:
    """Which standard stream it is, such as /dev/stderr: the command has written there, too."""
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
    return None


def status_file_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --status-file and --status-fd; the command gets its `StatusFile` as ``status_file``."""

    @functools.wraps(command)
    def with_status_file(status_file: str | None, status_fd: int | None, **values: Any) -> Any:
        return command(status_file=_checked(status_file, status_fd), **values)

    file = click.option(
        "--status-file",
        type=FILE,
        metavar="PATH",
        help="Write the outcome to this file, as one JSON object; until then, that it runs.",
    )
    descriptor = click.option(
        "--status-fd",
        type=WholeNumber(0),
        metavar="N",
        help="Write the outcome to this file descriptor.",
    )
    return headed("Outcome", [file, descriptor])(with_status_file)


def _checked(path: str | None, descriptor: int | None) -> StatusFile:
    """Refuse what could only fail when the command has run already."""
    if path is not None:
        file = Path(path)
        try:
            folder = followed(file).parent
        except PermissionError as error:
            raise Misuse(f"--status-file: '{path}' is {error.strerror}") from None
        made = file.is_file() or not file.exists()
        if made and not (folder.is_dir() and os.access(folder, os.W_OK)):
            raise Misuse(f"--status-file: no file can be created in '{folder}'")
        if file.is_dir():
            raise Misuse(f"--status-file: '{path}' is a folder")
    if descriptor is not None:
        try:
            os.fstat(descriptor)
        except OSError:
            raise Misuse(f"--status-fd {descriptor} is not open") from None
        # Not for the command: a reader would wait for the end of the command's children,
        # too.  The three streams are the command's all the same.
        if descriptor > 2:
            os.set_inheritable(descriptor, False)
    return StatusFile(path, descriptor)
