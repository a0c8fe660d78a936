"""Nothing that the command has started lives when the next holder of the lock begins.

Each end of a run meets all ways out at once, at a real agent; process/test_escapes has them one by
one, under a made-up lock, and docs/guarantees.md has the same table.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from consul_lock_cli.process.descendants import Process, process_of, send
from tests.cli.command import COMMAND, Running, consul, environment
from tests.cli.conftest import Result
from tests.cli.escapes import OWN_GROUP, OWN_SESSION, PLAIN, ROOT, WORK
from tests.cli.frozen import frozen
from tests.support.waiting import eventually

Start = Callable[..., Running]
LockedRun = Callable[..., Result]

# KILL comes before Consul gives a lost lock away; and before su, which gets the first signal, too,
# kills its shell two seconds later.
_QUICK = ("--lock-delay", "9s", "--kill-after", "200ms")

# Prints the pids that are alive, of arguments "PID:START": builtins alone, so at once.
_WHO_IS_ALIVE = r"""
alive=
for each; do
    { read -r line </proc/"${each%:*}"/stat; } 2>/dev/null || continue
    set -- ${line##*) }
    case $1 in Z|X) continue ;; esac
    [ "${20}" = "${each#*:}" ] && alive="$alive ${each%:*}"
done
echo alive:$alive
"""


class Tree(NamedTuple):
    """A run whose command has started a worker by each way out; then it waits for `end`."""

    holder: Running
    processes: dict[str, Process]
    """The workers, and the command's own first process."""
    fifo: Path

    def end(self) -> None:
        """The command ends by itself."""
        with self.fifo.open("w") as wake:
            wake.write("\n")


@pytest.fixture
def setuid_sleep() -> Iterator[Path | None]:
    """A program that everybody may run, and that is another user's then."""
    if not ROOT:
        yield None
        return
    folder = Path("/var/tmp") / f"consul-lock-{os.getpid()}"
    folder.mkdir(mode=0o755, exist_ok=True)
    program = folder / "sleep"
    shutil.copy(shutil.which("sleep") or "", program)
    os.chown(program, 65534, 65534)
    program.chmod(0o755 | stat.S_ISUID)
    yield program
    shutil.rmtree(folder)


Grow = Callable[..., Tree]


@pytest.fixture
def grow(address: str, key: str, tmp_path: Path, setuid_sleep: Path | None) -> Iterator[Grow]:
    """``grow("--daemons", "keep")``: such a run, with these options; it ends with the test."""
    escapes = {"plain": PLAIN, **OWN_GROUP, **OWN_SESSION}
    if setuid_sleep is not None:
        escapes["setuid"] = ["sh", "-c", WORK.format(program=setuid_sleep)]
    fifo = tmp_path / "end"
    os.mkfifo(fifo)
    starts = [f"ESCAPE='{name}' {shlex.join(each)} &" for name, each in escapes.items()]
    script = "\n".join([*starts, "echo command $$", f"read _ <{fifo}"])
    found: list[Process] = []
    with ExitStack() as stack:

        def start(*options: str) -> Tree:
            arguments = ["run", "--key", key, *_QUICK, *options, "--", "sh", "-c", script]
            holder = stack.enter_context(Running(arguments, environment(address)))
            pids: dict[str, int] = {}
            for _ in range(len(escapes) + 1):
                name, _, pid = holder.line().rpartition(" ")
                pids[name] = int(pid)
            looked_up = {name: process_of(pid) for name, pid in sorted(pids.items())}
            there = {name: each for name, each in looked_up.items() if each is not None}
            found.extend(there.values())
            assert set(there) == {"command", *escapes}
            return Tree(holder, there, fifo)

        try:
            yield start
        finally:
            for each in found:
                send(each, signal.SIGKILL)


def _next_holder(address: str, key: str, tree: Tree, stack: ExitStack) -> Running:
    """It waits for the lock, and then its command says who is alive."""
    who = [f"{each.pid}:{each.start}" for each in tree.processes.values()]
    check = ["--", "sh", "-c", _WHO_IS_ALIVE, "sh", *who]
    arguments = ["run", "--key", key, *_QUICK, *check]
    following = stack.enter_context(Running(arguments, environment(address)))
    eventually(lambda: consul(address, "GET", f"/v1/kv/{key}/.queue/?keys"))
    return following


def _alive_then(following: Running, tree: Tree) -> dict[str, bool]:
    """Who was alive when the next holder began."""
    word, *pids = following.line().split()
    assert word == "alive:"
    return {name: str(each.pid) in pids for name, each in tree.processes.items()}


def _loss(tree: Tree, address: str, key: str) -> None:
    (held,) = consul(address, "GET", f"/v1/kv/{key}/.lock")
    assert consul(address, "PUT", f"/v1/session/destroy/{held['Session']}")


