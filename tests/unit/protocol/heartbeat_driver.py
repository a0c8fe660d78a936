"""Heartbeats for tests that are played by hand: sessions are borrowed, and time passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.consul.models import SessionOptions
from consul_lock._protocol.flow import Flow, Request
from consul_lock._protocol.session.session import Session
from consul_lock._protocol.session.timing import session_options
from tests.unit.protocol.fake_driver import FakeDriver

BEATING = session_options(heartbeat=1.0)


def borrow(driver: FakeDriver, client: ClientCore, asked: SessionOptions = BEATING) -> Session:
    """A session that is bound to a heartbeat."""
    session: Session = driver.run(client.borrow(asked, "me"))
    return session


def creating(
    driver: FakeDriver, client: ClientCore, asked: SessionOptions = BEATING
) -> tuple[Flow[Any], Request]:
    """A borrowing, up to the creation of its session, which is not sent yet."""
    flow = client.borrow(asked, "me")
    return flow, driver.until(flow, lambda request: request.path == "/v1/session/create")


def heartbeat_flow(driver: FakeDriver) -> Flow[Any]:
    """The flow of the client's first heartbeat: its keeper is started after it."""
    return driver.spawned[0]


def services(driver: FakeDriver) -> dict[str, str]:
    """The name of each service there is, by its id."""
    return dict(driver.world._server.checks.services)


def status(driver: FakeDriver) -> str:
    """Of the only check of a service."""
    (check,) = driver.world.checks.keys() - {"serfHealth"}
    return driver.world.checks[check]


def perform(
    driver: FakeDriver, flow: Flow[Any], enough: Callable[[Any], bool], *, after: Any = None
) -> Any:
    """Perform effects, from the one ``after`` which it stopped, up to one that is ``enough``,
    which is not performed yet."""
    effect = next(flow) if after is None else after
    while not enough(effect):
        try:
            result = driver.perform(effect)
        except Exception as error:  # noqa: BLE001 - the flow gets every error
            effect = flow.throw(error)
        else:
            effect = flow.send(result)
    return effect


def finish(driver: FakeDriver, flow: Flow[Any], *, after: Any) -> Any:
    """Perform effects, from the one at which it stands, to the end; returns the result."""
    try:
        perform(driver, flow, lambda effect: False, after=after)
    except StopIteration as end:
        return end.value


def beat_for(driver: FakeDriver, seconds: float, *, after: Any = None) -> Any:
    """Perform the heartbeat for a while; returns the effect at which it stands."""
    end = driver.world.now + seconds
    return perform(
        driver, heartbeat_flow(driver), lambda effect: driver.world.now >= end, after=after
    )


def passes(driver: FakeDriver) -> int:
    """How often a check was passed, of late."""
    return sum("/agent/check/pass/" in request.path for request in driver.sent)
