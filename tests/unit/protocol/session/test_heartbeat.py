"""Heartbeats, played by hand: what a session is bound to, and how it goes on."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from consul_lock._protocol.flow import Request
from consul_lock._protocol.session.timing import session_options
from consul_lock.errors import ConfigError, PermissionDenied, Refused, Unavailable
from tests.support.world_operator import operator
from tests.unit.protocol.fake_driver import FakeDriver
from tests.unit.protocol.heartbeat_driver import (
    BEATING,
    beat_for,
    borrow,
    creating,
    finish,
    heartbeat_flow,
    passes,
    perform,
    services,
    status,
)


@pytest.mark.parametrize("heartbeat", [0, 0.4, 60.5, -1, float("nan"), float("inf"), True, "1"])
def test_a_length_that_cannot_work_is_refused(heartbeat: Any) -> None:
    """With the reason."""
    with pytest.raises(ConfigError, match="heartbeat="):
        session_options(heartbeat=heartbeat)
    assert session_options(heartbeat=1).heartbeat == 1.0


# -- binding


def test_a_session_is_bound_to_a_service_that_is_there_and_well_before_it() -> None:
    """The user's own checks stay; it is the agent that removes what a crash leaves."""
    driver = FakeDriver()
    driver.world.set_check("mine", "passing")
    borrow(driver, driver.client("a"), session_options(service_checks=["mine"], heartbeat=1.5))
    assert [r.path for r in driver.sent[:2]] == ["/v1/agent/service/register", "/v1/session/create"]
    registered, created = (json.loads(request.body or b"") for request in driver.sent[:2])
    check = {"TTL": "1500ms", "Status": "passing", "DeregisterCriticalServiceAfter": "1m"}
    assert (registered["name"], registered["check"]) == ("consul-lock", check)
    ids = [{"ID": "mine"}, {"ID": f"service:{registered['id']}"}]
    assert created["ServiceChecks"] == ids
    assert services(driver) == {registered["id"]: "consul-lock"}


def test_one_heartbeat_serves_all_sessions_that_ask_for_its_length() -> None:
    """Another length has another one, and no heartbeat none."""
    driver = FakeDriver()
    client = driver.client()
    for asked in (BEATING, BEATING, session_options(ttl=20, heartbeat=1.0)):
        borrow(driver, client, asked)
    assert len(services(driver)) == 1
    borrow(driver, client, session_options())
    assert len(services(driver)) == 1
    borrow(driver, client, session_options(heartbeat=2.0))
    assert len(services(driver)) == 2
    assert len(driver.spawned) == 3  # with the keeper


def test_an_idle_session_is_given_to_those_with_the_same_heartbeat_only() -> None:
    """A lock with one would else be left without, or the other way round."""
    driver = FakeDriver()
    client = driver.client()
    session = borrow(driver, client)
    client.pool.give_back(session, driver.world.now)
    assert borrow(driver, client, session_options()) is not session
    assert borrow(driver, client) is session


def test_the_id_of_a_service_is_plain_and_not_too_long() -> None:
    """Whatever the host is called: it is a part of paths and of Consul's error texts."""
    driver = FakeDriver()
    borrow(driver, driver.client("consul-lock höst/1:4711 " * 20))
    (service,) = services(driver)
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,90}", service)


def test_a_server_that_binds_the_session_to_nothing_is_found_out() -> None:
    """It would outlive a crash by its TTL, and nobody would know."""
    driver = FakeDriver()
    flow = driver.client().borrow(BEATING, "me")
    renewal = driver.until(flow, lambda request: "/session/renew/" in request.path)
    seen = driver.perform(renewal)
    with pytest.raises(Refused, match="ServiceChecks set"):
        flow.send(seen._replace(service_checks=()))


# -- what the servers do not know yet, or take for dead


def test_a_check_that_the_servers_have_not_heard_of_is_waited_for() -> None:
    """The agent registers it with them a moment later."""
    driver = FakeDriver()
    flow, create = creating(driver, driver.client())
    (service,) = services(driver)
    driver.world.fault(
        1, 500, f"rpc error: Missing check 'service:{service}' registration".encode()
    )
    session = finish(driver, flow, after=create)
    assert driver.sessions() == {session.id}
    assert driver.world.now < 1.0


