"""Doing something again while Consul fails, or while others are quicker."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.consul.error_budget import ErrorBudget
from consul_lock._protocol.flow import Flow
from consul_lock._protocol.hold.hold import Hold
from consul_lock._protocol.hold.reports import report_retry
from consul_lock.errors import Unavailable

T = TypeVar("T")


# Seconds before the next try, when others were quicker to change what was read.
QUICKER = (0.0, 0.02)


# Such tries in a row: if all fail, the cause is something else than other clients.
TRIES_MAX = 200


def too_busy(key: str, doing: str) -> Unavailable:
    """The error for a change that others, or something unknown, prevented again and again."""
    return Unavailable(
        f"{doing} {key!r}: {TRIES_MAX} tries were refused, as it changed each time",
        hint="is something else writing there?",
        kind="contended",
        uncertain=False,
        key=key,
    )


def retry(client: ClientCore, once: Callable[[], Flow[T]]) -> Flow[T]:
    """Ask or do something that may be done twice.  Errors of the server are retried."""
    patience = ErrorBudget(client)
    return patience.bound(_again(patience, once, lambda: None))


def until_let_go(
    client: ClientCore, hold: Hold, once: Callable[[], Flow[T]], *, patient: bool
) -> Flow[T]:
    """Give something back.  Errors of the server are retried while it counts as held
    (``patient``), then raised."""
    patience = ErrorBudget(client, retries=patient, gives_back=True)
    patience.on_retry, patience.subject = report_retry, (hold.lock, hold.attempt)
    return patience.bound(_again(patience, once, hold.deadline))


def _again(
    patience: ErrorBudget, once: Callable[[], Flow[T]], until: Callable[[], float | None]
) -> Flow[T]:
    while True:
        try:
            return (yield from once())
        except Unavailable as error:
            failed = error
        yield from patience.ride_out(failed, until())
