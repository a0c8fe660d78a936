"""The connections of one client of threads: few, kept alive, and shared.

Consul serves 200 connections of one address, so a client has at most 64 long polls and 32 other
requests under way; renewals never wait behind either.  `consul_lock._drivers.connection_pool`
says which stay open, `consul_lock._drivers.transport` has what the transport of asyncio shares.
"""

from __future__ import annotations

import queue
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from consul_lock._drivers.connection import Connection
from consul_lock._drivers.connection_pool import NO_PLACE, POLLS, REQUESTS, GivenUp
from consul_lock._drivers.credentials import refuses_credentials
from consul_lock._drivers.http import backlog, client_closed, held_for, hung_up, silent
from consul_lock._drivers.http_reader import Answer, ClosedBeforeAnswer
from consul_lock._drivers.jitter import between
from consul_lock._drivers.pipeline import Connect, Pipeline, Receive, Send
from consul_lock._drivers.resolver import Address
from consul_lock._drivers.thread_event import ThreadEvent
from consul_lock._drivers.transport import CutOff, TransportBase
from consul_lock._protocol.flow import Request
from consul_lock.config import Config
from consul_lock.errors import ConsulLockError, Unavailable


class ThreadTransport(TransportBase[Connection]):
    """Sends requests from any thread."""

    def __init__(
        self,
        config: Config,
        clock: Callable[[], float],
        holding: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(config, clock, holding)
        # Weak: one that an exception of a signal handler made everybody forget closes itself.
        self._open: weakref.WeakKeyDictionary[Connection, None] = weakref.WeakKeyDictionary()
        # Not a semaphore: this one is in C, and no exception of a signal handler breaks it.
        self._places: queue.SimpleQueue[int] = queue.SimpleQueue()
        for place in range(REQUESTS):
            self._places.put(place)
        self._polls = deque(range(POLLS))

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

    def send_all(self, requests: Sequence[Request]) -> tuple[Any, ...]:
        """Perform a batch.  One result for each: what ``parse`` returns, or an exception."""
        pipeline = Pipeline(self._means, requests)
        steps = pipeline.steps()
        go_on, result = steps.send, None
        while True:
            try:
                step = go_on(result)
            except StopIteration:
                return tuple(pipeline.results)
            try:
                go_on, result = steps.send, self._step(step)
            except BaseException as error:  # noqa: BLE001 - the pipeline gets every exception
                go_on, result = steps.throw, error

    def _step(self, step: Connect | Send | Receive) -> Any:
        match step:
            case Connect(deadline):
                return self._connect(deadline)
            case Send(connection, data, deadline):
                return connection.send(data, deadline)
            case Receive(connection, deadline):
                return connection.receive(deadline)

    def _place(self, timeout: float) -> int:
        try:
            return self._places.get(timeout=timeout)
        except queue.Empty:
            raise backlog(self.config, REQUESTS, timeout) from None

    def _send_poll(self, request: Request, timeout: float) -> Any:
        if self._ending:
            raise client_closed()
        if not self.idle.crowded and self._polls:
            try:
                place = self._polls.pop()
            except IndexError:
                return self._send_read(request)
            try:
                return self._exchange(request, timeout + held_for(request.wait))
            except GivenUp:
                pass  # its connection is needed for something else
            finally:
                self._polls.append(place)
        return self._send_read(request)

    def _send_read(self, request: Request) -> Any:
        """In place of a long poll: a read, a little later."""
        time.sleep(min(between(*NO_PLACE), request.wait))
        return self.send(request.immediate())

    def _exchange(self, request: Request, timeout: float, begun: float | None = None) -> Any:
        deadline = (self._clock() if begun is None else begun) + timeout
        # Before: should others be read now, a refusal is one of those before at worst.
        used, data = self._credentials.loaded, self._encode(request)
        try:
            return self._exchange_once(request, data, timeout, deadline)
        except ConsulLockError as error:
            if not refuses_credentials(error) or not self._reload(used):
                raise
        return self._exchange_once(request, self._encode(request), timeout, deadline)

    def _exchange_once(self, request: Request, data: bytes, timeout: float, deadline: float) -> Any:
        sent = self._clock()
        while True:
            idle = connection = self.idle.take(sent)
            if connection is None:
                connection = self._connect(deadline)
                sent = self._clock()
            try:
                answer = self._answer(connection, request, data, deadline)
            except ClosedBeforeAnswer as error:
                if self._repeatable(request, idle):
                    continue
                raise hung_up(self.config, request.wait) from error
            except TimeoutError as error:
                raise silent(self.config, timeout) from error
            except ConsulLockError:
                raise
            except BaseException:
                # An exception of a signal handler.
                self._cut_off(connection, CutOff(threading.get_ident(), request, sent, deadline))
                raise
            return self._parse(request, answer, sent)

    def _answer(
        self, connection: Connection, request: Request, data: bytes, deadline: float
    ) -> Answer:
        polls = bool(request.wait)
        if polls:
            # In this order: a thread that hangs up after this look finds it.
            self._polling[connection] = None
        try:
            if polls and self._ending:
                self._discard(connection)
                raise ClosedBeforeAnswer("the client is closed")
            answer = connection.exchange(data, deadline)
        except BaseException:
            if connection.closed:
                self._open.pop(connection, None)
            raise
        finally:
            if polls:
                self._polling.pop(connection, None)
        self._put(connection)
        return answer

    def _put(self, connection: Connection) -> None:
        if self.closed:
            self._discard(connection)
        else:
            self.idle.put(connection, threading.get_ident())

    def _connect(self, deadline: float) -> Connection:
        """Find the address, connect and agree on keys, in `connect_timeout`."""
        if self.closed:
            raise client_closed()
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
        done, lookup = ThreadEvent(), self._resolver.ask()
        lookup.tell(done.set)
        done.wait(max(0.0, self._resolver.patience(lookup, until) - self._clock()))
        return self._resolver.judge(lookup)

    def rest(self) -> None:
        """Close what is not needed soon; called by the keeper before it waits."""
        self.idle.rest(threading.get_ident())

    # -- what was cut off ---------------------------------------------------------------------

    def finish(self, connection: Connection) -> Any:
        """Wait for the answer to a write that was cut off: the result of the request."""
        cut = self.without_answer.pop(connection)
        try:
            answer = connection.finish(cut.deadline)
        except (ClosedBeforeAnswer, TimeoutError) as error:
            raise hung_up(self.config) from error
        finally:
            self._open.pop(connection, None)
        return self._parse(cut.request, answer, cut.sent)

    # -- the end ------------------------------------------------------------------------------

    def hang_up(self) -> None:
        """End every long poll, and begin no more: the client closes, and the others are needed
        to give everything back."""
        self._ending = True
        for connection in list(self._polling):
            connection.abort()

    def drop(self) -> None:
        """Keep no connection from now on: there are no callers any more."""
        self.idle.drop()

    def close(self) -> None:
        """End every request under way and close all connections."""
        self.closed = True
        for reference in self._open.keyrefs():
            connection = reference()
            if connection is not None:
                connection.abort()
        self.idle.drain()
