"""The command at a terminal: it reads it, gets its keys, and can be put aside."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shutil
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import PATIENCE, environment
from tests.cli.program_supervisor import PROGRAM
from tests.support.waiting import eventually


class AtTerminal:
    """A program, such as a supervised command, that leads the session of a new terminal."""

    def __init__(self, *program: str) -> None:
        self.keyboard, self.device = pty.openpty()
        self._process = subprocess.Popen(
            program,
            env=environment(TERM="xterm", PS1="$ ", LESSHISTFILE="-", HISTFILE=""),
            stdin=self.device,
            stdout=self.device,
            stderr=self.device if program[0] == "bash" else subprocess.DEVNULL,
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
            # Byte by byte, as what follows it may be waited for next.
            seen += os.read(self.keyboard, 1).decode(errors="replace")
        return seen

    def rest(self) -> str:
        """What else is on the screen."""
        seen = ""
        while select.select([self.keyboard], [], [], 0)[0]:
            seen += os.read(self.keyboard, 1024).decode()
        return seen

    def stopped(self) -> bool:
        """Whether it has been put aside."""
        return state(self.pid) == "T"

    def wait(self) -> int:
        return self._process.wait(PATIENCE)

    def close(self) -> None:
        """End it by hanging up, or worse."""
        os.close(self.keyboard)
        os.close(self.device)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def state(pid: int) -> str:
    """The letter that stands for what a process does."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.fixture
def terminals() -> Iterator[list[AtTerminal]]:
    """Those in this list are closed after the test."""
    opened: list[AtTerminal] = []
    yield opened
    for each in opened:
        each.close()


def _open(terminals: list[AtTerminal], script: str, *options: str) -> AtTerminal:
    terminal = AtTerminal(*PROGRAM, *options, "--", "sh", "-c", script)
    terminals.append(terminal)
    terminal.read_until("ready")
    return terminal


@pytest.fixture
def shell(terminals: list[AtTerminal]) -> AtTerminal:
    """A shell that somebody sits at; ``$u -- COMMAND`` is a command under consul-lock."""
    if shutil.which("bash") is None:
        pytest.skip("no bash")
    terminal = AtTerminal("bash", "--norc", "--noprofile", "-i")
    terminals.append(terminal)
    terminal.type(f"u='{' '.join(PROGRAM)}'; echo rea''dy\n")
    terminal.read_until("ready")
    return terminal


def test_the_command_reads_what_is_typed(terminals: list[AtTerminal]) -> None:
    """It is in the foreground, in its own group."""
    terminal = _open(terminals, "echo ready; read x; echo got-$x; exit 4")
    terminal.type("hello\n")
    terminal.read_until("got-hello")
    assert terminal.wait() == 4


@pytest.mark.parametrize("key, name", [("\x03", "SIGINT"), ("\x1c", "SIGQUIT")])
def test_a_typed_interrupt_ends_the_command_and_consul_lock(
    terminals: list[AtTerminal], key: str, name: str
) -> None:
    """So that the loop of a shell around consul-lock ends, too."""
    terminal = _open(terminals, "ulimit -c 0; echo ready; exec sleep 600")
    terminal.type(key)
    assert terminal.wait() == -signal.Signals[name]


def test_a_program_may_handle_the_interrupt_itself(terminals: list[AtTerminal]) -> None:
    """As editors and shells do: consul-lock stays out of it."""
    terminal = _open(terminals, "trap 'echo caught; exit 6' INT; echo ready; read x")
    terminal.type("\x03")
    terminal.read_until("caught")
    assert terminal.wait() == 6


def test_without_a_shell_above_a_key_puts_nothing_aside(terminals: list[AtTerminal]) -> None:
    """As over `ssh -t HOST consul-lock run`: nobody could fetch it again."""
    terminal = _open(terminals, "echo ready; read x; echo got-$x")
    terminal.type("\x1a")
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


# -- the command under a shell ----------------------------------------------------------------
# What is typed is echoed, so words to be waited for are typed with quotes in them.


