"""A batch of requests over a few connections, sent without waiting for answers in between.

One after the other, 1,000 renewals at 25 ms take 25 s, and a session lives for 10 to 20.  On one
connection they take the time of one and what Consul needs for each.  That is not enough if
the other side takes the requests of a connection one at a time and waits itself, as an agent
far away from its servers does, or a proxy.  So a large batch has several connections, and each of
them a part of it.

`Pipeline.steps` says what is to be done, and the transports of threads and of asyncio do it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Generic, NamedTuple

from consul_lock._drivers.connection_pool import C, ConnectionPool
from consul_lock._drivers.credentials import LoadedCredentials, refuses_credentials
from consul_lock._drivers.http import fits_no_request, hung_up, silent
from consul_lock._drivers.http_reader import Answer, ClosedBeforeAnswer
from consul_lock._protocol.flow import Request
from consul_lock.config import Config

LANES = 16
"""Connections of one batch, at most."""

# Requests on one connection before another one is used.
_SHARE = 8


class Connect(NamedTuple):
    """Open a connection, by a time of the driver's clock.  The result is the connection."""

    deadline: float


class Send(NamedTuple):
    """Send these bytes."""

    connection: Any
    data: bytes
    deadline: float


class Receive(NamedTuple):
    """Read an answer, which is the result."""

    connection: Any
    deadline: float


Steps = Generator[Connect | Send | Receive, Any, None]


class Means(NamedTuple, Generic[C]):
    """What a pipeline has from its transport."""

    config: Config
    clock: Callable[[], float]
    idle: ConnectionPool[C]
    encode: Callable[[Request], bytes]
    parse: Callable[[Request, Answer, float], Any]
    put: Callable[[C], None]
    """It can be used again."""
    discard: Callable[[C], None]
    refused: Callable[[], None]
    """A new connection was refused."""
    credentials: Callable[[], LoadedCredentials]
    """Those that requests are sent with."""
    reload: Callable[[LoadedCredentials], bool]
    """They were refused: whether there are others now."""


class _Lane(Generic[C]):
    """A connection and its part of the batch."""

    def __init__(self, connection: C, places: list[int]) -> None:
        self.connection = connection
        self.places = places
        """In the batch, of the requests that have no result yet."""


class Pipeline(Generic[C]):
    """One batch.  It has a result for each request: what ``parse`` returns, or an exception."""

    def __init__(self, means: Means[C], requests: Sequence[Request]) -> None:
        self._means = means
        self._requests = requests
        self.results: list[Any] = [None] * len(requests)

    def steps(self) -> Steps:
        """All of it."""
        used = self._means.credentials()
        yield from self._exchange(list(range(len(self._requests))))
        refused = [p for p, result in enumerate(self.results) if refuses_credentials(result)]
        if refused and self._means.reload(used):
            yield from self._exchange(refused)

    def _exchange(self, places: list[int]) -> Steps:
        """These requests, each once."""
        fresh = False
        while places:
            yield from self._perform(places, fresh=fresh)
            # An idle connection had been closed, or the other side closes each after one answer.
            closed = [p for p in places if isinstance(self.results[p], ClosedBeforeAnswer)]
            if fresh and len(closed) == len(places):
                self._means.refused()
                for place in closed:
                    self.results[place] = hung_up(self._means.config)
                return
            places, fresh = closed, True

    def _perform(self, places: list[int], *, fresh: bool) -> Steps:
        lanes = list[_Lane[C]]()
        try:
            yield from self._open(lanes, places, fresh=fresh)
            sent = self._means.clock()  # one for all: they are judged together
            for lane in lanes:
                yield from self._send(lane, sent)
            for lane in lanes:
                yield from self._receive(lane, sent)
        finally:
            # Only an exception that is none of the requests' leaves anything to do here.
            for lane in lanes:
                if lane.places:
                    self._means.discard(lane.connection)

    def _open(self, lanes: list[_Lane[C]], places: list[int], *, fresh: bool) -> Steps:
        means = self._means
        deadline = means.clock() + max(map(self._timeout, places))
        wanted = min(LANES, -(-len(places) // _SHARE))
        # Each has something to do from the start, for the clean-up.
        while len(lanes) < wanted:
            connection = None if fresh else means.idle.take(means.clock())
            try:
                if connection is None:
                    connection = yield Connect(deadline)
            except Exception as error:  # noqa: BLE001 - a batch returns it
                if not lanes:
                    for place in places:
                        self.results[place] = error
                break  # those that there are do all of it
            assert connection is not None
            lanes.append(_Lane(connection, places))
        for number, lane in enumerate(lanes):
            lane.places = places[number :: len(lanes)]

    def _timeout(self, place: int) -> float:
        return self._requests[place].timeout or self._means.config.request_timeout

    def _send(self, lane: _Lane[C], sent: float) -> Steps:
        data = b"".join(self._means.encode(self._requests[place]) for place in lane.places)
        try:
            yield Send(lane.connection, data, sent + self._timeout(lane.places[0]))
        except Exception as error:  # noqa: BLE001 - a batch returns it
            self._fail(lane, error)

    def _receive(self, lane: _Lane[C], sent: float) -> Steps:
        if not lane.places:
            return
        in_step = True
        while lane.places:
            place = lane.places[0]
            try:
                answer = yield Receive(lane.connection, sent + self._timeout(place))
            except Exception as error:  # noqa: BLE001 - a batch returns it
                self._fail(lane, error)
                return
            lane.places.pop(0)
            self.results[place] = self._result(self._requests[place], answer, sent)
            in_step = in_step and not fits_no_request(self.results[place])
            if lane.connection.closed and lane.places:
                self._fail(lane, ClosedBeforeAnswer("the connection ended with that answer"))
                return
        if in_step:
            self._means.put(lane.connection)
        else:
            self._means.discard(lane.connection)

    def _result(self, request: Request, answer: Answer, sent: float) -> Any:
        try:
            return self._means.parse(request, answer, sent)
        except Exception as error:  # noqa: BLE001 - a batch returns it
            return error

    def _fail(self, lane: _Lane[C], error: Exception) -> None:
        """Requests without an answer yet get none on this connection."""
        places, lane.places = lane.places, []
        self._means.discard(lane.connection)
        for place in places:
            late = isinstance(error, TimeoutError)
            self.results[place] = (
                silent(self._means.config, self._timeout(place)) if late else error
            )
