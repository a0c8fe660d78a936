"""A server that is no Consul, or a broken one: it answers what a script says, byte for byte."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from urllib.parse import urlsplit

from tests.support.http_messages import Answer, Closed, Message, Stream

Script = Callable[[Message], Answer | Iterator[bytes] | None]
"""What to send for a request: an answer, or its bytes, piece by piece; after None the connection is
closed."""


class Reset(Exception):
    """To be raised by a script: the connection is reset, and not ended in order."""


class ScriptedServer:
    """Listens on loopback at ``address``, a host and a port; ``accepted`` counts connections, and
    ``requests`` are what came so far.  With a ``context`` it speaks TLS."""

    def __init__(self, script: Script, context: ssl.SSLContext | None = None) -> None:
        self._script = script
        self._context = context
        self.requests: list[Message] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.accepted = 0
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.add(client)
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                if self._context is None:
                    self._talk(client)
                else:
                    with self._context.wrap_socket(client, server_side=True) as wrapped:
                        self._talk(wrapped)
            except (Closed, OSError):
                pass  # the client is gone, which ends its connection
            finally:
                self._open.discard(client)

    def _talk(self, client: socket.socket) -> None:
        stream = Stream(client)
        while True:
            message = stream.read_request()
            self.requests.append(message)
            answer = self._script(message)
            if answer is None:
                return
            try:
                for part in [answer.encode()] if isinstance(answer, Answer) else answer:
                    client.sendall(part)
            except Reset:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return

    def close(self) -> None:
        """Stop listening, and hang up."""
        for sock in (self._listener, *list(self._open)):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # closed already
        self._acceptor.join(10)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)


@contextmanager
def scripted_server(
    script: Script | Answer, context: ssl.SSLContext | None = None
) -> Iterator[ScriptedServer]:
    """A server for the length of a block, which does what a script says, or always gives this
    answer."""
    server = ScriptedServer((lambda _: script) if isinstance(script, Answer) else script, context)
    try:
        yield server
    finally:
        server.close()


def always(answer: bytes, *, then_close: bool = False) -> Script:
    """The same bytes for every request."""
    ended: list[bool] = []

    def script(message: Message) -> Iterator[bytes] | None:
        if then_close and ended:
            return None
        ended.append(True)
        return _then_end(answer) if then_close else iter([answer])

    return script


def _then_end(answer: bytes) -> Iterator[bytes]:
    yield answer
    raise Closed


def through(address: str, write: Callable[[int, bytes, str], Iterator[bytes]]) -> Script:
    """Ask a real server, and ``write(status, body, index)`` its answer in another form."""

    def script(message: Message) -> Iterator[bytes]:
        method, path, _ = message.start.split(" ", 2)
        connection = HTTPConnection(urlsplit(address).netloc, timeout=30)
        connection.request(method, path, message.body)
        answer = connection.getresponse()
        body, index = answer.read(), answer.getheader("X-Consul-Index") or "1"
        connection.close()
        return write(answer.status, body, index)

    return script
