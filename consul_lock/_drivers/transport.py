"""What the transports of threads and of asyncio share: all that does not wait."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

from consul_lock._drivers.connection_pool import ConnectionPool, GivenUp, Kept
from consul_lock._drivers.credentials import Credentials, LoadedCredentials
from consul_lock._drivers.eventlet import refuse_eventlet
from consul_lock._drivers.http import blame_plain_http, client_closed, fits_no_request
from consul_lock._drivers.http_reader import Answer
from consul_lock._drivers.pipeline import Means
from consul_lock._drivers.resolver import Resolver
from consul_lock._protocol.flow import Reply, Request
from consul_lock.config import Config
from consul_lock.errors import ConsulLockError

if TYPE_CHECKING:
    from ssl import SSLContext


class CutOff(NamedTuple):
    """A write that was cut off before its answer: by an exception of a signal handler, or as the
    task was cancelled."""

    caller: object
    """The id of the thread, or the task."""
    request: Request
    sent: float
    deadline: float


class Closable(Kept, Protocol):
    """A connection of either API, as far as this module is concerned."""

    def abort(self) -> None:
        """Make an exchange on it end at once."""

    def close(self) -> None:
        """Close it; can be repeated."""


C = TypeVar("C", bound=Closable)


class TransportBase(Generic[C]):
    """The connections of one client, and what is under way on them."""

    def __init__(
        self, config: Config, clock: Callable[[], float], holding: Callable[[], bool]
    ) -> None:
        refuse_eventlet()
        self.config = config
        self._clock = clock
        self._credentials = Credentials(config, clock)
        self._resolver = Resolver(config, clock)
        self.idle: ConnectionPool[C] = ConnectionPool(clock, self._discard, holding)
        self._open: MutableMapping[C, None] = {}
        self._polling: dict[C, None] = {}
        self.without_answer: dict[C, CutOff] = {}
        """Writes that were cut off before their answer came; see `finish` of the transports."""
        self._ending = False
        """The client closes: long polls end, and none is begun."""
        self.closed = False
        self._means = Means(
            config,
            clock,
            self.idle,
            self._encode,
            self._parse,
            self._put,
            self._discard,
            self._refused,
            lambda: self._credentials.loaded,
            self._reload,
        )

    @property
    def _context(self) -> SSLContext | None:
        return self._credentials.loaded.context

    def _encode(self, request: Request) -> bytes:
        before = self._credentials.loaded
        if self._credentials.look():
            self._changed(before)
        return self._credentials.loaded.encoder.encode(request)

    def _reload(self, used: LoadedCredentials) -> bool:
        """These were refused: whether there are others now, to send the request once more with."""
        if not self._credentials.reload(used):
            return False
        self._changed(used)
        return True

    def _changed(self, before: LoadedCredentials) -> None:
        """Connections that were made with other certificates are not used for further requests."""
        if self._credentials.loaded.context is not before.context:
            self.idle.drain()

    def _put(self, connection: C) -> None:
        """It can be used again."""
        if self.closed:
            self._discard(connection)
        else:
            self.idle.put(connection)

    def _discard(self, connection: C) -> None:
        self._open.pop(connection, None)
        connection.close()

    def _parse(self, request: Request, answer: Answer, sent: float) -> Any:
        if answer.status == 400:
            blame_plain_http(self.config, answer.body)
        if answer.status == 429 and b"concurrent connections" in answer.body:
            self._refused()
        try:
            return request.parse(Reply(answer.status, answer.headers, answer.body, sent))
        except ConsulLockError as error:
            if fits_no_request(error):
                self.idle.drain()
            raise

    def _refused(self) -> None:
        """A connection was refused: make room, see `consul_lock._drivers.connection_pool`."""
        self.idle.refused()
        for connection in list(self._polling):
            connection.abort()

    def _repeatable(self, request: Request, idle: C | None) -> bool:
        """The other side has hung up without an answer: whether to send it again, on another
        connection.  A read may be sent again, if the connection was closed while it was idle."""
        if request.wait and self._ending:
            raise client_closed()
        if request.wait and self.idle.crowded:
            raise GivenUp
        if idle is not None:
            return request.method == "GET"
        self._refused()
        return False

    # -- what was cut off ---------------------------------------------------------------------

    def _cut_off(self, connection: C, cut: CutOff) -> None:
        if cut.request.method == "GET":
            self._discard(connection)
        else:
            self.without_answer[connection] = cut

    def unanswered(self, caller: object) -> C | None:
        """Where a write of this caller was cut off before its answer; see `finish`."""
        for connection, cut in list(self.without_answer.items()):
            if cut.caller == caller:
                return connection
        return None

    def forget(self, caller: object) -> None:
        """Nobody waits for the answer to what was cut off in this thread or task."""
        while self.without_answer and (connection := self.unanswered(caller)) is not None:
            del self.without_answer[connection]
            self._discard(connection)
