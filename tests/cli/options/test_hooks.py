"""The options for shell commands that are run when something has happened."""

from __future__ import annotations

import click
import pytest

from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.options.hooks import OF_A_LOCK, hook_options
from consul_lock_cli.spec.hooks import Hooks


@click.command
@hook_options(*OF_A_LOCK, "lost_run")
def given(hooks: Hooks) -> Hooks:
    """Give back what arrives."""
    return hooks


def _hooks(*arguments: str) -> Hooks:
    found = given.main(list(arguments), standalone_mode=False)
    assert isinstance(found, Hooks)
    return found


def test_each_event_has_its_own() -> None:
    """And what was not given is not run."""
    assert _hooks() == Hooks()
    assert _hooks("--on-success", "ping", "--on-lost-run", "mail", "--hook-timeout", "3s") == Hooks(
        success="ping", lost_run="mail", timeout=3.0
    )


@pytest.mark.parametrize(
    "arguments", [["--on-busy", " "], ["--on-lost-run", ""], ["--hook-timeout", "0"]]
)
def test_what_cannot_be_meant_is_refused(arguments: list[str]) -> None:
    """An empty variable, or no time at all."""
    with pytest.raises(Misuse, match=arguments[0]):
        _hooks(*arguments)


def test_an_event_that_does_not_fit_has_no_option() -> None:
    """Only a job has slots."""
    with pytest.raises(click.NoSuchOption):
        _hooks("--on-skip", "true")
