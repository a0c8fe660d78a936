"""What a real agent cannot show at will: virtual time, lost leaders, early expiry, faults."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from consul_lock.testing import Exchange, World
from tests.testing_world.servers import request


class Desk:
    """A World, and short ways to ask it."""

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World(seed=5)

    def send(self, method: str, target: str, body: Any = None) -> Exchange:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        return self.world.submit(request(method, target, data))

    def status(self, method: str, target: str, body: Any = None) -> int:
        reply = self.send(method, target, body).reply
        assert reply is not None
        return reply.status

    def json(self, method: str, target: str, body: Any = None) -> Any:
        reply = self.send(method, target, body).reply
        assert reply is not None
        return json.loads(reply.body)

    def index(self, target: str) -> int:
        reply = self.send("GET", target).reply
        assert reply is not None
        return int(reply.headers["x-consul-index"])

    def session(self, **fields: Any) -> str:
        asked = {"TTL": "10s", "LockDelay": "30s", "NodeChecks": [], **fields}
        return str(self.json("PUT", "/v1/session/create", asked)["ID"])

    def alive(self, session: str) -> bool:
        return bool(self.json("GET", f"/v1/session/info/{session}"))


@pytest.fixture
def desk() -> Desk:
    """A fresh World."""
    return Desk()


def test_a_session_expires_exactly_at_twice_its_ttl(desk: Desk) -> None:
    """As on a real server; a renewal starts the time again."""
    session = desk.session()
    desk.world.advance(15)
    assert desk.status("PUT", f"/v1/session/renew/{session}") == 200
    desk.world.advance(19.999)
    assert desk.alive(session)
    assert desk.world.next_event() == 35.0
    desk.world.advance_to(35.0)
    assert not desk.alive(session)
    assert desk.world.next_event() is None


def test_expiry_may_be_as_early_as_consul_allows(desk: Desk) -> None:
    """Anywhere from one TTL on, by a number or by session."""
    desk.world.expiry_factor = 1.0
    early = desk.session()
    desk.world.expiry_factor = lambda _session: 1.5
    later = desk.session()
    desk.world.advance(10)
    assert not desk.alive(early)
    assert desk.alive(later)
    desk.world.advance(5)
    assert not desk.alive(later)
    with pytest.raises(ValueError, match=r"between 1\.0 and 2\.0, not 0\.5"):
        desk.world.expiry_factor = 0.5


def test_lock_delay_is_an_event_and_at_most_a_minute(desk: Desk) -> None:
    """The key opens when it ends."""
    holder, other = desk.session(LockDelay="90s"), desk.session(TTL="0s")
    assert desk.json("PUT", f"/v1/kv/a?acquire={holder}") is True
    desk.world.advance(20)
    assert desk.world.next_event() == 80.0
    assert desk.json("PUT", f"/v1/kv/a?acquire={other}") is False
    desk.world.advance(60)
    assert desk.json("PUT", f"/v1/kv/a?acquire={other}") is True


def test_no_leader_answers_after_seven_seconds(desk: Desk) -> None:
    """Writes and reads alike; stale reads at once."""
    desk.world.leaderless = True
    write = desk.send("PUT", "/v1/kv/a", b"1")
    read = desk.send("GET", "/v1/kv/a")
    assert desk.status("GET", "/v1/kv/a?stale") == 404
    assert desk.json("GET", "/v1/status/leader") == ""
    assert write.reply is None
    desk.world.advance(6.9)
    assert read.reply is None
    assert desk.world.next_event() == 7.0
    desk.world.advance_to(7.0)
    for exchange in (write, read):
        assert exchange.reply is not None
        assert (exchange.reply.status, exchange.reply.body) == (500, b"No cluster leader")
        assert exchange.reply.sent == 0.0


def test_a_leader_that_comes_back_carries_out_what_was_held(desk: Desk) -> None:
    """Also a write that nobody listens to any more: a ghost write."""
    desk.world.leaderless = True
    write, ghost = desk.send("PUT", "/v1/kv/a", b"1"), desk.send("PUT", "/v1/kv/b", b"1")
    read = desk.send("GET", "/v1/kv/a")
    ghost.cancel()
    desk.world.advance(5)
    desk.world.leaderless = False
    assert write.reply is not None
    assert write.reply.body == b"true"
    assert read.reply is not None
    assert read.reply.status == 200
    assert desk.status("GET", "/v1/kv/b") == 200


def test_an_election_gives_every_session_its_whole_time(desk: Desk) -> None:
    """No session expires without a leader either."""
    session = desk.session()
    desk.world.advance(19)
    desk.world.leaderless = True
    desk.world.advance(100)
    desk.world.elect()
    desk.world.advance(19)
    assert desk.alive(session)
    desk.world.advance(1)
    assert not desk.alive(session)


def test_an_election_breaks_blocking_queries_once(desk: Desk) -> None:
    """500, as an agent says that lost its connection to the leader."""
    desk.send("PUT", "/v1/kv/a", b"1")
    target = f"/v1/kv/a?index={desk.index('/v1/kv/a')}"
    waiting = desk.send("GET", target)
    desk.world.elect()
    assert waiting.reply is not None
    assert waiting.reply.status == 500
    assert desk.send("GET", target).reply is None


def test_a_blocking_query_ends_with_jitter_drawn_from_the_seed() -> None:
    """At most a sixteenth longer than asked, five minutes if nothing was asked, ten at most."""
    for wait, seconds in (("&wait=16s", 16.0), ("", 300.0), ("&wait=1h", 600.0)):
        ends = set()
        for seed in (1, 1, 2):
            world = World(seed)
            exchange = world.submit(request("GET", f"/v1/kv/a?index=99{wait}"))
            end = world.next_event()
            assert end is not None
            assert seconds <= end <= seconds * 17 / 16
            world.advance_to(end)
            assert exchange.reply is not None
            ends.add(end)
        assert len(ends) == 2


def test_a_cancelled_query_leaves_nothing_behind(desk: Desk) -> None:
    """No event, no watcher, no answer."""
    exchange = desk.send("GET", "/v1/kv/a?index=99&wait=10s")
    exchange.cancel()
    assert desk.world.next_event() is None
    desk.send("PUT", "/v1/kv/a", b"1")
    assert exchange.reply is None


def test_a_critical_check_kills_only_the_sessions_bound_to_it(desk: Desk) -> None:
    """Whatever their TTL, and with lock-delay."""
    free = desk.session()
    bound = desk.session(NodeChecks=["serfHealth"])
    desk.json("PUT", f"/v1/kv/a?acquire={bound}")
    desk.world.set_check("serfHealth", "warning")
    assert desk.alive(bound)
    desk.world.set_check("serfHealth", "critical")
    assert desk.world.checks["serfHealth"] == "critical"
    assert (desk.alive(bound), desk.alive(free)) == (False, True)
    assert desk.json("PUT", f"/v1/kv/a?acquire={free}") is False
    reply = desk.send("PUT", "/v1/session/create").reply
    assert reply is not None
    assert reply.body.endswith(b"Check 'serfHealth' is in critical state")


def test_a_check_that_fails_without_a_leader_kills_at_the_election(desk: Desk) -> None:
    """The catalog is in Raft too."""
    bound = desk.session(NodeChecks=["serfHealth"])
    desk.world.leaderless = True
    desk.world.set_check("serfHealth", "critical")
    assert desk.json("GET", f"/v1/session/info/{bound}?stale")
    desk.world.elect()
    assert not desk.alive(bound)


def test_a_node_that_leaves_takes_all_its_sessions_along(desk: Desk) -> None:
    """Also those without checks."""
    sessions = [desk.session(), desk.session(TTL="")]
    desk.world.leave_node()
    assert not any(desk.alive(session) for session in sessions)


def test_faults_are_answered_and_nothing_is_done(desk: Desk) -> None:
    """For so many requests, and no more."""
    desk.world.fault(2, 503, b"try again later")
    assert desk.status("PUT", "/v1/kv/a", b"1") == 503
    assert desk.status("GET", "/v1/kv/a") == 503
    assert desk.status("GET", "/v1/kv/a") == 404


def test_the_same_seed_gives_the_same_sessions() -> None:
    """And another one other sessions."""
    ids = [Desk(World(seed)).session() for seed in (1, 1, 2)]
    assert ids[0] == ids[1] != ids[2]


def test_tombstones_are_removed_after_a_quarter_of_an_hour(desk: Desk) -> None:
    """Then the index of an emptied list goes on with the table's."""
    desk.send("PUT", "/v1/kv/l/a", b"1")
    desk.send("DELETE", "/v1/kv/l/a")
    desk.send("PUT", "/v1/kv/z", b"1")
    table = desk.index("/v1/kv/none")
    assert desk.index("/v1/kv/l?recurse") < table
    desk.world.advance(931)
    assert desk.index("/v1/kv/l?recurse") == table


