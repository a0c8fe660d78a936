"""The ways into a real agent: TLS, client certificates, unix sockets, IPv6."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consul_lock import ConfigError
from tests.drivers.acquire_once import Attempt, each_face
from tests.support.agent import Agent
from tests.support.certificates import Certificates
from tests.support.ports import has_ipv6_loopback

pytestmark = each_face


@pytest.fixture(scope="module")
def doors(consul_binary: Path) -> Iterator[Agent]:
    """An agent with every door but one that asks for certificates."""
    with Agent(consul_binary, tls=True, unix_socket=True, ipv6=has_ipv6_loopback()) as agent:
        yield agent


@pytest.fixture(scope="module")
def strict(consul_binary: Path) -> Iterator[Agent]:
    """An agent that lets only those in who have a certificate."""
    with Agent(consul_binary, tls=True, verify_clients=True) as agent:
        yield agent


def _papers(agent: Agent) -> Certificates:
    assert agent.certificates is not None
    return agent.certificates


def _refused(attempt: Attempt, address: str, **options: Any) -> str:
    """What the ConfigError says."""
    with pytest.raises(ConfigError) as caught:
        attempt(address, **options)
    return str(caught.value)


def test_a_trusted_authority_is_enough(attempt: Attempt, doors: Agent) -> None:
    """https with the CA that signed the server."""
    attempt(doors.https_address, ca_cert=str(_papers(doors).ca), rounds=2)


def test_another_authority_is_not_trusted(attempt: Attempt, doors: Agent) -> None:
    """The text names the settings that would mend it."""
    said = _refused(attempt, doors.https_address, ca_cert=str(_papers(doors).other_ca))
    assert "not trusted" in said
    assert "ca_cert=" in said
    assert "CONSUL_CACERT" in said


def test_verify_false_trusts_anybody(attempt: Attempt, doors: Agent) -> None:
    """As CONSUL_HTTP_SSL_VERIFY=false does."""
    attempt(doors.https_address, verify=False)


def test_the_name_in_the_certificate_counts(attempt: Attempt, doors: Agent) -> None:
    """`tls_server_name` is the one to look for, whatever the address is called."""
    ca = str(_papers(doors).ca)
    attempt(doors.https_address, ca_cert=ca, tls_server_name="server.dc1.consul")
    said = _refused(attempt, doors.https_address, ca_cert=ca, tls_server_name="elsewhere.consul")
    assert "tls_server_name=" in said


def test_http_to_the_https_port_says_so(attempt: Attempt, doors: Agent) -> None:
    """And the other way round: each text has the scheme that would be right."""
    said = _refused(attempt, doors.https_address.replace("https:", "http:"))
    assert "speaks TLS" in said
    assert "https://" in said


def test_https_to_the_http_port_says_so(attempt: Attempt, doors: Agent) -> None:
    """It would look like a broken network otherwise."""
    said = _refused(attempt, doors.address.replace("http:", "https:"))
    assert "does not speak TLS" in said
    assert "http://" in said


def test_a_client_certificate_is_accepted(attempt: Attempt, strict: Agent) -> None:
    """Where the agent asks for one."""
    papers = _papers(strict)
    attempt(
        strict.https_address,
        ca_cert=str(papers.ca),
        client_cert=str(papers.client_cert),
        client_key=str(papers.client_key),
    )


def test_without_a_client_certificate_the_text_asks_for_one(
    attempt: Attempt, strict: Agent
) -> None:
    """No retry mends it, so it is a ConfigError."""
    said = _refused(attempt, strict.https_address, ca_cert=str(_papers(strict).ca))
    assert "client_cert=" in said


def test_a_unix_socket_is_a_door(attempt: Attempt, doors: Agent) -> None:
    """unix:///path, as CONSUL_HTTP_ADDR has it."""
    attempt(doors.unix_address, rounds=2)


@pytest.mark.skipif(not has_ipv6_loopback(), reason="this machine has no ::1")
def test_ipv6_is_a_door(attempt: Attempt, doors: Agent) -> None:
    """http://[::1]:8500."""
    attempt(doors.ipv6_address, rounds=2)
