"""The real agents that other tests stand on do what they say."""

from __future__ import annotations

import http.client
import socket
import ssl
from pathlib import Path

import pytest

from tests.support.agent import Agent
from tests.support.ports import has_ipv6_loopback
from tests.support.raw_http import exchange


def test_an_agent_starts_serves_and_leaves_nothing(consul_binary: Path) -> None:
    """After stop, the process and its folder are gone and its log is still there."""
    with Agent(consul_binary) as agent:
        assert agent.request("PUT", "/v1/kv/a", "1").body.strip() == b"true"
        assert agent.keys() == ["a"]
        assert agent.entry("b") is None
        assert max(vars(agent.ports).values()) < 32768
        folder = agent.folder
    assert not agent.running
    assert not folder.exists()
    assert "agent" in agent.log


def test_an_agent_whose_port_another_one_has_takes_another_port(consul_binary: Path) -> None:
    """The other one's answers are not taken for its own while it does not know it yet."""
    with Agent(consul_binary) as first:
        second = Agent(consul_binary)
        second.ports.http = first.ports.http
        with second:
            assert second.ports.http != first.ports.http
            second.request("PUT", "/v1/kv/a", "1")
            assert (first.keys(), second.keys()) == ([], ["a"])


def test_a_frozen_agent_answers_nothing_until_it_is_thawed(consul_binary: Path) -> None:
    """It accepts the connection and leaves the request alone."""
    with Agent(consul_binary) as agent:
        agent.freeze()
        with pytest.raises(TimeoutError):
            agent.request("GET", "/v1/status/leader", timeout=0.3)
        assert agent.running
        agent.thaw()
        assert agent.request("GET", "/v1/status/leader").status == 200
        agent.freeze()
    assert not agent.running


def test_a_killed_agent_on_disk_comes_back_with_its_data(consul_binary: Path) -> None:
    """Same ports, same keys."""
    config = {"server": True, "bootstrap_expect": 1, "performance": {"raft_multiplier": 1}}
    with Agent(consul_binary, dev=False, config=config) as agent:
        address = agent.address
        agent.request("PUT", "/v1/kv/kept", "1")
        agent.kill()
        assert not agent.running
        agent.start()
        assert agent.address == address
        assert agent.keys() == ["kept"]


def test_an_agent_with_acls_lets_a_token_do_what_its_rules_say(consul_binary: Path) -> None:
    """And nothing else; nobody may do nothing at all."""
    with Agent(consul_binary, acl=True) as agent:
        token = agent.token_for('key_prefix "mine/" { policy = "write" }')
        assert agent.request("PUT", "/v1/kv/mine/a", "1", token=token).status == 200
        assert agent.request("PUT", "/v1/kv/other", "1", token=token).status == 403
        assert agent.request("PUT", "/v1/kv/mine/a", "1", token="").status == 403
        assert agent.request("PUT", "/v1/kv/other", "1").status == 200


def test_an_agent_that_verifies_clients_wants_a_certificate(consul_binary: Path) -> None:
    """The right authority alone is not enough."""
    with Agent(consul_binary, tls=True, verify_clients=True) as agent:
        files = agent.certificates
        assert files is not None
        context = ssl.create_default_context(cafile=str(files.ca))
        # A server refuses a client's certificate only after the handshake: any OSError will do.
        with pytest.raises(OSError):
            _status(agent, context)
        context.load_cert_chain(files.client_cert, files.client_key)
        assert _status(agent, context) == 200


def _status(agent: Agent, context: ssl.SSLContext) -> int:
    connection = http.client.HTTPSConnection("localhost", agent.ports.https, context=context)
    try:
        connection.request("GET", "/v1/status/leader")
        return connection.getresponse().status
    finally:
        connection.close()


def test_an_agent_has_a_unix_socket_if_asked(consul_binary: Path) -> None:
    """Its address begins with unix://, as CONSUL_HTTP_ADDR would have it."""
    with Agent(consul_binary, unix_socket=True) as agent, socket.socket(socket.AF_UNIX) as door:
        door.connect(agent.unix_address.removeprefix("unix://"))
        door.sendall(b"GET /v1/status/leader HTTP/1.0\r\n\r\n")
        assert door.recv(100).startswith(b"HTTP/1.0 200")


@pytest.mark.skipif(not has_ipv6_loopback(), reason="there is no ::1 here")
def test_an_agent_is_on_ipv6_if_asked(consul_binary: Path) -> None:
    """On the same port as on IPv4."""
    with Agent(consul_binary, ipv6=True) as agent:
        assert agent.ipv6_address == f"http://[::1]:{agent.http_port}"
        assert exchange("::1", agent.http_port, "GET", "/v1/status/leader").status == 200
