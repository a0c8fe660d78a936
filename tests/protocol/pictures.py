"""What a deposed leader still shows: the picture from before the last change."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from consul_lock._protocol.flow import Reply, Request
from consul_lock.testing import World

# Seconds for which a leader that was deposed may go on answering plain reads.
_LEASE = 0.5


class Pictures:
    """Answers to reads of some keys and trees of keys, as they were before the last change."""

    def __init__(self, world: World, asked: Iterable[tuple[str, bool]]) -> None:
        self._world = world
        self._asked = tuple(asked)
        self._now: dict[tuple[str, bool], Reply] = {}
        self._before: dict[tuple[str, bool], Reply] = {}
        self._changed = -_LEASE
        self._index = -1

    def take(self) -> None:
        """Called after everything that may have changed a key."""
        index = self._world._server.kv.index
        if index == self._index:
            return
        self._index, self._changed = index, self._world.now
        self._before = self._now
        faults, self._world._faults = self._world._faults, []
        self._now = {what: self._read(*what) for what in self._asked}
        self._world._faults = faults

    def _read(self, key: str, tree: bool) -> Reply:
        params = (("stale", ""), *((("recurse", "1"),) if tree else ()))
        exchange = self._world.submit(Request("GET", f"/v1/kv/{key}", params, None, lambda r: r))
        assert exchange.reply is not None
        return exchange.reply

    def old(self, request: Request, now: float) -> Any:
        """The old answer; None if the request gets none, or the leader knows better by now."""
        if not plain_read(request) or now - self._changed > _LEASE:
            return None
        key = request.path.removeprefix("/v1/kv/")
        return self._before.get((key, "recurse" in dict(request.params)))


def plain_read(request: Request) -> bool:
    """Whether a leader that does not know yet that it was deposed would answer it."""
    names = {name for name, _ in request.params}
    return request.path.startswith("/v1/kv/") and not names & {"consistent", "index"}
