"""Leftovers of the dead and their deletion, in virtual time."""

from __future__ import annotations

from typing import Any

import pytest

from consul_lock._protocol.survey.leftovers import Cleaned, Leftover
from consul_lock._protocol.survey.survey import SurveyCore
from tests.support.world_operator import operator
from tests.unit.protocol.weighted_driver import WeightedDriver

NAME = "jobs/nightly"


class LeftoversDriver(WeightedDriver):
    """Makes the dead, and cleans up after them."""

    def __init__(self) -> None:
        super().__init__()
        self.survey = SurveyCore(self.client())

    def kill(self) -> None:
        """Everybody who is there dies, with a lock-delay that begins now."""
        for session in self.sessions():
            operator(self.world, f"/v1/session/destroy/{session}")

    def found(self, prefix: str = "") -> list[Leftover]:
        left: list[Leftover] = self.run(self.survey.leftovers(prefix))
        return left

    def whats(self, prefix: str = "") -> list[tuple[str, str]]:
        return [(each.name, each.what) for each in self.found(prefix)]

    def clean(self, chosen: list[Leftover]) -> list[str]:
        cleaned: list[Cleaned] = self.run(self.survey.clean(chosen))
        return [each.outcome for each in cleaned]


def test_the_key_of_a_dead_holder_goes_when_its_lock_delay_is_over() -> None:
    """Not a moment sooner: `[check-index, lock, delete]` is refused until then."""
    driver = LeftoversDriver()
    lock = driver.lock(name=NAME)
    driver.acquire(lock)
    assert driver.found() == []
    driver.kill()
    (left,) = driver.found()
    assert (left.name, left.key, left.what) == (NAME, f"{NAME}/.lock", "lock")
    assert left.holder is not None
    assert left.holder.host == "a"
    delay = lock.terms.lock_delay
    assert driver.clean([left]) == ["delayed"]
    driver.world.advance(delay - 0.1)
    assert driver.clean([left]) == ["delayed"]
    driver.world.advance(0.2)
    assert driver.clean([left]) == ["deleted"]
    assert (driver.held(), driver.sessions()) == ({}, set())
    assert driver.clean([left]) == ["deleted"]


def test_a_key_with_a_new_contender_is_left_alone() -> None:
    """It is as it was seen, or it is not touched."""
    driver = LeftoversDriver()
    driver.acquire(driver.lock(name=NAME))
    driver.kill()
    found = driver.found()
    driver.world.advance(61.0)
    driver.acquire(driver.lock(driver.client(), NAME))
    assert driver.clean(found) == ["changed"]
    assert driver.found() == []


def test_a_key_without_a_session_that_others_wrote_is_none() -> None:
    """Go's clients leave theirs when they let go; what is in it may be of use."""
    driver = LeftoversDriver()
    flags = 3304740253564472344
    operator(driver.world, f"/v1/kv/go/.lock?flags={flags}", body=b"the address of a leader")
    operator(driver.world, "/v1/kv/a/plain?flags=0", body=b"x")
    assert driver.found() == []
    operator(driver.world, f"/v1/kv/go/.lock?flags={flags}", body=b"")
    assert driver.whats() == [("go", "lock")]


def test_dead_waiters_and_the_sign_of_their_queue_go_at_once() -> None:
    """They protect nothing.  The sign stays while anybody waits."""
    driver = LeftoversDriver()
    lock = driver.lock(name=NAME)
    driver.acquire(lock)
    assert lock.hold is not None
    for client in (driver.client(), driver.client()):
        driver.queue_up(driver.lock(client, NAME))
    waiters = sorted(driver.sessions() - {lock.hold.session.id})
    operator(driver.world, f"/v1/session/destroy/{waiters[0]}")
    (dead,) = driver.found()
    assert (dead.what, dead.key) == ("waiter", f"{NAME}/.queue/{waiters[0]}")
    assert driver.clean([dead]) == ["deleted"]
    operator(driver.world, f"/v1/session/destroy/{waiters[1]}")
    assert driver.whats() == [(NAME, "waiter"), (NAME, "sign")]
    assert driver.clean(driver.found()) == ["deleted"] * 2
    assert list(driver.held()) == [f"{NAME}/.lock"]


@pytest.mark.parametrize("make, holders", [("semaphore", 2), ("writer", 1)])
def test_dead_holders_leave_a_document_when_their_lock_delay_is_over(
    make: str, holders: int
) -> None:
    """Then the document goes, too, as nobody is in it."""
    driver = LeftoversDriver()
    thing: Any = getattr(driver, make)()
    driver.acquire_all(thing)
    driver.kill()
    found = driver.found()
    assert [each.what for each in found] == ["holder"] * holders + ["document"]
    assert driver.clean(found) == ["delayed"] * holders + ["changed"]
    driver.world.advance(thing.terms.lock_delay + 0.1)
    assert driver.clean(found) == ["deleted"] * (holders + 1)
    assert (driver.held(), driver.sessions()) == ({}, set())


def test_a_prefix_is_not_left_and_what_it_cuts_apart_is_not_judged() -> None:
    """A name counts as a whole or not at all."""
    driver = LeftoversDriver()
    driver.acquire(driver.lock(name=NAME))
    driver.acquire(driver.lock(driver.client(), "other"))
    driver.kill()
    assert driver.whats("jobs/") == [(NAME, "lock")]
    assert driver.whats(NAME) == [(NAME, "lock")]
    assert driver.whats(f"{NAME}/.l") == []


def test_records_of_cron_jobs_and_notes_of_breaks_are_none() -> None:
    """They are kept on purpose."""
    driver = LeftoversDriver()
    operator(driver.world, f"/v1/kv/{NAME}/.cron?flags=1", body=b"{}")
    driver.acquire(driver.lock(name=NAME))
    (session,) = driver.sessions()
    driver.run(driver.survey.break_hold(NAME, session, "disk full"))
    assert driver.whats() == [(NAME, "lock")]
