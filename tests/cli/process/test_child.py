"""The command's process and its guardian, from the fork to the end."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from consul_lock_cli.process.child import Child
from consul_lock_cli.process.parent import Continued, Ended, Event, Stopped
from consul_lock_cli.process.signals import Signals
from consul_lock_cli.spec.process import ProcessPolicy
from tests.cli.command import alive, children
from tests.support.waiting import eventually

# It execs at once, and forks before there are threads where it matters.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@pytest.fixture(params=[True, False], ids=["guarded", "alone"])
def guarded(request: pytest.FixtureRequest) -> bool:
    """Whether there is a guardian."""
    return bool(request.param)


@pytest.fixture(autouse=True)
def _own_signals() -> Iterator[None]:
    """The guardian sends SIGCHLD, which is blocked in consul-lock."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What it holds ends with the test."""
    with ExitStack() as held:
        yield held


def _child(*command: str, stack: ExitStack | None = None, **policy: Any) -> Child:
    child = Child(command, Signals(frozenset(), frozenset()), policy=ProcessPolicy(**policy))
    if stack is not None:
        stack.callback(child.abandon)
    return child


def _events(child: Child, count: int) -> list[Event]:
    seen: list[Event] = []

    def enough() -> bool:
        # A parent may come too late to see that it was continued.
        seen.extend(event for event in child.poll() if not isinstance(event, Continued))
        return len(seen) >= count

    eventually(enough)
    return seen


def test_stops_and_the_end_are_seen_by_either_parent(guarded: bool, stack: ExitStack) -> None:
    """By the guardian, or by this process."""
    child = _child("sh", "-c", "kill -STOP $$; exit 3", guardian=guarded, stack=stack)
    child.go({})
    assert _events(child, 1) == [Stopped(signal.SIGSTOP)]
    os.kill(child.pid, signal.SIGCONT)
    assert _events(child, 1) == [Ended(3)]
    eventually(lambda: not list(child.poll()) and child.tree.gone())
    assert child.failure() is None


def test_why_it_could_not_be_run_is_known(guarded: bool, stack: ExitStack) -> None:
    """Through whatever process it was started."""
    child = _child("/no/such", guardian=guarded, stack=stack)
    child.go({})
    assert _events(child, 1) == [Ended(126)]
    failure = child.failure()
    assert failure is not None
    assert failure.errno == errno.ENOENT


def test_without_an_order_it_never_runs(guarded: bool, tmp_path: Path) -> None:
    """When consul-lock gives up; and nothing of it is left."""
    child = _child("touch", str(tmp_path / "mark"), guardian=guarded)
    everybody = [child.pid, *([child.guardian.pid] if child.guardian else [])]
    child.abandon()
    assert list(tmp_path.iterdir()) == []
    assert not any(Path(f"/proc/{pid}").exists() for pid in everybody)
    child.abandon()


def test_what_ended_it_before_its_order_is_not_forgotten(guarded: bool, stack: ExitStack) -> None:
    """The order comes too late, and that is no error."""
    child = _child("true", guardian=guarded, stack=stack)
    os.kill(child.pid, signal.SIGKILL)
    eventually(lambda: not alive(child.pid))
    child.go({})
    assert _events(child, 1) == [Ended(-signal.SIGKILL)]


def test_without_its_guardian_it_is_not_run(tmp_path: Path) -> None:
    """It has ended with the guardian, or is about to."""
    child = _child("touch", str(tmp_path / "mark"))
    guardian = child.guardian
    assert guardian is not None
    os.kill(guardian.pid, signal.SIGKILL)
    eventually(lambda: not alive(guardian.pid))
    with pytest.raises(OSError, match="the guardian of the command was killed"):
        child.go({})
    assert child.orphaned
    child.abandon()
    eventually(lambda: not alive(child.pid))
    assert list(tmp_path.iterdir()) == []


def test_a_guardian_that_is_stopped_is_continued(stack: ExitStack) -> None:
    """Nobody else would see the end of the command."""
    child = _child("true", stack=stack)
    assert child.guardian is not None
    os.kill(child.guardian.pid, signal.SIGSTOP)
    child.go({})
    assert _events(child, 1) == [Ended(0)]


def test_the_guardian_is_the_parent_and_has_a_group_of_its_own(stack: ExitStack) -> None:
    """So the process of the command is below it, and no signal for this group reaches it."""
    child = _child("true", stack=stack)
    assert child.guardian is not None
    assert children(child.guardian.pid) == [child.pid]
    eventually(lambda: os.getpgid(child.guardian.pid) == child.guardian.pid)
    assert os.getpgid(child.pid) == child.pid


def test_without_a_first_process_there_is_none(
    guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error has the words of the system."""
    monkeypatch.setattr(os, "fork", _refuse)
    with pytest.raises(OSError, match="a process: Resource temporarily unavailable"):
        _child("true", guardian=guarded)


def test_without_a_process_for_the_command_the_guardian_goes_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is there by then."""
    forked: list[int] = []
    fork = os.fork

    def once() -> int:
        # What the guardian inherits is that there was one.
        forked.append(-1)
        if len(forked) > 1:
            _refuse()
        forked[0] = fork()
        return forked[0]

    monkeypatch.setattr(os, "fork", once)
    with pytest.raises(OSError, match="cannot start a process: Resource temporarily") as caught:
        _child("true")
    assert caught.value.errno == errno.EAGAIN  # by which there is advice about limits
    (pid,) = forked
    assert not Path(f"/proc/{pid}").exists()


def _refuse(*_: object, **__: object) -> int:
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
