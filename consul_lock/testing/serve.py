"""A world on loopback HTTP, in real time."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Mapping
from http.client import responses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl

from consul_lock._protocol.flow import Reply, Request
from consul_lock.testing.world import Exchange, World

_TICK = 0.05
"""Seconds between two looks at the clock when nothing is due: a test may move the world's time,
or cause something, behind the back of the ticker."""
_LISTEN = 0.5
"""Seconds between two looks whether a client that waits for a blocking query is still there."""


def serve(world: World | None = None, *, host: str = "127.0.0.1", port: int = 0) -> ServedWorld:
    """Put ``world`` (default: a new one) on HTTP, and let its time run as the real time does.

    ``port`` 0 takes a free one.  Close what is returned, or use it as a context manager.
    """
    return ServedWorld(World() if world is None else world, host, port)


class ServedWorld:
    """A `World` behind an HTTP server.

    ``address`` is its base URL, ``world`` the world, which may be used directly all the while:
    to make checks critical, to hold an election, or to move its time further ahead.
    """

    def __init__(self, world: World, host: str, port: int) -> None:
        self.world = world
        self._clock = time.monotonic()
        self._clock_lock = Lock()
        self._closed = Event()
        self._sooner = Event()
        self._http = _Server((host, port), self)
        self.address = f"http://{host}:{self._http.server_address[1]}"
        self._threads = [
            Thread(target=self._http.serve_forever, args=(0.05,), daemon=True, name="world-http"),
            Thread(target=self._tick, daemon=True, name="world-ticker"),
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop, and cut all connections."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._sooner.set()
        self._http.shutdown()
        self._http.server_close()
        self._http.hang_up()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> ServedWorld:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def submit(self, request: Request, gone: Callable[[], bool]) -> Reply | None:
        """The answer to ``request``, when it is there; None if the client was ``gone`` first."""
        self._catch_up()
        exchange = self.world.submit(request)
        if exchange.reply is not None:
            return exchange.reply
        return self._wait(exchange, gone)

    def _wait(self, exchange: Exchange, gone: Callable[[], bool]) -> Reply | None:
        answered = Event()
        exchange.done = answered.set
        self._sooner.set()  # It may end before what the ticker waits for.
        while exchange.reply is None and not answered.wait(_LISTEN):
            if self._closed.is_set() or gone():
                exchange.cancel()
                break
        return exchange.reply

    def _catch_up(self) -> None:
        with self._clock_lock:
            now = time.monotonic()
            self.world.advance(now - self._clock)
            self._clock = now

    def _tick(self) -> None:
        while not self._closed.is_set():
            self._catch_up()
            due = self.world.next_event()
            pause = _TICK if due is None else min(_TICK, max(0.0, due - self.world.now))
            # A pause of nothing would spin on a clock that is coarser than the event's time.
            self._sooner.wait(max(pause, 0.001))
            self._sooner.clear()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], served: ServedWorld) -> None:
        self.served = served
        self._connections: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""

    def hang_up(self) -> None:
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # It is closed already.


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        if "transfer-encoding" in self.headers:
            # Consul ignores such a body in places; the model does not go there.
            self.close_connection = True
            self._write(411, {}, b"")
            return
        path, _, query = self.path.partition("?")
        params = tuple(parse_qsl(query, keep_blank_values=True)) if query else ()
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length) if length else b""
        request = Request(self.command, path, params, body, lambda reply: reply)
        reply = self.server.served.submit(request, self._gone)
        if reply is None:
            self.close_connection = True
            return
        self._write(reply.status, reply.headers, reply.body)

    def _gone(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)

    def _write(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        lines = [f"HTTP/1.1 {status} {responses.get(status, 'Unknown')}"]
        lines += [f"{name.title()}: {value}" for name, value in headers.items()]
        lines.append(f"Content-Length: {len(body)}")
        if self.close_connection:
            lines.append("Connection: close")
        head = "\r\n".join(lines) + "\r\n\r\n"
        # One write: two of them would make TCP wait for the first's acknowledgement.
        self.wfile.write(head.encode("latin-1") + (b"" if self.command == "HEAD" else body))
