"""A batch of requests over several connections: what is sent where, and what becomes of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from consul_lock._drivers.connection_pool import ConnectionPool
from consul_lock._drivers.credentials import LoadedCredentials
from consul_lock._drivers.http import Encoder
from consul_lock._drivers.http_reader import Answer, ClosedBeforeAnswer
from consul_lock._drivers.pipeline import LANES, Connect, Means, Pipeline, Receive, Send
from consul_lock._protocol.flow import Reply, Request
from consul_lock.config import Config
from consul_lock.errors import PermissionDenied, Unavailable
from tests.unit.drivers.fake_connections import FakeClock, FakeConnection, answer, request


class Server:
    """Performs the steps of a batch as a transport does, and answers what a test says.

    Overwrite ``connect``, ``sent`` or ``answer`` to make it fail.
    """

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.idle: ConnectionPool[FakeConnection] = ConnectionPool(
            self.clock, FakeConnection.close, lambda: True
        )
        self.opened: list[FakeConnection] = []
        self.put: list[FakeConnection] = []
        self.refused = 0
        self.credentials = LoadedCredentials(Encoder(Config()), None, 0, ())
        self.rotated = False
        """There are other credentials, if these are refused."""
        self.reloads = 0
        self.asked: dict[FakeConnection, list[str]] = {}
        """The requests that each connection has still to answer."""
        self.deadlines: list[float] = []
        self.connect: Callable[[], None] = lambda: None
        self.sent: Callable[[FakeConnection], None] = lambda connection: None
        self.answer: Callable[[FakeConnection, str], Answer] = lambda connection, path: answer(
            path.encode()
        )

    def perform(self, *requests: Request) -> list[Any]:
        pipeline = Pipeline(self._means(), requests)
        steps = pipeline.steps()
        go_on, result = steps.send, None
        while True:
            try:
                step = go_on(result)
            except StopIteration:
                return pipeline.results
            self.deadlines.append(step.deadline)
            try:
                go_on, result = steps.send, self._step(step)
            except BaseException as error:  # noqa: BLE001 - as a transport does
                go_on, result = steps.throw, error

    def _step(self, step: Connect | Send | Receive) -> Any:
        match step:
            case Connect():
                self.connect()
                self.opened.append(FakeConnection(str(len(self.opened))))
                return self.opened[-1]
            case Send(connection, data):
                self.asked[connection] = data.decode().split()
                self.sent(connection)
            case Receive(connection):
                return self.answer(connection, self.asked[connection].pop(0))
        return None

    def _means(self) -> Means[FakeConnection]:
        def refused() -> None:
            self.refused += 1

        return Means(
            Config(request_timeout=10.0),
            self.clock,
            self.idle,
            lambda request: f"{request.path} ".encode(),
            lambda request, answer, sent: request.parse(
                Reply(answer.status, answer.headers, answer.body, sent)
            ),
            self.put.append,
            FakeConnection.close,
            refused,
            lambda: self.credentials,
            self._reload,
        )

    def _reload(self, used: LoadedCredentials) -> bool:
        assert used is self.credentials
        self.reloads += 1
        return self.rotated


def batch(count: int, **options: Any) -> list[Request]:
    return [request(str(number), **options) for number in range(count)]


def done(*numbers: int) -> list[Any]:
    """The results of these requests of a batch, each with its own answer."""
    return [(str(number), str(number).encode(), 100.0) for number in numbers]


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.mark.parametrize(
    "count, connections", [(1, 1), (8, 1), (9, 2), (128, 16), (1000, LANES)], ids=str
)
def test_each_request_gets_its_own_answer_however_many_there_are(
    server: Server, count: int, connections: int
) -> None:
    """A large batch has several connections, which share it."""
    assert server.perform(*batch(count)) == done(*range(count))
    assert len(server.opened) == connections
    assert server.put == server.opened
    assert not any(connection.closed for connection in server.opened)


def test_idle_connections_are_used_first(server: Server) -> None:
    """And more are opened only where they do not suffice."""
    kept = FakeConnection("kept")
    server.idle.put(kept)
    server.perform(*batch(9))
    assert len(server.opened) == 1
    assert set(server.put) == {kept, *server.opened}


def test_an_idle_connection_that_was_closed_meanwhile_is_made_good(server: Server) -> None:
    """Its part is sent again, once, on a new connection: a batch may be done twice."""
    kept = FakeConnection("kept")
    server.idle.put(kept)

    def closed(connection: FakeConnection) -> None:
        if connection is kept:
            raise ClosedBeforeAnswer

    server.sent = closed
    assert server.perform(*batch(3)) == done(0, 1, 2)
    assert kept.closed
    assert server.put == server.opened
    assert server.refused == 0


def test_a_server_that_closes_after_each_answer_is_asked_again_for_the_rest(server: Server) -> None:
    """A proxy may keep no connection; one answer a connection is progress."""

    def last(connection: FakeConnection, path: str) -> Answer:
        connection.closed = True
        return answer(path.encode(), keep=False)

    server.answer = last
    assert server.perform(*batch(3)) == done(0, 1, 2)
    assert len(server.opened) == 3
    assert server.refused == 0


def test_new_connections_that_are_refused_end_the_batch(server: Server) -> None:
    """Nothing is gained by trying for ever; the other connections make room."""

    def hang_up(connection: FakeConnection) -> None:
        raise ClosedBeforeAnswer

    server.sent = hang_up
    results = server.perform(*batch(2))
    assert [getattr(result, "kind", "") for result in results] == ["hung-up", "hung-up"]
    assert server.refused == 1
    assert len(server.opened) == 2  # the second one, after the first could have been an idle one
    assert all(connection.closed for connection in server.opened)


def test_where_one_connection_cannot_be_made_the_others_do_its_part(server: Server) -> None:
    """If there is none at all, that is the result of every request."""
    error = Unavailable("no", kind="refused")

    def connect() -> None:
        if server.opened:
            raise error

    server.connect = connect
    assert server.perform(*batch(20)) == done(*range(20))
    assert len(server.opened) == 1
    server = Server()

    def never() -> None:
        raise error

    server.connect = never
    assert server.perform(*batch(20)) == [error] * 20


def test_an_error_of_one_connection_is_that_of_its_requests_alone(server: Server) -> None:
    """From the one whose answer was not read on."""
    error = Unavailable("broken", kind="broken")

    def broken(connection: FakeConnection, path: str) -> Answer:
        if path == "2":
            raise error
        return answer(path.encode())

    server.answer = broken
    results = server.perform(*batch(9))  # the even ones share a connection
    assert results == [*done(0, 1), error, *done(3), error, *done(5), error, *done(7), error]
    assert [connection.closed for connection in server.opened] == [True, False]


def test_an_answer_that_is_refused_by_its_request_is_the_result_of_that_one(server: Server) -> None:
    """The connection goes on."""
    error = Unavailable("500", kind="5xx")

    def refuse(reply: Reply) -> Any:
        raise error

    assert server.perform(request("0")._replace(parse=refuse), request("1")) == [error, *done(1)]
    assert server.put == server.opened


def test_every_request_has_its_own_deadline_from_the_sending(server: Server) -> None:
    """And connecting has the longest of them; one that passes says for how long it waited."""

    def silent(connection: FakeConnection, path: str) -> Answer:
        raise TimeoutError

    server.answer = silent
    first, second = server.perform(request("0", timeout=3.0), request("1"))
    assert server.deadlines == [110.0, 103.0, 103.0]
    assert "within 3.0 s" in str(first)
    assert "within 10.0 s" in str(second)
    assert {first.kind, second.kind} == {"no-answer"}


@pytest.mark.parametrize("cut", ["connect", "sent", "answer"])
def test_an_interrupted_batch_leaves_no_connection_with_answers_under_way(
    server: Server, cut: str
) -> None:
    """As by Ctrl-C: what comes on them would be taken for the answers to other requests."""

    def interrupt(*args: Any) -> Any:
        if cut != "connect" or server.opened:
            raise KeyboardInterrupt

    setattr(server, cut, interrupt)
    with pytest.raises(KeyboardInterrupt):
        server.perform(*batch(9))
    assert server.opened
    assert all(connection.closed for connection in server.opened)
    assert server.put == []


def _one_denied(server: Server) -> list[Request]:
    """A batch of two; the second is denied until there are other credentials."""

    def parse(reply: Reply) -> bytes:
        if not server.reloads:
            raise PermissionDenied("ACL not found")
        return reply.body

    return [request("0"), Request("PUT", "1", (), None, parse)]


def test_what_was_denied_is_sent_once_more_with_other_credentials(server: Server) -> None:
    """And only that: the others have their answers."""
    server.rotated = True
    assert server.perform(*_one_denied(server)) == [*done(0), b"1"]
    assert server.reloads == 1


def test_what_is_denied_stays_denied_if_there_are_no_others(server: Server) -> None:
    """It is not sent again."""
    result = server.perform(*_one_denied(server))[1]
    assert isinstance(result, PermissionDenied)
    assert (server.reloads, len(server.deadlines)) == (1, 4)
