"""The ends of hearts, played by hand: nothing is left behind, and nothing ends too early."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from consul_lock._protocol.client import close as closing
from consul_lock._protocol.flow import Flow, Identity, Spawn, Wait
from consul_lock.errors import Unavailable
from tests.simulation.flow_process import Cancelled
from tests.unit.protocol.fake_driver import Hand
from tests.unit.protocol.heartbeat_driver import (
    BEATING,
    beat_for,
    borrow,
    finish,
    heart,
    passes,
    perform,
    services,
    status,
)


def test_closing_takes_the_service_away_after_the_sessions() -> None:
    """The other way round the end of the check would close the lock for a lock-delay."""
    hand = Hand()
    client = hand.client()
    lock = hand.lock(client)
    lock.terms = BEATING
    hand.acquire(lock)
    hand.run(closing.close_client(client))
    paths = [request.path for request in hand.sent]
    (destroyed,) = (n for n, path in enumerate(paths) if "/session/destroy/" in path)
    (removed,) = (n for n, path in enumerate(paths) if "/service/deregister/" in path)
    assert destroyed < removed
    assert (services(hand), hand.sessions()) == ({}, set())
    assert hand.acquire(hand.lock(hand.client("b")), timeout=0)


def test_a_heart_ends_when_its_client_is_closed() -> None:
    """Woken from its pause, it takes its service away itself; closing waits for that."""
    hand = Hand()
    client = hand.client()
    borrow(hand, client)
    pause = perform(hand, heart(hand), lambda effect: isinstance(effect, Wait))
    flow = closing.close_client(client)
    waits = perform(hand, flow, lambda effect: isinstance(effect, Wait))
    hand.sent.clear()
    finish(hand, heart(hand), after=pause)
    assert (services(hand), passes(hand)) == ({}, 0)
    assert waits.signal.is_set()
    hand.sent.clear()
    finish(hand, flow, after=waits)
    assert hand.sent == []


def test_a_heart_that_registers_while_its_client_is_closed_leaves_nothing() -> None:
    """Its registration may arrive after the removal."""
    hand = Hand()
    client = hand.client()
    borrow(hand, client)
    flow = heart(hand)
    beat = hand.until(flow, lambda request: "/check/pass/" in request.path)
    hand.world.fault(1, 404, b"Unknown check ID")
    register = hand.go_on(flow, beat)
    assert register.path == "/v1/agent/service/register"
    hand.run(closing.close_client(client))
    finish(hand, flow, after=register)
    assert services(hand) == {}


def test_closing_while_an_agent_answers_nothing_ends_in_time() -> None:
    """Whatever the number of hearts; what is left then, the agent removes."""
    hand = Hand()
    client = hand.client()
    for heartbeat in (1.0, 2.0, 3.0, 4.0):
        borrow(hand, client, BEATING._replace(heartbeat=heartbeat))
    begun, hand.frozen_for = hand.world.now, 3.0
    hand.run(closing.close_client(client))
    assert hand.world.now - begun < 30.0


def test_closing_that_was_cut_off_is_done_again() -> None:
    """The clean-up of a close is a close."""
    hand = Hand()
    client = hand.client()
    borrow(hand, client)
    flow = closing.close_client(client)
    hand.until(flow, lambda request: "/service/deregister/" in request.path)
    flow.close()
    hand.run(closing.close_client(client))
    assert services(hand) == {}


def test_a_closed_client_begins_no_heart() -> None:
    """Nobody would end it."""
    hand = Hand()
    client = hand.client()
    hand.run(closing.close_client(client))
    with pytest.raises(Unavailable, match="closed"):
        borrow(hand, client)
    assert services(hand) == {}


def test_a_heart_that_nobody_needs_any_more_ends() -> None:
    """A client that does nothing keeps nothing in Consul; later it begins with a new one."""
    hand = Hand()
    client = hand.client()
    session = borrow(hand, client)
    (service,) = services(hand)
    pause = beat_for(hand, 60.0)
    assert services(hand) == {service: "consul-lock"}
    hand.run(client.pool.destroy(session))
    pause = beat_for(hand, 20.0, after=pause)
    assert services(hand) == {service: "consul-lock"}
    finish(hand, heart(hand), after=pause)
    assert services(hand) == {}
    borrow(hand, client)
    (later,) = services(hand)
    assert later != service
    assert status(hand) == "passing"


def test_a_heart_that_is_ending_is_given_to_nobody() -> None:
    """The session would be bound to a check that is about to go."""
    hand = Hand()
    client = hand.client()
    hand.run(client.pool.destroy(borrow(hand, client)))
    flow = heart(hand)
    removal = hand.until(flow, lambda request: "/service/deregister/" in request.path)
    session = borrow(hand, client)
    finish(hand, flow, after=removal)
    assert hand.sessions() == {session.id}


def test_a_forked_child_leaves_the_parents_heart_alone() -> None:
    """It has one of its own, and takes away no other."""
    hand = Hand()
    client = hand.client()
    session = borrow(hand, client)
    (service,) = services(hand)
    client.forked(hand, Identity({"host": "child", "pid": 2}, "child"))
    borrow(hand, client)
    assert len(services(hand)) == 2
    hand.run(closing.close_client(client))
    assert services(hand) == {service: "consul-lock"}
    assert f"/v1/session/destroy/{session.id}" not in [request.path for request in hand.sent]


def test_a_heart_without_a_thread_is_started_by_the_next_borrower() -> None:
    """There was none to be had; the service was there already."""
    hand = Hand()
    client = hand.client()
    flow = client.borrow(BEATING, "me")
    perform(hand, flow, lambda effect: isinstance(effect, Spawn))
    with pytest.raises(RuntimeError):
        flow.throw(RuntimeError("can't start new thread"))
    borrow(hand, client)
    assert len(services(hand)) == 1
    beat_for(hand, 5.0)
    assert status(hand) == "passing"


def test_a_heart_that_was_cut_off_is_started_again_and_taken_away() -> None:
    """As the tasks of an ending loop are."""
    hand = Hand()
    client = hand.client()
    borrow(hand, client)
    beat_for(hand, 1.0)
    heart(hand).close()
    borrow(hand, client)
    assert len(hand.spawned) == 3  # the keeper is the second
    hand.spawned[2].close()
    hand.run(closing.close_client(client))
    assert services(hand) == {}


def borrowing(hand: Hand) -> Flow[Any]:
    return hand.client().borrow(BEATING, "me")


def beating(hand: Hand) -> Flow[Any]:
    borrow(hand, hand.client())
    return heart(hand)


def ending(hand: Hand) -> Flow[Any]:
    client = hand.client()
    borrow(hand, client)
    return closing.close_client(client)


def cuts(build: Callable[[Hand], Flow[Any]], most: int = 12) -> Iterator[Flow[Any]]:
    """The flow at its first effect, at its second, ... each in a new world."""
    for place in range(most):
        hand = Hand()
        flow = build(hand)
        if hand.drive(flow, place)[0] is None:
            assert place > 2
            return
        yield flow


@pytest.mark.parametrize("build", [borrowing, beating, ending])
@pytest.mark.parametrize("error", [GeneratorExit, Cancelled])
def test_a_flow_that_is_cut_off_yields_nothing_more(
    build: Callable[[Hand], Flow[Any]], error: type[BaseException]
) -> None:
    """The driver may have stopped listening."""
    for flow in cuts(build):
        with pytest.raises(error):
            flow.throw(error())
