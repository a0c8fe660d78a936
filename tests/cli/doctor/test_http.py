"""Plain HTTP to the agent: what is sent, and what is made of an answer."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from consul_lock.config import Config
from consul_lock_cli.doctor.finding import Trouble
from consul_lock_cli.doctor.http import AgentAnswer, AgentClient

_other_ends: list[socket.socket] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """The agent's ends of the connections of a test."""
    yield
    while _other_ends:
        _other_ends.pop().close()


class _Scripted(AgentClient):
    """One whose connection has the answer in it already."""

    def __init__(self, answer: bytes | Exception, **settings: Any) -> None:
        super().__init__(Config(**settings))
        self._answer = answer

    def connect(self) -> socket.socket:
        if isinstance(self._answer, Exception):
            raise self._answer
        ours, theirs = socket.socketpair()
        _other_ends.append(theirs)
        theirs.sendall(self._answer)
        theirs.shutdown(socket.SHUT_WR)
        return ours

    def read(self) -> list[str]:
        """The lines of the request."""
        return _other_ends[-1].recv(65536).decode().split("\r\n")


def _http(status: int, text: str = "", head: str = "") -> bytes:
    body = text.encode()
    return f"HTTP/1.1 {status} X\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _trouble(act: Callable[[], object]) -> tuple[str, str, int]:
    with pytest.raises(Trouble) as found:
        act()
    finding = found.value.finding
    return finding.text, finding.hint, finding.code


def test_a_request_has_all_that_the_settings_say() -> None:
    """The prefix of the path, the datacenter, the token, and what is asked beside them."""
    agent = _Scripted(
        _http(200, "[]", "Date: now\r\n"),
        host="h", base_path="/p", token="t", datacenter="dc 2", namespace="n",
    )  # fmt: skip
    answer = agent.ask("PUT", "/v1/kv/a b", {"x": 1}, consistent="", index=7)
    first, *rest = agent.read()
    assert first == "PUT /p/v1/kv/a%20b?consistent=&index=7&dc=dc+2&ns=n HTTP/1.1"
    assert "X-Consul-Token: t" in rest
    assert rest[-1] == '{"x": 1}'
    assert (answer.status, answer.json(), answer.headers["Date"]) == (200, [], "now")


def test_a_request_without_a_body_has_none() -> None:
    """Nor a query, if there is nothing to say."""
    agent = _Scripted(_http(404))
    assert agent.ask("GET", "/v1/x").status == 404
    lines = agent.read()
    assert (lines[0], lines[-2:]) == ("GET /v1/x HTTP/1.1", ["", ""])


@pytest.mark.parametrize(
    "status, text, said, code",
    [
        (400, "Client sent an HTTP request to an HTTPS server.", "speaks TLS only", 78),
        (429, "rate limit", "Consul answered HTTP 429: rate limit", 69),
        (500, "No cluster leader", "Consul answered HTTP 500: No cluster leader", 69),
        (503, "\x1b[2J", "HTTP 503: \\x1b[2J", 69),
        (504, "proxy", "HTTP 504: proxy", 69),
    ],
)
def test_an_answer_that_is_none_is_trouble(status: int, text: str, said: str, code: int) -> None:
    """With its words, made harmless."""
    found, hint, number = _trouble(lambda: _Scripted(_http(status, text)).ask("GET", "/"))
    assert said in found
    assert hint
    assert number == code


@pytest.mark.parametrize(
    "status, text",
    [
        (200, "ok"),
        (400, "Bad request"),
        (403, "Permission denied"),
        (404, ""),
        (409, "rejected"),
        (500, "Permission denied"),
        (500, "rpc error: ACL not found"),
        (500, "Invalid Session TTL"),
    ],
)
def test_any_other_answer_is_for_the_check(status: int, text: str) -> None:
    """It may be just what it looks for: what a token may not, or what Consul does not take."""
    answer = _Scripted(_http(status, text)).ask("GET", "/")
    assert (answer.status, answer.text) == (status, text)


