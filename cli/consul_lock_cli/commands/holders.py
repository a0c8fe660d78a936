"""`consul-lock holders`: who holds a lock, and what is behind them."""

from __future__ import annotations

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.base.text import shown
from consul_lock_cli.options.connection import connection_options
from consul_lock_cli.options.console import console_options
from consul_lock_cli.options.types import NAME
from consul_lock_cli.output.data_command import DataCommand, Output, data_options
from consul_lock_cli.output.lock_json import HOLDER, SESSION, holder_item, session_item
from consul_lock_cli.output.lock_table import holder_table
from consul_lock_cli.spec.connection import Connection


@click.command(cls=DataCommand)
@data_options(*HOLDER, *SESSION)
@console_options
@connection_options
@click.argument("key", type=NAME)
def holders(connection: Connection, console: Console, output: Output, key: str) -> None:
    """Show the holders of KEY, their sessions and nodes' health.

    "session gone" is a holder of a semaphore or read/write lock that has died and keeps its
    slot until another takes it; "unknown": the token may not see the session.  The times are the
    TTL of the session and the lock-delay: the lock of a dead holder is free after at most twice
    the TTL plus the lock-delay.

    Example: consul-lock holders backup
    """
    from consul_lock import Survey

    with connection.client(console) as client:
        survey = Survey(client)
        seen = survey.status(key)
        sessions = survey.sessions(h.session for h in seen.holders) if seen.holders else {}
    items = [
        {
            **holder_item(holder, holder.session in seen.vanished),
            **session_item(sessions.get(holder.session), holder.session in seen.vanished),
        }
        for holder in seen.holders
    ]
    if seen.hidden:
        console.note(f"some keys of {shown(key, 512)} are hidden from this token", event="hidden")
    elif not items:
        console.note(f"nobody holds {shown(key, 512)}, or nobody that the token may see")
    output.document(
        items, lambda: holder_table(seen, sessions) if seen.holders else "", hidden=seen.hidden
    )
