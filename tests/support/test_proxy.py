"""The proxy in front of an agent does what its rule says."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.actions import DROP_AFTER, DROP_BEFORE, HOLD, PASS, Action, Delay, kind_of
from tests.support.agent import Agent
from tests.support.http_messages import Answer
from tests.support.proxy import Proxy
from tests.support.raw_http import exchange
from tests.support.waiting import eventually

_METHODS = ("PUT", "GET")


@pytest.fixture
def proxy(agent: Agent) -> Iterator[Proxy]:
    with Proxy(agent.address) as started:
        yield started


def ask(proxy: Proxy, method: str, path: str, body: Any = None, timeout: float = 10.0) -> Answer:
    port = urlsplit(proxy.address).port
    assert port
    return exchange("127.0.0.1", port, method, path, body, timeout=timeout)


@pytest.mark.parametrize(
    "path, kind",
    [
        ("/v1/kv/a/b", "kv"),
        ("/v1/kv/a/b?wait=5s&index=7", "kv?wait"),
        ("/v1/txn", "txn"),
        ("/v1/session/renew/123?dc=dc1", "session/renew"),
        ("/v1/agent/check/pass/x", "agent/check"),
    ],
)
def test_requests_are_sorted_by_kind(path: str, kind: str) -> None:
    """Names, ids and queries do not matter, but whether it is a blocking query does."""
    assert kind_of(path) == kind


def test_a_proxy_forwards_and_counts(proxy: Proxy, fresh_name: str) -> None:
    """By method and kind, with what was answered."""
    assert ask(proxy, "PUT", f"/v1/kv/{fresh_name}", "1").body.strip() == b"true"
    assert ask(proxy, "GET", f"/v1/kv/{fresh_name}").status == 200
    assert ask(proxy, "GET", f"/v1/kv/{fresh_name}/none").status == 404
    assert ask(proxy, "DELETE", f"/v1/kv/{fresh_name}").status == 200
    assert proxy.counts == {("PUT", "kv"): 1, ("GET", "kv"): 2, ("DELETE", "kv"): 1}
    assert proxy.count("GET") == 2
    assert [seen.status for seen in proxy.log] == [200, 200, 404, 200]
    proxy.reset()
    assert proxy.count() == 0


def test_a_write_dropped_before_forwarding_never_happened(
    agent: Agent, proxy: Proxy, fresh_name: str
) -> None:
    """The client sees its connection close."""
    proxy.rule = lambda method, path, body, n: DROP_BEFORE
    with pytest.raises(ConnectionError):
        ask(proxy, "PUT", f"/v1/kv/{fresh_name}", "1")
    assert agent.entry(fresh_name) is None


def test_a_write_dropped_after_forwarding_has_happened(
    agent: Agent, proxy: Proxy, fresh_name: str
) -> None:
    """The client sees just the same; only the first is dropped here."""

    def rule(method: str, path: str, body: bytes, n: int) -> Action:
        return DROP_AFTER if n == 1 else PASS

    proxy.rule = rule
    with pytest.raises(ConnectionError):
        ask(proxy, "PUT", f"/v1/kv/{fresh_name}", "1")
    assert agent.entry(fresh_name) is not None
    assert ask(proxy, "PUT", f"/v1/kv/{fresh_name}", "2").status == 200
    assert [seen.status for seen in proxy.log] == [None, 200]
    agent.request("DELETE", f"/v1/kv/{fresh_name}")


def test_a_proxy_can_answer_for_the_agent(agent: Agent, proxy: Proxy, fresh_name: str) -> None:
    """With any status, headers and body."""
    proxy.rule = lambda method, path, body, n: Answer(429, {"Retry-After": "1"}, b"slow down")
    answer = ask(proxy, "PUT", f"/v1/kv/{fresh_name}", "1")
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")
    assert answer.body == b"slow down"
    assert agent.entry(fresh_name) is None


def test_a_held_request_goes_on_when_released(agent: Agent, proxy: Proxy, fresh_name: str) -> None:
    """Until then, the agent has not seen it."""
    proxy.rule = lambda method, path, body, n: HOLD
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, proxy, "PUT", f"/v1/kv/{fresh_name}", "1")
        eventually(lambda: proxy.count() == 1)
        assert agent.entry(fresh_name) is None
        proxy.release()
        assert asked.result(120).status == 200
    agent.request("DELETE", f"/v1/kv/{fresh_name}")


@pytest.mark.parametrize("late", [True, False])
def test_a_late_request_arrives_although_the_client_has_gone(
    agent: Agent, proxy: Proxy, fresh_name: str, late: bool
) -> None:
    """One that is only delayed does not."""
    proxy.rule = lambda method, path, body, n: Delay(4.0, late=late)
    with pytest.raises(TimeoutError):
        ask(proxy, "PUT", f"/v1/kv/{fresh_name}", "1", timeout=0.1)
    eventually(lambda: proxy.count() == 1)
    if late:  # else it may have seen already that the client has gone
        eventually(lambda: proxy.delayed == 1)
        assert agent.entry(fresh_name) is None
    eventually(lambda: proxy.connections == 0)
    assert proxy.delayed == 0
    assert (agent.entry(fresh_name) is not None) == late
    agent.request("DELETE", f"/v1/kv/{fresh_name}")


def test_a_blocking_query_ends_with_the_change_it_waits_for(
    agent: Agent, proxy: Proxy, fresh_name: str
) -> None:
    """It is forwarded as it is."""
    index = ask(proxy, "GET", f"/v1/kv/{fresh_name}").headers["x-consul-index"]
    with ThreadPoolExecutor(1) as pool:
        path = f"/v1/kv/{fresh_name}?wait=30s&index={index}"
        asked = pool.submit(ask, proxy, "GET", path, timeout=30.0)
        eventually(lambda: proxy.count(kind="kv?wait") == 1)
        agent.request("PUT", f"/v1/kv/{fresh_name}", "1")
        assert asked.result(120).status == 200
    agent.request("DELETE", f"/v1/kv/{fresh_name}")


def test_a_client_that_goes_away_takes_its_blocking_query_along(proxy: Proxy) -> None:
    """The connection behind is closed at once, not when the query ends."""
    index = ask(proxy, "GET", "/v1/kv/none").headers["x-consul-index"]
    with pytest.raises(TimeoutError):
        ask(proxy, "GET", f"/v1/kv/none?wait=60s&index={index}", timeout=0.2)
    eventually(lambda: proxy.connections == 0)


def test_an_agent_that_dies_closes_the_idle_connections_of_clients(consul_binary: Path) -> None:
    """As they would be without the proxy."""
    with Agent(consul_binary) as agent, Proxy(agent.address) as proxy:
        connection = http.client.HTTPConnection("127.0.0.1", urlsplit(proxy.address).port or 0)
        connection.request("GET", "/v1/status/leader")
        connection.getresponse().read()
        assert proxy.connections == 1
        agent.kill()
        eventually(lambda: proxy.connections == 0)
        connection.close()


def test_a_proxy_serves_250_connections_at_once(consul_binary: Path) -> None:
    """All of them wait in blocking queries, and all are answered by one write."""
    config = {"limits": {"http_max_conns_per_client": 1000}}
    with Agent(consul_binary, config=config) as agent, Proxy(agent.address) as proxy:
        agent.request("PUT", "/v1/kv/seen", "1")
        index = agent.request("GET", "/v1/kv/seen").headers["x-consul-index"]
        path = f"/v1/kv/seen?wait=60s&index={index}"
        with ThreadPoolExecutor(250) as pool:
            asked = [pool.submit(ask, proxy, "GET", path, timeout=60.0) for _ in range(250)]
            eventually(lambda: proxy.count() == 250)
            assert proxy.connections == proxy.peak == 250
            agent.request("PUT", "/v1/kv/seen", "2")
            assert {one.result(120).status for one in asked} == {200}


def test_stopping_a_proxy_ends_its_threads(agent: Agent) -> None:
    """Also of a request that is held, and of one that the agent holds."""
    before = set(threading.enumerate())
    index = agent.request("GET", "/v1/kv/none").headers["x-consul-index"]
    with ThreadPoolExecutor(2) as pool:
        with Proxy(agent.address) as proxy:
            proxy.rule = lambda method, path, body, n: HOLD if method == "PUT" else PASS
            path = f"/v1/kv/none?wait=60s&index={index}"
            asked = [pool.submit(ask, proxy, method, path, timeout=60.0) for method in _METHODS]
            eventually(lambda: proxy.count() == 2)
        assert all(isinstance(one.exception(10), ConnectionError) for one in asked)
    assert set(threading.enumerate()) <= before
