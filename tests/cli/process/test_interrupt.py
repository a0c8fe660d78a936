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

def wait():
    while True:
        time.sleep(60)

def send(name):
    os.kill(os.getpid(), getattr(signal, name))

def clean_up(error, then=lambda: None):
    # What the library does when an exception passes through it.
    try:
        wait()
    except error:
        say("cleans up")
        then()
        raise

def report(act, *more, **options):
    try:
        say("returns", interruptible(taken, act, *more, **options))
    except (Interrupted, OutOfTime) as error:
        say("raises", error)
"""

_TERM = f"signal {int(signal.SIGTERM)}"


@pytest.mark.parametrize(
    "lines, expected",
    [
        ("report(lambda: 5)", ["returns 5"]),
        ("report(lambda: 5, 60)", ["returns 5"]),
        ("send('SIGUSR1'); report(lambda: 5)", ["returns 5"]),
        (
            """
            threading.Timer(0.05, send, ['SIGTERM']).start()
            report(lambda: clean_up(Interrupted))
            """,
            ["cleans up", f"raises {_TERM}"],
        ),
        # It came before, or too late for what is done: none is lost.
        (
            "send('SIGTERM'); report(lambda: clean_up(Interrupted))",
            ["cleans up", f"raises {_TERM}"],
        ),
        (
            """
            def swallow():
                try:
                    clean_up(Interrupted)
                except Interrupted:
                    return 5
            send('SIGTERM')
            report(swallow)
            """,
            ["cleans up", f"raises {_TERM}"],
        ),
        (
            "report(lambda: clean_up(OutOfTime), 0.01)",
            ["cleans up", "raises Consul gave no answer in time"],
        ),
        # Cleaning up after the end of the time has its own.
        (
            "interrupt.CLEAN_UP = 0.01; report(lambda: clean_up(OutOfTime, wait), 0.01)",
            ["cleans up", "raises Consul gave no answer in time"],
        ),
    ],
)
def test_it_returns_or_cleans_up_and_raises(lines: str, expected: list[str]) -> None:
    """A signal that only a command would understand is dropped."""
    code, said = fresh(_BEGIN + dedent(lines))
    assert (code, said) == (0, expected)


@pytest.mark.parametrize(
    "lines",
    [
        # Cleaning up takes too long.
        "interrupt.CLEAN_UP = 0.01; then = wait",
        # A second signal; a repetition soon after the first is none.
        """
        interrupt.CLEAN_UP = 600
        then = lambda: [(time.sleep(0.02), send('SIGTERM')) for _ in range(1000)]
        """,
    ],
)
def test_who_is_in_a_hurry_does_not_wait_for_the_clean_up(lines: str) -> None:
    """It dies of the signal, and says so before, where a status file is to be written."""
    code, said = fresh(
        _BEGIN
        + dedent(lines)
        + """
send('SIGTERM')
report(lambda: clean_up(Interrupted, then), on_interrupt=lambda signum: say('status', signum))
"""
    )
    assert code == -signal.SIGTERM
    assert said == ["cleans up", f"status {int(signal.SIGTERM)}"]


@pytest.mark.parametrize(
    "lines, expected",
    [
        (
            """
            def release():
                send('SIGTERM')
                time.sleep(0.2)
                say("released")
            report(release, finish=True)
            """,
            ["released", f"raises {_TERM}"],
        ),
        (
            """
            interrupt.CLEAN_UP = 0.05
            def release():
                send('SIGTERM')
                clean_up(Interrupted)
            report(release, finish=True)
            """,
            ["cleans up", f"raises {_TERM}"],
        ),
    ],
)
def test_a_release_may_come_to_its_end(lines: str, expected: list[str]) -> None:
    """Others would have to wait for what is cut off; but it has no more time than others."""
    code, said = fresh(_BEGIN + dedent(lines))
    assert (code, said) == (0, expected)
