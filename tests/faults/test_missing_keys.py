"""What is not there: its news is seen under the rules of old and of new servers.

A blocking read of a key that is missing waits for that key on a newer server, and ends with any
write near it on an older one.  Nothing may need either.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from consul_lock import Client, Election, Lock, Survey
from consul_lock._protocol.flow import Request
from consul_lock.testing import Exchange, World, serve
from tests.support.raw_kv import RawConsul
from tests.support.waiting import eventually

each_release = pytest.mark.parametrize("consul", ["1.8", "1.21"])


class _Operator(RawConsul):
    """Writes by hand."""

    def __init__(self, address: str) -> None:
        super().__init__(None)
        self._address = address

    @property
    def http_port(self) -> int:
        return int(self._address.rpartition(":")[2])


@each_release
def test_the_first_leader_and_the_first_holder_are_seen_among_other_writes(
    consul: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By those who have looked at a key that nobody has written yet."""
    with (
        serve(World(consul=consul)) as served,
        Client(served.address) as watching,
        Client(served.address) as writing,
        ThreadPoolExecutor(2) as pool,
    ):
        asked: list[Request] = []
        submit = served.world.submit

        def count(request: Request) -> Exchange:
            asked.append(request)
            return submit(request)

        monkeypatch.setattr(served.world, "submit", count)
        leaders, states = Election("seat", client=watching).observe(), Survey(watching).watch("job")
        assert next(leaders) is None
        assert next(states).state == "free"
        leader, state = pool.submit(next, leaders), pool.submit(next, states)
        # Each has sent the read that waits.
        eventually(lambda: sum("index" in dict(each.params) for each in asked) >= 2)
        operator = _Operator(served.address)
        for number in range(20):
            operator.request("PUT", f"/v1/kv/seats/{number}", "x")
            operator.request("PUT", f"/v1/kv/jobs/{number}", "x")
        assert not leader.done()
        assert not state.done()
        election = Election("seat", client=writing)
        election.campaign("me")
        seen = leader.result(30)
        assert seen is not None
        assert seen.value == "me"
        with Lock("job", client=writing):
            assert state.result(30).state == "held"
        election.resign()
        leaders.close()
        states.close()


@each_release
def test_a_waiter_for_a_deleted_key_gets_it_when_its_lock_delay_is_over(consul: str) -> None:
    """Its session had the behaviour `delete`: the key is missing, and nothing else is written."""
    with serve(World(consul=consul)) as served, Client(served.address) as client:
        operator = _Operator(served.address)
        asked = {"Behavior": "delete", "LockDelay": "1s", "NodeChecks": []}
        session = json.loads(operator.request("PUT", "/v1/session/create", asked).body)["ID"]
        flags = "flags=3304740253564472344"
        path = f"/v1/kv/gone/.lock?acquire={session}&{flags}"
        assert operator.request("PUT", path, "x").json() is True
        operator.request("PUT", f"/v1/session/destroy/{session}")
        lock = Lock("gone", client=client)
        assert lock.acquire(timeout=30)
        lock.release()
