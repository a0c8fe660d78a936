"""What the locks of a client share: writes in doubt, losses, the end of sessions."""

from __future__ import annotations

from typing import Any

import pytest

from consul_lock._protocol.client.base import believe
from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.client.shared_session import SharedSession
from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.flow import Identity, Request, Spawn
from consul_lock._protocol.hold.state import Event, State
from consul_lock._protocol.session.session import Session
from consul_lock._protocol.session.timing import session_options
from consul_lock.errors import LossReason, PermissionDenied, Refused, Unavailable
from tests.simulation.flow_process import Cancelled
from tests.support.world_operator import operator
from tests.unit.protocol.fake_driver import FakeDriver, hold_of

TERMS = session_options()
KEY = "k"


def borrow(driver: FakeDriver, client: ClientCore, **asked: Any) -> Session:
    made: Session = driver.run(client.borrow(session_options(**asked), "me"))
    return made


def a_write(client: ClientCore, session: Session) -> Request:
    """One that needs the session."""
    operation = {"Verb": "lock", "Key": KEY, "Session": session.id}
    return client.api.transaction([operation], "writing", "rule")


# -- writes


@pytest.mark.parametrize(
    "error, in_doubt",
    [
        (PermissionDenied("x"), False),
        (Refused("x"), False),
        (Unavailable("x", uncertain=False), False),
        (Unavailable("x", uncertain=True), True),
        (Cancelled(), True),
        (RuntimeError("odd"), True),
    ],
)
def test_a_write_that_may_have_been_carried_out_leaves_its_sessions_in_doubt(
    error: BaseException, in_doubt: bool
) -> None:
    """All of them, from its sending on; a refusal ends the doubt."""
    driver = FakeDriver()
    client = driver.client()
    session, other = borrow(driver, client), borrow(driver, client)
    flow = client.write(session, a_write(client, session), [other])
    next(flow)
    assert session.in_doubt
    assert other.in_doubt
    with pytest.raises(type(error)):
        flow.throw(error)
    assert (session.in_doubt, other.in_doubt) == (in_doubt, in_doubt)


def test_a_write_that_was_carried_out_proves_its_sessions_alive() -> None:
    """At its sending, and its index is one of this client."""
    driver = FakeDriver()
    client = driver.client()
    session = borrow(driver, client)
    driver.world.advance(5.0)
    sent, driver.slow_by = driver.world.now, 2.0
    assert driver.run(client.write(session, a_write(client, session))).done
    assert session.alive == pytest.approx(sent, abs=2.0)
    assert session.last_write_index == driver.world._server.kv.entries[KEY].modify_index
    assert not session.in_doubt


def test_a_write_that_is_refused_as_the_session_is_dead_loses_all_that_it_held() -> None:
    """No other session, and the error is no exception."""
    driver = FakeDriver()
    client = driver.client()
    lock, other = driver.lock(client), borrow(driver, client)
    driver.acquire(lock)
    session = hold_of(lock).session
    operator(driver.world, f"/v1/session/destroy/{session.id}")
    driver.world.advance(31.0)
    outcome = driver.run(client.write(session, a_write(client, session), [other]))
    assert not outcome.done
    assert hold_of(lock).reason is LossReason.SESSION_INVALID
    assert (session.gone, other.gone) == (True, False)


# -- losses


def test_the_first_reason_of_a_loss_stays() -> None:
    """Several detectors may find it; it is reported once, and the hold is no longer counted."""
    driver, reported = FakeDriver(), list[LossReason]()
    lock = driver.lock(on_lost=reported.append)
    driver.acquire(lock)
    for reason in (LossReason.STOLEN, LossReason.DEADLINE):
        driver.run(lock.client.lose(hold_of(lock), reason))
    assert reported == [LossReason.STOLEN] == [hold_of(lock).reason]
    assert hold_of(lock).lost.is_set()
    assert not lock.client.holds
    assert lock.client.wake.is_set()


