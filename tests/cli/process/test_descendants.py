"""Who comes from a process, by the word of /proc."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from consul_lock_cli.process import descendants as module
from consul_lock_cli.process.descendants import (
    Process,
    children_of,
    descendants,
    process_of,
    start_of,
)
from tests.cli.between_fork_and_exec import BETWEEN_FORK_AND_EXEC
from tests.support.waiting import eventually

# A shell with a child in its group, and one in a session of its own, which has a child itself.
_FAMILY = "sleep 600 & echo $!; setsid sh -c 'sleep 600 & echo $$ $!; wait' & wait"


@pytest.fixture
def family() -> Iterator[tuple[int, list[int]]]:
    """The pid of the first, and of those below it; they end with the test."""
    with subprocess.Popen(
        ["sh", "-c", _FAMILY], stdout=subprocess.PIPE, text=True, process_group=0
    ) as process:
        assert process.stdout is not None
        pids = [int(pid) for _ in range(2) for pid in process.stdout.readline().split()]
        yield process.pid, pids
        for pid in [*pids, process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def test_everybody_below_is_found_in_whatever_group_or_session(
    family: tuple[int, list[int]],
) -> None:
    """The process itself is not among them."""
    root, pids = family
    found = {process.pid: process for process in descendants(root)}
    assert sorted(found) == sorted(pids)
    beside, leader, below = (found[pid] for pid in pids)
    assert (beside.parent, beside.group, beside.session) == (root, root, os.getsid(0))
    assert (leader.group, leader.session) == (leader.pid, leader.pid)
    assert (below.parent, below.session) == (leader.pid, leader.pid)


def test_between_fork_and_exec_it_works_unless_it_is_about_to_stop(tmp_path: Path) -> None:
    """It is uninterruptible there, so a signal that stops it is pending until another one, which
    continues it, takes that back.  Its child does not begin as long as it is stopped itself."""
    os.mkfifo(fifo := tmp_path / "fifo")
    with subprocess.Popen(
        [sys.executable, "-c", BETWEEN_FORK_AND_EXEC, fifo],
        stdout=subprocess.DEVNULL,
        process_group=0,
    ) as parent:
        try:
            process = _uninterruptible(parent.pid)
            (child,) = eventually(lambda: descendants(parent.pid))
            assert process.works()
            os.killpg(parent.pid, signal.SIGSTOP)
            eventually(lambda: not child.works())
            assert (_uninterruptible(parent.pid), process.works()) == (process, False)
            os.kill(parent.pid, signal.SIGCONT)
            assert process.works()
            assert not child.works()
        finally:
            os.killpg(parent.pid, signal.SIGKILL)


def _uninterruptible(pid: int) -> Process:
    return eventually(lambda: (found := process_of(pid)) and found.state == "D" and found)


# Its first thread ends, and the other one works on: pthread_exit(3) in main does that.
_FIRST_THREAD_ENDS = (
    "import ctypes, threading, time\n"
    "threading.Thread(target=time.sleep, args=(60,)).start()\n"
    "ctypes.CDLL(None).syscall({'x86_64': 60}.get(__import__('os').uname().machine, 93), 0)\n"
)


def test_whose_first_thread_has_ended_is_not_dead() -> None:
    """/proc shows it like a zombie, and it does all it did before."""
    with subprocess.Popen([sys.executable, "-c", _FIRST_THREAD_ENDS]) as process:
        try:
            stat = Path(f"/proc/{process.pid}/stat")
            eventually(lambda: stat.read_text().rpartition(")")[2].split()[0] == "Z")
            found = process_of(process.pid)
            assert found is not None
            assert (found.state, found.dead, found.works()) == ("S", False, True)
            assert process.pid in [each.pid for each in descendants(os.getpid())]
            os.kill(process.pid, signal.SIGSTOP)
            eventually(lambda: not found.works())
        finally:
            process.kill()


def test_some_can_be_left_out_with_all_below_them(family: tuple[int, list[int]]) -> None:
    """Such as the guardian of another command."""
    root, (beside, leader, _) = family
    assert [process.pid for process in descendants(root, {leader})] == [beside]


def test_who_has_ended_is_none_of_them(family: tuple[int, list[int]]) -> None:
    """It is a zombie until its parent looks."""
    root, (_, leader, below) = family
    os.kill(leader, signal.SIGSTOP)
    os.kill(below, signal.SIGKILL)
    eventually(lambda: (found := process_of(below)) is not None and found.dead)
    assert below not in [process.pid for process in descendants(root)]


def test_a_signal_is_for_that_process_and_not_for_a_later_one(
    family: tuple[int, list[int]],
) -> None:
    """Pids are used again; who has ended gets nothing, and that is no error."""
    _, (pid, *_) = family
    process = process_of(pid)
    assert process is not None
    process._replace(start="1").send(signal.SIGKILL)
    process.send(0)
    assert process_of(pid) is not None
    process.send(signal.SIGKILL)
    eventually(lambda: (found := process_of(pid)) is None or found.dead)
    process.send(signal.SIGKILL)


def test_what_may_not_be_signalled_raises(
    family: tuple[int, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller says so."""

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    monkeypatch.setattr(signal, "pidfd_send_signal", refuse)
    process = process_of(family[1][0])
    assert process is not None
    with pytest.raises(PermissionError):
        process.send(signal.SIGTERM)


