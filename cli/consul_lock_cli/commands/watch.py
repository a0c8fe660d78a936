"""`consul-lock watch`: a stream of what happens."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.options.connection import connection_options
from consul_lock_cli.options.console import console_options
from consul_lock_cli.options.types import PREFIX
from consul_lock_cli.output import lock_json
from consul_lock_cli.output.data_command import DataCommand, Output, data_options
from consul_lock_cli.output.event_text import event_line
from consul_lock_cli.output.lock_json import EVENT, event_item
from consul_lock_cli.output.lock_table import on_terminal
from consul_lock_cli.spec.connection import Connection


@click.command(cls=DataCommand)
@click.option("--once", is_flag=True, help="End after the first event.")
@click.option("--initial", is_flag=True, help="Start with the present holders, as events 'held'.")
@click.option(
    "--exec",
    "command",
    metavar="CMD",
    help="Run CMD with /bin/sh for each event, passed on its stdin; print nothing.",
)
@data_options(*EVENT)
@console_options
@connection_options
@click.argument("name", metavar="KEY|PREFIX", type=PREFIX)
def watch(
    connection: Connection,
    console: Console,
    output: Output,
    name: str,
    once: bool,
    initial: bool,
    command: str | None,
) -> None:
    """Print each time that KEY is acquired, released or lost.

    On a terminal it prints a line for each, elsewhere (and with --json) a JSON object.

    With a slash at its end KEY is a PREFIX: everything below it is watched; "" watches
    everything.  "lost": the holder's session ended before it released the lock.  If that is not
    certain, the event is "released".  A hold that ends within a tenth of a second may not be
    seen.  Errors of Consul are retried for a while.

    Example: consul-lock watch jobs/ --exec 'logger -t locks'
    """
    from consul_lock import Survey

    if command is not None and output.template is not None:
        raise Misuse("--exec and --format contradict each other", "CMD gets the JSON of the event")
    with connection.client(console) as client:
        for change in Survey(client).changes(name):
            if change.what == "held" and not initial:
                continue
            now = time.time()
            if command is not None:
                _execute(command, event_item(change, now), console)
            elif output.wants_items or not on_terminal():
                output.stream(event_item(change, now))
            else:
                output.text(event_line(change, now))
            if once:
                return


def _execute(command: str, item: Mapping[str, Any], console: Console) -> None:
    """Run it to its end: the next event waits for that."""
    import subprocess

    given = lock_json.line(item).encode() + b"\n"
    # A command that does not read its stdin ends the pipe, which `run` does not treat as an error.
    code = subprocess.run(["/bin/sh", "-c", command], input=given, check=False).returncode
    if code:
        console.warn(f"--exec: {command!r} ended with {code}")
