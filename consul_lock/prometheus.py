"""Metrics of the locks of this process, by prometheus-client: needs the extra ``prometheus``.

    from consul_lock import Client
    from consul_lock.prometheus import Metrics

    metrics = Metrics()
    client = Client(on_event=metrics)
    metrics.watch(client)

One `Metrics` for all clients of a process; those of `consul_lock.aio` as well.  It only counts the
events (see `consul_lock.events`), so it costs the locks nothing but the events.

``name`` is the name of the lock, and each combination of labels is a series that Prometheus keeps:
the first ``names_max`` names have series of their own, and all others are counted together under an
empty ``name``.  ``kind`` is that of the events.

In prometheus-client's multiprocess mode (gunicorn and the like) the figures of all processes are
summed; ``consul_lock_held`` has the mode ``livesum``, so call ``mark_process_dead`` in gunicorn's
``child_exit``, as its manual says: what a dead worker held is not held any more.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

try:
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "prometheus_client":
        raise
    raise ModuleNotFoundError(
        "consul_lock.prometheus needs prometheus-client: "
        "pip install '.[prometheus]' in a checkout of consul-lock has it",
        name=error.name,
    ) from error

from consul_lock._drivers.fork import forget_after_fork
from consul_lock.events import (
    Acquired,
    Event,
    GaveUp,
    Lost,
    Released,
    RenewalFailing,
    Retrying,
    SlotEnded,
    SlotEvent,
    SlotMissed,
    SlotSkipped,
    SlotTaken,
)

if TYPE_CHECKING:
    _Counts = dict[weakref.ref["Watched"], int]

__all__ = ["HOLD_BUCKETS", "WAIT_BUCKETS", "Metrics"]

WAIT_BUCKETS = (0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0)
"""Seconds.  A free lock takes one or two requests, some milliseconds; one that is handed over, the
hold before; the lock of a dead holder, the TTL and the lock-delay, about a minute; then come
queues."""

HOLD_BUCKETS = (0.01, 0.1, 1.0, 10.0, 60.0, 300.0, 1800.0, 7200.0, 43200.0)
"""Seconds.  From a few requests under the lock to jobs of half a day."""

_LABELS = ("name", "kind")


class Watched(Protocol):
    """A client of either API."""

    @property
    def events_dropped(self) -> int:
        """How many events its listeners were too slow for."""


class Metrics:
    """A listener for ``Client(on_event=...)``.

    ``registry`` is prometheus-client's own by default, ``names_max`` how many names have series of
    their own.  Raises ValueError if the registry has the same metrics already.
    """

    def __init__(
        self,
        *,
        registry: CollectorRegistry = REGISTRY,
        names_max: int = 100,
        wait_buckets: Sequence[float] = WAIT_BUCKETS,
        hold_buckets: Sequence[float] = HOLD_BUCKETS,
    ) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"consul_lock_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: Sequence[float]) -> Histogram:
            full = f"consul_lock_{name}_seconds"
            return Histogram(full, text, _LABELS, registry=registry, buckets=tuple(buckets))

        self._acquired = counter("acquired", "Locks that were acquired.", *_LABELS)
        self._released = counter("released", "Locks that were released.", *_LABELS)
        self._gave_up = counter(
            "gave_up", "Acquires that ended without the lock: timeout, error, cut-off.",
            *_LABELS, "why",
        )  # fmt: skip
        self._lost = counter("lost", "Locks that were lost while they were held.", *_LABELS,
                             "reason")  # fmt: skip
        self._retries = counter("retries", "Requests that failed and were repeated.", *_LABELS)
        self._renewals = counter(
            "renewal_outages", "Times that renewals of a client's sessions began to fail."
        )
        self._slots = counter(
            "cron_slots",
            "Cron slots by what became of them: taken, passed, paused, overlap, late, done, failed,"
            " lost, timeout, missed.",
            "name",
            "outcome",
        )
        self._dropped = counter(
            "events_dropped", "Events that were dropped as listeners were too slow."
        )
        self._wait = histogram("wait", "How long acquires took that got the lock.", wait_buckets)
        self._hold = histogram("hold", "How long locks were held, until the release or the loss.",
                               hold_buckets)  # fmt: skip
        self._held = Gauge(
            "consul_lock_held",
            "Locks that are held now.",
            _LABELS,
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._names_max = names_max
        self._names: set[str] = set()
        # Clients have a thread each for their listeners.
        self._mutex = threading.Lock()
        self._holds: dict[int, tuple[str, str]] = {}
        """The labels of what is held, by the number of the acquire."""
        self._clients: _Counts = {}
        """The events that were dropped so far, by client."""
        self._inherited: set[tuple[str, str]] = set()
        """The labels of what the parent of this process held when it forked."""
        forget_after_fork(self)

    def watch(self, client: Watched) -> None:
        """Count the events that this client drops, too: its other figures are too low then."""
        with self._mutex:
            self._clients[weakref.ref(client)] = 0

    def __call__(self, event: Event) -> None:
        """Count an event."""
        with self._mutex:
            while self._inherited:
                self._held.labels(*self._inherited.pop()).set(0)
            self._count_dropped()
            self._count(event)

    def _count(self, event: Event) -> None:
        labels = (self._name(event.name), event.kind)
        match event:
            case Acquired():
                self._acquired.labels(*labels).inc()
                self._wait.labels(*labels).observe(event.waited)
                self._holds[event.attempt] = labels
                self._held.labels(*labels).inc()
            case Released():
                self._released.labels(*labels).inc()
                self._ends(event, labels, event.held)
            case Lost():
                self._lost.labels(*labels, event.reason.value).inc()
                self._ends(event, labels, event.held)
            case GaveUp():
                self._gave_up.labels(*labels, event.why).inc()
            case Retrying():
                self._retries.labels(*labels).inc()
            case RenewalFailing():
                self._renewals.inc()
            case SlotEvent():
                self._count_slot(event, labels[0])

    def _count_slot(self, event: SlotEvent, name: str) -> None:
        match event:
            case SlotTaken():
                self._slots.labels(name, "taken").inc()
            case SlotSkipped():
                self._slots.labels(name, event.why).inc()
            case SlotEnded():
                self._slots.labels(name, event.state).inc()
            case SlotMissed():
                self._slots.labels(name, "missed").inc(event.slots)

    def _ends(self, event: Event, labels: tuple[str, str], held: float) -> None:
        self._hold.labels(*labels).observe(held)
        # Its beginning may have been dropped, or was before a fork.
        if self._holds.pop(event.attempt, None) is not None:
            self._held.labels(*labels).dec()

    def _name(self, name: str) -> str:
        if not name or name in self._names:
            return name
        if len(self._names) >= self._names_max:
            return ""
        self._names.add(name)
        return name

    def _count_dropped(self) -> None:
        for reference, before in list(self._clients.items()):
            client = reference()
            if client is None:
                del self._clients[reference]
            elif (dropped := client.events_dropped) > before:
                self._dropped.inc(dropped - before)
                self._clients[reference] = dropped

    def forked(self) -> None:
        """In a child, which holds nothing of what its parent holds."""
        # Another thread may have had it.  So it may be with those of prometheus-client, which are
        # left alone here: only a listener waits for them.
        self._mutex = threading.Lock()
        self._inherited.update(self._holds.values())
        self._holds.clear()
