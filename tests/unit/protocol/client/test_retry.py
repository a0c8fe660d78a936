"""Doing something again while Consul fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from consul_lock._protocol.client.retry import retry, too_busy, until_let_go
from consul_lock._protocol.flow import Flow
from consul_lock._protocol.primitive.lockable import Lockable
from consul_lock.errors import (
    PermissionDenied,
    Unavailable,
)
from tests.unit.protocol.fake_driver import FakeDriver, hold_of, took
from tests.unit.protocol.lock_kinds import each_kind


@each_kind
def test_a_release_that_is_not_answered_ends_in_time(
    make: Callable[[FakeDriver], Lockable],
) -> None:
    """Its requests are cut to what is left."""
    driver = FakeDriver()
    lock = make(driver)
    lock.client.retry_for = 15.0
    assert driver.run(lock.acquire(True, None, "me"))
    driver.answers_left = 0
    seconds, end = took(driver, lock.release("me"))
    assert end is Unavailable
    assert 15.0 <= seconds <= 16.0


def failing(driver: FakeDriver, times: int, error: Exception, tries: list[float]) -> Any:
    """What fails so often, and then has a result; each try is noted with its time."""

    def once() -> Flow[str]:
        tries.append(driver.world.now)
        if len(tries) <= times:
            raise error
        yield from ()
        return "done"

    return once


def test_an_idempotent_request_is_repeated_after_an_error_of_the_server() -> None:
    """With pauses; another error is raised at once."""
    driver, tries = FakeDriver(), list[float]()
    client = driver.client()
    assert driver.run(retry(client, failing(driver, 3, Unavailable("x"), tries))) == "done"
    assert len(tries) == len(set(tries)) == 4
    tries.clear()
    with pytest.raises(PermissionDenied):
        driver.run(retry(client, failing(driver, 1, PermissionDenied("x"), tries)))
    assert len(tries) == 1


@pytest.mark.parametrize("patient, seconds", [(True, 28.5), (False, 0.0)])
def test_giving_something_back_is_tried_as_long_as_it_counts_as_held(
    patient: bool, seconds: float
) -> None:
    """After that its session has ended it; a clean-up tries once."""
    driver, tries = FakeDriver(), list[float]()
    lock = driver.lock()
    driver.acquire(lock)
    lock.client.retry_for = 1000.0
    hold, begun = hold_of(lock), driver.world.now
    once = failing(driver, 1000, Unavailable("x"), tries)
    with pytest.raises(Unavailable):
        driver.run(until_let_go(lock.client, hold, once, patient=patient))
    assert tries[-1] - begun == pytest.approx(seconds, abs=1.0)


def test_a_change_that_others_prevent_again_and_again_is_certain_to_have_failed() -> None:
    """The error names the key, and what may be the matter."""
    error = too_busy("jobs/x", "releasing")
    assert (error.kind, error.uncertain, error.key) == ("contended", False, "jobs/x")
    assert "releasing 'jobs/x': 200 tries" in str(error)
    assert "something else writing there?" in error.hint
