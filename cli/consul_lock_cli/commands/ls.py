"""`consul-lock ls`: what is held below a prefix."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.options.connection import connection_options
from consul_lock_cli.options.console import console_options
from consul_lock_cli.options.types import PREFIX
from consul_lock_cli.output import lock_json
from consul_lock_cli.output.cron_json import LISTED, listed_item
from consul_lock_cli.output.cron_table import overview_table
from consul_lock_cli.output.data_command import DataCommand, Output, data_options, note_gaps
from consul_lock_cli.output.lock_json import CLEANED, cleaned_item, status_item
from consul_lock_cli.output.lock_table import leftover_table
from consul_lock_cli.output.screen import WATCH, check_watch, follow, watched
from consul_lock_cli.output.selection import STATES, Selection, since
from consul_lock_cli.spec.connection import Connection

if TYPE_CHECKING:
    from consul_lock import Overview


_NOTHING = "there are no keys"
_STATE = f"Only what is in this state: {', '.join(STATES)}."


@click.command(cls=DataCommand)
@click.option(
    "--dead",
    is_flag=True,
    help="Only what dead holders and waiters have left, which 'clean' deletes.",
)
@click.option("--watch", is_flag=True, help=WATCH)
@click.option("--state", type=click.Choice(STATES), metavar="STATE", help=_STATE)
@click.option("--host", metavar="HOST", help="Only what HOST holds, waits for or ran last.")
@click.option("--mine", is_flag=True, help="Only what you hold or wait for on this host, or ran.")
@click.option(
    "--failed", is_flag=True, help="Only jobs that failed last, and locks whose holder died."
)
@click.option(
    "--sort",
    type=click.Choice(["name", "age"]),
    default="name",
    help="Order: by name, or the oldest first [name].",
)
@data_options(*LISTED, *CLEANED)
@console_options
@connection_options
@click.argument("prefix", type=PREFIX, default="")
def ls(
    connection: Connection,
    console: Console,
    output: Output,
    prefix: str,
    dead: bool,
    watch: bool,
    sort: str,
    **wanted: Any,
) -> None:
    """List the locks, cron jobs and foreign values below PREFIX.

    PREFIX is a prefix in Consul's sense: "job" finds "job", "jobs" and "jobs/a"; without it all
    are listed.  A lock that is not held is listed only if it has keys in Consul.  A free lock can
    still be in lock-delay, which cannot be seen by reading; the list shows if its last holder
    died.  For a cron job it shows the outcome of its last slot; 'cron ls' has more.

    --watch looks once a second at most, until a signal.  On a terminal the list is drawn anew
    after each change, with the time of that; elsewhere (and with --json) each is a JSON document
    on a line.

    Example: consul-lock ls --state held --sort age jobs/
    """
    from consul_lock import Survey

    selection, by_age = Selection(**wanted), sort == "age"
    if watch:
        check_watch(output, "--dead" if dead else "")
        with connection.client(console) as client:
            seen = Survey(client).overviews(prefix)
            follow(
                (selection.of(found, time.time()) for found in seen),
                output,
                lambda found, now: lock_json.document(
                    _items(found, now, by_age), hidden=found.hidden
                ),
                lambda found, now: _watched(found, now, by_age, prefix),
            )
        return
    if dead:
        if selection != Selection():
            raise Misuse("--dead lists keys, which have no state and no host", "leave one out")
        with connection.client(console) as client:
            left = Survey(client).leftovers(prefix)
        note_gaps(console, "nothing is left by the dead", prefix, found=bool(left))
        output.document(
            [cleaned_item(each, None) for each in left],
            lambda: leftover_table(left) if left else "",
        )
        return
    with connection.client(console) as client:
        found = Survey(client).overview(prefix)
    any_found = bool(found.locks or found.crons)
    note_gaps(console, _NOTHING, prefix, found=any_found, hidden=found.hidden)
    now = time.time()
    chosen = selection.of(found, now)
    output.document(
        _items(chosen, now, by_age) if output.wants_items else [],
        lambda: _table(chosen, now, by_age),
        hidden=found.hidden,
    )


def _table(found: Overview, now: float, by_age: bool) -> str:
    return overview_table(found, now, by_age=by_age) if found.locks or found.crons else ""


def _watched(found: Overview, now: float, by_age: bool, prefix: str) -> str:
    """The table below a line with the time."""
    return watched(_table(found, now, by_age), _NOTHING, prefix, now, hidden=found.hidden)


def _items(found: Overview, now: float, by_age: bool) -> list[dict[str, Any]]:
    locks = [(each, {**status_item(each), "cron": None}) for each in found.locks]
    crons = [(each, listed_item(each, now)) for each in found.crons]

    def place(pair: tuple[Any, dict[str, Any]]) -> tuple[float, str]:
        return since(pair[0]) if by_age else 0.0, pair[0].name

    # Stable: the lock of a name comes before the job of that name.
    return [item for _, item in sorted([*locks, *crons], key=place)]
