"""Credentials that are replaced in their files while a client is used, before a real agent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consul_lock import ConfigError, PermissionDenied
from tests.support.agent import Agent
from tests.support.apis import Face, open_face
from tests.support.certificates import Certificates

_RULES = 'session_prefix "" { policy = "write" } key_prefix "" { policy = "write" }'


@pytest.fixture(scope="module")
def guarded(consul_binary: Path) -> Iterator[Agent]:
    """An agent that asks for tokens, and at its other address for certificates."""
    with Agent(consul_binary, acl=True, tls=True, verify_clients=True) as agent:
        yield agent


@pytest.fixture(params=["threads", "asyncio"])
def api(request: pytest.FixtureRequest) -> Iterator[Face]:
    """Each API."""
    with open_face(request.param) as opened:
        yield opened


def _revoke(agent: Agent, token: str) -> None:
    accessor = agent.request("GET", "/v1/acl/token/self", token=token).json()["AccessorID"]
    assert agent.request("DELETE", f"/v1/acl/token/{accessor}").status == 200


def _round(lock: Any) -> None:
    assert lock.acquire(timeout=0)
    lock.release()


def test_a_lock_is_kept_and_released_with_the_token_that_replaced_the_first(
    guarded: Agent, api: Face, tmp_path: Path
) -> None:
    """The first one is unknown by then; until there is another one, that is an error."""
    first, second = (guarded.token_for(_RULES) for _ in range(2))
    file = tmp_path / "token"
    file.write_text(first)
    file.chmod(0o600)
    client = api.client(guarded.address, token_file=str(file), retry_for=0)
    lock = api.lock("files/token", client)
    assert lock.acquire(timeout=0)
    _revoke(guarded, first)
    other = api.lock("files/other", client)
    with pytest.raises(PermissionDenied, match="ACL not found"):
        other.acquire(timeout=0)
    file.write_text(second)
    _round(other)
    assert lock.held
    lock.release()
    _round(lock)


def test_a_token_that_was_given_stays_refused(guarded: Agent, api: Face) -> None:
    """There is nowhere to look for another one."""
    token = guarded.token_for(_RULES)
    lock = api.lock("files/given", api.client(guarded.address, token=token, retry_for=0))
    _round(lock)
    _revoke(guarded, token)
    with pytest.raises(PermissionDenied, match="ACL not found"):
        lock.acquire(timeout=0)


def test_a_client_whose_certificate_is_replaced_gets_in(
    guarded: Agent, api: Face, tmp_path: Path
) -> None:
    """The old one was refused; so may the old authority have been by the client."""
    papers = guarded.certificates
    assert papers is not None
    foreign = Certificates(tmp_path)
    client = api.client(
        guarded.https_address,
        token=guarded.token_for(_RULES),
        ca_cert=str(foreign.ca),
        client_cert=str(foreign.client_cert),
        client_key=str(foreign.client_key),
        retry_for=0,
    )
    lock = api.lock("files/certificate", client)
    with pytest.raises(ConfigError) as caught:
        lock.acquire(timeout=0)
    assert caught.value.kind == "certificate"
    foreign.ca.write_bytes(papers.ca.read_bytes())
    with pytest.raises(ConfigError) as caught:
        lock.acquire(timeout=0)
    assert caught.value.kind == "client-certificate"
    foreign.client_cert.write_bytes(papers.client_cert.read_bytes())
    foreign.client_key.write_bytes(papers.client_key.read_bytes())
    _round(lock)
