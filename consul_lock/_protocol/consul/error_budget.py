"""How long one call goes on while Consul fails, and how long each of its requests may take.

A call is wrapped as a whole, in `ErrorBudget.bound`, through which each of its requests passes.  So
the limits hold for every request, also for those of code that knows nothing of limits.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any, Protocol, TypeVar

from consul_lock._protocol.consul.contact import Contact
from consul_lock._protocol.consul.request_limit import is_limit
from consul_lock._protocol.flow import Batch, Effect, Flow, Now, Request, Sleep, Wait, Wall, Warn
from consul_lock.errors import ConfigError, ConsulLockError, Refused, Unavailable

T = TypeVar("T")

GRACE = 1.0
"""Seconds after the caller's deadline in which requests that are needed then (leaving the queue,
the first try itself) are still answered, and a clean-up is waited for."""

# Seconds for a request at least, if it is sent at all.
_REQUEST_MIN = 0.5

# Seconds of the pause after the first error, doubled after each, and of the longest one.
_PAUSE_FIRST, _PAUSE_MAX = 0.1, 2.0

# The same after an answer that says that there are too many requests: the limit is for all
# clients together, so trying again soon keeps it up.
_LIMITED_FIRST, _LIMITED_MAX = 1.0, 15.0

# Seconds of a pause at least: pauses of half of what is left would have no end.
_PAUSE_MIN = 0.1

# Seconds between two failed writes of one series; reads that are answered well in between do not
# end it.
_SERIES = 20.0

# What there are limits for, beside a request.
_LIMITED = (Batch, Sleep)

# What waits, beside a long poll.
_WAITS = (Wait, Sleep)

# Seconds after which the log says that a health check is waited for.
_CHECK_TOLD = 2.0


class Limits(Protocol):
    """What a client says of the times of its calls, and knows of how Consul answers."""

    contact: Contact
    closed: bool
    retry_for: float
    connect_timeout: float
    request_timeout: float


class ErrorBudget:
    """The limits of one call.

    ``retry_for`` counts from the sending of the first request without a good answer since the
    last good one, of this call or of any call of the same client, but not from before this call:
    so threads that began together end together, and a call that begins in the middle of an outage
    has its time, too.
    """

    # Only trouble changes these: most calls never have a value of their own.
    _begun: float | None = None
    _since: float | None = None
    """The sending of the first request of this call without a good answer since the last."""
    _writes: tuple[float, float] | None = None
    """The same of writes alone, first and last.  Where reads are served and writes are not,
    each look would otherwise begin the time anew."""
    _times = 0
    _last: ConsulLockError | None = None
    _told = False
    _late = 0.0
    """Seconds that requests took which were sent after the end of the call."""
    on_wait: Callable[[float, float | None], float | None] | None = None
    """Called with the time (driver's clock) when it is about to wait, and for how long; it returns
    how long to wait before it wants to be called again."""
    on_retry: Callable[..., None] | None = None
    """Called before a pause with the ``subject``, the error, the seconds of the pause and since the
    trouble began, and whether it is the first one of the client since Consul answered well."""
    subject: tuple[Any, ...] = ()
    """What the call is about."""

    def __init__(
        self,
        client: Limits,
        *,
        within: float | None = None,
        retries: bool = True,
        endless: Callable[[], bool] = lambda: False,
        name: str = "",
        gives_back: bool = False,
    ) -> None:
        self._client = client
        self._within = within
        """Seconds for the call, good or bad; None: as long as it takes."""
        self._retries = retries
        """Whether errors are retried at all."""
        self._endless = endless
        """Whether, once Consul has answered, errors do not end the call, only ``within`` does: it
        has a place in a queue, which it would lose."""
        self._name = name
        """What it is for, in the log."""
        self._gives_back = gives_back
        """Others wait for what it gives back, so a limit of requests does not hold it up."""

    def bound(self, flow: Flow[T]) -> Flow[T]:  # noqa: C901 - see below
        """The flow, whose requests and pauses get no more time than is left.

        Each step of every acquire and release passes through this one loop, in which a function
        more can be measured.  The most common case comes first: a request without limits
        of its own while all is well, the clock, nothing to note.
        """
        send = flow.send
        step: Any = send
        value: Any = None
        answers: Any = None
        client = self._client
        unlimited = self._within is None and client.request_timeout <= client.retry_for
        asked: tuple[Request, ...] = ()
        now: float | None = None  # unless an effect came since that may have taken time
        sent = 0.0
        try:
            if self._begun is None:
                now = self._begun = yield Now()
                if client.contact.limit.known:
                    yield from self._keep_distance(now)
                    now = None
            while True:
                try:
                    effect = step(value)
                except StopIteration as stop:
                    result: T = stop.value
                    return result
                kind = type(effect)
                try:
                    if kind is Request:
                        if now is None:
                            now = yield Now()
                        sent, now = now, None
                        plain = effect.timeout is None and not effect.wait
                        asked = (effect,)
                        if not (plain and unlimited and self._is_well()):
                            if effect.wait and self.on_wait is not None:
                                self.on_wait(sent, effect.wait)
                            self._give_way(effect)
                            effect = self._cut(effect, sent)
                            asked = (effect,)
                        value = yield effect
                        if not self._is_well(sent):
                            answers = (value,)
                    elif kind is Now:
                        value = now = yield effect
                    elif kind is Wall:
                        value = yield effect
                    else:
                        asked = ()
                        if kind in _WAITS and self.on_wait is not None:
                            if now is None:
                                now = yield Now()
                            effect = self._about_to_wait(effect, now)
                        if kind in _LIMITED:
                            if now is None:
                                now = yield Now()
                            sent = now
                            effect, asked = self._limit(effect, sent)
                        value, now = (yield effect), None
                        if kind is Batch:
                            answers = value
                    step = send
                except BaseException as error:  # noqa: BLE001 - the flow gets every exception
                    value, step, now = error, flow.throw, None
                    answers = (error,)
                if answers is not None:  # else `Contact` has heard of the answer by itself
                    yield from self._note(asked, sent, answers)
                    asked, sent, answers = (), 0.0, None
        finally:
            # An exception between two effects leaves the flow where it is, until it is collected.
            flow.close()
            value = answers = None

    def _note(
        self, asked: tuple[Request, ...], sent: float, answers: tuple[Any, ...]
    ) -> Flow[None]:
        answered = not any(isinstance(answer, BaseException) for answer in answers)
        if answered and self._is_late(sent):
            now = yield Now()
            if now - sent <= max(map(self._longest, asked)):  # else this process was stopped again
                self._late += now - sent
        if any(isinstance(answer, Unavailable) for answer in answers):
            # If this process was stopped meanwhile, that is no fault of Consul.
            now = yield Now()
            sent = max(sent, now - max(map(self._longest, asked), default=0.0))
        # Of a batch that failed as a whole, one stands for all.
        for request, answer in zip(asked, answers, strict=False):
            self._heard(request, sent, answer)

    def ride_out(self, error: Unavailable | Refused, until: float | None = None) -> Flow[None]:
        """Pause before the next try, or raise the error if there has been enough of it.

        ``until``: when it makes no more sense to go on (driver's clock).
        """
        checked = isinstance(error, Refused)
        if checked and not error.temporary:  # type: ignore[union-attr] # its kind says so
            raise error
        now = yield Now()
        since = self._trouble(now, write=True)
        if since is None:
            self._since = since = now
        end = self.end
        if not (self._goes_on() or (checked and end is not None)):
            retry_end = since + self._client.retry_for
            end = retry_end if end is None else min(end, retry_end)
        if until is not None:
            end = until if end is None else min(end, until)
        if not self._retries or self._client.closed or (end is not None and now >= end):
            raise error
        most = self._pause(error, now)
        if now - since >= (_CHECK_TOLD if checked else self._client.retry_for):
            yield from self._tell(error)
        if end is not None:
            most = min(most, max(end - now, _PAUSE_MIN))
        self._times += 1
        if self.on_retry is not None:
            contact = self._client.contact
            first, contact.retrying = not contact.retrying, True
            self.on_retry(*self.subject, error, most, max(0.0, now - since), first)
        yield Sleep(most / 2, most)

    @property
    def begun(self) -> float:
        """When the call began (driver's clock)."""
        return 0.0 if self._begun is None else self._begun

    def well(self) -> None:
        """All is well: what failed was not missed."""
        self._since, self._writes, self._times, self._last = None, None, 0, None
        self._told = False

    def overdue(self, now: float) -> Unavailable | None:
        """The error for one that has sent nothing yet, as others of this client were before it,
        who were not answered well for as long as it is willing to wait."""
        contact, begun = self._client.contact, self._begun
        if contact.error is None or begun is None or contact.trouble is None:
            return None
        if now < max(contact.trouble, begun) + max(self._client.retry_for, _REQUEST_MIN):
            return None
        return contact.again()

    @property
    def limit(self) -> float | None:
        """Until when (driver's clock) the caller waits for anything at all; None: no limit."""
        end = self.end
        return None if end is None else end + GRACE

    # -- under a limit of requests -------------------------------------------------------------

    def _keep_distance(self, now: float) -> Flow[None]:
        """Do not begin at once if the servers have refused requests, and another call of this
        client has begun just now.  Half of a timeout at most: then it is tried all the same."""
        if self._gives_back or not self._retries:
            return
        limit, begun, end = self._client.contact.limit, now, self.end
        latest = float("inf") if end is None else (begun + end) / 2
        while not self._client.closed:
            pause = min(limit.before_call(now), latest - now)
            if pause <= 0:
                return
            yield Sleep(pause, pause + _PAUSE_MIN)
            now = yield Now()

    def _give_way(self, request: Request) -> None:
        """Raise as if the server had refused it, while renewals of this client are refused.

        Not what is needed to leave a queue, or to take what is handed over there.
        """
        limit = self._client.contact.limit
        if not limit.renewals_wait or request.urgent or self._gives_back:
            return
        if request.wait or not self._endless():
            raise limit.give_way()

    # -- requests ------------------------------------------------------------------------------

    def _about_to_wait(self, effect: Effect, now: float) -> Effect:
        """The wait within the process, which may be shorter so that it is said in time that the
        call waits; a pause is one anyway."""
        assert self.on_wait is not None
        match effect:
            case Wait(signal, timeout):
                return Wait(signal, self.on_wait(now, timeout))
            case Sleep(_, high):
                self.on_wait(now, high)
        return effect

    def _limit(self, effect: Effect, now: float) -> tuple[Effect, tuple[Request, ...]]:
        """The effect within its limits, and what it asks of Consul."""
        match effect:
            case Batch(requests):
                asked = tuple(self._cut(request, now) for request in requests)
                return Batch(asked), asked
            case Sleep():
                return self._shorten(effect, now), ()
        return effect, ()

    def _cut(self, request: Request, now: float) -> Request:
        most = self._client.request_timeout if request.timeout is None else request.timeout
        if self._within is None and self._is_well():
            left = self._until_missed(request)
        else:
            left = min(self._until_end(request, now), self._until_enough(request, now))
        return request._replace(timeout=left) if left < most else request

    def _longest(self, request: Request) -> float:
        """Seconds that a request takes at most."""
        timeout = request.timeout
        most = self._client.request_timeout if timeout is None else timeout
        return most + request.wait * 17 / 16

    def _shorten(self, pause: Sleep, now: float) -> Sleep:
        if self.end is None:
            return pause
        left = max(_PAUSE_MIN, self.end - now)
        return pause if pause.high <= left else Sleep(min(pause.low, left), left)

    def _until_end(self, request: Request, now: float) -> float:
        """Seconds for a request, by the limit of the call."""
        end = self.end
        if end is None:
            return float("inf")
        last = end + GRACE - now
        if last <= 0 and self._last is None:
            # Consul is not to blame: this process did not run.  Requests still to be sent get their
            # answers within the same second, so that the call ends as a failed try.
            last = GRACE - self._late
        if last <= 0:
            raise self._last or Unavailable(
                "Consul was too slow: no time is left for another request",
                kind="no-time",
                uncertain=False,
            )
        # Consul answers a blocking query up to a sixteenth late.
        held = request.wait * 17 / 16
        return max(min(max(end - now - held, GRACE), last - held), 0.05)

    def _until_enough(self, request: Request, now: float) -> float:
        """Seconds for a request, by ``retry_for``."""
        retry_for = self._client.retry_for
        since = self._trouble(now, write=_writes(request))
        if since is None:
            return self._until_missed(request)
        if self._goes_on():
            return float("inf")
        return max(since + retry_for - now, _REQUEST_MIN)

    def _until_missed(self, request: Request) -> float:
        """The same of the first request without a good answer."""
        held = request.wait * 17 / 16
        return max(self._client.retry_for - held, self._client.connect_timeout)

    def _heard(self, request: Request, sent: float, answer: Any) -> None:
        """Note what became of a request: an exception, or any result."""
        error = answer if isinstance(answer, BaseException) else None
        write = _writes(request)
        if isinstance(error, Unavailable):
            self._client.contact.failed(sent, error)
        elif not (isinstance(error, Refused) and error.temporary):
            if isinstance(error, ConfigError):
                return  # most likely not of Consul, but of what answers at a wrong address
            if error is None or isinstance(error, ConsulLockError):
                self._client.contact.well(sent)
                self._since, self._last, self._told = None, None, False
                self._writes = None if write else self._writes
                self._times = self._times if self._writes else 0
            return
        self._last = copy(error)  # without its traceback, which would keep all frames
        if write:
            series = self._writes is not None and sent - self._writes[1] < _SERIES
            first = self._writes[0] if series and self._writes else sent
            self._writes = first, sent
            sent = first
        self._since = sent if self._since is None else min(self._since, sent)

    # -- times ---------------------------------------------------------------------------------

    @property
    def end(self) -> float | None:
        """Until when (driver's clock) the call may go on; None: as long as it takes."""
        if self._within is None or self._begun is None:
            return None
        return self._begun + self._within

    def _is_well(self, sent: float = 0.0) -> bool:
        """Whether there is no trouble, of this call or of others, and was none since the last good
        answer; nor is a request that was sent then a late one."""
        contact = self._client.contact
        if contact.trouble is not None or not contact.reached or contact.limit.renewals_wait:
            return False
        if self._since is not None or self._writes is not None:
            return False
        return self._within is None or not self._is_late(sent)

    def _is_late(self, sent: float) -> bool:
        within, begun = self._within, self._begun
        return within is not None and begun is not None and sent > begun + within

    def _goes_on(self) -> bool:
        return self._client.contact.reached and self._endless()

    def _trouble(self, now: float, *, write: bool) -> float | None:
        """Since when there is trouble; None: there is none."""
        found = []
        if self._since is not None:
            found.append(self._since)
        if write and self._writes is not None and now - self._writes[1] < _SERIES:
            found.append(self._writes[0])
        shared = self._client.contact.trouble
        if shared is not None and self._begun is not None:
            found.append(max(shared, self._begun))
        return min(found, default=None)

    def _pause(self, error: Unavailable | Refused, now: float) -> float:
        """Seconds to pause at most."""
        limit, status = self._client.contact.limit, getattr(error, "status", None)
        # An agent holds a read that the servers refuse until its sender gives up.
        limited = is_limit(error) or (status is None and limit.known)
        first, most = (_LIMITED_FIRST, _LIMITED_MAX) if limited else (_PAUSE_FIRST, _PAUSE_MAX)
        seconds = min(first * 2.0 ** min(self._times, 20), most)
        if limited:
            seconds = max(seconds, limit.distance(now))
        asked = getattr(error, "retry_after", None)
        # Twice, as half of it is the least that is paused.
        return float(seconds if asked is None else max(seconds, 2.0 * asked))

    def _tell(self, error: Unavailable | Refused) -> Flow[None]:
        """Say once that the call goes on."""
        contact = self._client.contact
        if self._told or contact.told:
            return
        self._told, contact.told = True, isinstance(error, Unavailable)
        waiting = f"waiting for {self._name!r} goes on" if self._name else "it is tried on"
        yield Warn(f"{error}: {waiting}", "unavailable")


def _writes(request: Request) -> bool:
    """Whether it goes through Raft, or to the leader at least; a transaction that only looks does
    not."""
    return request.method != "GET" and ("consistent", "") not in request.params
