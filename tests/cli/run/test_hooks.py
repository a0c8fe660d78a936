"""Shell commands that are run when something has happened: what they get, and for how long."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from consul_lock_cli.base.console import Console
from consul_lock_cli.process.interrupt import Interrupted
from consul_lock_cli.run import hooks as module
from consul_lock_cli.run.deadline import NoDeadline
from consul_lock_cli.run.hooks import HookRunner
from consul_lock_cli.spec.hooks import Hooks
from tests.cli.command import alive
from tests.support.waiting import eventually

Capture = pytest.CaptureFixture[str]


class _Act:
    """Lets everything come to its end."""

    def interruptibly(self, act: Callable[[], object]) -> object:
        return act()

    def finish(self, act: Callable[[], object], budget: float) -> bool:
        act()
        return True


def _runner(**wanted: Any) -> HookRunner:
    act: Any = _Act()
    return HookRunner(Hooks(**wanted), act, Console())


def test_it_prints_to_stderr_as_stdout_is_the_commands(capfd: Capture) -> None:
    """And it reads nothing."""
    _runner(success="cat; echo said; echo too >&2").after("success")
    assert tuple(capfd.readouterr()) == ("", "said\ntoo\n")


def test_it_is_told_what_has_happened(capfd: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside what consul-lock has inherited; what is None is not there."""
    monkeypatch.setenv("CONSUL_LOCK_CRON_SLOT", "of another job")
    monkeypatch.setenv("HOME", "/root")
    runner = _runner(failure="env", acquire="echo $CONSUL_LOCK_TOKEN")
    runner.know({"CONSUL_LOCK_KEY": "backup", "CONSUL_LOCK_CRON_SLOT": None})
    assert runner.before("acquire", {"CONSUL_LOCK_TOKEN": "7"}, NoDeadline()) is None
    assert capfd.readouterr().err == "7\n"
    runner.finished(3, 1.5)
    told = dict(line.split("=", 1) for line in capfd.readouterr().err.splitlines())
    assert told["HOME"] == "/root"
    assert {name: text for name, text in told.items() if name.startswith("CONSUL_LOCK_")} == {
        "CONSUL_LOCK_HOOK": "failure",
        "CONSUL_LOCK_KEY": "backup",
        "CONSUL_LOCK_EXIT_CODE": "3",
        "CONSUL_LOCK_RUNTIME": "1.500",
    }


@pytest.mark.parametrize("code, said", [(0, "good\n"), (3, "bad\n")])
def test_an_end_has_its_own(capfd: Capture, code: int, said: str) -> None:
    """Success or failure."""
    _runner(success="echo good", failure="echo bad").finished(code)
    assert capfd.readouterr().err == said


def test_nothing_is_run_that_was_not_asked_for(capfd: Capture) -> None:
    """No shell is started for nothing."""
    runner = _runner(success="echo good")
    runner.after("busy")
    assert runner.before("acquire", {}, NoDeadline()) is None
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "script, said", [("exit 3", "ended with 3"), ("kill -9 $$", "died of KILL")]
)
def test_a_failure_is_a_warning(capfd: Capture, script: str, said: str) -> None:
    """Nothing else comes of it."""
    _runner(lost_run=script).after("lost_run")
    assert capfd.readouterr().err == f"consul-lock: warning: --on-lost-run {said}\n"


