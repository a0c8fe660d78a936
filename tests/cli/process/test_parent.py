"""The parent of the command: its stops, its end, and when nobody is left."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from consul_lock_cli.process.descendants import children_of
from consul_lock_cli.process.parent import Continued, DirectParent, Ended, Event, Stopped
from tests.support.waiting import eventually

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

Fork = Callable[[Callable[[], None]], int]


@pytest.fixture
def fork() -> Iterator[Fork]:
    """``fork(act)``: the pid of a child that does it and ends; it is killed with the test."""
    pids: list[int] = []

    def make(act: Callable[[], None]) -> int:
        pid = os.fork()
        if pid == 0:
            try:
                act()
            finally:
                os._exit(0)
        pids.append(pid)
        return pid

    yield make
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


def _next(parent: DirectParent) -> Event:
    (event,) = eventually(lambda: list(parent.poll()))
    return event


def test_stops_and_the_end_are_seen_each_once(fork: Fork) -> None:
    """And then nobody is left."""
    before = children_of(os.getpid())
    pid = fork(signal.pause)
    parent = DirectParent(pid, before)
    assert list(parent.poll()) == []
    os.kill(pid, signal.SIGSTOP)
    assert _next(parent) == Stopped(signal.SIGSTOP)
    assert list(parent.poll()) == []
    assert not parent.childless
    os.kill(pid, signal.SIGCONT)
    assert _next(parent) == Continued(signal.SIGCONT)
    assert list(parent.poll()) == []
    os.kill(pid, signal.SIGKILL)
    assert _next(parent) == Ended(-signal.SIGKILL)
    assert list(parent.poll()) == []
    assert parent.childless


def test_an_exit_code_is_itself(fork: Fork) -> None:
    """0 to 255, where a signal is a negative number."""
    before = children_of(os.getpid())
    assert _next(DirectParent(fork(lambda: os._exit(200)), before)) == Ended(200)


def test_the_status_is_there_until_the_event_was_used(fork: Fork) -> None:
    """If this process dies meanwhile, the next parent sees it, too."""
    before = children_of(os.getpid())
    pid = fork(lambda: None)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    events = DirectParent(pid, before).poll()
    assert next(events) == Ended(0)
    assert os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT) is not None
    assert list(events) == []
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _stopped(fork: Fork) -> tuple[int, Iterator[Event]]:
    """A command whose stop has just been seen, and the rest of that look."""
    before = children_of(os.getpid())
    pid = fork(signal.pause)
    _send(pid, signal.SIGSTOP, os.WSTOPPED)
    events = DirectParent(pid, before).poll()
    assert next(events) == Stopped(signal.SIGSTOP)
    return pid, events


def _send(pid: int, signum: int, status: int) -> None:
    """And wait for what it does, which its parent can still see."""
    os.kill(pid, signum)
    os.waitid(os.P_PID, pid, status | os.WNOWAIT)


def test_what_happens_while_an_event_is_used_is_seen_next(fork: Fork) -> None:
    """A command that is stopped, continued, and ends: quicker than its parent can look."""
    pid, events = _stopped(fork)
    _send(pid, signal.SIGCONT, os.WCONTINUED)
    assert next(events) == Continued(signal.SIGCONT)
    _send(pid, signal.SIGKILL, os.WEXITED)
    assert list(events) == [Ended(-signal.SIGKILL)]


def test_a_second_stop_while_the_first_is_used_is_seen_next(fork: Fork) -> None:
    """Without a guardian, consul-lock stops too, and lets the command go on when it does."""
    pid, events = _stopped(fork)
    os.kill(pid, signal.SIGCONT)
    os.waitid(os.P_PID, pid, os.WCONTINUED)
    _send(pid, signal.SIGSTOP, os.WSTOPPED)
    assert list(events) == [Stopped(signal.SIGSTOP)]


def test_another_child_counts_and_its_end_is_no_event(fork: Fork) -> None:
    """What the command has started, when its own parent has ended."""
    before = children_of(os.getpid())
    command, orphan = fork(lambda: None), fork(signal.pause)
    parent = DirectParent(command, before)
    assert _next(parent) == Ended(0)
    assert list(parent.poll()) == []
    assert not parent.childless
    os.kill(orphan, signal.SIGKILL)
    eventually(lambda: not list(parent.poll()) and parent.childless)


def test_the_status_of_a_helper_is_for_its_owner(fork: Fork) -> None:
    """It does not come from the command, so it neither counts nor is reaped."""
    helper = fork(lambda: os._exit(9))
    before = children_of(os.getpid())
    parent = DirectParent(fork(lambda: None), before)
    assert _next(parent) == Ended(0)
    assert list(parent.poll()) == []
    assert parent.childless
    assert os.waitstatus_to_exitcode(os.waitpid(helper, 0)[1]) == 9


def test_with_no_child_but_its_own_the_kernel_decides(fork: Fork) -> None:
    """As in the guardian, which has no helpers: here in a process of its own."""

    def guardian() -> None:
        command = os.fork()
        if command == 0:
            os._exit(4)
        parent, seen = DirectParent(command), []
        while not parent.childless:
            seen += parent.poll()
        os._exit(0 if seen == [Ended(4)] else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(fork(guardian), 0)[1]) == 0
