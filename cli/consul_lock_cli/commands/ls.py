"""`consul-lock ls`: what is held below a prefix."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.options.connection import connection_options
from consul_lock_cli.options.console import console_options
from consul_lock_cli.options.types import PREFIX
from consul_lock_cli.output.cron_json import LISTED, listed_item
from consul_lock_cli.output.cron_table import overview_table
from consul_lock_cli.output.data_command import DataCommand, Output, data_options, nothing_seen
from consul_lock_cli.output.lock_json import CLEANED, cleaned_item, status_item
from consul_lock_cli.output.lock_table import leftover_table
from consul_lock_cli.spec.connection import Connection

if TYPE_CHECKING:
    from consul_lock import Overview


@click.command(cls=DataCommand)
@click.option(
    "--dead",
    is_flag=True,
    help="Only what dead holders and waiters have left, which 'clean' deletes.",
)
@data_options(*LISTED, *CLEANED)
@console_options
@connection_options
@click.argument("prefix", type=PREFIX, default="")
def ls(connection: Connection, console: Console, output: Output, prefix: str, dead: bool) -> None:
    """List the locks, cron jobs and foreign values below PREFIX.

    PREFIX is a prefix in Consul's sense: "job" finds "job", "jobs" and "jobs/a"; without it all
    are listed.  A lock that is not held is listed only if it has keys in Consul.  A free lock can
    still be in lock-delay, which cannot be seen by reading; the list shows if its last holder
    died.  For a cron job it shows the outcome of its last slot; 'cron ls' has more.

    Example: consul-lock ls jobs/
    """
    from consul_lock import Survey

    if dead:
        with connection.client(console) as client:
            left = Survey(client).leftovers(prefix)
        if not left:
            nothing_seen(console, "nothing is left by the dead", prefix)
        output.document(
            [cleaned_item(each, None) for each in left],
            lambda: leftover_table(left) if left else "",
        )
        return
    with connection.client(console) as client:
        found = Survey(client).overview(prefix)
    if not any(found):
        nothing_seen(console, "there are no keys", prefix)
    now = time.time()
    output.document(
        _items(found, now) if output.wants_items else [],
        lambda: overview_table(found, now) if any(found) else "",
    )


def _items(found: Overview, now: float) -> list[dict[str, Any]]:
    locks = [{**status_item(status), "cron": None} for status in found.locks]
    crons = [listed_item(record, now) for record in found.crons]
    # Stable: the lock of a name comes before the job of that name.
    return sorted([*locks, *crons], key=lambda item: str(item["name"]))