@pytest.mark.parametrize(
    "status, text, denied",
    [
        (401, "", True),
        (403, "", True),
        (409, '{"Errors":[{"What":"Permission denied"}]}', True),
        (409, "ACL not found", True),
        (409, "lock is held", False),
        (500, "Permission denied", True),
        (500, "No cluster leader", False),
        (404, "Permission denied", False),
        (200, "Permission denied", False),
    ],
)
def test_what_a_token_may_not_is_seen(status: int, text: str, denied: bool) -> None:
    """By the status, or in the words of a transaction; a value may have the same words."""
    assert AgentAnswer(status, {}, text).denied is denied


def test_what_is_no_json_is_not_of_consul() -> None:
    """Some other program answers there."""
    found, hint, code = _trouble(AgentAnswer(200, {}, "<html>\x1b").json)
    assert '(HTTP 200): "<html>\\x1b"' in found
    assert "proxy" in hint
    assert code == 78


@pytest.mark.parametrize(
    "answer, said",
    [
        (TimeoutError(), "http://h:8500 gave no answer within 10s"),
        (ConnectionRefusedError(111, "x"), "cannot reach Consul at http://h:8500: Connection ref"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", "IncompleteRead"),
        (b"junk\r\n", "cannot reach Consul at http://h:8500: junk"),
        (b"", "Remote end closed connection"),
    ],
    ids=repr,
)
def test_no_answer_is_69(answer: bytes | Exception, said: str) -> None:
    """Whatever kept it away."""
    found, hint, code = _trouble(lambda: _Scripted(answer, host="h").ask("GET", "/"))
    assert said in found
    assert hint
    assert code == 69


def test_the_limit_of_one_request_can_be_another() -> None:
    """A long poll lasts longer, and what an agent answers by itself does not take so long."""
    agent = _Scripted(TimeoutError(), host="h")
    assert "within 0.5s" in _trouble(lambda: agent.ask("GET", "/", timeout=0.5))[0]


def test_a_connection_that_takes_too_long_says_so() -> None:
    """The system has no words for it."""
    assert "no answer in time" in str(AgentClient(Config()).unreachable(TimeoutError("timed out")))


def _untrusted() -> ssl.SSLError:
    error = ssl.SSLCertVerificationError(1, "no")
    error.verify_message = "self-signed certificate"
    return error


def _because(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, "no")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    "error, said, advice, code",
    [
        (_untrusted(), "is not trusted (self-signed certificate)", "--ca-file", 78),
        (_because("WRONG_VERSION_NUMBER"), "does not speak TLS", "write http://", 78),
        (_because("HTTP_REQUEST"), "does not speak TLS", "write http://", 78),
        (_because("TLSV1_ALERT_UNKNOWN_CA"), "refused the connection (TLSV1", "--client-cert", 78),
        (ConnectionResetError(104, "x"), "Connection reset by peer", "is the agent running", 69),
    ],
)
def test_trouble_with_tls_says_what_to_change(
    error: OSError, said: str, advice: str, code: int
) -> None:
    """In the handshake, or later: a server says only then that it wants a certificate."""
    agent = _Scripted(b"", scheme="https", host="h", verify=False)

    class Refusing:
        def wrap_socket(self, plain: socket.socket, server_hostname: str) -> ssl.SSLSocket:
            assert server_hostname == "h"
            raise error

    agent._context = Refusing()  # type: ignore[assignment] # as much of it as is used
    for find in (lambda: agent.secure(agent.connect()), lambda: agent.ask("GET", "/")):
        found, hint, number = _trouble(find)
        assert said in found
        assert advice in hint
        assert number == code


def test_json_of_an_answer_is_data() -> None:
    """As it was sent."""
    assert AgentAnswer(200, {}, json.dumps({"a": [1]})).json() == {"a": [1]}
