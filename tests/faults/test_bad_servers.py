"""Servers that cannot serve: an error of the right class that says what, why, and what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from consul_lock import (
    ConfigError,
    ConsulLockError,
    Op,
    PermissionDenied,
    Refused,
    Unavailable,
)
from tests.support.agent import Agent
from tests.support.apis import Face
from tests.support.http_messages import Answer, Message
from tests.support.ports import free_port
from tests.support.scripted_server import scripted_server
from tests.support.waiting import eventually

HTML = b"<!DOCTYPE html><html><title>Sign in</title>"

# What the server always answers; the class of the error, and what its message has to say.
ANSWERS: list[tuple[str, Answer, type[ConsulLockError], tuple[str, ...]]] = [
    ("a web page", Answer(200, {}, HTML), ConfigError, ("not JSON", "Sign in", "Consul agent")),
    ("not found", Answer(404, {}, HTML), ConfigError, ("404", "no Consul agent", "address")),
    (
        "no JSON object",
        Answer(200, {}, b"[1]"),
        ConfigError,
        ("not that of a Consul agent", "[1]", "address"),
    ),
    (
        "other JSON",
        Answer(200, {}, b'{"status": "ok"}'),
        ConfigError,
        ("not that of a Consul agent",),
    ),
    ("empty", Answer(200, {}, b""), ConfigError, ("not JSON", "Consul agent")),
    (
        "a redirect",
        Answer(301, {"Location": "/elsewhere"}, b""),
        ConfigError,
        ("redirects to '/elsewhere'", "address", "name clean"),
    ),
    (
        "a redirect of a newer agent",
        Answer(307, {"Location": "/elsewhere"}, b""),
        ConfigError,
        ("redirects to '/elsewhere'", "address", "name clean"),
    ),
    (
        "a limit of requests",
        Answer(429, {}, b"Your IP is issuing too many concurrent connections"),
        Unavailable,
        ("429", "too many concurrent connections", "fewer clients"),
    ),
    (
        "no leader",
        Answer(500, {}, b"No cluster leader"),
        Unavailable,
        ("500", "No cluster leader", "list-peers"),
    ),
    ("a gateway", Answer(502, {}, HTML), Unavailable, ("502", "Sign in")),
    (
        "an unknown token",
        Answer(403, {}, b"ACL not found"),
        PermissionDenied,
        ("token is unknown", "expired, deleted", 'session_prefix ""'),
    ),
    ("too large", Answer(413, {}, b"Request body too large"), Refused, ("too large", "store less")),
    (
        "a TTL out of range",
        Answer(500, {}, b"Invalid Session TTL '10000000000', must be between [20s=24h0m0s]"),
        Refused,
        ("creating a session", "Invalid Session TTL", "20s=24h"),
    ),
    (
        "a check that is missing",
        Answer(500, {}, b"Missing check 'web' registration"),
        Refused,
        ("creating a session", "Missing check 'web'"),
    ),
    (
        "a check that is missing on a newer server",
        Answer(500, {}, b"apply failed: Missing check 'web' registration"),
        Refused,
        ("creating a session", "Missing check 'web'"),
    ),
    (
        "a name of a key that newer servers refuse",
        Answer(500, {}, b'invalid key name, keys should respect the "^[a-z]+$" format'),
        Refused,
        ("creating a session", "invalid key name"),
    ),
]


@pytest.mark.parametrize(
    "answer, kind, words", [a[1:] for a in ANSWERS], ids=[a[0] for a in ANSWERS]
)
def test_an_answer_that_is_no_session(
    face: Face, answer: Answer, kind: type[ConsulLockError], words: tuple[str, ...]
) -> None:
    """Every acquire begins with a session, so this is what a wrong address looks like."""
    with scripted_server(answer) as server:
        client = face.client(server.address, retry_for=0)
        lock = face.lock("web", client)
        with pytest.raises(kind) as caught:
            lock.acquire()
        message = str(caught.value)
        assert all(word in message for word in ("creating a session", *words)), message
        assert not lock.held
        client.close()


def test_a_server_that_is_not_there(face: Face) -> None:
    """The message has the address, the reason, and where the address comes from."""
    client = face.client(f"127.0.0.1:{free_port()}", retry_for=0)
    with pytest.raises(Unavailable) as caught:
        face.lock("web", client).acquire()
    assert isinstance(caught.value, ConnectionError)
    assert not caught.value.uncertain
    message = str(caught.value)
    for word in ("cannot reach Consul at http://127.0.0.1:", "refused", "CONSUL_HTTP_ADDR"):
        assert word in message
    client.close()


def test_a_server_that_ignores_the_session_body(face: Face) -> None:
    """Such a session would never expire and protect nothing: it is destroyed, and refused."""
    made = {"ID": "5f1c0b2e-0000-0000-0000-000000000000", "Name": "", "Node": "n", "TTL": ""}
    made |= {"LockDelay": 15_000_000_000, "Behavior": "release", "NodeChecks": ["serfHealth"]}

    def answer(asked: Message) -> Answer:
        if "destroy" in asked.path:
            return Answer(200, {}, b"true")
        return Answer(200, {}, json.dumps(made if "create" in asked.path else [made]).encode())

    with scripted_server(answer) as server:
        client = face.client(server.address, retry_for=0)
        with pytest.raises(Refused) as caught:
            face.lock("web", client).acquire()
        message = str(caught.value)
        for word in ("TTL '0ms' instead of '10000ms'", "LockDelay '15000ms' instead", "proxy"):
            assert word in message
        eventually(lambda: any("destroy" in asked.path for asked in server.requests), 10.0)
        assert not any("txn" in asked.path for asked in server.requests)
        client.close()


def test_a_value_that_is_too_large(face: Face, agent: Agent) -> None:
    """Consul refuses it with 413; the lock is held on."""
    client = face.client(agent.address)
    lock = face.lock("large", client)
    assert lock.acquire()
    with pytest.raises(Refused, match=r"under the guard of 'large/.lock'.*too large.*store less"):
        lock.guard([Op.set("large/value", "x" * 600_000)])
    with pytest.raises(ConfigError, match="64 operations in one guard; Consul takes 63 at most"):
        lock.guard([Op.set(f"large/{number}", "x") for number in range(64)])
    lock.ensure_held()
    lock.release()
    assert agent.keys("large") == []
    client.close()


def test_a_server_with_other_limits(face: Face, consul_binary: Path) -> None:
    """A real agent that wants a longer TTL: its own words are passed on."""
    strict = Agent(consul_binary, config={"session_ttl_min": "20s"})
    # Its own way to see whether it serves is a session with a shorter TTL.
    strict.launch()
    try:
        eventually(lambda: serves(strict, "20s"), 60.0)
        see_limits(face, strict)
    finally:
        strict.stop()


def serves(agent: Agent, ttl: str) -> bool:
    """Whether it makes a session of this TTL."""
    try:
        made = agent.request("PUT", "/v1/session/create", {"TTL": ttl})
    except OSError:
        return False
    if made.status == 200:
        agent.request("PUT", f"/v1/session/destroy/{made.json()['ID']}")
    return made.status == 200


def see_limits(face: Face, strict: Agent) -> None:
    """What it refuses, and what it takes."""
    client = face.client(strict.address, retry_for=1)
    with pytest.raises(Refused, match=r"creating a session.*Invalid Session TTL.*20s"):
        face.lock("web", client).acquire()
    assert strict.sessions() == []
    lock = face.lock("web", client, ttl=20)
    assert lock.acquire()
    lock.release()
    with pytest.raises(Refused, match="Missing check 'nothing'"):
        face.lock("web", client, ttl=20, checks=["nothing"]).acquire()
    client.close()
    assert strict.sessions() == []


@pytest.fixture(scope="module")
def guarded(consul_binary: Path) -> Iterator[Agent]:
    """An agent that denies what no rule allows."""
    with Agent(consul_binary, acl=True) as started:
        yield started


def denial(face: Face, agent: Agent, token: str, name: str) -> str:
    """The message that a token gets for a lock; nothing may be left of it."""
    client = face.client(agent.address, token=token)
    lock = face.lock(name, client)
    with pytest.raises(PermissionDenied) as caught:
        lock.acquire(timeout=5)
    assert isinstance(caught.value, PermissionError)
    assert not lock.held
    client.close()
    assert agent.sessions() == []
    assert agent.keys(name) == []
    return str(caught.value)


def rule_in(message: str) -> str:
    """The rule that the message asks for."""
    return message.partition("it needs the rule ")[2].strip()


@pytest.mark.usefixtures("busy_servers_answer")
def test_a_denial_names_the_rules_and_with_them_it_works(face: Face, guarded: Agent) -> None:
    """Each denial names one more rule; a token with exactly those has the lock."""
    rules: list[str] = []
    for _ in range(2):
        token = guarded.token_for("\n".join(rules) or 'key "x" { policy = "read" }')
        message = denial(face, guarded, token, "team/web")
        assert "the token may not do this" in message
        assert rule_in(message), message
        assert rule_in(message) not in rules
        rules.append(rule_in(message))
    assert rules[1] == 'key_prefix "team/web/" { policy = "write" }'
    works(face, guarded, guarded.token_for("\n".join(rules)))


def works(face: Face, agent: Agent, token: str) -> None:
    """Contended, too: the line is below the same folder."""
    first, second = (face.client(agent.address, token=token) for _ in range(2))
    one, two = face.lock("team/web", first), face.lock("team/web", second)
    assert one.acquire()
    assert two.acquire(timeout=0.2) is False
    one.release()
    assert two.acquire(timeout=20)
    assert two.holder().session == two.session_id
    two.release()
    first.close()
    second.close()
    assert agent.sessions() == []
    assert agent.keys() == []


def test_a_token_that_does_not_exist(face: Face, guarded: Agent) -> None:
    """It is unknown, which is another story than a rule that is missing."""
    message = denial(face, guarded, "11111111-2222-3333-4444-555555555555", "team/web")
    assert "token is unknown" in message
    assert "11111111" not in message


def test_no_token_at_all(face: Face, guarded: Agent) -> None:
    """The message says what a token would need."""
    assert "session_prefix" in denial(face, guarded, "", "team/web")
