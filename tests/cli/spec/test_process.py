"""How a command is run and stopped, as the options want it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from consul_lock_cli.spec.process import WARN, OnLost, ProcessPolicy
from tests.cli.command import COMMAND, PATIENCE, Running, alive, children, consul, environment
from tests.cli.conftest import Result
from tests.cli.program_supervisor import PROGRAM
from tests.cli.working_script import WORK, working
from tests.support.waiting import eventually

LockedRun = Callable[..., Result]
Start = Callable[..., Running]
Supervise = Callable[..., Running]


@pytest.fixture
def lost(tmp_path: Path) -> Path:
    """A file whose coming is the loss of the lease, with ``lost_when=str(lost)``."""
    return tmp_path / "lost"


def test_every_outcome_can_be_described() -> None:
    """For the line that says why."""
    assert ProcessPolicy().stopping(7, 5) == "sent TERM to group 7; KILL in 5s"
    assert ProcessPolicy(foreground=True).stopping(7, 0) == "sent KILL to process 7"
    assert ProcessPolicy(on_lost=WARN).after_loss(7, 5) == "the command goes on"
    hangup = OnLost(stops=False, signum=signal.SIGHUP)
    assert ProcessPolicy(on_lost=hangup).after_loss(7, 5) == "sent HUP, and the command goes on"
    odd = ProcessPolicy(stop_signal=signal.SIGRTMIN + 1)
    assert odd.after_loss(7, 5).startswith(f"sent signal {signal.SIGRTMIN + 1} to")


# -- what is run ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "string, output, code",
    [
        ("echo a | tr a b; exit 3", "b\n", 3),
        ("echo $0 $#", "/bin/sh 0\n", 0),
        ("-no-option", "", 127),
        ("kill -USR1 $$", "", -signal.SIGUSR1),
    ],
)
def test_a_string_is_for_the_shell(
    supervise: Supervise, string: str, output: str, code: int
) -> None:
    """As with flock -c; its code is that of consul-lock."""
    running = supervise(command=string)
    assert running.wait() == code
    assert "".join(f"{line}\n" for line in iter(running.line, "")) == output


@pytest.mark.parametrize("closed", ["", "<&-", "<&- >&- 2>&-"])
def test_a_command_can_be_given_nothing_to_read(tmp_path: Path, closed: str) -> None:
    """Although consul-lock has something to read, or not even a stdin."""
    read = tmp_path / "read"
    script = f'"$@" {closed}; exit $?'
    arguments = [
        *PROGRAM,
        "--stdin",
        "null",
        "-c",
        f"cat > {read}; readlink /proc/$$/fd/0 >> {read}",
    ]
    result = subprocess.run(
        ["sh", "-c", script, "sh", *arguments], env=environment(), input=b"typed", check=False
    )
    assert result.returncode == 0
    assert read.read_text() == "/dev/null\n"


# -- how it is stopped ----------------------------------------------------------------------


def test_a_command_that_runs_too_long_is_124(supervise: Supervise) -> None:
    """Whatever its own code is: it was not done."""
    running = supervise(*working("trap 'echo term; exit 0' TERM"), max_runtime="4s")
    started = time.monotonic()
    command = running.line()
    assert running.line() == "term"
    assert running.wait() == 124
    assert f"overtime: sent TERM to group {command}; KILL in 5s" in running.errors()
    assert time.monotonic() - started < 30


def test_a_command_that_must_be_killed_for_it_is_124_too(supervise: Supervise) -> None:
    """Where timeout(1) says 137.  The rest of its group dies with it."""
    script = f"trap '' TERM; sh -c 'echo $$; {WORK}' &"
    running = supervise(*working(script), max_runtime="4s", kill_after="500ms", keep_leftovers=True)
    pids = [int(running.line()), int(running.line())]
    assert running.wait() == 124
    assert not any(alive(pid) for pid in pids)
    assert "killed\n-9 lost=False" in running.errors()


def test_a_command_that_ends_in_time_has_its_own_code(supervise: Supervise) -> None:
    """Stopping its leftovers may take longer than it was allowed to run."""
    script = f"(trap '' TERM; {WORK}) & exit 3"
    assert supervise("sh", "-c", script, max_runtime="4s", kill_after="4500ms").wait() == 3


def test_term_comes_first_and_then_the_code_is_the_commands(supervise: Supervise) -> None:
    """The end was asked for: that its time runs out meanwhile is not reported."""
    running = supervise(
        *working("trap 'echo term' TERM; trap 'exit 9' USR1"), max_runtime="5s", kill_after="20s"
    )
    running.line()
    running.send(signal.SIGTERM)
    assert running.line() == "term"
    sent = time.monotonic()
    eventually(lambda: time.monotonic() > sent + 5.2)
    running.send(signal.SIGUSR1)
    assert running.wait() == 9
    assert "overtime" not in running.errors()


@pytest.mark.parametrize("why, code", [({}, 76), ({"max_runtime": "4s"}, 124)])
def test_the_first_signal_can_be_chosen(
    supervise: Supervise, lost: Path, why: dict[str, str], code: int
) -> None:
    """For a loss and for overtime."""
    script = "trap 'echo int; exit' INT; trap 'echo term' TERM"
    running = supervise(*working(script), stop_signal="INT", lost_when=str(lost), **why)
    running.line()
    if not why:
        lost.touch()
    assert running.line() == "int"
    assert running.wait() == code
    assert running.line() == ""


def test_a_chosen_signal_does_not_replace_one_that_is_sent(supervise: Supervise) -> None:
    """A TERM that is sent to consul-lock means TERM."""
    running = supervise(*working("trap 'echo term; exit 4' TERM"), stop_signal="INT")
    running.line()
    running.send(signal.SIGTERM)
    assert running.line() == "term"
    assert running.wait() == 4


# -- the lock is lost -----------------------------------------------------------------------


def test_a_loss_can_be_no_more_than_a_warning(supervise: Supervise, lost: Path) -> None:
    """The command gets no signal, and its code counts."""
    script = "trap 'echo term' TERM; trap 'exit 5' USR1"
    running = supervise(*working(script), on_lost="warn", lost_when=str(lost))
    running.line()
    lost.touch()
    eventually(lambda: "lost: the command goes on" in running.errors())
    running.send(signal.SIGUSR1)
    assert running.wait() == 5
    assert running.line() == ""
    assert "5 lost=True" in running.errors()


def test_unsafe_times_give_the_command_all_its_grace(supervise: Supervise) -> None:
    """And it is not stopped as long as there may be a renewal."""
    script = "trap 'echo term' TERM; trap 'exit 5' USR1"
    running = supervise(*working(script), unsafe_timing=True, left="6", kill_after="20s")
    started = time.monotonic()
    running.line()
    eventually(lambda: time.monotonic() > started + 0.5)
    assert "lost" not in running.errors()
    assert running.line() == "term"
    eventually(lambda: "KILL in 20s" in running.errors())
    eventually(lambda: time.monotonic() > started + 6.2)
    running.send(signal.SIGUSR1)
    assert running.wait() == 76
    assert "5 lost=True" in running.errors()


def test_a_warning_comes_when_the_lock_is_lost_and_not_before(supervise: Supervise) -> None:
    """There is nothing for which time must be left."""
    started = time.monotonic()
    running = supervise(*working(""), on_lost="warn", kill_after="20s", left="2")
    running.line()
    eventually(lambda: "lost:" in running.errors())
    assert time.monotonic() - started >= 2
    running.send(signal.SIGTERM)
    assert running.wait() == -signal.SIGTERM


def test_a_loss_can_be_left_to_the_command(supervise: Supervise) -> None:
    """It gets the signal once, early enough, and may end when it likes: no KILL."""
    script = "trap 'echo hup' HUP; trap 'echo term' TERM; trap 'exit 6' USR1"
    running = supervise(*working(script), on_lost="signal:HUP", kill_after="500ms", left="5")
    running.line()
    assert running.line() == "hup"
    told = time.monotonic()
    eventually(lambda: time.monotonic() > told + 2)
    running.send(signal.SIGUSR1)
    assert running.wait() == 6
    assert running.line() == ""
    assert "killed" not in running.errors()


def test_after_a_warning_the_time_may_still_be_over(supervise: Supervise, lost: Path) -> None:
    """Another reason to stop it, with its own code."""
    lost.touch()
    running = supervise(*working(""), on_lost="warn", lost_when=str(lost), max_runtime="500ms")
    assert running.wait() == 124
    assert "-15 lost=True" in running.errors()


# -- its group ------------------------------------------------------------------------------


def test_leftovers_can_be_kept(supervise: Supervise, tmp_path: Path) -> None:
    """consul-lock ends with the command, and they go on."""
    seen = tmp_path / "seen"
    script = f"sh -c 'trap \"echo term\" TERM; echo $$; {WORK}' &"
    until = f"until [ -e {seen} ]; do sleep 0.05; done; exit 3"
    running = supervise("sh", "-c", f"{script} {until}", keep_leftovers=True)
    left = int(running.line())
    helpers = running.children()
    seen.touch()
    try:
        assert running.wait() == 3
        eventually(lambda: not any(map(alive, helpers)))
        assert alive(left)
    finally:
        os.kill(left, signal.SIGKILL)
    assert running.line() == ""


def test_leftovers_of_a_lost_lock_are_not_kept(supervise: Supervise, lost: Path) -> None:
    """They would work without it."""
    script = f"sh -c 'trap \"\" TERM; echo $$; {WORK}' &"
    running = supervise(
        *working(script), keep_leftovers=True, lost_when=str(lost), kill_after="300ms"
    )
    pids = [int(running.line()), int(running.line())]
    lost.touch()
    assert running.wait() == 76
    assert not any(alive(pid) for pid in pids)


def test_in_the_foreground_it_is_in_the_group_of_consul_lock(supervise: Supervise) -> None:
    """It alone gets the first signal; what it started gets it when it has gone."""
    grandchild = f"sh -c 'trap \"echo term; exit\" TERM; echo $$; {WORK}' &"
    running = supervise(*working(f"{grandchild} trap 'echo mine; exit 8' TERM"), foreground=True)
    pids = [int(running.line()), int(running.line())]
    assert {os.getpgid(pid) for pid in pids} == {os.getpgid(running.pid)}
    running.send(signal.SIGTERM)
    assert [running.line(), running.line(), running.line()] == ["mine", "term", ""]
    assert running.wait() == 8
    assert not any(map(alive, pids))


def test_in_the_foreground_it_can_be_killed_too(supervise: Supervise, lost: Path) -> None:
    """By its own pid."""
    running = supervise(
        *working("trap '' TERM"), foreground=True, lost_when=str(lost), kill_after="300ms"
    )
    command = int(running.line())
    lost.touch()
    assert running.wait() == 76
    assert not alive(command)
    assert f"lost: sent TERM to process {command}" in running.errors()


def test_a_stopped_command_is_woken_for_the_first_signal(supervise: Supervise, lost: Path) -> None:
    """And killed, if that does not help."""
    program = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: os.write(1, b'term\\n'))\n"
        "os.write(1, b'ready\\n')\n"
        "time.sleep(600)\n"
    )
    running = supervise(
        sys.executable, "-c", program, lost_when=str(lost), kill_after="5s", no_guardian=True
    )
    assert running.line() == "ready"
    (command,) = running.children()
    os.kill(command, signal.SIGSTOP)
    lost.touch()
    assert running.line() == "term"
    assert running.wait() == 76


# -- under a real lock ----------------------------------------------------------------------


def test_overtime_frees_the_lock_at_once(locked_run: LockedRun, key: str) -> None:
    """One line says why: 124 can be a code of the command, too."""
    result = locked_run("--max-runtime", "500ms", "-c", "trap 'exit 0' TERM; sleep 600 & wait")
    assert result.returncode == 124
    (line,) = result.stderr.splitlines()
    assert "--max-runtime; sent TERM to group " in line
    assert line.endswith("(124)")
    assert locked_run("-n", "--", "true").returncode == 0


@pytest.mark.parametrize("guard", [[], ["--no-guardian"]], ids=["guarded", "alone"])
def test_nobody_waits_for_a_reader_of_stderr(
    address: str, key: str, locked_run: LockedRun, guard: list[str]
) -> None:
    """While it is held: the command is killed, and others get the lock, though nobody hears."""
    deaf, full = os.pipe()
    os.set_blocking(full, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(full, b"x" * 4096):
            pass
    os.set_blocking(full, True)
    command = [*COMMAND, "run", "-v", "-k", key, "--max-runtime", "200ms", "--kill-after", "200ms"]
    stubborn = ["-c", f"trap '' TERM; echo begun; {WORK}"]
    process = subprocess.Popen(
        [*command, *guard, *stubborn],
        env=environment(address),
        stdout=subprocess.PIPE,
        stderr=full,
    )
    os.close(full)
    assert process.stdout is not None
    try:
        select.select([process.stdout], [], [], PATIENCE)  # it has begun, so it has the lock
        assert locked_run("-w", "20s", "--", "true").returncode == 0
    finally:
        os.close(deaf)
        assert process.wait(PATIENCE) == 124
        process.stdout.close()


def test_a_lost_lock_can_be_only_warned_of(start: Start, address: str, key: str) -> None:
    """And the code is the command's."""
    running = start("--on-lost", "warn", "--", *working("trap 'exit 5' USR1"))
    running.line()
    session = consul(address, "GET", f"/v1/kv/{key}/.lock")[0]["Session"]
    assert consul(address, "PUT", f"/v1/session/destroy/{session}")
    eventually(lambda: f"LOST {key} after" in running.errors())
    running.send(signal.SIGUSR1)
    assert running.wait() == 5
    line, _ = running.said()
    assert line.endswith("; the command goes on")


