"""Watching what is held: one picture after the other, or what has happened between two."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.consul.error_budget import ErrorBudget
from consul_lock._protocol.consul.monotonic_reads import MonotonicReads, Read
from consul_lock._protocol.flow import Flow, Job, Now, Sleep
from consul_lock._protocol.holder import Holder
from consul_lock._protocol.keys import SEMAPHORE_FLAG
from consul_lock._protocol.survey.read import read_name, whole
from consul_lock._protocol.survey.sessions import liveness
from consul_lock._protocol.survey.status import Status
from consul_lock.errors import ConsulLockError, Unavailable

# Seconds of one blocking read; a change ends it at once.
_POLL = 10.0

# Seconds that a read without news must have taken, else there is a pause of that length: Consul may
# wake a reader for nothing, and where much happens, the last of many quick changes is enough.
_PAUSE = 0.1


@dataclass(frozen=True)
class Change:
    """Something that has happened to a name."""

    what: str
    """"held" (it was, when the watching began), "acquired", "released", or "lost": the holder's
    session ended before it released the lock.  If that is not certain, "released"."""
    holder: Holder
    """Who holds it now, or did."""
    status: Status
    """How things stand after this and all that was seen with it."""


class Watcher:
    """Sees one name, or all below a prefix, again and again.  It needs no session."""

    def __init__(self, client: ClientCore, name: str, timeout: float | None) -> None:
        self._client = client
        self._name = name
        self._alone = bool(name) and not name.endswith("/")
        self._timeout = timeout
        self._deadline: float | None = None
        self._scope = _scope(Status(name, "", "none", "free")) if self._alone else (name, True)
        """What is waited on: a key or prefix, and whether it is a prefix."""
        self._reads = MonotonicReads()
        self._shown: list[Status] | None = None

    def next(self) -> Job[Status | None]:
        """The status of the one name, once it is another than shown last; None: time is over."""
        return Job(self._next())

    def news(self) -> Job[list[Change] | None]:
        """What has happened since the last call, once it is something; None: time is over."""
        return Job(self._news())

    def _next(self) -> Flow[Status | None]:
        seen = yield from self._following()
        return seen[0] if seen else None

    def _news(self) -> Flow[list[Change] | None]:
        while True:
            before = self._shown
            after = yield from self._following()
            if after is None:
                return None
            if before is None:
                changes = [Change("held", h, s) for _, s, h in _living(after)]
            else:
                changes = yield from self._changes(before, after)
            if changes:
                return changes

    # -- looking -------------------------------------------------------------------------------

    def _following(self) -> Flow[list[Status] | None]:
        """The next picture that differs from the one that was shown last."""
        patience = ErrorBudget(self._client)
        return (yield from patience.bound(self._follow(patience)))

    def _follow(self, patience: ErrorBudget) -> Flow[list[Status] | None]:
        while True:
            started = yield Now()
            wait = self._patience(started)
            if wait <= 0 and self._shown is not None:
                return None
            try:
                seen = yield from self._look(wait)
            except Unavailable as error:
                failed: Unavailable | None = error
            else:
                failed = None
            if failed is not None:
                self._reads.index = 0
                yield from patience.ride_out(failed, self._deadline)
                continue
            if seen != self._shown:
                self._shown = seen
                return seen
            now = yield Now()
            if now - started < _PAUSE:
                yield Sleep(_PAUSE / 2, _PAUSE)

    def _patience(self, now: float) -> float:
        """Seconds that the next read may wait."""
        if self._timeout is None:
            return _POLL
        if self._deadline is None:
            self._deadline = now + self._timeout
        return min(_POLL, self._deadline - now)

    def _look(self, wait: float) -> Flow[list[Status]]:
        found = yield from self._reads.next(self._read_of(*self._scope), wait)
        if not self._alone:
            return whole(self._name, found)
        # Read after the index, so that no change is missed between the two.
        status = yield from read_name(self._client, self._name)
        if _scope(status) != self._scope:
            self._scope, self._reads = _scope(status), MonotonicReads()
        return [status]

    def _read_of(self, key: str, recurse: bool) -> Read:
        api = self._client.api
        return partial(api.list_keys if recurse else api.get, key)

    # -- what has happened ---------------------------------------------------------------------

    def _changes(self, before: list[Status], after: list[Status]) -> Flow[list[Change]]:
        old = {mark: (status, holder) for mark, status, holder in _living(before)}
        new = {mark: (status, holder) for mark, status, holder in _living(after)}
        now = {status.key: status for status in after}
        changes: list[Change] = []
        for last, holder in (old[mark] for mark in old if mark not in new):
            status = now.get(last.key) or _nobody(last)
            what = yield from self._end(status, holder)
            changes.append(Change(what, holder, status))
        begun = [new[mark] for mark in new if mark not in old]
        return changes + [Change("acquired", holder, status) for status, holder in begun]

    def _end(self, status: Status, holder: Holder) -> Flow[str]:
        """How a hold has ended: by its session, or by letting go.

        A holder that releases ends its session after that, if at all: so the last change of the
        name's keys is the last change of the sessions only if one end took both.
        """
        if holder.session in status.vanished:
            return "lost"
        try:
            alive, index = yield from liveness(self._client.api, holder.session)
            if alive:
                return "released"
            found = yield from self._read_of(*_scope(status))()
        except ConsulLockError:
            return "released"  # not known
        return "lost" if found.raft_index == index else "released"


def _scope(status: Status) -> tuple[str, bool]:
    """The key or prefix to watch for changes of a name, and whether it is a prefix.

    As small as possible: there may be many names below this one.
    """
    if status.flags == SEMAPHORE_FLAG and status.kind == "semaphore":
        return f"{status.name}/", True
    exact = status.index and status.key == status.name
    return (status.key, False) if exact else (f"{status.name}/.lock", True)


def _living(statuses: Sequence[Status]) -> Iterator[tuple[Any, Status, Holder]]:
    """Every holder that is not known to be dead, with what makes it another one.

    A session can come again.  The token of a lock shows it, except for a client that does not
    describe itself and may write its key anew.
    """
    for status in statuses:
        for holder in status.holders:
            if holder.session not in status.vanished:
                again = status.kind == "lock" and not holder.foreign
                yield (status.key, holder.session, holder.token if again else 0), status, holder


def _nobody(status: Status) -> Status:
    """The status of a key that is not there any more."""
    return replace(
        status, state="free", mode="", holders=(), waiters=(), vanished=(), index=0, value=b""
    )
