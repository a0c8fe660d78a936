"""Finding the addresses of Consul's host, within a time that somebody else sets.

``getaddrinfo`` can take half a minute where a name server is silent, and nothing in the process
can cut it short.  So it runs on a thread of its own, and a request waits for it
no longer than the request may take.  There is one such thread a client at most, however many
wait and however long it hangs: a second question would meet the same silence.

    12:00:00  connected to 10.0.0.7, found by its name
    12:00:10  the name servers are gone; a renewal needs a new connection and asks
    12:00:11  no answer for a second: it connects to 10.0.0.7, as does everybody after it
    12:00:40  the resolver gives up with an error: the next one who connects asks again

An answer always wins over what is remembered, so an agent that moves is found once the name
servers know.  That the remembered address belongs to somebody else by then is as likely as that
a name server is out of date; with TLS the certificate is checked against the name.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from consul_lock._drivers.end import is_at_end
from consul_lock.config import Config
from consul_lock.errors import Unavailable

# Seconds after which an address that was good before is used in place of an answer.
_PATIENCE = 1.0


class Address(NamedTuple):
    """Where a connection goes."""

    family: int
    place: Any
    """What ``connect`` of a socket of this family takes."""


class Lookup:
    """One question to the resolver of the operating system, asked on a thread of its own."""

    def __init__(self, config: Config, begun: float) -> None:
        self._host, self._port = config.host, config.port
        self.begun = begun
        """The driver's clock when it was asked."""
        self.found: list[Address] = []
        self.error: Exception | None = None
        self.done = False
        self._told: list[Callable[[], Any]] = []
        self._thread = threading.Thread(target=self._run, name="consul-lock-resolve", daemon=True)

    def start(self) -> None:
        """Ask; raises RuntimeError if no thread can be started."""
        try:
            self._thread.start()
        except RuntimeError as error:
            if not is_at_end(error):
                raise
            self._run()

    @property
    def under_way(self) -> bool:
        """Whether an answer is to come; an exception of a signal handler may prevent its start."""
        return not self.done and self._thread.is_alive()

    def tell(self, told: Callable[[], Any]) -> None:
        """Call this once it is done, perhaps twice, from any thread."""
        self._told.append(told)
        if self.done:
            told()

    def _run(self) -> None:
        try:
            self.found = _ask(self._host, self._port)
        except (OSError, UnicodeError) as error:
            self.error = error
        finally:
            self.done = True
            for told in self._told:
                told()


class Resolver:
    """The addresses of one client's Consul."""

    def __init__(self, config: Config, clock: Callable[[], float]) -> None:
        self._config = config
        self._clock = clock
        self._fixed = _fixed(config)
        self._lookups: dict[str, Lookup] = {}
        self._good: list[Address] = []

    @property
    def fixed(self) -> list[Address]:
        """The addresses if nobody needs to be asked: a numeric host, or a unix socket."""
        return self._fixed

    def ask(self) -> Lookup:
        """Begin to resolve the name, or join a question that is under way."""
        lookup = self._lookups.get("name")
        if lookup is None or not lookup.under_way:
            lookup = self._lookups["name"] = Lookup(self._config, self._clock())
            lookup.start()
        return lookup

    def patience(self, lookup: Lookup, until: float) -> float:
        """The time (driver's clock) until when an answer is to be waited for."""
        return min(until, lookup.begun + _PATIENCE) if self._good else until

    def judge(self, lookup: Lookup) -> list[Address]:
        """The addresses to try.  Raises `Unavailable` if neither answer nor memory has any."""
        if lookup.done and lookup.error is None:
            return lookup.found
        if self._good:
            return self._good
        host = self._config.host
        if not lookup.done:
            raise Unavailable(
                f"cannot resolve {host!r}: no answer from the name servers within"
                f" {self._clock() - lookup.begun:.1f} s",
                kind="dns-timeout",
                uncertain=False,
            )
        why = getattr(lookup.error, "strerror", None) or lookup.error
        raise Unavailable(
            f"cannot resolve {host!r}: {why}",
            hint="is the name spelt right?",
            kind="dns",
            uncertain=False,
        ) from lookup.error

    def remember(self, address: Address) -> None:
        """A connection to this address was made."""
        self._good = [address]


def _ask(host: str, port: int, flags: int = 0) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [Address(family, place) for family, _, _, _, place in found]


def _fixed(config: Config) -> list[Address]:
    if config.unix_socket:
        return [Address(socket.AF_UNIX, config.unix_socket)]
    try:
        return _ask(config.host, config.port, socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return []  # it is a name
