"""Nothing that the command has started outlives the lock unseen: each way out of its group, and
each end.  docs/guarantees.md has the same table.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from consul_lock_cli.base.exit_codes import ExitCode
from tests.cli.command import Running, alive, children, environment
from tests.cli.escapes import OWN_GROUP, OWN_SESSION, PLAIN, ROOT
from tests.cli.frozen import frozen
from tests.cli.program_supervisor import PROGRAM
from tests.support.waiting import eventually

Supervise = Callable[..., Running]

# Ends with the test at the latest.
_STUBBORN = "trap '' TERM; echo $$; exec sleep 120"

# How a program is started so that it is in another group, or in a session of its own.
_ESCAPES: dict[str, list[str]] = {"plain": PLAIN, **OWN_GROUP, **OWN_SESSION}


@pytest.fixture(params=_ESCAPES)
def escape(request: pytest.FixtureRequest) -> list[str]:
    """A command that starts another, which says its pid, and waits for it."""
    program = _ESCAPES[request.param]
    if shutil.which(program[0]) is None:
        pytest.skip(f"there is no {program[0]} here")
    # The shell has gone at the first signal; who was started has not.
    return ["sh", "-c", '"$@"; :', "sh", *program]


@pytest.mark.parametrize("end", ["loss", "TERM", "second TERM"])
def test_no_stop_leaves_anything(
    supervise: Supervise, escape: list[str], end: str, tmp_path: Path
) -> None:
    """consul-lock ends, and the lock is released, when all are dead."""
    lost = tmp_path / "lost"
    grace = "600" if end == "second TERM" else "0.6"
    running = supervise(*escape, kill_after=grace, lost_when=str(lost))
    escaped = int(running.line())
    if end == "loss":
        lost.touch()
    elif end == "TERM":
        running.send(signal.SIGTERM)
    elif end == "second TERM":
        running.send(signal.SIGTERM)
        # Not so soon that it is taken for an echo of the first.
        eventually(lambda: "x" if not _echo_possible(running) else None)
        running.send(signal.SIGTERM)
    code = running.wait()
    assert not alive(escaped)
    if end == "loss":
        assert code == ExitCode.LOST


def _echo_possible(running: Running) -> bool:
    """Until the first one has been acted upon: the shell has gone."""
    guardian = running.guardian()
    shell = Path(f"/proc/{guardian}/task/{guardian}/children").read_text().split()
    with suppress(FileNotFoundError, ProcessLookupError):  # it ends just now
        return any("; :" in Path(f"/proc/{pid}/cmdline").read_text() for pid in shell)
    return False


def test_a_kill_of_consul_lock_leaves_nothing(
    supervise: Supervise, escape: list[str], tmp_path: Path
) -> None:
    """And the guardian releases when the last of them is dead."""
    released = tmp_path / "released"
    running = supervise(*escape, kill_after="0.6", release_to=str(released))
    escaped = int(running.line())
    guardian = running.guardian()
    running.send(signal.SIGKILL)
    running.wait()
    eventually(released.exists)
    assert released.read_text() == "a-session 0"
    assert not alive(escaped)
    eventually(lambda: not alive(guardian))


def test_a_kill_of_the_guardian_leaves_nothing(supervise: Supervise, escape: list[str]) -> None:
    """consul-lock is the parent then."""
    running = supervise(*escape, kill_after="0.6")
    escaped = int(running.line())
    os.kill(running.guardian(), signal.SIGKILL)
    running.wait()
    assert not alive(escaped)
    assert "the guardian of sh was killed" in running.errors()


def test_without_a_guardian_a_stop_leaves_nothing(supervise: Supervise, escape: list[str]) -> None:
    """consul-lock itself is the parent."""
    running = supervise(*escape, kill_after="0.6", no_guardian=True)
    escaped = int(running.line())
    running.send(signal.SIGTERM)
    running.wait()
    assert not alive(escaped)


# -- the command ends by itself ---------------------------------------------------------------

# What is started in the background, and left behind.
_LEFT = {
    "group": ("", False),
    "timeout": ("timeout 60", False),
    "session": ("setsid", True),
}


@pytest.mark.parametrize("daemons", ["warn", "keep", "stop"])
@pytest.mark.parametrize("name", _LEFT)
def test_what_is_left_at_the_own_end_of_the_command(
    supervise: Supervise, name: str, daemons: str, tmp_path: Path
) -> None:
    """A session of its own goes on, unless that is not wanted; anything else is stopped."""
    prefix, own_session = _LEFT[name]
    pid = tmp_path / "pid"
    worker = f"sh -c 'echo $$ >{pid}.new; mv {pid}.new {pid}; exec sleep 600'"
    # It is named by what it has become.
    begun = f"grep -qs ^sleep /proc/$(cat {pid} 2>/dev/null)/cmdline"
    script = f"{prefix} {worker} >/dev/null & until {begun}; do sleep 0.05; done; exit 3"
    running = supervise("sh", "-c", script, daemons=daemons, kill_after="0.6")
    assert running.wait() == 3
    left = int(pid.read_text())
    goes_on = own_session and daemons != "stop"
    try:
        assert alive(left) == goes_on
    finally:
        if goes_on:
            os.kill(left, signal.SIGKILL)
    warned = f"sh has left pid {left} (sleep 600) in a session of its own" in running.errors()
    assert warned == (goes_on and daemons == "warn")


@pytest.mark.parametrize("name", _LEFT)
def test_kept_leftovers_are_those_of_the_group(
    supervise: Supervise, name: str, tmp_path: Path
) -> None:
    """What has left it, without a session of its own, is stopped all the same."""
    prefix, own_session = _LEFT[name]
    pid = tmp_path / "pid"
    worker = f"sh -c 'echo $$ >{pid}.new; mv {pid}.new {pid}; exec sleep 600'"
    script = f"{prefix} {worker} >/dev/null & until [ -e {pid} ]; do sleep 0.05; done"
    running = supervise("sh", "-c", script, keep_leftovers=True, kill_after="0.6")
    assert running.wait() == 0
    left = int(pid.read_text())
    goes_on = own_session or name == "group"
    try:
        assert alive(left) == goes_on
    finally:
        if goes_on:
            os.kill(left, signal.SIGKILL)


@pytest.mark.parametrize("end", ["loss", "max-runtime", "TERM", "KILL", "KILL of the guardian"])
def test_daemons_are_kept_after_a_stop_if_that_is_wanted(
    supervise: Supervise, tmp_path: Path, end: str
) -> None:
    """And everything else is stopped."""
    pid, lost, released = (tmp_path / name for name in ("pid", "lost", "released"))
    script = f"setsid sh -c 'echo $$ >{pid}; exec sleep 600' & {_STUBBORN}"
    # Long enough for the daemon to become one.
    options = {"max_runtime": "6"} if end == "max-runtime" else {}
    lock = {"lost_when": str(lost), "release_to": str(released)}
    running = supervise("sh", "-c", script, daemons="keep", kill_after="0.6", **lock, **options)
    command = int(running.line())
    left = int(eventually(lambda: pid.exists() and pid.read_text().strip()))
    try:
        if end == "loss":
            lost.touch()
        elif end == "KILL of the guardian":
            os.kill(running.guardian(), signal.SIGKILL)
        elif end != "max-runtime":
            running.send(signal.SIGKILL if end == "KILL" else signal.SIGTERM)
        code = running.wait()
        codes = {"loss": ExitCode.LOST, "max-runtime": ExitCode.OVERTIME}
        assert code == codes.get(end, -signal.SIGKILL)
        if end == "KILL":
            eventually(released.exists)
        assert not alive(command)
        assert alive(left)
    finally:
        os.kill(left, signal.SIGKILL)


def test_each_who_left_the_group_gets_one_first_signal(supervise: Supervise) -> None:
    """When the command has gone."""
    script = "trap 'echo term; exit' TERM; echo ready; while :; do sleep 0.05; done"
    running = supervise("sh", "-c", 'setsid sh -c "$0" & echo started; exec sleep 600', script)
    assert {running.line(), running.line()} == {"started", "ready"}
    running.send(signal.SIGTERM)
    assert running.line() == "term"
    assert running.line() == ""
    assert running.wait() == -signal.SIGTERM


# -- what is out of reach ----------------------------------------------------------------------


@pytest.fixture
def sudo() -> Iterator[Path]:
    """A program that everybody may run, and that runs another as root."""
    if not ROOT or shutil.which("setpriv") is None:
        pytest.skip("needs root")
    folder = Path("/var/tmp") / f"consul-lock-{os.getpid()}"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    program = folder / "sudo"
    shutil.copy(shutil.which("setpriv") or "", program)
    program.chmod(0o755 | stat.S_ISUID)
    yield program
    shutil.rmtree(folder)


_AS_SOMEBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", *PROGRAM)


def _with_roots_child(sudo: Path, *options: str, then: str = "wait") -> list[str]:
    """A command with a child of root's, whose pid it says."""
    sleeper = f"{sudo} --reuid 0 --regid 0 --clear-groups sleep 600"
    return ["--kill-after", "0.3", *options, "--", "sh", "-c", f"{sleeper} & echo $!; {then}"]


