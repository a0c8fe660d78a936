"""A session that several locks share: opened once, and closed for all of them."""

from __future__ import annotations

from consul_lock._protocol.client.shared_session import SharedSession
from consul_lock._protocol.session import timing as terms
from consul_lock.errors import Unavailable
from tests.unit.protocol.fake_driver import FakeDriver


def test_a_shared_session_that_cannot_be_destroyed_now_is_destroyed_later() -> None:
    """Its locks are told at once."""
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
    """So it ends as an idle one does, instead of living as long as the client."""
    driver = FakeDriver()
    client = driver.client()
    lock = driver.lock(client, shared=SharedSession(client, terms.session_options()))
    job = lock.acquire(True, None, "me")
    driver.until(job.flow, lambda request: "/session/renew/" in request.path)
    job.flow.close()
    assert job.undo is not None
    driver.run(job.undo())
    (session,) = client.pool.live.values()
    assert session.borrower is None


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
