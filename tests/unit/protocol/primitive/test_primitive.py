"""What everything that can be held has in common: its answers and its errors."""

from __future__ import annotations

from typing import Any

import pytest

from consul_lock._protocol.client.shared_session import SharedSession
from consul_lock._protocol.keys import keys_of_name
from consul_lock._protocol.lock.lock import LockCore
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.session.timing import session_options
from consul_lock.errors import LockLost, LossReason, NotHeld, Unavailable
from tests.unit.protocol.fake_driver import NAME, FakeDriver, hold_of


def held(driver: FakeDriver, **asked: Any) -> LockCore:
    """A lock that is held, on these terms."""
    lock = LockCore(driver.client(), keys_of_name(NAME), Settings(session_options(**asked)))
    driver.acquire(lock)
    return lock


def test_a_question_about_a_lock_that_is_not_held_is_an_error() -> None:
    """Before the first acquire, and after the release."""
    driver = FakeDriver()
    lock = driver.lock()
    for _ in range(2):
        with pytest.raises(NotHeld) as caught:
            lock.ensure(driver.world.now, "me")
        assert caught.value.key == lock.key
        driver.acquire(lock)
        assert lock.ensure(driver.world.now, "me") is lock.hold
        driver.release(lock)


def test_after_the_deadline_it_is_lost_whether_that_was_noticed_or_not() -> None:
    """What counts is the clock."""
    driver = FakeDriver()
    lock = held(driver)
    deadline = hold_of(lock).deadline()
    assert lock.ensure(deadline - 0.1, "me")
    with pytest.raises(LockLost) as caught:
        lock.ensure(deadline, "me")
    assert caught.value.reason is LossReason.DEADLINE


def test_one_who_holds_nothing_has_a_signal_that_is_never_set() -> None:
    """The holder's is set by the loss."""
    driver = FakeDriver()
    lock = driver.lock()
    nothing = lock.lost("me")
    driver.acquire(lock)
    mine = lock.lost("me")
    assert mine is not nothing
    driver.run(lock.client.lose(hold_of(lock), LossReason.STOLEN))
    assert (mine.is_set(), nothing.is_set()) == (True, False)


@pytest.mark.parametrize(
    "reason, asked, failure, parts",
    [
        (LossReason.STOLEN, {}, None, ["was lost while it was held (stolen)"]),
        (None, {}, None, ["(deadline)"]),
        (LossReason.DEADLINE, {}, Unavailable("refused"), ["its renewals failed: refused"]),
        (LossReason.DEADLINE, {"checks": ["serfHealth"]}, None, ["(deadline)"]),
        (
            LossReason.SESSION_INVALID,
            {"checks": ["serfHealth"], "service_checks": ["web"]},
            None,
            ["health checks 'serfHealth', 'web', and one may have failed"],
        ),
    ],
)
def test_the_error_of_a_loss_says_what_is_known_of_it(
    reason: LossReason | None, asked: dict[str, Any], failure: Any, parts: list[str]
) -> None:
    """With the fencing token, to check what was written since."""
    driver = FakeDriver()
    driver.world.set_check("serfHealth", "passing")
    driver.world.set_check("web", "passing")
    lock = held(driver, **asked)
    hold = hold_of(lock)
    hold.reason, hold.cause = reason, failure
    error = lock.lost_error(hold)
    assert all(part in str(error) for part in parts), error
    assert error.reason is (reason or LossReason.DEADLINE)
    assert error.last_error is failure
    assert f"fencing token {hold.token}" in error.hint
    assert (error.key, error.session) == (lock.key, hold.session.id)
    assert ("health checks" in str(error)) is (reason is LossReason.SESSION_INVALID)


def test_a_shared_session_has_terms_of_its_own() -> None:
    """Those of the lock mean nothing then."""
    driver = FakeDriver()
    client = driver.client()
    shared = SharedSession(client, session_options(ttl=60))
    lock = driver.lock(client, shared=shared)
    driver.acquire(lock)
    assert lock.terms.ttl == hold_of(lock).session.terms.ttl == 60


@pytest.mark.parametrize(
    "blocking, wait, within",
    [(True, None, None), (True, 7.0, 8.0), (False, 0.0, 4.0)],
)
def test_how_long_an_acquire_may_take(
    blocking: bool, wait: float | None, within: float | None
) -> None:
    """One that may not wait has the time in which a connection is made, and a second."""
    driver = FakeDriver()
    lock = driver.lock()
    attempt = lock.attempt("me", blocking)
    budget = lock.patience_of(attempt, wait)
    begun = driver.world.now
    driver.run(budget.bound(lock.client.api.sessions()))
    assert budget.limit == (None if within is None else begun + within)
