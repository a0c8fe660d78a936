"""Looking at what is held, and putting it right: no session is made and no lock is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from consul_lock._protocol.arguments import waiting_time
from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.client.retry import retry
from consul_lock._protocol.consul.models import key_rule
from consul_lock._protocol.flow import Flow, Job
from consul_lock._protocol.keys import checked_name, checked_prefix
from consul_lock._protocol.survey.break_note import Break, break_key, latest_break, name_of_break
from consul_lock._protocol.survey.breaks import BreakOperation
from consul_lock._protocol.survey.leftovers import Cleaned, Cleaning, Leftover, leftovers
from consul_lock._protocol.survey.overview_watch import OverviewWatcher
from consul_lock._protocol.survey.read import Overview, overview, read_below, read_name
from consul_lock._protocol.survey.sessions import SessionStatus, session_id, sessions
from consul_lock._protocol.survey.status import Status
from consul_lock._protocol.survey.watch import Watcher
from consul_lock.errors import ConfigError, Conflict, Unavailable

T = TypeVar("T")


class SurveyCore:
    """The questions and actions of an operator."""

    def __init__(self, client: ClientCore) -> None:
        self._client = client

    def below(self, prefix: str) -> Job[list[Status]]:
        """All names that begin with a prefix."""
        prefix = checked_prefix(prefix)
        return self._job(lambda: read_below(self._client, prefix))

    def overview(self, prefix: str) -> Job[Overview]:
        """The same, and the records of cron guards."""
        prefix = checked_prefix(prefix)
        return self._job(lambda: overview(self._client, prefix))

    def status(self, name: str) -> Job[Status]:
        """One name."""
        name = checked_name(name)
        return self._job(lambda: read_name(self._client, name))

    def lookout(self, name: str, timeout: float | None) -> Watcher:
        """Somebody who watches one name."""
        return Watcher(self._client, checked_name(name), waiting_time(True, timeout))

    def lookout_below(self, prefix: str, timeout: float | None) -> Watcher:
        """Somebody who watches one name; all that begin so, if it ends with a slash or is empty."""
        if prefix and not prefix.endswith("/"):
            return self.lookout(prefix, timeout)
        return Watcher(self._client, checked_prefix(prefix), waiting_time(True, timeout))

    def lookout_over(
        self, prefix: str, timeout: float | None, repeat: bool = False
    ) -> OverviewWatcher:
        """Somebody who watches all names that begin with a prefix, and the cron records there."""
        wait = waiting_time(True, timeout)
        return OverviewWatcher(self._client, checked_prefix(prefix), wait, repeat)

    def sessions(self, ids: Iterable[str]) -> Job[dict[str, SessionStatus]]:
        """What Consul says of sessions."""
        if isinstance(ids, str):
            raise ConfigError(
                f"sessions({ids!r}): one string",
                hint=f"give a list of ids: [{ids!r}]",
                kind="value",
                settings=("ids",),
            )
        wanted = tuple(ids)
        return self._job(lambda: sessions(self._client.api, wanted))

    def destroy(self, session: str) -> Job[None]:
        """End a session."""
        session = session_id(session)
        return self._job(lambda: self._client.api.destroy(session))

    def break_hold(self, name: str, session: str, reason: str) -> Job[Break | None]:
        """End a session, having noted who did it and why."""
        return BreakOperation(self._client, checked_name(name), session, reason).job()

    def break_of(self, name: str, session: str) -> Job[Break | None]:
        """The note of who broke a hold."""
        key = break_key(checked_name(name), session_id(session))
        return self._job(lambda: break_of(self._client, key))

    def remove(self, seen: Status, force: bool) -> Job[bool]:
        """Delete a key if it still is as it was seen."""
        if seen.kind == "foreign":
            found = seen.conflict or Conflict(seen.problem, kind="unmarked")
            problem = f"{seen.key!r} is not a lock, and is not deleted"
            raise Conflict(
                f"{problem}: {found}",
                problem=f"{problem}: {found.problem}",
                hint=found.hint,
                kind=found.kind,
                key=seen.key,
                flags=seen.flags,
            )
        if seen.state != "free" and not force:
            raise Conflict(
                problem=f"{seen.name!r} is {seen.state}",
                hint="destroy the sessions of its holders instead; to delete its key lets the next"
                " in at once, and the old ones may still be at work",
                kind="in-use",
                key=seen.key,
                flags=seen.flags,
            )
        return Job(remove(self._client, seen))

    def leftovers(self, prefix: str) -> Job[list[Leftover]]:
        """What the dead have left below a prefix."""
        prefix = checked_prefix(prefix)
        return self._job(lambda: self._leftovers(prefix))

    def _leftovers(self, prefix: str) -> Flow[list[Leftover]]:
        found = yield from self._client.api.list_keys(prefix)
        return leftovers(prefix, found)

    def clean(self, chosen: Iterable[Leftover]) -> Job[list[Cleaned]]:
        """Take it away."""
        return Cleaning(self._client, chosen).job()

    def _job(self, once: Callable[[], Flow[T]]) -> Job[T]:
        return Job(retry(self._client, once))


def break_of(client: ClientCore, key: str) -> Flow[Break | None]:
    """What is noted at a key."""
    found = yield from client.api.get(key, consistent=True)
    return latest_break(pair for pair in found.pairs if name_of_break(pair) is not None)


def remove(client: ClientCore, seen: Status) -> Flow[bool]:
    """Delete a key.  False: it is not there, or not any more as it was seen."""
    if not seen.index:
        return False
    where = {"Key": seen.key, "Index": seen.index}
    # To delete what is not there is no failure to Consul: that takes a check of its own.
    operations = [{"Verb": "check-index", **where}, {"Verb": "delete-cas", **where}]
    in_doubt = False

    def once() -> Flow[bool]:
        nonlocal in_doubt
        try:
            outcome = yield from client.api.transact(
                operations, f"deleting {seen.key!r}", key_rule(seen.key)
            )
        except Unavailable as error:
            in_doubt = in_doubt or error.uncertain
            raise
        if outcome.done or not in_doubt:
            return bool(outcome.done)
        # An earlier try, whose answer was lost, may have deleted it.
        found = yield from client.api.get(seen.key, consistent=True)
        return not found.pairs

    return (yield from retry(client, once))
