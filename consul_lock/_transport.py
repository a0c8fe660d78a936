"""The connections of one client of threads: few, kept alive, and shared.

Consul serves 200 connections per address and hangs up on older ones, so a client has at most
64 long polls and 32 other requests under way; renewals never wait behind either.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from consul_lock._connection import Connection, Encoder, blame_plain_http, silent
from consul_lock._protocol.flow import Reply, Request
from consul_lock._reader import Answer, ClosedBeforeAnswer
from consul_lock._resolver import Address, Resolver
from consul_lock._signal import Signal
from consul_lock.config import Config
from consul_lock.errors import Unavailable

POLLS = 64
"""Long polls under way at once, at most."""

REQUESTS = 32
"""Other requests under way at once, at most."""

# Seconds for which an unused connection is kept.
_IDLE = 15.0

# Seconds after which a connection that a caller used may be closed by `Transport.rest`.
_RESTLESS = 1.0

# Seconds for which a connection is trusted to be alive without a look at it.
_WARM = 0.02

# Seconds between reads while there is no place for a long poll, and their spread.
_NO_PLACE = (0.75, 1.25)


class Transport:
    """Sends requests from any thread."""

    def __init__(self, config: Config, clock: Callable[[], float]) -> None:
        self.config = config
        self._clock = clock
        self._context = config.ssl_context()
        self._encode = Encoder(config).encode
        self._resolver = Resolver(config, clock)
        self._idle: deque[tuple[Connection, float, int]] = deque()
        # Not a semaphore: this one is in C, and no exception of a signal handler breaks it.
        self._places: queue.SimpleQueue[int] = queue.SimpleQueue()
        for place in range(REQUESTS):
            self._places.put(place)
        self._polls = deque(range(POLLS))
        self._open: dict[Connection, None] = {}
        self.closed = False

    def send(self, request: Request) -> Any:
        """Perform one request.  All of it, from the wait for a place to the last byte of the
        answer, has one deadline."""
        timeout = request.timeout or self.config.request_timeout
        if request.wait:
            return self._send_poll(request, timeout)
        if request.urgent:
            return self._exchange(request, timeout)
        begun = self._clock()
        place = self._place(timeout)
        try:
            return self._exchange(request, timeout, begun)
        finally:
            self._places.put(place)

    def _place(self, timeout: float) -> int:
        try:
            return self._places.get(timeout=timeout)
        except queue.Empty:
            raise Unavailable(
                f"{self.config.origin} has left {REQUESTS} requests of this client without an"
                f" answer for {timeout:.1f} s, so no further one was sent",
                uncertain=False,
            ) from None

    def _send_poll(self, request: Request, timeout: float) -> Any:
        try:
            self._polls.pop()
        except IndexError:
            time.sleep(min(random.uniform(*_NO_PLACE), request.wait))
            return self.send(request.immediate())
        try:
            # Consul adds up to a sixteenth, and a leaderless one holds a request 7.4 s more.
            return self._exchange(request, timeout + request.wait * 17 / 16)
        finally:
            self._polls.append(0)

    def _exchange(self, request: Request, timeout: float, begun: float | None = None) -> Any:
        data = self._encode(request)
        sent = self._clock()
        deadline = (sent if begun is None else begun) + timeout
        while True:
            idle = self._borrow(sent)
            connection = idle
            if connection is None:
                connection = self._connect(deadline)
                sent = self._clock()
            try:
                answer = connection.exchange(data, deadline)
            except ClosedBeforeAnswer as error:
                self._open.pop(connection, None)
                if idle is not None and request.method == "GET":
                    continue  # it was closed just now, and a read may be sent again
                raise Unavailable(
                    f"{self.config.origin} hung up without an answer; it does so when there are"
                    " too many connections from one address (Consul allows 200)"
                ) from error
            except TimeoutError as error:
                self._open.pop(connection, None)
                raise silent(self.config, timeout) from error
            except BaseException:
                self._open.pop(connection, None)
                raise
            self._give_back(connection)
            return self._parse(request, answer, sent)

    def _parse(self, request: Request, answer: Answer, sent: float) -> Any:
        if answer.status == 400:
            blame_plain_http(self.config, answer.body)
        return request.parse(Reply(answer.status, answer.headers, answer.body, sent))

    def _borrow(self, now: float) -> Connection | None:
        while True:
            try:
                connection, since, _ = self._idle.pop()
            except IndexError:
                return None
            if now - since < _WARM or not connection.stale():
                return connection
            self._discard(connection)

    def _connect(self, deadline: float) -> Connection:
        """Find the address, connect and agree on keys, in `connect_timeout`."""
        if self.closed:
            raise Unavailable("the client is closed", uncertain=False)
        until = min(deadline, self._clock() + self.config.connect_timeout)
        addresses = self._resolver.fixed or self._resolve(until)
        for left in range(len(addresses), 0, -1):
            address, now = addresses[-left], self._clock()
            try:
                connection = Connection(
                    self.config, self._context, address, self._clock, now + (until - now) / left
                )
            except Unavailable:
                if left == 1:
                    raise
            else:
                self._resolver.remember(address)
                self._open[connection] = None
                return connection
        raise AssertionError("a resolver has found nothing, and raised no error")

    def _resolve(self, until: float) -> list[Address]:
        done, lookup = Signal(), self._resolver.ask()
        lookup.tell(done.set)
        done.wait(max(0.0, self._resolver.patience(lookup, until) - self._clock()))
        return self._resolver.judge(lookup)

    def _give_back(self, connection: Connection) -> None:
        if connection.closed or self.closed:
            self._discard(connection)
            return
        now = self._clock()
        self._idle.append((connection, now, threading.get_ident()))
        # The ones at this end have been idle for longest.
        while len(self._idle) > 1 and now - self._idle[0][1] > _IDLE:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        try:
            connection, _, _ = self._idle.popleft()
        except IndexError:
            return
        self._discard(connection)

    def _discard(self, connection: Connection) -> None:
        self._open.pop(connection, None)
        connection.close()

    def rest(self) -> None:
        """Close what is idle: called by the keeper before it waits, so that a client which
        only holds or waits has no connection open beside its long poll.

        What a caller has used just now is spared: its next request may be under way.
        """
        now, me = self._clock(), threading.get_ident()
        for entry in list(self._idle):
            connection, since, user = entry
            if user != me and now - since < _RESTLESS:
                continue
            try:
                self._idle.remove(entry)
            except ValueError:
                continue  # somebody is using it
            self._discard(connection)

    def close(self) -> None:
        """End every request under way and close all connections."""
        self.closed = True
        for connection in list(self._open):
            connection.abort()
        while self._idle:
            self._drop_oldest()
