"""Spans of the locks of this process, by OpenTelemetry: needs the extra ``otel``.

    from consul_lock import Client
    from consul_lock.otel import Tracing

    tracing = Tracing()
    client = Client(on_event=tracing, meta=tracing.meta)

Each acquire is a span ``consul_lock.wait``, a child of the span that is current where it is called,
in threads and in asyncio; what it acquired is a span ``consul_lock.hold``, a child of that.  The
holder publishes the context of its span as ``traceparent`` in its metadata, so the span of a waiter
has a link to the one who holds, in whichever process that is, if it is traced, too.

How the two come together: `Tracing.meta` is called at each acquire by the thread or task that makes
it, and there the span begins; what happens later comes as events, some time after, in another
thread.  They have the metadata of their acquire, so the ``traceparent`` says which span is meant,
and the times of the spans are those of the events.

The semantic conventions have none for locks: the attributes are ``consul_lock.*``, and
``error.type`` after an error, as the general ones want it.
"""

from __future__ import annotations

import threading
from typing import TypeAlias

try:
    from opentelemetry.context import Context
    from opentelemetry.trace import (
        Span,
        SpanKind,
        StatusCode,
        TracerProvider,
        get_current_span,
        get_tracer,
        set_span_in_context,
    )
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "opentelemetry":
        raise
    raise ModuleNotFoundError(
        "consul_lock.otel needs opentelemetry-api: "
        "pip install '.[otel]' in a checkout of consul-lock has it",
        name=error.name,
    ) from error

from consul_lock._drivers.fork import forget_after_fork
from consul_lock._version import __version__
from consul_lock.errors import ConsulLockError, LockLost, LossReason
from consul_lock.events import (
    Acquired,
    Event,
    GaveUp,
    Lost,
    Released,
    RenewalFailing,
    Retrying,
    Waiting,
)

__all__ = ["Tracing"]

_TRACEPARENT = "traceparent"
_ERROR = "error.type"
_PROPAGATOR = TraceContextTextMapPropagator()

_Attributes: TypeAlias = dict[str, str | int | float]

_OPEN_MAX = 10_000
"""Spans that are open at once.  One whose end was dropped would stay for ever, so the oldest is
ended."""


class Tracing:
    """A listener for ``Client(on_event=...)``, and what its acquires say, for ``Client(meta=...)``.

    One for all clients of a process; those of `consul_lock.aio` as well.  ``tracer_provider`` is
    the global one by default.
    """

    def __init__(self, tracer_provider: TracerProvider | None = None) -> None:
        self._tracer = get_tracer("consul_lock", __version__, tracer_provider)
        self._open: dict[str, _Acquire] = {}
        """By traceparent."""
        self._mutex = threading.Lock()
        forget_after_fork(self)

    def meta(self) -> dict[str, str]:
        """Begin the span of an acquire, and say what others are to know of it."""
        span = self._tracer.start_span("consul_lock.wait", kind=SpanKind.INTERNAL)
        context, carrier = set_span_in_context(span), dict[str, str]()
        _PROPAGATOR.inject(carrier, context)
        parent = carrier.get(_TRACEPARENT)
        if parent is None:
            return {}  # nothing is traced
        left = None
        with self._mutex:
            self._open[parent] = _Acquire(span, context)
            if len(self._open) > _OPEN_MAX:
                left = self._open.pop(next(iter(self._open)))
        if left is not None:
            left.span.end()
        return {_TRACEPARENT: parent}

    def __call__(self, event: Event) -> None:
        """Go on with a span, or end it."""
        if isinstance(event, RenewalFailing):
            self._renewals_fail(event)
        parent = event.meta.get(_TRACEPARENT)
        acquire = None
        if parent is not None:
            with self._mutex:
                ended = isinstance(event, Released | Lost | GaveUp)
                acquire = self._open.pop(parent, None) if ended else self._open.get(parent)
        # An exporter may take its time: nobody who acquires waits for it.
        if acquire is not None:
            self._continue(acquire, event)

    def _continue(self, acquire: _Acquire, event: Event) -> None:
        span, at = acquire.span, _nanoseconds(event.at)
        match event:
            case Waiting():
                _link(acquire, event)
            case Acquired():
                _link(acquire, event)
                span.set_attributes({**_about(event), "consul_lock.handed_over": event.handed_over})
                _end(span, "acquired", at)
                acquire.span = self._tracer.start_span(
                    "consul_lock.hold", acquire.context, attributes=_about(event), start_time=at
                )
                acquire.holds = True
            case GaveUp():
                _link(acquire, event)
                span.set_attributes(_about(event))
                _end(span, event.why, at, _error(event.error).get(_ERROR))
            case Released():
                _end(span, "released", at)
            case Lost():
                span.set_attribute("consul_lock.lost.reason", event.reason.value)
                # Closing a client with what it holds is no error.
                revoked = event.reason is LossReason.REVOKED
                _end(span, "lost", at, None if revoked else LockLost.__name__)
            case Retrying():
                about: _Attributes = {"consul_lock.pause": event.pause, **_error(event.error)}
                span.add_event("consul_lock.retrying", about, at)

    def _renewals_fail(self, event: RenewalFailing) -> None:
        """Of all that is held: it is said of a client, and there is mostly one."""
        with self._mutex:
            holds = [acquire.span for acquire in self._open.values() if acquire.holds]
        about: _Attributes = {"consul_lock.left": event.left, **_error(event.error)}
        for span in holds:
            span.add_event("consul_lock.renewal_failing", about, _nanoseconds(event.at))

    def forked(self) -> None:
        """In a child, which has nothing of what its parent has: that ends the spans."""
        self._mutex = threading.Lock()  # another thread may have had it
        self._open.clear()


class _Acquire:
    """An acquire, or what it has acquired."""

    def __init__(self, span: Span, context: Context) -> None:
        self.span = span
        """Of the wait, and then of the hold."""
        self.context = context
        """That of the wait."""
        self.holds = False
        self.links = set[str]()
        """The traceparents of the holders that its wait has a link to."""


def _about(event: Event) -> _Attributes:
    found: _Attributes = {
        "consul_lock.name": event.name,
        "consul_lock.kind": event.kind,
        "consul_lock.key": event.key,
    }
    if event.session:
        found["consul_lock.session"] = event.session
    if event.token is not None:
        found["consul_lock.token"] = event.token
    return found


def _link(acquire: _Acquire, event: Event) -> None:
    """To the span of the one who holds, or has held, if that one is traced."""
    parent = event.holder.meta.get(_TRACEPARENT) if event.holder is not None else None
    if event.holder is None or parent is None or parent in acquire.links:
        return
    span = get_current_span(_PROPAGATOR.extract({_TRACEPARENT: parent}, Context()))
    if span.get_span_context().is_valid:  # others may have put anything there
        acquire.links.add(parent)
        holder: _Attributes = {
            "consul_lock.holder.host": event.holder.host,
            "consul_lock.holder.pid": event.holder.pid,
        }
        acquire.span.add_link(span.get_span_context(), holder)


def _error(error: ConsulLockError | None) -> dict[str, str]:
    return {} if error is None else {_ERROR: type(error).__name__}


def _end(span: Span, outcome: str, at: int, error: str | None = None) -> None:
    span.set_attribute("consul_lock.outcome", outcome)
    if error:
        span.set_attribute(_ERROR, error)
        span.set_status(StatusCode.ERROR)
    span.end(at)


def _nanoseconds(at: float) -> int:
    return int(at * 1e9)
