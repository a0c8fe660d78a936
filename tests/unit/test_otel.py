"""Events become spans of OpenTelemetry.

What real locks make of them, in threads and in asyncio, is in drivers/test_tracing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from consul_lock import Holder, events
from consul_lock.errors import LossReason, Unavailable

_ABOUT = {"name": "backup", "kind": "lock", "key": "backup/.lock", "session": "s-1", "attempt": 1}
# Seconds since the epoch, later than any span of these tests begins.
_LATER = 4_000_000_000.0


class Traced:
    """A `Tracing` whose spans are kept in memory."""

    def __init__(self) -> None:
        # Here, so that the tests can be collected without the extra.
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        from consul_lock.otel import Tracing

        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = provider.get_tracer("test")
        self.tracing = Tracing(provider)

    def tell(self, *told: events.Event) -> None:
        for event in told:
            self.tracing(event)

    @property
    def spans(self) -> list[Any]:
        """Those that have ended."""
        return list(self.exporter.get_finished_spans())

    def taken(self, **holder: Any) -> dict[str, str]:
        """The metadata of an acquire that got its lock."""
        meta = self.tracing.meta()
        more = {"holder": Holder("s-0", "h2", 7, "root", "cmd", **holder)} if holder else {}
        self.tell(events.Acquired(**_ABOUT, **more, meta=meta, token=5, at=_LATER))
        return meta


@pytest.fixture
def traced() -> Traced:
    return Traced()


def context(about: Any) -> str:
    """A span's context as the beginning of a traceparent; the flags are left out."""
    return f"00-{about.trace_id:032x}-{about.span_id:016x}-"


def test_a_wait_is_a_child_of_the_callers_span_and_the_hold_is_its_child(traced: Traced) -> None:
    """They meet at the moment of the acquire; the times are those of the events."""
    with traced.tracer.start_as_current_span("caller") as caller:
        meta = traced.taken()
    traced.tell(events.Released(**_ABOUT, meta=meta, at=_LATER + 2))
    wait, hold = (span for span in traced.spans if span.name != "caller")
    assert [wait.name, hold.name] == ["consul_lock.wait", "consul_lock.hold"]
    assert wait.parent == caller.get_span_context()
    assert hold.parent == wait.get_span_context()
    assert list(meta) == ["traceparent"]
    assert meta["traceparent"].startswith(context(wait.get_span_context()))
    assert wait.end_time == hold.start_time == _LATER * 1e9
    assert hold.end_time - hold.start_time == 2e9
    assert wait.instrumentation_scope.name == "consul_lock"


def test_the_attributes_are_in_the_namespace_of_the_library(traced: Traced) -> None:
    """There is no error in what went well."""
    meta = traced.taken()
    traced.tell(events.Released(**_ABOUT, meta=meta, at=_LATER))
    wait, hold = traced.spans
    common = {
        "consul_lock.name": "backup",
        "consul_lock.kind": "lock",
        "consul_lock.key": "backup/.lock",
        "consul_lock.session": "s-1",
        "consul_lock.token": 5,
    }
    more = {"consul_lock.handed_over": False, "consul_lock.outcome": "acquired"}
    assert dict(wait.attributes) == {**common, **more}
    assert dict(hold.attributes) == {**common, "consul_lock.outcome": "released"}
    assert [wait.status.is_unset, hold.status.is_unset] == [True, True]
    assert [wait.kind.name, hold.kind.name] == ["INTERNAL", "INTERNAL"]


def test_a_wait_has_a_link_to_the_one_who_holds(traced: Traced) -> None:
    """Once, though several events say who it is."""
    other = traced.tracing.meta()
    traced.exporter.clear()
    meta = traced.tracing.meta()
    holder = Holder("s-0", "web-2", 7, "root", "cmd", meta=other)
    traced.tell(
        events.Waiting(**_ABOUT, holder=holder, meta=meta, at=_LATER),
        events.Acquired(**_ABOUT, holder=holder, meta=meta, at=_LATER),
    )
    (wait,) = traced.spans
    (link,) = wait.links
    assert other["traceparent"].startswith(context(link.context))
    assert dict(link.attributes) == {
        "consul_lock.holder.host": "web-2",
        "consul_lock.holder.pid": 7,
    }


@pytest.mark.parametrize("said", [{}, {"traceparent": "nonsense"}, {"traceparent": ""}])
def test_a_holder_that_is_not_traced_is_no_link(traced: Traced, said: dict[str, str]) -> None:
    """What others say of themselves can be anything."""
    traced.taken(meta=said)
    (wait,) = traced.spans
    assert wait.links == ()


