"""`consul-lock break`: take a lock away from its holder."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from consul_lock.limits import REASON_MAX
from consul_lock_cli.base.console import Console, confirmed, require_terminal
from consul_lock_cli.base.error_table import complaint
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.exit_codes import NOT_SO, ExitCode
from consul_lock_cli.base.text import shown
from consul_lock_cli.options.connection import connection_options
from consul_lock_cli.options.console import console_options
from consul_lock_cli.options.types import NAME
from consul_lock_cli.output.data_command import DataCommand, Output, data_options
from consul_lock_cli.output.holder_text import identity, who
from consul_lock_cli.output.lock_json import BROKEN, holder_item
from consul_lock_cli.output.lock_table import describe
from consul_lock_cli.run.permission import naming_rule
from consul_lock_cli.spec.connection import Connection
from consul_lock_cli.spec.lock import LockSpec

if TYPE_CHECKING:
    from consul_lock import Holder, Status, Survey


_MAYBE_MORE = (
    "some keys are hidden from this token: if other locks of the session are among them, they are"
    " lost, too"
)


@click.command("break", cls=DataCommand)
@click.option(
    "--session",
    "--slot",
    "session",
    metavar="ID",
    help="Only if this session holds it; of several holders, only this one.",
)
@click.option(
    "--reason",
    metavar="TEXT",
    default="",
    help="Reason; 'status', 'ls' and a 'run' that lost the lock show it with your name.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--delete", is_flag=True, help="Then delete its key as well, if it is not held.")
@click.option(
    "--force",
    is_flag=True,
    help="With --delete: keep the session, and delete the key while it is held.",
)
@data_options(*BROKEN)
@console_options
@connection_options
@click.argument("key", type=NAME)
def break_(
    connection: Connection,
    console: Console,
    output: Output,
    key: str,
    **options: Any,
) -> int:
    """Take the lock KEY away: the holder's session is destroyed.

    Everything else that the session holds is lost, too, and is listed.  The old holder is
    notified, and the lock-delay of its session gives it the time to stop.  A session belongs to
    one holder only, so a new holder is not affected.  'status', 'ls' and the 'run' that lost the
    lock show who did it and why; Consul forgets it after one to two hours.  A program that uses the
    library learns only that its session has ended; Survey.break_of has the rest.

    Exit codes: 0 done, 1 it is not held (or, with --delete, there is no key), 75 it is held by
    a session other than --session, or has changed meanwhile.

    Example: consul-lock break backup --reason "disk full on web3"
    """
    asked = _Asked(**options)
    asked.check()
    from consul_lock import Survey

    with connection.client(console) as client, naming_rule(LockSpec((key,)).rule):
        return _Breaking(Survey(client), console, output, key, asked).run()


class _Asked(NamedTuple):
    """What the options say."""

    session: str | None
    reason: str
    yes: bool
    delete: bool
    force: bool

    def check(self) -> None:
        """Refuse what is dangerous or makes no sense; raises `Misuse`."""
        if self.session == "":
            # A variable that is not set shall not break all holders.
            raise Misuse("--session is empty", "leave it out to break every holder")
        if len(self.reason) > REASON_MAX:
            raise Misuse(f"--reason is longer than {REASON_MAX} characters", "be brief")
        if self.force and (not self.delete or self.session):
            raise Misuse(
                "--force needs --delete, and applies to all holders",
                "without it, the sessions of the holders are destroyed, which is safer",
            )


class _Breaking:
    """One call of it."""

    def __init__(
        self, survey: Survey, console: Console, output: Output, key: str, asked: _Asked
    ) -> None:
        self._survey = survey
        self._console = console
        self._output = output
        self._key = key
        self._asked = asked
        self._broken: list[dict[str, object]] = []
        self._others: dict[str, list[str]] = {}
        """The other locks of the sessions, by session."""
        self._hidden = False
        """Whether there are keys, and so maybe other locks, that the token may not see."""

    def run(self) -> int:
        """Exit code."""
        code = self._run()
        if self._output.wants_items:
            self._output.document(self._broken, str, hidden=self._hidden)
        return code

    def _run(self) -> int:
        delete, force, session = self._asked.delete, self._asked.force, self._asked.session
        seen = self._look()
        hit = [] if force else [h for h in _alive(seen) if session in (None, h.session)]
        if session and _alive(seen) and not hit:
            other = who(_alive(seen)[0], time.time())
            return self._held(f"{self._key} is held by {other}, not by session {session}")
        if not hit and not (delete and seen.index):
            more = ", as far as the token may see it" if seen.hidden else ""
            self._console.note(f"nothing to break: {self._key} is {seen.state}{more}")
            return NOT_SO
        if not self._asked.yes:
            require_terminal("--yes breaks it without asking")
        if force and _alive(seen):
            self._console.warn(
                "--force: the old holder's session stays valid; the next holder gets it at once"
            )
        self._others = self._other_locks(hit)
        if not self._asked.yes:
            if not self._agreed(seen, hit):
                self._console.note(f"{self._key} is left unchanged")
                return NOT_SO
            if not {h.session for h in hit} <= {h.session for h in _alive(self._look())}:
                return self._held(f"{self._key} has changed meanwhile: nothing was broken")
        for holder in hit:
            self._end(seen, holder)
        self._note_hidden()
        return self._delete(seen) if delete else 0

    def _look(self) -> Status:
        seen = self._survey.status(self._key)
        if seen.kind == "foreign":
            # Raises the error for a foreign key.
            self._survey.remove(seen)
        self._hidden = self._hidden or seen.hidden
        return seen

    def _other_locks(self, hit: Sequence[Holder]) -> dict[str, list[str]]:
        """What else is lost with the sessions; Consul finds it only among all keys there are."""
        from consul_lock import PermissionDenied

        found: dict[str, list[str]] = {holder.session: [] for holder in hit}
        if not hit:
            return found
        try:
            everything = self._survey.overview()
        except PermissionDenied as error:
            self._console.warn(f"other locks of the session are not shown: {complaint(error)}")
            return found
        self._hidden = self._hidden or everything.hidden
        for status in everything.locks:
            for holder in status.holders:
                if holder.session in found and status.name != self._key:
                    found[holder.session].append(status.name)
        return found

    def _held(self, text: str, hint: str = "") -> int:
        self._console.error(f"{text} ({ExitCode.HELD:d})", hint)
        return ExitCode.HELD

    def _agreed(self, seen: Status, hit: Sequence[Holder]) -> bool:
        click.echo(describe(seen, time.time()), err=True)
        for holder in hit:
            if names := self._named(holder):
                click.echo(f"the session of {identity(holder)} also holds {names}", err=True)
        if self._hidden and hit:
            click.echo(_MAYBE_MORE, err=True)
        one = "the session" if len(hit) == 1 else f"{len(hit)} sessions"
        does = [f"destroy {one}"] if hit else []
        also = ["delete the key"] if self._asked.delete else []
        what = " and ".join([*does, *also])
        return confirmed(f"{what[0].upper()}{what[1:]}")

    def _end(self, seen: Status, holder: Holder) -> None:
        if self._survey.break_hold(self._key, holder.session, self._asked.reason) is None:
            self._console.warn(
                f"the break of {self._key} is not recorded: that needs"
                f' key_prefix "{self._key}/" {{ policy = "write" }}'
            )
        others = self._others[holder.session]
        self._broken.append(
            {**holder_item(holder), "name": seen.name, "key": seen.key, "others": others}
        )
        names = self._named(holder)
        also = f"; it also held {names}" if names else ""
        self._console.note(
            f"broke {self._key}: destroyed the session of {who(holder, time.time())}{also}"
        )

    def _note_hidden(self) -> None:
        """Locks that nobody here can name may have been lost, too."""
        if self._hidden and self._broken:
            self._console.warn(_MAYBE_MORE, event="hidden")

    def _named(self, holder: Holder) -> str:
        return ", ".join(shown(name) for name in self._others[holder.session])

    def _delete(self, seen: Status) -> int:
        if not self._asked.force:
            seen = self._survey.status(self._key)
            if seen.state != "free":
                return self._held(
                    f"{self._key} is {seen.state}: its key is not deleted",
                    "the old holder may still be at work; --delete --force does not wait for that",
                )
        if not seen.index:
            return 0  # the session took it along
        if self._survey.remove(seen, force=self._asked.force):
            self._console.note(f"deleted {seen.key}")
            return 0
        return self._held(f"{self._key} has changed meanwhile: its key was not deleted")


def _alive(seen: Status) -> list[Holder]:
    return [holder for holder in seen.holders if holder.session not in seen.vanished]
