"""The sessions of a client: who borrows them, what becomes of those in doubt."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from consul_lock._protocol import keys as names
from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.consul.models import SessionOptions
from consul_lock._protocol.flow import Request
from consul_lock._protocol.lock.lock import LockCore
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.session import timing as terms
from consul_lock._protocol.session.session import Session
from consul_lock._protocol.session.timing import session_options
from consul_lock.errors import PermissionDenied, Refused, Unavailable
from tests.simulation.flow_process import Cancelled
from tests.unit.protocol.fake_driver import NAME, NEVER, FakeDriver, took
from tests.unit.protocol.lock_kinds import LASTING

TERMS = session_options()


def test_the_session_of_a_failed_release_is_destroyed_however_long_consul_was_away() -> None:
    """Elections restart the times of all sessions: age proves nothing."""
    driver = FakeDriver()
    lock = LockCore(driver.client(), names.keys_of_name(NAME), LASTING)
    driver.acquire(lock)
    driver.answers_left = 0
    job = lock.release("me")
    assert took(driver, job)[1] is Unavailable
    assert job.undo is not None
    driver.run(job.undo())
    driver.world.advance(3600.0)
    driver.run(lock.client.pool.sweep(driver.world.now))
    assert len(driver.sessions()) == 1
    driver.answers_left = NEVER
    driver.run(lock.client.pool.sweep(driver.world.now))
    assert driver.sessions() == set()
    assert not lock.client.pool.to_destroy


@pytest.mark.parametrize("seconds", [100 / 3, 10.0004, 59.9999])
def test_times_of_a_session_are_compared_in_milliseconds(seconds: float) -> None:
    """As they are sent: the answer has no more digits than that."""
    driver = FakeDriver()
    asked = Settings(terms.session_options(ttl=seconds, lock_delay=seconds))
    assert driver.acquire(LockCore(driver.client(), names.keys_of_name(NAME), asked)) is True


def borrowed(driver: FakeDriver, client: ClientCore, terms: SessionOptions = TERMS) -> Session:
    made: Session = driver.run(client.pool.borrow(terms, "me"))
    return made


def test_each_session_that_is_made_is_reported() -> None:
    """Once, and not again when it is lent a second time."""
    driver = FakeDriver()
    client, made = driver.client(), list[str]()
    client.pool.on_created = made.append
    first, second = borrowed(driver, client), borrowed(driver, client)
    client.pool.give_back(first, driver.world.now)
    assert borrowed(driver, client) is first
    assert made == [first.id, second.id]


def test_the_session_that_was_used_last_is_lent_first() -> None:
    """The others can then grow old and end; each to one borrower, and only on the same terms."""
    driver = FakeDriver()
    client = driver.client()
    first, second = borrowed(driver, client), borrowed(driver, client)
    for session in (first, second):
        client.pool.give_back(session, driver.world.now)
    driver.requests()
    assert borrowed(driver, client, session_options(ttl=60)) not in (first, second)
    assert driver.requests() == ["PUT session/create", "PUT session/renew"]
    assert [borrowed(driver, client) for _ in range(2)] == [second, first]
    assert driver.requests() == []
    assert client.pool.borrowed_by("me")[:2] == [first, second]


@pytest.mark.parametrize(
    "change, idle, condemned",
    [
        ({}, True, False),
        ({"uncertain": True}, False, True),
        ({"writing": 1}, False, True),
        ({"shared": True}, False, False),
        ({"gone": True}, False, False),
    ],
)
def test_only_what_ended_well_is_used_again(
    change: dict[str, Any], idle: bool, condemned: bool
) -> None:
    """In doubt, a late write could still take effect: then the session is destroyed."""
    driver = FakeDriver()
    pool = driver.client().pool
    session = driver.run(pool.borrow(TERMS, "me"))
    for name, value in change.items():
        setattr(session, name, value)
    pool.give_back(session, 0.0)
    assert (session.borrower is None) is idle
    assert (session.id in pool.to_destroy) is condemned
    assert (driver.run(pool.borrow(TERMS, "you")) is session) is idle


def test_a_session_that_is_idle_for_a_ttl_is_retired() -> None:
    """Not before, and not what is in use."""
    driver = FakeDriver()
    client = driver.client()
    early, late, used = (borrowed(driver, client) for _ in range(3))
    client.pool.give_back(early, 100.0)
    client.pool.give_back(late, 103.0)
    client.pool.retire(110.0)
    assert not early.gone
    client.pool.retire(110.1)
    assert (early.gone, late.gone, used.gone) == (True, False, False)
    assert list(client.pool.to_destroy) == [early.id]


def test_renewals_are_due_together_with_those_that_are_due_soon() -> None:
    """In their order, no more than asked for, and each is planned anew at once."""
    driver = FakeDriver()
    client = driver.client()
    sessions = [borrowed(driver, client) for _ in range(4)]
    pool = client.pool
    for session, when in zip(sessions, (7.0, 5.0, 5.1, 5.2), strict=True):
        pool.plan(session, when)
    sessions[2].gone = True
    assert pool.next_renewal() == 5.0
    assert pool.due(4.9, 9, 0.15) == []
    assert pool.due(5.0, 1, 0.3) == [sessions[1]]
    assert sessions[1].next_renewal > 7.0
    assert pool.due(5.1, 9, 0.3) == []
    assert pool.due(5.2, 9, 0.3) == [sessions[3]]
    assert pool.due(7.0, 9, 0.3) == [sessions[0]]


@pytest.mark.parametrize(
    "error, name, orphaned",
    [
        (Unavailable("x", uncertain=True), None, True),
        (Unavailable("x", uncertain=False), None, False),
        (Unavailable("x", uncertain=True), "theirs", False),
        (PermissionDenied("x"), None, False),
        (Cancelled(), None, True),
    ],
)
def test_a_session_whose_creation_was_not_answered_is_looked_for_by_its_name(
    error: BaseException, name: str | None, orphaned: bool
) -> None:
    """If that is unique; what a user has named may be somebody else's."""
    driver = FakeDriver()
    pool = driver.client().pool
    flow = pool.borrow(session_options(name=name), "me")
    create = driver.until(flow, lambda request: request.path == "/v1/session/create")
    driver.perform(create)
    with pytest.raises(type(error)):
        flow.throw(error)
    assert bool(pool.orphans) is orphaned
    driver.run(pool.sweep(driver.world.now))
    assert (driver.sessions() == set()) is orphaned
    assert not pool.orphans


