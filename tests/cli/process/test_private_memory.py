"""The memory of consul-lock, where a token and what it holds may be: nobody but root looks into it,
and no core of it is left.  COMMAND is as free as without consul-lock."""

from __future__ import annotations

import ctypes
import os
import resource
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command import COMMAND, PATIENCE, Running, children, environment, is_guardian
from tests.support.waiting import eventually

Start = Callable[..., Running]

_SOMEBODY = 65534
_AS_SOMEBODY = (
    ("setpriv", "--reuid", str(_SOMEBODY), "--regid", str(_SOMEBODY), "--clear-groups")
    if os.geteuid() == 0
    else ()
)

# Another process of the same user tries to look into these, and says what it is refused.
_LOOK = """
import ctypes, os, sys
trace = ctypes.CDLL(None, use_errno=True).ptrace
trace.argtypes = (ctypes.c_long,) * 4
for pid in sys.argv[1:]:
    seen = []
    for name in ("mem", "environ"):
        try:
            os.close(os.open(f"/proc/{pid}/{name}", os.O_RDONLY))
        except PermissionError:
            continue
        seen.append(name)
    PTRACE_SEIZE, PTRACE_DETACH = 0x4206, 17
    if trace(PTRACE_SEIZE, int(pid), 0, 0) == 0:
        seen.append("ptrace")
    print(*seen)
"""


def _seen(*pids: int) -> list[str]:
    """What another process of the same user can see of each."""
    words = [*_AS_SOMEBODY, sys.executable, "-c", _LOOK, *map(str, pids)]
    found = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=True)
    return found.stdout.splitlines()


@pytest.fixture(autouse=True)
def readable_by_others(tmp_path: Path) -> None:
    """What runs as another user has its files here."""
    for folder in (tmp_path, *tmp_path.parents[:2]):
        if folder.owner() == Path.home().owner():
            folder.chmod(folder.stat().st_mode | 0o755)


def test_no_other_process_of_its_user_looks_into_consul_lock_or_its_guardian(
    address: str, key: str
) -> None:
    """While it waits, with the process that will be COMMAND, and while that runs; COMMAND itself is
    no secret, or its own debugger could not be used."""
    arguments = ["run", "--key", key, "--", "sh", "-c", "echo ready; exec sleep 600"]
    prefix = (*_AS_SOMEBODY, *COMMAND)
    env = environment(address, HOME="/", CONSUL_HTTP_TOKEN="secret-of-the-environment")
    with Running(arguments, env, prefix=prefix) as holder:
        assert holder.line() == "ready"
        guardian = holder.guardian()
        (command,) = children(guardian)
        assert _seen(holder.pid, guardian) == ["", ""]
        assert _seen(command) == ["mem environ ptrace"]
        with Running(arguments, env, prefix=prefix) as waiter:
            guardian = waiter.guardian()
            (waiting,) = eventually(lambda: children(guardian))
            assert _seen(waiter.pid, guardian, waiting) == ["", "", ""]


def test_an_ordinary_user_runs_a_command_under_a_lock(address: str, key: str) -> None:
    """The files of /proc/self belong to root then, and nothing of consul-lock needs them: neither
    the environment of COMMAND, nor its descriptors, nor its end changes by that."""
    script = "test -z $LC_CTYPE; echo $?; ls /proc/self/fd; sleep 0 & wait; exit 7"
    env = environment(address, HOME="/")
    env.pop("LC_CTYPE", None)
    env.pop("LC_ALL", None)
    env["LANG"] = "C"
    words = [*_AS_SOMEBODY, *COMMAND, "run", "--key", key, "--", "sh", "-c", script]
    result = subprocess.run(
        words, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (7, "")
    assert result.stdout.split() == ["0", "0", "1", "2", "3"]


def test_an_abort_leaves_no_core_of_consul_lock_but_one_of_the_command(
    address: str, key: str, tmp_path: Path
) -> None:
    """However large a core may be: that limit is for COMMAND, which has it unchanged, and whose own
    core is left if it asks for one."""
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    limit = unlimited if hard == resource.RLIM_INFINITY else (hard, hard)
    where = shlex.quote(str(tmp_path / "pid"))
    limits = tmp_path / "limits"
    script = f"ulimit -c >{shlex.quote(str(limits))}; echo $PPID >{where}; exec sleep 600"

    def status(*words: str) -> int:
        pid = os.fork()
        if pid == 0:
            try:
                resource.setrlimit(resource.RLIMIT_CORE, limit)
                os.chdir(tmp_path)
                os.execve(sys.executable, words, environment(address))
            finally:
                os._exit(99)
        if words[-1] == script:
            eventually(lambda: (tmp_path / "pid").exists() and limits.read_text())
            guardian = children(pid)
            os.kill(pid, signal.SIGABRT)
            assert [is_guardian(each) for each in guardian] == [True]
        return os.waitpid(pid, 0)[1]

    ended = status(*COMMAND, "run", "--key", key, "--", "sh", "-c", script)
    assert (os.WTERMSIG(ended), os.WCOREDUMP(ended)) == (signal.SIGABRT, False)
    assert limits.read_text().strip() in ("unlimited", str(limit[0] // 512))
    # It could have been otherwise: what is no consul-lock leaves one here.
    ended = status(sys.executable, "-c", "import os; os.abort()")
    assert os.WCOREDUMP(ended) is _cores_are_left(limit)


def _cores_are_left(limit: tuple[int, int]) -> bool:
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    return limit[0] != 0 and bool(pattern.strip())


def test_what_consul_lock_starts_beside_the_command_can_be_looked_into(
    start: Start, tmp_path: Path
) -> None:
    """A hook is a program of its own, too."""
    said = tmp_path / "said"
    hook = f"exec {shlex.quote(sys.executable)} -c {shlex.quote(_OWN)} >{shlex.quote(str(said))}"
    assert start("--on-acquire", hook, "--", "true").wait() == 0
    assert said.read_text() == "1\n"


_OWN = "import ctypes; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"


def test_this_process_is_no_exception() -> None:
    """What the tests look with is dumpable, so that what they see is the doing of consul-lock."""
    assert ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 1
