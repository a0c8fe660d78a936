"""`consul-lock resize`: change the limit of a semaphore for all its users."""

from __future__ import annotations

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.base.exit_codes import NOT_SO
from consul_lock_cli.base.text import shown
from consul_lock_cli.options.connection import connection_options
from consul_lock_cli.options.console import console_options
from consul_lock_cli.options.types import NAME, WholeNumber
from consul_lock_cli.output.data_command import DataCommand, Output, data_options
from consul_lock_cli.output.lock_json import STATUS, status_item
from consul_lock_cli.spec.connection import Connection


@click.command(cls=DataCommand)
@data_options(*STATUS)
@console_options
@connection_options
@click.argument("key", type=NAME)
@click.argument("limit", type=WholeNumber(1), metavar="N")
def resize(connection: Connection, console: Console, output: Output, key: str, limit: int) -> int:
    """Change the limit of the semaphore KEY to N, for its holders and waiters.

    A lower limit takes no slot away: others get in when enough are released.  With a higher one
    the next waiters get in at once.  Who comes later has to use the new limit: change --limit N
    of 'consul-lock run' on all hosts, too.

    Exit codes: 0 done, 1 there is no semaphore KEY, 65 the key holds something else.

    Example: consul-lock resize deploys 5
    """
    from consul_lock import Semaphore, Survey

    with connection.client(console) as client:
        survey = Survey(client)
        seen = survey.status(key)
        if seen.kind == "none":
            console.note(f"there is no semaphore {shown(key, 512)}: it gets its limit from --limit")
            output.document([], str)
            return NOT_SO
        Semaphore(key, limit, client=client).resize(limit)
        resized = survey.status(key)
    was = "as it was" if seen.limit == limit else f"it was {seen.limit}"
    console.note(f"resized {shown(key, 512)} to {limit} ({was})")
    output.document([status_item(resized)], str)
    return 0
