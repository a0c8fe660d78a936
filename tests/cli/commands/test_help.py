"""`consul-lock help`, and the other ways to ask what there is."""

from __future__ import annotations

import pytest

from tests.cli.command import environment
from tests.cli.in_process import Result, in_process


def consul_lock(*arguments: str) -> Result:
    """Run it to its end."""
    return in_process(*arguments, env=environment())


@pytest.mark.parametrize("path", [[], ["run"], ["cron"], ["cron", "run"], ["list"]], ids=" ".join)
def test_it_prints_what_the_option_prints(path: list[str]) -> None:
    """Of a command, of one in a group, and of the group itself."""
    printed = consul_lock("help", *path)
    assert (printed.returncode, printed.stderr) == (0, "")
    assert printed.stdout == consul_lock(*path, "--help").stdout
    assert printed.stdout.startswith("Usage: consul-lock")


@pytest.mark.parametrize("path", [[], ["cron"]], ids=["consul-lock", "cron"])
def test_without_a_word_there_is_help(path: list[str]) -> None:
    """On stdout, and nothing has gone wrong."""
    bare = consul_lock(*path)
    assert (bare.returncode, bare.stderr) == (0, "")
    assert bare.stdout == consul_lock(*path, "--help").stdout


@pytest.mark.parametrize("path", [["nonsense"], ["run", "nonsense"], ["cron", "nonsense"]])
def test_help_of_nothing_is_64(path: list[str]) -> None:
    """Neither a command nor one of its own."""
    result = consul_lock("help", *path)
    assert (result.returncode, result.stdout) == (64, "")


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_the_version_is_also_an_option(option: str) -> None:
    """As people try it first."""
    assert consul_lock(option).stdout == consul_lock("version").stdout
