"""The options that say how much is printed, and in which form."""

from __future__ import annotations

import click
import pytest

from consul_lock_cli.base.console import Console
from consul_lock_cli.options.console import console_options


@click.command
@console_options
@click.option("--number", type=int)
def given(console: Console, number: int | None) -> Console:
    """Give back what arrives."""
    return console


@pytest.mark.parametrize(
    "arguments, verbosity, quiet, json",
    [
        ([], 0, False, False),
        (["-v"], 1, False, False),
        (["-vv"], 2, False, False),
        (["-v", "--verbose"], 2, False, False),
        (["-q"], 0, True, False),
        (["--quiet", "-v"], 1, True, False),
        (["--log-format", "json"], 0, False, True),
        (["--log-format", "text"], 0, False, False),
    ],
    ids=str,
)
def test_the_console_is_as_it_is_asked_for(
    arguments: list[str], verbosity: int, quiet: bool, json: bool
) -> None:
    """It is that of the whole program, and made here if there is none."""
    whole = Console()
    for console in (
        given.main(arguments, standalone_mode=False, obj=whole),
        given.main(arguments, standalone_mode=False),
    ):
        assert (console.verbosity, console.quiet, console.json) == (verbosity, quiet, json)
    assert whole.verbosity == verbosity


@pytest.mark.parametrize("arguments", [["--number", "x", "-q"], ["-q", "--number", "x"]])
def test_they_hold_for_the_error_in_another_option(arguments: list[str]) -> None:
    """Whatever the order: who asks for quiet wants no hint about a bad option."""
    console = Console()
    with pytest.raises(click.BadParameter):
        given.main(arguments, standalone_mode=False, obj=console)
    assert console.quiet


def test_another_form_is_refused() -> None:
    """There are two."""
    with pytest.raises(click.UsageError, match="xml"):
        given.main(["--log-format", "xml"], standalone_mode=False)
