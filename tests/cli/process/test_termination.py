"""The way a command is stopped: what is sent to whom, and when."""

from __future__ import annotations

import math
import signal
from typing import Any

import pytest

from consul_lock_cli.process.descendants import Process
from consul_lock_cli.process.termination import Survivor, Termination

_TERM, _CONT, _STOP, _KILL = signal.SIGTERM, signal.SIGCONT, signal.SIGSTOP, signal.SIGKILL

# The first signal goes to all processes with that pid.
_FIRST = 0


class _Scene:
    """A clock, and a command that remembers who got which signal."""

    def __init__(self) -> None:
        self.time = 100.0
        self.sent: list[tuple[int, int]] = []
        self.expected: list[float] = []
        self.kills = 0
        self.survivors: list[list[Survivor]] = []
        self.others: list[Process] = []
        self.newcomers: list[Process] = []
        self.refuses: set[int] = set()
        self.flight: list[Process] = []

    def signal_first(self, signum: int) -> None:
        self.sent.append((_FIRST, signum))

    def left(self) -> list[Process]:
        found = list(self.others)
        # Forked while the look was going on.
        if self.newcomers:
            self.others.append(self.newcomers.pop())
        return found

    beside = left

    def fleeing(self) -> list[Process]:
        return [self.flight.pop()] if self.flight else []

    def gone(self) -> bool:
        return False

    def send(self, process: Process, signum: int) -> None:
        if process.pid in self.refuses:
            raise PermissionError
        self.sent.append((process.pid, signum))

    def killed(self) -> None:
        self.kills += 1


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> _Scene:
    """Nothing is stopped yet."""
    made = _Scene()

    def send(process: Process, signum: int) -> None:
        made.send(process, signum)

    monkeypatch.setattr("consul_lock_cli.process.termination.now", lambda: made.time)
    monkeypatch.setattr(Process, "send", send)
    return made


def _termination(scene: _Scene) -> Termination:
    tree: Any = scene
    return Termination(
        tree,
        on_plan=scene.expected.append,
        on_kill=scene.killed,
        on_survivors=scene.survivors.append,
    )


def _look(scene: _Scene, termination: Termination, time: float) -> list[tuple[int, int]]:
    """What is sent at that time."""
    scene.time = time
    before = len(scene.sent)
    termination.look()
    return scene.sent[before:]


def test_what_forks_and_ends_in_turn_is_caught(scene: _Scene) -> None:
    """It has another pid at each look."""
    scene.flight = [Process(pid, "R", 1, pid, pid, "7") for pid in (14, 13, 12)]
    termination = _termination(scene)
    termination.begin(0.0, _TERM)
    assert scene.sent == [(_FIRST, _KILL), (12, _KILL), (13, _KILL), (14, _KILL)]


def test_first_a_signal_and_when_the_time_is_over_kill(scene: _Scene) -> None:
    """A command that is stopped is continued, so that it sees the signal."""
    termination = _termination(scene)
    assert (termination.begun, termination.kill_at) == (False, math.inf)
    termination.begin(5.0, _TERM)
    assert (termination.begun, termination.kill_at) == (True, 105.0)
    assert scene.expected == [105.0]
    assert _look(scene, termination, 104.9) == []
    assert scene.sent == [(_FIRST, _TERM), (_FIRST, _CONT)]
    assert _look(scene, termination, 105.0) == [(_FIRST, _KILL)]
    assert scene.kills == 1


def test_kill_comes_again_but_is_told_once(scene: _Scene) -> None:
    """A member may have forked at that moment; not at each look, though."""
    termination = _termination(scene)
    termination.begin(1.0, _TERM)
    assert _look(scene, termination, 101.0) == [(_FIRST, _KILL)]
    assert _look(scene, termination, 101.0) == []
    assert _look(scene, termination, 102.0) == [(_FIRST, _KILL)]
    assert scene.kills == 1


def test_without_a_grace_it_is_killed_now(scene: _Scene) -> None:
    """Somebody else may have the lock: it gets no first signal."""
    _termination(scene).begin(0.0, _TERM)
    assert (scene.sent, scene.kills) == ([(_FIRST, _KILL)], 1)