def test_a_system_without_a_shell_is_a_warning(
    capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit code stays that of the command."""
    monkeypatch.setattr(module, "_SHELL", "/no/such")
    _runner(skip="true").after("skip")
    said = "consul-lock: warning: --on-skip could not be run: No such file or directory\n"
    assert capfd.readouterr().err == said


def test_what_takes_too_long_is_killed_with_all_that_it_has_started(
    capfd: Capture, tmp_path: Path
) -> None:
    """The end of consul-lock does not wait for it."""
    pid = tmp_path / "pid"
    # The shell is there before it is killed, or the file would be missing.
    script = f"sleep 600 & echo $! >{pid}; wait"
    _runner(busy=script, timeout=4.0).after("busy")
    assert capfd.readouterr().err == "consul-lock: warning: --on-busy was killed after 4s\n"
    eventually(lambda: not alive(int(pid.read_text())))


def test_what_it_leaves_behind_is_killed(tmp_path: Path) -> None:
    """It has ended in time itself."""
    pid = tmp_path / "pid"
    _runner(success=f"sleep 600 & echo $! >{pid}").after("success")
    eventually(lambda: not alive(int(pid.read_text())))


def _refuse_kills(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a process of another user."""

    def refuse(pid: int, signum: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    monkeypatch.setattr(os, "killpg", refuse)


def test_what_may_not_be_killed_is_named_and_not_waited_for(
    capfd: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As a hook that becomes another user (sudo)."""
    path, kill = tmp_path / "pid", os.kill
    _refuse_kills(monkeypatch)
    _runner(success=f"echo $$ >{path}; exec sleep 600", timeout=4.0).after("success")
    pid = int(path.read_text())
    said = f"--on-success cannot be stopped: pid {pid}, not permitted; it goes on\n"
    assert capfd.readouterr().err == f"consul-lock: warning: {said}"
    assert alive(pid)
    kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_one_that_has_left_its_group_is_killed_all_the_same(capfd: Capture, tmp_path: Path) -> None:
    """Its number is its own."""
    path = tmp_path / "pid"
    program = f"import os, time; os.setpgid(0, {os.getpgrp()}); time.sleep(600)"
    script = f"echo $$ >{path}; exec {sys.executable} -c '{program}'"
    _runner(busy=script, timeout=4.0).after("busy")
    assert capfd.readouterr().err == "consul-lock: warning: --on-busy was killed after 4s\n"
    assert not alive(int(path.read_text()))


class _LostSoon:
    """A lock that is lost when the hook has begun: it is known, or its time is over."""

    def __init__(self, begun: Path, known: bool) -> None:
        self._begun = begun
        self._known = known

    def remaining(self) -> float:
        return 60.0 if self._known or not self._begun.exists() else 0.0

    def lost(self) -> bool:
        return self._known and self._begun.exists()


@pytest.mark.parametrize("known", [True, False])
def test_under_the_lock_it_is_killed_when_the_lock_is_lost(
    capfd: Capture, tmp_path: Path, known: bool
) -> None:
    """Another process may have the lock before the time of the hook is over."""
    pid = tmp_path / "pid"
    runner = _runner(acquire=f"echo $$ >{pid}.new; mv {pid}.new {pid}; sleep 600", timeout=600.0)
    assert runner.before("acquire", {}, _LostSoon(pid, known)) is None
    said = "consul-lock: warning: --on-acquire was killed, as the lock is lost\n"
    assert capfd.readouterr().err == said
    assert not alive(int(pid.read_text()))


class _Signalled(_Act):
    """Interrupted by SIGUSR1."""

    def interruptibly(self, act: Callable[[], object]) -> object:
        def on_signal(*_: object) -> None:
            raise Interrupted(signal.SIGTERM)

        before = signal.signal(signal.SIGUSR1, on_signal)
        try:
            return act()
        finally:
            signal.signal(signal.SIGUSR1, before)


def _to_the_main_thread() -> None:
    """As consul-lock interrupts itself: another thread, which blocks no signals, gets none."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)


def test_a_signal_is_given_back_though_the_hook_may_not_be_killed(
    capfd: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Else the command would be started after it."""
    path, kill = tmp_path / "pid", os.kill
    _refuse_kills(monkeypatch)
    act = cast("Any", _Signalled())
    script = f"echo $$ >{path}; exec sleep 600"
    runner = HookRunner(Hooks(acquire=script, timeout=60.0), act, Console())

    def interrupt() -> None:
        eventually(lambda: path.exists() and path.read_text().endswith("\n"))
        _to_the_main_thread()

    beside = threading.Thread(target=interrupt)
    beside.start()
    assert runner.before("acquire", {}, NoDeadline()) == signal.SIGTERM
    beside.join()
    assert "--on-acquire cannot be stopped" in capfd.readouterr().err
    pid = int(path.read_text())
    kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_a_signal_before_the_command_kills_it_and_is_given_back(tmp_path: Path) -> None:
    """Consul-lock then ends without having run the command."""
    pid, act = tmp_path / "pid", cast("Any", _Signalled())
    script = f"echo $$ >{pid}; exec sleep 600"
    runner = HookRunner(Hooks(acquire=script, timeout=60.0), act, Console())

    def interrupt() -> None:
        eventually(lambda: pid.exists() and pid.read_text().endswith("\n"))
        _to_the_main_thread()

    beside = threading.Thread(target=interrupt)
    beside.start()
    assert runner.before("acquire", {}, NoDeadline()) == signal.SIGTERM
    beside.join()
    assert not alive(int(pid.read_text()))


def test_a_signal_in_the_moment_of_its_start_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The process is there, and nothing of consul-lock knows it yet."""
    started, spawn = list[int](), os.posix_spawn

    def interrupted(*given: Any, **options: Any) -> int:
        started.append(spawn(*given, **options))
        _to_the_main_thread()
        return started[0]

    monkeypatch.setattr(os, "posix_spawn", interrupted)
    runner = HookRunner(
        Hooks(acquire="sleep 600", timeout=60.0), cast("Any", _Signalled()), Console()
    )
    assert runner.before("acquire", {}, NoDeadline()) == signal.SIGTERM
    assert not alive(started[0])


@pytest.fixture
def _blocked() -> Iterator[None]:
    """As in consul-lock itself, which fetches signals."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR2})
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.mark.usefixtures("_blocked")
def test_no_signal_is_blocked_in_it(capfd: Capture) -> None:
    """Else nobody could stop it; nor is SIGPIPE ignored, which Python ignores."""
    _runner(success="grep -E 'SigBlk|SigIgn' /proc/self/status").after("success")
    blocked, ignored = (int(line.split()[1], 16) for line in capfd.readouterr().err.splitlines())
    assert blocked == 0
    assert not ignored & 1 << (signal.SIGPIPE - 1)