@pytest.mark.parametrize("program", ["$u --", "$u -- $u --"], ids=["one", "nested"])
def test_the_command_can_be_stopped_and_continued(shell: AtTerminal, program: str) -> None:
    """Ctrl-Z stops consul-lock, too, or the shell would wait for ever; and so one that runs
    another."""
    shell.type(f"{program} sh -c 'echo re''ady; read x; echo got-$x'; echo co''de-$?\n")
    shell.read_until("ready")
    shell.type("\x1a")
    shell.read_until("Stopped")
    shell.type("echo sh''ell; fg; echo do''ne-$?\n")
    shell.read_until("shell")
    shell.type("again\n")
    shell.read_until("got-again")
    shell.read_until("done-0")


@pytest.mark.parametrize("typed", ["$u -- sh {} | cat", "sh -c '$u -- sh {}; :'"])
def test_what_shares_its_job_is_stopped_with_it(
    shell: AtTerminal, tmp_path: Path, typed: str
) -> None:
    """A pipeline, or a script that runs it: the shell waits until all of the job has stopped."""
    script = tmp_path / "script"
    script.write_text("read x; echo got-$x; read x; echo got-$x")
    shell.type("export u\n")
    shell.type(f"{typed.format(script)}\n")
    # When this was read, the terminal is the command's.
    shell.type("first\n")
    shell.read_until("got-first")
    shell.type("\x1a")
    shell.read_until("Stopped")
    shell.type("echo sh''ell; fg; echo do''ne\n")
    shell.read_until("shell")
    shell.type("again\n")
    shell.read_until("got-again")
    shell.read_until("done")


def test_what_has_left_the_group_is_put_aside_with_the_command(
    shell: AtTerminal, tmp_path: Path
) -> None:
    """It would work on, though nothing is renewed."""
    worker, pids = tmp_path / "worker", tmp_path / "pid"
    worker.write_text(f"echo $$ >{pids}; while :; do sleep 0.05; done")
    shell.type(f"$u -- sh -c 'timeout 60 sh {worker} & echo rea''ched; read x; exit 3'\n")
    shell.read_until("reached")
    pid = int(eventually(lambda: pids.exists() and pids.read_text().strip()))
    shell.type("\x1a")
    shell.read_until("Stopped")
    assert state(pid) == "T"
    shell.type("fg; echo do''ne-$?\n")
    eventually(lambda: state(pid) != "T")
    shell.type("again\n")
    shell.read_until("done-3")
    assert not Path(f"/proc/{pid}").exists()


def test_a_full_screen_program_is_usable(shell: AtTerminal) -> None:
    """Keys reach it at once, and it can change the modes of the terminal."""
    if shutil.which("less") is None:
        pytest.skip("no less")
    shell.type("$u -- sh -c 'seq 1 500 | less -X'; echo do''ne-$?\n")
    shell.read_until("\n10\r")
    shell.type("G")
    shell.read_until("500")
    shell.type("q")
    shell.read_until("done-0")


def test_a_program_that_paints_the_screen_again_and_again_is_usable(shell: AtTerminal) -> None:
    """And it ends at a key, not at the next line."""
    if shutil.which("top") is None:
        pytest.skip("no top")
    shell.type("$u -- top -d 0.2; echo do''ne-$?\n")
    shell.read_until("load average")
    shell.read_until("load average")
    shell.type("q")
    shell.read_until("done-0")


def test_a_later_program_in_a_pipeline_has_the_terminal(shell: AtTerminal, tmp_path: Path) -> None:
    """As a pager there reads it, and the command does not."""
    go = tmp_path / "go"
    os.mkfifo(go)
    reader = "sh -c 'read x < /dev/tty; echo go''t-$x; cat'"
    shell.type(f"$u -- sh -c 'echo rea''ched >&2; read x < {go}; echo en''d' | {reader}\n")
    shell.read_until("reached")
    shell.type("hello\n")
    shell.read_until("got-hello")
    go.write_text("\n")
    shell.read_until("end")


