"""Read whole HTTP/1.1 messages from a socket, byte for byte."""

from __future__ import annotations

import json
import socket
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """An HTTP answer.  The names of ``headers`` are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    def encode(self) -> bytes:
        """The bytes of this answer on a kept-alive connection."""
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _FRAMING}
        lines = [f"HTTP/1.1 {self.status} Status", *(f"{k}: {v}" for k, v in headers.items())]
        head = "\r\n".join([*lines, f"Content-Length: {len(self.body)}", "", ""])
        return head.encode("latin-1") + self.body


_FRAMING = ("content-length", "transfer-encoding")


class Message(NamedTuple):
    """A request or an answer: its first line, its headers, and its exact bytes."""

    start: str
    headers: dict[str, str]
    body: bytes
    raw: bytes

    @property
    def method(self) -> str:
        """Of a request."""
        return self.start.split(" ")[0]

    @property
    def path(self) -> str:
        """Of a request, with its query."""
        return self.start.split(" ")[1]


class Closed(Exception):
    """The other side closed the connection, in the middle of a message or before one."""


class Stream:
    """Messages from one socket.  ``buffered`` says whether bytes of the next one are here."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._buffer = bytearray()

    @property
    def buffered(self) -> bool:
        return bool(self._buffer)

    def read_request(self) -> Message:
        """The next request; raises Closed."""
        return self._message(body_without_length=False)

    def read_answer(self, method: str) -> Message:
        """The answer to a request made with ``method``; raises Closed."""
        while True:
            message = self._message(body_without_length=True, method=method)
            if message.start.split(" ")[1] != "100":
                return message

    def _message(self, *, body_without_length: bool, method: str = "") -> Message:
        head = self._until(b"\r\n\r\n")
        start, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        headers = {k.strip().lower(): v.strip() for k, _, v in (s.partition(":") for s in lines)}
        if method == "HEAD" or (method and start.split(" ")[1] in ("100", "204", "304")):
            return Message(start, headers, b"", head)
        if "chunked" in headers.get("transfer-encoding", "").lower():
            body, raw = self._chunks()
        elif "content-length" in headers:
            body = raw = self._exactly(int(headers["content-length"]))
        elif body_without_length:
            body = raw = self._rest()
        else:
            body = raw = b""
        return Message(start, headers, body, head + raw)

    def _chunks(self) -> tuple[bytes, bytes]:
        body, raw = bytearray(), bytearray()
        while True:
            line = self._until(b"\r\n")
            chunk = self._exactly(int(line.split(b";")[0], 16))
            raw += line + chunk
            body += chunk
            if chunk:
                raw += self._until(b"\r\n")
            else:
                break
        while True:  # trailers, up to an empty line
            line = self._until(b"\r\n")
            raw += line
            if line == b"\r\n":
                return bytes(body), bytes(raw)

    def _until(self, mark: bytes) -> bytes:
        while (at := self._buffer.find(mark)) < 0:
            self._more()
        return self._take(at + len(mark))

    def _exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._more()
        return self._take(count)

    def _rest(self) -> bytes:
        try:
            while True:
                self._more()
        except Closed:
            return self._take(len(self._buffer))

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def _more(self) -> None:
        try:
            data = self.sock.recv(65536)
        except OSError as error:
            raise Closed from error
        if not data:
            raise Closed
        self._buffer += data
