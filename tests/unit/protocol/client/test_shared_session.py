"""A session that several locks share: opened once, and closed for all of them."""

from __future__ import annotations

import pytest

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.client.keeper import Keeper
from consul_lock._protocol.client.shared_session import SharedSession
from consul_lock._protocol.flow import Request, Wait
from consul_lock._protocol.session import timing as terms
from consul_lock.errors import LossReason, Unavailable
from tests.unit.protocol.fake_driver import FakeDriver


def test_a_shared_session_that_cannot_be_destroyed_now_is_destroyed_later() -> None:
    """Its locks are reported lost at once."""
    driver = FakeDriver()
    client = driver.client()
    shared = SharedSession(client, terms.session_options())
    lock = driver.lock(client, shared=shared)
    driver.acquire(lock)
    assert lock.hold is not None
    driver.failures.extend([Unavailable("reset")] * 2)
    driver.run(shared.close())
    assert lock.hold.lost.is_set()
    assert driver.sessions() == client.pool.to_destroy.keys()
    driver.run(client.pool.sweep(driver.world.now))
    assert driver.sessions() == set()


def test_a_shared_session_whose_opening_was_cut_off_is_nobodys() -> None:
    """So it ends, instead of living as long as the client: it was not verified yet."""
    driver = FakeDriver()
    client = driver.client()
    lock = driver.lock(client, shared=SharedSession(client, terms.session_options()))
    job = lock.acquire(True, None, "me")
    driver.until(job.flow, lambda request: "/session/renew/" in request.path)
    job.flow.close()
    assert job.undo is not None
    driver.run(job.undo())
    assert client.pool.live == {}
    driver.run(client.pool.sweep(driver.world.now))
    assert driver.sessions() == set()


def test_a_session_cut_off_while_created_is_found_though_the_borrower_has_another() -> None:
    """Two openings of a shared session at once: the second one's is known by its name alone."""
    driver = FakeDriver()
    client = driver.client()
    shared = SharedSession(client, terms.session_options())
    late = shared.opened()
    driver.until(late.flow, lambda request: request.path == "/v1/session/create")
    driver.run(shared.opened())
    late.flow.close()
    assert len(client.pool.orphans) == 1


def shared_by(client: ClientCore) -> SharedSession:
    return SharedSession(client, terms.session_options())


def test_it_is_opened_once_and_again_when_it_has_died() -> None:
    """Its borrower is no call, so the end of none ends it."""
    driver = FakeDriver()
    shared = shared_by(driver.client())
    first = driver.run(shared.open("me"))
    assert driver.run(shared.open("you")) is first
    assert (first.shared, first.borrower) == (True, shared)
    shared.client.pool.mark_gone(first)
    second = driver.run(shared.open("you"))
    assert second is shared.current
    assert second is not first


def test_of_two_that_are_opened_at_once_one_is_kept() -> None:
    """Both callers get that, and the other one is destroyed."""
    driver = FakeDriver()
    shared = shared_by(driver.client())
    late = shared.open("late")
    creating = driver.until(late, lambda request: request.path == "/v1/session/create")
    kept = driver.run(shared.open("early"))
    assert driver.run_after(late, creating) is kept is shared.current
    driver.run(shared.client.pool.sweep(driver.world.now))
    assert driver.sessions() == {kept.id}


def test_the_close_of_a_shared_session_loses_its_locks() -> None:
    """And can be repeated; the next use opens another one."""
    driver, reasons = FakeDriver(), list[LossReason]()
    client = driver.client()
    shared = shared_by(client)
    for name in ("a", "b"):
        driver.acquire(driver.lock(client, name, shared=shared, on_lost=reasons.append))
    driver.run(shared.close())
    assert reasons == [LossReason.SESSION_INVALID] * 2
    assert driver.sessions() == set()
    driver.requests()
    driver.run(shared.close())
    assert driver.requests() == []
    assert driver.run(shared.opened()) is shared.current


def test_a_close_that_returns_has_reported_the_losses() -> None:
    """The keeper, which finishes what was cut off, lets one alone that is at it."""
    driver, by_keeper = FakeDriver(), list[bool]()
    client = driver.client()
    shared = shared_by(client)
    keeping = False

    def lost(_: LossReason) -> None:
        nonlocal keeping
        by_keeper.append(keeping)
        if len(by_keeper) > 1:
            return
        keeping, flow = True, Keeper(client).run()
        driver._drive(flow, lambda effect: isinstance(effect, Wait))
        keeping = False
        flow.close()

    for name in ("a", "b"):
        driver.acquire(driver.lock(client, name, shared=shared, on_lost=lost))
    driver.run(shared.close())
    assert by_keeper == [False, False]


@pytest.mark.parametrize("place", range(3))
def test_an_opening_that_was_cut_off_leaves_no_session(place: int) -> None:
    """Wherever: before it is sent, or before its answer."""
    driver = FakeDriver()
    job = shared_by(driver.client()).opened()
    effect, _ = driver.drive(job.flow, place)
    if isinstance(effect, Request):
        driver.world.submit(effect)
    job.flow.close()
    assert job.undo is not None
    driver.run(job.undo())
    assert driver.sessions() == set()
