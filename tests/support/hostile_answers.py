"""Answers that no agent gives, as data: what a request gets once, and whether it was carried out.

`REFUSALS` come from something in front of Consul, which has not seen the request.  `ALTERED` are
Consul's own answers to what it has carried out, changed on their way.
"""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from hypothesis import strategies as st

from consul_lock._protocol.flow import Reply, Request
from consul_lock.testing import World
from tests.support.altered_documents import altered
from tests.support.http_messages import Closed, Message
from tests.support.scripted_server import Reset, Script

HTML = b"<!DOCTYPE html><html><title>Sign in</title><h1>\x1b[2J Welcome"


class Answered(NamedTuple):
    """An answer of Consul before it is put on the wire."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def wire(status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> bytes:
    """The bytes of an answer, with its length."""
    lines = [f"HTTP/1.1 {status} Status"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


REFUSALS: dict[str, bytes] = {
    "200 with a page": wire(200, {"Content-Type": "text/html"}, HTML),
    "200 with nothing": wire(200),
    "204": wire(204),
    "206": wire(206, {}, b"[]"),
    "301": wire(301, {"Location": "/ui/"}),
    "302": wire(302, {"Location": "https://login.example/\x1b[2J"}, HTML),
    "307": wire(307),
    "304": b"HTTP/1.1 304 Not Modified\r\n\r\n",
    "401": wire(401, {"WWW-Authenticate": "Basic"}, HTML),
    "403": wire(403, {}, HTML),
    "403 of an agent": wire(403, {}, b"Permission denied"),
    "404": wire(404, {}, HTML),
    "404 with an index": wire(404, {"X-Consul-Index": "x"}),
    "405": wire(405, {"Allow": "GET"}),
    "408": wire(408, {"Connection": "close"}, b"Request Timeout"),
    "409": wire(409, {}, HTML),
    "409 of nothing": wire(409, {}, b'{"Results": null, "Errors": null}'),
    "409 of wrong types": wire(409, {}, b'{"Errors": [{"OpIndex": "x", "What": 5}]}'),
    "409 of a list": wire(409, {}, b"[5]"),
    "413": wire(413, {}, HTML),
    "418": wire(418),
    "429": wire(429, {}, b"rate limit exceeded"),
    "429 with a pause": wire(429, {"Retry-After": "0"}, b"rate limit exceeded"),
    "429 with nonsense": wire(429, {"Retry-After": "-5"}, HTML),
    "429 for connections": wire(429, {}, b"Your IP is issuing too many concurrent connections"),
    "500": wire(500, {}, b"rpc error making call: \x1b[2J\xff"),
    "500 without a leader": wire(500, {}, b"No cluster leader"),
    "501": wire(501, {}, HTML),
    "502": wire(502, {}, HTML),
    "503": wire(503, {"Retry-After": "Sun, 29 Nov 2026 19:45:01 GMT"}, HTML),
    "504": wire(504),
    "599": wire(599),
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "http/0.9": b"<html>hello\r\n\r\n",
    "http/2": b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80",
    "an alert of tls": b"\x15\x03\x03\x00\x02\x02\x46",
    "null": wire(200, {}, b"null"),
    "true": wire(200, {}, b"true"),
    "a list": wire(200, {}, b"[]"),
    "a list of null": wire(200, {}, b"[null]"),
    "an object": wire(200, {}, b"{}"),
    "not a number": wire(200, {}, b"NaN"),
    "many digits": wire(200, {}, b"[" + b"9" * 5000 + b"]"),
    "nested for ever": wire(200, {}, b"[" * 100_000),
    "nested": wire(200, {}, b"[" * 600 + b"]" * 600),
    "no utf-8": wire(200, {}, b'["\xff"]'),
    "an id that is none": wire(200, {}, b'{"ID": null}'),
    "an id of a path": wire(200, {}, b'{"ID": "../../kv/x"}'),
    "carried out, of nothing": wire(200, {}, b'{"Results": null, "Errors": null}'),
    "carried out, and refused": wire(
        200, {}, b'{"Results": [], "Errors": [{"OpIndex": 0, "What": "no"}]}'
    ),
}

Alter = Callable[[Answered, bytes], Iterator[bytes]]
"""The bytes to send in place of an answer, given the one before it; `Reset` or `Closed` ends it."""


def _cut(answer: Answered, _: bytes) -> Iterator[bytes]:
    whole = wire(*answer)
    yield whole[: len(whole) - 1 - len(answer.body) // 2]
    raise Closed


def _reset(answer: Answered, _: bytes) -> Iterator[bytes]:
    yield wire(*answer)[:-1]
    raise Reset


def _reset_at_once(answer: Answered, _: bytes) -> Iterator[bytes]:
    yield b""
    raise Reset


def _doubled(answer: Answered, _: bytes) -> Iterator[bytes]:
    yield wire(*answer) * 2


def _before(_: Answered, before: bytes) -> Iterator[bytes]:
    yield before


def _compressed(answer: Answered, _: bytes) -> Iterator[bytes]:
    body = gzip.compress(answer.body)
    yield wire(answer.status, {**answer.headers, "Content-Encoding": "gzip"}, body)


def _closing(answer: Answered, _: bytes) -> Iterator[bytes]:
    yield wire(answer.status, {**answer.headers, "Connection": "close"}, answer.body)
    raise Closed


def _interim(answer: Answered, _: bytes) -> Iterator[bytes]:
    yield b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    yield wire(*answer)


def _other_index(index: str | None) -> Alter:
    def alter(answer: Answered, _: bytes) -> Iterator[bytes]:
        headers = {k: v for k, v in answer.headers.items() if k.lower() != "x-consul-index"}
        yield wire(
            answer.status,
            headers if index is None else {**headers, "X-Consul-Index": index},
            answer.body,
        )

    return alter


def _changed(change: Callable[[str, Any], Any]) -> Alter:
    """Each field of the document, its name and value, becomes what ``change`` says."""

    def changed(name: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {k: changed(k, v) for k, v in value.items()}
        if isinstance(value, list):
            return [changed(name, item) for item in value]
        return change(name, value)

    def alter(answer: Answered, _: bytes) -> Iterator[bytes]:
        try:
            document = json.loads(answer.body)
        except ValueError:
            document = None
        yield wire(answer.status, answer.headers, json.dumps(changed("", document)).encode())

    return alter


def _field(field: str, value: Any) -> Alter:
    return _changed(lambda name, old: value if name == field else old)


ALTERED: dict[str, Alter] = {
    "cut": _cut,
    "reset": _reset,
    "reset at once": _reset_at_once,
    "doubled": _doubled,
    "the answer before it": _before,
    "compressed": _compressed,
    "closing": _closing,
    "after an interim answer": _interim,
    "no index": _other_index(None),
    "a lower index": _other_index("1"),
    "a negative index": _other_index("-7"),
    "a higher index": _other_index("99999999999"),
    "an index beyond all": _other_index("9" * 30),
    "an index that is none": _other_index("1_0"),
    "numbers as text": _changed(lambda _, old: str(old) if type(old) is int else old),
    "text as numbers": _changed(lambda _, old: 5 if isinstance(old, str) else old),
    "nothing but null": _changed(lambda _, old: None),
    "numbers with a fraction": _changed(lambda _, old: old + 0.5 if type(old) is int else old),
    "negative numbers": _changed(lambda _, old: -old if type(old) is int else old),
    "numbers beyond all": _changed(lambda _, old: 10**400 if type(old) is int else old),
    "halves of characters": _changed(lambda _, old: "\ud800" if isinstance(old, str) else old),
    "sessions null": _field("Session", None),
    "another session": _field("Session", "3f1c0b2e-0000-4000-8000-000000000000"),
    "another key": _field("Key", "another/key"),
    "another id": _field("ID", "3f1c0b2e-0000-4000-8000-000000000000"),
    "a value that is no base64": _field("Value", "!"),
    "flags out of range": _field("Flags", 2**64),
    "a negative lock index": _field("LockIndex", -1),
}


def once(world: World, at: int, case: str) -> Script:
    """Consul, but for the request number ``at``, which gets the answer of this case."""
    count, before = 0, wire(200, {}, b"true")

    def script(message: Message) -> Iterator[bytes]:
        nonlocal count, before
        count += 1
        if count - 1 == at and case in REFUSALS:
            yield REFUSALS[case]
            return
        answer = forward(world, message)
        whole, last = wire(*answer), before
        before = whole
        if count - 1 == at:
            yield from ALTERED[case](answer, last)
        else:
            yield whole

    return script


def changed(world: World, at: int, made: bytes) -> Script:
    """Consul, but for the answer to the request number ``at``, which is carried out."""
    count = itertools.count()

    def script(message: Message) -> Iterator[bytes]:
        number, answer = next(count), forward(world, message)
        yield made if number == at else wire(*answer)

    return script


def recorded(world: World, found: list[Answered]) -> Script:
    """Consul, whose answers are added to ``found``."""

    def script(message: Message) -> Iterator[bytes]:
        found.append(forward(world, message))
        yield wire(*found[-1])

    return script


_STATUSES = (200, 200, 200, 200, 409, 404, 500, 403, 429)
_INDEXES = ("7", "1", "0", "-7", "99999999999", "x", "")


@st.composite
def answers(draw: Any, good: Answered) -> bytes:
    """A good answer with another document, and perhaps another status and index."""
    try:
        document = json.loads(good.body)
    except ValueError:
        document = None
    body = json.dumps(draw(altered(document))).encode()
    if draw(st.booleans()):
        return wire(good.status, good.headers, body)
    index = draw(st.sampled_from(_INDEXES))
    headers = {"X-Consul-Index": index} if index else {}
    return wire(draw(st.sampled_from(_STATUSES)), headers, body)


def forward(world: World, message: Message) -> Answered:
    """What the model of Consul answers."""
    path, _, query = message.path.partition("?")
    asked = parse_qsl(query, keep_blank_values=True) if query else []
    # Nothing waits here: a blocking read shows at once what there is.
    params = tuple((name, value) for name, value in asked if name not in ("index", "wait"))
    request = Request(message.method, path, params, message.body or None, lambda reply: reply)
    reply: Reply | None = world.submit(request).reply
    assert reply is not None
    return Answered(reply.status, reply.headers, reply.body)