def test_a_session_that_has_not_come_by_now_never_comes() -> None:
    """A request waits no longer than that inside Consul; until then it is looked for."""
    driver = FakeDriver()
    pool, begun = driver.client().pool, driver.world.now
    pool.orphans["lost"] = begun
    driver.run(pool.sweep(begun + 15.0))
    assert pool.orphans
    driver.failures.append(Unavailable("away"))
    driver.run(pool.sweep(begun + 15.1))
    assert pool.orphans
    driver.run(pool.sweep(begun + 15.1))
    assert not pool.orphans


@pytest.mark.parametrize(
    "field, value, shown",
    [
        ("TTL", "", "TTL '0ms' instead of '10000ms'"),
        ("LockDelay", 15_000_000_000, "LockDelay '15000ms' instead of '30000ms'"),
        ("Behavior", "delete", "Behavior 'delete' instead of 'release'"),
        ("NodeChecks", ["serfHealth"], "NodeChecks {'serfHealth'} instead of set()"),
        ("ServiceChecks", [{"ID": "web"}], "ServiceChecks {'web'} instead of set()"),
    ],
)
def test_a_session_that_is_not_what_was_asked_for_is_refused_and_destroyed(
    field: str, value: Any, shown: str
) -> None:
    """A proxy that drops bodies would make one that never expires."""
    driver = FakeDriver()
    pool = driver.client().pool
    made = {"TTL": "10s", "LockDelay": 30_000_000_000, "Behavior": "release"}

    def altered(request: Request) -> tuple[int, bytes] | None:
        verb, _, session = request.path.removeprefix("/v1/session/").partition("/")
        body = json.dumps([{"ID": session, **made, field: value}]).encode()
        return (200, body) if verb == "renew" else None

    driver.instead = altered
    with pytest.raises(Refused, match=re.escape(shown)):
        driver.run(pool.borrow(TERMS, "me"))
    driver.run(pool.sweep(driver.world.now))
    assert driver.sessions() == set()


