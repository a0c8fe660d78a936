"""`consul-lock cron ls`: the cron jobs below a prefix, and what became of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.options.connection import connection_options
from consul_lock_cli.options.console import console_options
from consul_lock_cli.options.types import CRON_PREFIX
from consul_lock_cli.output import lock_json
from consul_lock_cli.output.cron_json import CRON, cron_item
from consul_lock_cli.output.cron_table import cron_table
from consul_lock_cli.output.data_command import DataCommand, Output, data_options, note_gaps
from consul_lock_cli.output.screen import WATCH, check_watch, follow, watched
from consul_lock_cli.spec.connection import Connection

if TYPE_CHECKING:
    from consul_lock import CronProblem, CronRecord


_NOTHING = "there are no cron jobs"


@click.command("ls", cls=DataCommand)
@click.option("--watch", is_flag=True, help=WATCH)
@data_options(*CRON)
@console_options
@connection_options
@click.argument("prefix", type=CRON_PREFIX, default="")
def cron_ls(
    connection: Connection, console: Console, output: Output, prefix: str, watch: bool
) -> None:
    """List the cron jobs below PREFIX, and how each went last.

    A run whose host has died is shown as lost, whatever its record says.  "unreadable" is a
    value that is no record, or a record of a newer version: 'cron run' refuses it.

    --watch shows the list again after each change, as that of 'ls' does.

    Example: consul-lock cron ls jobs/
    """
    from consul_lock import Survey

    if watch:
        check_watch(output)
        with connection.client(console) as client:
            seen = Survey(client).overviews(prefix)
            follow(
                (_Jobs(found.crons, found.hidden) for found in seen),
                output,
                lambda jobs, now: lock_json.document(_items(jobs, now), hidden=jobs.hidden),
                lambda jobs, now: watched(
                    _table(jobs, now), _NOTHING, prefix, now, hidden=jobs.hidden
                ),
            )
        return
    with connection.client(console) as client:
        found = Survey(client).overview(prefix)
    jobs, now = _Jobs(found.crons, found.hidden), time.time()
    note_gaps(console, _NOTHING, prefix, found=bool(jobs.records), hidden=jobs.hidden)
    items = _items(jobs, now) if output.wants_items else []
    output.document(items, lambda: _table(jobs, now), hidden=jobs.hidden)


class _Jobs(NamedTuple):
    """What is shown of an overview."""

    records: list[CronRecord | CronProblem]
    hidden: bool


def _items(jobs: _Jobs, now: float) -> list[dict[str, Any]]:
    return [cron_item(record, now) for record in jobs.records]


def _table(jobs: _Jobs, now: float) -> str:
    return cron_table(jobs.records, now) if jobs.records else ""
