"""The reader of answers, fed piece by piece."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from consul_lock._drivers.http_reader import (
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
        (b"HTTP/1.0 200 OK\r\n", False),
    ],
)
def test_it_is_known_whether_the_connection_goes_on(head: bytes, keep: bool) -> None:
    """By version and header."""
    assert read(head + b"Content-Length: 0\r\n\r\n").keep is keep


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 ok 200\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n\r\n",
        b"\x16\x03\x01\x00\x00" * 20 + b"\r\n\r\n",
        b"x" * (HEAD_LIMIT + 70000),
    ],
    ids=lambda data: ascii(data[:40]),
)
def test_an_answer_that_is_not_http_is_refused(data: bytes) -> None:
    """It is an error of the connection, never a value."""
    with pytest.raises(CutShort):
        read(data)


def test_a_large_body_is_read_whole() -> None:
    """A long listing takes many pieces."""
    body = bytes(range(256)) * 4096
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    assert read(head + body, 5000).body == body
