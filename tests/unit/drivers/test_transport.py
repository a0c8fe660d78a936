"""What the transports of both APIs decide in the same way, with connections that send nothing."""

from __future__ import annotations

import pytest

from consul_lock._drivers.connection_pool import GivenUp
from consul_lock._drivers.transport import CutOff, TransportBase
from consul_lock.config import Config
from consul_lock.errors import ConfigError, Unavailable
from tests.unit.drivers.fake_connections import FakeClock, FakeConnection, answer, request

POLL = {"method": "GET", "wait": 60.0}


class Transport(TransportBase[FakeConnection]):
    """All that is the same for threads and for asyncio."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        super().__init__(Config(), self.clock, lambda: False)

    def connect(self) -> FakeConnection:
        """A new connection, as if there were a server."""
        made = FakeConnection()
        self._open[made] = None
        return made


@pytest.fixture
def transport() -> Transport:
    return Transport()


def test_a_connection_that_was_used_is_used_again(transport: Transport) -> None:
    """Until the transport is closed."""
    connection = transport.connect()
    transport._put(connection)
    assert transport.idle.take(transport.clock()) is connection
    transport.closed = True
    transport._put(connection)
    assert connection.closed
    assert connection not in transport._open


def test_an_answer_is_parsed_by_its_request(transport: Transport) -> None:
    """With the time at which the request was sent."""
    assert transport._parse(request("a"), answer(b"yes"), 7.0) == ("a", b"yes", 7.0)


def test_an_answer_to_plain_http_on_a_tls_port_is_a_wrong_setting(transport: Transport) -> None:
    """Go answers so; another 400 is left to its request."""
    text = b"Client sent an HTTP request to an HTTPS server.\n"
    with pytest.raises(ConfigError, match="speaks TLS"):
        transport._parse(request("a"), answer(text, 400), 7.0)
    assert transport._parse(request("a"), answer(b"bad", 400), 7.0) == ("a", b"bad", 7.0)
    assert transport._parse(request("a"), answer(text, 200), 7.0) == ("a", text, 7.0)


@pytest.mark.parametrize(
    "status, body, crowded",
    [
        (429, b"Too many concurrent connections", True),
        (429, b"rate limit reached", False),
        (500, b"Too many concurrent connections", False),
    ],
)
def test_a_refused_connection_ends_the_long_polls(
    transport: Transport, status: int, body: bytes, crowded: bool
) -> None:
    """They make room for what cannot wait; another limit has nothing to do with them."""
    poll, other = transport.connect(), transport.connect()
    transport._polling[poll] = None
    transport._parse(request("a"), answer(body, status), 7.0)
    assert transport.idle.crowded is crowded
    assert (poll.aborted, other.aborted) == (crowded, False)


@pytest.mark.parametrize("method, again", [("GET", True), ("PUT", False), ("DELETE", False)])
def test_a_read_on_an_idle_connection_that_was_closed_is_sent_again(
    transport: Transport, method: str, again: bool
) -> None:
    """A write is not: it may have been carried out."""
    assert transport._repeatable(request("a", method), FakeConnection()) is again
    assert not transport.idle.crowded


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_new_connection_without_an_answer_was_refused(transport: Transport, method: str) -> None:
    """Nothing is sent again on one more, which would be refused, too."""
    assert not transport._repeatable(request("a", method), None)
    assert transport.idle.crowded


def test_a_long_poll_that_was_ended_is_not_sent_again(transport: Transport) -> None:
    """It is given up for others, or the client closes."""
    transport._refused()
    with pytest.raises(GivenUp):
        transport._repeatable(request("a", **POLL), FakeConnection())
    transport._ending = True
    with pytest.raises(Unavailable, match="the client is closed") as caught:
        transport._repeatable(request("a", **POLL), FakeConnection())
    assert not caught.value.uncertain


def test_a_write_that_was_cut_off_waits_for_its_answer(transport: Transport) -> None:
    """Until its caller is done with it, or forgets it; a read is of no use any more."""
    read, write, other = transport.connect(), transport.connect(), transport.connect()
    transport._cut_off(read, CutOff("me", request("a", "GET"), 1.0, 2.0))
    transport._cut_off(write, CutOff("me", request("a"), 1.0, 2.0))
    transport._cut_off(other, CutOff("other", request("a"), 1.0, 2.0))
    assert (read.closed, write.closed) == (True, False)
    assert transport.unanswered("me") is write
    assert transport.unanswered("nobody") is None
    transport.forget("me")
    assert transport.unanswered("me") is None
    assert write.closed
    assert write not in transport._open
    assert transport.unanswered("other") is other
    assert not other.closed
