"""A flow describes, a driver performs.

A *flow* is a generator.  It yields effects and is sent their results; it does no I/O, reads
no clock, draws no random number and starts no thread.  A *driver* performs the effects: on
the calling thread (``_drivers.threads``), on an asyncio loop (``_drivers.asyncio``), or in virtual
time (the simulator of the tests).  So every algorithm is written once and tested without a network.

Two laws:

* a flow never yields while it unwinds (in ``except``-and-reraise or ``finally``): the driver
  may have stopped listening;
* clean-up is a flow of its own, the ``undo`` of a `Job`, which the driver runs, shielded, on
  any BaseException.

The obvious way would be a ``finally`` in the flow that releases what was acquired.  But a flow can
be cut off at any of its effects, by Ctrl-C, a cancellation or a timeout, and then:

    flow     yields [lock KEY] ...... cut off ... finally: yields [release KEY]
    driver   sends it                unwinds: performs nothing any more, and a second Ctrl-C,
                                     or the cancellation of the clean-up, would end that, too
    Consul                 KEY is locked, for a caller that is gone

Nor does the flow know whether its write was carried out.  So the driver knows the undo before the
flow begins, lets the write that is under way be answered, and runs the undo where nothing
interrupts it; and the undo asks Consul how things stand, instead of trusting how far the flow
had come.  It can be run twice.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from consul_lock.errors import Unavailable

T = TypeVar("T")

# Seconds that a caller waits for the clean-up after its own exception, and after one of Consul's.
_CLEAN_UP, _CLEAN_UP_FAILED = 5.0, 1.0


class Reply(NamedTuple):
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    sent: float
    """The driver's clock just before the request was sent.  What the answer says about a
    session was true at this time or later, which is all that a deadline may be built on."""


class Request(NamedTuple):
    """Send this to Consul.  The result is what ``parse`` returns; an error is raised."""

    method: str
    path: str
    """Percent-encoded, without the query."""
    params: tuple[tuple[str, str], ...]
    body: bytes | None
    parse: Callable[[Reply], Any]
    timeout: float | None = None
    """Seconds for the whole exchange; None: the client's own."""
    wait: float = 0.0
    """Seconds that the server may hold the answer back (a blocking query), else 0.  The driver
    adds them to the timeout, and counts such a request against the poll budget."""
    urgent: bool = False
    """Never queue behind other requests (renewals)."""

    def immediate(self) -> Request:
        """The same question, but to be answered at once: for when the poll budget is used up."""
        params = tuple(p for p in self.params if p[0] not in ("index", "wait"))
        return self._replace(params=params, wait=0.0)


class Batch(NamedTuple):
    """Send these to Consul, several at a time.

    The result has one item for each, in their order: what its ``parse`` returns, or the
    exception that it ended in.  Only what may be done twice belongs here: it is sent again if
    the connection turns out to have been closed before.
    """

    requests: tuple[Request, ...]


class Sleep(NamedTuple):
    """Do nothing for a random time between ``low`` and ``high`` seconds."""

    low: float
    high: float


class Now(NamedTuple):
    """The driver's clock in seconds.  It never steps, and it counts the time a machine sleeps."""


class Wall(NamedTuple):
    """Seconds since the epoch, by the calendar clock: for people to read, and to find the slot
    of a cron job; it decides nothing else."""


class Signal(Protocol):
    """Something to wait for inside the process: `threading.Event`, or asyncio's."""

    def set(self) -> None: ...
    def clear(self) -> None: ...
    def is_set(self) -> bool: ...


class Wait(NamedTuple):
    """Wait for ``signal``, at most ``timeout`` seconds (None: for ever).  True if it is set."""

    signal: Signal
    timeout: float | None


class Spawn(NamedTuple):
    """Run another flow beside this one.  It lives as long as the client, at most."""

    flow: Generator[Any, Any, Any]
    name: str


class Call(NamedTuple):
    """Call the user's function.  An exception of it is logged, and not raised."""

    function: Callable[..., Any]
    args: tuple[Any, ...]


class Warn(NamedTuple):
    """Write a warning into the log; ``event`` is a word for it, for those who sort warnings.

    With ``error``, which nobody foresaw, its traceback is written, too.
    """

    text: str
    event: str
    error: Exception | None = None


Effect = Request | Batch | Sleep | Now | Wall | Wait | Spawn | Call | Warn
Flow = Generator[Effect, Any, T]


class Job(NamedTuple, Generic[T]):
    """A flow, and how to clean up after it if it ends in any exception."""

    flow: Flow[T]
    undo: Callable[[], Flow[None]] | None = None
    limit: Callable[[], float | None] = lambda: None
    """Until when (driver's clock) the caller waits for anything at all; None: no limit."""

    def grace(self, error: BaseException, now: float) -> float:
        """Seconds that the caller waits for the clean-up, which goes on behind after that.

        If Consul has failed it will hardly be done soon.
        """
        if not isinstance(error, Unavailable):
            return _CLEAN_UP
        limit = self.limit()
        return _CLEAN_UP_FAILED if limit is None else max(0.0, limit - now)


class Environment(Protocol):
    """What a driver supplies beside performing effects."""

    def mutex(self) -> AbstractContextManager[Any]:
        """A new lock of the process; one that does nothing where there is one thread."""

    def signal(self) -> Signal:
        """A new signal to wait for."""

    def random(self) -> float:
        """A number between 0 and 1."""

    def catch_up(self) -> None:
        """Begin to undo every call that was cut off and left before its undo could begin."""

    def hang_up(self) -> None:
        """The client closes: long polls and pauses of calls end with `Unavailable`."""

    def busy(self) -> bool:
        """Whether calls that have an undo are under way, or to be undone; but for those of the
        thread or task that closes the client."""


class Identity(NamedTuple):
    """Who this process is, for the values of locks."""

    about: Mapping[str, Any]
    label: str
    """Beginning of the names of all sessions."""
