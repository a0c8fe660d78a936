"""Clients that are not of the library: one like Go's ``api.Lock``, and what it shares with the one
like ``api.Semaphore``."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

from consul_lock._protocol.keys import LOCK_FLAG
from consul_lock.testing import World
from tests.simulation.common_invariants import Inspector
from tests.simulation.lock_invariants import Referee
from tests.simulation.simulator import Simulator
from tests.support.world_operator import operator

# Seconds between two looks of somebody who wants something.
_LOOK = 0.05

# The flags of HashiCorp's semaphore: a key with them is no lock.
_OTHER_FLAGS = 16210313421097356768

T = TypeVar("T")


class GoClient(ABC):
    """Takes something when it is free, without queueing, and releases it as Go's clients do."""

    behavior = "release"
    """What becomes of the keys of its session."""

    def __init__(self, world: World, simulator: Simulator, referee: Inspector) -> None:
        self._world = world
        self._simulator = simulator
        self._referee = referee
        self._session = ""
        self._hold_for = 0.0
        self._wants = False

    @abstractmethod
    def _take(self) -> bool:
        """Take it if it is free.  Whether that was so."""

    @abstractmethod
    def _let_go(self) -> None:
        """Release it, if it is held."""

    def wants_it(self, hold_for: float) -> None:
        """From now on it tries, until it has held it for so many seconds."""
        if not self._wants:
            self._wants, self._hold_for = True, hold_for
            self._try()

    def _try(self) -> None:
        if not self._wants:
            return
        if not self._session:
            self._session = self._new_session()
        if self._take():
            self._simulator.at(self._simulator.now + self._hold_for, self._gives_up)
        else:
            self._simulator.at(self._simulator.now + _LOOK, self._try)

    def _gives_up(self) -> None:
        self._wants = False
        self._let_go()

    def _change(self, act: Callable[[], T]) -> T:
        self._referee.before()
        done = act()
        self._simulator.on_change(None, None)
        return done

    def _new_session(self) -> str:
        asked = {"Name": "Go", "TTL": "86400s", "Behavior": self.behavior}
        made = operator(self._world, "/v1/session/create", body=json.dumps(asked).encode())
        if not made.startswith(b"{"):
            return ""
        session = str(json.loads(made)["ID"])
        self._referee.foreign_sessions.add(session)
        return session


class ForeignClient(GoClient):
    """Takes the lock, as Go's ``api.Lock`` does."""

    _referee: Referee

    def __init__(self, world: World, simulator: Simulator, referee: Referee, key: str) -> None:
        super().__init__(world, simulator, referee)
        self._key = key

    def puts_a_key(self, key: str) -> None:
        """Use the key for something else, if there is none."""
        flags = _OTHER_FLAGS
        operator(self._world, f"/v1/kv/{key}?cas=0&flags={flags}", body=b"something else")

    def leaves(self, key: str) -> None:
        """Release the lock, and delete the key if it is used for something else."""
        self._gives_up()
        found = self._referee.lock()
        if found.at and not found.session:
            # It leaves the key behind when it releases, until `consul lock` ends.
            operator(self._world, f"/v1/kv/{key}?cas={found.at}", "DELETE")

    def _take(self) -> bool:
        if not self._referee.lock().session:
            # Go's client looks before it writes.
            self._write("acquire")
        taken = self._has_it()
        self._simulator.counts["taken by a foreign client"] += taken
        return taken

    def _let_go(self) -> None:
        if self._has_it():
            self._write("release")

    def _has_it(self) -> bool:
        return bool(self._session) and self._referee.lock().session == self._session

    def _write(self, verb: str) -> None:
        path = f"/v1/kv/{self._key}?{verb}={self._session}&flags={LOCK_FLAG}"
        self._change(lambda: operator(self._world, path))
