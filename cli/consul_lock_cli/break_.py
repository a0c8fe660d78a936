"""`consul-lock break`: take a lock away from whoever holds it."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from consul_lock_cli.data import DataCommand, Output, data_options
from consul_lock_cli.documents import BROKEN, holder_item
from consul_lock_cli.exits import ExitCode
from consul_lock_cli.options import NAME, Connection, connection_options, talk_options
from consul_lock_cli.status import NOT_SO
from consul_lock_cli.table import describe, who
from consul_lock_cli.talk import Misuse, Talk

if TYPE_CHECKING:
    from consul_lock import Holder, Status, Survey


@click.command("break", cls=DataCommand)
@click.option(
    "--session",
    "--slot",
    "session",
    metavar="ID",
    help="Only if this session holds it, and only this one of several holders.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--delete", is_flag=True, help="Then delete its key as well, if nobody holds it.")
@click.option(
    "--force",
    is_flag=True,
    help="With --delete: end no session, and delete the key under whoever holds it.",
)
@data_options(*BROKEN)
@talk_options
@connection_options
@click.argument("key", type=NAME)
def break_(
    connection: Connection,
    talk: Talk,
    output: Output,
    key: str,
    session: str | None,
    yes: bool,
    delete: bool,
    force: bool,
) -> int:
    """Take the lock KEY away from whoever holds it, by destroying the holder's session.

    Whatever else that session holds is lost, too.  The old holder is told of its loss, and the
    lock-delay of its session gives it the time to stop.  A session is that of one holder for
    ever, so a new holder cannot be hit.

    Exit codes: 0 done, 1 nobody holds it (or, with --delete, nothing is there), 75 it is held by
    another than --session, or has changed meanwhile.

    Example: consul-lock break backup --session 1be3f0d2-9a0c-4c4e-8d0e-2b6f0e7c9a11 --yes
    """
    if force and (not delete or session):
        raise Misuse(
            "--force is for --delete, and is about all holders",
            "without it, the sessions of the holders are destroyed, which is safer",
        )
    if not yes and not _terminal():
        raise Misuse("nobody to ask: stdin is no terminal", "--yes breaks it without asking")
    from consul_lock import Survey

    with connection.client(talk) as client:
        return _Breaking(Survey(client), talk, output, key).run(session, yes, delete, force)


def _terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


class _Breaking:
    """One call of it."""

    def __init__(self, survey: Survey, talk: Talk, output: Output, key: str) -> None:
        self._survey = survey
        self._talk = talk
        self._output = output
        self._key = key
        self._broken: list[dict[str, object]] = []

    def run(self, session: str | None, yes: bool, delete: bool, force: bool) -> int:
        """Exit code."""
        code = self._run(session, yes, delete, force)
        if self._output.wants_items:
            self._output.document(self._broken, str)
        return code

    def _run(self, session: str | None, yes: bool, delete: bool, force: bool) -> int:
        seen = self._survey.status(self._key)
        if seen.kind == "foreign":
            # Says that it is not ours to touch.
            self._survey.remove(seen)
        alive = [h for h in seen.holders if h.session not in seen.vanished]
        hit = [] if force else [h for h in alive if session in (None, h.session)]
        if session and alive and not hit:
            return self._held(
                f"{self._key} is held by {who(alive[0], time.time())}, not by session {session}"
            )
        if not hit and not (delete and seen.index):
            self._talk.tell(f"nothing to break: {self._key} is {seen.state}")
            return NOT_SO
        if not yes and not self._agreed(seen, delete, force):
            self._talk.tell(f"{self._key} is left alone")
            return NOT_SO
        if force and alive:
            self._talk.warn(
                "--force: the old holder's session stays valid, and the next holder enters at once"
            )
        for holder in hit:
            self._end(seen, holder)
        return self._delete(seen, force) if delete else 0

    def _held(self, text: str, hint: str = "") -> int:
        self._talk.error(f"{text} ({ExitCode.HELD:d})", hint)
        return ExitCode.HELD

    def _agreed(self, seen: Status, delete: bool, force: bool) -> bool:
        click.echo(describe(seen, time.time()), err=True)
        does = "Destroy the session" if seen.held and not force else ""
        also = "delete the key" if delete else ""
        what = " and ".join(filter(None, [does, also]))
        return click.confirm(f"{what[0].upper()}{what[1:]}?", err=True)

    def _end(self, seen: Status, holder: Holder) -> None:
        self._survey.destroy(holder.session)
        vanished = holder.session in seen.vanished
        item = {**holder_item(holder, vanished), "name": seen.name, "key": seen.key}
        self._broken.append(item)
        self._talk.tell(f"broke {self._key}: destroyed the session of {who(holder, time.time())}")

    def _delete(self, seen: Status, force: bool) -> int:
        if not force:
            seen = self._survey.status(self._key)
            if seen.state != "free":
                return self._held(
                    f"{self._key} is {seen.state}: its key is not deleted",
                    "whoever lost it may still be at work; --delete --force does not wait for that",
                )
        if not seen.index:
            return 0  # the session took it along
        if self._survey.remove(seen, force=force):
            self._talk.tell(f"deleted {seen.key}")
            return 0
        return self._held(f"{self._key} has changed meanwhile: its key is not deleted")
