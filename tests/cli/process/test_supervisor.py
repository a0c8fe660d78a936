"""The supervisor, without any lock: what becomes of a command, its group and its signals."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command import Running, alive, environment
from tests.cli.program_supervisor import PROGRAM
from tests.support.waiting import eventually

Supervise = Callable[..., Running]


def _told(script: str) -> list[str]:
    """A shell script that says when it is ready, and then does nothing for ever."""
    return ["sh", "-c", f"{script}; echo ready; while :; do sleep 0.05; done"]


@pytest.mark.parametrize(
    "command, code",
    [
        (["sh", "-c", "exit 42"], 42),
        (["sh", "-c", "kill -9 $$"], -9),
        (["/no/such"], 127),
    ],
)
def test_consul_lock_ends_as_the_command_does(
    supervise: Supervise, command: list[str], code: int
) -> None:
    """A code is passed on; consul-lock dies of the command's signal, too."""
    assert supervise(*command).wait() == code


def test_a_command_that_dies_of_segv_leaves_no_core_of_consul_lock(
    supervise: Supervise, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The core would be that of the wrapper: useless, and it may hold a token."""
    monkeypatch.chdir(tmp_path)
    limited = ("sh", "-c", 'ulimit -S -c unlimited 2>/dev/null; exec "$@"', "sh")
    everything = ["sh", "-c", "ulimit -c 0; kill -SEGV $$"]
    with Running(everything, environment(), prefix=(*limited, *PROGRAM)) as running:
        assert running.wait() == -signal.SIGSEGV
    assert list(tmp_path.iterdir()) == []


def test_term_is_seen_once_and_the_code_after_it_counts(supervise: Supervise) -> None:
    """A command that tidies up on TERM says itself how it went."""
    running = supervise(*_told("trap 'echo term' TERM; trap 'exit 7' USR1"))
    assert running.line() == "ready"
    running.send(signal.SIGTERM)
    assert running.line() == "term"
    running.send(signal.SIGUSR1)
    assert running.wait() == 7
    assert running.line() == ""


@pytest.mark.parametrize("name", ["HUP", "INT", "QUIT", "USR1", "USR2", "WINCH", "ALRM", "CONT"])
def test_other_signals_reach_the_command_and_consul_lock_goes_on(
    supervise: Supervise, name: str
) -> None:
    """The command decides what they mean."""
    running = supervise(*_told(f"trap 'echo {name}' {name}"))
    assert running.line() == "ready"
    running.send(signal.Signals[f"SIG{name}"])
    assert running.line() == name
    running.send(signal.SIGTERM)
    assert running.wait() == -signal.SIGTERM


def test_a_command_that_ignores_term_is_killed_after_the_grace(supervise: Supervise) -> None:
    """--kill-after counts from TERM."""
    running = supervise(*_told("trap '' TERM"), kill_after="0.5")
    assert running.line() == "ready"
    sent = time.monotonic()
    running.send(signal.SIGTERM)
    assert running.wait() == -signal.SIGKILL
    assert 0.5 <= time.monotonic() - sent < 30


def test_a_second_term_kills_at_once(supervise: Supervise) -> None:
    """Somebody is in a hurry."""
    running = supervise(*_told("trap 'echo term' TERM"), kill_after="600")
    assert running.line() == "ready"
    running.send(signal.SIGTERM)
    assert running.line() == "term"
    running.send(signal.SIGTERM)
    assert running.wait() == -signal.SIGKILL


@pytest.mark.parametrize("name", ["TERM", "INT"])
def test_a_signal_and_its_echo_are_one(supervise: Supervise, name: str) -> None:
    """timeout(1) sends it to consul-lock and to its group; a second TERM would kill."""
    script = f"trap 'echo {name}' {name}; trap 'exit 7' USR1"
    while True:
        running = supervise(*_told(script), kill_after="600")
        assert running.line() == "ready"
        sent = time.monotonic()
        running.send(signal.Signals[f"SIG{name}"])
        eventually(lambda sent=sent: time.monotonic() > sent + 0.002)
        running.send(signal.Signals[f"SIG{name}"])
        if time.monotonic() < sent + 0.04:
            break  # else it was no echo: this machine is busy
    assert running.line() == name
    running.send(signal.SIGUSR1)
    assert running.wait() == 7
    assert running.line() == ""


def test_under_timeout_the_command_is_gone_in_time() -> None:
    """It gets the TERM that is sent to consul-lock, once."""
    everything = [*PROGRAM, "--", *_told("trap 'echo term; exit 3' TERM")]
    with Running(everything, environment(), prefix=("timeout", "600")) as running:
        assert running.line() == "ready"
        running.send(signal.SIGALRM)  # the signal of its timer: the time is over
        assert running.line() == "term"
        assert running.line() == ""
        assert running.wait() == 124


def test_grandchildren_are_gone_before_consul_lock_ends(supervise: Supervise) -> None:
    """Also one that ignores TERM, and is nobody's child any more."""
    stubborn = "trap '' TERM USR1; echo $(exec sh -c 'echo $PPID'); while :; do sleep 0.05; done"
    script = f"trap 'exit 3' USR1; ({stubborn}) & while :; do sleep 0.05; done"
    running = supervise("sh", "-c", script, kill_after="0.3")
    grandchild = int(running.line())
    assert alive(grandchild)
    running.send(signal.SIGUSR1)
    assert running.wait() == 3
    assert not alive(grandchild)


def test_a_daemon_that_left_the_group_goes_on(supervise: Supervise) -> None:
    """A program that calls setsid means it; it keeps nothing of consul-lock, which goes on, too."""
    program = (
        "import os, time\n"
        "ready, go = os.pipe()\n"
        "if os.fork(): os.close(go); os.read(ready, 1); os._exit(0)\n"
        "os.setsid(); os.close(ready); print(os.getpid(), flush=True); os.close(go)\n"
        "time.sleep(600)\n"
    )
    running = supervise(sys.executable, "-c", program)
    pid = int(running.line())
    try:
        assert running.wait() == 0
        assert alive(pid)
        inherited = {each.name for each in Path(f"/proc/{pid}/fd").iterdir()}
        assert inherited == {"0", "1", "2"}
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_child_from_before_is_reaped_and_not_waited_for() -> None:
    """Of the program that became consul-lock; so are orphans, if it is the first of a container."""
    script = 'sleep 0.5 & echo $!; sleep 600 & echo $!; exec "$@"'
    prefix = ("sh", "-c", script, "sh", *PROGRAM, "--")
    command = ["sh", "-c", "trap 'exit 3' USR1; echo ready; while :; do sleep 0.05; done"]
    with Running(command, environment(), prefix=prefix) as running:
        first, second = int(running.line()), int(running.line())
        assert running.line() == "ready"
        eventually(lambda: not Path(f"/proc/{first}").exists())
        running.send(signal.SIGUSR1)
        assert running.wait() == 3
        assert alive(second)
        os.kill(second, signal.SIGKILL)


def test_a_zombie_that_nobody_reaps_does_not_hold_consul_lock_up(supervise: Supervise) -> None:
    """It stays in the group, but cannot do anything any more."""
    program = (
        "import os, time\n"
        "ready, go = os.pipe()\n"
        "if os.fork(): os.close(go); os.read(ready, 1); os._exit(0)\n"  # the leader ends
        "if os.fork() == 0: os._exit(0)\n"  # stays in the group, as a zombie
        "os.setsid(); print(os.getpid(), flush=True); os.close(go)\n"  # its parent left
        "time.sleep(600)\n"
    )
    running = supervise(sys.executable, "-c", program, kill_after="0.3")
    pid = int(running.line())
    try:
        assert running.wait() == 0
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_known_loss_stops_the_command_at_once(supervise: Supervise, tmp_path: Path) -> None:
    """TERM comes within moments, KILL after the grace."""
    lost = tmp_path / "lost"
    running = supervise(*_told("trap 'echo term; exit 5' TERM"), lost_when=str(lost))
    assert running.line() == "ready"
    lost.touch()
    assert running.line() == "term"
    assert running.wait() == 76
    assert "5 lost=True" in running.errors()


def test_without_renewals_the_command_is_dead_by_the_deadline(supervise: Supervise) -> None:
    """TERM comes `kill_after` before the end of the lease, and KILL not later than that end."""
    script = f"exec {sys.executable} -c '{_CLOCK}'"
    started = time.monotonic()
    running = supervise("sh", "-c", script, left="9", kill_after="4")
    assert running.line() == "ready"
    assert running.line() == "term"
    assert time.monotonic() - started >= 5
    assert running.wait() == 76
    assert time.monotonic() - started < 60
    assert "-9 lost=True" in running.errors()


_CLOCK = (
    "import os, signal, time; "
    "signal.signal(signal.SIGTERM, lambda *_: os.write(1, b\"term\\n\")); "
    "os.write(1, b\"ready\\n\"); time.sleep(600)"
)  # fmt: skip


def test_under_a_lease_that_is_over_the_command_never_begins(supervise: Supervise) -> None:
    """There may have been a freeze since the acquire; a signal that it ignores is no difference."""
    running = supervise("echo", "began", left="1", kill_after="2s", stop_signal="WINCH")
    assert running.line() == ""
    assert running.wait() == 76


def test_a_lease_that_ended_during_a_freeze_leaves_no_grace(supervise: Supervise) -> None:
    """Somebody else may run already: KILL, not TERM and then some seconds.  With a guardian, it
    would have been stopped before.
    """
    script = _told("trap 'echo term' TERM")
    running = supervise(*script, left="6", kill_after="0.2", no_guardian=True)
    assert running.line() == "ready"
    running.send(signal.SIGSTOP)
    frozen = time.monotonic()
    eventually(lambda: time.monotonic() > frozen + 6)
    running.send(signal.SIGCONT)
    assert running.wait() == 76
    assert "-9 lost=True" in running.errors()
    assert running.line() == ""


def test_if_consul_lock_is_killed_the_command_gets_term(supervise: Supervise) -> None:
    """The kernel sends it, as nobody else is left to."""
    running = supervise("sh", "-c", "echo $$; exec sleep 600")
    pid = int(running.line())
    running.send(signal.SIGKILL)
    running.wait()
    eventually(lambda: not alive(pid))


def test_the_command_dies_of_a_broken_pipe(supervise: Supervise) -> None:
    """`yes | head` under consul-lock must end like anywhere else."""
    assert supervise("sh", "-c", "kill -PIPE $$").wait() == -signal.SIGPIPE
