"""The options that say how a command is run and stopped."""

from __future__ import annotations

import signal

import click
import pytest

from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.options.process import command_options, parse_signal
from consul_lock_cli.spec.process import STOP, WARN, Daemons, OnLost, ProcessPolicy


@click.command(context_settings={"allow_interspersed_args": False})
@command_options
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def given(policy: ProcessPolicy, command: tuple[str, ...]) -> tuple[ProcessPolicy, tuple[str, ...]]:
    """Give back what arrives."""
    return policy, command


def policy_of(*arguments: str) -> ProcessPolicy:
    policy, command = given.main([*arguments, "--", "true"], standalone_mode=False)
    assert command == ("true",)
    return policy


def test_without_options_it_is_the_policy_without_arguments() -> None:
    """So that a caller without a command line has the same."""
    assert policy_of() == ProcessPolicy()


@pytest.mark.parametrize(
    "arguments, changes",
    [
        (["--stdin", "null"], {"stdin_null": True}),
        (["--stdin", "inherit"], {"stdin_null": False}),
        (["--foreground"], {"foreground": True}),
        (["--stop-signal", "INT"], {"stop_signal": signal.SIGINT}),
        (["--stop-signal", "KILL"], {"stop_signal": signal.SIGKILL}),
        (["--kill-after", "250ms"], {"kill_after": 0.25}),
        (["--max-runtime", "1h30m"], {"max_runtime": 5400.0}),
        (["--max-runtime", "0"], {"max_runtime": None}),
        (["--on-lost", "stop"], {"on_lost": STOP}),
        (["--on-lost", "warn"], {"on_lost": WARN}),
        (["--on-lost", "signal:USR1"], {"on_lost": OnLost(stops=False, signum=signal.SIGUSR1)}),
        (["--keep-leftovers"], {"keep_leftovers": True}),
        (["--daemons", "keep"], {"daemons": Daemons.KEEP}),
        (["--no-guardian"], {"guardian": False}),
        (["--unsafe-timing"], {"unsafe_timing": True}),
    ],
)
def test_an_option_changes_what_it_is_about(
    arguments: list[str], changes: dict[str, object]
) -> None:
    """And nothing else."""
    assert policy_of(*arguments)._asdict() == ProcessPolicy()._asdict() | changes


@pytest.mark.parametrize(
    "text, number",
    [("TERM", 15), ("SIGTERM", 15), ("term", 15), ("sigusr1", 10), ("15", 15), (" HUP ", 1)],
)
def test_a_signal_has_many_names(text: str, number: int) -> None:
    """Those of kill(1), whatever their case."""
    assert parse_signal(text) == number


def test_signals_without_a_name_of_their_own_are_counted() -> None:
    """From both ends, as kill -l has them."""
    assert parse_signal("RTMIN+1") == signal.SIGRTMIN + 1
    assert parse_signal("SIGRTMAX-2") == signal.SIGRTMAX - 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["--stdin", "tty", "true"],
        *(["--stop-signal", each, "true"] for each in ("NO", "", "0", "-1", "99", "RTMAX+1")),
        *(["--stop-signal", each, "true"] for each in ("STOP", "TSTP", "CONT")),
        *(["--on-lost", each, "true"] for each in ("", "go", "signal", "signal:", "warn:HUP")),
        ["--on-lost", "signal:NO", "true"],
        ["--kill-after", "-1", "true"],
        ["--max-runtime", "nan", "true"],
        ["-c", "a", "b"],
        ["-c", "a", "--", "b"],
        ["-c", ""],
        ["-c", " "],
    ],
    ids=" ".join,
)
def test_arguments_that_make_no_sense_are_refused(arguments: list[str]) -> None:
    """With the words that were wrong."""
    with pytest.raises(click.UsageError) as refused:
        given.main(arguments, standalone_mode=False)
    assert refused.value.message


@pytest.mark.parametrize(
    "words, said, hint",
    [
        (["--stop-signal", "STOP", "x"], "--stop-signal: STOP cannot end", "use TERM, INT or HUP"),
        (["--stop-signal", "NO", "x"], '--stop-signal: bad signal "NO"', "kill -l lists"),
        (["--on-lost", "go", "x"], '--on-lost: bad value "go"', "use stop, warn or signal:SIG"),
        (["-c", "a", "b"], '-c takes one string, but "b" follows it', "quote the whole"),
        (["-c", " "], "-c is empty", "is the variable in it empty?"),
    ],
)
def test_an_error_names_the_option_and_has_a_hint(words: list[str], said: str, hint: str) -> None:
    """Which option it was, and what to write instead."""
    with pytest.raises(Misuse) as refused:
        given.main(words, standalone_mode=False)
    assert refused.value.message.startswith(said)
    assert refused.value.hint.startswith(hint)


@pytest.mark.parametrize("text", ["echo a | tr a b", "-no-option", " x"])
def test_a_string_becomes_the_command_of_a_shell(text: str) -> None:
    """Behind --, as it may begin with a minus."""
    _, command = given.main(["-c", text], standalone_mode=False)
    assert command == ("/bin/sh", "-c", "--", text)