@pytest.mark.parametrize("why", ["timeout", "cut-off"])
def test_an_acquire_that_gave_up_is_no_error(traced: Traced, why: str) -> None:
    """Not to get a lock is an answer; no hold begins."""
    meta = traced.tracing.meta()
    traced.tell(events.GaveUp(**_ABOUT, why=why, meta=meta, at=_LATER))
    (wait,) = traced.spans
    assert wait.attributes["consul_lock.outcome"] == why
    assert "error.type" not in wait.attributes
    assert wait.status.is_unset


def test_an_error_of_consul_is_the_error_of_the_wait(traced: Traced) -> None:
    """Each repeated request is an event of the span."""
    meta, error = traced.tracing.meta(), Unavailable("no")
    traced.tell(
        events.Retrying(**_ABOUT, error=error, pause=0.5, meta=meta, at=_LATER),
        events.GaveUp(**_ABOUT, why="error", error=error, meta=meta, at=_LATER + 1),
    )
    (wait,) = traced.spans
    assert wait.attributes["error.type"] == "Unavailable"
    assert not wait.status.is_ok
    assert not wait.status.is_unset
    (retry,) = wait.events
    assert retry.name == "consul_lock.retrying"
    assert dict(retry.attributes) == {"error.type": "Unavailable", "consul_lock.pause": 0.5}


def test_a_loss_is_the_error_of_the_hold(traced: Traced) -> None:
    """With its reason; that renewals failed before is an event of it, and not of a wait."""
    meta, waiting = traced.taken(), traced.tracing.meta()
    failing = events.RenewalFailing(kind="client", error=Unavailable("no"), left=9.0, at=_LATER)
    lost = events.Lost(**_ABOUT, reason=LossReason.DEADLINE, meta=meta, at=_LATER + 9)
    traced.tell(failing, lost)
    traced.tell(events.GaveUp(**_ABOUT, meta=waiting, at=_LATER))
    _, hold, wait = traced.spans
    assert hold.attributes["consul_lock.outcome"] == "lost"
    assert hold.attributes["consul_lock.lost.reason"] == "deadline"
    assert hold.attributes["error.type"] == "LockLost"
    assert hold.status.status_code.name == "ERROR"
    assert [event.name for event in hold.events] == ["consul_lock.renewal_failing"]
    assert wait.events == ()


def test_what_a_client_held_when_it_was_closed_is_no_error(traced: Traced) -> None:
    """It is lost all the same."""
    lost = events.Lost(**_ABOUT, reason=LossReason.REVOKED, meta=traced.taken(), at=_LATER)
    traced.tell(lost)
    _, hold = traced.spans
    assert hold.attributes["consul_lock.outcome"] == "lost"
    assert "error.type" not in hold.attributes
    assert hold.status.is_unset


def test_without_a_provider_nothing_is_said() -> None:
    """And nothing is kept: OpenTelemetry's API alone makes no spans."""
    from opentelemetry.trace import NoOpTracerProvider

    from consul_lock.otel import Tracing

    tracing = Tracing(NoOpTracerProvider())
    assert tracing.meta() == {}
    tracing(events.Acquired(**_ABOUT))
    assert tracing._open == {}


def test_events_of_acquires_that_are_not_traced_make_no_span(traced: Traced) -> None:
    """Of a client without ``meta=``, or whose span was ended before."""
    traced.tell(events.Acquired(**_ABOUT), events.Released(**_ABOUT, meta={"traceparent": "x"}))
    assert traced.spans == []


def test_spans_whose_ends_are_never_heard_of_do_not_pile_up(
    traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest is ended for each that is too many."""
    from consul_lock import otel

    monkeypatch.setattr(otel, "_OPEN_MAX", 3)
    first, *_ = [traced.tracing.meta() for _ in range(5)]
    assert len(traced.tracing._open) == 3
    assert len(traced.spans) == 2
    assert first["traceparent"].startswith(context(traced.spans[0].get_span_context()))


def test_a_forked_child_does_not_end_the_spans_of_its_parent(traced: Traced) -> None:
    """It hears that what the parent holds is not its own."""
    meta = traced.taken()
    traced.exporter.clear()
    pid = os.fork()
    if not pid:
        traced.tell(events.Lost(**_ABOUT, reason=LossReason.FORKED, meta=meta, at=_LATER))
        os._exit(len(traced.spans))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    traced.tell(events.Released(**_ABOUT, meta=meta, at=_LATER))
    assert len(traced.spans) == 1


def test_without_the_extra_the_error_says_what_to_install() -> None:
    """As README installs it: from a checkout."""
    program = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "try: import consul_lock.otel\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.startswith("consul_lock.otel needs opentelemetry-api: ")
    assert "pip install '.[otel]'" in done.stdout
