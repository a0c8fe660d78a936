"""The reader of answers, fed piece by piece."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from consul_lock._drivers.http_reader import (
    BODY_LIMIT,
    HEAD_LIMIT,
    Answer,
    ClosedBeforeAnswer,
    CutShort,
    Reader,
)

LENGTH = b"HTTP/1.1 200 OK\r\nX-Consul-Index: 7\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;name=value\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: yes\r\n\r\n"
)
TO_THE_END = b"HTTP/1.1 200 OK\r\n\r\nhello"
NO_BODY = b"HTTP/1.1 204 No Content\r\n\r\n"

FORMS = {"length": LENGTH, "chunked": CHUNKED, "to the end": TO_THE_END}


def reader(data: bytes, piece: int = 65536) -> Callable[[], Answer]:
    """Reads the next answer in these bytes, which come in pieces, and then the end."""
    pieces = [data[start : start + piece] for start in range(0, len(data), piece)]
    found = Reader()
    return lambda: found.read(lambda size: pieces.pop(0) if pieces else b"")


def read(data: bytes, piece: int = 65536) -> Answer:
    """The first answer in these bytes."""
    return reader(data, piece)()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("piece", [1, 2, 3, 7, 65536])
def test_the_size_of_the_pieces_does_not_matter(form: str, piece: int) -> None:
    """Byte by byte or at once: the same answer."""
    answer = read(FORMS[form], piece)
    assert (answer.status, answer.body) == (200, b"hello")
    assert answer.keep is (form != "to the end")


@pytest.mark.parametrize("form", ["length", "chunked"])
def test_every_end_in_the_middle_is_seen(form: str) -> None:
    """Wherever the connection ends, what came is not taken for a whole answer."""
    data = FORMS[form]
    with pytest.raises(ClosedBeforeAnswer):
        read(b"")
    for end in range(1, len(data)):
        with pytest.raises(CutShort):
            read(data[:end])


def test_answers_follow_one_another() -> None:
    """Bytes read beyond the end of one answer belong to the next."""
    both = reader(LENGTH + NO_BODY + CHUNKED, 11)
    assert [both().body for _ in range(3)] == [b"hello", b"", b"hello"]
    with pytest.raises(ClosedBeforeAnswer):
        both()


def test_names_of_headers_are_in_lower_case() -> None:
    """Proxies write them as they like."""
    assert read(LENGTH).headers["x-consul-index"] == "7"


@pytest.mark.parametrize(
    "head, keep",
    [
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n", False),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\n", False),
        (b"HTTP/1.1 200 OK\r\nConnection: te , close\r\n", False),
        (b"HTTP/1.1 200 OK\r\nConnection: closely\r\n", True),
        (b"HTTP/1.0 200 OK\r\n", False),
    ],
)
def test_it_is_known_whether_the_connection_goes_on(head: bytes, keep: bool) -> None:
    """By version and header."""
    assert read(head + b"Content-Length: 0\r\n\r\n").keep is keep


_OK = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _OK + b"Transfer-Encoding: chunked\r\n"
_LIMIT = str(BODY_LIMIT + 1).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 ok 200\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 +200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 2_0 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n",
        _OK + b"Content-Length: -1\r\n\r\n",
        _OK + b"Content-Length: x\r\n\r\n",
        _OK + b"Content-Length: +1\r\n\r\nx",
        _OK + b"Content-Length: 1_0\r\n\r\n0123456789",
        _OK + "Content-Length: \N{SUPERSCRIPT TWO}\r\n\r\n".encode("latin-1"),
        _OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
        _OK + b"Content-Length: \r\n\r\n",
        _OK + b"Content-Length: 1, 1\r\n\r\nx",
        _OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        _OK + b"Content-Length: 2\r\n 5\r\n\r\nxx",
        _OK + b"Content-Length : 1\r\n\r\nx",
        _OK + b" Content-Length: 1\r\n\r\nx",
        _OK + b"no colon\r\nContent-Length: 1\r\n\r\nx",
        _OK + b": no name\r\nContent-Length: 1\r\n\r\nx",
        _OK + b"A: b\nContent-Length: 1\r\n\r\nx",
        _OK + b"A: b\rContent-Length: 1\r\n\r\nx",
        _OK + b"A: \0\r\nContent-Length: 1\r\n\r\nx",
        _OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        _OK + b"Transfer-Encoding: identity\r\n\r\nx",
        _CHUNKED + b"\r\n-1\r\n\r\n",
        _CHUNKED + b"\r\n+1\r\nx\r\n0\r\n\r\n",
        _CHUNKED + b"\r\n0x1\r\nx\r\n0\r\n\r\n",
        _CHUNKED + b"\r\n1_0\r\n0123456789abcdef\r\n0\r\n\r\n",
        _CHUNKED + b"\r\n1\r\nxy\r\n0\r\n\r\n",
        _CHUNKED + b"\r\nx\r\n\r\n",
        _CHUNKED + b"\r\n\r\n",
        _CHUNKED + b"\r\n" + b"f" * 4000 + b"\r\n",
        _CHUNKED + b"\r\n0\r\n" + b"trailer: 1\r\n" * 8000,
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n" * 20 + _OK + b"Content-Length: 0\r\n\r\n",
        b"\r\n" + _OK + b"Content-Length: 0\r\n\r\n",
        b"\x16\x03\x01\x00\x00" * 20 + b"\r\n\r\n",
        b"x" * (HEAD_LIMIT + 70000),
        _OK + b"A: " + b"x" * (HEAD_LIMIT + 70000),
        _OK + b"A: b\r\n" * 20000,
        _OK + b"Content-Length: " + _LIMIT + b"\r\n\r\n",
        _CHUNKED + b"\r\n" + b"%x" % (BODY_LIMIT + 1) + b"\r\n",
        _CHUNKED + b"\r\n1\r\nx\r\n" + b"%x" % BODY_LIMIT + b"\r\n",
    ],
    ids=lambda data: ascii(data[:60]),
)
def test_an_answer_that_is_not_http_is_refused(data: bytes) -> None:
    """It is an error of the connection, never a value, and it does not wait for more."""
    for piece in (65536, 4096) if len(data) > 3000 else (65536, 1):
        with pytest.raises(CutShort, match=r"this is no HTTP/1\.1 answer"):
            read(data, piece)


@pytest.mark.parametrize("beginning", [b"S", b"HTTP/2", b"\0\0\x12\x04", b"\x15\x03\x03", b"\n"])
def test_another_protocol_is_known_by_its_first_bytes(beginning: bytes) -> None:
    """Its server may wait for the client: nothing more would come, and nothing end the wait."""
    found = Reader()
    found.feed(beginning)
    with pytest.raises(CutShort, match="does not begin with HTTP/1"):
        next(found.steps())


@pytest.mark.parametrize(
    "head, status, body",
    [
        (b"HTTP/1.1 100 Continue\r\n\r\n" + _OK, 200, b"hello"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 3 + _OK, 200, b"hello"),
        (b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n" + _OK, 200, b"hello"),
        (b"HTTP/1.1 200\r\n", 200, b"hello"),
        (b"HTTP/1.1 200 \r\n", 200, b"hello"),
        (_OK + b"X-Folded: a\r\n b\r\n\tc\r\n", 200, b"hello"),
        (_OK + b"CONTENT-LENGTH: 5\r\n", 200, b"hello"),
        (b"HTTP/1.1 204 No Content\r\n", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\n", 304, b""),
    ],
    ids=ascii,
)
def test_what_http_allows_besides_is_understood(head: bytes, status: int, body: bytes) -> None:
    """Interim answers, folded headers, a length that is repeated or that no body follows."""
    answer = read(head + b"Content-Length: 5\r\n\r\nhello", 3)
    assert (answer.status, answer.body) == (status, body)
    assert answer.headers.get("x-folded", "a b c") == "a b c"


def test_a_length_beside_chunks_is_ignored_and_ends_the_connection() -> None:
    """What is in between may have seen the other end."""
    data = CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\n", 1)
    answer = read(data)
    assert (answer.body, answer.keep) == (b"hello", False)


def test_chunks_of_a_byte_cost_what_they_weigh() -> None:
    """No rest of the buffer is copied for each, and no object is kept for each."""
    count = 200_000
    data = _CHUNKED + b"\r\n" + b"1;x=y\r\nz\r\n" * count + b"0\r\n\r\n"
    taken = found = 0

    class Counted(bytes):
        def __getitem__(self, where: Any) -> Any:
            nonlocal taken
            part = bytes.__getitem__(self, where)
            taken += len(part) if isinstance(part, bytes) else 0
            return part

    reader_ = Reader()
    reader_._buffer = Counted(data)
    steps = reader_.steps()
    with pytest.raises(StopIteration) as stop:
        next(steps)
    found = len(stop.value.value.body)
    assert found == count
    assert taken < 3 * len(data)


def test_a_large_body_is_read_whole() -> None:
    """A long listing takes many pieces."""
    body = bytes(range(256)) * 4096
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    assert read(head + body, 5000).body == body
