"""A signal or the end of a time cuts off what blocks, once it has cleaned up or had time to."""

from __future__ import annotations

import signal
from textwrap import dedent

import pytest

from tests.cli.process.fresh_process import fresh

_BEGIN = """
from consul_lock_cli.process import interrupt
from consul_lock_cli.process.interrupt import Interrupted, OutOfTime, interruptible
from consul_lock_cli.process.signals import take_over

taken = take_over()
# What a test wants to happen never waits for the end of this.
interrupt.CLEAN_UP = 600

def wait():
    while True:
        time.sleep(60)

def send(name="SIGTERM"):
    os.kill(os.getpid(), getattr(signal, name))

def is_fetched():
    while signal.SIGTERM in signal.sigpending():
        time.sleep(0.01)

def interrupted(then=lambda: None):
    # What the library does when an exception passes through it.
    try:
        send()
        wait()
    except Interrupted:
        say("cleans up")
        then()
        raise

def report(act, *more, **options):
    try:
        say("returns", interruptible(taken, act, *more, **options))
    except (Interrupted, OutOfTime) as error:
        say("raises", error)
"""

_TERM = f"raises signal {int(signal.SIGTERM)}"
_LATE = "raises Consul gave no answer in time"


@pytest.mark.parametrize(
    "lines, expected",
    [
        ("report(lambda: 5)", ["returns 5"]),
        ("report(lambda: 5, 600)", ["returns 5"]),
        ("send('SIGUSR1'); report(lambda: 5)", ["returns 5"]),
        ("report(interrupted)", ["cleans up", _TERM]),
        ("report(interrupted, 600)", ["cleans up", _TERM]),
        ("report(wait, 0.01)", [_LATE]),
    ],
)
def test_it_returns_or_is_cut_off(lines: str, expected: list[str]) -> None:
    """A signal that only a command would understand is dropped."""
    assert fresh(_BEGIN + lines) == (0, expected)


@pytest.mark.parametrize(
    "lines, expected",
    [
        ("send(); report(wait)", [_TERM]),
        (
            """
            def swallow():
                try:
                    interrupted()
                except Interrupted:
                    return 5
            report(swallow)
            """,
            ["cleans up", _TERM],
        ),
    ],
)
def test_no_signal_is_lost(lines: str, expected: list[str]) -> None:
    """One that came before, and one whose exception was swallowed."""
    assert fresh(_BEGIN + dedent(lines)) == (0, expected)


def test_cleaning_up_after_the_end_of_the_time_has_an_end_too() -> None:
    """It is cut off in the same way."""
    lines = """
    interrupt.CLEAN_UP = 0.01
    def stubborn():
        try:
            wait()
        except OutOfTime:
            wait()
    report(stubborn, 0.01)
    """
    assert fresh(_BEGIN + dedent(lines)) == (0, [_LATE])


@pytest.mark.parametrize(
    "lines",
    [
        "interrupt.CLEAN_UP = 0.01; then = wait",
        "then = lambda: [(send(), time.sleep(0.02)) for _ in range(1000)]",
    ],
    ids=["too long", "second signal"],
)
def test_cleaning_up_that_is_not_waited_for_ends_with_the_process(lines: str) -> None:
    """It dies of the signal, and says so before, where a status file is to be written."""
    report = "report(lambda: interrupted(then), on_interrupt=lambda s: say('status', s))"
    code, said = fresh(f"{_BEGIN}\n{lines}\n{report}")
    assert code == -signal.SIGTERM
    assert said[-1] == f"status {int(signal.SIGTERM)}"


@pytest.mark.parametrize(
    "lines, expected",
    [
        (
            """
            def release():
                send()
                is_fetched()
                say("released")
            """,
            ["released", _TERM],
        ),
        (
            """
            class FirstShort:
                # Not the time in which the exception has to arrive.
                times = iter([0.01, 600.0])
                def __radd__(self, now):
                    return now + next(self.times)
            interrupt.CLEAN_UP = FirstShort()
            def release():
                send()
                wait()
            """,
            [_TERM],
        ),
    ],
    ids=["in time", "too long"],
)
def test_a_release_may_come_to_its_end(lines: str, expected: list[str]) -> None:
    """Others would have to wait for what is cut off; but it has no more time than others."""
    assert fresh(f"{_BEGIN}{dedent(lines)}\nreport(release, finish=True)") == (0, expected)