def test_an_event_that_does_not_fit_the_state_is_no_loss() -> None:
    """Such as that a release found it too late, where none has begun."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    driver.run(lock.client.lose(hold_of(lock), LossReason.STOLEN, Event.TOO_LATE))
    assert hold_of(lock).state is State.HELD
    assert len(lock.client.holds) == 1


@pytest.mark.parametrize(
    "reason, others_lost",
    [(LossReason.STOLEN, False), (LossReason.DEADLINE, True)],
)
def test_one_lock_of_a_shared_session_can_be_lost_alone(
    reason: LossReason, others_lost: bool
) -> None:
    """Not at a deadline: that is the session's, which is ended then."""
    driver = FakeDriver()
    client = driver.client()
    shared = SharedSession(client, TERMS)
    locks = [driver.lock(client, name, shared=shared) for name in ("a", "b")]
    for lock in locks:
        driver.acquire(lock)
    driver.run(client.lose(hold_of(locks[0]), reason))
    assert (hold_of(locks[1]).state is State.LOST) is others_lost
    assert bool(client.pool.to_destroy) is others_lost


def test_the_loss_of_a_lock_gives_the_turn_to_the_next_of_the_process() -> None:
    """It contends with a session of its own."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    waiting = lock.acquire(True, None, "another thread").flow
    wait, _ = driver.drive(waiting, 0)
    driver.run(lock.client.lose(hold_of(lock), LossReason.STOLEN))
    assert wait.signal.is_set()


def test_ending_a_session_reports_the_losses_before_it_waits_for_consul() -> None:
    """Which may be away; and a session that is dead already is not destroyed again."""
    driver, order = FakeDriver(), list[str]()
    lock = driver.lock(on_lost=lambda reason: order.append(reason.name))
    driver.acquire(lock)
    driver.instead = lambda request: order.append(request.path.split("/")[3])  # type: ignore[func-returns-value] # looked at
    session = hold_of(lock).session
    driver.run(lock.client.end(session))
    driver.run(lock.client.end(session))
    assert order == ["SESSION_INVALID", "destroy"]
    assert driver.sessions() == set()


HELD, FREE = (Pair(KEY, b"", 0, session, 1, 2) for session in ("another", ""))


@pytest.mark.parametrize(
    "pair, session, reason",
    [
        (HELD, "alive", LossReason.STOLEN),
        (FREE, "alive", LossReason.REVOKED),
        (None, "alive", LossReason.KEY_DELETED),
        (HELD, "dead", LossReason.SESSION_INVALID),
        (None, "dead", LossReason.SESSION_INVALID),
        (HELD, "unknown", LossReason.STOLEN),
        (None, "unknown", LossReason.KEY_DELETED),
    ],
)
def test_why_a_key_is_not_held_any_more(
    pair: Pair | None, session: str, reason: LossReason
) -> None:
    """The end of a session takes its keys with it, so that is the first question."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    if session == "dead":
        operator(driver.world, f"/v1/session/destroy/{hold_of(lock).session.id}")
    elif session == "unknown":
        driver.failures.append(Unavailable("away"))
    assert driver.run(lock.client.diagnose(hold_of(lock), pair)) is reason


# -- sessions


def test_a_closed_client_lends_no_session() -> None:
    """Not even one whose creation was under way: that is destroyed."""
    driver = FakeDriver()
    client = driver.client()
    flow = client.borrow(TERMS, "me")
    creating = driver.until(flow, lambda request: request.path == "/v1/session/create")
    client.begin_to_close()
    with pytest.raises(Unavailable, match="closed"):
        driver.run_after(flow, creating)
    assert driver.sessions() == set()
    driver.requests()
    with pytest.raises(Unavailable, match="closed"):
        borrow(driver, client)
    assert driver.requests() == []


def test_no_thread_for_the_keeper_fails_the_borrowing_and_the_next_tries_again() -> None:
    """Nobody would renew the session; its undo ends it."""
    driver = FakeDriver()
    client = driver.client()
    flow = client.borrow(TERMS, "me")
    effect, _ = driver.drive(flow, 0)
    while not isinstance(effect, Spawn):
        effect = driver.go_on(flow, effect)
    with pytest.raises(RuntimeError):
        flow.throw(RuntimeError("can't start new thread"))
    assert client.keeper is None
    driver.run(client.clean_up("me"))
    assert driver.sessions() == set()
    borrow(driver, client)
    assert client.keeper is not None


