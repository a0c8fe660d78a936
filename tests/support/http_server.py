"""A server that is no Consul, or a broken one: it answers what a function says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Asked(NamedTuple):
    """A request that came."""

    method: str
    path: str
    """With the query."""
    body: bytes


class Said(NamedTuple):
    """The answer to give."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


class Canned:
    """A server on loopback; ``asked`` is what came so far."""

    def __init__(self, answer: Callable[[Asked], Said]) -> None:
        self.asked: list[Asked] = []
        canned = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                asked = Asked(self.command, self.path, body)
                canned.asked.append(asked)
                said = answer(asked)
                self.send_response(said.status)
                for name, value in said.headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(said.body)))
                self.end_headers()
                self.wfile.write(said.body)

            do_PUT = do_DELETE = do_POST = do_GET  # noqa: N815 - named by the standard library

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def address(self) -> str:
        """Where it listens: "127.0.0.1:<port>"."""
        return f"127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def canned(answer: Callable[[Asked], Said] | Said) -> Iterator[Canned]:
    """A server that gives these answers, or always this one."""
    server = Canned((lambda _: answer) if isinstance(answer, Said) else answer)
    try:
        yield server
    finally:
        server.close()