def test_the_lock_is_free_although_leftovers_are_kept(start: Start, locked_run: LockedRun) -> None:
    """They are none of its business."""
    running = start("--keep-leftovers", "-c", f"sh -c 'echo $$; {WORK}' & read x < /dev/null")
    left = int(running.line())
    try:
        assert running.wait() == 1  # of read, which read nothing
        assert locked_run("-n", "--", "true").returncode == 0
        assert alive(left)
    finally:
        os.kill(left, signal.SIGKILL)


def test_a_kill_of_consul_lock_kills_the_command_and_then_frees_the_lock(
    start: Start, locked_run: LockedRun
) -> None:
    """Nothing is left within moments; then the guardian releases the lock, without lock-delay."""
    running = start("--kill-after", "300ms", "--", *working(f"sh -c 'echo $$; {WORK}' &"))
    pids = [int(running.line()), int(running.line())]
    (guardian,) = running.children()
    helpers = [guardian, *children(guardian)]
    assert len(helpers) == 2
    running.send(signal.SIGKILL)
    running.wait()
    eventually(lambda: not any(alive(pid) for pid in [*pids, *helpers]))
    assert locked_run("-n", "--", "true").returncode == 0


def test_unsafe_times_are_taken_if_that_is_asked_for(locked_run: LockedRun) -> None:
    """Without --unsafe-timing they are 64."""
    tight = ["--kill-after", "60s", "--lock-delay", "15s", "--unsafe-timing"]
    assert locked_run(*tight, "--", "true").returncode == 0
