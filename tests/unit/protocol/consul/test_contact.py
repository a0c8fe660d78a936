"""What a client knows of whether Consul answers: strange answers, and the clock of trouble."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from consul_lock._protocol.cron.decision import CronOutcome
from consul_lock._protocol.primitive.lockable import Lockable
from consul_lock.errors import (
    ConfigError,
)
from tests.unit.protocol.cron.test_guard import CronDriver
from tests.unit.protocol.fake_driver import NAME, FakeDriver, took
from tests.unit.protocol.lock_kinds import REQUESTS_MAX, each_kind

KEY = f"{NAME}/.lock"

STRANGE = {
    "a page": (200, b"<html>Sign in</html>"),
    "a page that is not found": (404, b"<html>not found</html>"),
    "a redirect": (302, b""),
    "a login": (401, b"who are you?"),
    "a proxy's time-out": (408, b"Request Timeout"),
    "a proxy's denial": (403, b"<html>Forbidden</html>"),
    "other JSON": (200, b'{"status": "ok"}'),
}


each_strange = pytest.mark.parametrize("said", STRANGE.values(), ids=STRANGE.keys())


@each_strange
def test_before_first_contact_a_strange_answer_is_an_error_at_once(
    said: tuple[int, bytes],
) -> None:
    """It is the address that is wrong."""
    driver = FakeDriver()
    driver.instead = lambda request: said
    client = driver.client()
    for name in ("a", "b"):  # and Consul is not taken to have answered once from then on
        seconds, end = took(driver, driver.lock(client, name).acquire(True, None, "me"))
        assert (seconds, end) == (0.0, ConfigError)


@each_strange
@each_kind
def test_after_first_contact_a_strange_answer_is_ridden_out_at_each_step(
    make: Callable[[FakeDriver], Lockable], said: tuple[int, bytes]
) -> None:
    """As a 502 is: of acquires, and of releases."""
    for place in range(1, REQUESTS_MAX):
        driver = FakeDriver()
        lock = make(driver)
        answered = iter([None] * place + [said] * 3)
        driver.instead = lambda request, answered=answered: next(answered, None)  # type: ignore[misc] # each its own
        assert driver.run(lock.acquire(True, None, "me")) is True
        driver.run(lock.release("me"))
        # What was in doubt has been destroyed.
        driver.run(lock.client.pool.sweep(driver.world.now))
        assert set(driver.held().values()) <= {""}
        if next(answered, None) is not None:
            break


@each_strange
def test_the_end_of_a_cron_run_is_recorded_all_the_same(said: tuple[int, bytes]) -> None:
    """And its run lock is let go of."""
    driver = CronDriver()
    core, claim, run = driver.once()
    assert run.outcome is CronOutcome.RUN
    answered = iter([said] * 3)
    driver.instead = lambda request: next(answered, None)
    driver.run(core.leave(claim, run, None))
    assert run.recorded
    assert KEY not in driver.held()


@each_strange
def test_a_claim_of_a_slot_rides_strange_answers_out(said: tuple[int, bytes]) -> None:
    """At each of its steps."""
    for place in range(1, 6):
        driver = CronDriver()
        _, claim, job = driver.claim()
        answered = iter([None] * place + [said] * 2)
        driver.instead = lambda request, answered=answered: next(answered, None)  # type: ignore[misc] # each its own
        run = driver.run(job)
        assert run.outcome is CronOutcome.RUN
        assert run.record.claim == claim.id
