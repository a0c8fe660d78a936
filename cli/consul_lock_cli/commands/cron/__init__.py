"""`consul-lock cron`: run a job of many hosts' crontabs once for each slot, and see to it."""

from __future__ import annotations

import click

from consul_lock_cli.group import Commands, LazyCommands

_COMMANDS = (
    "run", "run-now", "ls", "show", "history", "check", "pause", "resume", "reset", "forget",
    "install",
)  # fmt: skip


@click.group(cls=Commands, commands=LazyCommands(_COMMANDS, "cron"), no_args_is_help=False)
def cron() -> None:
    """Cron jobs in the crontab of every host, run on one of them."""