def _roots_child(running: Running) -> int:
    """Its pid, when it has become root's: before that it could be stopped."""
    pid = int(running.line())
    eventually(lambda: Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"sleep"))
    return pid


@pytest.mark.parametrize(
    "end, code",
    [
        ("loss", ExitCode.LOST),
        ("max-runtime", ExitCode.OVERTIME),
        ("TERM", -signal.SIGTERM),
        ("own end", 3),
        ("KILL of the guardian", -signal.SIGTERM),
    ],
)
def test_a_process_of_another_user_is_named_and_waited_for(sudo: Path, end: str, code: int) -> None:
    """It is not said to have been stopped, and the lock is not released while it lives."""
    lost, go = sudo.with_name("lost"), sudo.with_name("go")
    # Long enough for it to become root's.
    options = ["--max-runtime", "5"] if end == "max-runtime" else []
    then = f"until [ -e {go} ]; do sleep 0.05; done; exit 3"
    command = _with_roots_child(sudo, "--lost-when", str(lost), *options, then=then)
    with Running(command, environment(), prefix=_AS_SOMEBODY) as running:
        root = _roots_child(running)
        if end == "loss":
            lost.touch()
        elif end == "TERM":
            running.send(signal.SIGTERM)
        elif end == "own end":
            go.touch()
        elif end == "KILL of the guardian":
            os.kill(running.guardian(), signal.SIGKILL)
        eventually(lambda: "cannot stop" in running.errors())
        running.send(signal.SIGTERM)
        *_, line = running.said()
        assert line == (
            f"consul-lock: cannot stop pid {root} (sleep 600, root): not permitted; run"
            " consul-lock itself with sudo"
        )
        assert running.running()
        os.kill(root, signal.SIGKILL)
        assert running.wait() == code


