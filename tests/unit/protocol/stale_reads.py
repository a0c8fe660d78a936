"""What a deposed leader still answers: reads, by what was before the last change, and renewals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from consul_lock._protocol.flow import Reply, Request
from consul_lock.testing import World

# Seconds for which a leader that was deposed may go on answering plain reads.
_LEASE = 2.5

# The same of renewals, which it answers by the sessions that it knows of.
_RENEWS = 2.5


class StaleReads:
    """Answers to reads of some keys and trees of keys, as they were before the last change."""

    def __init__(self, world: World, asked: Iterable[tuple[str, bool]]) -> None:
        self._world = world
        self._asked = tuple(asked)
        self._now: dict[tuple[str, bool], Reply] = {}
        self._before: dict[tuple[str, bool], Reply] = {}
        self._changed = -_LEASE
        self._index = -1
        self._sessions: dict[str, str] = {}
        """All sessions that there are, as Consul shows them."""
        self._ended: dict[str, tuple[float, str]] = {}
        """Those that are not there any more, and since when."""

    def take(self) -> None:
        """Called after everything that may have changed a key."""
        self._take_sessions()
        index = self._world._server.kv.index
        if index == self._index:
            return
        self._index, self._changed = index, self._world.now
        self._before = self._now
        faults, self._world._faults = self._world._faults, []
        self._now = {what: self._read(*what) for what in self._asked}
        self._world._faults = faults

    def _take_sessions(self) -> None:
        there = {session.id: session for session in self._world._server.sessions.all()}
        if there.keys() != self._sessions.keys():
            for session in self._sessions.keys() - there.keys():
                self._ended[session] = self._world.now, self._sessions[session]
            self._sessions = {session: there[session].json() for session in there}

    def _read(self, key: str, tree: bool) -> Reply:
        params = (("stale", ""), *((("recurse", "1"),) if tree else ()))
        exchange = self._world.submit(Request("GET", f"/v1/kv/{key}", params, None, lambda r: r))
        assert exchange.reply is not None
        return exchange.reply

    def old(self, request: Request, now: float) -> Any:
        """The old answer; None if the request gets none, or the leader knows better by now."""
        if renewal(request):
            return self._renewed(request.path.rpartition("/")[2], now)
        if not plain_read(request) or now - self._changed > _LEASE:
            return None
        key = request.path.removeprefix("/v1/kv/")
        return self._before.get((key, "recurse" in dict(request.params)))

    def _renewed(self, session: str, now: float) -> Any:
        """It knows the session still, and says so; its timers run out without any effect."""
        shown = self._sessions.get(session, "")
        if session in self._ended:
            since, last = self._ended[session]
            shown = last if now - since <= _RENEWS else ""
        return Reply(200, {}, f"[{shown}]".encode(), now) if shown else None


def renewal(request: Request) -> bool:
    """Whether it is the renewal of a session, which is no write to Consul."""
    return request.path.startswith("/v1/session/renew/")


def plain_read(request: Request) -> bool:
    """Whether a leader that does not know yet that it was deposed would answer it."""
    names = {name for name, _ in request.params}
    return request.path.startswith("/v1/kv/") and not names & {"consistent", "index"}
