"""The end of a session, and requests that were admitted before it and are applied after it."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from consul_lock._protocol.flow import Reply, Request
from consul_lock._protocol.keys import LOCK_FLAG
from consul_lock.testing import Exchange, World
from tests.simulation.lock_run import play
from tests.simulation.scenario import Trouble, from_seed

KEY = "jobs/nightly/.lock"

# Seconds that a write is on its way.
RAFT = 0.1


class Death:
    """A holder whose session is about to end, and a newcomer."""

    def __init__(self, behavior: str) -> None:
        self.world = World()
        self.holder = self._session(behavior)
        self.newcomer = self._session(behavior)
        assert self.lock(self.holder).status == 200

    def _session(self, behavior: str) -> str:
        asked = {"LockDelay": "15s", "NodeChecks": [], "Behavior": behavior}
        body = json.dumps(asked).encode()
        return str(json.loads(self.reply("PUT", "/v1/session/create", body).body)["ID"])

    def send(self, method: str, path: str, body: bytes = b"") -> Exchange:
        return self.world.submit(Request(method, path, (), body, lambda reply: reply))

    def reply(self, method: str, path: str, body: bytes = b"") -> Reply:
        reply = self.send(method, path, body).reply
        assert reply is not None
        return reply

    def locking(self, session: str, index: int = 0) -> bytes:
        """The transaction of a client that read the key at this index; 0: that found no key."""
        check = {"Verb": "check-index", "Key": KEY, "Index": index}
        check = check if index else {"Verb": "check-not-exists", "Key": KEY}
        lock = {"Verb": "lock", "Key": KEY, "Session": session, "Flags": LOCK_FLAG}
        return json.dumps([{"KV": check}, {"KV": lock}]).encode()

    def lock(self, session: str, index: int = 0) -> Reply:
        return self.reply("PUT", "/v1/txn", self.locking(session, index))

    def end(self) -> Reply:
        return self.reply("PUT", f"/v1/session/destroy/{self.holder}")

    def end_before_applied(self) -> Reply:
        """The newcomer's transaction is admitted, the holder's session ends, it is applied."""
        self.world.raft = RAFT
        exchange = self.send("PUT", "/v1/txn", self.locking(self.newcomer))
        assert exchange.reply is None
        self.world.raft = 0.0
        self.end()
        self.world.advance(RAFT)
        assert exchange.reply is not None
        return exchange.reply

    def entry(self) -> dict[str, Any]:
        return dict(json.loads(self.reply("GET", f"/v1/kv/{KEY}").body)[0])


def test_with_behaviour_delete_a_newcomer_passes_the_lock_delay() -> None:
    """It was admitted before there was one, and applied when the key was gone."""
    death = Death("delete")
    assert death.end_before_applied().status == 200
    assert death.entry()["Session"] == death.newcomer


def test_with_behaviour_release_it_does_not() -> None:
    """The key is still there; a client that saw it without a session is in the lock-delay."""
    death = Death("release")
    refused = death.end_before_applied()
    assert (refused.status, b"exists" in refused.body) == (409, True)
    entry = death.entry()
    assert "Session" not in entry
    delayed = death.lock(death.newcomer, entry["ModifyIndex"])
    assert (delayed.status, b"due to lock delay" in delayed.body) == (409, True)
    death.world.advance(15.0)
    assert death.lock(death.newcomer, entry["ModifyIndex"]).status == 200


def test_a_new_leader_that_has_not_caught_up_admits_too_early() -> None:
    """The gap that is left: a session ends in the last moments before the death of a leader, and
    a client that read this from it writes to the next one before that has applied the end."""
    death = Death("release")
    death.end()
    index = death.entry()["ModifyIndex"]
    assert death.lock(death.newcomer, index).status == 409
    death.world.elect(behind=0.5, catching_up=0.2)
    assert death.lock(death.newcomer, index).status == 200


def test_a_new_leader_that_has_caught_up_does_not() -> None:
    """Nor does one for sessions that ended before its entries were on their way."""
    for behind, wait in ((0.5, 0.2), (0.0, 0.0)):
        death = Death("release")
        death.end()
        death.world.advance(0.1)
        death.world.elect(behind=behind, catching_up=0.2)
        death.world.advance(wait)
        assert death.lock(death.newcomer, death.entry()["ModifyIndex"]).status == 409


def test_nobody_hears_of_writes_that_a_dead_leader_had_on_their_way() -> None:
    """Some of them are carried out by the next one, and some are not."""
    carried_out = Counter[bool]()
    for seed in range(20):
        world = World(seed)
        world.raft = RAFT
        exchange = world.submit(Request("PUT", "/v1/kv/a", (), b"x", lambda reply: reply))
        world.elect()
        assert exchange.reply is not None
        assert exchange.reply.status == 500
        world.advance(RAFT)
        found = world.submit(Request("GET", "/v1/kv/a", (), None, lambda reply: reply)).reply
        assert found is not None
        carried_out[found.status == 200] += 1
    assert min(carried_out[True], carried_out[False]) > 2


@pytest.mark.parametrize("seed", range(40, 60, 10))
def test_of_a_fleet_that_comes_at_a_death_nobody_gets_in(seed: int) -> None:
    """Fresh clients that try once, while the session of a cut-off holder ends."""
    total = Counter[str]()
    for each in range(seed, seed + 10):
        total += play(from_seed(each, more=(Trouble.FLEET,)))
    assert total["trouble: fleet"] > 5
    assert total["applied later than admitted"] > 100


def test_all_fleets_of_these_runs() -> None:
    """In one, for the mutant that is found by them."""
    for seed in (163, 178, 504):
        play(from_seed(seed, more=(Trouble.FLEET,)))