@pytest.mark.parametrize("there", [True, False])
def test_a_child_that_proc_hides_is_known_by_its_pid(
    family: tuple[int, list[int]], monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    """The option hidepid of proc hides those of others; or it has ended between two looks."""
    root, (beside, leader, below) = family
    look = process_of

    def hide(pid: int) -> Process | None:
        return None if pid == beside else look(pid)

    def ask(pid: int, signum: int) -> None:
        raise PermissionError if there else ProcessLookupError

    monkeypatch.setattr(module, "process_of", hide)
    monkeypatch.setattr(os, "kill", ask)
    found = descendants(root)
    hidden = [process.pid for process in found if process.hidden]
    assert hidden == ([beside] if there else [])
    assert sorted(p.pid for p in found if not p.hidden) == sorted([leader, below])
    monkeypatch.undo()


@pytest.mark.parametrize("new", [True, False])
def test_a_child_of_this_user_that_proc_hides_is_known_by_its_pid(
    family: tuple[int, list[int]], monkeypatch: pytest.MonkeyPatch, new: bool
) -> None:
    """A consul-lock keeps its memory private, and ``hidepid`` hides it from its own user; what is
    below it is found all the same.  One that began after the look is for the next look."""
    root, (beside, leader, below) = family
    look, looks = process_of, list[int]()

    def hide(pid: int) -> Process | None:
        looks.append(pid)
        return None if pid == leader and not (new and looks.count(leader) > 1) else look(pid)

    monkeypatch.setattr(module, "process_of", hide)
    found = {process.pid: process for process in descendants(root)}
    assert sorted(found) == sorted([beside] if new else [beside, leader, below])
    if new:
        return
    assert found[leader].hidden
    assert (found[leader].group, found[leader].session) == (os.getpgid(leader), os.getsid(leader))


def test_it_is_shown_by_its_arguments_and_its_owner(family: tuple[int, list[int]]) -> None:
    """For a message."""
    import pwd

    process = process_of(family[1][0])
    assert process is not None
    eventually(lambda: process.command_line() == "sleep 600")
    assert process.user() == pwd.getpwuid(os.getuid()).pw_name
    nobody = Process(2**22 + 1, "")
    assert (nobody.command_line(), nobody.user()) == ("?", "another user")
    kernel = process_of(2)
    if kernel is not None and kernel.parent == 0:
        assert kernel.command_line() == "kthreadd"  # it has no arguments


def test_of_a_process_that_is_not_there_nothing_is_known() -> None:
    """Neither a start nor children."""
    nobody = 2**22 + 1
    assert process_of(nobody) is None
    assert start_of(nobody) is None
    assert children_of(nobody) == frozenset()
    assert start_of(os.getpid()) == start_of(os.getpid())


def test_without_proc_there_is_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """As elsewhere than on Linux."""
    monkeypatch.setattr(module, "LINUX", False)
    assert list(module.everybody()) == []
    monkeypatch.setattr(module, "LINUX", True)

    def refuse(_: str) -> list[str]:
        raise OSError

    monkeypatch.setattr(os, "listdir", refuse)
    assert list(module.everybody()) == []
