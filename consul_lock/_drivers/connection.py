"""One kept-alive HTTP connection to Consul, for one request at a time.

The standard library's http.client parses an answer with the e-mail package, which alone costs
more time than Consul needs for a lock; with it half the speed of a bare socket is out of
reach (measured).  So `http_reader` reads the answers, and this module connects and sends.
"""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Callable
from typing import TypeVar

from consul_lock._drivers.fork import close_after_fork
from consul_lock._drivers.http import broken, connecting, handshake_failed, unreachable
from consul_lock._drivers.http_reader import Answer, ClosedBeforeAnswer, CutShort, Reader
from consul_lock._drivers.resolver import Address
from consul_lock.config import Config
from consul_lock.errors import ConsulLockError

A = TypeVar("A")
T = TypeVar("T")

# Seconds of one poll at most.  A signal that comes between Python's last look for one and the
# beginning of the poll does not end it: Ctrl-C would be obeyed when the long poll ends.
_POLL_MAX = 1.0


class Connection:
    """A socket and its reader, for one thread at a time.

    Every wait ends at a deadline, a time of ``clock`` that belongs to the whole exchange; then
    TimeoutError is raised.  Timeouts of the kernel (SO_RCVTIMEO) would need one call less, but
    they have no end by the clock: they begin again with every signal, as Python repeats a call
    that a signal has cut off (beside an interval timer of a second, 2 s never ended); they bound
    one call, so an answer that trickles goes on for ever; and gevent's sockets never see them.
    Python's own timeouts bound one call, too, and take two calls more.  So the socket does not
    block, and what waits is ``poll``, for what is left: after a signal Python goes on with the
    rest, and gevent puts its own in place of it.  The price was not to be seen in benchmarks.
    """

    def __init__(
        self,
        config: Config,
        context: ssl.SSLContext | None,
        address: Address,
        clock: Callable[[], float],
        until: float,
    ) -> None:
        self._config = config
        self._clock = clock
        self._deadline = until
        self._socket = _connected(config, address, until - clock())
        self._readable, self._writable = select.poll(), select.poll()
        self._readable.register(self._socket, select.POLLIN)
        self._writable.register(self._socket, select.POLLOUT)
        self._buffered: Callable[[], int] | None = None
        if context is not None:
            try:
                self._encrypt(context)
            except BaseException:
                self.close()
                raise
        self._reader = Reader()

    def _encrypt(self, context: ssl.SSLContext) -> None:
        config = self._config
        try:
            wrapped = context.wrap_socket(
                self._socket,
                server_hostname=config.tls_server_name or config.host,
                do_handshake_on_connect=False,
            )
            close_after_fork(wrapped)
            self._socket = wrapped
            self._whenever(self._readable, lambda _: wrapped.do_handshake(), None)
        except (OSError, ValueError) as error:
            raise handshake_failed(config, error) from error
        # Bytes that OpenSSL has read and not yet given out make no socket readable.
        self._buffered = wrapped.pending

    def exchange(self, data: bytes, deadline: float) -> Answer:
        """Send a request and read its answer.

        Raises TimeoutError, ClosedBeforeAnswer, `Unavailable` or `ConfigError`; then the
        connection is closed.  If an exception of a signal handler cuts it off, it is good for
        `finish` alone.
        """
        self.send(data, deadline)
        return self.receive(deadline)

    def send(self, data: bytes, deadline: float) -> None:
        """Send one request, or several: their answers come one after the other."""
        self._deadline = deadline
        try:
            while (sent := self._whenever(self._writable, self._socket.send, data)) < len(data):
                data = data[sent:]
        except BaseException as error:
            self._fail(error)
            raise

    def receive(self, deadline: float) -> Answer:
        """Read one answer."""
        self._deadline = deadline
        try:
            answer = self._reader.read(self._receive)
        except BaseException as error:
            self._fail(error)
            raise
        if not answer.keep:
            self.close()
        return answer

    def _fail(self, error: BaseException) -> None:
        if not isinstance(error, (OSError, ClosedBeforeAnswer, CutShort, ConsulLockError)):
            return
        self.close()
        if isinstance(error, OSError) and not isinstance(error, (TimeoutError, ClosedBeforeAnswer)):
            raise broken(self._config, error, begun=self._reader.buffered) from error

    def _receive(self, size: int) -> bytes:
        if self._buffered is None or not self._buffered():
            self._wait(self._readable)
        try:
            return self._socket.recv(size)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return self._whenever(self._readable, self._socket.recv, size)

    def _whenever(self, ready: select.poll, call: Callable[[A], T], argument: A) -> T:
        """Call it, again each time that the socket is ready, until it does not have to wait."""
        while True:
            try:
                return call(argument)
            except BlockingIOError:
                self._wait(ready)
            except ssl.SSLWantReadError:
                self._wait(self._readable)
            except ssl.SSLWantWriteError:
                self._wait(self._writable)

    def _wait(self, ready: select.poll) -> None:
        while True:
            left = self._deadline - self._clock()
            if left <= 0:
                raise TimeoutError("the deadline of the request has passed")
            if ready.poll(min(left, _POLL_MAX) * 1000):
                return

    def finish(self, deadline: float) -> Answer:
        """The answer to what was sent before an exchange was cut off; then it is closed.

        The server learns that nothing more comes (the end of the stream): it answers what it has
        read, and hangs up at once if that was no request.  Should bytes of the answer be lost, as
        the exception struck between two steps of reading, it is too short, which is noticed.
        """
        try:
            # Shut down TCP alone: TLS would end in both directions.
            socket.socket.shutdown(self._socket, socket.SHUT_WR)
        except OSError:
            pass  # it is closed already, which reading will say
        try:
            return self.receive(deadline)
        finally:
            self.close()

    def stale(self) -> bool:
        """Whether the idle connection was closed by the other side, or is out of step."""
        return self.surplus or bool(self._readable.poll(0))

    @property
    def surplus(self) -> bool:
        """Whether bytes came that belong to no answer of a request that was sent."""
        decrypted = self._buffered() if self._buffered is not None else 0
        return self._reader.buffered or decrypted > 0

    @property
    def closed(self) -> bool:
        return self._socket.fileno() < 0

    def abort(self) -> None:
        """Make an exchange in another thread end at once."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it was closed already, which is as good

    def close(self) -> None:
        """Close it; can be repeated."""
        self._socket.close()

    def __del__(self) -> None:
        # The exception of a signal handler may strike when it has been taken out of the pool and
        # is not in use yet.
        if hasattr(self, "_socket"):
            self.close()


def _connected(config: Config, address: Address, seconds: float) -> socket.socket:
    if seconds <= 0:
        raise unreachable(config, TimeoutError())
    with connecting(config, address) as found:
        # Here Python's timeout is one by the clock: it goes on with the rest after a signal.
        found.settimeout(seconds)
        found.connect(address.place)
        found.setblocking(False)
    return found
