"""Which processes a signal reaches, and when none of them can do anything any more."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from consul_lock_cli.process.group import Alone, Group, Target, target
from tests.cli.command import alive as runs
from tests.support.waiting import eventually

Process = subprocess.Popen[str]
Start = Callable[..., Process]


@pytest.fixture
def start() -> Iterator[Start]:
    """``start(script)``: a shell that leads a group of its own, which ends with the test."""
    with ExitStack() as stack:

        def run(script: str = "exec sleep 600") -> Process:
            process = subprocess.Popen(
                ["sh", "-c", script], stdout=subprocess.PIPE, text=True, process_group=0
            )
            stack.enter_context(process)
            stack.callback(Group(process.pid).signal, signal.SIGKILL)
            return process

        yield run


def _line(process: Process) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def test_a_group_is_all_that_did_not_leave_it(start: Start) -> None:
    """A signal reaches each; it is empty when all are dead, reaped or not."""
    leader = start("sleep 600 & echo $!; wait")
    child = _line(leader)
    group = target(leader.pid, foreground=False)
    assert isinstance(group, Group)
    assert not group.empty()
    group.signal(signal.SIGKILL)
    eventually(group.empty)
    assert not runs(leader.pid)
    assert not runs(child)
    assert leader.wait() == -signal.SIGKILL
    assert group.empty()
    group.signal(signal.SIGKILL)


def test_a_group_outlives_its_leader(start: Start) -> None:
    """What the leader left behind still counts, and can be stopped."""
    leader = start("sleep 600 & echo $!")
    group = Group(leader.pid)
    child = _line(leader)
    assert leader.wait() == 0
    assert not group.empty()
    group.signal(signal.SIGKILL)
    eventually(group.empty)
    assert not runs(child)


@pytest.mark.parametrize("handle", [True, False])
@pytest.mark.parametrize("foreground", [True, False])
def test_a_process_that_came_later_is_no_target(
    start: Start, monkeypatch: pytest.MonkeyPatch, foreground: bool, handle: bool
) -> None:
    """It has the same pid, but another start; not every system has handles of processes."""

    def refuse(_: int) -> int:
        raise OSError

    process = start()
    if not handle:
        monkeypatch.setattr(os, "pidfd_open", refuse)
    if foreground and handle:
        # The handle is of the other one, which has ended.
        pid = start("exit 0").pid
        later = target(pid, foreground=True)
        os.waitpid(pid, 0)
    else:
        with monkeypatch.context() as patch:
            patch.setattr("consul_lock_cli.process.group.start_of", lambda _: "1")
            later = target(process.pid, foreground=foreground)
    assert later.empty()
    later.signal(signal.SIGKILL)
    assert runs(process.pid)
    same = target(process.pid, foreground=foreground)
    assert not same.empty()
    same.signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert same.empty()


def test_alone_is_one_process_and_not_its_group(start: Start) -> None:
    """It counts until it is reaped; what it started goes on."""
    leader = start("sleep 600 & echo $!; wait")
    child = _line(leader)
    alone = target(leader.pid, foreground=True)
    assert isinstance(alone, Alone)
    alone.signal(signal.SIGKILL)
    eventually(lambda: not runs(leader.pid))
    assert not alone.empty()
    assert leader.wait() == -signal.SIGKILL
    assert alone.empty()
    alone.signal(signal.SIGKILL)
    assert runs(child)


@pytest.mark.parametrize("make", [Group, Alone])
def test_a_process_of_another_user_is_out_of_reach_and_not_gone(
    monkeypatch: pytest.MonkeyPatch, start: Start, make: Callable[[int], Target]
) -> None:
    """As under sudo: neither an error nor an end."""

    def refuse(*_: object) -> None:
        raise PermissionError

    process = start()
    found = make(process.pid)
    with monkeypatch.context() as patch:
        for module, name in ((os, "killpg"), (os, "kill"), (signal, "pidfd_send_signal")):
            patch.setattr(module, name, refuse)
        found.signal(signal.SIGKILL)
        assert not found.empty()
    assert runs(process.pid)
