"""`consul-lock ls`: what is held below a prefix."""

from __future__ import annotations

import time

import click

from consul_lock_cli.data import DataCommand, Output, data_options
from consul_lock_cli.documents import STATUS, status_item
from consul_lock_cli.options import PREFIX, Connection, connection_options, talk_options
from consul_lock_cli.table import status_table
from consul_lock_cli.talk import Talk


@click.command(cls=DataCommand)
@data_options(*STATUS)
@talk_options
@connection_options
@click.argument("prefix", type=PREFIX, default="")
def ls(connection: Connection, talk: Talk, output: Output, prefix: str) -> None:
    """List what is there below PREFIX: locks, semaphores, read/write locks, foreign values.

    PREFIX is one as Consul has it: "job" finds "job", "jobs" and "jobs/a"; without it all is
    listed.  A lock that nobody holds is listed only if something of it is there.  A lock that is
    free can still be in lock-delay, which cannot be seen by reading.

    Example: consul-lock ls jobs/
    """
    from consul_lock import Survey

    with connection.client(talk) as client:
        found = Survey(client).below(prefix)
    items = [status_item(status) for status in found] if output.wants_items else []
    output.document(items, lambda: status_table(found, time.time()) if found else "")
