"""Clients that are not of the library: one like Go's ``api.Lock``, and an operator."""

from __future__ import annotations

import json

from consul_lock._protocol.flow import Request
from consul_lock._protocol.keys import LOCK_FLAG
from consul_lock.testing import World
from tests.simulation.lock_invariants import Referee
from tests.simulation.simulator import Simulator

# Seconds between two looks at the lock of somebody who wants it.
_LOOK = 0.05

# The flags of HashiCorp's semaphore: a key with them is no lock.
_OTHER_FLAGS = 16210313421097356768


def operator(world: World, path: str, method: str = "PUT", body: bytes | None = None) -> bytes:
    """Do something at once, by hand; nothing comes of it while there is no leader."""
    target, _, query = path.partition("?")
    params = tuple((n, v) for n, _, v in (p.partition("=") for p in query.split("&") if p))
    if world.leaderless:
        return b""
    # Past what is on its way: whatever was admitted before is applied after it.
    raft, world.raft = world.raft, 0.0
    exchange = world.submit(Request(method, target, params, body, lambda reply: reply))
    world.raft = raft
    return exchange.reply.body if exchange.reply is not None else b""


class ForeignClient:
    """Takes the lock when it is free, without queueing, and releases it as Go's client does."""

    def __init__(self, world: World, simulator: Simulator, referee: Referee, key: str) -> None:
        self._world = world
        self._simulator = simulator
        self._referee = referee
        self._key = key
        self._session = ""
        self._hold_for = 0.0
        self._wants = False

    def wants_it(self, hold_for: float) -> None:
        """From now on it tries, until it has held the lock for so many seconds."""
        if not self._wants:
            self._wants, self._hold_for = True, hold_for
            self._try()

    def puts_a_key(self, key: str) -> None:
        """Use the key for something else, if there is none."""
        flags = _OTHER_FLAGS
        operator(self._world, f"/v1/kv/{key}?cas=0&flags={flags}", body=b"something else")

    def leaves(self, key: str) -> None:
        """Release the lock, and delete the key if it is used for something else."""
        self._wants = False
        self._let_go()
        found = self._referee.lock()
        if found.at and not found.session:
            # It leaves the key behind when it releases, until `consul lock` ends.
            operator(self._world, f"/v1/kv/{key}?cas={found.at}", "DELETE")

    def _try(self) -> None:
        if not self._wants:
            return
        if not self._session:
            self._session = self._new_session()
        if not self._referee.lock().session:
            # Go's client looks before it writes.
            self._change(f"/v1/kv/{self._key}?acquire={self._session}&flags={LOCK_FLAG}")
        if self._session and self._referee.lock().session == self._session:
            self._simulator.counts["taken by a foreign client"] += 1
            self._simulator.at(self._simulator.now + self._hold_for, self._finished)
        else:
            self._simulator.at(self._simulator.now + _LOOK, self._try)

    def _finished(self) -> None:
        self._wants = False
        self._let_go()

    def _let_go(self) -> None:
        if self._session and self._referee.lock().session == self._session:
            self._change(f"/v1/kv/{self._key}?release={self._session}&flags={LOCK_FLAG}")

    def _change(self, path: str) -> None:
        self._referee.before()
        operator(self._world, path)
        self._simulator.on_change(None, None)

    def _new_session(self) -> str:
        body = json.dumps({"Name": "Go", "TTL": "86400s"}).encode()
        made = operator(self._world, "/v1/session/create", body=body)
        if not made.startswith(b"{"):
            return ""
        session = str(json.loads(made)["ID"])
        self._referee.foreign_sessions.add(session)
        return session