def test_a_service_is_deregistered_when_it_was_critical_for_long(desk: Desk) -> None:
    """At least a minute; a check that is passed again is safe."""
    check = {"TTL": "10s", "DeregisterCriticalServiceAfter": "1s"}
    desk.send("PUT", "/v1/agent/service/register", {"Name": "s", "Check": check})
    desk.world.advance(55)
    desk.send("PUT", "/v1/agent/check/pass/service:s")
    desk.world.advance(65)
    assert desk.world.checks["service:s"] == "critical"
    desk.world.advance(35)
    assert "service:s" not in desk.world.checks


def test_the_shortest_ttl_can_be_changed() -> None:
    """For tests that want sessions to end soon."""
    desk = Desk(World(session_ttl_min=0.1))
    session = desk.session(TTL="0.1s")
    desk.world.advance(0.2)
    assert not desk.alive(session)


@pytest.mark.parametrize(
    "consul, refused",
    [
        ("1.8", set()),
        ("1.21", set()),
        ("1.21.5", {"a b", " a", "a:b", "é", "a..b", "a%2e%2e/b", "a/..%2Fb"}),
        ("1.22", {" a", "a%2e%2e/b", "a/..%2Fb"}),
    ],
)
def test_names_of_keys_are_refused_as_the_release_does(consul: str, refused: set[str]) -> None:
    """1.21.5 takes few characters, 1.22 all but what leads up or begins or ends with a space;
    every request for such a key is refused, also for one that is there."""
    desk = Desk(World(consul=consul))
    names = {"a/.lock", "a b", " a", "a:b", "é", "a..b", "a%2e%2e/b", "a/..%2Fb"}
    put = {name: desk.status("PUT", f"/v1/kv/{quote(name)}", b"x") for name in names}
    assert {name for name, status in put.items() if status != 200} == refused
    for name in refused:
        for method in ("GET", "DELETE"):
            reply = desk.send(method, f"/v1/kv/{quote(name)}").reply
            assert reply is not None
            assert reply.status == 500
            assert reply.body.startswith(b"invalid key name")


