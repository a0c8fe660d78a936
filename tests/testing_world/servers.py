"""The two ways to a server: over HTTP, and straight into a World."""

from __future__ import annotations

import http.client
import time
from threading import Event, Thread
from urllib.parse import parse_qsl

from consul_lock._protocol.flow import Request
from consul_lock.testing import Exchange, World
from tests.testing_world.transcript import Said


def request(method: str, target: str, body: bytes | None = None) -> Request:
    """The Request for a target as it stands in the first line of HTTP."""
    path, _, query = target.partition("?")
    params = tuple(parse_qsl(query, keep_blank_values=True))
    return Request(method, path, params, body, lambda reply: reply)


class _Open:
    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    def poll(self) -> Said | None:
        reply = self.exchange.reply
        return None if reply is None else Said(reply.status, dict(reply.headers), reply.body)


class WorldLine:
    """Straight into a World; time passes only in `pause`."""

    def __init__(self, world: World) -> None:
        self.world = world

    def ask(self, method: str, target: str, body: bytes | None) -> Said:
        said = self.begin(method, target, body).poll()
        assert said is not None, f"{method} {target} blocks"
        return said

    def begin(self, method: str, target: str, body: bytes | None) -> _Open:
        return _Open(self.world.submit(request(method, target, body)))

    def now(self) -> float:
        return self.world.now

    def pause(self) -> None:
        self.world.advance(0.02)


class _Background:
    def __init__(self, line: HttpLine, method: str, target: str, body: bytes | None) -> None:
        self._said: Said | None = None
        self._sent = Event()
        self._thread = Thread(target=self._run, args=(line, method, target, body), daemon=True)
        self._thread.start()
        self._sent.wait(10)

    def _run(self, line: HttpLine, method: str, target: str, body: bytes | None) -> None:
        connection = line.connect()
        try:
            # The server has begun to serve this connection before what counts is sent on it.
            connection.request("GET", "/v1/status/leader")
            connection.getresponse().read()
            connection.request(method, target, body)
            self._sent.set()
            self._said = _said(connection.getresponse())
        finally:
            connection.close()

    def poll(self) -> Said | None:
        if self._said is None:
            assert self._thread.is_alive(), "the request failed"
        return self._said


class HttpLine:
    """Over HTTP, to a real agent or to a World that is served; ``consul`` is its release."""

    def __init__(self, address: str, consul: str = "") -> None:
        self.consul = consul
        self._host = address.removeprefix("http://")
        self._connection = self.connect()
        self._tick = Event()

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._host, timeout=60)

    def ask(self, method: str, target: str, body: bytes | None) -> Said:
        self._connection.request(method, target, body)
        return _said(self._connection.getresponse())

    def begin(self, method: str, target: str, body: bytes | None) -> _Background:
        return _Background(self, method, target, body)

    def now(self) -> float:
        return time.monotonic()

    def pause(self) -> None:
        self._tick.wait(0.02)

    def close(self) -> None:
        self._connection.close()


def _said(response: http.client.HTTPResponse) -> Said:
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Said(response.status, headers, response.read())
