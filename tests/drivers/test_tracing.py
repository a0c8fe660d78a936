"""Spans of real acquires: under the span of their caller, with a link to the one who holds."""

from __future__ import annotations

import asyncio
import threading
from contextvars import Context
from typing import Any

import pytest

from consul_lock import Client, Lock, aio, events
from consul_lock.testing import ServedWorld
from tests.support.waiting import eventually, eventually_async


class Traced:
    """A `Tracing`, its spans in memory, and the events that it has seen."""

    def __init__(self) -> None:
        # Here, so that the tests can be collected without the extra.
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        from consul_lock.otel import Tracing

        self._exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.caller = provider.get_tracer("test").start_as_current_span
        tracing = Tracing(provider)
        self.events: list[events.Event] = []
        self.options: dict[str, Any] = {
            "on_event": [tracing, self.events.append],
            "meta": tracing.meta,
        }

    def waits(self) -> bool:
        return any(isinstance(event, events.Waiting) for event in self.events)

    def finished(self, count: int) -> Any:
        """So many spans: the last events of a client come while it is closed, or soon after."""

        def there() -> Any:
            spans = self._exporter.get_finished_spans()
            return len(spans) >= count and spans

        return eventually(there)

    def of(self, caller: str) -> tuple[Any, Any]:
        """The spans of the wait and of the hold below the span of this caller."""
        spans = self.finished(6)  # there are two callers
        (above,) = [span for span in spans if span.name == caller]
        (wait,) = [span for span in spans if span.parent == above.get_span_context()]
        (hold,) = [span for span in spans if span.parent == wait.get_span_context()]
        assert (wait.name, hold.name) == ("consul_lock.wait", "consul_lock.hold")
        return wait, hold


@pytest.fixture
def traced() -> Traced:
    return Traced()


def follow_each_other(traced: Traced) -> None:
    """The second one has waited for the first one, and says so."""
    first_wait, first_hold = traced.of("first")
    second_wait, second_hold = traced.of("second")
    assert first_wait.links == ()
    (link,) = second_wait.links
    assert link.context.span_id == first_wait.get_span_context().span_id
    assert link.context.trace_id == first_wait.get_span_context().trace_id
    assert first_wait.get_span_context().trace_id != second_wait.get_span_context().trace_id
    assert second_wait.attributes["consul_lock.handed_over"] is True
    assert first_hold.start_time <= second_wait.start_time < first_hold.end_time
    assert second_wait.end_time == second_hold.start_time
    assert second_wait.attributes["consul_lock.token"] > first_wait.attributes["consul_lock.token"]
    assert [s.attributes["consul_lock.outcome"] for s in (first_hold, second_hold)] == [
        "released",
        "released",
    ]


@pytest.mark.parametrize("clients", [1, 2])
def test_threads_have_their_spans_under_the_span_of_the_caller(
    served: ServedWorld, traced: Traced, clients: int
) -> None:
    """Of two processes, as it were, or of one: the waiter learns from the metadata who holds."""
    made = [Client(served.address, **traced.options) for _ in range(clients)]
    first, second = (Lock("backup", client=client) for client in (made[0], made[-1]))

    def wait() -> None:
        with traced.caller("second"), second:
            pass

    waiter = threading.Thread(target=wait)
    with traced.caller("first"), first:
        waiter.start()
        eventually(traced.waits)
    waiter.join()
    for client in made:
        client.close()
    follow_each_other(traced)


def test_tasks_of_one_loop_have_their_spans_each_under_its_own(
    served: ServedWorld, traced: Traced
) -> None:
    """The current span is that of the task, though the listener is called elsewhere."""

    async def main() -> None:
        client = aio.Client(served.address, **traced.options)

        async def wait() -> None:
            with traced.caller("second"):
                async with aio.Lock("backup", client=client):
                    pass

        with traced.caller("first"):
            async with aio.Lock("backup", client=client):
                # Without the current span of this task, as in another request.
                waiter = asyncio.create_task(wait(), context=Context())
                await eventually_async(traced.waits)
        await waiter
        await client.close()

    asyncio.run(main())
    follow_each_other(traced)


@pytest.mark.usefixtures("busy_servers_answer")
def test_an_acquire_that_times_out_is_a_wait_without_a_hold(
    served: ServedWorld, traced: Traced
) -> None:
    """With the link to the one who was in the way."""
    with Client(served.address, **traced.options) as holder, Lock("backup", client=holder):
        with Client(served.address, **traced.options) as client, traced.caller("caller"):
            assert not Lock("backup", client=client).acquire(timeout=4)
        spans = traced.finished(2)
        (above,) = [span for span in spans if span.name == "caller"]
        (wait,) = [span for span in spans if span.parent == above.get_span_context()]
        assert wait.attributes["consul_lock.outcome"] == "timeout"
        assert len(wait.links) == 1
        assert not [span for span in spans if span.parent == wait.get_span_context()]