def test_a_release_that_is_not_modelled_is_refused() -> None:
    """With those that are."""
    with pytest.raises(ValueError, match=r"one of 1\.8, 1\.21, 1\.21\.5, 1\.22, not '1\.15'"):
        World(consul="1.15")
    assert World().consul == "1.21"


@pytest.mark.parametrize("consul", ["1.8", "1.21"])
def test_a_blocking_read_of_what_is_missing_ends_as_the_release_has_it(consul: str) -> None:
    """On 1.8 with any write near it, on newer ones with the key itself or its time."""
    desk = Desk(World(consul=consul))
    desk.send("PUT", "/v1/kv/m", b"1")
    index = desk.index("/v1/kv/missing")
    waiting = desk.send("GET", f"/v1/kv/missing?index={index}&wait=60s")
    desk.send("PUT", "/v1/kv/m2", b"1")
    assert (waiting.reply is not None) == (consul == "1.8")
    session = desk.session()
    desk.json("PUT", f"/v1/session/destroy/{session}")
    index = desk.index(f"/v1/session/info/{session}")
    waiting = desk.send("GET", f"/v1/session/info/{session}?index={index}&wait=60s")
    desk.session()
    assert (waiting.reply is not None) == (consul == "1.8")
    waiting = desk.send("GET", f"/v1/kv/new?index={desk.index('/v1/kv/new')}&wait=60s")
    desk.send("PUT", "/v1/kv/new", b"1")
    assert waiting.reply is not None
    assert waiting.reply.status == 200


@pytest.mark.parametrize("consul", ["1.8", "1.21"])
def test_a_key_that_comes_where_another_branches_off_ends_the_read_of_it(consul: str) -> None:
    """Its waiter watched the node of the other key; what is there now is the last leaf."""
    desk = Desk(World(consul=consul))
    desk.send("PUT", "/v1/kv/job/.cron", b"1")
    index = desk.index("/v1/kv/job/.lock")
    waiting = desk.send("GET", f"/v1/kv/job/.lock?index={index}&wait=60s")
    desk.send("PUT", "/v1/kv/job/.lock", b"1")
    assert waiting.reply is not None
    assert waiting.reply.status == 200
