"""A client that is not of the library: one like Go's ``api.Semaphore``."""

from __future__ import annotations

import json

from consul_lock.testing import World
from tests.simulation.consul_state import SEMAPHORE_FLAG
from tests.simulation.foreign_lock_client import GoClient
from tests.simulation.simulator import Simulator
from tests.simulation.weighted_invariants import CrowdReferee
from tests.support.world_operator import operator

# Flags of a key that is used for something else.
_OTHER_FLAGS = 42


class GoSemaphore(GoClient):
    """Enters when a slot is free, without regard to the queue; prunes at once."""

    behavior = "delete"

    def __init__(
        self, world: World, simulator: Simulator, referee: CrowdReferee, limit: int
    ) -> None:
        super().__init__(world, simulator, referee)
        self._limit = limit
        self._name = referee.kind.names[0]
        self._document = f"{self._name}/.lock"
        self._put: set[str] = set()

    def puts_a_key(self, key: str) -> None:
        """Use a key for something else, if there is none."""
        self._put.add(key)
        operator(self._world, f"/v1/kv/{key}?cas=0&flags={_OTHER_FLAGS}", body=b"something else")

    def leaves(self) -> None:
        """Release, and take away what is used for something else."""
        self._gives_up()
        for key in self._put:
            found = self._world._server.kv.entries.get(key)
            if found is not None and found.flags == _OTHER_FLAGS:
                operator(self._world, f"/v1/kv/{key}", "DELETE")

    # -- as Go does it

    def _take(self) -> bool:
        if not self._session or self._world.leaderless:
            return False
        self._change(self._contend)
        return self._change(self._enter)

    def _contend(self) -> None:
        path = f"/v1/kv/{self._name}/{self._session}"
        operator(self._world, f"{path}?acquire={self._session}&flags={SEMAPHORE_FLAG}", body=b"Go")

    def _enter(self) -> bool:
        limit, holders, index = self._read()
        entries = self._world._server.kv.entries.items()
        alive = {e.session for k, e in entries if k.startswith(self._name)}
        kept = {session for session in holders if session in alive}
        if len(kept) >= limit:
            return False
        if kept != holders:
            # They may believe in it for as long as their lock-delay: nobody can help it.
            self._simulator.counts["pruned by a foreign client"] += 1
            self._referee.exclusive = False
        return self._write(limit, kept | {self._session}, index)

    def _let_go(self) -> None:
        if self._session:
            self._change(self._leave)

    def _leave(self) -> None:
        limit, holders, index = self._read()
        if self._session in holders:
            self._write(limit, holders - {self._session}, index)
        operator(self._world, f"/v1/kv/{self._name}/{self._session}", "DELETE")
        limit, holders, index = self._read()
        if index and not holders:
            # As `consul lock` does it at the end.
            operator(self._world, f"/v1/kv/{self._document}?cas={index}", "DELETE")

    def _read(self) -> tuple[int, set[str], int]:
        found = self._world._server.kv.entries.get(self._document)
        if found is None:
            return self._limit, set(), 0
        if found.flags != SEMAPHORE_FLAG:
            return 0, set(), 0
        document = json.loads(found.value)
        return document["Limit"], set(document["Holders"]), found.modify_index

    def _write(self, limit: int, holders: set[str], index: int) -> bool:
        document = {"Limit": limit, "Holders": dict.fromkeys(sorted(holders), True)}
        path = f"/v1/kv/{self._document}?cas={index}&flags={SEMAPHORE_FLAG}"
        body = json.dumps(document, separators=(",", ":")).encode()
        return operator(self._world, path, body=body) == b"true"