def test_a_check_that_the_servers_never_hear_of_is_an_error_that_says_why() -> None:
    """After some seconds, and not many tries, as each is a write for them."""
    driver = FakeDriver()
    client = driver.client()
    flow, create = creating(driver, client)
    (service,) = services(driver)
    text = f"Missing check 'service:{service}' registration".encode()

    def refused(effect: Any) -> bool:
        if isinstance(effect, Request) and effect.path == "/v1/session/create":
            driver.world.fault(1, 500, text)
        return False

    driver.sent.clear()
    with pytest.raises(Refused, match="address that of one agent") as raised:
        perform(driver, flow, refused, after=create)
    # The agent may be cut off from its servers, as in any outage: callers that wait go on.
    assert raised.value.temporary
    assert 5.0 <= driver.world.now < 8.0
    assert sum(request.path == "/v1/session/create" for request in driver.sent) < 12
    assert client.pool.orphans == {}


def test_a_missing_check_of_the_user_is_reported_at_once() -> None:
    """Waiting does not make it appear."""
    driver = FakeDriver()
    with pytest.raises(Refused, match="Missing check 'theirs'"):
        borrow(driver, driver.client(), session_options(service_checks=["theirs"], heartbeat=1.0))
    assert driver.world.now == 0.0


def test_a_process_that_was_paused_first_shows_that_it_lives() -> None:
    """Its check went critical meanwhile, and Consul binds no session to such a one."""
    driver = FakeDriver()
    flow, create = creating(driver, driver.client())
    driver.world.advance(3.0)
    assert status(driver) == "critical"
    session = finish(driver, flow, after=create)
    assert driver.sessions() == {session.id}


def test_a_registration_without_an_answer_leaves_no_session_to_be_looked_for() -> None:
    """None was asked for yet.  The next borrower registers again."""
    driver = FakeDriver()
    client = driver.client()
    driver.failures.append(Unavailable("no answer", uncertain=True))
    with pytest.raises(Unavailable):
        borrow(driver, client)
    assert (client.pool.orphans, driver.spawned) == ({}, [])
    borrow(driver, client)
    assert len(services(driver)) == 1


# -- beating


def test_a_check_is_passed_three_times_in_its_length() -> None:
    """So it never fails, and nothing else is asked."""
    driver = FakeDriver()
    session = borrow(driver, driver.client())
    driver.sent.clear()
    beat_for(driver, 15.0)
    assert 44 <= passes(driver) == len(driver.sent) <= 47
    assert (status(driver), driver.sessions()) == ("passing", {session.id})


def test_without_a_heart_the_session_dies_within_the_length() -> None:
    """The test of the test above."""
    driver = FakeDriver()
    borrow(driver, driver.client())
    driver.world.advance(1.1)
    assert driver.sessions() == set()


@pytest.mark.parametrize(
    "error", [Unavailable("reset"), PermissionDenied("no"), ConfigError("a page of HTML")]
)
def test_errors_are_ridden_out(error: Exception) -> None:
    """Two in a row may fail, in whatever way."""
    driver = FakeDriver()
    session = borrow(driver, driver.client())
    driver.failures.extend([None, error, error] * 5)
    beat_for(driver, 5.0)
    assert not driver.failures
    assert (status(driver), driver.sessions()) == ("passing", {session.id})


def test_a_slow_agent_is_asked_no_faster_and_no_slower() -> None:
    """The time of the answer is a part of the pause."""
    driver = FakeDriver()
    borrow(driver, driver.client())
    driver.sent.clear()
    driver.slow_by = 0.2
    beat_for(driver, 10.0)
    assert 28 <= passes(driver) <= 32


def test_an_agent_that_answers_nothing_is_not_waited_for() -> None:
    """Each try has half of the length."""
    driver = FakeDriver()
    borrow(driver, driver.client())
    flow = heartbeat_flow(driver)
    beat = driver.until(flow, lambda request: "/check/pass/" in request.path)
    assert (beat.timeout, beat.urgent) == (0.5, True)


@pytest.mark.parametrize(
    "code, text",
    [
        (500, 'CheckID "service:x" does not have associated TTL'),
        (500, 'Unknown check "service:x"'),
        (404, 'Unknown check ID "service:x". Ensure that the check ID is passed, not the name.'),
    ],
)
def test_a_service_that_the_agent_has_forgotten_is_registered_again(code: int, text: str) -> None:
    """It was restarted, or gave the service up while this process was paused for minutes."""
    driver = FakeDriver()
    borrow(driver, driver.client())
    (service,) = services(driver)
    operator(driver.world, f"/v1/agent/service/deregister/{service}")
    driver.world.fault(1, code, text.encode())
    beat_for(driver, 1.0)
    assert services(driver) == {service: "consul-lock"}
    assert status(driver) == "passing"


def test_any_other_refusal_registers_nothing() -> None:
    """The answer of a proxy is no news of the agent."""
    driver = FakeDriver()
    borrow(driver, driver.client())
    driver.sent.clear()
    driver.world.fault(2, 404, b"no such page")
    beat_for(driver, 1.0)
    assert len(driver.sent) == passes(driver)
