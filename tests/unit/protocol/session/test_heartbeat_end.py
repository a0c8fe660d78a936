"""The end of heartbeats, played by hand: nothing is left behind, and nothing ends too early."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from consul_lock._protocol.client import close as closing
from consul_lock._protocol.flow import Flow, Identity, Spawn, Wait
from consul_lock.errors import Unavailable
from tests.simulation.flow_process import Cancelled
from tests.unit.protocol.fake_driver import FakeDriver
from tests.unit.protocol.heartbeat_driver import (
    BEATING,
    beat_for,
    borrow,
    finish,
    heartbeat_flow,
    passes,
    perform,
    services,
    status,
)


def test_closing_takes_the_service_away_after_the_sessions() -> None:
    """The other way round the end of the check would close the lock for a lock-delay."""
    driver = FakeDriver()
    client = driver.client()
    lock = driver.lock(client)
    lock.terms = BEATING
    driver.acquire(lock)
    driver.run(closing.close_client(client))
    paths = [request.path for request in driver.sent]
    (destroyed,) = (n for n, path in enumerate(paths) if "/session/destroy/" in path)
    (removed,) = (n for n, path in enumerate(paths) if "/service/deregister/" in path)
    assert destroyed < removed
    assert (services(driver), driver.sessions()) == ({}, set())
    assert driver.acquire(driver.lock(driver.client("b")), timeout=0)


def test_a_heart_ends_when_its_client_is_closed() -> None:
    """Woken from its pause, it takes its service away itself; closing waits for that."""
    driver = FakeDriver()
    client = driver.client()
    borrow(driver, client)
    pause = perform(driver, heartbeat_flow(driver), lambda effect: isinstance(effect, Wait))
    flow = closing.close_client(client)
    waits = perform(driver, flow, lambda effect: isinstance(effect, Wait))
    driver.sent.clear()
    finish(driver, heartbeat_flow(driver), after=pause)
    assert (services(driver), passes(driver)) == ({}, 0)
    assert waits.signal.is_set()
    driver.sent.clear()
    finish(driver, flow, after=waits)
    assert driver.sent == []


def test_a_heart_that_registers_while_its_client_is_closed_leaves_nothing() -> None:
    """Its registration may arrive after the removal."""
    driver = FakeDriver()
    client = driver.client()
    borrow(driver, client)
    flow = heartbeat_flow(driver)
    beat = driver.until(flow, lambda request: "/check/pass/" in request.path)
    driver.world.fault(1, 404, b"Unknown check ID")
    register = driver.go_on(flow, beat)
    assert register.path == "/v1/agent/service/register"
    driver.run(closing.close_client(client))
    finish(driver, flow, after=register)
    assert services(driver) == {}


def test_closing_while_an_agent_answers_nothing_ends_in_time() -> None:
    """Whatever the number of heartbeats; what is left then, the agent removes."""
    driver = FakeDriver()
    client = driver.client()
    for heartbeat in (1.0, 2.0, 3.0, 4.0):
        borrow(driver, client, BEATING._replace(heartbeat=heartbeat))
    begun, driver.frozen_for = driver.world.now, 3.0
    driver.run(closing.close_client(client))
    assert driver.world.now - begun < 30.0


def test_closing_that_was_cut_off_is_done_again() -> None:
    """The clean-up of a close is a close."""
    driver = FakeDriver()
    client = driver.client()
    borrow(driver, client)
    flow = closing.close_client(client)
    driver.until(flow, lambda request: "/service/deregister/" in request.path)
    flow.close()
    driver.run(closing.close_client(client))
    assert services(driver) == {}


def test_a_closed_client_begins_no_heart() -> None:
    """Nobody would end it."""
    driver = FakeDriver()
    client = driver.client()
    driver.run(closing.close_client(client))
    with pytest.raises(Unavailable, match="closed"):
        borrow(driver, client)
    assert services(driver) == {}


def test_a_heart_that_nobody_needs_any_more_ends() -> None:
    """A client that does nothing keeps nothing in Consul; later it begins with a new one."""
    driver = FakeDriver()
    client = driver.client()
    session = borrow(driver, client)
    (service,) = services(driver)
    pause = beat_for(driver, 60.0)
    assert services(driver) == {service: "consul-lock"}
    driver.run(client.pool.destroy(session))
    pause = beat_for(driver, 20.0, after=pause)
    assert services(driver) == {service: "consul-lock"}
    finish(driver, heartbeat_flow(driver), after=pause)
    assert services(driver) == {}
    borrow(driver, client)
    (later,) = services(driver)
    assert later != service
    assert status(driver) == "passing"


def test_a_heart_that_is_ending_is_given_to_nobody() -> None:
    """The session would be bound to a check that is about to go."""
    driver = FakeDriver()
    client = driver.client()
    driver.run(client.pool.destroy(borrow(driver, client)))
    flow = heartbeat_flow(driver)
    removal = driver.until(flow, lambda request: "/service/deregister/" in request.path)
    session = borrow(driver, client)
    finish(driver, flow, after=removal)
    assert driver.sessions() == {session.id}


def test_a_forked_child_leaves_the_parents_heart_alone() -> None:
    """It has one of its own, and takes away no other."""
    driver = FakeDriver()
    client = driver.client()
    session = borrow(driver, client)
    (service,) = services(driver)
    client.forked(driver, Identity({"host": "child", "pid": 2}, "child"))
    borrow(driver, client)
    assert len(services(driver)) == 2
    driver.run(closing.close_client(client))
    assert services(driver) == {service: "consul-lock"}
    assert f"/v1/session/destroy/{session.id}" not in [request.path for request in driver.sent]


def test_a_heart_without_a_thread_is_started_by_the_next_borrower() -> None:
    """No thread could be started; the service was there already."""
    driver = FakeDriver()
    client = driver.client()
    flow = client.borrow(BEATING, "me")
    perform(driver, flow, lambda effect: isinstance(effect, Spawn))
    with pytest.raises(RuntimeError):
        flow.throw(RuntimeError("can't start new thread"))
    borrow(driver, client)
    assert len(services(driver)) == 1
    beat_for(driver, 5.0)
    assert status(driver) == "passing"


def test_a_heart_that_was_cut_off_is_started_again_and_taken_away() -> None:
    """As the tasks of an ending loop are."""
    driver = FakeDriver()
    client = driver.client()
    borrow(driver, client)
    beat_for(driver, 1.0)
    heartbeat_flow(driver).close()
    borrow(driver, client)
    assert len(driver.spawned) == 3  # the keeper is the second
    driver.spawned[2].close()
    driver.run(closing.close_client(client))
    assert services(driver) == {}


def borrowing(driver: FakeDriver) -> Flow[Any]:
    return driver.client().borrow(BEATING, "me")


def beating(driver: FakeDriver) -> Flow[Any]:
    borrow(driver, driver.client())
    return heartbeat_flow(driver)


def ending(driver: FakeDriver) -> Flow[Any]:
    client = driver.client()
    borrow(driver, client)
    return closing.close_client(client)


def cuts(build: Callable[[FakeDriver], Flow[Any]], most: int = 12) -> Iterator[Flow[Any]]:
    """The flow at its first effect, at its second, ... each in a new world."""
    for place in range(most):
        driver = FakeDriver()
        flow = build(driver)
        if driver.drive(flow, place)[0] is None:
            assert place > 2
            return
        yield flow


@pytest.mark.parametrize("build", [borrowing, beating, ending])
@pytest.mark.parametrize("error", [GeneratorExit, Cancelled])
def test_a_flow_that_is_cut_off_yields_nothing_more(
    build: Callable[[FakeDriver], Flow[Any]], error: type[BaseException]
) -> None:
    """The driver may have stopped listening."""
    for flow in cuts(build):
        with pytest.raises(error):
            flow.throw(error())
