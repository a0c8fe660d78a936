"""Whatever answers in Consul's place: the right class of error, and a text that helps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from consul_lock import ConfigError, ConsulLockError, PermissionDenied, Refused, Unavailable
from consul_lock.testing import ServedWorld
from tests.drivers.acquire_once import Attempt, each_face
from tests.support.scripted_server import always, scripted_server, through

pytestmark = each_face

LOGIN = b"<html><title>Sign in</title></html>"


def _answer(status: str, body: bytes = b"", *more: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", *more, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


WHOLE: list[Any] = [
    pytest.param(_answer("200 OK", LOGIN), ConfigError, ["not JSON", "Sign in"], id="login page"),
    pytest.param(
        _answer("301 Moved", b"", "Location: /elsewhere/"),
        ConfigError,
        ["redirects to '/elsewhere/'"],
        id="301",
    ),
    pytest.param(
        _answer("404 Not Found", LOGIN), ConfigError, ["404", "point to Consul"], id="404"
    ),
    pytest.param(_answer("413 Too Large", b"big"), Refused, ["too large", "store less"], id="413"),
    pytest.param(
        _answer("429 Slow Down", b"rate limit"), Unavailable, ["429", "rate limit"], id="429"
    ),
    pytest.param(
        _answer("500 Error", b"No cluster leader"), Unavailable, ["500", "list-peers"], id="500"
    ),
    pytest.param(_answer("503 Away", LOGIN), Unavailable, ["503", "Sign in"], id="503"),
    pytest.param(
        _answer("403 Forbidden", b"Permission denied"),
        PermissionDenied,
        ["Permission denied", 'session_prefix "" { policy = "write" }'],
        id="403",
    ),
    pytest.param(
        _answer("400 Bad", b"Client sent an HTTP request to an HTTPS server.\n"),
        ConfigError,
        ["speaks TLS", "https://"],
        id="http to https",
    ),
]


@pytest.mark.parametrize("answer, kind, words", WHOLE)
def test_an_answer_that_is_no_success_says_what_it_is(
    attempt: Attempt, answer: bytes, kind: type[ConsulLockError], words: list[str]
) -> None:
    """The blame is in the class; the text has what came, and what to do."""
    with scripted_server(always(answer)) as server, pytest.raises(kind) as caught:
        attempt(f"http://{server.address}")
    assert type(caught.value) is kind
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    "answer, uncertain",
    [
        (_answer("500 Error", b"No cluster leader"), False),
        (_answer("500 Error", b"rpc error making call: EOF"), True),
        (_answer("500 Error", b"raft apply failed: node is not the leader"), False),
        (_answer("500 Error", b"raft apply failed: leadership lost while committing log"), True),
        (_answer("503 Away"), True),
        (_answer("429 Slow Down"), False),
    ],
    ids=["no leader", "rpc error", "newer: no leader", "newer: lost", "503", "429"],
)
def test_an_error_says_whether_it_may_have_been_done(
    attempt: Attempt, answer: bytes, uncertain: bool
) -> None:
    """Only where Consul says for certain that nothing was carried out it is not in doubt."""
    with scripted_server(always(answer)) as server, pytest.raises(Unavailable) as caught:
        attempt(f"http://{server.address}")
    assert caught.value.uncertain is uncertain
    assert caught.value.status == int(answer.split()[1])


@pytest.mark.parametrize(
    "header, seconds",
    [("Retry-After: 7", 7.0), ("Retry-After: 86400", 60.0), ("Retry-After: soon", None)],
    ids=["seconds", "a day", "no number"],
)
@pytest.mark.parametrize("status", ["429 Slow Down", "503 Away"])
def test_a_limit_says_when_to_come_back(
    attempt: Attempt, status: str, header: str, seconds: float | None
) -> None:
    """Retry-After is on the error, at most a minute of it."""
    with (
        scripted_server(always(_answer(status, b"limit", header))) as server,
        pytest.raises(Unavailable) as caught,
    ):
        attempt(f"http://{server.address}")
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n[]",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n[]\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n[]",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        bytes(range(256)),
    ],
    ids=["nothing", "head", "length", "chunk", "bad chunk", "bad length", "ssh", "garbage"],
)
def test_an_answer_cut_short_is_never_taken_for_a_whole_one(
    attempt: Attempt, answer: bytes
) -> None:
    """Unavailable, of an unknown outcome: the request may have been carried out."""
    with (
        scripted_server(always(answer, then_close=True)) as server,
        pytest.raises(Unavailable) as caught,
    ):
        attempt(f"http://{server.address}")
    assert caught.value.uncertain
    assert caught.value.status is None
    assert server.address in str(caught.value)


def test_an_answer_that_never_comes_ends_with_the_request_timeout(attempt: Attempt) -> None:
    """A frozen agent accepts and is silent."""
    with (
        scripted_server(lambda message: iter(())) as server,
        pytest.raises(Unavailable, match=r"within 1\.5 s"),
    ):
        attempt(f"http://{server.address}", request_timeout=1.5)


def test_nobody_listens(attempt: Attempt) -> None:
    """Nothing was sent, so nothing is in doubt; the text says where it was sought."""
    with scripted_server(always(b"")) as server:
        place = server.address
    with pytest.raises(Unavailable, match="CONSUL_HTTP_ADDR") as caught:
        attempt(f"http://{place}")
    assert place in str(caught.value)
    assert not caught.value.uncertain


def _chunked(status: int, body: bytes, index: str) -> Iterator[bytes]:
    yield f"HTTP/1.1 {status} x\r\nX-Consul-Index: {index}\r\n".encode()
    yield b"Transfer-Encoding: chunked\r\n\r\n"
    for start in range(0, len(body), 7):
        part = body[start : start + 7]
        yield f"{len(part):x};note=1\r\n".encode() + part + b"\r\n"
    yield b"0\r\nTrailer: 1\r\n\r\n"


def _dripping(status: int, body: bytes, index: str) -> Iterator[bytes]:
    head = f"HTTP/1.1 {status} x\r\nX-Consul-Index: {index}\r\nContent-Length: {len(body)}\r\n\r\n"
    return (bytes([byte]) for byte in head.encode() + body)


def _announcing_its_end(status: int, body: bytes, index: str) -> Iterator[bytes]:
    head = f"HTTP/1.1 {status} x\r\nConnection: close\r\nX-Consul-Index: {index}\r\n"
    yield f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    raise ConnectionAbortedError


def _ending_with_the_connection(status: int, body: bytes, index: str) -> Iterator[bytes]:
    yield f"HTTP/1.0 {status} x\r\nX-Consul-Index: {index}\r\n\r\n".encode() + body
    raise ConnectionAbortedError


@pytest.mark.parametrize(
    "write", [_chunked, _dripping, _announcing_its_end, _ending_with_the_connection]
)
def test_a_good_answer_is_understood_in_every_form(
    attempt: Attempt, served: ServedWorld, write: Any
) -> None:
    """Chunked, byte by byte, on closing connections, and as HTTP/1.0 has it.  Nothing compressed is
    asked for, so a proxy that would compress does not."""
    with scripted_server(through(served.address, write)) as server:
        attempt(f"http://{server.address}", rounds=3)
        assert server.requests
        assert not any("accept-encoding" in request.headers for request in server.requests)
