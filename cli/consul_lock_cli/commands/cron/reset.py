"""`consul-lock cron reset`: forget which slot was run last."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

import click

from consul_lock_cli.base.console import Console, confirmed, require_terminal
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.base.text import shown
from consul_lock_cli.options.connection import connection_options
from consul_lock_cli.options.console import console_options
from consul_lock_cli.options.types import CRON_NAME
from consul_lock_cli.output.cron_json import CRON, cron_item
from consul_lock_cli.output.cron_table import describe
from consul_lock_cli.output.data_command import (
    DataCommand,
    Output,
    data_options,
    no_record,
    nothing,
)
from consul_lock_cli.spec.connection import Connection

if TYPE_CHECKING:
    from consul_lock import CronProblem, CronRecord, CronRecords


@click.command("reset", cls=DataCommand)
@click.option(
    "--slot",
    metavar="SLOT",
    help="Act as if this slot had been run last: a time as in 'cron show', or an ID [none].",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--force", is_flag=True, help="Also replace a record that cannot be read; its history is lost."
)
@data_options(*CRON)
@console_options
@connection_options
@click.argument("name", type=CRON_NAME)
def cron_reset(
    connection: Connection,
    console: Console,
    output: Output,
    name: str,
    slot: str | None,
    yes: bool,
    force: bool,
) -> int:
    """Forget the last slot of the cron job NAME: any may be next.

    So a slot that was run may be run once more.  With --slot only later slots may be run next;
    use it when a wrong clock has written a slot that is far ahead.  The history and a
    pause stay; a run that is under way goes on.

    Exit codes: 0 done, 1 there is no record of it, or the answer was no, 65 the key holds
    something else (see --force), 75 it has changed meanwhile.

    Example: consul-lock cron reset jobs/report --slot 2026-11-21T17:00:00Z
    """
    if slot == "":
        # A variable that is not set shall not let everything run once more.
        raise Misuse("--slot is empty", "leave it out to forget all slots")
    if not yes:
        require_terminal("--yes resets it without asking")
    from consul_lock import CronRecords

    with connection.client(console) as client:
        return _Resetting(CronRecords(client), console, output, name, force).run(slot, yes)


class _Resetting:
    """One call of it."""

    def __init__(
        self, records: CronRecords, console: Console, output: Output, name: str, force: bool
    ) -> None:
        self._records = records
        self._console = console
        self._output = output
        self._name = name
        self._force = force

    def run(self, slot: str | None, yes: bool) -> int:
        """Exit code."""
        seen = _look(self._records, self._name, self._force)
        if seen is None:
            return no_record(self._console, self._output, self._name)
        last = None if slot is None else _slot(seen, slot)
        if not yes:
            if not _agreed(seen, slot):
                return nothing(self._console, self._output, f"{self._name} is left alone")
            if _of(_look(self._records, self._name, self._force)) != _of(seen):
                return self._changed()
        written = _reset(self._records, self._name, last, self._force)
        if written is None:
            return no_record(self._console, self._output, self._name)
        state = "no slot was run" if slot is None else f"{shown(written.slot)} was run last"
        self._console.note(f"reset {self._name}: as if {state}")
        self._output.document([cron_item(written, time.time())], str)
        return 0

    def _changed(self) -> int:
        text = f"{self._name} has changed meanwhile: it is not reset"
        self._console.error(f"{text} ({ExitCode.HELD:d})", "check it again")
        self._output.document([], str)
        return ExitCode.HELD


def _look(records: CronRecords, name: str, force: bool) -> CronRecord | CronProblem | None:
    """The record, or why it cannot be read.  Raises `Conflict` for the latter without force."""
    from consul_lock import Conflict, CronProblem

    try:
        return records.record(name)
    except Conflict as error:
        if not force:
            raise
        return CronProblem(name, error.key or "", str(error))


def _of(seen: CronRecord | CronProblem | None) -> tuple[object, ...]:
    """What the question was about."""
    from consul_lock import CronProblem

    if seen is None or isinstance(seen, CronProblem):
        return (seen,)
    return (seen.slot, seen.claim, seen.attempt, seen.changed)


def _agreed(seen: CronRecord | CronProblem, slot: str | None) -> bool:
    from consul_lock import CronProblem

    if isinstance(seen, CronProblem):
        why = shown(seen.why, 500)
        click.echo(f"{shown(seen.name, 512)}: unreadable: {why}", err=True)
    else:
        click.echo(describe(seen, time.time()), err=True)
    what = "Forget which slot was run last"
    return confirmed(what if slot is None else f"Set it to slot {shown(slot)}")


def _reset(
    records: CronRecords, name: str, last: str | float | None, force: bool
) -> CronRecord | None:
    from consul_lock import ConfigError

    try:
        return records.reset(name, last, force=force)
    except ConfigError as error:
        # It is about what was typed, as nothing else goes into it.
        raise Misuse(f"--slot: {error}") from error


def _slot(seen: CronRecord | CronProblem, text: str) -> str | float:
    """The slot that is meant; raises `Misuse` if it is none of this job."""
    from consul_lock import CronProblem

    if isinstance(seen, CronProblem):
        return text
    if seen.epoch is None and not seen.every and not seen.schedule:
        return text
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Misuse(
            f'--slot "{shown(text)}" is not a time with a zone, but the slots of this job are',
            "as in --slot 2026-11-21T17:00:00Z",
        )
    return moment.timestamp()
