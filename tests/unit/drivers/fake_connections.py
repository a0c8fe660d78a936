"""Connections that a test makes, and their clock."""

from __future__ import annotations

from typing import Any

from consul_lock._drivers.http_reader import Answer
from consul_lock._protocol.flow import Reply, Request


class FakeConnection:
    """A connection that sends nothing, and remembers what became of it."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.closed = self.aborted = self.ended_by_server = self.surplus = False

    def __repr__(self) -> str:
        return f"connection {self.name}"

    def stale(self) -> bool:
        return self.ended_by_server

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.closed = True


class FakeClock:
    """A clock that stands still unless a test moves it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def request(path: str = "/v1/kv/a", method: str = "PUT", **options: Any) -> Request:
    """One whose result is its path, the body of the answer, and when it was sent."""

    def parse(reply: Reply) -> Any:
        return path, reply.body, reply.sent

    return Request(method, path, (), None, parse, **options)


def answer(body: bytes = b"true", status: int = 200, *, keep: bool = True) -> Answer:
    return Answer(status, {}, body, keep)
