"""`consul-lock wait`: until a lock is free, or held, without acquiring it."""

from __future__ import annotations

import time

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.options.connection import connection_options
from consul_lock_cli.options.console import console_options
from consul_lock_cli.options.types import DURATION, NAME
from consul_lock_cli.output.data_command import DataCommand, Output, data_options
from consul_lock_cli.output.holder_text import who
from consul_lock_cli.output.lock_json import STATUS, status_item
from consul_lock_cli.settings.context import TypedOption
from consul_lock_cli.spec.connection import Connection


@click.command(cls=DataCommand)
@click.option("--free", is_flag=True, help="Wait until it is free.")
@click.option("--held", is_flag=True, help="Wait until it is held.")
@click.option(
    # The setting is for those who acquire.
    "-w", "--wait", "patience", cls=TypedOption, type=DURATION,
    help="Give up after DUR [for ever].",
)  # fmt: skip
@data_options(*STATUS)
@console_options
@connection_options
@click.argument("key", type=NAME)
def wait(
    connection: Connection,
    console: Console,
    output: Output,
    key: str,
    free: bool,
    held: bool,
    patience: float | None,
) -> int:
    """Wait until the lock KEY is free, or until it is held.

    Nothing is acquired.  Exit code 75 on timeout.  A semaphore is held as long as one slot is
    taken.  When this returns, the state may have changed again: for mutual exclusion use 'run'.

    Example: consul-lock wait backup --free -w 10m
    """
    if free == held:
        raise Misuse("give one of --free and --held", "consul-lock wait KEY --free")
    from consul_lock import Conflict, Survey

    seen = None
    with connection.client(console) as client:
        for seen in Survey(client).watch(key, timeout=patience):
            if seen.kind == "foreign":
                raise seen.conflict or Conflict(seen.problem, key=seen.key, flags=seen.flags)
            if seen.held == held:
                break
    assert seen is not None
    if output.wants_items:
        output.document([status_item(seen)], str)
    if seen.held == held:
        return 0
    how = f"held by {who(seen.holders[0], time.time())}" if seen.holders else seen.state
    console.error(f"{key} is still {how} ({ExitCode.HELD:d})", "use -w to wait longer")
    return ExitCode.HELD
