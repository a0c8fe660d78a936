"""The options that say how long to wait, and what to do if the lock cannot be acquired."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.base.headings import headed
from consul_lock_cli.options.types import DURATION, WholeNumber
from consul_lock_cli.spec.run import WaitPolicy

_OPTIONS = [
    click.option("-n", "--nonblock", is_flag=True, help="Give up at once if it is held."),
    click.option("-w", "--wait", type=DURATION, help="Give up after DUR [for ever]."),
    click.option(
        "-E",
        "--conflict-exit-code",
        "conflict_code",
        type=WholeNumber(0, 255),
        default=int(ExitCode.HELD),
        metavar="N",
        help="Exit code if it is not acquired in time [75].",
    ),
    click.option(
        "--fail-open/--fail-closed",
        help="If Consul cannot be reached: run COMMAND without the lock, or not at all [closed].",
    ),
    click.option(
        "--unavailable-exit-code",
        "unavailable_code",
        type=WholeNumber(0, 255),
        default=int(ExitCode.UNAVAILABLE),
        metavar="N",
        help="Exit code if Consul cannot be reached [69].",
    ),
    click.option(
        "--splay", type=DURATION, default=0.0, help="First sleep for a random time up to DUR [0]."
    ),
    click.option(
        "--min-hold",
        type=DURATION,
        default=0.0,
        help="Hold the lock for at least DUR, even if COMMAND has ended [0].",
    ),
]


def wait_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add these options; the command gets them as ``wait_policy``."""

    @functools.wraps(command)
    def with_wait_policy(nonblock: bool, wait: float | None, **values: Any) -> Any:
        given = {name: values.pop(name) for name in WaitPolicy._fields[1:] if name in values}
        return command(wait_policy=WaitPolicy(0.0 if nonblock else wait, **given), **values)

    return headed("Waiting", _OPTIONS)(with_wait_policy)