def test_the_guardian_waits_for_a_process_of_another_user(sudo: Path) -> None:
    """consul-lock is killed: what it held is released when that process has ended."""
    released = sudo.with_name("released")
    options = _with_roots_child(sudo, "--release-to", str(released))
    with Running(options, environment(), prefix=_AS_SOMEBODY) as running:
        root = _roots_child(running)
        guardian = running.guardian()
        command = next(pid for pid in children(guardian))
        running.send(signal.SIGKILL)
        eventually(lambda: not alive(command))
        assert not released.exists()
        assert alive(guardian)
        os.kill(root, signal.SIGKILL)
        eventually(released.exists)


def test_a_process_that_proc_hides_is_waited_for_too(sudo: Path) -> None:
    """With hidepid nothing is known of it but that it is there."""
    hiding = ("unshare", "-m", "sh", "-c", 'mount -t proc -o hidepid=2 proc /proc && exec "$@"')
    if subprocess.run([*hiding, "sh", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no /proc can be mounted here")
    prefix = (*hiding, "sh", *_AS_SOMEBODY)
    with Running(_with_roots_child(sudo), environment(), prefix=prefix) as running:
        root = _roots_child(running)
        running.send(signal.SIGTERM)
        eventually(lambda: "cannot stop" in running.errors())
        (line,) = running.said()
        assert line.startswith(f"consul-lock: cannot stop pid {root} (another user): not permitted")
        os.kill(root, signal.SIGKILL)
        assert running.wait() == -signal.SIGTERM


def test_the_guardian_waits_for_what_does_not_die_of_kill(
    supervise: Supervise, tmp_path: Path
) -> None:
    """consul-lock is killed: what it held is released when that process has ended."""
    released = tmp_path / "released"
    script = "sleep 120 & echo $!; wait"
    running = supervise("sh", "-c", script, kill_after="0.3", release_to=str(released))
    pid = int(running.line())
    guardian = running.guardian()
    (command,) = children(guardian)
    with frozen(pid):
        running.send(signal.SIGKILL)
        eventually(lambda: not alive(command))
        # SIGKILL waits for it.
        eventually(lambda: _is_pending(pid, signal.SIGKILL))
        assert not released.exists()
        assert alive(guardian)
    eventually(released.exists)


def _is_pending(pid: int, signum: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    kinds = ("SigPnd:", "ShdPnd:")
    pending = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith(kinds)]
    return any(each & 1 << signum - 1 for each in pending)
