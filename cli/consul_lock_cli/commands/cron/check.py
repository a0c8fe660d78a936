"""`consul-lock cron check`: whether cron jobs do what they should, as a monitoring plugin."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.base.text import shown
from consul_lock_cli.check.cron_job import CronLimits, cron_metrics, judge_cron_job
from consul_lock_cli.check.plugin_command import (
    PluginCommand,
    checked_item,
    conclude,
    json_option,
    patient_client,
)
from consul_lock_cli.check.plugin_line import summary
from consul_lock_cli.check.state import Problem, State, worst
from consul_lock_cli.options.connection import connection_options
from consul_lock_cli.options.console import console_options
from consul_lock_cli.options.types import CRON_PREFIX, DURATION, WholeNumber
from consul_lock_cli.output.cron_json import cron_item
from consul_lock_cli.settings.context import TypedOption
from consul_lock_cli.spec.connection import Connection
from consul_lock_cli.spec.cron import is_prefix

if TYPE_CHECKING:
    from consul_lock import Client, CronProblem, CronRecord


@click.command("check", cls=PluginCommand)
@click.option("--grace", type=DURATION, default="5m", help="How long a job may be overdue [5m].")
@click.option(
    "--max-failures", metavar="N", type=WholeNumber(1), default=1,
    help="Critical if N runs in a row failed, and a warning before [1].",
)  # fmt: skip
@click.option(
    # The setting is for those who run something.
    "--max-runtime", cls=TypedOption, type=DURATION,
    help="Critical if a run takes longer [no limit].",
)  # fmt: skip
@json_option
@console_options
@connection_options
@click.argument("name", type=CRON_PREFIX, default="", metavar="[NAME|PREFIX/]")
def cron_check(
    connection: Connection,
    console: Console,
    as_json: bool,
    name: str,
    grace: float,
    max_failures: int,
    max_runtime: float | None,
) -> int:
    """Check the cron job NAME, or all below PREFIX/, as a plugin of Nagios or Icinga.

    Without NAME all jobs are checked.  It prints one line with performance data.  A job is overdue
    if no host has claimed its next slot in time; one with IDs for slots never is, nor is one while
    its run is under way.  A paused job is checked for --max-runtime alone.  How the last run ended
    counts until the next one has ended.  Without --retry-for, Consul is tried for 5s.

    Exit codes: 0 OK, or paused until a time; 1 WARNING: fewer failures than --max-failures, paused
    without an end, or hosts disagree on the schedule; 2 CRITICAL: overdue for longer than --grace,
    lost, stopped for its time limit, failed, running for longer than --max-runtime, or its last
    slot is so far ahead that a clock was wrong; 3 UNKNOWN: there is no record, it cannot be read,
    keys are hidden from the token, Consul cannot be reached, or an option is wrong.  Of several the
    worst counts: 2, then 1, then 3.

    Example: consul-lock cron check jobs/ --grace 10m --max-failures 3
    """
    from consul_lock import CronProblem

    with patient_client(connection, console) as client:
        found = _read(client, name)
    now, limits = time.time(), CronLimits(grace, max_failures, max_runtime)
    verdicts = [judge_cron_job(record, now, limits) for record in found.records]
    readable = [record for record in found.records if not isinstance(record, CronProblem)]
    state = worst([*(each.state for each in verdicts), *(each.state for each in found.problems)])
    texts = [summary(verdicts, "cron jobs")] if verdicts else []
    return conclude(
        state,
        "; ".join([*texts, *(problem.text for problem in found.problems)]),
        cron_metrics(readable, verdicts, now, limits) if verdicts else [],
        [
            checked_item(cron_item(record, now), verdict)
            for record, verdict in zip(found.records, verdicts, strict=True)
        ],
        as_json=as_json,
        hidden=found.hidden,
    )


class _Found(NamedTuple):
    """What there is to check, and why that may not be all."""

    records: list[CronRecord | CronProblem]
    problems: list[Problem]
    hidden: bool = False


def _read(client: Client, name: str) -> _Found:
    from consul_lock import Conflict, CronProblem, CronRecords, Survey

    what = shown(name, 512)
    if not is_prefix(name):
        record: CronRecord | CronProblem | None
        try:
            record = CronRecords(client).record(name)
        except Conflict as error:
            record = CronProblem(name, error.key or "", str(error))
        if record is not None:
            return _Found([record], [])
        text = f"there is no cron job {what}, or the token may not read its record"
        if count := len(CronRecords(client).below(f"{name}/")):
            text += f"; {what}/, with the /, means the {count} below it"
        return _Found([], [Problem(State.UNKNOWN, text)])
    seen = Survey(client).overview(name)
    text = ""
    if seen.hidden:
        text = "some keys are hidden from this token"
    elif not seen.crons:
        where = f" below {what}" if name else ""
        text = f"there are no cron jobs{where}, or none that the token may read"
    return _Found(seen.crons, [Problem(State.UNKNOWN, text)] if text else [], seen.hidden)