@pytest.mark.parametrize("grace, kill_at", [(10.0, 105.0), (2.0, 102.0)])
def test_what_was_planned_earlier_stays(scene: _Scene, grace: float, kill_at: float) -> None:
    """A second reason to stop it gives it no more time and no second signal, or less time."""
    termination = _termination(scene)
    termination.begin(5.0, _TERM)
    termination.begin(grace, signal.SIGINT)
    assert termination.kill_at == kill_at
    assert scene.expected == [105.0, kill_at]
    assert scene.sent == [(_FIRST, _TERM), (_FIRST, _CONT)]


def test_a_hurry_without_a_time_is_now(scene: _Scene) -> None:
    """A second TERM of somebody who does not want to wait; the next look kills."""
    termination = _termination(scene)
    termination.begin(600.0, _TERM)
    termination.hurry()
    assert _look(scene, termination, 100.0)[-1] == (_FIRST, _KILL)


@pytest.mark.parametrize("ended_at, signalled_at", [(None, 104.0), (101.0, 101.0)])
def test_who_left_the_group_gets_one_signal_when_the_command_has_gone(
    scene: _Scene, ended_at: float | None, signalled_at: float
) -> None:
    """At half of the time at the latest; one that was forked later gets it, too."""
    scene.others = [Process(7, "S")]
    termination = _termination(scene)
    termination.command_ended()  # before it has begun that says nothing
    termination.begin(8.0, _TERM)
    assert _look(scene, termination, signalled_at - 0.1) == []
    if ended_at is not None:
        scene.time = ended_at
        termination.command_ended()
    assert termination.due == signalled_at
    assert _look(scene, termination, signalled_at) == [(7, _TERM), (7, _CONT)]
    scene.others.append(Process(8, "S"))
    termination.command_ended()
    assert _look(scene, termination, signalled_at + 1) == [(8, _TERM), (8, _CONT)]


def test_all_are_stopped_before_the_first_is_killed(scene: _Scene) -> None:
    """Who forks as fast as it is killed would get away otherwise."""
    scene.others, scene.newcomers = [Process(7, "S")], [Process(9, "S"), Process(8, "S")]
    termination = _termination(scene)
    termination.begin(1.0, _TERM)
    sent = _look(scene, termination, 101.0)
    assert sent == [
        (_FIRST, _KILL),
        *((pid, signum) for signum in (_STOP, _KILL) for pid in (7, 8, 9)),
    ]


def test_what_has_its_signal_already_gets_none(scene: _Scene) -> None:
    """The kernel has sent it when the guardian died; the others get it."""
    scene.others = [Process(7, "S")]
    termination = _termination(scene)
    termination.begin(5.0, _TERM, first=False)
    assert scene.sent == [(_FIRST, _CONT)]
    assert _look(scene, termination, 103.0) == [(7, _TERM), (7, _CONT)]


@pytest.mark.parametrize("they_have_it", [False, True])
def test_what_another_process_has_begun_is_gone_on_with(scene: _Scene, they_have_it: bool) -> None:
    """The guardian does, when consul-lock was killed: no first signal comes twice."""
    scene.others = [Process(7, "S")]
    termination = _termination(scene)
    termination.take_over(104.0, _TERM)
    if they_have_it:
        termination.others_have_it()
    others = [] if they_have_it else [(7, _TERM), (7, _CONT)]
    assert _look(scene, termination, 102.0) == others
    assert _look(scene, termination, 104.0) == [(_FIRST, _KILL), (7, _STOP), (7, _KILL)]


def test_who_may_not_be_signalled_is_named_at_once_and_seldom_again(scene: _Scene) -> None:
    """A process of another user."""
    scene.others, scene.refuses = [Process(7, "S"), Process(8, "S")], {8}
    termination = _termination(scene)
    termination.begin(0.0, _TERM)
    assert scene.survivors == [[(Process(7, "S"), True), (Process(8, "S"), False)]]
    for time in range(101, 159):
        _look(scene, termination, float(time))
    assert len(scene.survivors) == 1
    _look(scene, termination, 161.0)
    assert len(scene.survivors) == 2


@pytest.mark.parametrize("seen", [True, False])
def test_who_does_not_die_of_kill_is_named_after_a_while(scene: _Scene, seen: bool) -> None:
    """Such as one that waits for a disk; or one that /proc does not show."""
    stuck = Process(7, "D")
    scene.others = [stuck] if seen else []
    termination = _termination(scene)
    termination.begin(0.0, _TERM)
    _look(scene, termination, 102.0)
    assert scene.survivors == []
    _look(scene, termination, 104.0)
    assert scene.survivors == [[(stuck, True) if seen else (None, False)]]
