"""What a caller can do with something that can be held, and the errors that it gets."""

from __future__ import annotations

import pytest

from consul_lock._protocol.client.shared_session import SharedSession
from consul_lock._protocol.flow import Flow, Job
from consul_lock._protocol.session.timing import session_options
from consul_lock.errors import (
    LockLost,
    LockTimeout,
    LossReason,
    NotHeld,
    PermissionDenied,
    Unavailable,
)
from tests.unit.protocol.fake_driver import FakeDriver, hold_of


def in_vain() -> Flow[bool]:
    """An acquire that could not have it in time."""
    yield from ()
    return False


@pytest.mark.parametrize(
    "held, failure, kind, text",
    [
        (True, None, "held", "within 2 s: it is held by b pid 1"),
        (False, None, "free", "it is free just now, or in lock-delay"),
        (True, Unavailable("x"), "unknown-holder", "Consul did not say in time who holds it"),
        (True, PermissionDenied("x"), "unknown-holder", "Consul did not say in time who holds it"),
    ],
)
def test_the_error_of_a_block_says_who_is_in_the_way(
    held: bool, failure: Exception | None, kind: str, text: str
) -> None:
    """As far as Consul says so; an error of that question is none of the call."""
    driver = FakeDriver()
    lock, other = driver.lock(), driver.lock(driver.client("b"))
    if held:
        driver.acquire(other)
    driver.failures.append(failure)
    job = Job(in_vain(), limit=lambda: driver.world.now + 1.0)
    with pytest.raises(LockTimeout, match=text) as caught:
        driver.run(lock.had(job, 2.0))
    assert (caught.value.kind, caught.value.key) == (kind, lock.key)
    assert (caught.value.holder is not None) is (kind == "held")


def test_the_limit_of_a_call_is_its_timeout_and_a_second() -> None:
    """Known once it has begun; without a timeout there is none."""
    driver = FakeDriver()
    job = driver.lock().acquire(True, 1.0, "me")
    assert job.limit() is None
    begun, driver.answers_left = driver.world.now, 0
    with pytest.raises(Unavailable) as caught:
        driver.run(job)
    assert job.limit() == begun + 2.0
    assert 0.0 <= job.grace(caught.value, driver.world.now) <= begun + 2.0 - driver.world.now


def test_a_session_is_its_own_unless_one_is_shared() -> None:
    """And the shared one is opened for the first that needs it."""
    driver = FakeDriver()
    client = driver.client()
    shared = SharedSession(client, session_options())
    locks = [driver.lock(client, str(n), shared=shared) for n in range(2)]
    locks += [driver.lock(client, str(n)) for n in range(2, 4)]
    for lock in locks:
        driver.acquire(lock)
    assert hold_of(locks[0]).session is hold_of(locks[1]).session is shared.current
    assert len({hold_of(lock).session.id for lock in locks}) == 3


# -- the end of a block


def leave(driver: FakeDriver, lost: bool, error: BaseException | None) -> None:
    """Enter a block, lose the lock in it or not, and leave it with this error of the body."""
    lock = driver.lock()
    driver.run(lock.enter(None, "me"))
    if lost:
        driver.run(lock.client.lose(hold_of(lock), LossReason.STOLEN))
    driver.run(lock.leave("me", error))


def test_the_end_of_a_block_raises_a_loss() -> None:
    """If nothing else is raised."""
    driver = FakeDriver()
    leave(driver, False, None)
    assert driver.held() == {}
    with pytest.raises(LockLost):
        leave(FakeDriver(), True, None)


def test_a_body_that_failed_raises_its_own_exception_with_the_loss_as_a_note() -> None:
    """Where there was one."""
    error = ValueError("of the body")
    leave(FakeDriver(), False, error)
    assert not hasattr(error, "__notes__")
    leave(FakeDriver(), True, error)
    (note,) = error.__notes__
    assert "was lost while it was held" in note


def test_a_body_that_raises_the_loss_itself_gets_no_note_of_it() -> None:
    """That of another lock does."""
    for own in (True, False):
        driver = FakeDriver()
        lock = driver.lock()
        driver.run(lock.enter(None, "me"))
        driver.run(lock.client.lose(hold_of(lock), LossReason.STOLEN))
        error = (
            lock.lost_error(hold_of(lock))
            if own
            else LockLost("other", reason=LossReason.STOLEN, key="x", session="y")
        )
        driver.run(lock.leave("me", error))
        assert hasattr(error, "__notes__") is not own


def test_after_an_error_of_the_release_the_clean_up_follows_and_the_body_is_heard() -> None:
    """Consul is away at the end of a block that has failed."""
    driver = FakeDriver()
    lock = driver.lock()
    lock.client.retry_for = 0.0
    driver.run(lock.enter(None, "me"))
    driver.failures.extend([Unavailable("away")] * 3)
    driver.run(lock.leave("me", ValueError("of the body")))
    driver.failures.clear()
    driver.run(lock.client.pool.sweep(driver.world.now))
    assert driver.sessions() == set()


def test_a_block_gives_back_nothing_that_another_owner_has_acquired() -> None:
    """It was released early, and got by somebody else since."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.run(lock.enter(None, "me"))
    driver.release(lock)
    driver.acquire(lock, owner="you")
    with pytest.raises(NotHeld):
        driver.run(lock.leave("me", None))
    assert lock.ensure(driver.world.now, "you")


def test_the_release_of_an_own_hold_leaves_those_of_others() -> None:
    """A plain release gives back what another owner has acquired: a lock is a handle."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock, owner="you")
    with pytest.raises(NotHeld):
        driver.run(lock.release_own("me"))
    assert lock.ensure(driver.world.now, "you")
    driver.release(lock, owner="me")
    assert driver.held() == {}
