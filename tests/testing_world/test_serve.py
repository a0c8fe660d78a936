"""A World on HTTP: what is special about real time and real sockets."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from threading import Thread

import pytest

from consul_lock.testing import ServedWorld, World, serve
from tests.support.waiting import eventually
from tests.testing_world.servers import HttpLine

BUSY = 200


@pytest.fixture
def served() -> Iterator[ServedWorld]:
    """A World on HTTP whose sessions may be short."""
    with serve(World(session_ttl_min=0.1)) as world:
        yield world


def test_sessions_expire_in_real_time(served: ServedWorld) -> None:
    """A blocking query sees it happen without any other request."""
    line = HttpLine(served.address)
    began = line.now()
    created = line.ask("PUT", "/v1/session/create", b'{"TTL":"1s","NodeChecks":[]}')
    session = created.json["ID"]
    info = line.ask("GET", f"/v1/session/info/{session}", None)
    gone = line.ask("GET", f"/v1/session/info/{session}?index={info.index}&wait=60s", None)
    line.close()
    assert gone.json == []
    assert 2 <= line.now() - began < 30  # twice the TTL, not the time of the query


def test_time_can_be_moved_by_hand_as_well(served: ServedWorld) -> None:
    """It goes on from there."""
    line = HttpLine(served.address)
    session = line.ask("PUT", "/v1/session/create", b'{"TTL":"1h"}').json["ID"]
    served.world.advance(7200)
    eventually(lambda: line.ask("GET", f"/v1/session/info/{session}", None).json == [])
    assert served.world.now >= 7200
    line.close()


def test_changes_that_the_test_makes_wake_http_clients(served: ServedWorld) -> None:
    """A check made critical from outside."""
    line = HttpLine(served.address)
    line.ask("PUT", "/v1/session/create", None)
    index = line.ask("GET", "/v1/session/list", None).index
    pending = line.begin("GET", f"/v1/session/list?index={index}&wait=60s", None)
    served.world.set_check("serfHealth", "critical")
    said = eventually(pending.poll)
    assert said is not None
    assert said.json == []
    line.close()


def test_two_hundred_clients_can_block_at_once(served: ServedWorld) -> None:
    """And all hear of the change."""
    line = HttpLine(served.address)
    line.ask("PUT", "/v1/kv/a", b"1")
    index = line.ask("GET", "/v1/kv/a", None).index
    pending = [line.begin("GET", f"/v1/kv/a?index={index}&wait=60s", None) for _ in range(BUSY)]
    line.ask("PUT", "/v1/kv/a", b"2")
    for one in pending:
        said = eventually(one.poll)
        assert said is not None
        assert said.index == index + 1
    line.close()


def test_a_client_that_hangs_up_is_forgotten(served: ServedWorld) -> None:
    """Its blocking query does not wait for the end of its time."""
    host, port = served.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(b"GET /v1/kv/a?index=99&wait=600s HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually(lambda: served.world.next_event() is not None)
    eventually(lambda: served.world.next_event() is None)


def test_closing_cuts_connections(served: ServedWorld) -> None:
    """Also one that waits; closing twice is fine."""
    connection = http.client.HTTPConnection(served.address.removeprefix("http://"), timeout=30)
    connection.request("GET", "/v1/kv/a?index=99&wait=600s")
    eventually(lambda: served.world.next_event() is not None)
    closing = Thread(target=served.close)
    closing.start()
    with pytest.raises((http.client.HTTPException, OSError)):
        connection.getresponse().read()
    closing.join(30)
    assert not closing.is_alive()
    served.close()
    connection.close()


def test_a_body_without_length_is_refused(served: ServedWorld) -> None:
    """Not modelled, so it is not done quietly."""
    connection = http.client.HTTPConnection(served.address.removeprefix("http://"), timeout=30)
    connection.putrequest("PUT", "/v1/session/create")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()  # no body: the refusal does not wait for one
    assert connection.getresponse().status == 411
    connection.close()


def test_an_agent_says_who_it_is() -> None:
    """The node's name and the version that is modelled."""
    with serve(World(node="lab", consul="1.8")) as served:
        line = HttpLine(served.address)
        config = json.loads(line.ask("GET", "/v1/agent/self", None).body)["Config"]
        line.close()
    assert (config["NodeName"], config["Version"]) == ("lab", "1.8.7")