def test_a_command_whose_stdout_goes_elsewhere_gets_the_terminal_when_it_asks(
    shell: AtTerminal, tmp_path: Path
) -> None:
    """For a password, say."""
    shell.type(f"$u -- sh -c 'echo as''ks > /dev/tty; read x; echo $x' > {tmp_path}/out\n")
    shell.read_until("asks")
    shell.type("secret\n")
    eventually(lambda: (tmp_path / "out").read_text() == "secret\n")


def test_a_background_command_can_be_fetched(shell: AtTerminal) -> None:
    """It stops when it wants to read, and fg gives it the terminal."""
    shell.type("$u -- cat & echo pid''=$!.\n")
    shell.read_until("pid=")
    pid = int(shell.read_until(".").partition(".")[0])
    eventually(lambda: state(pid) == "T")
    shell.type("fg\n")
    eventually(lambda: os.tcgetpgrp(shell.keyboard) not in (shell.pid, pid))
    shell.type("hello\n")
    shell.read_until("hello\r\nhello")
    shell.type("\x04")
    eventually(lambda: os.tcgetpgrp(shell.keyboard) == shell.pid)
    shell.type("echo do''ne-$?\n")
    shell.read_until("done-0")


def test_one_that_works_in_the_background_can_be_fetched_before_it_reads(
    shell: AtTerminal, tmp_path: Path
) -> None:
    """Then it need not stop at all."""
    go = tmp_path / "go"
    script = f"while ! test -e {go}; do sleep 0.05; done; read x; echo go''t-$x"
    shell.type(f'$u -- sh -c "{script.replace("$", chr(92) + "$")}" &\n')
    shell.type("fg\n")
    eventually(lambda: os.tcgetpgrp(shell.keyboard) != shell.pid)
    go.touch()
    shell.type("hello\n")
    assert "Stopped" not in shell.read_until("got-hello")


def test_a_typed_interrupt_ends_a_loop_of_the_shell(shell: AtTerminal) -> None:
    """Whether the command has the terminal or not."""
    for more in ("", " > /dev/null"):
        script = "echo ru''ns-$0 >&2; exec sleep 600"
        shell.type(f"for i in 1 2; do $u -- sh -c '{script}' $i{more}; done\n")
        shell.read_until("runs-1")
        shell.type("\x03")
        eventually(lambda: os.tcgetpgrp(shell.keyboard) == shell.pid)
        shell.type("echo do''ne\n")
        assert "runs-2" not in shell.read_until("done")


def test_in_the_foreground_a_key_reaches_the_command_once(terminals: list[AtTerminal]) -> None:
    """From the kernel: consul-lock does not pass it on again."""
    script = "trap 'echo caught' INT; trap 'exit 6' USR1; echo ready; while :; do sleep 0.05; done"
    terminal = _open(terminals, script, "--foreground")
    terminal.type("\x03")
    terminal.read_until("caught")
    caught = time.monotonic()
    eventually(lambda: time.monotonic() > caught + 0.3)
    os.kill(terminal.pid, signal.SIGUSR1)
    assert terminal.wait() == 6
    assert "caught" not in terminal.rest()


def test_in_the_foreground_it_can_be_stopped_too(shell: AtTerminal) -> None:
    """Nobody takes the terminal from anybody."""
    shell.type("$u --foreground -- sh -c 'echo rea''ched; read x; echo go''t-$x'\n")
    shell.read_until("reached")
    shell.type("\x1a")
    shell.read_until("Stopped")
    shell.type("fg\n")
    eventually(lambda: os.tcgetpgrp(shell.keyboard) != shell.pid)
    shell.type("again\n")
    shell.read_until("got-again")
    eventually(lambda: os.tcgetpgrp(shell.keyboard) == shell.pid)
    shell.type("echo do''ne-$?\n")
    shell.read_until("done-0")
