"""A proxy in front of an agent that counts, delays and loses requests and answers."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from tests.support.actions import DROP_AFTER, DROP_BEFORE, HOLD, PASS, Action, Delay, Rule, kind_of
from tests.support.http_messages import Answer, Closed, Message
from tests.support.proxy_connection import Connection, hang_up

# How often a request that is kept looks whether its client has gone.
_LOOK = 0.1


@dataclass
class Seen:
    """One request that came; ``status`` is what the client was answered, None if nothing."""

    method: str
    path: str
    body: bytes
    status: int | None = None

    @property
    def kind(self) -> str:
        return kind_of(self.path)


def _pass(method: str, path: str, body: bytes, n: int) -> Action:
    return PASS


class Proxy:
    """Listens on loopback and forwards to ``upstream`` ("http://127.0.0.1:8500").

    Starts at once; use it as a context manager or call `stop`.  Set `rule` at any time, None
    forwards everything.  Each connection of a client has one of its own behind it.
    """

    def __init__(self, upstream: str, rule: Rule | None = None) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or "127.0.0.1", parts.port or 80)
        self.rule = rule
        self.log: list[Seen] = []
        """Every request in the order of arrival."""
        self.accepted = 0
        """How many connections clients have made."""
        self.peak = 0
        """The most connections that were open at one time."""
        self.delayed = 0
        """How many requests are delayed now, until the server has answered them."""
        # A rule is called with it, and may ask for counts.
        self._lock = threading.RLock()
        self._open: set[Connection] = set()
        self._numbers: Counter[tuple[str, str]] = Counter()
        self._released = threading.Event()
        self._stopped = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        # What it accepts inherits this.
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def connections(self) -> int:
        """How many connections of clients are open now."""
        with self._lock:
            return len(self._open)

    def count(self, method: str | None = None, kind: str | None = None) -> int:
        """How many requests came, of this method and kind (see `kind_of`) where they are given."""
        with self._lock:
            return sum(
                method in (None, seen.method) and kind in (None, seen.kind) for seen in self.log
            )

    @property
    def counts(self) -> Counter[tuple[str, str]]:
        """How many requests came, by (method, kind)."""
        with self._lock:
            return Counter((seen.method, seen.kind) for seen in self.log)

    def reset(self) -> None:
        """Forget the log, and count ``n`` of the rule from 1 again."""
        with self._lock:
            self.log = []
            self._numbers.clear()

    def release(self) -> None:
        """Forward all requests that are held.  Those to come are held again if the rule says so."""
        with self._lock:
            self._released.set()
            self._released = threading.Event()

    def cut(self) -> None:
        """Close every connection there is; new ones are served."""
        with self._lock:
            for connection in self._open:
                connection.hang_up()

    def stop(self) -> None:
        """Close everything and wait for the threads."""
        self._stopped.set()
        hang_up(self._listener)
        self._acceptor.join(10)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            connection = Connection(client, self._upstream)
            with self._lock:
                self._open.add(connection)
                self.accepted += 1
                self.peak = max(self.peak, len(self._open))
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads = [t for t in self._threads if t.is_alive()] + [thread]
            thread.start()

    def _serve(self, connection: Connection) -> None:
        try:
            while not self._stopped.is_set():
                self._one(connection)
        except (Closed, OSError):
            pass
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _one(self, connection: Connection) -> None:
        request = connection.next_request()
        method, path, _ = request.start.split(" ", 2)
        with self._lock:
            seen = Seen(method, path, request.body)
            self.log.append(seen)
            self._numbers[method, seen.kind] += 1
            rule = self.rule or _pass
            action = rule(method, path, request.body, self._numbers[method, seen.kind])
            released = self._released
        if action is DROP_BEFORE:
            raise Closed
        if isinstance(action, Answer):
            seen.status = action.status
            connection.answer(action.encode())
            return
        if action is HOLD:
            self._hold(connection, released)
        if isinstance(action, Delay):
            answer = self._late(connection, request, method, action)
        else:
            answer = connection.forward(request, method, watch_client=True)
        if action is DROP_AFTER:
            raise Closed
        seen.status = int(answer.start.split(" ")[1])
        connection.answer(answer.raw)

    def _late(self, connection: Connection, request: Message, method: str, delay: Delay) -> Message:
        with self._lock:
            self.delayed += 1
        try:
            self._delay(connection, delay)
            return connection.forward(request, method, watch_client=not delay.late)
        finally:
            with self._lock:
                self.delayed -= 1

    def _hold(self, connection: Connection, released: threading.Event) -> None:
        while not released.wait(_LOOK):
            if self._stopped.is_set() or connection.client_gone():
                raise Closed

    def _delay(self, connection: Connection, delay: Delay) -> None:
        end = time.monotonic() + delay.seconds
        while (left := end - time.monotonic()) > 0:
            if self._stopped.wait(min(left, _LOOK)):
                raise Closed
            if not delay.late and connection.client_gone():
                raise Closed
