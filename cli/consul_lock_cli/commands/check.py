"""`consul-lock check`: whether a lock is held too long, as a monitoring plugin."""

from __future__ import annotations

import time

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.check.lock import LockLimits, judge_lock, lock_metrics
from consul_lock_cli.check.plugin_command import (
    PluginCommand,
    checked_item,
    conclude,
    json_option,
    patient_client,
)
from consul_lock_cli.options.connection import connection_options
from consul_lock_cli.options.console import console_options
from consul_lock_cli.options.types import DURATION, NAME, WholeNumber
from consul_lock_cli.output.lock_json import status_item
from consul_lock_cli.spec.connection import Connection


@click.command(cls=PluginCommand)
@click.option("--max-age", type=DURATION, help="Critical if it is held for longer [no limit].")
@click.option(
    "--max-waiters", metavar="N", type=WholeNumber(0),
    help="Critical if more than N wait for it [no limit].",
)  # fmt: skip
@json_option
@console_options
@connection_options
@click.argument("key", type=NAME)
def check(
    connection: Connection,
    console: Console,
    as_json: bool,
    key: str,
    max_age: float | None,
    max_waiters: int | None,
) -> int:
    """Check the lock KEY, as a plugin of Nagios or Icinga.

    It prints one line with performance data.  Of a semaphore or a read/write lock the oldest hold
    counts.  A lock that is free is OK.  Without --retry-for, Consul is tried for 5s.

    Exit codes: 0 OK; 1 WARNING: a holder has died, and nobody has taken over; 2 CRITICAL: held for
    longer than --max-age, or more than --max-waiters wait; 3 UNKNOWN: the key is not a lock, a
    holder does not say since when it holds it, keys are hidden from the token, Consul cannot be
    reached, or an option is wrong.  Of several the worst counts: 2, then 1, then 3.

    Example: consul-lock check deploy --max-age 1h --max-waiters 20
    """
    from consul_lock import Survey

    with patient_client(connection, console) as client:
        seen = Survey(client).status(key)
    now, limits = time.time(), LockLimits(max_age, max_waiters)
    verdict = judge_lock(seen, now, limits)
    return conclude(
        verdict.state,
        f"{verdict.name}: {verdict.text}",
        lock_metrics(seen, now, limits),
        [checked_item(status_item(seen), verdict)],
        as_json=as_json,
        hidden=seen.hidden,
    )
