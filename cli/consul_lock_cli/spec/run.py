"""How long to wait for a lock, and what becomes of us if it is not to be had."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import click

from consul_lock_cli.base.error_table import ExitCode
from consul_lock_cli.options.types import DURATION


class Patience(NamedTuple):
    """Times are seconds."""

    wait: float | None = None
    """None: for ever."""
    conflict_code: int = ExitCode.HELD
    unavailable_code: int = ExitCode.UNAVAILABLE
    fail_open: bool = False
    """Run the command without the lock if Consul cannot be reached."""
    splay: float = 0.0
    min_hold: float = 0.0
    retry_for: float = 30.0
    """For how long to ask again while Consul fails: with ``-n``, and of a leader before Consul has
    been reached once."""
    reached: bool = False
    """It has been, in an earlier term."""


_OPTIONS = [
    click.option("-n", "--nonblock", is_flag=True, help="Give up at once if it is held."),
    click.option("-w", "--wait", type=DURATION, help="Give up after DUR [for ever]."),
    click.option(
        "-E",
        "--conflict-exit-code",
        "conflict_code",
        type=click.IntRange(0, 255),
        default=int(ExitCode.HELD),
        metavar="N",
        help="Exit code if we give up [75].",
    ),
    click.option(
        "--fail-open/--fail-closed",
        help="If Consul cannot be reached: run COMMAND without the lock, or not at all [closed].",
    ),
    click.option(
        "--unavailable-exit-code",
        "unavailable_code",
        type=click.IntRange(0, 255),
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
        help="Hold the lock for DUR at least, though COMMAND has ended [0].",
    ),
]


def patience_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add these options; the command gets them as ``patience``."""

    @functools.wraps(command)
    def with_patience(nonblock: bool, wait: float | None, **values: Any) -> Any:
        given = {name: values.pop(name) for name in Patience._fields[1:] if name in values}
        return command(patience=Patience(0.0 if nonblock else wait, **given), **values)

    decorated: Callable[..., Any] = with_patience
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated
