"""Reads HTTP/1.1 answers off a socket: enough of the protocol for Consul, and for its proxies.

Both transfer forms (Content-Length, chunked) and bodies that end with the connection.  An
answer cut short is never mistaken for a whole one: `ClosedBeforeAnswer` says that the peer had
closed the idle connection (not one byte came), `CutShort` that the end came in the middle.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

HEAD_LIMIT = 64 * 1024  # Go's default is 1 MB for requests; Consul's answers have some 300 bytes.
CHUNK = 64 * 1024  # One recv holds any answer of a lock; long listings take several.
NO_BODY = frozenset((204, 304))


class ClosedBeforeAnswer(ConnectionError):
    """The connection ended before the first byte of the answer."""


class CutShort(ConnectionError):
    """The connection ended in the middle of an answer, or what came is no HTTP answer."""


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    """Names in lower case; of a repeated header the last one counts."""
    body: bytes
    keep: bool
    """Whether the connection can be used again."""


class Reader:
    """``recv`` is the socket's; it returns b"" at the end and raises TimeoutError in its time."""

    def __init__(self, recv: Callable[[int], bytes]) -> None:
        self._recv = recv
        self._buffer = b""

    def read(self) -> Answer:
        """The next answer.  After any exception the connection must be closed."""
        if not self._buffer:
            self._buffer = self._recv(CHUNK)
            if not self._buffer:
                raise ClosedBeforeAnswer("the connection was closed before an answer came")
        try:
            return self._answer()
        except (ValueError, IndexError) as error:
            raise CutShort(f"this is no HTTP/1.1 answer: {error}") from error

    def _answer(self) -> Answer:
        first, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, status = first.split(" ", 2)[:2]
        if not version.startswith("HTTP/1."):
            raise ValueError("it does not begin with HTTP/1")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        keep = version != "HTTP/1.0" and headers.get("connection", "").lower() != "close"
        if "chunked" in headers.get("transfer-encoding", "").lower():
            body = self._chunked()
        elif (length := headers.get("content-length")) is not None:
            body = self._exactly(int(length))
        elif int(status) in NO_BODY:
            body = b""
        else:
            body, keep = self._rest(), False
        return Answer(int(status), headers, body, keep)

    def _chunked(self) -> bytes:
        parts = []
        while size := int(self._until(b"\r\n").partition(b";")[0], 16):
            parts.append(self._exactly(size))
            self._until(b"\r\n")
        while self._until(b"\r\n"):  # Trailers, of which Consul sends none.
            pass
        return b"".join(parts)

    def _until(self, end: bytes) -> bytes:
        while (at := self._buffer.find(end)) < 0:
            if len(self._buffer) > HEAD_LIMIT:
                raise ValueError(f"more than {HEAD_LIMIT} bytes of headers")
            self._buffer += self._more()
        found, self._buffer = self._buffer[:at], self._buffer[at + len(end) :]
        return found

    def _exactly(self, size: int) -> bytes:
        if size < 0:
            raise ValueError("a negative length")
        if len(self._buffer) < size:
            parts, have = [self._buffer], len(self._buffer)
            while have < size:
                parts.append(self._more())
                have += len(parts[-1])
            self._buffer = b"".join(parts)
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def _rest(self) -> bytes:
        parts, self._buffer = [self._buffer], b""
        while part := self._recv(CHUNK):
            parts.append(part)
        return b"".join(parts)

    def _more(self) -> bytes:
        part = self._recv(CHUNK)
        if not part:
            raise CutShort("the connection was closed in the middle of an answer")
        return part