def test_a_session_that_is_to_be_renewed_sooner_wakes_the_keeper() -> None:
    """It had planned to look later."""
    driver = FakeDriver()
    client = driver.client()
    borrow(driver, client)
    for planned, woken in ((0.0, False), (1000.0, True)):
        client.planned = planned
        client.wake.clear()
        borrow(driver, client)
        assert client.wake.is_set() is woken


def test_a_forked_child_has_nothing_of_its_parent() -> None:
    """What the parent holds is lost here, and its sessions are neither used nor ended."""
    driver = FakeDriver()
    client = driver.client()
    lock = driver.lock(client)
    driver.acquire(lock)
    client.forked(driver, Identity({"host": "child", "pid": 2}, "child"))
    assert (hold_of(lock).reason, list(client.holds)) == (LossReason.FORKED, [])
    assert (client.pool.live, client.keeper) == ({}, None)
    assert borrow(driver, client).id != hold_of(lock).session.id
    assert len(driver.sessions()) == 2


def test_a_client_is_idle_if_there_is_nothing_to_keep() -> None:
    """A session, even an unused one, is something; so is a call that is under way."""
    driver = FakeDriver()
    client = driver.client()
    assert client.idle()
    session = borrow(driver, client)
    client.pool.give_back(session, driver.world.now)
    assert not client.idle()
    driver.run(client.pool.destroy(session))
    assert client.idle()
    driver.calls_under_way = lambda: True
    assert not client.idle()


@pytest.mark.parametrize(
    "lock_delay, idle, alive, asks, believed",
    [
        (30.0, 1.0, True, False, True),
        (30.0, 1.0, False, False, True),
        (30.0, 60.0, True, True, True),
        (30.0, 60.0, False, True, False),
        (0.0, 60.0, True, True, True),
    ],
)
def test_a_shown_holder_counts_only_with_a_recent_proof(
    lock_delay: float, idle: float, alive: bool, asks: bool, believed: bool
) -> None:
    """The process may have been paused for longer than its session lived."""
    driver = FakeDriver()
    client = driver.client()
    session = borrow(driver, client, ttl=3600, lock_delay=lock_delay)
    session.alive = session.renewed = driver.world.now
    if not alive:
        operator(driver.world, f"/v1/session/destroy/{session.id}")
    driver.world.advance(idle * (60 if lock_delay == 0.0 else 1))
    driver.requests()
    asked = driver.world.now
    assert driver.run(believe(client, session)) is believed
    assert driver.requests() == (["PUT session/renew", "GET session/info"] if asks else [])
    assert session.gone is not believed
    if asks and alive:
        assert session.alive == session.renewed == asked


def test_without_an_answer_nothing_is_believed() -> None:
    """The error of either question is raised."""
    for failures in ([Unavailable("a")], [None, Unavailable("b")]):
        driver = FakeDriver()
        client = driver.client()
        session = borrow(driver, client)
        driver.world.advance(9.0)
        driver.failures.extend(failures)
        with pytest.raises(Unavailable):
            driver.run(believe(client, session))
        assert not session.gone


# -- what was learnt of keys


def test_keys_that_were_taken_of_late_are_remembered_and_the_oldest_forgotten() -> None:
    """Until they are acquired without anybody in the way."""
    client = FakeDriver().client()
    for number in range(1025):
        client.note(str(number), contended=True)
    assert [client.contended(key) for key in ("0", "1", "1024")] == [False, True, True]
    client.note("1", contended=False)
    assert not client.contended("1")


def test_each_sign_of_a_queue_is_another_one() -> None:
    """Whether one was carried out is seen by its value."""
    driver = FakeDriver()
    client = driver.client()
    session = borrow(driver, client)
    assert len({client.sign(session) for _ in range(10)}) == 10
