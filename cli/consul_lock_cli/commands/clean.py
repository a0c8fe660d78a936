"""`consul-lock clean`: take away what those who died have left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from consul_lock_cli.base.console import Console, confirmed, require_terminal
from consul_lock_cli.base.exit_codes import NOT_SO, ExitCode
from consul_lock_cli.options.connection import connection_options
from consul_lock_cli.options.console import console_options
from consul_lock_cli.options.types import PREFIX
from consul_lock_cli.output.data_command import DataCommand, Output, data_options
from consul_lock_cli.output.lock_json import CLEANED, cleaned_item
from consul_lock_cli.output.lock_table import leftover_table
from consul_lock_cli.spec.connection import Connection

if TYPE_CHECKING:
    from consul_lock import Cleaned, Leftover

_WHY = {
    "delayed": "its lock-delay runs: try again in a minute",
    "changed": "it has changed meanwhile",
}


@click.command(cls=DataCommand)
@click.option("--dry-run", is_flag=True, help="Show what would be deleted, and delete nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_options(*CLEANED)
@console_options
@connection_options
@click.argument("prefix", type=PREFIX)
def clean(
    connection: Connection, console: Console, output: Output, prefix: str, dry_run: bool, yes: bool
) -> int:
    """Delete what dead holders and waiters have left below PREFIX.

    These are the keys that 'ls --dead' shows: keys without a session of locks, queues,
    semaphores and read/write locks, and documents without holders.  The next user of a name
    deletes most of them; they stay if the name is not used any more.  Nothing is deleted that is
    held or waited for, nothing before its lock-delay is over, and no record of a cron job.

    Exit codes: 0 all keys are deleted, 1 there are none, 75 some are left, because their
    lock-delay still runs or they are in use again.

    Example: consul-lock clean jobs/ --dry-run
    """
    if not (yes or dry_run):
        require_terminal("--yes deletes without asking, --dry-run only shows")
    from consul_lock import Survey

    with connection.client(console) as client:
        survey = Survey(client)
        found = survey.leftovers(prefix)
        cleaned: list[Cleaned] = []
        code: int = NOT_SO
        if not found:
            console.note(f"nothing to delete below {prefix!r}")
        elif dry_run:
            code = 0
        elif yes or _agreed(found):
            cleaned = survey.clean(found)
            code = _tell(cleaned, console)
        else:
            console.note("nothing was deleted")
    items: list[Any] = [cleaned_item(each.leftover, each.outcome) for each in cleaned]
    if dry_run:
        items = [cleaned_item(each, None) for each in found]
    output.document(items, lambda: leftover_table(found) if dry_run and found else "")
    return code


def _agreed(found: list[Leftover]) -> bool:
    click.echo(leftover_table(found), err=True)
    return confirmed(f"Delete {len(found)} key{'s' if len(found) > 1 else ''}")


def _tell(cleaned: list[Cleaned], console: Console) -> int:
    left = [each for each in cleaned if each.outcome != "deleted"]
    console.note(f"deleted {len(cleaned) - len(left)} of {len(cleaned)} keys")
    for each in left:
        console.warn(f"{each.leftover.key} was not deleted: {_WHY[each.outcome]}")
    return ExitCode.HELD if left else 0
