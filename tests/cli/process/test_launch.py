"""The command's process: what it becomes, and that it becomes nothing without an order."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from consul_lock_cli.process import libc
from consul_lock_cli.process.launch import Launch, inherited
from consul_lock_cli.process.signals import Signals
from consul_lock_cli.spec.process import ProcessPolicy

# It execs at once, and forks before there are threads where it matters.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

_NO_SIGNALS = Signals(frozenset(), frozenset())


class _Started:
    """The process of a command, as a child of this one."""

    def __init__(
        self,
        *command: str,
        signals: Signals = _NO_SIGNALS,
        output: int | None = None,
        **policy: Any,
    ) -> None:
        self.launch = Launch(command, signals, ProcessPolicy(**policy), output)
        self.pid = self.launch.fork()
        self.launch.enter()

    def ended(self) -> tuple[int, OSError | None]:
        """Its exit code, and why it could not be run."""
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status), self.launch.failure()


def _output(*command: str, changes: dict[str, str | None] | None = None, **more: Any) -> str:
    """What a command writes, once it has its order."""
    reader, writer = os.pipe()
    child = _Started(*command, output=writer, **more)
    os.close(writer)
    child.launch.go(changes or {"CHANGED": "yes"})
    with os.fdopen(reader) as stream:
        text = stream.read()
    assert child.ended() == (0, None)
    return text


def test_it_runs_once_it_may_with_the_changes_of_its_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """None removes a variable; all else is inherited."""
    monkeypatch.setenv("KEPT", "kept")
    monkeypatch.setenv("REMOVED", "removed")
    script = 'echo "$KEPT ${REMOVED-none} $CHANGED"'
    changes = {"REMOVED": None, "CHANGED": "changed"}
    assert _output("sh", "-c", script, changes=changes) == "kept none changed\n"


def test_the_end_of_the_pipe_is_no_order(tmp_path: Path) -> None:
    """As when consul-lock is killed."""
    child = _Started("touch", str(tmp_path / "mark"))
    assert child.launch.pending
    child.launch.forbid()
    assert not child.launch.pending
    assert child.ended() == (69, None)
    assert list(tmp_path.iterdir()) == []


def test_one_that_was_killed_before_says_so_by_its_status() -> None:
    """The order comes too late, and that is no error."""
    child = _Started("true")
    os.kill(child.pid, signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    child.launch.go({})
    assert child.ended() == (-signal.SIGKILL, None)


@pytest.mark.parametrize(
    "command, number",
    [
        ("/no/such", errno.ENOENT),
        ("/etc/passwd", errno.EACCES),
        ("/tmp", errno.EACCES),
        ("/etc/passwd/x", errno.ENOTDIR),
        ("SCRIPT", errno.ENOEXEC),
        ("a\0b", errno.EINVAL),
    ],
)
def test_why_it_could_not_be_run(tmp_path: Path, command: str, number: int) -> None:
    """As the system said; a command that ran has no such reason."""
    script = tmp_path / "script"
    script.write_text("true\n")
    script.chmod(0o755)
    child = _Started(command.replace("SCRIPT", str(script)))
    child.launch.go({})
    code, failure = child.ended()
    assert code == 126
    assert failure is not None
    assert (failure.errno, failure.strerror) == (number, os.strerror(number))


@pytest.mark.parametrize("foreground", [False, True])
def test_it_leads_a_group_of_its_own_unless_it_is_in_the_foreground(foreground: bool) -> None:
    """From the first moment: a signal to its group must not miss it."""
    child = _Started("true", foreground=foreground)
    assert os.getpgid(child.pid) == (os.getpgrp() if foreground else child.pid)
    child.launch.go({})
    assert child.ended() == (0, None)


@contextmanager
def _stdin(text: bytes) -> Iterator[None]:
    reader, writer = os.pipe()
    saved = os.dup(0)
    os.dup2(reader, 0)
    os.write(writer, text)
    os.close(writer)
    try:
        yield
    finally:
        os.dup2(saved, 0)
        for descriptor in (reader, saved):
            os.close(descriptor)


@pytest.mark.parametrize("null, text", [(False, "typed"), (True, "")])
def test_its_stdin_is_that_of_consul_lock_or_nothing(null: bool, text: str) -> None:
    """Cron's jobs, and those in the background, read nothing."""
    with _stdin(b"typed"):
        assert _output("cat", stdin_null=null) == text


def test_it_keeps_no_descriptor_and_has_the_signals_that_were_given() -> None:
    """A daemon that it leaves must not hold a pipe open; what was ignored stays so."""
    program = """
import os
kept = [n for n in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{n}")]
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(list(map(int, kept)), int(status["SigIgn"], 16) & 1, int(status["SigBlk"], 16), sep=";")
"""
    here = {int(entry.name) for entry in Path("/proc/self/fd").iterdir()}
    given = {0, 1, 2} | {
        fd for fd in here if Path(f"/proc/self/fd/{fd}").exists() and os.get_inheritable(fd)
    }
    signals = Signals(frozenset(), frozenset({signal.SIGHUP}))
    kept, ignored, blocked = _output(sys.executable, "-c", program, signals=signals).split(";")
    assert set(json.loads(kept)) <= given
    assert (ignored, blocked) == ("1", "0\n")


def test_what_python_adds_to_the_environment_is_not_passed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """LC_CTYPE, which was not there when the process began; unless that cannot be seen."""
    monkeypatch.setenv("LC_CTYPE", "C.UTF-8")
    began = b"\0" + Path("/proc/self/environ").read_bytes()
    assert ("LC_CTYPE" in inherited()) is (b"\0LC_CTYPE=" in began)

    def given(text: bytes) -> bool:
        with monkeypatch.context() as patch:
            patch.setattr(libc, "initial_environment", lambda: text)
            return "LC_CTYPE" in inherited()

    assert [given(text) for text in (b"A=1\0", b"A=1\0LC_CTYPE=x\0", b"XLC_CTYPE=x\0", b"")] == [
        False, True, False, True,
    ]  # fmt: skip


def test_its_parent_can_keep_descriptors_from_it() -> None:
    """The guardian's pipes: consul-lock could not see its end while the command's process waits."""
    reader, writer = os.pipe()
    launch = Launch(["true"], _NO_SIGNALS, ProcessPolicy())
    pid = launch.fork(writer)
    launch.enter()
    os.close(writer)
    assert os.read(reader, 1) == b""
    os.close(reader)
    launch.go({})
    assert os.waitpid(pid, 0)[1] == 0


def test_without_a_second_pipe_the_first_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left of what the system refuses in part."""
    made: list[int] = []
    pipe = os.pipe

    def once() -> tuple[int, int]:
        if made:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        made.extend(pipe())
        return made[0], made[1]

    monkeypatch.setattr(os, "pipe", once)
    with pytest.raises(OSError, match="open files"):
        Launch(["true"], _NO_SIGNALS, ProcessPolicy())
    for descriptor in made:
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(descriptor)
