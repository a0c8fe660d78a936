"""What a search of the fuzzer begins with: good answers and documents, and known bad ones."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.faults.foreign_values import VALUES
from tests.fuzz.targets import SESSION
from tests.support.hostile_answers import REFUSALS

_OK = b"HTTP/1.1 200 OK\r\nX-Consul-Index: 7\r\n"
_HTTP = (
    _OK + b"Content-Length: 2\r\n\r\n[]",
    _OK + b"Transfer-Encoding: chunked\r\n\r\n2;a=b\r\n[]\r\n0\r\nT: 1\r\n\r\n",
    _OK + b"Connection: close\r\n\r\n[]",
    b"HTTP/1.0 404 None\r\nA: b\r\n c\r\n\r\nx",
    b"HTTP/1.1 100 Continue\r\n\r\n" + _OK + b"Content-Length: 2\r\n\r\n[]",
    b"HTTP/1.1 204 None\r\nContent-Length: 2\r\n\r\n" + _OK + b"Content-Length: 0\r\n\r\n",
)
_PAIR = {
    "LockIndex": 1, "Key": "k", "Flags": 3, "Value": "eA==", "Session": SESSION,
    "CreateIndex": 3, "ModifyIndex": 5,
}  # fmt: skip
_SESSION = {
    "ID": SESSION, "Name": "n", "Node": "n", "LockDelay": 15e9, "Behavior": "release",
    "TTL": "10s", "NodeChecks": ["serfHealth"], "ServiceChecks": [{"ID": "web"}],
}  # fmt: skip
_ANSWERS = (
    [_PAIR], [_SESSION], {"ID": SESSION}, True,
    {"Results": [{"KV": _PAIR}], "Errors": None},
    {"Results": None, "Errors": [{"OpIndex": 0, "What": "invalid session"}]},
)  # fmt: skip
_HOLDER = {"v": 1, "since": 1.5, "host": "h", "pid": 1, "user": "u", "command": "c", "meta": {}}
_RECORD = {
    "v": 1, "slot": 3600, "state": "done", "attempt": 1, "claim": "c", "host": "h", "pid": 1,
    "session": SESSION, "token": 7, "schedule": "", "overlaps": 0, "overlapped": "", "offset": 0.0,
    "every": 3600.0, "claimed_at": 3600.0, "started_at": 3601.0, "finished_at": 3602.0,
    "runtime": 1.0, "exit": 0, "paused": {"by": "b", "at": 1.0, "until": None, "reason": "r"},
    "changed": {"what": "w", "by": "b", "at": 1.0}, "skipped": [{"slot": "x", "why": "w"}],
    "history": [
        {"slot": 1, "attempt": 1, "state": "lost", "host": "h", "claim": "c", "claimed_at": 1.0,
         "runtime": None, "exit": None},
    ],
}  # fmt: skip
_VALUES = (
    _HOLDER, {**_HOLDER, "handed": True, "next": [[SESSION, "{}", 7]], "token": 3},
    {"Limit": 2, "Holders": {SESSION: True}}, {"Holders": {SESSION: {"mode": "read"}}},
    {**_HOLDER, "claim": {"mode": "write", "places": 1, "of": SESSION, "n": 1}, "in": True},
    {"host": "h", "user": "u", "reason": "r", "at": 1.0}, _RECORD,
)  # fmt: skip


def seeds(target: str) -> Iterator[bytes]:
    """For the target of this name."""
    if target == "http":
        for stream in (*_HTTP, *REFUSALS.values()):
            yield b"\x02" + stream[:2000]
    elif target == "answers":
        for document in _ANSWERS:
            yield b"\0" + json.dumps(document).encode()
            yield b"\3" + json.dumps(document).encode()
    else:
        for document in _VALUES:
            yield json.dumps(document).encode()
        yield from (value[:2000] for value in VALUES.values())