def test_the_last_requests_before_the_end_of_a_session_are_sent_once() -> None:
    """A denial does not keep it; an outage leaves both for later."""
    driver = FakeDriver()
    client = driver.client()
    session = borrowed(driver, client)
    farewell = client.api.transaction([{"Verb": "get-tree", "Key": "x"}], "x", "rule")
    session.farewell = [farewell, farewell._replace(path="/v1/other")]
    client.pool.destroy_later(session)
    driver.requests()
    driver.failures.extend([PermissionDenied("no"), Unavailable("away")])
    driver.run(client.pool.sweep(driver.world.now))
    assert driver.requests() == ["PUT txn", "PUT other"]
    driver.failures.extend([None])
    driver.instead = lambda request: (
        (200, b'{"Results": null}') if request.path == "/v1/other" else None
    )
    driver.run(client.pool.sweep(driver.world.now))
    assert driver.requests() == ["PUT other", "PUT session/destroy"]
    assert (driver.sessions(), client.pool.to_destroy) == (set(), {})


def test_destroying_is_tried_twice_and_then_left_to_the_keeper() -> None:
    """A caller waits for its clean-up, but not for ever."""
    driver = FakeDriver()
    client = driver.client()
    first, second = borrowed(driver, client), borrowed(driver, client)
    driver.failures.append(Unavailable("reset"))
    driver.run(client.pool.destroy(first))
    driver.failures.extend([Unavailable("reset")] * 2)
    driver.run(client.pool.destroy(second))
    assert not driver.failures
    assert driver.sessions() == {second.id} == client.pool.to_destroy.keys()


def test_while_consul_is_away_a_sweep_ends_after_one_batch() -> None:
    """Hundreds of sessions would take as many timeouts."""
    driver = FakeDriver()
    client = driver.client()
    for _ in range(70):
        client.pool.destroy_later(borrowed(driver, client))
    driver.requests()
    driver.failures.append(Unavailable("reset"))
    driver.run(client.pool.sweep(driver.world.now))
    assert len(driver.requests()) == 32
    assert len(driver.sessions()) == 70 - 31
    driver.run(client.pool.sweep(driver.world.now))
    assert driver.sessions() == set()


LIMIT = (503, b"rate limit exceeded for operation that can only be performed by the leader")


def test_a_new_session_is_not_given_up_if_a_limit_refuses_its_verification() -> None:
    """Another one, and the end of this one, would be two writes more."""
    driver = FakeDriver()
    client = driver.client()
    refusals = iter([LIMIT, LIMIT])
    driver.instead = lambda request: (
        next(refusals, None) if "/session/renew/" in request.path else None
    )
    session = borrowed(driver, client)
    assert driver.sessions() == {session.id}
    asked = [request.path.split("/")[3] for request in driver.sent]
    assert asked == ["create", "renew", "renew", "renew"]


def test_a_new_session_that_a_limit_lets_nobody_verify_is_given_up_with_its_ttl() -> None:
    """It may have ended by then."""
    driver = FakeDriver()
    client = driver.client()
    driver.instead = lambda request: LIMIT if "/session/renew/" in request.path else None
    with pytest.raises(Unavailable, match="limits the rate"):
        borrowed(driver, client)
    assert TERMS.ttl <= driver.world.now <= 2 * TERMS.ttl
    assert len(client.pool.to_destroy) == 1


def test_a_session_whose_destruction_a_limit_refuses_is_left_to_the_keeper() -> None:
    """Nothing is asked for twice at once."""
    driver = FakeDriver()
    client = driver.client()
    session = borrowed(driver, client)
    driver.instead = lambda request: LIMIT
    driver.sent.clear()
    driver.run(client.pool.destroy(session))
    assert len(driver.sent) == 1
    assert session.id in client.pool.to_destroy


def test_a_session_that_is_planned_twice_for_one_time_is_renewed_once() -> None:
    """Else every plan of that kind would double what is sent."""
    driver = FakeDriver()
    client = driver.client()
    session = borrowed(driver, client)
    for _ in range(3):
        client.pool.plan(session, 50.0)
    assert client.pool.due(50.0, 10, 0.0) == [session]
