"""The way a command is stopped: what is sent to it, and when."""

from __future__ import annotations

import math
import signal
from typing import Any

import pytest

from consul_lock_cli.process.termination import Termination

_TERM, _CONT, _KILL = signal.SIGTERM, signal.SIGCONT, signal.SIGKILL


class _Scene:
    """A clock, a command that remembers its signals, a guardian that remembers when KILL is due."""

    def __init__(self) -> None:
        self.time = 100.0
        self.sent: list[int] = []
        self.expected: list[float] = []
        self.kills = 0

    def signal(self, signum: int) -> None:
        self.sent.append(signum)

    def empty(self) -> bool:
        return False

    def expect(self, kill_at: float) -> None:
        self.expected.append(kill_at)

    def killed(self) -> None:
        self.kills += 1


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> _Scene:
    """Nothing is stopped yet."""
    made = _Scene()
    monkeypatch.setattr("consul_lock_cli.process.termination.now", lambda: made.time)
    return made


def _termination(scene: _Scene, guarded: bool = True) -> Termination:
    guardian: Any = scene if guarded else None
    return Termination(scene, guardian, scene.killed)


@pytest.mark.parametrize("guarded", [True, False])
def test_first_a_signal_and_when_the_time_is_over_kill(scene: _Scene, guarded: bool) -> None:
    """A command that is stopped is continued, so that it sees the signal."""
    termination = _termination(scene, guarded)
    assert (termination.begun, termination.kill_at) == (False, math.inf)
    termination.begin(5.0, _TERM)
    assert (termination.begun, termination.kill_at) == (True, 105.0)
    assert scene.expected == ([105.0] if guarded else [])
    scene.time = 104.9
    termination.look()
    assert scene.sent == [_TERM, _CONT]
    scene.time = 105.0
    termination.look()
    assert scene.sent == [_TERM, _CONT, _KILL]
    assert scene.kills == 1


def test_kill_comes_again_but_is_reported_once(scene: _Scene) -> None:
    """A member may have forked at that moment; not at each look, though."""
    termination = _termination(scene)
    termination.begin(1.0, _TERM)
    scene.time = 101.0
    termination.look()
    termination.look()
    assert scene.sent.count(_KILL) == 1
    scene.time = 102.0
    termination.look()
    assert (scene.sent.count(_KILL), scene.kills) == (2, 1)


def test_without_a_grace_it_is_killed_now(scene: _Scene) -> None:
    """Somebody else may have the lock: it gets no first signal."""
    _termination(scene).begin(0.0, _TERM)
    assert (scene.sent, scene.kills) == ([_KILL], 1)


@pytest.mark.parametrize("grace, kill_at", [(10.0, 105.0), (2.0, 102.0)])
def test_an_earlier_plan_stays(scene: _Scene, grace: float, kill_at: float) -> None:
    """A second reason to stop it gives it no more time; a hurry gives it less."""
    termination = _termination(scene)
    termination.begin(5.0, _TERM)
    termination.hurry(grace)
    assert termination.kill_at == kill_at
    assert scene.expected == [105.0, kill_at]


def test_a_hurry_without_a_time_is_now(scene: _Scene) -> None:
    """A second TERM of somebody who does not want to wait; the next look kills."""
    termination = _termination(scene)
    termination.begin(600.0, _TERM)
    termination.hurry()
    termination.look()
    assert scene.sent[-1] == _KILL
