"""`doctor`: what the agent says of itself: TLS, limits, tokens."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.doctor.doctor_fixture import doctor, sessions_left
from tests.support.agent import Agent
from tests.support.http_messages import Answer
from tests.support.proxy import Proxy
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def guarded(consul_binary: Path) -> Iterator[Agent]:
    """An agent with access control and TLS, for all tests here."""
    with Agent(consul_binary, acl=True, tls=True) as agent:
        yield agent


def test_a_client_agent_is_what_it_should_be(consul_binary: Path, own_agent: Agent) -> None:
    """No warning for it, and the trial works through it."""
    join = [f"127.0.0.1:{own_agent.ports.serf}"]
    config = {"server": False, "retry_join": join, "retry_interval": "200ms"}
    with Agent(consul_binary, config=config, name="client", dev=False) as client:
        status_file = doctor(client.address)
    assert status_file.items["client-agent"]["verdict"] == "ok"
    assert status_file.bad() == {}


def test_tls_with_its_own_authority_is_good(guarded: Agent) -> None:
    """Version, names and end of the certificate are shown."""
    assert guarded.certificates is not None
    status_file = doctor(
        guarded.https_address,
        CONSUL_CACERT=str(guarded.certificates.ca),
        CONSUL_HTTP_TOKEN=guarded.master_token or "",
    )
    assert status_file.bad() == {}
    assert status_file.items["tls"]["text"].startswith("TLSv1.")
    assert "the certificate is for localhost, " in status_file.items["tls"]["text"]
    assert "accessor" in status_file.items["token"]["text"]


def test_an_authority_that_signed_nothing_here(guarded: Agent) -> None:
    """78 of TLS, with the option that mends it."""
    assert guarded.certificates is not None
    status_file = doctor(guarded.https_address, CONSUL_CACERT=str(guarded.certificates.other_ca))
    assert (status_file.code, status_file.bad()) == (78, {"tls": "fail"})
    assert "not trusted" in status_file.items["tls"]["text"]
    assert "--ca-file" in status_file.items["tls"]["hint"]


def test_http_to_https_and_the_reverse(guarded: Agent) -> None:
    """Both are 78, and say which scheme is right."""
    status_file = doctor(f"http://localhost:{guarded.ports.https}")
    assert (status_file.code, status_file.bad()) == (78, {"agent": "fail"})
    assert "https://" in status_file.items["agent"]["hint"]
    status_file = doctor(f"https://127.0.0.1:{guarded.http_port}")
    assert (status_file.code, status_file.bad()) == (78, {"tls": "fail"})
    assert "http://" in status_file.items["tls"]["hint"]


_SESSIONS = 'session_prefix "" { policy = "write" }'


_KEYS = 'key_prefix "jobs" { policy = "write" }'


@pytest.mark.parametrize(
    "rules, needed", [(_KEYS, "session_prefix"), (_SESSIONS, 'key_prefix "jobs/x"')]
)
def test_an_error_names_the_rules_that_a_token_lacks(
    guarded: Agent, rules: str, needed: str
) -> None:
    """77, with the rule that is missing; and nothing is left of the half that worked."""
    token = guarded.token_for(rules)
    with Proxy(guarded.address) as proxy:
        status_file = doctor(proxy.address, "--key", "jobs/x", CONSUL_HTTP_TOKEN=token)
        assert sessions_left(proxy, guarded) == 0
    assert status_file.code == 77
    assert "permission denied" in status_file.items["trial"]["text"]
    assert needed in status_file.items["trial"]["hint"]
    assert guarded.keys("jobs") == []


def test_a_token_for_sessions_and_keys_is_enough(guarded: Agent) -> None:
    """agent:read is only missed, and the secret is not shown."""
    secret = guarded.token_for(f"{_SESSIONS} {_KEYS}")
    status_file = doctor(guarded.address, "--key", "jobs/x", CONSUL_HTTP_TOKEN=secret)
    assert (status_file.code, status_file.bad()) == (0, {"agent": "warn"})
    assert "agent_prefix" in status_file.items["agent"]["hint"]
    assert secret not in json.dumps(status_file.items) + status_file.stderr


def test_no_token_and_a_token_of_another_cluster(guarded: Agent) -> None:
    """Both are 77, but not for the same reason."""
    status_file = doctor(guarded.address)
    assert status_file.code == 77
    assert "there is no token" in status_file.items["token"]["text"]
    other = "3d6f0e8c-0000-0000-0000-000000000000"
    status_file = doctor(guarded.address, CONSUL_HTTP_TOKEN=other)
    assert status_file.code == 77
    assert "unknown to the cluster" in status_file.items["agent"]["text"]
    assert other not in json.dumps(status_file.items) + status_file.stderr


def test_a_token_that_expires_within_a_day_is_a_warning(guarded: Agent) -> None:
    """It works now, and the hint says how what runs gets another one."""
    made = guarded.request("PUT", "/v1/acl/token", {"ExpirationTTL": "2h30m"}).json()
    item = doctor(guarded.address, CONSUL_HTTP_TOKEN=made["SecretID"]).items["token"]
    assert item["verdict"] == "warn"
    assert item["text"].startswith("the token expires in 2h")
    assert f"accessor {made['AccessorID']}" in item["text"]
    assert "--token-file" in item["hint"]


@pytest.mark.parametrize(
    "days, text", [(3.1, "the token expires in 3d"), (None, "accessor a1, no policies of its own")]
)
def test_a_token_with_time_left_is_good(
    altered: Callable[[str, Answer], str], days: float | None, text: str
) -> None:
    """Also one that never expires.  Consul writes nanoseconds."""
    told = {"AccessorID": "a1"}
    if days is not None:
        end = datetime.now(UTC) + timedelta(days=days)
        told["ExpirationTime"] = f"{end:%Y-%m-%dT%H:%M:%S}.123456789Z"
    answer = Answer(200, {}, json.dumps(told).encode())
    item = doctor(altered("acl/token", answer), CONSUL_HTTP_TOKEN="t").items["token"]
    assert item["verdict"] == "ok"
    assert item["text"].startswith(text)


def test_a_frozen_agent(own_agent: Agent) -> None:
    """It takes the connection and says nothing: 69, and soon."""
    own_agent.freeze()
    status_file = doctor(own_agent.address)
    own_agent.thaw()
    assert (status_file.code, status_file.bad()) == (69, {"agent": "fail"})
    assert status_file.items["connect"]["verdict"] == "ok"
    assert "no answer within" in status_file.items["agent"]["text"]


def test_a_server_with_other_limits(consul_binary: Path) -> None:
    """A TTL that it does not take is 78, with its own words."""
    agent = Agent(consul_binary, config={"session_ttl_min": "30s"}, unix_socket=True)
    try:
        agent.launch()
        eventually(lambda: doctor(agent.unix_address, "--ttl", "30s").code == 0)
        status_file = doctor(agent.unix_address)
    finally:
        agent.stop()
    assert (status_file.code, status_file.bad()) == (78, {"trial": "fail"})
    assert "Invalid Session TTL" in status_file.items["trial"]["text"]
