"""A client that is not of the library: one like Go's ``api.Semaphore``."""

from __future__ import annotations

import json
from collections.abc import Callable

from consul_lock.testing import World
from tests.simulation.consul_state import SEMAPHORE_FLAG
from tests.simulation.foreign_lock_client import operator
from tests.simulation.simulator import Simulator
from tests.simulation.weighted_invariants import CrowdReferee

# Seconds between two looks at the semaphore of somebody who wants a slot.
_LOOK = 0.05

# Flags of a key that is used for something else.
_OTHER_FLAGS = 42


class GoSemaphore:
    """Enters when a slot is free, without regard to the queue; prunes at once."""

    def __init__(
        self, world: World, simulator: Simulator, referee: CrowdReferee, limit: int
    ) -> None:
        self._world = world
        self._simulator = simulator
        self._referee = referee
        self._limit = limit
        self._name = referee.kind.names[0]
        self._document = f"{self._name}/.lock"
        self._session = ""
        self._hold_for = 0.0
        self._wants = False
        self._put: set[str] = set()

    def wants_it(self, hold_for: float) -> None:
        """From now on it tries, until it has held a slot for so many seconds."""
        if not self._wants:
            self._wants, self._hold_for = True, hold_for
            self._try()

    def puts_a_key(self, key: str) -> None:
        """Use a key for something else, if there is none."""
        self._put.add(key)
        operator(self._world, f"/v1/kv/{key}?cas=0&flags={_OTHER_FLAGS}", body=b"something else")

    def leaves(self) -> None:
        """Release, and take away what is used for something else."""
        self._wants = False
        self._let_go()
        for key in self._put:
            found = self._world._server.kv.entries.get(key)
            if found is not None and found.flags == _OTHER_FLAGS:
                operator(self._world, f"/v1/kv/{key}", "DELETE")

    # -- as Go does it

    def _try(self) -> None:
        if not self._wants:
            return
        if not self._session:
            self._session = self._new_session()
        if self._session and not self._world.leaderless:
            self._change(self._contend)
            if self._change(self._enter):
                self._simulator.at(self._simulator.now + self._hold_for, self._finished)
                return
        self._simulator.at(self._simulator.now + _LOOK, self._try)

    def _contend(self) -> bool:
        path = f"/v1/kv/{self._name}/{self._session}"
        operator(self._world, f"{path}?acquire={self._session}&flags={SEMAPHORE_FLAG}", body=b"Go")
        return True

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

    def _finished(self) -> None:
        self._wants = False
        self._let_go()

    def _let_go(self) -> None:
        if self._session:
            self._change(self._leave)

    def _leave(self) -> bool:
        limit, holders, index = self._read()
        if self._session in holders:
            self._write(limit, holders - {self._session}, index)
        operator(self._world, f"/v1/kv/{self._name}/{self._session}", "DELETE")
        limit, holders, index = self._read()
        if index and not holders:
            # As `consul lock` does it at the end.
            operator(self._world, f"/v1/kv/{self._document}?cas={index}", "DELETE")
        return True

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

    def _change(self, act: Callable[[], bool]) -> bool:
        self._referee.before()
        done = act()
        self._simulator.on_change(None, None)
        return done

    def _new_session(self) -> str:
        body = json.dumps({"Name": "Go", "TTL": "86400s", "Behavior": "delete"}).encode()
        made = operator(self._world, "/v1/session/create", body=body)
        if not made.startswith(b"{"):
            return ""
        session = str(json.loads(made)["ID"])
        self._referee.foreign_sessions.add(session)
        return session
