"""The command at a terminal: it reads it, gets its keys, and can be put aside."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.wrapper import PATIENCE, environment
from tests.waiting import eventually

_PROGRAM = (sys.executable, str(Path(__file__).with_name("supervised.py")), "1000", "1000", "5")


class AtTerminal:
    """A supervised command as the leader of the session of a new terminal."""

    def __init__(self, script: str) -> None:
        self.keyboard, self.device = pty.openpty()
        self._process = subprocess.Popen(
            [*_PROGRAM, "sh", "-c", script],
            env=environment(),
            stdin=self.device,
            stdout=self.device,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no threads
        )
        self.pid = self._process.pid

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self.keyboard, text.encode())

    def read_until(self, wanted: str) -> str:
        """What is on the screen up to now, which ends once ``wanted`` is there."""
        seen = ""
        while wanted not in seen:
            readable, _, _ = select.select([self.keyboard], [], [], PATIENCE)
            assert readable, seen
            seen += os.read(self.keyboard, 1024).decode()
        return seen

    def stopped(self) -> bool:
        """Whether it has been put aside."""
        return self.state() == "T"

    def state(self) -> str:
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]

    def wait(self) -> int:
        return self._process.wait(PATIENCE)

    def close(self) -> None:
        """End it by hanging up, or worse."""
        os.close(self.keyboard)
        os.close(self.device)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def terminals() -> Iterator[list[AtTerminal]]:
    """Those in this list are closed after the test."""
    opened: list[AtTerminal] = []
    yield opened
    for each in opened:
        each.close()


def _open(terminals: list[AtTerminal], script: str) -> AtTerminal:
    terminal = AtTerminal(script)
    terminals.append(terminal)
    terminal.read_until("ready")
    return terminal


def test_the_command_reads_what_is_typed(terminals: list[AtTerminal]) -> None:
    """It is in the foreground, in its own group."""
    terminal = _open(terminals, "echo ready; read x; echo got-$x; exit 4")
    terminal.type("hello\n")
    terminal.read_until("got-hello")
    assert terminal.wait() == 4


@pytest.mark.parametrize("key, name", [("\x03", "SIGINT"), ("\x1c", "SIGQUIT")])
def test_a_typed_interrupt_ends_the_command_and_us(
    terminals: list[AtTerminal], key: str, name: str
) -> None:
    """So that the loop of a shell around us ends, too."""
    terminal = _open(terminals, "ulimit -c 0; echo ready; exec sleep 60")
    terminal.type(key)
    assert terminal.wait() == -signal.Signals[name]


def test_a_program_may_handle_the_interrupt_itself(terminals: list[AtTerminal]) -> None:
    """As editors and shells do: we stay out of it."""
    terminal = _open(terminals, "trap 'echo caught; exit 6' INT; echo ready; read x")
    terminal.type("\x03")
    terminal.read_until("caught")
    assert terminal.wait() == 6


def test_the_command_can_be_put_aside_and_go_on(terminals: list[AtTerminal]) -> None:
    """Ctrl-Z stops us, too, or the shell would wait for us for ever."""
    terminal = _open(terminals, "echo ready; read x; echo got-$x")
    terminal.type("\x1a")
    eventually(terminal.stopped)
    assert os.tcgetpgrp(terminal.keyboard) == terminal.pid
    os.kill(terminal.pid, signal.SIGCONT)
    eventually(lambda: os.tcgetpgrp(terminal.keyboard) != terminal.pid)
    terminal.type("again\n")
    terminal.read_until("got-again")
    assert terminal.wait() == 0


def test_the_modes_of_the_terminal_survive_a_killed_command(terminals: list[AtTerminal]) -> None:
    """Else one would type blindly afterwards."""
    terminal = _open(terminals, "stty -echo raw; echo ready; read x; kill -9 $$")
    modes = termios.tcgetattr(terminal.device)
    assert not modes[3] & termios.ECHO
    terminal.type("x\n")
    assert terminal.wait() == -signal.SIGKILL
    modes = termios.tcgetattr(terminal.device)
    assert modes[3] & termios.ECHO
    assert modes[3] & termios.ICANON
