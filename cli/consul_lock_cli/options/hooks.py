"""The options for commands that are run when something has happened."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.headings import headed
from consul_lock_cli.options.types import POSITIVE
from consul_lock_cli.spec.hooks import Hooks

_HELP = {
    "success": "Shell command to run when COMMAND has ended with 0.",
    "failure": "The same when COMMAND has failed, was stopped or could not be run.",
    "skip": "The same when the slot is not to be run here.",
    "busy": "The same when others hold the lock and COMMAND is not run.",
    "acquire": "The same before COMMAND, which waits for it.",
    "lost_run": "The same when the run before this one was lost.",
}

OF_A_LOCK = ("success", "failure", "busy", "acquire")
"""The events of `run` and `leader`."""


def hook_options(*events: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add --on-... for these events, and --hook-timeout; the command gets them as ``hooks``."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def with_hooks(hook_timeout: float, **values: Any) -> Any:
            wanted = {event: values.pop(f"on_{event}") for event in events}
            for event, script in wanted.items():
                if script is not None and not script.strip():
                    raise Misuse(f"--on-{_dashed(event)} is empty", "is the variable in it empty?")
            return command(hooks=Hooks(**wanted, timeout=hook_timeout), **values)

        options = [
            click.option(f"--on-{_dashed(event)}", metavar="CMD", help=_HELP[event])
            for event in events
        ]
        options.append(
            click.option(
                "--hook-timeout", type=POSITIVE, default=10.0,
                help="Kill such a shell command after DUR [10s].",
            )
        )  # fmt: skip
        decorated: Callable[..., Any] = headed("Hooks", options)(with_hooks)
        return decorated

    return add


def _dashed(event: str) -> str:
    return event.replace("_", "-")
