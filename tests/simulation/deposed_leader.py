"""A leader that was deposed and does not know it: it answers renewals out of its memory."""

from __future__ import annotations

from collections.abc import Iterable

from consul_lock._protocol.flow import Reply, Request
from consul_lock.testing import World

_RENEW = "/v1/session/renew/"


class Deposed:
    """The answers of a deposed leader to one host that reaches no other server."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sessions: dict[str, Reply] = {}
        self.until = 0.0
        """In virtual time."""

    def begin(self, sessions: Iterable[str], until: float) -> None:
        """It remembers these sessions, those of them that live now."""
        if self._world.leaderless:
            return
        faults, self._world._faults = self._world._faults, []
        for session in sessions:
            path = f"/v1/session/info/{session}"
            reply = self._world.submit(Request("GET", path, (), None, lambda r: r)).reply
            if reply is not None and session.encode() in reply.body:
                self._sessions[session] = reply
        self._world._faults = faults
        self.until = until

    def end(self) -> None:
        """The host hears from the leader again."""
        self.until = 0.0

    def answer(self, request: Request) -> Reply | None:
        """Its answer; None: it has none without asking the others."""
        if not request.path.startswith(_RENEW):
            return None
        return self._sessions.get(request.path.removeprefix(_RENEW))
