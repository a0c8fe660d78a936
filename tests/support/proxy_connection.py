"""A client's connection to the proxy, and the one behind it."""

from __future__ import annotations

import select
import socket

from tests.support.http_messages import Closed, Message, Stream


class Connection:
    """One connection on each side.  The one behind is made for the first request."""

    def __init__(self, client: socket.socket, upstream: tuple[str, int]) -> None:
        self._client = Stream(client)
        self._where = upstream
        self._server: Stream | None = None

    def next_request(self) -> Message:
        """Wait for a request; raises Closed also if the server hangs up while idle."""
        if not self._client.buffered:
            self._wait(self._client.sock, self._server.sock if self._server else None)
        return self._client.read_request()

    def forward(self, request: Message, method: str, *, watch_client: bool) -> Message:
        """Send it on and return the answer; raises Closed if the client goes away meanwhile."""
        server = self._connected()
        server.sock.sendall(request.raw)
        self._wait(server.sock, self._client.sock if watch_client else None)
        return server.read_answer(method)

    def answer(self, raw: bytes) -> None:
        """Send it to the client."""
        self._client.sock.sendall(raw)

    def client_gone(self) -> bool:
        """Whether the client has hung up."""
        poll = select.poll()
        poll.register(self._client.sock, select.POLLRDHUP)
        return bool(poll.poll(0))

    def hang_up(self) -> None:
        """End both sides; threads that wait for them get Closed."""
        hang_up(self._client.sock)
        if self._server is not None:
            hang_up(self._server.sock)

    def close(self) -> None:
        """Hang up and give the sockets back.  Only for the thread that serves them."""
        self.hang_up()
        self._client.sock.close()
        if self._server is not None:
            self._server.sock.close()

    def _wait(self, wanted: socket.socket, other: socket.socket | None) -> None:
        """Wait for bytes from one side; raises Closed if it is the other one that ends."""
        poll = select.poll()  # not select.select, which knows 1024 descriptors only
        poll.register(wanted, select.POLLIN)
        if other is not None:
            poll.register(other, select.POLLRDHUP)
        ready = dict(poll.poll())
        if wanted.fileno() not in ready:
            raise Closed

    def _connected(self) -> Stream:
        if self._server is None:
            sock = socket.create_connection(self._where, timeout=5.0)
            sock.settimeout(None)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._server = Stream(sock)
        return self._server


def hang_up(sock: socket.socket) -> None:
    """Wake the threads that read from it, which closing alone would not."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # never connected, or closed by the other side
