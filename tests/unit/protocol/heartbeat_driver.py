"""Hearts for tests that are played by hand: sessions are borrowed, and time passes beating."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.consul.models import SessionOptions
from consul_lock._protocol.flow import Flow, Request
from consul_lock._protocol.session.session import Session
from consul_lock._protocol.session.timing import session_options
from tests.unit.protocol.fake_driver import Hand

BEATING = session_options(heartbeat=1.0)


def borrow(hand: Hand, client: ClientCore, asked: SessionOptions = BEATING) -> Session:
    """A session that is bound to a heart."""
    session: Session = hand.run(client.borrow(asked, "me"))
    return session


def creating(
    hand: Hand, client: ClientCore, asked: SessionOptions = BEATING
) -> tuple[Flow[Any], Request]:
    """A borrowing, up to the creation of its session, which is not sent yet."""
    flow = client.borrow(asked, "me")
    return flow, hand.until(flow, lambda request: request.path == "/v1/session/create")


def heart(hand: Hand) -> Flow[Any]:
    """The flow of the client's first heart: its keeper is started after it."""
    return hand.spawned[0]


def services(hand: Hand) -> dict[str, str]:
    """The name of each service there is, by its id."""
    return dict(hand.world._server.checks.services)


def status(hand: Hand) -> str:
    """Of the only check of a service."""
    (check,) = hand.world.checks.keys() - {"serfHealth"}
    return hand.world.checks[check]


def perform(
    hand: Hand, flow: Flow[Any], enough: Callable[[Any], bool], *, after: Any = None
) -> Any:
    """Perform effects, from the one ``after`` which it stopped, up to one that is ``enough``,
    which is not performed yet."""
    effect = next(flow) if after is None else after
    while not enough(effect):
        try:
            result = hand.perform(effect)
        except Exception as error:  # noqa: BLE001 - the flow is told of every error
            effect = flow.throw(error)
        else:
            effect = flow.send(result)
    return effect


def finish(hand: Hand, flow: Flow[Any], *, after: Any) -> Any:
    """Perform effects, from the one at which it stands, to the end; returns the result."""
    try:
        perform(hand, flow, lambda effect: False, after=after)
    except StopIteration as end:
        return end.value


def beat_for(hand: Hand, seconds: float, *, after: Any = None) -> Any:
    """Let the heart beat for a while; returns the effect at which it stands."""
    end = hand.world.now + seconds
    return perform(hand, heart(hand), lambda effect: hand.world.now >= end, after=after)


def passes(hand: Hand) -> int:
    """How often a check was passed, of late."""
    return sum("/agent/check/pass/" in request.path for request in hand.sent)
