"""The status file: one JSON object at the end, where somebody asked for it.

An exit code alone cannot tell the command's 75 from that of consul-lock; the status file can.  A
file says from the start that this run is under way: otherwise, if consul-lock is killed, that of
the run before would be taken for its outcome.  A descriptor or pipe gets one object, at the end.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from consul_lock_cli.base.clock import now, rfc3339
from consul_lock_cli.base.console import Console
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.base.file_replacement import followed, replace_file
from consul_lock_cli.base.headings import headed
from consul_lock_cli.options.types import FILE, WholeNumber
from consul_lock_cli.process.outcome import ProcessResult
from consul_lock_cli.run.end_kind import EndKind

if TYPE_CHECKING:
    from consul_lock_cli.run.metrics_file import MetricsFile


# What an exit code of consul-lock means if no command has run.
_OF_CODES = {
    0: EndKind.INTERRUPTED,
    ExitCode.HELD: EndKind.CONFLICT,
    ExitCode.UNAVAILABLE: EndKind.UNAVAILABLE,
    ExitCode.LOST: EndKind.LOST,
}


class StatusFile:
    """What is known of this run, and where it is to be written in the end, if anywhere."""

    def __init__(
        self,
        path: str | None = None,
        descriptor: int | None = None,
        metrics: MetricsFile | None = None,
    ) -> None:
        self._path = None if path is None else Path(path)
        self._descriptor = descriptor
        self._metrics = metrics
        self._began: float | None = None
        self._held_since: float | None = None
        self._known: dict[str, Any] = {
            "v": 1, "acquired": False, "waited_s": None, "exit": None, "exit_code": None,
            "key": None, "keys": [], "mode": None, "session": None, "token": None,
            "lost": False, "loss": None, "pid": os.getpid(), "started": None, "runtime_s": None,
            "held_s": None,
        }  # fmt: skip

    def begin(self, console: Console) -> None:
        """Say in the file that this run is under way.  Trouble is reported, and ignored."""
        self._began = time.time()
        self.know(started=rfc3339(self._began))
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

    def hold_begins(self) -> None:
        """The lock is held from now on."""
        self._held_since = now()

    def hold_ends(self) -> None:
        """It was released, or its loss was dealt with; once that is said, it stays."""
        if self._held_since is not None:
            self.know(held_s=round(now() - self._held_since, 3))
            self._held_since = None

    def survive(self, code: int, console: Console) -> None:
        """The process is about to become another program, which will report; the metrics are of
        what is over, as if it had ended with ``code``."""
        self.know(exit_code=int(code))
        self._write_metrics(console)
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
        self.hold_ends()
        self.know(exit_code=int(code))
        text = _line(self._known)
        if self._descriptor is not None:
            descriptor = self._descriptor
            _reported(console, lambda: os.write(descriptor, text.encode()))
        if self._path is not None:
            path = self._path
            _reported(console, lambda: _put(path, text))
        self._write_metrics(console)

    def _write_metrics(self, console: Console) -> None:
        metrics, known, began = self._metrics, self._known, self._began
        if metrics is not None:
            _reported(console, lambda: metrics.write(known, began, time.time()), "metrics")


def _line(known: Mapping[str, Any]) -> str:
    return json.dumps(known) + "\n"


def _reported(console: Console, write: Callable[[], object], what: str = "status") -> None:
    try:
        write()
    except OSError as error:
        console.warn(f"the {what} could not be written: {error}")


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
    """Add --status-file, --status-fd and --metrics-file; the command gets its `StatusFile` as
    ``status_file``."""

    @functools.wraps(command)
    def with_status_file(
        status_file: str | None, status_fd: int | None, metrics_file: str | None, **values: Any
    ) -> Any:
        outcome = _checked(status_file, status_fd, metrics_file)
        return command(status_file=outcome, **values)

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
    metrics = click.option(
        "--metrics-file",
        type=FILE,
        metavar="FILE.prom",
        help="Write gauges of the outcome to this file, for node_exporter's textfile collector.",
    )
    return headed("Outcome", [file, descriptor, metrics])(with_status_file)


def _checked(path: str | None, descriptor: int | None, metrics: str | None) -> StatusFile:
    """Refuse what could only fail when the command has run already."""
    if path is not None:
        _check_file("--status-file", path)
    if descriptor is not None:
        try:
            os.fstat(descriptor)
        except OSError:
            raise Misuse(f"--status-fd {descriptor} is not open") from None
        # Not for the command: a reader would wait for the end of the command's children,
        # too.  The three streams are the command's all the same.
        if descriptor > 2:
            os.set_inheritable(descriptor, False)
    if metrics is None:
        return StatusFile(path, descriptor)
    from consul_lock_cli.run.metrics_file import MetricsFile  # every start would pay for it

    # Whether it can be written is not checked: a host without node_exporter has no such folder,
    # and runs the job all the same.
    return StatusFile(path, descriptor, MetricsFile(Path(metrics)))


def _check_file(option: str, path: str) -> None:
    """Raise `Misuse` if it cannot be written, or should not be."""
    file = Path(path)
    try:
        folder = followed(file).parent
    except PermissionError as error:
        raise Misuse(f"{option}: '{path}' is {error.strerror}") from None
    made = file.is_file() or not file.exists()
    if made and not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise Misuse(f"{option}: no file can be created in '{folder}'")
    if file.is_dir():
        raise Misuse(f"{option}: '{path}' is a folder")
