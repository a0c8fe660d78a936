"""The reporter of a client: events are made for those who listen, records for the log."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from consul_lock import LossReason
from consul_lock._drivers.reporter import ClientReporter, is_async
from consul_lock._protocol.reporter import DEBUG, INFO, WARNING
from consul_lock.events import Acquired, Event, Lost, Waiting
from tests.support.waiting import eventually

_ABOUT: dict[str, Any] = {"name": "deploy", "kind": "lock", "holder": None}
_LOST = {**_ABOUT, "reason": LossReason.STOLEN, "error": None, "held": 1.0}


@pytest.fixture
def reporter() -> Iterator[ClientReporter]:
    """One that is closed at the end."""
    made = ClientReporter()
    yield made
    made.close()


def test_a_report_is_an_event_for_the_listeners_of_the_client_and_of_the_lock(
    reporter: ClientReporter,
) -> None:
    """In this order; one that listens to both hears of it once."""
    seen: list[tuple[str, Event]] = []

    def listener(name: str) -> Callable[[Event], None]:
        return lambda event: seen.append((name, event))

    both, lock = listener("both"), listener("lock")
    reporter.listen([listener("client"), both])
    assert reporter.listens
    reporter.report("waiting", DEBUG, _ABOUT, [lock, both])
    reporter.close()
    assert [name for name, _ in seen] == ["client", "both", "lock"]
    assert {type(event) for _, event in seen} == {Waiting}
    assert seen[0][1].name == "deploy"
    assert seen[0][1].at > 1_700_000_000


def test_an_event_alone_makes_no_record(
    reporter: ClientReporter, caplog: pytest.LogCaptureFixture
) -> None:
    """And goes to those who listen to a lock alone, if it is theirs."""
    caplog.set_level(DEBUG, "consul_lock")
    seen: list[Event] = []
    mine: list[Event] = []
    reporter.listen([seen.append])
    reporter.publish("renewal-works", {"failing": 1.0})
    reporter.publish("renewal-works", {"failing": 1.0}, [mine.append])
    reporter.close()
    assert (len(seen), len(mine)) == (1, 1)
    assert caplog.records == []


def test_a_record_alone_makes_no_event(
    reporter: ClientReporter, caplog: pytest.LogCaptureFixture
) -> None:
    """If the log has its level."""
    seen: list[Event] = []
    reporter.listen([seen.append])
    with caplog.at_level(INFO, "consul_lock"):
        assert reporter.logs(INFO)
        assert not reporter.logs(DEBUG)
        reporter.record("waiting", INFO, {**_ABOUT, "waited": 1.0})
        reporter.record("waiting", DEBUG, _ABOUT)
    reporter.close()
    assert seen == []
    assert [record.levelno for record in caplog.records] == [INFO]


def test_what_the_keeper_reports_does_not_wait_for_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A handler may block; only warnings are urgent enough to be written from there at all."""
    beside: list[Callable[[], None]] = []

    def later(write: Callable[[], None]) -> bool:
        beside.append(write)
        return True

    reporter = ClientReporter(later)
    caplog.set_level(DEBUG, "consul_lock")
    reporter.report("lost", WARNING, _LOST)
    assert caplog.records == []
    beside.pop()()
    reporter.report("waiting", DEBUG, _ABOUT)
    assert [record.levelno for record in caplog.records] == [WARNING, DEBUG]
    assert beside == []


def test_closing_waits_for_a_second_and_counts_what_is_left(reporter: ClientReporter) -> None:
    """A listener that blocks does not keep a program from ending."""
    entered, go = threading.Event(), threading.Event()

    def blocks(event: Event) -> None:
        entered.set()
        go.wait(60)

    reporter.listen([blocks])
    for _ in range(3):
        reporter.report("acquired", INFO, {**_ABOUT, "waited": 0.0, "handed_over": False})
    assert entered.wait(60)
    reporter.close()
    assert reporter.dropped == 2
    go.set()


def test_a_forked_child_has_a_queue_and_counts_of_its_own(reporter: ClientReporter) -> None:
    """What happened to the parent is no event of the child's."""
    seen: list[Event] = []
    entered, go = threading.Event(), threading.Event()

    def fails(event: Event) -> None:
        entered.set()
        go.wait(60)
        raise ZeroDivisionError

    reporter.listen([fails])
    reporter.report("waiting", DEBUG, _ABOUT)
    assert entered.wait(60)
    parents = reporter._queue
    reporter.forked()
    reporter.listen([seen.append])
    go.set()
    eventually(lambda: parents.failures.count == 1)
    assert (reporter.errors, reporter.dropped) == (0, 0)
    reporter.report("lost", WARNING, _LOST)
    eventually(lambda: [type(event) for event in seen] == [Lost])
    parents.stop()


def test_every_event_that_is_reported_can_be_made(reporter: ClientReporter) -> None:
    """An election's is one of its own kind."""
    seen: list[Event] = []
    reporter.listen([seen.append])
    reporter.report(
        "elected", logging.INFO, {**_ABOUT, "waited": 1.0, "handed_over": True, "token": 1}
    )
    reporter.close()
    assert isinstance(seen[0], Acquired)
    assert seen[0].event == "elected"


class _Called:
    async def __call__(self, event: Event) -> None:
        """A coroutine function, too."""


async def _listen(event: Event) -> None:
    """One."""


def test_coroutine_functions_are_known() -> None:
    """Also behind a partial, and as an object that is called."""
    assert is_async(_listen)
    assert is_async(functools.partial(_listen))
    assert is_async(_Called())
    assert not is_async(print)
    assert not is_async(lambda event: (_listen(event), 1))
