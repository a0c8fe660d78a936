"""Signals of the wrapper: what it takes over, what it gives back, and how it dies."""

from __future__ import annotations

import signal

import pytest

from tests.cli.process.fresh_process import fresh

_TAKE = "from consul_lock_cli.process.signals import *\ntaken = take_over()\n"


def test_all_signals_but_faults_are_blocked() -> None:
    """A fault of this process ends it; a broken pipe is an error, as Python has it."""
    code, lines = fresh(_TAKE + "for name in mask('SigBlk'): say(name)")
    assert code == 0
    blocked = set(lines)
    assert {"SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGTSTP", "SIGCHLD", "SIGURG"} <= blocked
    assert not {"SIGSEGV", "SIGABRT", "SIGKILL", "SIGSTOP", "SIGPIPE", "SIGXCPU"} & blocked


def test_an_ignored_signal_stays_ignored_and_is_not_caught() -> None:
    """Under nohup; but a child must be waited for, though its end was ignored."""
    code, lines = fresh(
        _TAKE
        + """
say(*(s in taken.caught for s in (signal.SIGHUP, signal.SIGCHLD, signal.SIGTERM)))
say("SIGHUP" in mask("SigIgn"), "SIGCHLD" in mask("SigIgn"))
give_back(taken)
say("SIGHUP" in mask("SigIgn"), "SIGCHLD" in mask("SigIgn"), "SIGPIPE" in mask("SigIgn"))
say(mask("SigBlk"))
""",
        ignored="SIGHUP SIGCHLD",
    )
    assert code == 0
    assert lines == ["False True True", "True False", "True True False", "set()"]


def test_a_request_to_end_is_fetched_once() -> None:
    """Other signals are none; one that was ignored at the start neither."""
    code, lines = fresh(
        _TAKE
        + """
for signum in (signal.SIGUSR1, signal.SIGHUP, signal.SIGTERM):
    os.kill(os.getpid(), signum)
say(asked_to_end(taken), asked_to_end(taken))
""",
        ignored="SIGHUP",
    )
    assert (code, lines) == (0, [f"{int(signal.SIGTERM)} None"])


def test_a_repetition_is_dropped_and_another_signal_is_kept() -> None:
    """timeout(1) sends its signal to the process and then to its group."""
    code, lines = fresh(
        _TAKE
        + """
os.kill(os.getpid(), signal.SIGTERM)
os.kill(os.getpid(), signal.SIGINT)
swallow_echo(signal.SIGTERM)
say(asked_to_end(taken), asked_to_end(taken))
swallow_echo(signal.SIGTERM)
"""
    )
    assert (code, lines) == (0, [f"{int(signal.SIGINT)} None"])


@pytest.mark.parametrize(
    "name, thread",
    [
        *((name, False) for name in ("SIGTERM", "SIGINT", "SIGKILL", "SIGSEGV", "SIGHUP")),
        *((name, True) for name in ("SIGTERM", "SIGQUIT")),
    ],
)
def test_a_death_by_a_signal_is_a_real_one(name: str, thread: bool) -> None:
    """Also of one that was blocked, and from another thread."""
    die = f"lambda: (die_by(signal.{name}))"
    act = f"threading.Thread(target={die}).start()" if thread else f"({die})()"
    code, lines = fresh(f"{_TAKE}{act}\ntime.sleep(600)\nsay('alive')")
    assert (code, lines) == (-signal.Signals[name], [])


def test_without_a_shell_above_job_control_stops_nothing() -> None:
    """Nobody could continue it: its group is an orphan."""
    code, lines = fresh(_TAKE + "os.setsid()\nsay(stop_by(signal.SIGTSTP))\nsay(mask('SigPnd'))")
    assert (code, lines) == (0, ["False", "set()"])