def _break(tree: Tree, address: str, key: str) -> None:
    command = [*COMMAND, "break", "--yes", key]
    subprocess.run(command, env=environment(address), check=True, capture_output=True)


def _wait(tree: Tree, address: str, key: str) -> None:
    pass


def _term(tree: Tree, address: str, key: str) -> None:
    tree.holder.send(signal.SIGTERM)


def _own_end(tree: Tree, address: str, key: str) -> None:
    tree.end()


def _kill_consul_lock(tree: Tree, address: str, key: str) -> None:
    tree.holder.send(signal.SIGKILL)


def _kill_guardian(tree: Tree, address: str, key: str) -> None:
    os.kill(tree.holder.guardian(), signal.SIGKILL)


def _kill_both(tree: Tree, address: str, key: str) -> None:
    guardian = tree.holder.guardian()
    # It does not see the death of the other.
    tree.holder.send(signal.SIGSTOP)
    os.kill(guardian, signal.SIGKILL)
    tree.holder.send(signal.SIGKILL)


_ALL = sorted(["plain", *OWN_GROUP, *OWN_SESSION, *(["setuid"] if ROOT else [])])
_DAEMONS = sorted(OWN_SESSION)

# Options of the run, its end, its exit code, and which of the processes are alive then.
_ENDS: dict[str, tuple[tuple[str, ...], Callable[[Tree, str, str], None], int, list[str]]] = {
    "loss": ((), _loss, 76, []),
    "break": ((), _break, 76, []),
    # Long enough for all of them to start on a busy machine.
    "max-runtime": (("--max-runtime", "10s"), _wait, 124, []),
    "TERM": ((), _term, -signal.SIGTERM, []),
    "own end": ((), _own_end, 0, _DAEMONS),
    "own end, daemons kept": (("--daemons", "keep"), _own_end, 0, _DAEMONS),
    "own end, daemons stopped": (("--daemons", "stop"), _own_end, 0, []),
    "TERM, daemons kept": (("--daemons", "keep"), _term, -signal.SIGTERM, _DAEMONS),
    "KILL": ((), _kill_consul_lock, -signal.SIGKILL, []),
    "KILL, daemons kept": (("--daemons", "keep"), _kill_consul_lock, -signal.SIGKILL, _DAEMONS),
    "KILL of the guardian": ((), _kill_guardian, -signal.SIGTERM, []),
    "KILL of the guardian, daemons kept": (
        ("--daemons", "keep"), _kill_guardian, -signal.SIGTERM, _DAEMONS,
    ),
    "loss, in the foreground": (("--foreground",), _loss, 76, []),
    "TERM, in the foreground": (("--foreground",), _term, -signal.SIGTERM, []),
    "KILL, in the foreground": (("--foreground",), _kill_consul_lock, -signal.SIGKILL, []),
    "KILL of the guardian, in the foreground": (
        ("--foreground",), _kill_guardian, -signal.SIGTERM, [],
    ),
    # The command's first process alone is reached; nobody is left who could release.
    "KILL of both": (("--heartbeat", "4s"), _kill_both, -signal.SIGKILL, _ALL),
}  # fmt: skip


@pytest.mark.parametrize("end", _ENDS)
def test_nothing_is_alive_when_the_next_holder_begins(
    grow: Grow, address: str, key: str, end: str
) -> None:
    """Whatever way out, and whatever end; what is to go on is alive, and nothing else."""
    options, act, code, expected = _ENDS[end]
    tree = grow(*options)
    with ExitStack() as stack:
        following = _next_holder(address, key, tree, stack)
        act(tree, address, key)
        assert tree.holder.wait() == code
        seen = _alive_then(following, tree)
        assert seen == {name: name in expected for name in tree.processes}
        assert following.wait() == 0
    named = "in a session of its own" in tree.holder.errors()
    assert named == (end == "own end")
    if named:
        pids = [tree.processes[name].pid for name in expected]
        assert all(f"pid {pid} (sleep 120)" in tree.holder.errors() for pid in pids)


def test_what_does_not_die_of_kill_keeps_the_lock(start: Start, locked_run: LockedRun) -> None:
    """It is named, and nobody else can have the lock before it has ended."""
    script = "sleep 120 & echo $!; wait"
    holder = start("--kill-after", "300ms", "--", "sh", "-c", script)
    pid = int(holder.line())
    with frozen(pid):
        holder.send(signal.SIGTERM)
        eventually(lambda: "cannot stop" in holder.errors())
        holder.send(signal.SIGTERM)
        (line,) = holder.said()
        assert line == (
            f"consul-lock: cannot stop pid {pid} (sleep 120): it does not die of KILL (state D)"
        )
        assert locked_run("-n", "--", "true").returncode == 75
        assert holder.running()
    assert holder.wait() == -signal.SIGTERM
    assert locked_run("-n", "--", "true").returncode == 0
