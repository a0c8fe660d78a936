"""Reads HTTP/1.1 answers off a socket: enough of the protocol for Consul, and for its proxies.

Both transfer forms (Content-Length, chunked) and bodies that end with the connection.  An
answer cut short is never mistaken for a whole one: `ClosedBeforeAnswer` says that the peer had
closed the idle connection (not one byte came), `CutShort` that the end came in the middle.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import lru_cache
from typing import NamedTuple, cast

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
    """Takes answers off a stream of bytes; what is read beyond the end of one is the next's."""

    def __init__(self) -> None:
        self._buffer = b""

    def read(self, recv: Callable[[int], bytes]) -> Answer:
        """The next answer; ``recv`` is a socket's, it returns b"" at the end.

        After any exception the connection must be closed.
        """
        if not self._buffer:
            self._buffer = recv(CHUNK)
        answer = self.whole()
        if answer is not None:
            return answer
        steps = self.steps()
        try:
            next(steps)
            while True:
                steps.send(recv(CHUNK))
        except StopIteration as stop:
            return cast("Answer", stop.value)

    @property
    def buffered(self) -> bool:
        """Whether bytes of the next answer are here."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> None:
        """These bytes came."""
        self._buffer += data

    def whole(self) -> Answer | None:
        """The next answer if all of it is here, and in the form of almost all; else None.

        `steps` reads it as well: this is faster.
        """
        at = self._buffer.find(b"\r\n\r\n")
        if at < 0:
            return None
        try:
            status, headers, keep = _parsed(self._buffer[:at])
            end = at + 4 + int(headers["content-length"])
        except (ValueError, LookupError):
            return None
        if not at + 4 <= end <= len(self._buffer) or "transfer-encoding" in headers:
            return None
        body, self._buffer = self._buffer[at + 4 : end], self._buffer[end:]
        return Answer(status, headers, body, keep)

    def steps(self) -> Generator[None, bytes, Answer]:
        """Read the next answer: each yield wants the bytes that come next, or b"" at the end."""
        if not self._buffer:
            raise ClosedBeforeAnswer("the connection was closed before an answer came")
        try:
            return (yield from self._answer())
        except (ValueError, IndexError) as error:
            raise CutShort(f"this is no HTTP/1.1 answer: {error}") from error

    def _answer(self) -> Generator[None, bytes, Answer]:
        status, headers, keep = _parsed((yield from self._until(b"\r\n\r\n")))
        if "chunked" in headers.get("transfer-encoding", "").lower():
            body = yield from self._chunked()
        elif (length := headers.get("content-length")) is not None:
            body = yield from self._exactly(int(length))
        elif status in NO_BODY:
            body = b""
        else:
            body, keep = (yield from self._rest()), False
        return Answer(status, headers, body, keep)

    def _chunked(self) -> Generator[None, bytes, bytes]:
        parts = []
        while size := int((yield from self._until(b"\r\n")).partition(b";")[0], 16):
            parts.append((yield from self._exactly(size)))
            yield from self._until(b"\r\n")
        while (yield from self._until(b"\r\n")):  # Trailers, of which Consul sends none.
            pass
        return b"".join(parts)

    def _until(self, end: bytes) -> Generator[None, bytes, bytes]:
        while (at := self._buffer.find(end)) < 0:
            if len(self._buffer) > HEAD_LIMIT:
                raise ValueError(f"more than {HEAD_LIMIT} bytes of headers")
            self._buffer += _more((yield))
        found, self._buffer = self._buffer[:at], self._buffer[at + len(end) :]
        return found

    def _exactly(self, size: int) -> Generator[None, bytes, bytes]:
        if size < 0:
            raise ValueError("a negative length")
        if len(self._buffer) < size:
            parts, have = [self._buffer], len(self._buffer)
            while have < size:
                parts.append(_more((yield)))
                have += len(parts[-1])
            self._buffer = b"".join(parts)
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def _rest(self) -> Generator[None, bytes, bytes]:
        parts, self._buffer = [self._buffer], b""
        while part := (yield):
            parts.append(part)
        return b"".join(parts)


@lru_cache(maxsize=16)
def _parsed(head: bytes) -> tuple[int, dict[str, str], bool]:
    """Status, headers, and whether the connection goes on.

    The answers to one thing that is done again and again have the same head, until the second of
    its date is over.  Nobody may change the headers.
    """
    first, *lines = head.decode("latin-1").split("\r\n")
    version, status = first.split(" ", 2)[:2]
    if not version.startswith("HTTP/1."):
        raise ValueError("it does not begin with HTTP/1")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    keep = version != "HTTP/1.0" and headers.get("connection", "").lower() != "close"
    return int(status), headers, keep


def _more(part: bytes) -> bytes:
    if not part:
        raise CutShort("the connection was closed in the middle of an answer")
    return part
