"""Reads HTTP/1.1 answers off a socket: enough of the protocol for Consul, and for its proxies.

Both transfer forms (Content-Length, chunked) and bodies that end with the connection.  An
answer cut short is never mistaken for a whole one: `ClosedBeforeAnswer` says that the peer had
closed the idle connection (not one byte came), `CutShort` that the end came in the middle.

What is ambiguous is refused, never guessed at: where one answer ends decides which request the
next one is for.  A lock would be believed to be held by the answer to something else.  So there is
one length, in plain digits; nothing but ``chunked`` is done to a body; a line of the head is a
name, a colon and a value.  And everything is bounded: the head, the body, the trailers, the number
of interim answers (1xx).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from functools import lru_cache
from typing import NamedTuple, cast

HEAD_LIMIT = 64 * 1024  # Go's default is 1 MB for requests; Consul's answers have some 300 bytes.
CHUNK = 64 * 1024  # One recv holds any answer of a lock; long listings take several.
NO_BODY = frozenset((204, 304))

BODY_LIMIT = 64 * 1024 * 1024
"""Bytes of a body at most.  The largest answer is a listing with the values of all its keys; at
512 KB a value this is a hundred of the largest, and some 100,000 holders of locks."""

_BEGINNING = b"HTTP/1."

# Interim answers (1xx) before the final one.  Consul sends none, a proxy one or two.
_INTERIM_MAX = 8

# The head, up to its empty line.  No whitespace before a colon: some would read
# "Content-Length : 5" as a length, others not.
_HEAD = re.compile(
    r"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: [^\r\n\0]*)?"
    r"((?:\r\n[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\0]*)*)"
)
_FOLD = re.compile(r"\r\n[ \t]+")
_WORDS = re.compile(r"[ \t]*,[ \t]*")
_FRAMING = frozenset(("content-length", "transfer-encoding"))
_LENGTH = re.compile(r"[0-9]{1,18}")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(;.*)?", re.DOTALL)


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
        # How much of it `steps` has used: to cut off each chunk would copy the rest each time.
        self._at = 0

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
        if end > len(self._buffer) or status < 200 or status in NO_BODY:
            return None
        if "transfer-encoding" in headers:
            return None
        body, self._buffer = self._buffer[at + 4 : end], self._buffer[end:]
        return Answer(status, headers, body, keep)

    def steps(self) -> Generator[None, bytes, Answer]:
        """Read the next answer: each yield wants the bytes that come next, or b"" at the end."""
        if not self._buffer:
            raise ClosedBeforeAnswer("the connection was closed before an answer came")
        self._at = 0
        try:
            answer = yield from self._answer()
        except (ValueError, IndexError) as error:
            raise CutShort(f"this is no HTTP/1.1 answer: {error}") from error
        self._buffer = self._buffer[self._at :]
        return answer

    def _answer(self) -> Generator[None, bytes, Answer]:
        status, headers, keep = yield from self._final_head()
        if status in NO_BODY:
            body = b""
        elif "transfer-encoding" in headers:
            body = yield from self._chunked()
            # With a length besides, what is between client and server may see another end.
            keep = keep and "content-length" not in headers
        elif (length := headers.get("content-length")) is not None:
            body = yield from self._exactly(_bounded(int(length)))
        else:
            body, keep = (yield from self._rest()), False
        return Answer(status, headers, body, keep)

    def _final_head(self) -> Generator[None, bytes, tuple[int, dict[str, str], bool]]:
        for _ in range(_INTERIM_MAX + 1):
            # At once, and not when the head is whole: another protocol may wait for its client.
            yield from self._begins()
            head = _parsed((yield from self._until(b"\r\n\r\n")))
            if head[0] >= 200:
                return head
            if head[0] == 101:
                raise ValueError("it changes to another protocol, which was not asked for")
        raise ValueError(f"more than {_INTERIM_MAX} interim answers")

    def _begins(self) -> Generator[None, bytes, None]:
        while True:
            found = self._buffer[self._at : self._at + len(_BEGINNING)]
            if found == _BEGINNING:
                return
            if not _BEGINNING.startswith(found):
                raise ValueError("it does not begin with HTTP/1")
            yield from self._more()

    def _chunked(self) -> Generator[None, bytes, bytes]:
        body = bytearray()  # No list: of chunks of a byte it would take many times the memory.
        while size := _chunk_size((yield from self._until(b"\r\n"))):
            _bounded(len(body) + size)
            body += yield from self._exactly(size)
            if (yield from self._exactly(2)) != b"\r\n":
                raise ValueError("a chunk is longer than its size")
        left = HEAD_LIMIT
        while trailer := (yield from self._until(b"\r\n")):  # Consul sends none.
            left -= len(trailer)
            if left < 0:
                raise ValueError(f"more than {HEAD_LIMIT} bytes of trailers")
        return bytes(body)

    def _until(self, end: bytes) -> Generator[None, bytes, bytes]:
        looked = 0
        while (found := self._buffer.find(end, self._at + looked)) < 0:
            if len(self._buffer) - self._at > HEAD_LIMIT:
                raise ValueError(f"more than {HEAD_LIMIT} bytes of headers")
            looked = max(0, len(self._buffer) - self._at - len(end) + 1)
            yield from self._more()
        part = self._buffer[self._at : found]
        self._at = found + len(end)
        return part

    def _exactly(self, size: int) -> Generator[None, bytes, bytes]:
        if len(self._buffer) - self._at < size:
            parts = [self._buffer[self._at :]]
            have = len(parts[0])
            while have < size:
                parts.append(_some((yield)))
                have += len(parts[-1])
            self._buffer, self._at = b"".join(parts), 0
        part = self._buffer[self._at : self._at + size]
        self._at += size
        return part

    def _rest(self) -> Generator[None, bytes, bytes]:
        parts, have = [self._buffer[self._at :]], len(self._buffer) - self._at
        while part := (yield):
            parts.append(part)
            have = _bounded(have + len(part))
        self._buffer, self._at = b"", 0
        return b"".join(parts)

    def _more(self) -> Generator[None, bytes, None]:
        self._buffer, self._at = self._buffer[self._at :] + _some((yield)), 0


@lru_cache(maxsize=16)
def _parsed(head: bytes) -> tuple[int, dict[str, str], bool]:
    """Status, headers, and whether the connection goes on.

    The answers to one thing that is done again and again have the same head, until the second of
    its date is over.  Nobody may change the headers.
    """
    text = head.decode("latin-1")
    found = _HEAD.fullmatch(text)
    if found is None:
        first, end, rest = text.partition("\r\n")
        found = _HEAD.fullmatch(first + end + _FOLD.sub(" ", rest))
    if found is None:
        raise ValueError(f"its head is not as it should be ({text[:40]!r})")
    version, status, lines = found.groups()
    headers = {}
    names_and_values = lines.split("\r\n")[1:]
    for line in names_and_values:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip(" \t")
    if len(headers) < len(names_and_values):
        _check_repeated(names_and_values, headers)
    length, coding = headers.get("content-length"), headers.get("transfer-encoding")
    if length is not None and not _LENGTH.fullmatch(length):
        raise ValueError(f"its length is {length[:20]!r}")
    if coding is not None and coding.lower() != "chunked":
        raise ValueError(f"its transfer coding is {coding[:20]!r}")
    closes = "connection" in headers and "close" in _WORDS.split(headers["connection"].lower())
    return int(status), headers, version != "0" and not closes


def _check_repeated(lines: list[str], headers: dict[str, str]) -> None:
    for line in lines:
        name, _, value = line.partition(":")
        name = name.lower()
        if name in _FRAMING and value.strip(" \t") != headers[name]:
            raise ValueError(f"it has two different headers {name!r}")


def _chunk_size(line: bytes) -> int:
    found = _SIZE.fullmatch(line)
    if found is None:
        raise ValueError(f"the size of a chunk is {line[:20]!r}")
    return int(found[1], 16)


def _bounded(size: int) -> int:
    if size > BODY_LIMIT:
        raise ValueError(f"its body has more than {BODY_LIMIT >> 20} MiB")
    return size


def _some(part: bytes) -> bytes:
    if not part:
        raise CutShort("the connection was closed in the middle of an answer")
    return part
